//! The worker ends when its parent ends, whatever it is doing.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Lets the kernel kill this process as soon as nobody holds the other end of the pipe.
///
/// Not `PR_SET_PDEATHSIG`: that is the end of the thread that started the process.
pub fn hang_on(pipe: OwnedFd) -> io::Result<()> {
    let descriptor = pipe.as_raw_fd();
    let set = |command: libc::c_int, value: libc::c_int| {
        // SAFETY: sets properties of a descriptor that this process owns.
        match unsafe { libc::fcntl(descriptor, command, value) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    set(F_SETSIG, libc::SIGKILL)?;
    set(libc::F_SETOWN, std::process::id() as libc::c_int)?;
    set(libc::F_SETFL, libc::O_ASYNC)?;
    // The parent may have ended before.
    let mut pipe_end = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
    if poll(&mut pipe_end, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0 {
        return Err(io::Error::other("the parent is gone"));
    }
    // Open as long as the process.
    std::mem::forget(pipe);
    Ok(())
}

/// `F_SETSIG` of fcntl.h, which the libc crate does not have.
const F_SETSIG: libc::c_int = 10;
