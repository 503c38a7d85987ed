//! Addresses that no word of Python's memory looks like.

use std::ffi::c_void;
use std::hint::black_box;
use std::ptr::null_mut;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::process::{Resource, getrlimit};

/// Where Valgrind is to put what is allocated from now on.
///
/// Memcheck takes each defined word for a pointer that leads into a block, and Valgrind's blocks lie low, at 27 bits,
/// where small numbers, hashes and bytecode lie too: in a Python with pytest, 125 words of 70 MB look like an address in
/// any 64 MB there. In 512 MB from this address on it is 0 to 3 (CPython 3.10 to 3.13; `ARCHITECTURE.md`, leak checks).
const START: usize = 0x3_8000_0000;

/// Of larger ranges Valgrind warns.
const LARGEST_MAP: usize = 255 << 20;
const SMALLEST_MAP: usize = 64 << 10;

/// No more than this is left free of what Valgrind has for blocks already.
const LARGEST_BLOCK: usize = 2 << 20;
const SMALLEST_BLOCK: usize = 16;
/// Where many small blocks were freed, the rest of the gaps is left.
const BLOCKS: usize = 20_000;

/// Has Valgrind allocate at addresses that are not pointed to by chance: below, nothing is left free. Tells whether it
/// does: Valgrind itself would die of it where the address space is limited.
pub fn move_up() -> bool {
    let limited = getrlimit(Resource::As).current.is_some();
    let moved = !limited && reserve_below();
    if moved {
        fill_below();
    }
    moved
}

/// Valgrind maps at the lowest address that is free, so everything below is mapped without any access, which takes
/// no memory and is not searched.
fn reserve_below() -> bool {
    let mut maps = Vec::new();
    let mut size = LARGEST_MAP;
    while size >= SMALLEST_MAP {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: new memory, which nobody else knows.
        let map = match unsafe { mmap_anonymous(null_mut(), size, ProtFlags::empty(), flags) } {
            Ok(map) => map,
            Err(_) => {
                maps.into_iter().for_each(unmap);
                return false;
            }
        };
        if map as usize + size <= START {
            maps.push((map, size));
        } else {
            unmap((map, size));
            size /= 2;
        }
    }
    true
}

fn unmap((map, size): (*mut c_void, usize)) {
    // SAFETY: mapped by `reserve_below`, and given to nobody. What cannot be unmapped stays reserved.
    let _ = unsafe { munmap(map, size) };
}

/// What Valgrind has mapped for blocks before is allocated and freed: freed blocks are kept.
fn fill_below() {
    let mut blocks = Vec::new();
    let mut size = LARGEST_BLOCK;
    while size >= SMALLEST_BLOCK && blocks.len() < BLOCKS {
        // SAFETY: a block that is freed below, and that nothing is read from.
        let block = black_box(unsafe { libc::malloc(size) });
        if block.is_null() || block as usize >= START {
            size /= 2;
        }
        blocks.push(block);
    }
    for block in blocks {
        // SAFETY: of malloc, or null.
        unsafe { libc::free(block) };
    }
}
