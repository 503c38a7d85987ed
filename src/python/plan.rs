//! What becomes of each parameter and result, settled when a function is bound.

use std::sync::{Arc, Weak};

use super::callback::CallbackType;
use super::ctype::Types;
use super::types::TypeId;
use crate::binding::{Scalar, Wide};
use crate::model::{FloatType, IntegerType, Type, TypeKind};

/// How one argument becomes a word.
#[derive(Clone)]
pub enum Plan {
    /// `_Bool`: a bool, or 0 or 1.
    Bool,
    /// Plain `char`: bytes of length 1, an ASCII str of length 1, or an int.
    Char,
    /// Every other integer type and enum: an int in its range.
    Integer(Scalar),
    /// `float`
    Float,
    /// `double`
    Double,
    /// Plain `char *`: bytes, str, a writable buffer, or a pointer.
    Text(Target),
    /// Every other pointer to data.
    Pointer(Target),
    /// A function pointer: any callable, or a pointer.
    Callback(Arc<CallbackType>),
    /// A record by value.
    Record(TypeId),
    /// `long double`: a float. A complex type: a complex number.
    Wide(Wide),
}

/// What a pointer parameter points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its type.
    pub id: TypeId,
    /// Size of one item in bytes; 0 where C code alone knows (handles, functions).
    pub item_size: usize,
    /// Where the items are arrays, the size of an element, which a buffer's items may have too.
    pub element_size: usize,
    /// What its numbers are.
    pub items: Items,
    /// Whether C promises not to write: then read-only buffers will do.
    pub is_const: bool,
    /// Whether bytes and buffers are taken at all.
    pub buffers: bool,
}

/// What the items of memory are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Items {
    /// Whole numbers, signed or not.
    Integers,
    /// Real floating-point numbers.
    Floats,
    /// Complex numbers.
    Complex,
    /// Numbers whose bytes are in the other order than this machine's.
    Swapped,
    /// Python objects.
    Objects,
    /// Anything else, which is taken for what is wanted.
    Other,
}

impl Items {
    /// What a format of the `struct` module says; `Zd` is a complex number.
    pub fn of_format(format: &[u8]) -> Self {
        let swapped = if cfg!(target_endian = "big") { b"<".as_slice() } else { b">!" };
        let (order, code) = match format {
            [order @ (b'@' | b'=' | b'<' | b'>' | b'!'), code @ ..] => (Some(order), code),
            code => (None, code),
        };
        match code {
            [b'O', ..] => Self::Objects,
            _ if order.is_some_and(|order| swapped.contains(order)) => Self::Swapped,
            [b'b' | b'B' | b'h' | b'H' | b'i' | b'I' | b'l' | b'L' | b'q' | b'Q' | b'n' | b'N'] => {
                Self::Integers
            }
            [b'u' | b'w' | b'?' | b'P'] => Self::Integers,
            [b'e' | b'f' | b'd' | b'g'] => Self::Floats,
            [b'Z', ..] => Self::Complex,
            _ => Self::Other,
        }
    }

    /// The items for messages.
    pub fn named(self) -> &'static str {
        match self {
            Self::Integers => "integers",
            Self::Floats => "floating-point numbers",
            Self::Complex => "complex numbers",
            Self::Swapped => "numbers in the other byte order",
            Self::Objects => "Python objects",
            Self::Other => "items of that type",
        }
    }
}

/// One parameter of a bound function.
pub struct Parameter {
    /// The plan.
    pub plan: Plan,
    /// The name in the header, if it has one.
    pub name: Option<String>,
    /// The type as the header has it.
    pub ty: Type,
}

/// How a result becomes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultPlan {
    /// `None`
    Void,
    /// bool
    Bool,
    /// Plain `char`: bytes of length 1.
    Char,
    /// int
    Integer(Scalar),
    /// A member of the enum that the callable carries, or an int.
    Enumeration(Scalar),
    /// float, from `float`
    Float,
    /// float, from `double`
    Double,
    /// Plain `char *`: the bytes up to the first NUL, copied; `None` for NULL. `decode`: as str.
    Text {
        /// Whether UTF-8 is decoded to str.
        decode: bool,
    },
    /// float, from `long double`; complex.
    Wide(Wide),
    /// A [`Record`].
    Record,
    /// A [`Pointer`] to what the place of the value says; `None` for NULL.
    Pointer,
}

