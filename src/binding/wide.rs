use super::{Eightbyte, RecordClass};
use crate::model::{FloatType, TypeKind};

/// A number that no single integer or SSE register holds as a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wide {
    /// `long double`, as the x87 has it.
    LongDouble,
    /// `float _Complex`
    ComplexFloat,
    /// `double _Complex`
    ComplexDouble,
    /// `long double _Complex`
    ComplexLongDouble,
}

impl Wide {
    /// Size in bytes of the largest one.
    pub const LARGEST: usize = 32;

    /// The wide number that a type is, on processors where pythy knows their format and convention.
    pub fn of(kind: &TypeKind) -> Option<Self> {
        if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
            return None;
        }
        match kind {
            TypeKind::Float(FloatType::LongDouble) => Some(Self::LongDouble),
            TypeKind::Complex(FloatType::Float) => Some(Self::ComplexFloat),
            TypeKind::Complex(FloatType::Double) => Some(Self::ComplexDouble),
            TypeKind::Complex(FloatType::LongDouble) => Some(Self::ComplexLongDouble),
            _ => None,
        }
    }

    /// Whether it has an imaginary part.
    pub const fn is_complex(self) -> bool {
        !matches!(self, Self::LongDouble)
    }

    /// Size in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::ComplexFloat => 8,
            Self::LongDouble | Self::ComplexDouble => 16,
            Self::ComplexLongDouble => 32,
        }
    }

    /// How it travels: a complex number as a record of its two parts would, a `long double` as
    /// argument in memory and as result in x87 registers.
    pub fn class(self) -> RecordClass {
        let (align, eightbytes, x87) = match self {
            Self::ComplexFloat => (4, Some(vec![Eightbyte::Sse]), 0),
            Self::ComplexDouble => (8, Some(vec![Eightbyte::Sse; 2]), 0),
            Self::LongDouble => (16, None, 1),
            Self::ComplexLongDouble => (16, None, 2),
        };
        RecordClass { size: self.size(), align, eightbytes, x87 }
    }
}
