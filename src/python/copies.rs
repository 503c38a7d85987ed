//! Copies of Python objects' memory for calls under Valgrind: blocks of exactly their size, so that one byte too many
//! is seen.

use crate::call::Block;

/// A copy of a Python object's memory for one call, of exactly its size.
pub struct Copy {
    /// The copy.
    pub block: Block,
    original: *mut u8,
    /// Whether C code may write into it.
    pub writable: bool,
    /// The index of the argument, the first of several with this memory.
    pub argument: usize,
}

/// # Safety
/// The originals are still there, and no smaller.
pub unsafe fn copy_back(copies: &[Copy]) {
    for Copy { block, original, writable, .. } in copies {
        if *writable {
            // SAFETY: the buffer's view has kept the original in place, with this size.
            unsafe { original.copy_from_nonoverlapping(block.address().cast(), block.size()) };
        }
    }
}

/// The address of a copy; the same memory handed over twice is one copy.
pub unsafe fn copy(
    copies: &mut Vec<Copy>,
    argument: usize,
    (original, length, writable): (*mut u8, usize, bool),
) -> Option<u64> {
    if let Some(copy) =
        copies.iter_mut().find(|copy| copy.original == original && copy.block.size() == length)
    {
        copy.writable |= writable;
        return Some(copy.block.address() as u64);
    }
    let bytes: &[u8] = if length == 0 {
        &[]
    } else {
        // SAFETY: the buffer's view, or the bytes or str object, keeps `length` bytes readable.
        unsafe { std::slice::from_raw_parts(original, length) }
    };
    let block = Block::copy_of(bytes)?;
    let address = block.address() as u64;
    copies.push(Copy { block, original, writable, argument });
    Some(address)
}
