//! Arguments as a worker gets them.

use crate::worker::Argument;

/// Memory of a Python object that C gets a copy of.
pub struct Lent {
    pub address: *mut u8,
    pub length: usize,
    pub writable: bool,
    /// The index of the argument, the first of several with this memory.
    pub argument: usize,
}

impl Lent {
    /// # Safety
    /// The object's view is held, for as long as the bytes are used.
    pub unsafe fn bytes(&self) -> &[u8] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: as the caller vouches.
        unsafe { std::slice::from_raw_parts(self.address, self.length) }
    }

    /// Stores what C has made of it, no more than there is room for.
    ///
    /// # Safety
    /// The object's view is held, of memory that may be written to unless there are no bytes.
    pub unsafe fn fill(&self, left: &[u8]) {
        // SAFETY: as the caller vouches; both are of one size, or nothing is stored.
        unsafe { self.address.copy_from_nonoverlapping(left.as_ptr(), left.len().min(self.length)) };
    }
}

/// The arguments as the worker gets them.
#[derive(Default)]
pub struct Arguments {
    pub list: Vec<Argument>,
    pub values: Vec<u8>,
    pub lent: Vec<Lent>,
    pub outputs: Vec<(usize, usize)>,
}

impl Arguments {
    /// The same memory handed over twice is one copy.
    pub fn lend(&mut self, argument: usize, (address, length, writable): (*mut u8, usize, bool)) {
        let known = self.lent.iter().position(|lent| lent.address == address && lent.length == length);
        let index = known.unwrap_or_else(|| {
            self.lent.push(Lent { address, length, writable: false, argument });
            self.lent.len() - 1
        });
        self.lent[index].writable |= writable;
        self.list.push(Argument::Copy(index as u32));
    }
}
