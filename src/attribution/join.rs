use std::collections::HashMap;
use std::sync::Arc;

use super::frames::{Place, Tables, check_of};
use super::{Basis, Category, Finding};
use crate::bracket::{Slot, Slots};
use crate::evidence::{FatalSignal, Frame, Kind, Leaked, Record, Stack};
use crate::journal::{ArgumentBlock, CallNumber, Journal, Origin};

/// One piece of evidence and when it was seen.
#[derive(Clone, Debug)]
pub struct Observed {
    /// What Valgrind reported.
    pub evidence: Evidence,
    /// When.
    pub seen: Seen,
}

/// What Valgrind gave us to know.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// A record with its stacks.
    Record(Record),
    /// The signal that ended the process.
    Crash(FatalSignal),
    /// Errors that Valgrind counted and did not print again, or printed where nobody can read them.
    Counted(u64),
    /// The process ended, in a way that Valgrind said nothing of.
    Ended {
        /// How: `SIGSEGV`, `exit`.
        kind: String,
        /// The same in words.
        what: String,
    },
    /// Blocks that a leak check counted as lost, where nobody can read what it printed about them.
    Lost(Leaked),
    /// How much more a leak check counted as lost than the one before, directly or indirectly, in bytes and
    /// blocks; after the loss records of that check.
    Checked(Leaked),
}

/// When a piece of evidence was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Between the start and the end of this call.
    During(CallNumber),
    /// In calls of one frequent origin, of which this is the last.
    Among(CallNumber),
    /// While no call was running, or several at once.
    Outside,
    /// By a leak check; what it found was lost among these calls, both included.
    LeakCheck(CallNumber, CallNumber),
}

/// Joins the evidence from index `since` on with the journal: one finding per kind, stack,
/// declaration and call site, in the order of first occurrence. What belongs to no library under
/// test is left out. Earlier evidence only tells how much of a loss is not new, and what it is that repeats.
pub fn attribute(journal: &Journal, observed: &[Observed], since: usize, tables: &Tables) -> Vec<Finding> {
    let mut join = Join {
        journal,
        tables,
        findings: Vec::new(),
        earlier: Vec::new(),
        by_key: HashMap::new(),
        lost: HashMap::new(),
        leaks: HashMap::new(),
        check: Vec::new(),
        owed: journal.owed(),
    };
    let (before, after) = observed.split_at(since.min(observed.len()));
    for Observed { evidence, seen } in before {
        match (evidence, seen) {
            (Evidence::Record(record), Seen::LeakCheck(..)) if record.is_leak() => {
                if let Some((stack, leaked)) = join.newly_lost(record) {
                    join.supersede(&record.kind, stack, leaked);
                    if record.kind == Kind::Leak_DefinitelyLost {
                        join.check.push((leaked, None));
                    }
                }
            }
            (Evidence::Checked(more), _) => join.settle(*more),
            (Evidence::Record(record), seen) if !record.is_leak() => join.error(record, *seen),
            _ => {}
        }
    }
    join.set_apart();
    for Observed { evidence, seen } in after {
        match (evidence, seen) {
            (Evidence::Record(record), Seen::LeakCheck(first, last)) if record.is_leak() => {
                let Some((stack, leaked)) = join.newly_lost(record) else { continue };
                join.supersede(&record.kind, stack, leaked);
                let told = join.findings.len();
                join.leak(record, stack, leaked, (*first, *last));
                if record.kind == Kind::Leak_DefinitelyLost {
                    join.check.push((leaked, (told..join.findings.len()).next()));
                }
            }
            (Evidence::Checked(more), _) => join.settle(*more),
            (Evidence::Record(record), _) if record.is_leak() => {}
            (Evidence::Record(record), seen) => join.error(record, *seen),
            (Evidence::Counted(count), Seen::During(call)) => {
                join.counted(*count, *call, &[(*call, *count)]);
            }
            (Evidence::Counted(count), Seen::Among(call)) => join.counted(*count, *call, &[]),
            (Evidence::Crash(signal), seen) => join.crash(signal, *seen),
            (Evidence::Ended { kind, what }, Seen::During(call)) => {
                join.ended(kind, what, Basis::Call, Some(*call));
            }
            (Evidence::Ended { kind, what }, Seen::LeakCheck(_, last)) => {
                join.ended(kind, what, Basis::Window, Some(*last).filter(|last| *last > 0));
            }
            (Evidence::Lost(leaked), Seen::LeakCheck(first, last)) => join.lost(*leaked, (*first, *last)),
            (Evidence::Counted(_) | Evidence::Lost(_) | Evidence::Ended { .. }, _) => {}
        }
    }
    join.findings.retain(|finding| finding.leaked.is_none_or(|leaked| leaked != Leaked::NONE));
    join.findings
}

