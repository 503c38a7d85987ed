//! What Valgrind saw: its records, in the order of its stream.

mod record;

pub use record::{Frame, Leaked, Record, Stack};
