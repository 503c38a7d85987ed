//! One report, one renderer per file.

mod build;
mod github;
mod group;
mod html;
mod json;
mod junit;
mod level;
mod message;
mod model;
mod place;
mod sarif;
mod screen;
mod stacks;
mod summary;
mod suppressions;
mod table;

pub use build::{Scope, build, kinds};
pub use github::to_github;
pub use html::to_html;
pub use json::{from_json, to_json};
pub use junit::to_junit;
pub use message::to_message;
pub use model::{
    Call, CallSite, CallTotal, Declaration, Finding, Frame, Leaked, Report, SCHEMA, SourceLines, Stack, Tool,
    Totals,
};
pub use sarif::to_sarif;
pub use screen::Screen;
pub use suppressions::to_suppressions;
pub use table::to_table;
