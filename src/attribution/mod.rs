//! The join of what Python did with what Valgrind saw. A pure function: no I/O, no Python, no
//! Valgrind, so that every attribution is a fixture.

mod finding;
mod frames;
mod join;

pub use finding::{Basis, Category, Finding};
pub use frames::{Place, Tables};
pub use join::{Evidence, Observed, Seen, UNREAD, attribute, cut_short};
