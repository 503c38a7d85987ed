//! What Valgrind saw: its records, in the order of its stream.
//!
//! [`locate`] finds Valgrind's log from inside the process that runs under it, [`Tail`] reads what
//! has been appended since the last look, and [`XmlReader`] or [`TextReader`] turn the bytes
//! into [`Event`]s. The readers do no I/O, take the bytes in pieces of any size, and never fail:
//! what they cannot make sense of, they skip.

mod descriptor;
mod element;
mod event;
mod kind;
mod line;
mod log;
mod loss;
mod lower;
mod markup;
mod record;
mod sentence;
mod tail;
mod text;
mod xml;

pub use event::{ErrorCount, Event, FatalSignal, SuppressionCount};
pub use kind::Kind;
pub use log::{Format, LogFile, LogLocation, Logs, locate};
pub use record::{Frame, Leaked, Record, Stack};
pub use tail::Tail;
pub use text::{TextReader, monitor_output};
pub use xml::XmlReader;

/// Longest line, or tag with the text before it, that is looked at; the rest of it is skipped.
const MAX_PIECE: usize = 1 << 20;

/// Most frames kept of one record; `--num-callers` allows 500 in each of its few stacks.
const MAX_FRAMES: usize = 4096;
