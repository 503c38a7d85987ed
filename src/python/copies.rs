//! Copies of Python objects' memory for calls under Valgrind: blocks of exactly their size, so that one byte too many
//! is seen.

use crate::call::{Block, Lending, Lent};

/// A copy of a Python object's memory for one call, of exactly its size.
pub struct Copy {
    /// The copy.
    pub block: Block,
    /// What it is of.
    pub lent: Lent,
}

/// # Safety
/// The originals are still there, and no smaller.
pub unsafe fn copy_back(copies: &[Copy]) {
    for Copy { block, lent } in copies {
        if lent.writable {
            // SAFETY: the buffer's view has kept the original in place, with this size.
            unsafe { lent.address.copy_from_nonoverlapping(block.address().cast(), block.size()) };
        }
    }
}

/// What the arguments of a call lend, and where the addresses of the copies go.
pub struct Copying<P> {
    lending: Lending,
    /// One for each that was added.
    places: Vec<P>,
}

impl<P> Copying<P> {
    /// Nothing yet.
    #[inline(always)]
    pub fn new() -> Self {
        Self { lending: Lending::default(), places: Vec::new() }
    }

    /// Adds memory of a Python object; the address of its copy goes to `place`.
    pub fn add(&mut self, argument: usize, memory: (*mut u8, usize, bool), place: P) {
        self.lending.add(argument, memory);
        self.places.push(place);
    }

    /// Makes the copies, and puts their addresses; the size of one that there is no memory for is the error.
    ///
    /// # Safety
    /// Views, or the bytes or str objects, keep the memory readable.
    #[inline]
    pub unsafe fn copy(mut self, mut put: impl FnMut(P, u64)) -> Result<Vec<Copy>, usize> {
        if self.places.is_empty() {
            return Ok(Vec::new());
        }
        self.lending.merge();
        let mut blocks = Vec::with_capacity(self.lending.lent.len());
        for lent in &self.lending.lent {
            // SAFETY: as the caller vouches.
            blocks.push(Block::copy_of(unsafe { lent.bytes() }).ok_or(lent.length)?);
        }
        for (number, place) in self.places.into_iter().enumerate() {
            let (index, offset) = self.lending.place(number);
            put(place, blocks[index].address() as u64 + offset as u64);
        }
        let copies = blocks.into_iter().zip(self.lending.lent);
        Ok(copies.map(|(block, lent)| Copy { block, lent }).collect())
    }
}