/// The first of these errors, if all are of one kind, at one place in C.
fn only_kind<'a>(findings: &'a [Finding], indices: &[usize]) -> Option<&'a Finding> {
    let innermost = |finding: &Finding| Some(finding.stacks.first()?.frames.first()?.ip);
    let mut chosen = indices.iter().map(|index| &findings[*index]);
    let first = chosen.next()?;
    let same = |other: &Finding| {
        (&other.kind, &other.what, innermost(other)) == (&first.kind, &first.what, innermost(first))
    };
    chosen.all(same).then_some(first)
}

/// How sure it is that a block is lost, from 0 on.
fn certainty(kind: &Kind) -> u8 {
    match kind {
        Kind::Leak_StillReachable => 0,
        Kind::Leak_PossiblyLost => 1,
        Kind::Leak_IndirectlyLost => 2,
        _ => 3,
    }
}

/// How many records have stacks of C code that Valgrind cut short before the call began.
pub fn cut_short(observed: &[Observed], tables: &Tables) -> usize {
    let first_stacks = observed.iter().filter_map(|observed| match &observed.evidence {
        Evidence::Record(record) => record.stacks.first(),
        Evidence::Crash(_)
        | Evidence::Ended { .. }
        | Evidence::Counted(_)
        | Evidence::Lost(_)
        | Evidence::Checked(_) => None,
    });
    first_stacks.filter(|stack| tables.is_cut(stack)).count()
}

/// What makes two records the same finding.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    what: String,
    origin: Option<(u32, u32)>,
    frames: Vec<u64>,
}

struct Join<'a> {
    journal: &'a Journal,
    tables: &'a Tables,
    findings: Vec<Finding>,
    /// Errors before the stretch that is told about.
    earlier: Vec<Finding>,
    by_key: HashMap<Key, usize>,
    lost: HashMap<(Kind, Vec<u64>), Leaked>,
    /// The leaks among the findings, by the whole stack of the allocation.
    leaks: HashMap<Vec<u64>, Vec<usize>>,
    /// What the leak check that is being gone through found definitely lost, and its finding, if it has one.
    check: Vec<(Leaked, Option<usize>)>,
    /// What calls have given Python to free, and was not freed.
    owed: HashMap<CallNumber, Vec<Arc<str>>>,
}

