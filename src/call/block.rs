use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// A block of C memory of exactly the size asked for, from the same allocator as the library's,
/// so that Memcheck sees one byte over or under.
#[derive(Debug)]
pub struct Block {
    address: NonNull<u8>,
    size: usize,
}

// SAFETY: a block is plain memory that nobody else frees.
unsafe impl Send for Block {}
// SAFETY: shared access only reads the address and the size.
unsafe impl Sync for Block {}

impl Block {
    // Reports tell by these names what a block was for.

    /// A block of `size` zero bytes; `None` when there is no memory.
    #[inline(never)]
    pub fn zeroed(size: usize) -> Option<Self> {
        // SAFETY: calloc has no preconditions; a block of size 0 may be NULL, hence the 1.
        let address = unsafe { libc::calloc(size.max(1), 1) };
        Some(Self { address: NonNull::new(address.cast())?, size })
    }

    /// A block that holds a copy of `bytes` and nothing more; `None` when there is no memory.
    #[inline(never)]
    pub fn copy_of(bytes: &[u8]) -> Option<Self> {
        // SAFETY: malloc has no preconditions.
        let address = NonNull::new(unsafe { libc::malloc(bytes.len()) }.cast::<u8>())?;
        // SAFETY: the block was just made with that many bytes and overlaps nothing.
        unsafe { address.as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Some(Self { address, size: bytes.len() })
    }

    /// A block whose bytes `fill` writes, all of them or none; `None` when there is no memory.
    #[inline(never)]
    pub fn to_fill(size: usize, fill: &mut dyn FnMut(&mut [MaybeUninit<u8>])) -> Option<Self> {
        // SAFETY: malloc has no preconditions.
        let address = NonNull::new(unsafe { libc::malloc(size) }.cast::<u8>())?;
        // SAFETY: the block was just made with that many bytes, which may be in any state.
        fill(unsafe { std::slice::from_raw_parts_mut(address.as_ptr().cast(), size) });
        Some(Self { address, size })
    }

    /// Gives the block away as a plain address.
    pub fn into_address(self) -> *mut c_void {
        let address = self.address();
        std::mem::forget(self);
        address
    }

    /// The block behind an address, to be freed with it; its size is not known.
    ///
    /// # Safety
    /// The address came from [`Block::into_address`], and nobody else takes it.
    pub unsafe fn from_address(address: *mut c_void) -> Option<Self> {
        Some(Self { address: NonNull::new(address.cast())?, size: 0 })
    }

    /// Where it lies.
    pub fn address(&self) -> *mut c_void {
        self.address.as_ptr().cast()
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Its bytes now. C code may change them at any time: copy, do not keep.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the block lives as long as self and was initialised when it was made.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), self.size) }
    }

    /// Its bytes, for whoever made it.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.address.as_ptr(), self.size) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the address came from malloc or calloc and is freed once.
        unsafe { libc::free(self.address.as_ptr().cast()) };
    }
}
