use serde::{Deserialize, Serialize};

use super::{Location, Text, Type};

/// A typedef.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typedef {
    /// The new name.
    pub name: String,
    /// What it stands for, resolved; the spelling is that of the right-hand side. A function type
    /// (`typedef int compare(int, int)`) counts as a pointer to it, which is all that C makes of it.
    pub ty: Type,
    /// Whether it stands for the function type itself, not for a pointer to it.
    pub is_function: bool,
    /// Where it is declared.
    pub location: Location,
    /// The header comment as plain text.
    pub comment: Option<Text>,
    /// Whether one of the given headers has it.
    pub in_given_header: bool,
}