/// Why an argument cannot be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It is of the wrong type.
    Type,
    /// It does not fit the C type.
    Range,
    /// A str with a NUL inside.
    EmbeddedNul,
    /// A buffer that C might write to is read-only.
    ReadOnly,
    /// A buffer that is not C-contiguous.
    NotContiguous,
    /// It gives no buffer at all; the exception that says why stands.
    NoBuffer,
    /// So many bytes, which are no whole number of items.
    Length(usize),
    /// A buffer whose items have another size.
    ItemSize(usize),
    /// A buffer whose items are of another kind.
    Items(Items),
    /// A pointer to something else.
    WrongTarget(TypeId),
    /// A record of another type.
    WrongRecord(TypeId),
    /// A pointer whose memory has been freed.
    Released,
    /// An address in another process.
    Elsewhere,
    /// An address in a worker that has ended.
    Gone,
    /// Memory of C's, whose interface has been closed.
    Closed,
    /// Python code of the argument's own raised; its exception stands.
    Raised,
}

/// An argument on its way.
#[derive(Clone, Copy, Debug)]
pub enum Argument {
    /// A record or wide number by value, which lies at this address.
    Record(usize),
    /// A word that is the same in every mode.
    Word(u64),
    /// A callable, for which a worker makes a function pointer.
    Callable {
        /// The number by which it calls back.
        id: u64,
        /// The number of the function type.
        signature: u32,
    },
    /// Memory of a Python object: in place natively, an exact copy under Valgrind.
    Memory {
        /// Where it is.
        address: *mut u8,
        /// Its length in bytes.
        length: usize,
        /// Whether C code may have changed it.
        writable: bool,
    },
}

impl Plan {
    /// The plan for a type whose [`Scalar`] exists.
    pub fn of(ty: &Type, types: &Weak<Types>) -> Self {
        if let Some(callback) = CallbackType::of(ty, types) {
            return Self::Callback(callback);
        }
        if let Some(wide) = Wide::of(&ty.kind) {
            return Self::Wide(wide);
        }
        match &ty.kind {
            TypeKind::Bool => Self::Bool,
            TypeKind::Integer(IntegerType::Char) => Self::Char,
            TypeKind::Float(FloatType::Float) => Self::Float,
            TypeKind::Float(_) => Self::Double,
            TypeKind::Pointer(target) => {
                let text = matches!(target.kind, TypeKind::Integer(IntegerType::Char));
                let target = Target::of(target);
                if text { Self::Text(target) } else { Self::Pointer(target) }
            }
            TypeKind::Integer(integer) | TypeKind::Enumeration(_, integer) => {
                Self::Integer(Scalar::of_integer(*integer))
            }
            _ => Self::Record(TypeId::of(&ty.canonical())),
        }
    }

    /// What an argument may be, for messages.
    pub fn expected(&self) -> String {
        match self {
            Self::Bool => "a bool".to_owned(),
            Self::Char => "bytes of length 1, a str of one ASCII character or an int".to_owned(),
            Self::Integer(_) => "an int".to_owned(),
            Self::Float | Self::Double | Self::Wide(Wide::LongDouble) => "a float".to_owned(),
            Self::Wide(_) => "a complex number".to_owned(),
            Self::Text(_) => "bytes, a str, a writable buffer, a pointer or None".to_owned(),
            Self::Pointer(Target { buffers: true, is_const: true, .. }) => {
                "bytes, a buffer, a pointer or None".to_owned()
            }
            Self::Pointer(Target { buffers: true, .. }) => "a writable buffer, a pointer or None".to_owned(),
            Self::Pointer(_) => "a pointer or None".to_owned(),
            Self::Callback(_) => "a callable, a pointer or None".to_owned(),
            Self::Record(id) => format!("a '{}'", id.name()),
        }
    }

    /// Whether it is a number that no register of one word holds.
    pub fn is_wide(&self) -> bool {
        matches!(self, Self::Wide(_))
    }

