//! What C code finds around it that Python may change while a worker runs: the working directory and the environment.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The working directory and the environment of a process.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Device and inode.
    directory: Option<(u64, u64)>,
    /// `NAME=value`, as in `environ`.
    environment: Vec<CString>,
    /// Where these strings are in this process.
    addresses: Vec<usize>,
}

/// Where pytest names each phase of each test. glibc keeps every string that was ever in an environment, and a worker
/// would have more blocks to look at in each leak check, test by test.
const OF_PYTEST: &[u8] = b"PYTEST_CURRENT_TEST";

/// What is to be done to one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Another working directory.
    Directory {
        /// The process that is in it.
        of: u32,
        /// Its path; empty where it has none any more.
        path: Vec<u8>,
    },
    /// Another value of a variable of the environment.
    Set {
        /// Its name.
        name: Vec<u8>,
        /// The value.
        value: Vec<u8>,
    },
    /// A variable is gone.
    Unset(Vec<u8>),
}

impl Surroundings {
    /// Those of this process. Python changes its own with the GIL.
    pub fn of_this_process() -> Self {
        // SAFETY: libc's strings.
        let variable = |variable: *const c_char| unsafe { CStr::from_ptr(variable) }.to_owned();
        Self {
            directory: directory(),
            environment: environment().map(variable).collect(),
            addresses: environment().map(<*const c_char>::addr).collect(),
        }
    }

    /// Those of this process, if they are others than these. A string of glibc's environment stays what it is.
    pub fn changed(&self) -> Option<Self> {
        let same = environment().map(<*const c_char>::addr).eq(self.addresses.iter().copied())
            && directory() == self.directory;
        (!same).then(Self::of_this_process)
    }

    /// The same in another working directory.
    pub fn in_directory(self, directory: Option<(u64, u64)>) -> Self {
        Self { directory, ..self }
    }

    /// What makes of these those that this process has now.
    pub fn changes(&self, others: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        if others.directory.is_some() && self.directory != others.directory {
            let path = std::env::current_dir().unwrap_or_default().into_os_string().into_vec();
            changes.push(Change::Directory { of: std::process::id(), path });
        }
        let (before, after) = (self.variables(), others.variables());
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        changes.extend(gone.map(|name| Change::Unset(name.to_vec())));
        let new = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
        changes.extend(new.map(|(name, value)| Change::Set { name: name.to_vec(), value: value.to_vec() }));
        changes
    }

    /// As `getenv` has them: the first of a name counts.
    fn variables(&self) -> BTreeMap<&[u8], &[u8]> {
        let mut variables = BTreeMap::new();
        for variable in self.environment.iter().map(|variable| variable.as_bytes()) {
            if let Some(equals) = variable.iter().position(|byte| *byte == b'=').filter(|equals| *equals > 0)
            {
                variables.entry(&variable[..equals]).or_insert(&variable[equals + 1..]);
            }
        }
        variables.remove(OF_PYTEST);
        variables
    }
}

impl Change {
    /// Does so in this process; says why, where that is not possible.
    pub fn make(self) -> Result<(), String> {
        let refused = |what: String| format!("{what}: {}", io::Error::last_os_error());
        let string = |bytes: Vec<u8>| CString::new(bytes).map_err(|error| error.to_string());
        match self {
            Self::Directory { of, path } => {
                let path = PathBuf::from(std::ffi::OsString::from_vec(path));
                // Its path may lead elsewhere, or nowhere, by now.
                let entered = std::env::set_current_dir(format!("/proc/{of}/cwd"));
                entered.or_else(|_| std::env::set_current_dir(&path)).map_err(|error| {
                    format!("the worker cannot enter the directory '{}': {error}", path.display())
                })
            }
            Self::Set { name, value } => {
                let (name, value) = (string(name)?, string(value)?);
                // SAFETY: both are strings. Threads of C's that read the environment now are not safe from Python's
                // own `os.environ` either.
                match unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) } {
                    0 => Ok(()),
                    _ => Err(refused(format!("the worker cannot set {name:?} in its environment"))),
                }
            }
            Self::Unset(name) => {
                let name = string(name)?;
                // SAFETY: likewise.
                match unsafe { libc::unsetenv(name.as_ptr()) } {
                    0 => Ok(()),
                    _ => Err(refused(format!("the worker cannot take {name:?} out of its environment"))),
                }
            }
        }
    }
}

/// Device and inode of the working directory.
pub fn directory() -> Option<(u64, u64)> {
    rustix::fs::stat(c".").ok().map(|found| (found.st_dev, found.st_ino))
}

/// The variables of this process.
fn environment() -> impl Iterator<Item = *const c_char> {
    unsafe extern "C" {
        static mut environ: *const *const c_char;
    }
    // SAFETY: libc's list of strings, if it is there at all, ends with a null pointer.
    let at = |index: usize| unsafe { (!environ.is_null()).then(|| *environ.add(index)) };
    (0..).map_while(at).take_while(|variable| !variable.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(directory: Option<(u64, u64)>, environment: &[&str]) -> Surroundings {
        let environment = environment.iter().map(|text| CString::new(*text).unwrap()).collect();
        Surroundings { directory, environment, addresses: Vec::new() }
    }

    fn set(name: &str, value: &str) -> Change {
        Change::Set { name: name.into(), value: value.into() }
    }

    #[test]
    fn only_what_differs_is_changed() {
        let before = surroundings(Some((1, 2)), &["HOME=/home/x", "A=1", "B=", "A=2", "=odd", "odd"]);
        assert_eq!(before.changes(&before), []);
        let after = surroundings(
            Some((1, 3)),
            &["C=x=y", "B=2", "HOME=/home/x", "PYTEST_CURRENT_TEST=t.py::test (call)"],
        );
        let path = std::env::current_dir().unwrap().into_os_string().into_vec();
        let directory = Change::Directory { of: std::process::id(), path };
        let expected = [directory.clone(), Change::Unset(b"A".to_vec()), set("B", "2"), set("C", "x=y")];
        assert_eq!(before.changes(&after), expected);
        let unknown = Surroundings { directory: None, ..before.clone() };
        assert_eq!(before.changes(&unknown), []);
        assert_eq!(unknown.changes(&before), [directory]);
    }

    #[test]
    fn this_process_is_seen_as_it_is() {
        let now = Surroundings::of_this_process();
        assert!(now.changed().is_none());
        let path = std::env::var("PATH").unwrap();
        assert_eq!(now.variables().get(b"PATH".as_slice()), Some(&path.as_bytes()));
        let changed = Surroundings::default().changed().unwrap();
        assert_eq!(changed.environment, now.environment);
        assert!(Surroundings { directory: None, ..now }.changed().is_some());
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let gone = Change::Directory { of: 0, path: b"/no/such".to_vec() };
        let why = "the worker cannot enter the directory '/no/such': No such file or directory (os error 2)";
        assert_eq!(gone.make().unwrap_err(), why);
        let why = set("", "x").make().unwrap_err();
        assert_eq!(why, "the worker cannot set \"\" in its environment: Invalid argument (os error 22)");
    }
}
