//! The suppressions that pythy ships and loads into the Valgrind it runs under.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd};

/// What is never a finding; each entry has its reason in `valgrind-supp/`.
const SHIPPED: &str = include_str!("../../valgrind-supp/interpreter.supp");

/// Where an entry names an object that only this process knows.
const OBJECT: &str = "@OBJECT@";

/// The entries for the objects of this process: Valgrind's `*` would match directories too, and
/// a library in `python3.11/site-packages` is not the interpreter.
fn entries(own_object: Option<&str>) -> String {
    let exe = std::fs::read_link("/proc/self/exe").ok().map(|path| path.display().to_string());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let libpython = maps.lines().filter_map(|line| line.split_once('/')).map(|(_, path)| format!("/{path}"));
    let libpython = libpython
        .into_iter()
        .find(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with("libpython")));
    let objects = [exe, libpython, own_object.map(str::to_owned)];
    objects.iter().flatten().map(|object| SHIPPED.replace(OBJECT, object)).collect()
}

/// The shipped suppressions as a file without a name, and the path by which this process (and so
/// its Valgrind) opens it while the file is held.
pub fn shipped(own_object: Option<&str>) -> io::Result<(File, String)> {
    // SAFETY: a literal name; the descriptor is new and owned by the file from here on.
    let mut file = unsafe {
        let descriptor = libc::memfd_create(c"pythy-suppressions".as_ptr(), libc::MFD_CLOEXEC);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        File::from_raw_fd(descriptor)
    };
    file.write_all(entries(own_object).as_bytes())?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok((file, path))
}
