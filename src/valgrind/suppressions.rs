//! The suppressions that pythy ships and loads into the Valgrind it runs under.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd};

/// What is never a finding; each entry has its reason in `valgrind-supp/`.
const SHIPPED: &str = include_str!("../../valgrind-supp/interpreter.supp");

/// The shipped suppressions as a file without a name, and the path by which this process (and so
/// its Valgrind) opens it while the file is held.
pub fn shipped() -> io::Result<(File, String)> {
    // SAFETY: a literal name; the descriptor is new and owned by the file from here on.
    let mut file = unsafe {
        let descriptor = libc::memfd_create(c"pythy-suppressions".as_ptr(), libc::MFD_CLOEXEC);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        File::from_raw_fd(descriptor)
    };
    file.write_all(SHIPPED.as_bytes())?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok((file, path))
}
