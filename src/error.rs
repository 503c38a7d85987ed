//! Our own failures. What Valgrind reports is a record, never an error.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::Location;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Shorthand for results of reading headers.
pub type HeaderResult<T> = std::result::Result<T, HeaderError>;

/// Everything that can go wrong in pythy itself. Each message says what happened, to what, and
/// what to do next; each variant says whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A header cannot be read.
    #[error(transparent)]
    Header(#[from] HeaderError),

    /// The installation's, or the system's: the program that reads headers does not do so.
    #[error("headers cannot be read: '{}' {message}; reinstall pythy", path.display())]
    HeaderReader {
        /// The program.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },

    /// The user's: no such library.
    #[error("library '{}' does not exist; give a path, or a name such as 'libz.so.1' that the dynamic loader finds", path.display())]
    LibraryNotFound {
        /// The library as it was given.
        path: PathBuf,
    },

    /// The user's: the file is no shared library, or one for another machine.
    #[error("'{}' is not a shared library for this machine: {message}", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },

    /// The library's: the dynamic loader refuses it.
    #[error("library '{}' cannot be loaded: {message}", path.display())]
    LibraryLoad {
        /// The library.
        path: PathBuf,
        /// The dynamic loader's own words.
        message: String,
    },

    /// The user's: a header and a library that have nothing in common.
    #[error("none of the {declared} functions that {headers} declares is exported by '{}'; do header and library belong together?", library.display())]
    NothingInCommon {
        /// How many functions the headers declare.
        declared: usize,
        /// The headers, joined with commas.
        headers: String,
        /// The library.
        library: PathBuf,
    },

    /// Valgrind's or the system's: a file of evidence cannot be read.
    #[error("Valgrind's log '{}' cannot be read: {source}", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },

    // Valgrind, the program.
    /// The installation's: there is no Valgrind.
    #[error("valgrind is not on PATH; install it (Debian, Ubuntu: 'apt-get install valgrind')")]
    ValgrindMissing,

    /// The installation's: a Valgrind that does not run.
    #[error("'{}' cannot be used: {message}; install Valgrind anew, or put a working one first on PATH", path.display())]
    ValgrindUnusable {
        /// The program.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },

    // The worker, in isolated mode.
    /// The installation's, or the system's: the worker does not start, or ends before it can be used.
    #[error("the worker '{}' cannot be started: {message}", path.display())]
    WorkerStart {
        /// The program.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },

    /// The installation's: a worker of another build.
    #[error("the worker '{}' belongs to another build of pythy ({message}); reinstall pythy", path.display())]
    WorkerBuild {
        /// The program.
        path: PathBuf,
        /// In what they differ.
        message: String,
    },

    /// The C code's, if it wrote into the worker's memory; else ours.
    #[error(
        "the worker does not make sense any more ({message}), perhaps because C code overwrote its memory; it has been ended"
    )]
    WorkerNonsense {
        /// What was wrong with what it sent.
        message: String,
    },

    /// The C code's: it ended the worker.
    #[error("{}: {}", ended_by(*idle, *signal), ending(*signal, *exit_code, said.as_deref()))]
    WorkerCrashed {
        /// The signal that ended it.
        signal: Option<i32>,
        /// The code that it ended with, if by no signal.
        exit_code: Option<i32>,
        /// What Valgrind said when it was Valgrind that gave up.
        said: Option<String>,
        /// Whether no call was under way.
        idle: bool,
    },

    /// The C code's, or the user's: a call took longer than it may.
    #[error("the call took longer than {seconds} s; the worker has been ended")]
    WorkerTimeout {
        /// How long it might take.
        seconds: f64,
    },

    /// The user's: something of a worker that has ended is used.
    #[error("the worker has ended ({why}), and what was in its memory is gone")]
    WorkerGone {
        /// Why it ended.
        why: String,
    },

    /// The user's: what has been asked of the worker cannot be done.
    #[error("{message}")]
    WorkerRefused {
        /// What cannot be done, and why.
        message: String,
    },

    /// The user's, or the C code's: no memory of this size.
    #[error("the worker has no memory for {size} bytes")]
    WorkerMemory {
        /// The size.
        size: u64,
    },

    /// The user's: interrupted while waiting for the worker.
    #[error("interrupted; the worker has been ended")]
    Interrupted,

    /// The user's: a file is no report, or cannot be read.
    #[error("'{}' is no report of pythy's: {message}", path.display())]
    ReportRead {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },

    /// Ours: a report cannot be given a form.
    #[error("the report cannot be made {form}: {message}; this is a defect of pythy's, please report it")]
    ReportForm {
        /// The form.
        form: &'static str,
        /// Why.
        message: String,
    },

    /// The user's: a report cannot be written.
    #[error("the report '{}' cannot be written: {}", path.display(), without_number(source))]
    ReportWrite {
        /// Where it was to go.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What the system says, without its number, which Python shows by itself.
fn without_number(error: &std::io::Error) -> String {
    let said = error.to_string();
    let number = error.raw_os_error().map(|code| format!(" (os error {code})"));
    number.and_then(|number| said.strip_suffix(&number).map(str::to_owned)).unwrap_or(said)
}

/// Why headers cannot be read. It travels between processes as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum HeaderError {
    /// The user's: no such header file.
    #[error("header file '{}' does not exist{}", path.display(), nor_in(searched))]
    HeaderNotFound {
        /// The file as it was given.
        path: PathBuf,
        /// The directories it was looked for in, besides the working directory.
        searched: Vec<PathBuf>,
    },

    /// The user's: a directory where a header is wanted.
    #[error("'{}' is a directory, not a header file", .0.display())]
    HeaderIsDirectory(PathBuf),

    /// The user's: a library where a header is wanted.
    #[error("'{}' is a library, not a header file; headers come first, the library last", .0.display())]
    HeaderIsLibrary(PathBuf),

    /// The header's (or missing include directories or defines): clang's first error, with how many follow.
    #[error("{location}:{}: {message}{}", location.column, more_errors(*more))]
    HeaderSyntax {
        /// Where clang stopped.
        location: Location,
        /// Clang's own message.
        message: String,
        /// How many further errors clang has.
        more: usize,
    },

    /// The header's: a directive in a comment that is not understood, or that names what is not there.
    #[error("{location}: {message}")]
    Directive {
        /// Where it stands.
        location: Location,
        /// What is wrong with it, and what would be right.
        message: String,
    },

    /// The user's: an argument for clang that clang refuses.
    #[error("clang could not parse {headers}: {message}")]
    Clang {
        /// The headers, joined with commas.
        headers: String,
        /// What clang said.
        message: String,
    },

    /// The installation's: libclang is missing.
    #[error(
        "libclang cannot be loaded ({message}); install it with 'pip install libclang', or set LIBCLANG_PATH"
    )]
    LibclangMissing {
        /// What the loader said.
        message: String,
    },
}

