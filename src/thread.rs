//! What each thread has of its own and every call touches.

use std::cell::Cell;
use std::ffi::c_int;

/// One thread's variables. They are together because each variable's address costs something.
#[derive(Debug)]
#[repr(C)]
pub struct Local {
    /// `errno` as this thread's calls left it.
    pub errno: Cell<c_int>,
    /// How many calls run on this thread, one in the other.
    pub depth: Cell<u32>,
    /// The number of the innermost, where one runs.
    pub call: Cell<u64>,
    /// Errors of the calls nested in the innermost; 0 where none runs.
    pub nested_errors: Cell<u64>,
    /// Errors of the innermost's own whose records were read before it was over.
    pub read_early: Cell<u64>,
    /// Whether this thread has made calls.
    pub has_called: Cell<bool>,
}

pub use imp::local;

/// Finding a thread's variables is a function call in a library that is loaded late, which is too much where
/// calls take 10 ns: but not for a variable of the initial-exec model.
#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
mod imp {
    use std::arch::{asm, global_asm};

    use super::Local;

    global_asm!(
        ".pushsection .tbss.pythy_local,\"awT\",@nobits",
        ".p2align 3",
        ".globl pythy_local",
        ".hidden pythy_local",
        ".type pythy_local,@object",
        ".size pythy_local, {size}",
        "pythy_local:",
        ".zero {size}",
        ".popsection",
        size = const size_of::<Local>(),
    );

    /// This thread's control block.
    #[inline(always)]
    pub fn thread_pointer() -> usize {
        let pointer;
        // SAFETY: the first word of a thread's control block is its own address.
        unsafe {
            asm!("mov {}, qword ptr fs:[0]", out(reg) pointer, options(pure, readonly, nostack, preserves_flags))
        };
        pointer
    }

    /// This thread's variables.
    #[inline(always)]
    pub fn local<T>(with: impl FnOnce(&Local) -> T) -> T {
        let distance: usize;
        // SAFETY: reads the distance that the loader has put there for `pythy_local`.
        unsafe {
            asm!("mov {}, qword ptr [rip + pythy_local@GOTTPOFF]", out(reg) distance,
                options(pure, readonly, nostack, preserves_flags));
        }
        // SAFETY: that variable of this thread, which is as long and aligned; zeros are its values, and only this
        // thread comes here.
        with(unsafe { &*(thread_pointer().wrapping_add(distance) as *const Local) })
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
pub use imp::thread_pointer;

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
mod imp {
    use std::cell::Cell;

    use super::Local;

    thread_local! {
        static LOCAL: Local = const {
            Local {
                errno: Cell::new(0),
                depth: Cell::new(0),
                call: Cell::new(0),
                nested_errors: Cell::new(0),
                read_early: Cell::new(0),
                has_called: Cell::new(false),
            }
        };
    }

    /// This thread's variables.
    pub fn local<T>(with: impl FnOnce(&Local) -> T) -> T {
        LOCAL.with(with)
    }
}
