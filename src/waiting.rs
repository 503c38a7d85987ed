//! Calls that are made, and not in the journal yet: a list of fixed size, in this process's memory or in a file that
//! outlives it.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};

use rustix::mm::{MapFlags, ProtFlags, mmap};

use crate::journal::CallNumber;

/// How many calls wait at most.
const MOST: usize = 1024;

/// The calls after the last one in the journal, by their origins. The atomics are guarded by whoever guards
/// the journal, and relaxed.
#[repr(C)]
#[derive(Debug)]
pub struct Waiting {
    last: AtomicU64,
    count: AtomicU64,
    origins: [AtomicU32; MOST],
}

static PRIVATE: Waiting = Waiting::empty();
/// Where calls wait: in `PRIVATE`, or in a mapping that stays.
static CURRENT: AtomicPtr<Waiting> = AtomicPtr::new((&raw const PRIVATE).cast_mut());

/// The list of this process.
#[inline(always)]
pub fn current() -> &'static Waiting {
    // SAFETY: both are there as long as the process, and of atomics alone.
    unsafe { &*CURRENT.load(Relaxed) }
}

/// From now on calls wait in this file, of which there is one in the life of a process. None waits now.
pub fn share(file: &File) -> io::Result<()> {
    let size = size_of::<Waiting>();
    file.set_len(size as u64)?;
    // SAFETY: a new mapping of a file that is as long, and is never unmapped: zeroed memory is such a list.
    let mapped = unsafe {
        mmap(std::ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, file, 0)?
    };
    let last = current().last.load(Relaxed);
    CURRENT.store(mapped.cast(), Relaxed);
    current().last.store(last, Relaxed);
    Ok(())
}

/// In a process that was forked off, whose parent has the file.
pub fn unshare() {
    let private = (&raw const PRIVATE).cast_mut();
    if CURRENT.swap(private, Relaxed) != private {
        PRIVATE.count.store(0, Relaxed);
    }
}

impl Waiting {
    const fn empty() -> Self {
        Self {
            last: AtomicU64::new(0),
            count: AtomicU64::new(0),
            origins: [const { AtomicU32::new(0) }; MOST],
        }
    }

    /// Adds a call and gives its number; `None` when the list is full.
    #[inline(always)]
    pub fn add(&self, origin: u32) -> Option<CallNumber> {
        let count = self.count.load(Relaxed);
        self.origins.get(count as usize)?.store(origin, Relaxed);
        self.count.store(count + 1, Relaxed);
        Some(self.last.load(Relaxed) + count + 1)
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.count.load(Relaxed) as usize
    }

    /// The origins of those that wait.
    pub fn origins(&self) -> impl ExactSizeIterator<Item = u32> {
        self.origins[..self.count().min(MOST)].iter().map(|origin| origin.load(Relaxed))
    }

    /// All are in the journal, whose last call is `last`.
    pub fn clear(&self, last: CallNumber) {
        self.count.store(0, Relaxed);
        self.last.store(last, Relaxed);
    }

    /// The list as a process that has ended left it in its file: the number of the first call, and the origins.
    pub fn left_in(bytes: &[u8]) -> (CallNumber, Vec<u32>) {
        let word = |at: usize| {
            bytes.get(at..at + 8).map_or(0, |word| u64::from_ne_bytes(word.try_into().unwrap_or_default()))
        };
        let origins = bytes.get(16..).unwrap_or_default().chunks_exact(4);
        let origins = origins.take(word(8) as usize);
        let origins = origins.map(|origin| u32::from_ne_bytes(origin.try_into().unwrap_or_default()));
        (word(0) + 1, origins.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_numbered_after_the_journals_last() {
        let list = Waiting::empty();
        list.clear(41);
        assert_eq!((list.add(7), list.add(9)), (Some(42), Some(43)));
        assert_eq!(list.origins().collect::<Vec<_>>(), [7, 9]);
        list.clear(43);
        assert_eq!((list.count(), list.add(7)), (0, Some(44)));
    }

    #[test]
    fn a_full_list_takes_no_more() {
        let list = Waiting::empty();
        let numbers: Vec<_> = (0..MOST as u32).map(|origin| list.add(origin)).collect();
        assert_eq!(numbers.last(), Some(&Some(MOST as u64)));
        assert_eq!((list.add(1), list.count()), (None, MOST));
    }

    #[test]
    fn what_a_process_left_is_read_as_far_as_it_goes() {
        let words = |last: u64, count: u64, origins: &[u32]| {
            let head = [last, count].into_iter().flat_map(u64::to_ne_bytes);
            head.chain(origins.iter().copied().flat_map(u32::to_ne_bytes)).collect::<Vec<u8>>()
        };
        assert_eq!(Waiting::left_in(&words(41, 2, &[7, 9, 5])), (42, vec![7, 9]));
        assert_eq!(Waiting::left_in(&words(0, 9, &[7])), (1, vec![7]));
        assert_eq!(Waiting::left_in(&[]), (1, vec![]));
    }
}
