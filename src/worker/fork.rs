//! A copy of the worker that C code forks off.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process is one.
static FORKED: AtomicBool = AtomicBool::new(false);

/// Has each copy know from now on that it is one.
pub fn watch() {
    extern "C" fn forked() {
        FORKED.store(true, Ordering::Relaxed);
    }
    // SAFETY: the function is there as long as the process.
    unsafe { libc::pthread_atfork(None, None, Some(forked)) };
}

/// Whether this process is a copy.
pub fn is_copy() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Ends a copy, where it would come back to Python.
pub fn leave_if_any(what: &str) {
    if is_copy() {
        eprintln!(
            "pythy-worker: {what} in a process that C code has forked off; Python is not there, it ends"
        );
        // SAFETY: ends the process without running what is its parent's to run.
        unsafe { libc::_exit(1) }
    }
}
