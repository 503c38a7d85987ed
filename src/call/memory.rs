//! The memory of C in this process. Like C, nobody checks addresses.

use std::ffi::{CStr, c_char};

use super::Block;

/// Copies what lies at an address.
///
/// # Safety
/// So many bytes can be read there.
pub unsafe fn read(address: usize, into: &mut [u8]) {
    // SAFETY: as the caller vouches.
    unsafe { std::ptr::copy(address as *const u8, into.as_mut_ptr(), into.len()) };
}

/// Copies bytes to an address.
///
/// # Safety
/// So many bytes can be written there.
pub unsafe fn write(address: usize, bytes: &[u8]) {
    // SAFETY: as the caller vouches.
    unsafe { std::ptr::copy(bytes.as_ptr(), address as *mut u8, bytes.len()) };
}

/// The bytes up to the first NUL.
///
/// # Safety
/// A string lies there.
pub unsafe fn text(address: usize) -> Vec<u8> {
    // SAFETY: as the caller vouches.
    unsafe { CStr::from_ptr(address as *const c_char) }.to_bytes().to_vec()
}

/// Zeroed memory of exactly this many bytes, from C's own allocator; `None` where there is none.
pub fn allocate(size: usize) -> Option<usize> {
    Block::zeroed(size).map(|block| block.into_address() as usize)
}

/// Frees what [`allocate`] gave.
///
/// # Safety
/// It did, and nobody else frees it.
pub unsafe fn free(address: usize) {
    // SAFETY: as the caller vouches.
    drop(unsafe { Block::from_address(address as *mut _) });
}
