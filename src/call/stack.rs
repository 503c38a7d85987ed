//! How much of the thread's stack is left.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::MaybeUninit;

/// The lowest address and the size of a thread's stack.
type Bounds = (usize, usize);

thread_local! {
    /// The outer `None`: not asked yet.
    static BOUNDS: Cell<Option<Option<Bounds>>> = const { Cell::new(None) };
}

/// What Python, and C code between two looks, may need.
const NEEDED: usize = 256 * 1024;

/// Whether so little of this thread's stack is left that nothing should begin that nests. Unknown
/// stacks, such as those of coroutines, are taken to be large enough.
pub fn nearly_used_up() -> bool {
    let local = 0_u8;
    let here = (&raw const local).addr();
    let Some((lowest, size)) = bounds() else { return false };
    (lowest..lowest + size).contains(&here) && here - lowest < NEEDED.min(size / 4)
}

fn bounds() -> Option<Bounds> {
    if let Some(known) = BOUNDS.get() {
        return known;
    }
    let bounds = asked();
    BOUNDS.set(Some(bounds));
    bounds
}

fn asked() -> Option<Bounds> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut lowest, mut size) = (std::ptr::null_mut::<c_void>(), 0);
    // SAFETY: the attributes are of this thread, are filled where that succeeds, and are destroyed once.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let found = libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut lowest, &raw mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        (found == 0 && size > 0).then_some((lowest as usize, size))
    }
}
