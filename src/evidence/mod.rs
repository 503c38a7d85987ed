//! What Valgrind saw: its records, in the order of its stream.

mod kind;
mod record;

pub use kind::Kind;
pub use record::{Frame, Leaked, Record, Stack};
