//! `errno` as foreign calls left it. Each thread has a copy of its own, which calls start with and
//! leave behind: so neither Python's work in between nor another thread touches it.

use std::ffi::c_int;

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
        let errno = Self { live: imp::live(), copy: imp::copy() };
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
    unsafe { *imp::copy() = *imp::live() };
}

/// What the last foreign call of this thread left.
pub fn get() -> c_int {
    // SAFETY: this thread's own variable.
    unsafe { *imp::copy() }
}

/// What the next foreign call of this thread finds.
pub fn set(value: c_int) {
    // SAFETY: this thread's own variable.
    unsafe { *imp::copy() = value };
}

/// Where calls take 10 ns, two function calls to find two variables are too many. glibc's `errno`
/// has the same distance from every thread's pointer, and so has a variable of the initial-exec model.
#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
mod imp {
    use std::arch::{asm, global_asm};
    use std::ffi::c_int;
    use std::sync::atomic::{AtomicUsize, Ordering};

    global_asm!(
        ".pushsection .tbss.pythy_errno,\"awT\",@nobits",
        ".p2align 2",
        ".globl pythy_errno",
        ".hidden pythy_errno",
        ".type pythy_errno,@object",
        ".size pythy_errno, 4",
        "pythy_errno:",
        ".zero 4",
        ".popsection",
    );

    /// The distance of `errno` from the thread pointer; 0 as long as it is not known.
    static DISTANCE: AtomicUsize = AtomicUsize::new(0);

    #[inline(always)]
    fn thread_pointer() -> usize {
        let pointer;
        // SAFETY: the first word of a thread's control block is its own address.
        unsafe {
            asm!("mov {}, qword ptr fs:[0]", out(reg) pointer, options(pure, readonly, nostack, preserves_flags))
        };
        pointer
    }

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

    #[inline(always)]
    pub fn copy() -> *mut c_int {
        let distance: usize;
        // SAFETY: reads the distance that the loader has put there for `pythy_errno`.
        unsafe {
            asm!("mov {}, qword ptr [rip + pythy_errno@GOTTPOFF]", out(reg) distance,
                options(pure, readonly, nostack, preserves_flags));
        }
        thread_pointer().wrapping_add(distance) as *mut c_int
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
mod imp {
    use std::cell::Cell;
    use std::ffi::c_int;

    thread_local! {
        static COPY: Cell<c_int> = const { Cell::new(0) };
    }

    pub fn live() -> *mut c_int {
        // SAFETY: gives the address of this thread's errno.
        unsafe { libc::__errno_location() }
    }

    pub fn copy() -> *mut c_int {
        COPY.with(Cell::as_ptr)
    }
}
