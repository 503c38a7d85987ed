use serde::{Deserialize, Serialize};

use super::{Location, Text, Type};

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Global {
    /// The name in C.
    pub name: String,
    /// The symbol the library exports it under, where that is not its name: an `asm` label, or a
    /// macro that is another name of it.
    pub symbol: Option<String>,
    /// The type; `is_const` tells whether it may be written.
    pub ty: Type,
    /// Where it is declared.
    pub location: Location,
    /// The header comment as plain text.
    pub comment: Option<Text>,
    /// Whether it is `static`, so that no library has it.
    pub is_static: bool,
    /// Whether one of the given headers has it.
    pub in_given_header: bool,
}
