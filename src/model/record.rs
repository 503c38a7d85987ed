use serde::{Deserialize, Serialize};

use super::{Location, Text, Type};

/// A struct or union. Sizes and offsets come from libclang.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The key by which types refer to it: `struct point`, `union u`, the typedef's name for an
    /// untagged one, else `struct (unnamed at point.h:3:1)`.
    pub key: String,
    /// Struct or union.
    pub kind: RecordKind,
    /// Size in bytes; `None` while the record is only declared (an opaque handle).
    pub size: Option<u64>,
    /// Alignment in bytes; 0 while the record is only declared.
    pub align: u64,
    /// The members in order; none while the record is only declared.
    pub fields: Vec<Field>,
    /// Where it is defined, or else first declared.
    pub location: Location,
    /// The header comment as plain text.
    pub comment: Option<Text>,
    /// Whether one of the given headers has it.
    pub in_given_header: bool,
}

/// Struct or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordKind {
    /// `struct`
    Struct,
    /// `union`
    Union,
}

/// One member of a [`Record`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// The name; `None` for an anonymous struct or union, whose members count as the outer record's.
    pub name: Option<String>,
    /// The type.
    pub ty: Type,
    /// Offset from the start of the record, in bits.
    pub offset_bits: u64,
    /// The width in bits of a bit-field.
    pub bit_width: Option<u32>,
    /// The header comment as plain text.
    pub comment: Option<Text>,
}
