//! The suppressions that pythy ships and loads into the Valgrind it runs under.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd};

/// What is never a finding; each entry has its reason in `valgrind-supp/`.
const SHIPPED: &str = include_str!("../../valgrind-supp/interpreter.supp");

/// The object of the first entry. In this process the exact ones are known: an interpreter may have any name.
const INTERPRETER: &str = "*/bin/python3.1?";

/// The first entry for each object of this process that is the interpreter's or our own.
fn entries(own_object: Option<&str>) -> String {
    let exe = std::fs::read_link("/proc/self/exe").ok().map(|path| path.display().to_string());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let libpython = maps.lines().filter_map(|line| line.split_once('/')).map(|(_, path)| format!("/{path}"));
    let libpython = libpython
        .into_iter()
        .find(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with("libpython")));
    let objects = [exe, libpython, own_object.map(str::to_owned)];
    objects.iter().flatten().map(|object| entry(object)).collect()
}

/// The first entry, for this object.
fn entry(object: &str) -> String {
    let entry = SHIPPED.lines().skip_while(|line| *line != "{").take_while(|line| *line != "}");
    let entry = entry.chain(["}"]).map(|line| line.replace(INTERPRETER, object));
    entry.flat_map(|line| [line, "\n".to_owned()]).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_for_one_object() {
        let expected = "{\n   allocated-by-the-interpreter\n   Memcheck:Leak\n   match-leak-kinds: all\n   \
                        fun:*alloc\n   obj:/opt/my python\n}\n";
        assert_eq!(entry("/opt/my python"), expected);
    }

    #[test]
    fn the_entries_of_a_process_name_its_own_files() {
        let entries = entries(Some("/lib/own.so"));
        let exe = std::fs::read_link("/proc/self/exe").unwrap();
        assert!(entries.contains(&format!("\n   obj:{}\n}}\n", exe.display())), "{entries}");
        assert!(entries.ends_with("\n   obj:/lib/own.so\n}\n"), "{entries}");
    }
}
