//! What Python does not let a program say of signals.

use pyo3::prelude::*;

/// Gives a signal that is handled its default action again as soon as it comes.
#[pyfunction]
pub fn handle_once(number: i32) {
    // SAFETY: reads the signal's action, and sets the same again but for a flag.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(number, std::ptr::null(), &mut action) == 0 {
            action.sa_flags |= libc::SA_RESETHAND;
            libc::sigaction(number, &action, std::ptr::null_mut());
        }
    }
}
