//! `header -> model -> binding -> call -> bracket -> evidence -> attribution -> report`
//!
//! pythy turns a C header and a shared library into callable functions and, under Valgrind,
//! tells which call made the C code misbehave. The modules below stand in the order of that
//! pipeline; each uses only those before it, as ARCHITECTURE.md lays down.

pub mod error;
pub mod model;
pub mod thread;

pub mod evidence;
pub mod journal;
pub mod valgrind;

pub mod binding;
pub mod header;

pub mod bracket;
pub mod call;

pub mod attribution;

pub mod waiting;

pub mod trail;

pub mod report;

pub mod worker;

pub mod isolation;
pub mod lane;
pub mod session;

#[cfg(feature = "python")]
mod python;

pub use error::{Error, Result};
