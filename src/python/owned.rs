//! Memory of pythy's own.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;

use super::home::{Home, Root};

/// Memory of pythy's own, and the Python objects whose memory is pointed to from there.
pub struct Owned {
    /// What the allocator gave.
    block: usize,
    /// Where the value is in it: at its beginning, but for values with an alignment that no allocator knows.
    address: usize,
    size: usize,
    home: Home,
    _root: Option<Root>,
    kept: Mutex<HashMap<usize, Kept>>,
    /// How many items the flexible array member of the record in it has.
    tail: usize,
}

/// An object that is pointed to.
struct Kept {
    /// The address that was stored; C code may have stored another since.
    word: u64,
    object: Py<PyAny>,
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.home.free(self.block);
    }
}

impl Owned {
    /// New zeroed memory; `None` where there is none.
    pub fn new(home: &Home, size: usize) -> crate::Result<Option<Self>> {
        Ok(home.allocate(size)?.map(|address| Self::adopt(home, address, size)))
    }

    /// The same at a multiple of `align`, for a record whose flexible array member has `tail` items. What lies around
    /// it is of the block too.
    pub fn aligned(home: &Home, (size, align): (usize, usize), tail: usize) -> crate::Result<Option<Self>> {
        let Some(whole) = size.checked_add(align - 1) else { return Ok(None) };
        let block = home.allocate(whole)?;
        Ok(block.map(|block| Self::within(home, block, (block.next_multiple_of(align), size), tail)))
    }

    /// A block that somebody has made.
    pub fn adopt(home: &Home, address: usize, size: usize) -> Self {
        Self::within(home, address, (address, size), 0)
    }

    fn within(home: &Home, block: usize, (address, size): (usize, usize), tail: usize) -> Self {
        let (home, root) = (home.clone(), home.root(block));
        Self { block, address, size, home, _root: root, kept: Mutex::default(), tail }
    }

    /// Where it begins.
    pub fn address(&self) -> usize {
        self.address
    }

    /// The value's size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// How many items the flexible array member of the record in it has.
    pub fn tail(&self) -> usize {
        self.tail
    }

    /// Whether the address is one of the value's, or its end.
    pub fn has(&self, address: usize) -> bool {
        (self.address..=self.address + self.size).contains(&address)
    }

    /// Whether Python objects are kept for what lies here.
    pub fn keeps_objects(&self) -> bool {
        !self.all_kept().is_empty()
    }

    /// Keeps an object, whose address `word` has been stored at `at`.
    pub fn keep(&self, at: usize, word: u64, object: Py<PyAny>) {
        let before = self.all_kept().insert(at, Kept { word, object });
        // Not under the lock: this may run Python code.
        drop(before);
    }

    /// Keeps nothing for what is stored at `at`.
    pub fn forget(&self, at: usize) {
        let before = self.all_kept().remove(&at);
        // Not under the lock: this may run Python code.
        drop(before);
    }

    /// The object that is kept for the address `word` at `at`.
    pub fn kept(&self, py: Python<'_>, at: usize, word: u64) -> Option<Py<PyAny>> {
        let kept = self.all_kept();
        kept.get(&at).filter(|kept| kept.word == word).map(|kept| kept.object.clone_ref(py))
    }

    /// Whether one is.
    pub fn keeps(&self, at: usize, word: u64) -> bool {
        self.all_kept().get(&at).is_some_and(|kept| kept.word == word)
    }

    /// Keeps from `at` on what the other block keeps in a stretch of it.
    pub fn keep_as(&self, py: Python<'_>, at: usize, other: &Self, stretch: Range<usize>) {
        let copied: Vec<_> = {
            let kept = other.all_kept();
            let here = kept.iter().filter(|(from, _)| stretch.contains(from));
            here.map(|(from, kept)| (at + (from - stretch.start), kept.word, kept.object.clone_ref(py)))
                .collect()
        };
        for (at, word, object) in copied {
            self.keep(at, word, object);
        }
    }

    fn all_kept(&self) -> MutexGuard<'_, HashMap<usize, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
