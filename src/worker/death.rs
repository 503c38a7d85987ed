//! How a worker ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::protocol::CUT_OFF;
use crate::Error;
use crate::error::{SENT_TO_END, signal_name};

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Death {
    /// A signal, by its number, that C code brought about.
    Signal(i32),
    /// C code called `exit`.
    Exit(i32),
    /// Valgrind gave up: its words.
    Valgrind(String),
    /// Nobody can say: something else in this process has waited for it, or has all children's ends ignored.
    Unknown,
    /// It was ended from here.
    Ended(Ending),
}

/// Why a worker was ended from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was closed.
    Closed,
    /// It was told to end, and did not.
    Overdue,
    /// It took too long.
    Timeout,
    /// The user interrupted it.
    Interrupted,
    /// It sent nonsense.
    Nonsense(String),
}

impl Death {
    /// What an exit status, if it is known, and Valgrind's log tell of a worker that ended by itself.
    pub fn of(status: Option<ExitStatus>, log: &str) -> Self {
        match (valgrinds_last_words(log), status) {
            (Some(words), _) => Self::Valgrind(words),
            (None, None) => Self::Unknown,
            (None, Some(status)) => match (status.signal(), status.code()) {
                (Some(signal), _) => Self::Signal(signal),
                (None, Some(code)) if code == i32::from(CUT_OFF) => {
                    Self::Ended(Ending::Nonsense("C code has closed its descriptors".to_owned()))
                }
                (None, code) => Self::Exit(code.unwrap_or_default()),
            },
        }
    }

    /// The error of the call during which it happened.
    pub fn error(&self) -> Error {
        self.crash(false)
    }

    /// The error of the request that nobody was there for, though no call was under way.
    pub fn error_while_idle(&self) -> Error {
        self.crash(true)
    }

    fn crash(&self, idle: bool) -> Error {
        let crashed = |signal, exit_code, said| Error::WorkerCrashed { signal, exit_code, said, idle };
        match self {
            Self::Signal(signal) => crashed(Some(*signal), None, None),
            Self::Exit(code) => crashed(None, Some(*code), None),
            Self::Valgrind(said) => crashed(None, None, Some(said.clone())),
            Self::Unknown => crashed(None, None, None),
            Self::Ended(_) => self.later(),
        }
    }

    /// Whether C code brought it about, where no call was under way: signals that others send to end a process do not
    /// tell.
    pub fn is_by_c(&self) -> bool {
        match self {
            Self::Signal(signal) => !SENT_TO_END.contains(signal),
            Self::Exit(_) | Self::Valgrind(_) => true,
            Self::Unknown | Self::Ended(_) => false,
        }
    }

    /// The error of whatever comes after it.
    pub fn later(&self) -> Error {
        Error::WorkerGone { why: self.to_string() }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "by {name}"),
                None => write!(f, "by signal {signal}"),
            },
            Self::Exit(code) => write!(f, "by exit({code})"),
            Self::Valgrind(_) => write!(f, "as Valgrind gave up"),
            Self::Unknown => write!(f, "nobody knows how"),
            Self::Ended(Ending::Closed | Ending::Overdue) => write!(f, "it was closed"),
            Self::Ended(Ending::Timeout) => write!(f, "a call took too long"),
            Self::Ended(Ending::Interrupted) => write!(f, "it was interrupted"),
            Self::Ended(Ending::Nonsense(message)) => write!(f, "it made no sense any more: {message}"),
        }
    }
}

/// What Valgrind said of an error of its own. Its log is nobody else's: no program writes there.
fn valgrinds_last_words(log: &str) -> Option<String> {
    const NAME: &str = "valgrind: ";
    let lines = log.lines().map(str::trim).skip_while(|line| !line.starts_with(NAME));
    let words = lines.take_while(|line| !line.is_empty()).map(|line| line.strip_prefix(NAME).unwrap_or(line));
    let words: Vec<_> = words.collect();
    (!words.is_empty()).then(|| words.join(" "))
}