impl Join<'_> {
    /// What has been found so far is not told; but repeats of it may be.
    fn set_apart(&mut self) {
        self.earlier = std::mem::take(&mut self.findings);
        self.by_key.clear();
    }

    fn error(&mut self, record: &Record, seen: Seen) {
        let Some(stack) = record.stacks.first() else { return };
        if record.kind == Kind::InvalidFree && self.tables.is_ours(stack) {
            return self.freed_by_c(record, seen);
        }
        let (call, basis, depth) = match (self.tables.place(stack), seen) {
            (Place::InCall { slot, depth }, seen) => (self.number(slot, seen), Basis::Call, depth),
            (Place::InLibrary | Place::Cut, Seen::During(call)) => {
                (Some(call), Basis::Window, stack.frames.len())
            }
            (Place::InLibrary, _) => (None, Basis::Function, stack.frames.len()),
            (Place::Cut | Place::Elsewhere, _) => return,
        };
        let mut stacks = self.c_stacks(record, depth, call);
        let what = match stack.frames.iter().find_map(check_of) {
            Some(checked) => {
                // Of the check's own stack, and of where pythy kept the result, there is nothing to tell.
                stacks.remove(0);
                stacks.retain(|stack| !is_on_stack(stack));
                checked.to_owned()
            }
            None => record.what.clone(),
        };
        let key = Key {
            kind: record.kind.clone(),
            what: what.clone(),
            origin: call.and_then(|call| self.site(call)),
            frames: stacks
                .first()
                .map(|stack| stack.frames.iter().map(|frame| frame.ip).collect())
                .unwrap_or_default(),
        };
        self.add(
            key,
            Finding {
                category: Category::Error,
                kind: record.kind.clone(),
                what,
                count: 1,
                occurrences: call.map(|call| (call, 1)).into_iter().collect(),
                basis,
                call,
                allocated_by: None,
                lost_between: None,
                leaked: None,
                stacks,
            },
        );
    }

    /// The call on whose stack the signal struck; where the stack does not tell, the last one.
    fn crash(&mut self, signal: &FatalSignal, seen: Seen) {
        let stack = &signal.stack;
        let (call, basis, depth) = match (self.tables.place(stack), seen) {
            // Somebody waited for this very call.
            (place, Seen::During(call)) => {
                let depth = match place {
                    Place::InCall { depth, .. } => depth,
                    _ => stack.frames.len(),
                };
                (Some(call), Basis::Call, depth)
            }
            (place, _) => match place {
                Place::InCall { slot, depth } => (self.number(slot, Seen::Outside), Basis::Call, depth),
                Place::InLibrary | Place::Cut => {
                    let last = match seen {
                        Seen::LeakCheck(_, last) => last,
                        _ => self.journal.last(),
                    };
                    (Some(last).filter(|last| *last > 0), Basis::Window, stack.frames.len())
                }
                // A callback that is gone crashes in Python's code; else somebody stopped the program, or
                // Python itself crashed.
                Place::Elsewhere => match self.tables.enclosing_call(stack) {
                    Some((slot, depth)) => (self.number(slot, Seen::Outside), Basis::Call, depth),
                    None => return,
                },
            },
        };
        let mut what = signal.name.clone();
        if let Some(event) = &signal.event {
            what = format!("{what}: {event}");
        }
        if let Some(address) = signal.address {
            what = format!("{what} at address {address:#x}");
        }
        self.findings.push(Finding {
            category: Category::Crash,
            kind: Kind::from(signal.name.as_str()),
            what,
            count: 1,
            occurrences: Vec::new(),
            basis,
            call,
            allocated_by: None,
            lost_between: None,
            leaked: None,
            stacks: vec![Stack { label: None, frames: stack.frames[..depth].to_vec() }],
        });
    }

    /// A call during which the process ended, or the last one before its end.
    fn ended(&mut self, kind: &str, what: &str, basis: Basis, call: Option<CallNumber>) {
        self.findings.push(Finding {
            category: Category::Crash,
            kind: Kind::from(kind),
            what: what.to_owned(),
            count: 1,
            occurrences: Vec::new(),
            basis,
            call,
            allocated_by: None,
            lost_between: None,
            leaked: None,
            stacks: Vec::new(),
        });
    }

    /// Pythy frees its own block and finds it freed: that was the C call on whose stack it happened.
    fn freed_by_c(&mut self, record: &Record, seen: Seen) {
        let freed = record.stacks[1..].iter().find_map(|stack| match self.tables.place(stack) {
            Place::InCall { slot, depth } => Some((slot, depth, stack)),
            _ => None,
        });
        let Some((slot, depth, stack)) = freed else { return };
        let call = self.number(slot, seen);
        let frames = stack.frames[..depth].to_vec();
        let what = "free() of memory that Python owns: an argument's copy, or what lib.new made".to_owned();
        let key = Key {
            kind: record.kind.clone(),
            what: what.clone(),
            origin: call.and_then(|call| self.site(call)),
            frames: frames.iter().map(|frame| frame.ip).collect(),
        };
        self.add(
            key,
            Finding {
                category: Category::Error,
                kind: record.kind.clone(),
                what,
                count: 1,
                occurrences: call.map(|call| (call, 1)).into_iter().collect(),
                basis: Basis::Call,
                call,
                allocated_by: None,
                lost_between: None,
                leaked: None,
                stacks: vec![Stack { label: None, frames }],
            },
        );
    }

    fn leak(
        &mut self,
        record: &Record,
        stack: &Stack,
        leaked: Leaked,
        (first, last): (CallNumber, CallNumber),
    ) {
        let one_call = first == last;
        let mut what = leak_sentence(&record.kind, leaked);
        let (allocated_by, exact, depth) = match self.tables.place(stack) {
            Place::InCall { slot: Slot::Call(residue), depth } => (latest(residue, last), true, depth),
            Place::InCall { slot: Slot::Shared(index), depth } => {
                let call = self.journal.latest_of_frequent(index as u32, last);
                let exact = one_call && call == Some(last);
                if !exact {
                    what.push_str(
                        ": allocated by a call from this line, not necessarily this one, because calls from \
                         lines that have erred often share a slot",
                    );
                }
                (call, exact, depth)
            }
            Place::InLibrary => (None, false, stack.frames.len()),
            Place::Cut | Place::Elsewhere => return,
        };
        let owed = allocated_by.filter(|_| exact).and_then(|call| self.owed.get(&call));
        if let Some(sentences) = owed {
            what.push_str(": ");
            what.push_str(&sentences.join(", or "));
        }
        if first > last {
            what.push_str(if owed.is_some() { "; " } else { ": " });
            what.push_str(DROPPED);
        }
        let lost_by = match allocated_by {
            _ if one_call => Some(first),
            Some(call) if exact && (first..=last).contains(&call) => Some(call),
            _ => None,
        };
        let leaks = self.leaks.entry(addresses(stack)).or_default();
        leaks.push(self.findings.len());
        self.findings.push(Finding {
            category: Category::Leak,
            kind: record.kind.clone(),
            what,
            count: 1,
            occurrences: Vec::new(),
            basis: match (one_call, exact) {
                (true, _) => Basis::Call,
                (false, true) => Basis::Window,
                (false, false) => Basis::Function,
            },
            call: lost_by,
            allocated_by,
            lost_between: (first <= last).then_some((first, last)),
            leaked: Some(leaked),
            stacks: self.c_stacks(record, depth, lost_by),
        });
    }

    /// Losses that were only counted: of the window it is known, and of a window of one call the call.
    fn lost(&mut self, leaked: Leaked, (first, last): (CallNumber, CallNumber)) {
        let (bytes, blocks) = (plural(leaked.bytes, "byte"), plural(leaked.blocks, "block"));
        let verb = if leaked.blocks == 1 { "is" } else { "are" };
        let mut what = format!(
            "{bytes} in {blocks} {verb} lost, directly or indirectly; where that was allocated is only in \
             Valgrind's own output"
        );
        if first > last {
            what.push_str(": ");
            what.push_str(DROPPED);
        }
        self.findings.push(Finding {
            category: Category::Leak,
            kind: Kind::Leak_DefinitelyLost,
            what,
            count: 1,
            occurrences: Vec::new(),
            basis: Basis::Window,
            call: (first == last).then_some(first),
            allocated_by: None,
            lost_between: (first <= last).then_some((first, last)),
            leaked: Some(leaked),
            stacks: Vec::new(),
        });
    }

    /// What this record adds to the last one of the same blocks: a further check repeats a loss
    /// record with its new total when it has grown.
    fn newly_lost<'r>(&mut self, record: &'r Record) -> Option<(&'r Stack, Leaked)> {
        let (stack, total) = (record.stacks.first()?, record.leaked?);
        let before = self.lost.insert((record.kind.clone(), addresses(stack)), total);
        let Some(before) = before else { return Some((stack, total)) };
        let new = total.less(before);
        (new.blocks > 0 || new.bytes > 0 || new.indirect_bytes > 0).then_some((stack, new))
    }

    /// Valgrind prints how many bytes were lost indirectly, not how many blocks. Where one record of a check has
    /// all of them, what the check counted tells: in bytes it must come to what the records say.
    fn settle(&mut self, more: Leaked) {
        let check = std::mem::take(&mut self.check);
        let mut leading = check.iter().filter(|(leaked, _)| leaked.indirect_bytes > 0);
        let (Some((_, Some(finding))), None) = (leading.next(), leading.next()) else { return };
        let told: u64 = check.iter().map(|(leaked, _)| leaked.bytes + leaked.indirect_bytes).sum();
        let direct: u64 = check.iter().map(|(leaked, _)| leaked.blocks).sum();
        if told == more.bytes
            && let Some(indirect) = more.blocks.checked_sub(direct)
            && let Some(leaked) = &mut self.findings[*finding].leaked
        {
            leaked.indirect_blocks = Some(indirect);
        }
    }

    /// Blocks of this stack that were told before as less surely lost are told anew: as a stack is of one
    /// call, they are the same blocks, which have moved from one kind to the other.
    fn supersede(&mut self, kind: &Kind, stack: &Stack, mut now: Leaked) {
        let frames = addresses(stack);
        for weaker in [Kind::Leak_StillReachable, Kind::Leak_PossiblyLost, Kind::Leak_IndirectlyLost] {
            if certainty(&weaker) < certainty(kind)
                && let Some(known) = self.lost.get_mut(&(weaker, frames.clone()))
            {
                *known = known.less(now);
            }
        }
        for index in self.leaks.get(&frames).into_iter().flatten() {
            let finding = &mut self.findings[*index];
            let Some(told) = finding.leaked.filter(|_| certainty(&finding.kind) < certainty(kind)) else {
                continue;
            };
            let rest = told.less(now);
            now = now.less(told);
            finding.what = finding.what.replacen(
                &leak_sentence(&finding.kind, told),
                &leak_sentence(&finding.kind, rest),
                1,
            );
            finding.leaked = Some(rest);
        }
    }

    /// Errors without a record of their own: repeats of one that Valgrind printed before, which is
    /// known when this declaration has only one, or else errors nobody can describe.
    fn counted(&mut self, count: u64, call: CallNumber, occurrences: &[(CallNumber, u64)]) {
        let Some(site) = self.site(call) else { return };
        let candidates = |findings: &[Finding], same: &dyn Fn((u32, u32)) -> bool| -> Vec<usize> {
            let errors = findings.iter().enumerate().filter(|(_, finding)| {
                finding.category == Category::Error && finding.kind != Kind::from(UNREAD)
            });
            errors
                .filter(|(_, finding)| finding.call.and_then(|call| self.site(call)).is_some_and(same))
                .map(|(index, _)| index)
                .collect()
        };
        let here = candidates(&self.findings, &|other| other == site);
        if let [only] = here[..] {
            self.findings[only].add(count, occurrences);
            return;
        }
        if let ([], [only]) = (&here[..], &candidates(&self.earlier, &|other| other == site)[..]) {
            let like = self.earlier[*only].clone();
            let key = Key {
                kind: like.kind.clone(),
                what: like.what.clone(),
                origin: Some(site),
                frames: Vec::new(),
            };
            let occurrences = occurrences.to_vec();
            self.add(key, Finding { count, occurrences, call: Some(call), ..like });
            return;
        }
        let of_this_function = candidates(&self.findings, &|other| other.0 == site.0);
        let what = if of_this_function.is_empty() {
            "errors that Valgrind counted; what they were is only in its own output"
        } else {
            "repeats of errors that this function has above; Valgrind does not say of which"
        };
        let like = match of_this_function[..] {
            // Beyond 100 errors Valgrind's text log does not tell errors apart whose two innermost frames are
            // the same, whatever call they come from.
            [] => only_kind(&self.earlier, &candidates(&self.earlier, &|other| other.0 == site.0)),
            [only] => Some(&self.findings[only]),
            _ => None,
        };
        let finding = match like.cloned() {
            Some(like) => {
                let occurrences = occurrences.to_vec();
                Finding { count, occurrences, basis: Basis::Function, call: Some(call), ..like }
            }
            None => Finding {
                category: Category::Error,
                kind: Kind::from(UNREAD),
                what: what.to_owned(),
                count,
                occurrences: occurrences.to_vec(),
                basis: Basis::Call,
                call: Some(call),
                allocated_by: None,
                lost_between: None,
                leaked: None,
                stacks: Vec::new(),
            },
        };
        let key = Key {
            kind: finding.kind.clone(),
            what: finding.what.clone(),
            origin: Some(site),
            frames: Vec::new(),
        };
        self.add(key, finding);
    }

    fn add(&mut self, key: Key, finding: Finding) {
        match self.by_key.get(&key) {
            Some(index) => self.findings[*index].add(finding.count, &finding.occurrences),
            None => {
                self.by_key.insert(key, self.findings.len());
                self.findings.push(finding);
            }
        }
    }

    /// The stacks without the frames of Python and pythy below the C code.
    fn c_stacks(&self, record: &Record, depth: usize, call: Option<CallNumber>) -> Vec<Stack> {
        let cut = |(index, stack): (usize, &Stack)| {
            let depth = match (index, self.tables.place(stack)) {
                (0, _) => depth,
                (_, Place::InCall { depth, .. }) => depth,
                (_, Place::InLibrary | Place::Cut) => stack.frames.len(),
                (_, Place::Elsewhere) if self.tables.is_ours(stack) => {
                    if let Some(label) = self.argument_label(stack, call) {
                        return Stack { label: Some(label), frames: Vec::new() };
                    }
                    let made = |name| {
                        let named =
                            |frame: &Frame| frame.function.as_ref().is_some_and(|f| f.ends_with(name));
                        stack.frames.iter().any(named)
                    };
                    let what = match (made("Block::copy_of") || made("Block::to_fill"), made("Block::zeroed"))
                    {
                        (true, _) => "a copy of an argument",
                        (_, true) => "memory of lib.new or lib.ref",
                        _ => "a block of its own",
                    };
                    let label = stack.label.as_ref().map(|label| format!("{label} by pythy: {what}"));
                    return Stack { label, frames: Vec::new() };
                }
                (_, Place::Elsewhere) => stack.frames.len(),
            };
            Stack { label: stack.label.clone(), frames: stack.frames[..depth].to_vec() }
        };
        record.stacks.iter().enumerate().map(cut).collect()
    }

    /// Where an address is, as seen from the argument that gave C the block:
    /// `1 byte after argument 'out' (16 bytes) of fill()`.
    fn argument_label(&self, stack: &Stack, call: Option<CallNumber>) -> Option<String> {
        let (address, position) = position(stack.label.as_deref()?)?;
        let call = call?;
        let fits = |block: &&ArgumentBlock| match position {
            Position::After(distance) => block.address + block.size + distance == address,
            Position::Before(distance) => block.address.checked_sub(distance) == Some(address),
            Position::Inside(distance) => block.address + distance == address,
        };
        let block = self.journal.noted(call)?.blocks.iter().find(fits)?;
        let (distance, side) = match position {
            Position::After(distance) => (distance + 1, "after"),
            Position::Before(distance) => (distance, "before"),
            Position::Inside(distance) => (distance, "inside"),
        };
        let function = &self.journal.declaration(self.journal.origin(call)?.declaration).name;
        let (distance, size) = (plural(distance, "byte"), plural(block.size, "byte"));
        let name = &block.name;
        Some(format!("Address {address:#x} is {distance} {side} argument '{name}' ({size}) of {function}()"))
    }

    /// The number of the call on whose stack there is this slot.
    fn number(&self, slot: Slot, seen: Seen) -> Option<CallNumber> {
        let last = match seen {
            Seen::During(call) | Seen::Among(call) | Seen::LeakCheck(_, call) => call,
            Seen::Outside => self.journal.last(),
        };
        match slot {
            Slot::Call(residue) => latest(residue, last),
            Slot::Shared(index) => self.journal.latest_of_frequent(index as u32, last),
        }
    }

    fn site(&self, call: CallNumber) -> Option<(u32, u32)> {
        self.journal.origin(call).map(|Origin { declaration, call_site, .. }| (declaration, call_site))
    }
}

