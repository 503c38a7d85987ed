use std::collections::HashMap;
use std::sync::Arc;

use super::frames::{Place, Tables};
use super::{Basis, Evidence, Finding, Observed, Seen};
use crate::bracket::{Slot, Slots};
use crate::evidence::{Frame, Kind, Leaked, Record, Stack};
use crate::journal::{CallNumber, Journal, Origin};

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
            (Evidence::Ended { kind, what }, Seen::Outside) => join.ended(kind, what, Basis::Function, None),
            (Evidence::Lost(leaked), Seen::LeakCheck(first, last)) => join.lost(*leaked, (*first, *last)),
            (Evidence::Counted(_) | Evidence::Lost(_) | Evidence::Ended { .. }, _) => {}
        }
    }
    join.findings.retain(|finding| finding.leaked.is_none_or(|leaked| leaked != Leaked::NONE));
    join.findings
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
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) what: String,
    pub(super) origin: Option<(u32, u32)>,
    pub(super) frames: Vec<u64>,
}

pub(super) struct Join<'a> {
    pub(super) journal: &'a Journal,
    pub(super) tables: &'a Tables,
    pub(super) findings: Vec<Finding>,
    /// Errors before the stretch that is told about.
    pub(super) earlier: Vec<Finding>,
    pub(super) by_key: HashMap<Key, usize>,
    pub(super) lost: HashMap<(Kind, Vec<u64>), Leaked>,
    /// The leaks among the findings, by the whole stack of the allocation.
    pub(super) leaks: HashMap<Vec<u64>, Vec<usize>>,
    /// What the leak check that is being gone through found definitely lost, and its finding, if it has one.
    pub(super) check: Vec<(Leaked, Option<usize>)>,
    /// What calls have given Python to free, and was not freed.
    pub(super) owed: HashMap<CallNumber, Vec<Arc<str>>>,
}

impl Join<'_> {
    /// What has been found so far is not told; but repeats of it may be.
    fn set_apart(&mut self) {
        self.earlier = std::mem::take(&mut self.findings);
        self.by_key.clear();
    }

    pub(super) fn add(&mut self, key: Key, finding: Finding) {
        match self.by_key.get(&key) {
            Some(index) => self.findings[*index].add(finding.count, &finding.occurrences),
            None => {
                self.by_key.insert(key, self.findings.len());
                self.findings.push(finding);
            }
        }
    }

    /// The stacks without the frames of Python and pythy below the C code.
    pub(super) fn c_stacks(&self, record: &Record, depth: usize, call: Option<CallNumber>) -> Vec<Stack> {
        let cut = |(index, stack): (usize, &Stack)| {
            let depth = match (index, self.tables.place(stack)) {
                (0, _) => depth,
                (_, Place::InCall { depth, .. }) => depth,
                (_, Place::InLibrary | Place::Cut) => self.tables.above_ours(stack),
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

    /// The number of the call on whose stack there is this slot.
    pub(super) fn number(&self, slot: Slot, seen: Seen) -> Option<CallNumber> {
        let last = match seen {
            Seen::During(call) | Seen::Among(call) | Seen::LeakCheck(_, call) => call,
            Seen::Outside => self.journal.last(),
        };
        match slot {
            Slot::Call(residue) => latest(residue, last),
            Slot::Shared(index) => self.journal.latest_of_frequent(index as u32, last),
        }
    }

    pub(super) fn site(&self, call: CallNumber) -> Option<(u32, u32)> {
        self.journal.origin(call).map(|Origin { declaration, call_site, .. }| (declaration, call_site))
    }
}

/// The latest call up to `last` whose number has this residue.
pub(super) fn latest(residue: CallNumber, last: CallNumber) -> Option<CallNumber> {
    let back = (last % Slots::CYCLE + Slots::CYCLE - residue) % Slots::CYCLE;
    last.checked_sub(back).filter(|number| *number > 0)
}

pub(super) fn plural(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
