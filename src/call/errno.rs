//! `errno` as foreign calls left it. Each thread has a copy of its own, which calls start with and
//! leave behind: so neither Python's work in between nor another thread touches it.

use std::ffi::c_int;

use crate::thread::local;

/// `errno` and this thread's copy, around one call.
#[must_use = "what the call leaves in errno must be kept"]
pub struct Errno {
    live: *mut c_int,
    copy: *mut c_int,
}

impl Errno {
    /// Gives `errno` the value that the last call left.
    #[inline(always)]
    pub fn restore() -> Self {
        let errno = Self { live: imp::live(), copy: copy() };
        // SAFETY: both are this thread's own variables.
        unsafe { *errno.live = *errno.copy };
        errno
    }

    /// Keeps what the call left. On the thread that made the call.
    #[inline(always)]
    pub fn keep(self) {
        // SAFETY: as above.
        unsafe { *self.copy = *self.live };
    }
}

/// Keeps what C code left in `errno` before it called back.
pub fn keep() {
    // SAFETY: both are this thread's own variables.
    unsafe { *copy() = *imp::live() };
}

/// What the last foreign call of this thread left.
pub fn get() -> c_int {
    local(|local| local.errno.get())
}

/// What the next foreign call of this thread finds.
pub fn set(value: c_int) {
    local(|local| local.errno.set(value));
}

#[inline(always)]
fn copy() -> *mut c_int {
    local(|local| local.errno.as_ptr())
}

/// glibc's `errno` has the same distance from every thread's pointer, so it can be found without a function call.
#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
mod imp {
    use std::ffi::c_int;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::thread::thread_pointer;

    /// The distance of `errno` from the thread pointer; 0 as long as it is not known.
    static DISTANCE: AtomicUsize = AtomicUsize::new(0);

    #[inline(always)]
    pub fn live() -> *mut c_int {
        match DISTANCE.load(Ordering::Relaxed) {
            0 => measured(),
            distance => thread_pointer().wrapping_add(distance) as *mut c_int,
        }
    }

    #[cold]
    fn measured() -> *mut c_int {
        // SAFETY: gives the address of this thread's errno.
        let live = unsafe { libc::__errno_location() };
        DISTANCE.store((live as usize).wrapping_sub(thread_pointer()), Ordering::Relaxed);
        live
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
mod imp {
    use std::ffi::c_int;

    pub fn live() -> *mut c_int {
        // SAFETY: gives the address of this thread's errno.
        unsafe { libc::__errno_location() }
    }
}
