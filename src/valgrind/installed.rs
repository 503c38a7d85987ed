//! The Valgrind that is installed.

use std::env;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Version;
use crate::{Error, Result};

/// An installed Valgrind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Valgrind {
    /// The program to run.
    pub path: PathBuf,
    /// What it says its version is.
    pub version: Version,
}

/// The first `valgrind` on `PATH`.
///
/// # Errors
///
/// [`Error::ValgrindMissing`] if there is none; [`Error::ValgrindUnusable`] if it does not run, or
/// does not say its version.
pub fn find() -> Result<Valgrind> {
    find_on(&env::var_os("PATH").unwrap_or_default())
}

fn find_on(search_path: &OsStr) -> Result<Valgrind> {
    let path = env::split_paths(search_path)
        .map(|directory| directory.join("valgrind"))
        .find(|path| is_executable(path))
        .ok_or(Error::ValgrindMissing)?;
    let version =
        version(&path).map_err(|message| Error::ValgrindUnusable { path: path.clone(), message })?;
    Ok(Valgrind { path, version })
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn version(path: &Path) -> std::result::Result<Version, String> {
    let (reader, writer) = std::io::pipe().map_err(|error| error.to_string())?;
    let mut command = Command::new(path);
    command.arg("--version").env_remove("VALGRIND_OPTS").stdin(Stdio::null());
    let mut asked = command
        .stderr(writer.try_clone().map_err(|error| error.to_string())?)
        .stdout(writer)
        .spawn()
        .map_err(|error| error.to_string())?;
    // It has the ends that are written to.
    drop(command);
    let mut said = Vec::new();
    (&reader).read_to_end(&mut said).map_err(|error| error.to_string())?;
    // In a program that ignores SIGCHLD nobody can tell.
    let status = asked.wait().map_or_else(|_| "no exit status".to_owned(), |status| status.to_string());
    let said = String::from_utf8_lossy(&said);
    // The loader may have something to say first, of LD_PRELOAD for one.
    said.lines().find_map(Version::parse).ok_or_else(|| {
        let first = said.lines().find(|line| !line.trim().is_empty());
        format!("'--version' gave {status}: '{}'", first.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A directory of its own for one test, with a `valgrind` of these contents and mode.
    fn directory_with(name: &str, script: &str, mode: u32) -> PathBuf {
        let directory = env::temp_dir().join(format!("pythy-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("valgrind");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        directory
    }

    fn found(directories: &[&Path]) -> std::result::Result<Version, String> {
        let path = env::join_paths(directories).unwrap();
        find_on(&path).map(|valgrind| valgrind.version).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_that_can_be_executed_counts() {
        let plain = directory_with("plain-file", "#!/bin/sh\necho valgrind-3.1.0\n", 0o644);
        let good = directory_with("good", "#!/bin/sh\necho valgrind-3.25.1\n", 0o755);
        let other = directory_with("other", "#!/bin/sh\necho valgrind-3.2.0\n", 0o755);
        assert_eq!(found(&[&plain, &good, &other]), Ok(Version { major: 3, minor: 25, patch: 1 }));
        for directory in [plain, good, other] {
            fs::remove_dir_all(directory).unwrap();
        }
    }

    #[test]
    fn what_others_say_is_no_version() {
        let script = "#!/bin/sh\necho ERROR: ld.so: ignored >&2\necho valgrind-3.25.1\n";
        let talks = directory_with("talks", script, 0o755);
        assert_eq!(found(&[&talks]), Ok(Version { major: 3, minor: 25, patch: 1 }));
        fs::remove_dir_all(talks).unwrap();
    }

    #[test]
    fn a_valgrind_that_does_not_run_is_said_to_be_unusable() {
        let bad = directory_with("bad", "#!/bin/sh\necho no tool >&2\nexit 1\n", 0o755);
        assert_eq!(
            found(&[&bad]),
            Err(format!(
                "'{}' cannot be used: '--version' gave exit status: 1: 'no tool'; \
                 install Valgrind anew, or put a working one first on PATH",
                bad.join("valgrind").display()
            ))
        );
        fs::remove_dir_all(bad).unwrap();
    }

    #[test]
    fn none_is_missing() {
        let message = "valgrind is not on PATH; install it (Debian, Ubuntu: 'apt-get install valgrind')";
        assert_eq!(found(&[Path::new("/nonexistent")]), Err(message.to_owned()));
        assert_eq!(found(&[]), Err(message.to_owned()));
    }
}
