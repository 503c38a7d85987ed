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

/// Ends a copy, where it would come back to Python.
pub fn leave_if_any(what: &str) {
    if FORKED.load(Ordering::Relaxed) {
        eprintln!(
            "pythy-worker: {what} in a process that C code has forked off; Python is not there, it ends"
        );
        // SAFETY: ends the process without running what is its parent's to run.
        unsafe { libc::_exit(1) }
    }
}
