//! The pointers that Python holds, where Memcheck's leak check finds them.
//!
//! A handle alive in Python is not lost, but neither Python's own memory (blocks that nothing
//! points to by their start) nor the mask over a handle's address would tell Memcheck so. Each
//! live handle has an entry here, zeroed when it goes; a static points to the table.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

static ROOTS: Mutex<Roots> = Mutex::new(Roots { addresses: Vec::new(), free: Vec::new() });

struct Roots {
    addresses: Vec<usize>,
    free: Vec<u32>,
}

/// Whether Python has let go of memory since [`take_released`] was asked last.
static RELEASED: AtomicBool = AtomicBool::new(false);

/// Python has let go of memory: it dropped a handle, or has overwritten a pointer.
pub fn note_release() {
    RELEASED.store(true, Ordering::Relaxed);
}

/// Whether Python has let go of memory since this was asked last.
pub fn take_released() -> bool {
    RELEASED.swap(false, Ordering::Relaxed)
}

/// An entry in the table of roots; its address is live until it is dropped.
#[derive(Debug)]
pub struct Root(u32);

impl Root {
    /// Makes the address a root.
    pub fn new(address: usize) -> Self {
        let mut roots = ROOTS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = roots.free.pop() {
            roots.addresses[index as usize] = address;
            return Self(index);
        }
        roots.addresses.push(address);
        Self((roots.addresses.len() - 1) as u32)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        note_release();
        let mut roots = ROOTS.lock().unwrap_or_else(PoisonError::into_inner);
        roots.addresses[self.0 as usize] = 0;
        roots.free.push(self.0);
    }
}
