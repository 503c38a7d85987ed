//! Addresses that no word of Python's memory looks like.

use std::ffi::c_void;
use std::hint::black_box;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::process::{Resource, getrlimit};

use super::option;

/// Where Valgrind is to put what is allocated from now on.
///
/// Memcheck takes each defined word for a pointer that leads into a block, and Valgrind's blocks lie low, at 27 bits,
/// where small numbers, hashes and bytecode lie too: in a Python with pytest, 125 words of 70 MB look like an address in
/// any 64 MB there. In 512 MB from this address on it is 0 to 3 (CPython 3.10 to 3.13; `ARCHITECTURE.md`, leak checks).
const START: usize = 0x3_8000_0000;

/// Of larger ranges Valgrind warns.
const LARGEST_MAP: usize = 255 << 20;
const SMALLEST_MAP: usize = 64 << 10;

/// What Valgrind has for blocks already is used up in blocks of these sizes, the largest first.
const LARGEST_BLOCK: usize = 2 << 20;
const SMALLEST_BLOCK: usize = 16;
/// Of a size there is none left when so many lie above: Valgrind takes turns between what fits.
const IN_A_ROW: usize = 8;
/// More gaps would take seconds.
const BLOCKS: usize = 200_000;

/// What is reserved: addresses and sizes.
static RESERVED: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());
static RELEASED: AtomicBool = AtomicBool::new(false);

/// What was left free below, allocated. It stays so if it is dropped.
#[derive(Debug)]
pub struct Below(Vec<*mut c_void>);

/// Has Valgrind allocate at addresses that are not pointed to by chance: below, nothing is left free. Otherwise says
/// why it does not.
pub fn move_up() -> Result<Below, &'static str> {
    if getrlimit(Resource::As).current.is_some() {
        // Valgrind itself would die of it.
        return Err(LIMITED);
    }
    if option("--track-origins").as_deref() == Some("yes") {
        return Err("reserving the addresses below takes Valgrind seconds with --track-origins=yes");
    }
    if !reserve_below() {
        return Err(LIMITED);
    }
    let below = fill_below();
    if below.0.len() >= BLOCKS {
        below.free();
        give_back();
        return Err("Python's memory is in too many pieces");
    }
    Ok(below)
}

const LIMITED: &str = "the address space is limited (ulimit -v)";

/// Gives the addresses back, as the address space is about to be limited. Later blocks may lie anywhere.
pub fn release() {
    if give_back() {
        RELEASED.store(true, Ordering::Relaxed);
    }
}

/// Tells whether anything was reserved.
fn give_back() -> bool {
    let reserved = std::mem::take(&mut *RESERVED.lock().unwrap_or_else(PoisonError::into_inner));
    for (address, size) in &reserved {
        // SAFETY: mapped by `reserve_below`, and given to nobody. What cannot be unmapped stays reserved.
        let _ = unsafe { munmap(*address as *mut c_void, *size) };
    }
    !reserved.is_empty()
}

/// Why blocks may lie anywhere since [`move_up`].
pub fn released() -> Option<&'static str> {
    RELEASED.load(Ordering::Relaxed).then_some(LIMITED)
}

impl Below {
    /// Frees it, where freed blocks are kept for long.
    pub fn free(self) {
        for block in self.0 {
            // SAFETY: of malloc, and nobody else knows it.
            unsafe { libc::free(block) };
        }
    }
}

/// Valgrind maps at the lowest address that is free, so everything below is mapped without any access, which takes
/// no memory and is not searched. Tells whether it is.
fn reserve_below() -> bool {
    let mut size = LARGEST_MAP;
    while size >= SMALLEST_MAP {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: new memory, which nobody else knows.
        let Ok(map) = (unsafe { mmap_anonymous(null_mut(), size, ProtFlags::empty(), flags) }) else {
            give_back();
            return false;
        };
        if map as usize + size <= START {
            RESERVED.lock().unwrap_or_else(PoisonError::into_inner).push((map as usize, size));
        } else {
            // SAFETY: mapped above, and given to nobody.
            let _ = unsafe { munmap(map, size) };
            size /= 2;
        }
    }
    true
}

/// Allocates what Valgrind has mapped for blocks before.
fn fill_below() -> Below {
    let mut blocks = Vec::new();
    let mut size = LARGEST_BLOCK;
    while size >= SMALLEST_BLOCK && blocks.len() < BLOCKS {
        let mut above = 0;
        while above < IN_A_ROW && blocks.len() < BLOCKS {
            // SAFETY: nothing is read from it or written to it.
            let block = black_box(unsafe { libc::malloc(size) });
            let is_below = !block.is_null() && (block as usize) < START;
            above = if is_below { 0 } else { above + 1 };
            blocks.push(block);
        }
        size /= 2;
    }
    Below(blocks)
}
