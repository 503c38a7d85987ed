//! One report, one renderer per file.

mod build;
mod json;
mod message;
mod model;
mod suppressions;
mod table;

pub use build::{Scope, build, kinds};
pub use json::{from_json, to_json};
pub use message::to_message;
pub use model::{
    Call, CallSite, CallTotal, Declaration, Finding, Frame, Leaked, Report, SCHEMA, SourceLines, Stack, Tool,
    Totals,
};
pub use suppressions::to_suppressions;
pub use table::{Screen, to_table};
