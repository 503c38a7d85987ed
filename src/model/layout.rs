//! Sizes of types, from what libclang measured.

use super::{FloatType, Interface, Type, TypeKind};

impl Interface {
    /// The size of a type in bytes; `None` where it has none that is known: `void`, an incomplete
    /// record or array, an unsupported type.
    pub fn size_of(&self, ty: &Type) -> Option<u64> {
        Some(match &ty.kind {
            TypeKind::Bool => 1,
            TypeKind::Integer(integer) | TypeKind::Enumeration(_, integer) => integer.size() as u64,
            TypeKind::Float(float) => float_size(*float),
            TypeKind::Complex(float) => 2 * float_size(*float),
            TypeKind::Pointer(_) | TypeKind::FunctionPointer(_) => size_of::<usize>() as u64,
            TypeKind::Array(element, count) => self.size_of(element)?.checked_mul((*count)?)?,
            TypeKind::Record(key) => self.records.iter().find(|record| record.key == *key)?.size?,
            TypeKind::Void | TypeKind::Unsupported(_) => return None,
        })
    }

    /// What the address of such a value must be a multiple of, where that is more than C's allocator sees to anyway;
    /// 1 elsewhere.
    pub fn extended_alignment_of(&self, ty: &Type) -> u64 {
        const OF_ALLOCATOR: u64 = align_of::<libc::max_align_t>() as u64;
        match &ty.kind {
            TypeKind::Array(element, _) => self.extended_alignment_of(element),
            TypeKind::Record(key) => {
                let record = self.records.iter().find(|record| record.key == *key);
                record.map(|record| record.align).filter(|align| *align > OF_ALLOCATOR).unwrap_or(1)
            }
            _ => 1,
        }
    }
}

const fn float_size(float: FloatType) -> u64 {
    match float {
        FloatType::Float => 4,
        FloatType::Double => 8,
        FloatType::LongDouble => {
            if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
                16
            } else {
                12
            }
        }
    }
}
