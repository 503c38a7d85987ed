//! The worker: a process without Python that does for Python what Python should not do itself.

mod answers;
mod apart;
mod call;
mod calls;
mod channel;
mod client;
mod closures;
mod death;
mod exchange;
mod fork;
mod greeting;
mod invoke;
mod launch;
mod leaks;
mod lifeline;
mod living;
mod loading;
mod memory;
mod process;
mod protocol;
mod root;
mod serve;
mod shared;
mod station;
mod stop;
mod surroundings;
mod turn;
mod waiting;

pub use apart::{parse_apart, serve_parse};
pub use call::{CallRequest, CallbackCall, CallbackResult, Copy, CopyOf, Hooks, Returned};
pub use client::Client;
#[cfg(fuzzing)]
pub use client::hostile;
pub use death::{Death, Ending};
pub use launch::{Checker, Launch};
pub use process::GRACE;
pub use protocol::{Argument, CallbackSignature, MAX_ARGUMENTS, ResultKind, Watched};
pub use root::Root;
pub use serve::serve;
pub use station::Station;
pub use surroundings::Surroundings;
