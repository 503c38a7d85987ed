//! The worker: a process without Python that does for Python what Python should not do itself.

mod apart;

pub use apart::{parse_apart, serve_parse};
