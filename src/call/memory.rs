use std::ffi::{CStr, c_char};

use super::Block;
use crate::Result;

/// Where the values of C lie: in this process, or in that of a worker.
///
/// Addresses are those of that process. Like C, nobody checks them: reading where nothing is ends the process that reads.
pub trait Memory: Send + Sync {
    /// Copies what lies at an address.
    fn read(&self, address: usize, into: &mut [u8]) -> Result<()>;

    /// Copies bytes to an address.
    fn write(&self, address: usize, bytes: &[u8]) -> Result<()>;

    /// The bytes up to the first NUL.
    fn text(&self, address: usize) -> Result<Vec<u8>>;

    /// Zeroed memory of exactly this many bytes, from C's own allocator; `None` where there is none.
    fn allocate(&self, size: usize) -> Result<Option<usize>>;

    /// Gives back what `allocate` gave. The memory may be gone already, with its process.
    fn free(&self, address: usize);
}

/// The memory of this process.
#[derive(Debug)]
pub struct Here;

impl Memory for Here {
    fn read(&self, address: usize, into: &mut [u8]) -> Result<()> {
        // SAFETY: a value of C's lies there, as its type says; C code that frees the memory behind a
        // pointer breaks that as it would break any C program.
        unsafe { std::ptr::copy(address as *const u8, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    fn write(&self, address: usize, bytes: &[u8]) -> Result<()> {
        // SAFETY: as above.
        unsafe { std::ptr::copy(bytes.as_ptr(), address as *mut u8, bytes.len()) };
        Ok(())
    }

    fn text(&self, address: usize) -> Result<Vec<u8>> {
        // SAFETY: a string of C's lies there.
        Ok(unsafe { CStr::from_ptr(address as *const c_char) }.to_bytes().to_vec())
    }

    fn allocate(&self, size: usize) -> Result<Option<usize>> {
        Ok(Block::zeroed(size).map(|block| block.into_address() as usize))
    }

    fn free(&self, address: usize) {
        // SAFETY: what `allocate` gave is freed once, by whoever got it.
        drop(unsafe { Block::from_address(address as *mut _) });
    }
}
