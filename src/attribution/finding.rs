use serde::{Deserialize, Serialize};

use crate::evidence::{Kind, Leaked, Stack};
use crate::journal::CallNumber;

/// A record of Valgrind's with the call and declaration it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What sort of thing it is.
    pub category: Category,
    /// Valgrind's own name of the kind: `InvalidRead`, `Leak_DefinitelyLost`.
    pub kind: Kind,
    /// What happened, as a sentence.
    pub what: String,
    /// How often it happened at this declaration and call site.
    pub count: u64,
    /// In which calls how often, where the calls are known: they come to `count` or less.
    pub occurrences: Vec<(CallNumber, u64)>,
    /// How the call is known.
    pub basis: Basis,
    /// The call that erred or lost the block; the first of them when `count` is more than 1.
    pub call: Option<CallNumber>,
    /// The call that allocated a lost block.
    pub allocated_by: Option<CallNumber>,
    /// The calls among which a block was lost, both included.
    pub lost_between: Option<(CallNumber, CallNumber)>,
    /// What was lost.
    pub leaked: Option<Leaked>,
    /// Valgrind's stacks, cut where pythy's own frames begin.
    pub stacks: Vec<Stack>,
}

impl Finding {
    /// Adds further occurrences, in later calls or in the last one.
    pub(super) fn add(&mut self, count: u64, occurrences: &[(CallNumber, u64)]) {
        self.count += count;
        for &(call, count) in occurrences {
            match self.occurrences.last_mut() {
                Some((last, so_far)) if *last == call => *so_far += count,
                _ => self.occurrences.push((call, count)),
            }
        }
    }
}

/// What sort of thing a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Something that C may not do.
    Error,
    /// Memory that nothing points to any more.
    Leak,
    /// The end of the process that ran the C code.
    Crash,
}

/// How the call of a finding is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Exactly: by the call's slot, or because a check ran right before and after it.
    Call,
    /// To lie between two checks.
    Window,
    /// Only the function: by the names in the stack.
    Function,
}