    /// Whether what it makes is an address.
    pub fn is_pointer(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Pointer(_) | Self::Callback(_))
    }

    /// The smallest and largest int that fits.
    pub fn range(&self) -> Option<(i128, i128)> {
        let scalar = match self {
            Self::Bool => return Some((0, 1)),
            Self::Char => Scalar::of_integer(IntegerType::Char),
            Self::Integer(scalar) => *scalar,
            _ => return None,
        };
        let bits = scalar.size() as u32 * 8;
        Some(match scalar.is_signed() {
            true => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
            false => (0, (1 << bits) - 1),
        })
    }
}

impl Target {
    /// What a pointer among variable arguments points to.
    pub const ANYTHING: Target = Target {
        id: TypeId::VOID,
        item_size: 1,
        element_size: 1,
        items: Items::Other,
        is_const: false,
        buffers: true,
    };

    fn of(target: &Type) -> Self {
        let (item_size, element_size, items) = item_sizes(target).unwrap_or((0, 0, Items::Other));
        let is_const = target.is_const;
        Self {
            id: TypeId::of(&target.canonical()),
            item_size,
            element_size,
            items,
            is_const,
            buffers: item_size > 0,
        }
    }

    /// Whether memory of such items, of that size, is what it points to.
    pub fn takes(&self, items: Items, size: usize) -> bool {
        match (items, self.items) {
            // Single bytes are anything, and anything may be handed over as void.
            _ if size == 1 || self.id == TypeId::VOID => true,
            (Items::Swapped | Items::Objects, _) => false,
            // A complex number is an array of two.
            (Items::Complex, Items::Floats) => size == 2 * self.element_size,
            (given, wanted) => given == wanted || given == Items::Other || wanted == Items::Other,
        }
    }

    /// Whether a pointer to `other` may be handed over, as C has it.
    pub fn accepts(&self, other: TypeId) -> bool {
        self.id == other || self.id == TypeId::VOID || other == TypeId::VOID
    }
}

/// The size of a number, or of an array of numbers and of its elements, and what these are; `None` for
/// other types.
fn item_sizes(ty: &Type) -> Option<(usize, usize, Items)> {
    match &ty.kind {
        TypeKind::Void => Some((1, 1, Items::Other)),
        TypeKind::Pointer(_) | TypeKind::FunctionPointer(_) => None,
        TypeKind::Array(element, count) => {
            let (size, innermost, items) = item_sizes(element)?;
            Some((size.checked_mul(usize::try_from((*count)?).ok()?)?, innermost, items))
        }
        kind => {
            let wide = Wide::of(kind).map(Wide::size);
            let size = wide.or_else(|| Scalar::of(ty).ok().map(Scalar::size))?;
            let items = match kind {
                TypeKind::Float(_) => Items::Floats,
                TypeKind::Complex(_) => Items::Complex,
                _ => Items::Integers,
            };
            Some((size, size, items))
        }
    }
}

impl ResultPlan {
    /// The same for an interface whose text is bytes.
    pub fn undecoded(self) -> Self {
        match self {
            Self::Text { .. } => Self::Text { decode: false },
            other => other,
        }
    }

    /// The plan for a type whose [`Scalar`] exists.
    pub fn of(ty: &Type, decode: bool) -> Self {
        if let TypeKind::Enumeration(_, integer) = &ty.kind {
            return Self::Enumeration(Scalar::of_integer(*integer));
        }
        if let Some(wide) = Wide::of(&ty.kind) {
            return Self::Wide(wide);
        }
        match &ty.kind {
            TypeKind::Void => Self::Void,
            TypeKind::Bool => Self::Bool,
            TypeKind::Integer(IntegerType::Char) => Self::Char,
            TypeKind::Integer(integer) => Self::Integer(Scalar::of_integer(*integer)),
            TypeKind::Float(FloatType::Float) => Self::Float,
            TypeKind::Float(_) => Self::Double,
            TypeKind::Pointer(target) if target.kind == TypeKind::Integer(IntegerType::Char) => {
                Self::Text { decode }
            }
            TypeKind::Record(_) => Self::Record,
            _ => Self::Pointer,
        }
    }
}
