use serde::{Deserialize, Serialize};

use super::{Location, Text, Type, TypeKind};

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

impl Global {
    /// Whether it is what a given header has for everybody who includes it: `static`, and const, or an array of
    /// pointers to const, where the other `const` is often forgotten.
    pub fn is_table(&self) -> bool {
        let (mut item, mut is_array) = (&self.ty, false);
        while let TypeKind::Array(element, _) = &item.kind {
            (item, is_array) = (&**element, true);
        }
        let to_const = matches!(&item.kind, TypeKind::Pointer(target) if target.is_const);
        self.is_static && self.in_given_header && (item.is_const || (is_array && to_const))
    }
}
