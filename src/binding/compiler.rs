use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// The local C compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compiler {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Compiler {
    /// The one that `CC` names, else the first of cc, gcc and clang on `PATH`; or why there is none, as
    /// the end of a sentence.
    pub(super) fn find() -> Result<Self, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::find_on(&path, std::env::var("CC").ok().as_deref())
    }

    fn find_on(path: &OsStr, chosen: Option<&str>) -> Result<Self, String> {
        let mut words = chosen.unwrap_or_default().split_whitespace().map(str::to_owned);
        match words.next() {
            Some(name) => {
                let program = executable(path, &name);
                let program = program
                    .ok_or_else(|| format!("the C compiler '{name}', which CC names, was not found"))?;
                Ok(Self { program, arguments: words.collect() })
            }
            None => {
                let program = ["cc", "gcc", "clang"].iter().find_map(|name| executable(path, name));
                let program = program.ok_or("no C compiler (cc, gcc, clang) was found to compile it")?;
                Ok(Self { program, arguments: Vec::new() })
            }
        }
    }

    /// The program, links followed: with its times it tells one version from another.
    pub(super) fn program(&self) -> PathBuf {
        self.program.canonicalize().unwrap_or_else(|_| self.program.clone())
    }

    /// What `CC` has beside the program.
    pub(super) fn own_arguments(&self) -> &[String] {
        &self.arguments
    }

    /// The program as it was found.
    pub(super) fn name(&self) -> std::path::Display<'_> {
        self.program.display()
    }

    /// Compiles the C text in `source`, until `end` at the latest; or its first error.
    pub(super) fn run(&self, arguments: &[String], source: File, end: Instant) -> Result<(), String> {
        // The pipe's end tells that all is over, and unlike that of a process it can be waited for with a limit.
        let failed = |error: std::io::Error| format!("it cannot be run ({error})");
        let (said, to_say) = UnixStream::pair().map_err(failed)?;
        let to_say = Stdio::from(OwnedFd::from(to_say));
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(arguments).env("LC_ALL", "C");
        command.stdin(source).stdout(Stdio::null()).stderr(to_say).process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        // It holds the other end of the pipe.
        drop(command);
        let said = read_until(said, end);
        if said.is_none() {
            kill(&child);
        }
        let status = child.wait().map_err(failed)?;
        let said = said.ok_or("it takes too long")?;
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        Err(first_error(&said).map_or_else(|| format!("it ended with {status}"), str::to_owned))
    }
}

/// Everything that is said; `None` where it goes on at `end`.
fn read_until(mut stream: UnixStream, end: Instant) -> Option<Vec<u8>> {
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        stream.set_read_timeout(Some(left)).ok()?;
        match stream.read(&mut part) {
            Ok(0) => return Some(all),
            Ok(length) => all.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(_) => return Some(all),
        }
    }
}

/// Ends the compiler and the programs that it has started.
fn kill(child: &Child) {
    let Ok(group) = libc::pid_t::try_from(child.id()) else { return };
    // SAFETY: the child leads a process group of its own and has not been waited for, so the number is its.
    unsafe { libc::kill(-group, libc::SIGKILL) };
}

/// The first line with an error, of the compiler or of the linker; else the first one.
fn first_error(said: &str) -> Option<&str> {
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    let marks = ["error: ", "undefined reference to "];
    let error = lines().find(|line| marks.iter().any(|mark| line.contains(mark)));
    error.or_else(|| lines().next())
}

/// The program of that name, or at that path.
fn executable(path: &OsStr, name: &str) -> Option<PathBuf> {
    let can_run = |file: &Path| {
        file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|file| can_run(file));
    }
    let directories = std::env::split_paths(path).filter(|directory| directory.is_absolute());
    directories.map(|directory| directory.join(name)).find(|file| can_run(file))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_compiler_is_the_one_that_cc_names_with_its_arguments() {
        let found = Compiler::find_on("/nowhere:/bin".as_ref(), Some("sh -m64  -O0")).unwrap();
        assert_eq!((found.program, found.arguments), ("/bin/sh".into(), vec!["-m64".into(), "-O0".into()]));
        let found = Compiler::find_on("/nowhere".as_ref(), Some("/bin/sh")).unwrap();
        assert_eq!(found.program, Path::new("/bin/sh"));
    }

    #[test]
    fn where_there_is_none_the_reason_says_what_was_looked_for() {
        let none = Compiler::find_on("/nowhere".as_ref(), Some(" "));
        assert_eq!(none, Err("no C compiler (cc, gcc, clang) was found to compile it".to_owned()));
        let none = Compiler::find_on("/bin".as_ref(), Some("pythy-cc -c"));
        assert_eq!(none, Err("the C compiler 'pythy-cc', which CC names, was not found".to_owned()));
    }

    #[test]
    fn the_first_error_is_the_compilers_or_the_linkers() {
        let said = "a.h: In function 'f':\na.h:3:5: error: 'x' undeclared\na.h:4:5: error: more\n";
        assert_eq!(first_error(said), Some("a.h:3:5: error: 'x' undeclared"));
        assert_eq!(first_error("\n killed \nlate\n"), Some("killed"));
        assert_eq!(first_error(""), None);
    }

    #[test]
    fn a_compiler_that_does_not_end_is_ended() {
        let (said, _held) = UnixStream::pair().unwrap();
        let end = Instant::now() + Duration::from_millis(20);
        assert_eq!(read_until(said, end), None);
        assert!(Instant::now() >= end);
        let mut command = Command::new("/bin/sh");
        let mut child = command.args(["-c", "sleep 1000 & wait"]).process_group(0).spawn().unwrap();
        kill(&child);
        assert!(!child.wait().unwrap().success());
    }
}
