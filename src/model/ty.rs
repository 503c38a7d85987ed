use serde::{Deserialize, Serialize};

/// A C type: what it is after all typedefs are resolved, and how the header wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Type {
    /// What the type is, typedefs and qualifiers resolved.
    pub kind: TypeKind,
    /// The type as the header wrote it, typedef names kept: `const Bytef *`.
    pub spelling: String,
    /// Whether the type itself (not what it points to) is `const`.
    pub is_const: bool,
}

impl Type {
    /// Whether values of it must not be written: it is `const`, or an array of what is.
    pub fn is_read_only(&self) -> bool {
        match &self.kind {
            TypeKind::Array(element, _) => self.is_const || element.is_read_only(),
            _ => self.is_const,
        }
    }
}

/// The resolved shape of a [`Type`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TypeKind {
    /// `void`
    Void,
    /// `_Bool`
    Bool,
    /// Every integer type, `char` included.
    Integer(IntegerType),
    /// Every real floating type.
    Float(FloatType),
    /// `_Complex` of a floating type.
    Complex(FloatType),
    /// A pointer to anything but a function.
    Pointer(Box<Type>),
    /// A pointer to a function.
    FunctionPointer(Box<FunctionType>),
    /// `T[n]`; `None` for `T[]`. As a parameter it has already decayed to a pointer.
    Array(Box<Type>, Option<u64>),
    /// A struct or union, by its key in [`Interface::records`](super::Interface).
    Record(String),
    /// An enum, by its key in [`Interface::enumerations`](super::Interface), with the integer that holds it.
    Enumeration(String, IntegerType),
    /// A type that cannot be handed over, with the reason: `vector type`, `__int128`.
    Unsupported(String),
}

/// The integer types of C; width and signedness are those of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IntegerType {
    /// Plain `char`, a type of its own.
    Char,
    /// `signed char`
    SignedChar,
    /// `unsigned char`
    UnsignedChar,
    /// `short`
    Short,
    /// `unsigned short`
    UnsignedShort,
    /// `int`
    Int,
    /// `unsigned int`
    UnsignedInt,
    /// `long`
    Long,
    /// `unsigned long`
    UnsignedLong,
    /// `long long`
    LongLong,
    /// `unsigned long long`
    UnsignedLongLong,
}

impl IntegerType {
    /// Size in bytes on this platform.
    pub const fn size(self) -> usize {
        match self {
            Self::Char | Self::SignedChar | Self::UnsignedChar => 1,
            Self::Short | Self::UnsignedShort => 2,
            Self::Int | Self::UnsignedInt => 4,
            Self::Long | Self::UnsignedLong => size_of::<libc::c_long>(),
            Self::LongLong | Self::UnsignedLongLong => 8,
        }
    }

    /// Whether the type holds negative numbers on this platform.
    pub const fn is_signed(self) -> bool {
        match self {
            Self::Char => libc::c_char::MIN != 0,
            Self::SignedChar | Self::Short | Self::Int | Self::Long | Self::LongLong => true,
            Self::UnsignedChar
            | Self::UnsignedShort
            | Self::UnsignedInt
            | Self::UnsignedLong
            | Self::UnsignedLongLong => false,
        }
    }

    /// The name C has for the type.
    pub const fn spelling(self) -> &'static str {
        match self {
            Self::Char => "char",
            Self::SignedChar => "signed char",
            Self::UnsignedChar => "unsigned char",
            Self::Short => "short",
            Self::UnsignedShort => "unsigned short",
            Self::Int => "int",
            Self::UnsignedInt => "unsigned int",
            Self::Long => "long",
            Self::UnsignedLong => "unsigned long",
            Self::LongLong => "long long",
            Self::UnsignedLongLong => "unsigned long long",
        }
    }
}

/// The real floating types of C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FloatType {
    /// `float`
    Float,
    /// `double`
    Double,
    /// `long double`
    LongDouble,
}

/// What a function pointer points to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FunctionType {
    /// Parameter types, in order, arrays and functions decayed to pointers.
    pub parameters: Vec<Type>,
    /// The result type.
    pub result: Type,
    /// Whether `...` follows the parameters.
    pub variadic: bool,
}
