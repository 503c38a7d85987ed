//! One foreign call: where its arguments lie and the routes by which it is made.
//!
//! Every argument and result is first an 8-byte *word*: integers sign- or zero-extended, `float`
//! as its bits in the low half, `double` as its bits, pointers as addresses.

mod bit_field;
mod block;
mod direct;
pub mod errno;
mod frame;
mod lending;
mod libffi;
mod memory;
pub mod stack;
pub mod wide;
mod words;

pub use bit_field::BitField;
pub use block::Block;
pub use direct::{call_for_float, call_for_integer};
pub use frame::{Arguments, Frame, Position};
pub use lending::{Lending, Lent};
pub use libffi::{Libffi, ffi_parameter, ffi_result};
pub use memory::{Here, Memory};
pub use words::Words;
