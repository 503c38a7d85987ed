//! What Valgrind's stream says, one thing after the other.

use super::{Record, Stack};

/// One thing in Valgrind's stream, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first occurrence of an error, or a loss record.
    Record(Record),
    /// A record that was reported before, with how often it occurred so far: from the monitor
    /// command `v.info all_errors`, and at the end of a text log written with `-s` or `-v`.
    Repeated {
        /// How often it occurred, the first time included.
        count: u64,
        /// The record, as it was when it first occurred.
        record: Record,
    },
    /// The signal that ends the program.
    FatalSignal(FatalSignal),
    /// What the program printed through `VALGRIND_PRINTF`, without the line's end.
    ClientMessage(String),
    /// How often each record occurred; in XML only, at the exit.
    ErrorCounts(Vec<ErrorCount>),
    /// How often each suppression was used; in XML only, at the exit.
    SuppressionCounts(Vec<SuppressionCount>),
    /// Valgrind reports and counts no further errors: in a text log, without `--error-limit=no`.
    LimitReached,
    /// The program has ended; loss records still follow. In XML only.
    Finished,
}

/// The signal that ends a program, and where it struck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatalSignal {
    /// Valgrind's thread number, from 1; a text log does not tell it.
    pub thread: Option<u32>,
    /// The signal's number: 11.
    pub signo: i32,
    /// Its name: `SIGSEGV`.
    pub name: String,
    /// What happened, where Valgrind says: `Access not within mapped region`.
    pub event: Option<String>,
    /// The address that was touched, where Valgrind says.
    pub address: Option<u64>,
    /// Where it struck.
    pub stack: Stack,
}

/// How often a record occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCount {
    /// The record's number: [`Record::unique`].
    pub unique: u64,
    /// Occurrences, the first included.
    pub count: u64,
}

/// How often a suppression was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuppressionCount {
    /// The suppression's name.
    pub name: String,
    /// How many occurrences it hid.
    pub count: u64,
}
