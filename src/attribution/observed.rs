//! What Valgrind gave us to know, and when.

use crate::evidence::{FatalSignal, Leaked, Record};
use crate::journal::CallNumber;

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
