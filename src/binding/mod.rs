//! What the library keeps of what the header promised: its own exported symbols, each function's
//! signature and the route by which it is called.

mod bindings;
mod compiler;
mod convention;
mod library;
mod loader;
mod shim;
mod signature;
mod symbols;
mod wide;

pub use bindings::{Bindings, BoundFunction, CallShape, Skipped, bind};
pub use convention::{Convention, Eightbyte, Passing, RecordClass};
pub use library::Library;
pub use loader::{Handle, Here, Loaded, Loader, SymbolAt};
pub use shim::Shim;
pub use signature::{Place, Registers, Route, Scalar, Signature};
pub use symbols::{Symbol, SymbolKind, Symbols};
pub use wide::Wide;