/// Who ended the worker.
fn ended_by(idle: bool, signal: Option<i32>) -> &'static str {
    match idle {
        true => {
            "the worker was ended between two calls, from outside or by a thread that C code left running"
        }
        false if signal.is_some_and(|signal| SENT_TO_END.contains(&signal)) => {
            "the worker was ended, from outside or by the C code"
        }
        false => "the C code ended the worker",
    }
}

/// The signals that are sent to end a process, whatever it does.
pub const SENT_TO_END: [i32; 5] = [libc::SIGKILL, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// How the worker ended.
fn ending(signal: Option<i32>, exit_code: Option<i32>, said: Option<&str>) -> String {
    match (said, signal, exit_code) {
        (Some(said), ..) => format!("Valgrind gave up: {said}"),
        (None, Some(signal), _) => {
            signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned)
        }
        (None, None, Some(code)) => format!("it called exit({code})"),
        (None, None, None) => "nobody knows how".to_owned(),
    }
}

/// The name of a signal that ends programs.
pub fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

fn nor_in(searched: &[PathBuf]) -> String {
    let directories: Vec<_> = searched.iter().map(|directory| format!("'{}'", directory.display())).collect();
    match directories.as_slice() {
        [] => String::new(),
        [one] => format!(", nor is it in {one}"),
        [some @ .., last] => format!(", nor is it in {} or {last}", some.join(", ")),
    }
}

fn more_errors(more: usize) -> String {
    match more {
        0 => String::new(),
        1 => " (and 1 more error)".to_owned(),
        n => format!(" (and {n} more errors)"),
    }
}
