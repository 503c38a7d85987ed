use serde::{Deserialize, Serialize};

use super::{IntegerType, Location, Text};

/// An enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enumeration {
    /// The key by which types refer to it: `enum colour`, or the typedef's name for an untagged
    /// one, else `enum (unnamed at colour.h:3:1)`.
    pub key: String,
    /// The integer type that holds it.
    pub underlying: IntegerType,
    /// The enumerators in order.
    pub enumerators: Vec<Enumerator>,
    /// Where it is defined.
    pub location: Location,
    /// The header comment as plain text.
    pub comment: Option<Text>,
    /// Whether one of the given headers has it.
    pub in_given_header: bool,
}

/// One enumerator of an [`Enumeration`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enumerator {
    /// The name.
    pub name: String,
    /// The value; wide enough for every signed and unsigned 64-bit value.
    pub value: i128,
    /// The header comment as plain text.
    pub comment: Option<Text>,
}
