//! The end of the process: a signal, or what was seen of it from outside.

use super::frames::Place;
use super::join::Join;
use super::{Basis, Category, Finding, Seen};
use crate::evidence::{FatalSignal, Kind, Stack};
use crate::journal::CallNumber;

impl Join<'_> {
    /// The call on whose stack the signal struck; where the stack does not tell, the last one.
    pub(super) fn crash(&mut self, signal: &FatalSignal, seen: Seen) {
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
                Place::InLibrary if self.tables.above_ours(stack) < stack.frames.len() => {
                    (None, Basis::Function, self.tables.above_ours(stack))
                }
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
    pub(super) fn ended(&mut self, kind: &str, what: &str, basis: Basis, call: Option<CallNumber>) {
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
}
