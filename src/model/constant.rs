use serde::{Deserialize, Serialize};

use super::Location;

/// An object-like macro or a `static const` variable whose value is a number, a string or an address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constant {
    /// The name of the macro or variable.
    pub name: String,
    /// Its value.
    pub value: ConstantValue,
    /// Where it is defined.
    pub location: Location,
    /// Whether one of the given headers defines it.
    pub in_given_header: bool,
}

/// The value of a [`Constant`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ConstantValue {
    /// Any integer type; wide enough for signed and unsigned 64 bits.
    Integer(i128),
    /// A floating constant.
    Float(f64),
    /// A string literal, without its terminating NUL.
    String(Vec<u8>),
    /// A number that is cast to a pointer, `((sqlite3_destructor_type)-1)`: the address, and the type as
    /// the header wrote it.
    Pointer(u64, String),
}
