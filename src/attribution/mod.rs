//! The join of what Python did with what Valgrind saw. A pure function: no I/O, no Python, no
//! Valgrind, so that every attribution is a fixture.

mod argument;
mod crashes;
mod errors;
mod finding;
mod frames;
mod join;
mod leaks;
mod observed;

pub use errors::UNREAD;
pub use finding::{Basis, Category, Finding};
pub use frames::{Place, Tables};
pub use join::{attribute, cut_short};
pub use observed::{Evidence, Observed, Seen};
