//! SIGTERM, as a worker takes it.

use std::ffi::{c_int, c_void};

use super::fork;

/// Leaves a SIGTERM that comes from outside to the parent, who gets it too where a process group does, and has the worker
/// end when it has said all. C code that sends one to itself is ended by it, and so are copies that it forks off.
pub fn leave_to_parent() {
    // SAFETY: sets a handler that makes only calls that a handler may make.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handle as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        libc::sigaction(libc::SIGTERM, &action, std::ptr::null_mut());
    }
}

extern "C" fn handle(number: c_int, information: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel says who has sent it; the rest ends this process when the handler is over.
    unsafe {
        let by_a_program = (*information).si_code == libc::SI_USER;
        if !by_a_program || (*information).si_pid() == libc::getpid() || fork::is_copy() {
            libc::signal(number, libc::SIG_DFL);
            libc::raise(number);
        }
    }
}
