use std::ffi::c_void;

use libffi::middle::{Arg, Cif, CodePtr, Type};

use crate::binding::{Eightbyte, Passing, RecordClass, Scalar, Signature};

/// A signature prepared for libffi.
#[derive(Debug)]
pub struct Libffi {
    cif: Cif,
    signature: Signature,
}

// SAFETY: a Cif is only read after it has been prepared.
unsafe impl Send for Libffi {}
// SAFETY: as above.
unsafe impl Sync for Libffi {}

impl Libffi {
    /// Prepares the signature.
    pub fn new(signature: Signature) -> Self {
        let cif =
            Cif::new(signature.parameters.iter().map(|scalar| ffi_type(*scalar)), ffi_type(signature.result));
        Self { cif, signature }
    }

    /// Calls with one word per parameter and returns the result as a word.
    ///
    /// # Safety
    /// `address` is a function of this signature.
    pub unsafe fn call(&self, address: *const c_void, words: &[u64]) -> u64 {
        debug_assert_eq!(words.len(), self.signature.parameters.len());
        // Narrow integers lie in the first bytes of their word on little-endian machines.
        let arguments: Vec<Arg<'_>> = words.iter().map(Arg::new).collect();
        let code = CodePtr::from_ptr(address);
        // SAFETY: the caller vouches for the address; result types match what is asked for.
        unsafe {
            match self.signature.result {
                Scalar::F32 => u64::from(self.cif.call::<f32>(code, &arguments).to_bits()),
                Scalar::F64 => self.cif.call::<f64>(code, &arguments).to_bits(),
                Scalar::Void => {
                    self.cif.call::<()>(code, &arguments);
                    0
                }
                result => result.word(self.cif.call::<u64>(code, &arguments), 0),
            }
        }
    }
}

/// libffi's name for how a value travels to a callback, or why it has none.
pub fn ffi_parameter(passing: &Passing) -> Result<Type, String> {
    match passing {
        Passing::Scalar(scalar) => Ok(ffi_type(*scalar)),
        Passing::Record(class) => ffi_record(class),
    }
}

/// libffi's name for how a value travels from a callback, or why it has none.
pub fn ffi_result(passing: &Passing) -> Result<Type, String> {
    match passing {
        Passing::Record(class) if class.x87 > 1 => {
            Err("a 'long double _Complex' as its result, which libffi cannot return".to_owned())
        }
        other => ffi_parameter(other),
    }
}

/// A struct for libffi that travels like this record: of the same size and alignment, its parts of the
/// same classes. So unions and bit-fields have one too, which libffi knows nothing of.
fn ffi_record(class: &RecordClass) -> Result<Type, String> {
    const REGISTERS: usize = 16;
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Err("a record by value, which pythy hands to callbacks on x86-64 Linux only".to_owned());
    }
    if class.size == 0 {
        return Err("an empty record by value".to_owned());
    }
    if class.x87 == 1 && class.size == REGISTERS {
        return Ok(Type::longdouble());
    }
    let Some(eightbytes) = &class.eightbytes else {
        return in_memory(class).ok_or_else(|| "a record by value whose fields are not aligned".to_owned());
    };
    let mut parts = Vec::new();
    for (index, eightbyte) in eightbytes.iter().enumerate() {
        match (eightbyte, (class.size - 8 * index).min(8)) {
            (Eightbyte::Integer, 8) => parts.push(Type::u64()),
            (Eightbyte::Integer, bytes) => parts.extend((0..bytes).map(|_| Type::u8())),
            (Eightbyte::Sse, 8) => parts.push(Type::f64()),
            (Eightbyte::Sse, 4) => parts.push(Type::f32()),
            _ => return Err("a record by value that is padding in part".to_owned()),
        }
    }
    Ok(Type::structure(parts))
}

/// What is larger than two registers travels in memory, whatever it is made of.
fn in_memory(class: &RecordClass) -> Option<Type> {
    let part = match class.align {
        16 => Type::longdouble(),
        ..=8 => Type::u64(),
        _ => return None,
    };
    let size = class.align.max(8);
    let tail = (0..class.size % size).map(|_| Type::u8());
    let parts: Vec<Type> = (0..class.size / size).map(|_| part.clone()).chain(tail).collect();
    (class.size > 16).then(|| Type::structure(parts))
}

/// libffi's name for a scalar.
fn ffi_type(scalar: Scalar) -> Type {
    match scalar {
        Scalar::Void => Type::void(),
        Scalar::Bool | Scalar::U8 => Type::u8(),
        Scalar::I8 => Type::i8(),
        Scalar::I16 => Type::i16(),
        Scalar::I32 => Type::i32(),
        Scalar::I64 => Type::i64(),
        Scalar::U16 => Type::u16(),
        Scalar::U32 => Type::u32(),
        Scalar::U64 => Type::u64(),
        Scalar::F32 => Type::f32(),
        Scalar::F64 => Type::f64(),
        Scalar::Pointer => Type::pointer(),
    }
}
