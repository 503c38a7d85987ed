//! The worker: a process without Python that does for Python what Python should not do itself.

mod apart;
mod call;
mod channel;
mod client;
mod death;
mod launch;
mod process;
mod protocol;
mod turn;

pub use apart::{parse_apart, serve_parse};
pub use call::{CallRequest, CallbackCall, CallbackResult, Copy, CopyOf, Hooks, Returned};
pub use client::{Client, Opened, Root};
pub use death::{Death, Ending};
pub use launch::{Checker, Launch};
pub use protocol::{Argument, CallbackSignature, ResultKind, Watched};
