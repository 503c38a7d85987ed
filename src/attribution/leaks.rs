//! Losses: what each leak check found, as it adds to those before.

use super::frames::Place;
use super::join::{Join, latest, plural};
use super::{Basis, Category, Finding};
use crate::bracket::Slot;
use crate::evidence::{Kind, Leaked, Record, Stack};
use crate::journal::CallNumber;

/// Why a block was lost when no call was made.
const DROPPED: &str = "no call was made since the last check, so Python dropped the last handle";

impl Join<'_> {
    pub(super) fn leak(
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
            Place::InLibrary => {
                let depth = self.tables.above_ours(stack);
                let by_loader = depth < stack.frames.len() || self.tables.is_cut(stack);
                if by_loader && self.journal.is_loading((first, last)) {
                    // A constructor's block, which it may have lost itself.
                    return;
                }
                (None, false, depth)
            }
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
    pub(super) fn lost(&mut self, leaked: Leaked, (first, last): (CallNumber, CallNumber)) {
        let (bytes, blocks) = (plural(leaked.bytes, "byte"), plural(leaked.blocks, "block"));
        let verb = if leaked.blocks == 1 { "is" } else { "are" };
        let mut what = format!(
            "{bytes} in {blocks} {verb} lost, directly or indirectly; where that was allocated is only in \
             Valgrind's own output"
        );
        let by_constructor = self.journal.is_loading((first, last));
        if by_constructor {
            what.push_str("; a constructor of a library that was loaded may have lost it");
        } else if first > last {
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
            call: (first == last && !by_constructor).then_some(first),
            allocated_by: None,
            lost_between: (first <= last).then_some((first, last)),
            leaked: Some(leaked),
            stacks: Vec::new(),
        });
    }

    /// What this record adds to the last one of the same blocks: a further check repeats a loss
    /// record with its new total when it has grown.
    pub(super) fn newly_lost<'r>(&mut self, record: &'r Record) -> Option<(&'r Stack, Leaked)> {
        let (stack, total) = (record.stacks.first()?, record.leaked?);
        let before = self.lost.insert((record.kind.clone(), addresses(stack)), total);
        let Some(before) = before else { return Some((stack, total)) };
        let new = total.less(before);
        (new.blocks > 0 || new.bytes > 0 || new.indirect_bytes > 0).then_some((stack, new))
    }

    /// Valgrind prints how many bytes were lost indirectly, not how many blocks. Where one record of a check has
    /// all of them, what the check counted tells: in bytes it must come to what the records say.
    pub(super) fn settle(&mut self, more: Leaked) {
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
    pub(super) fn supersede(&mut self, kind: &Kind, stack: &Stack, mut now: Leaked) {
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

fn addresses(stack: &Stack) -> Vec<u64> {
    stack.frames.iter().map(|frame| frame.ip).collect()
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
