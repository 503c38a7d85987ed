//! Errors: those that Valgrind describes, and repeats that it only counts.

use super::frames::{Place, check_of};
use super::join::{Join, Key};
use super::{Basis, Category, Finding, Seen};
use crate::bracket::Slot;
use crate::evidence::{Kind, Record, Stack};
use crate::journal::CallNumber;

/// The kind of errors that were counted and could not be read.
pub const UNREAD: &str = "Unread";

/// The call of an error, where it is told apart from others of its line: the repeats in a call that shares its
/// slot are summed up, and it would be told with its first error alone.
fn occurrence(call: Option<CallNumber>, place: Place) -> Vec<(CallNumber, u64)> {
    let shared = matches!(place, Place::InCall { slot: Slot::Shared(_), .. });
    call.filter(|_| !shared).map(|call| (call, 1)).into_iter().collect()
}

impl Join<'_> {
    pub(super) fn error(&mut self, record: &Record, seen: Seen) {
        let Some(stack) = record.stacks.first() else { return };
        if record.kind == Kind::InvalidFree && self.tables.is_ours(stack) {
            return self.freed_by_c(record, seen);
        }
        let place = self.tables.place(stack);
        let (call, basis, depth) = match (place, seen) {
            (Place::InCall { slot, depth }, seen) => (self.number(slot, seen), Basis::Call, depth),
            (Place::InLibrary | Place::Cut, Seen::During(call))
                if self.tables.above_ours(stack) == stack.frames.len() =>
            {
                (Some(call), Basis::Window, stack.frames.len())
            }
            (Place::InLibrary, _) => (None, Basis::Function, self.tables.above_ours(stack)),
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
        self.add_error(record, what, (call, basis, place), stacks);
    }

    /// Adds an error, or one more of it.
    fn add_error(
        &mut self,
        record: &Record,
        what: String,
        (call, basis, place): (Option<CallNumber>, Basis, Place),
        stacks: Vec<Stack>,
    ) {
        let frames = stacks.first().map(|stack| stack.frames.iter().map(|frame| frame.ip).collect());
        let key = Key {
            kind: record.kind.clone(),
            what: what.clone(),
            origin: call.and_then(|call| self.site(call)),
            frames: frames.unwrap_or_default(),
        };
        let finding = Finding {
            category: Category::Error,
            kind: record.kind.clone(),
            what,
            count: 1,
            occurrences: occurrence(call, place),
            basis,
            call,
            allocated_by: None,
            lost_between: None,
            leaked: None,
            stacks,
        };
        self.add(key, finding);
    }

    /// Pythy frees its own block and finds it freed: that was the C call on whose stack it happened.
    fn freed_by_c(&mut self, record: &Record, seen: Seen) {
        let freed = record.stacks[1..].iter().find_map(|stack| match self.tables.place(stack) {
            place @ Place::InCall { slot, depth } => Some((place, slot, depth, stack)),
            _ => None,
        });
        let Some((place, slot, depth, stack)) = freed else { return };
        let call = self.number(slot, seen);
        let frames = stack.frames[..depth].to_vec();
        let what = "free() of memory that Python owns: an argument's copy, or what lib.new made".to_owned();
        let stacks = vec![Stack { label: None, frames }];
        self.add_error(record, what, (call, Basis::Call, place), stacks);
    }

    /// Errors without a record of their own: repeats of one that Valgrind printed before, which is
    /// known when this declaration has only one, or else errors nobody can describe.
    pub(super) fn counted(&mut self, count: u64, call: CallNumber, occurrences: &[(CallNumber, u64)]) {
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
            "errors that Valgrind counted: they repeat one with the same four innermost frames, or are only in its own output"
        } else {
            "repeats of errors that this function has above; Valgrind does not say of which"
        };
        let like = match of_this_function[..] {
            // Beyond 100 errors Valgrind's text log does not tell errors apart whose two innermost frames are
            // the same, whatever call they come from.
            [] => only_kind(&self.earlier, &candidates(&self.earlier, &|other| other.0 == site.0)),
            _ => only_kind(&self.findings, &of_this_function),
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

/// Whether this tells where on the stack of a thread an address is, or in which function's part of it.
fn is_on_stack(stack: &Stack) -> bool {
    let on_stack = |label: &String| label.contains(" is on thread ") || label.starts_with("in frame #");
    stack.frames.is_empty() && stack.label.as_ref().is_some_and(on_stack)
}