/// Whether this tells where on the stack of a thread an address is, or in which function's part of it.
fn is_on_stack(stack: &Stack) -> bool {
    let on_stack = |label: &String| label.contains(" is on thread ") || label.starts_with("in frame #");
    stack.frames.is_empty() && stack.label.as_ref().is_some_and(on_stack)
}

/// Why a block was lost when no call was made.
const DROPPED: &str = "no call was made since the last check, so Python dropped the last handle";

/// The kind of errors that were counted and could not be read.
pub const UNREAD: &str = "Unread";

/// The latest call up to `last` whose number has this residue.
fn latest(residue: CallNumber, last: CallNumber) -> Option<CallNumber> {
    let back = (last % Slots::CYCLE + Slots::CYCLE - residue) % Slots::CYCLE;
    last.checked_sub(back).filter(|number| *number > 0)
}

fn plural(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn addresses(stack: &Stack) -> Vec<u64> {
    stack.frames.iter().map(|frame| frame.ip).collect()
}

/// Where an address lies, in bytes from the nearer end of a block, or from its start.
#[derive(Clone, Copy)]
enum Position {
    After(u64),
    Before(u64),
    Inside(u64),
}

/// The figures of Valgrind's `Address 0x4a9 is 1,024 bytes after a block of size 16 alloc'd`.
fn position(label: &str) -> Option<(u64, Position)> {
    let (address, rest) = label.strip_prefix("Address 0x")?.split_once(" is ")?;
    let (distance, side) = rest.split_once(" bytes ")?;
    let distance = distance.replace(',', "").parse().ok()?;
    let position = match side.split(' ').next()? {
        "after" => Position::After(distance),
        "before" => Position::Before(distance),
        "inside" => Position::Inside(distance),
        _ => return None,
    };
    Some((u64::from_str_radix(address, 16).ok()?, position))
}

fn leak_sentence(kind: &Kind, leaked: Leaked) -> String {
    let Leaked { bytes, blocks, indirect_bytes, .. } = leaked;
    let verb = if blocks == 1 { "is" } else { "are" };
    let state = match kind {
        Kind::Leak_DefinitelyLost => "definitely lost",
        Kind::Leak_IndirectlyLost => "indirectly lost",
        Kind::Leak_PossiblyLost => "possibly lost",
        Kind::Leak_StillReachable => "still reachable",
        other => other.as_str(),
    };
    let indirect = if indirect_bytes > 0 {
        format!(", with {indirect_bytes} bytes that only it points to")
    } else {
        String::new()
    };
    format!("{} in {} {verb} {state}{indirect}", plural(bytes, "byte"), plural(blocks, "block"))
}
