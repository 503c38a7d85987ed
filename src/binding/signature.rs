use serde::{Deserialize, Serialize};

use crate::model::{FloatType, Function, IntegerType, Type, TypeKind};

/// What a value is to the machine: width, signedness and register class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scalar {
    /// No result.
    Void,
    /// `_Bool`
    Bool,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
    /// `float`
    F32,
    /// `double`
    F64,
    /// Any pointer.
    Pointer,
}

impl Scalar {
    /// The scalar that an integer type is.
    pub const fn of_integer(ty: IntegerType) -> Self {
        match (ty.size(), ty.is_signed()) {
            (1, true) => Self::I8,
            (2, true) => Self::I16,
            (4, true) => Self::I32,
            (_, true) => Self::I64,
            (1, false) => Self::U8,
            (2, false) => Self::U16,
            (4, false) => Self::U32,
            (_, false) => Self::U64,
        }
    }

    /// The scalar that a type is handed over as, or why it cannot be.
    pub fn of(ty: &Type) -> Result<Self, String> {
        match &ty.kind {
            TypeKind::Void => Ok(Self::Void),
            TypeKind::Bool => Ok(Self::Bool),
            TypeKind::Integer(integer) | TypeKind::Enumeration(_, integer) => Ok(Self::of_integer(*integer)),
            TypeKind::Float(FloatType::Float) => Ok(Self::F32),
            TypeKind::Float(FloatType::Double) => Ok(Self::F64),
            TypeKind::Pointer(_) | TypeKind::FunctionPointer(_) => Ok(Self::Pointer),
            TypeKind::Float(FloatType::LongDouble) => Err("'long double'".to_owned()),
            TypeKind::Complex(_) => Err(format!("the complex type '{}'", ty.spelling)),
            TypeKind::Record(_) => Err(format!("'{}' by value", ty.spelling)),
            TypeKind::Array(..) => Err(format!("the array '{}'", ty.spelling)),
            TypeKind::Unsupported(reason) if ty.spelling.contains(reason.as_str()) => {
                Err(format!("'{}'", ty.spelling))
            }
            TypeKind::Unsupported(reason) => Err(format!("'{}' ({reason})", ty.spelling)),
        }
    }

    /// Cuts the result registers down to a result of this type: the callee may leave anything in
    /// the bits above. `integer` is rax, `float` the low half of xmm0.
    #[inline]
    pub const fn word(self, integer: u64, float: u64) -> u64 {
        match self {
            Self::Void => 0,
            Self::Bool => (integer as u8 != 0) as u64,
            Self::I8 => integer as i8 as u64,
            Self::I16 => integer as i16 as u64,
            Self::I32 => integer as i32 as u64,
            Self::U8 => integer as u8 as u64,
            Self::U16 => integer as u16 as u64,
            Self::U32 => integer as u32 as u64,
            Self::I64 | Self::U64 | Self::Pointer => integer,
            Self::F32 => float as u32 as u64,
            Self::F64 => float,
        }
    }

    /// Whether the value travels in an SSE register.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// Whether it is an integer that may be negative.
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::I8 | Self::I16 | Self::I32 | Self::I64)
    }

    /// Size in bytes on this platform; 0 for `void`.
    pub const fn size(self) -> usize {
        match self {
            Self::Void => 0,
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
            Self::Pointer => size_of::<usize>(),
        }
    }
}

/// A function's parameters and result as the machine sees them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    /// One per parameter, in order.
    pub parameters: Vec<Scalar>,
    /// The result; [`Scalar::Void`] for none.
    pub result: Scalar,
}

impl Signature {
    /// The signature of a declaration, or why it cannot be called.
    pub fn of(function: &Function) -> Result<Self, String> {
        let parameters = function
            .parameters
            .iter()
            .map(|parameter| Scalar::of(&parameter.ty))
            .collect::<Result<_, _>>()
            .map_err(|what| format!("it takes {what}, which pythy cannot pass yet"))?;
        let result = Scalar::of(&function.result)
            .map_err(|what| format!("it returns {what}, which pythy cannot receive yet"))?;
        Ok(Self { parameters, result })
    }

    /// Where each argument goes under the System V x86-64 convention, whatever their number.
    pub fn registers(&self) -> Registers {
        let mut registers = Registers { places: Vec::with_capacity(self.parameters.len()), stack_words: 0 };
        let (mut integers, mut floats) = (0, 0);
        for scalar in &self.parameters {
            let (next, limit, place) = if scalar.is_float() {
                (&mut floats, Registers::FLOATS, Place::Float as fn(u8) -> Place)
            } else {
                (&mut integers, Registers::INTEGERS, Place::Integer as fn(u8) -> Place)
            };
            if *next < limit {
                registers.places.push(place(*next as u8));
                *next += 1;
            } else {
                registers.places.push(Place::Stack(registers.stack_words as u16));
                registers.stack_words += 1;
            }
        }
        registers
    }

    /// The route for native calls: registers where the convention is known and they suffice.
    pub fn route(&self) -> Route {
        let registers = self.registers();
        if cfg!(all(target_arch = "x86_64", target_os = "linux")) && registers.stack_words == 0 {
            Route::Direct
        } else {
            Route::Libffi
        }
    }
}

/// How a function is called natively.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Through one cast that fills every argument register.
    Direct,
    /// Through libffi.
    Libffi,
}

/// The places of all arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers {
    /// One per parameter.
    pub places: Vec<Place>,
    /// How many 8-byte words go on the stack.
    pub stack_words: usize,
}

impl Registers {
    /// Integer argument registers: rdi, rsi, rdx, rcx, r8, r9.
    pub const INTEGERS: usize = 6;
    /// SSE argument registers: xmm0 to xmm7.
    pub const FLOATS: usize = 8;
}

/// Where one argument goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The n-th integer register.
    Integer(u8),
    /// The n-th SSE register.
    Float(u8),
    /// The n-th 8-byte word on the stack.
    Stack(u16),
}
