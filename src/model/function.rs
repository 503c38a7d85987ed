use serde::{Deserialize, Serialize};

use super::{Location, Text, Type};

/// A function declaration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// The name in C.
    pub name: String,
    /// The symbol the library exports it under, where that is not its name: an `asm` label, or a
    /// macro that is another name of it.
    pub symbol: Option<String>,
    /// The parameters before any `...`; none for `f()`, which says nothing about them.
    pub parameters: Vec<Parameter>,
    /// The result type.
    pub result: Type,
    /// Whether `...` follows the parameters, or they are not known.
    pub variadic: bool,
    /// Whether the declaration can be linked against at all.
    pub linkage: Linkage,
    /// The declaration on one line, written back as C: `int add(int a, int b)`.
    pub prototype: String,
    /// Where the declaration begins: its first specifier, or the macro that makes it.
    pub location: Location,
    /// The header comment as plain text, without comment marks; `None` where there is none. One comment
    /// may be that of many functions.
    pub comment: Option<Text>,
    /// Whether one of the given headers declares it (not one that they include).
    pub in_given_header: bool,
}

impl Function {
    /// Whether it is declared as `f()`, which before C23 says nothing about the parameters.
    pub fn is_unprototyped(&self) -> bool {
        self.variadic && self.parameters.is_empty()
    }
}

/// One parameter of a [`Function`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// The name in the header; `None` for an unnamed parameter.
    pub name: Option<String>,
    /// The type, arrays and functions decayed to pointers.
    pub ty: Type,
}

/// How a function may be reached from outside the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Linkage {
    /// An ordinary declaration: the library may export it.
    External,
    /// `static` or `static inline`: no symbol, the code is in the header itself.
    Static,
    /// `inline` and not `static`: its code is in the header, and may be in the library too.
    Inline,
}
