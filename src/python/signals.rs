//! What Python does not let a program say of signals.

use std::ffi::c_int;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use pyo3::prelude::*;

/// Seconds within which a second signal is the first once more: a process group gets one, and passes it on.
const SAME: i64 = 1;

/// When the signal came first, in seconds of some clock; 0 for never.
static FIRST: AtomicI64 = AtomicI64::new(0);
/// Python's own handler.
static PYTHONS: AtomicUsize = AtomicUsize::new(0);

/// Has a second signal of this number, which Python handles, end the process at once: Python may not come to handle
/// the first.
#[pyfunction]
pub fn end_by_second(number: i32) {
    // SAFETY: reads the signal's action, and sets the same again but for the handler, which only makes calls that a
    // handler may make.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(number, std::ptr::null(), &mut action) == 0
            && action.sa_flags & libc::SA_SIGINFO == 0
        {
            PYTHONS.store(action.sa_sigaction, Ordering::Relaxed);
            action.sa_sigaction = handle as *const () as usize;
            libc::sigaction(number, &action, std::ptr::null_mut());
        }
    }
}

extern "C" fn handle(number: c_int) {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    let now = now.tv_sec.max(1);
    match FIRST.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => {
            // SAFETY: what was the signal's handler, for the same signal; neither of the two other actions is here, as
            // Python handles it.
            let pythons = unsafe {
                std::mem::transmute::<usize, extern "C" fn(c_int)>(PYTHONS.load(Ordering::Relaxed))
            };
            pythons(number);
        }
        Err(first) if now - first > SAME => {
            // SAFETY: ends the process when this handler is over.
            unsafe {
                libc::signal(number, libc::SIG_DFL);
                libc::raise(number);
            }
        }
        Err(_) => {}
    }
}
