//! The worker: a process without Python that does for Python what Python should not do itself.

mod apart;
mod call;
mod channel;
mod client;
mod closures;
mod death;
mod invoke;
mod launch;
mod lifeline;
mod loading;
mod process;
mod protocol;
mod serve;
mod shared;
mod station;
mod turn;

pub use apart::{parse_apart, serve_parse};
pub use call::{CallRequest, CallbackCall, CallbackResult, Copy, CopyOf, Hooks, Returned};
pub use client::{Client, Root};
pub use death::{Death, Ending};
pub use launch::{Checker, Launch};
pub use protocol::{Argument, CallbackSignature, ResultKind, Watched};
pub use serve::serve;
pub use station::Station;
