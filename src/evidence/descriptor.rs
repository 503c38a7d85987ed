//! The descriptors that Valgrind keeps for itself in a process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::line;

/// How many descriptors from the limit on may be Valgrind's; it has reserved 12 of them so far.
const RESERVED: u64 = 64;

/// How much of a file is searched for what tells that it is Valgrind's.
const SEARCHED: u64 = 16 << 20;

/// A descriptor that Valgrind writes to, or may write to.
#[derive(Debug)]
pub(super) struct Descriptor {
    number: u64,
    /// Where `/proc` says that it leads: a path, `pipe:[123]`, `/memfd:name (deleted)`.
    pub(super) target: String,
    pub(super) nature: Nature,
}

/// What a descriptor leads to.
#[derive(Debug)]
pub(super) enum Nature {
    /// A file that can be read back, and what is in it.
    File(Contents),
    /// A file that cannot be read back.
    Forbidden(io::Error),
    /// What has no contents to read back, in words.
    Stream(String),
}

/// What a file's contents tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    Empty,
    /// Valgrind's XML, about the process of that number.
    Xml(u32),
    /// Lines of Valgrind's about the process in question.
    Text,
    Unknown,
}

/// Valgrind's own descriptors in this process that it can write to. Valgrind moves them out of the
/// program's reach: to the program's limit of descriptors, and above.
pub(super) fn valgrinds(pid: u32) -> io::Result<Vec<Descriptor>> {
    let limit = descriptor_limit()?;
    // One by one: Valgrind 3.27 leaves its own out of the directory of all, and 3.24 does not.
    let numbers: Vec<u64> = (limit..limit.saturating_add(RESERVED)).collect();
    let targets: Vec<Option<String>> = numbers.iter().map(|&number| target(number)).collect();
    let is_pipe_to_itself = |target: &str| {
        target.starts_with("pipe:")
            && targets.iter().filter(|other| other.as_deref() == Some(target)).count() > 1
    };
    Ok(numbers
        .iter()
        .zip(&targets)
        .filter_map(|(&number, target)| {
            let target = target.as_deref()?;
            // Valgrind's scheduler talks to itself through a pipe, and to vgdb through two more.
            let internal = is_pipe_to_itself(target) || target.contains("/vgdb-pipe-");
            let mode = access_mode(number)?;
            if internal || mode == libc::O_RDONLY {
                return None;
            }
            let descriptor = descriptor(number, target, pid)?;
            let scratch = mode == libc::O_RDWR
                && target.ends_with(" (deleted)")
                && !target.starts_with("/memfd:")
                && matches!(descriptor.nature, Nature::File(Contents::Unknown));
            (!scratch).then_some(descriptor)
        })
        .collect())
}

/// This process's standard error.
pub(super) fn standard_error(pid: u32) -> Option<Descriptor> {
    descriptor(2, &target(2)?, pid)
}

impl Descriptor {
    /// Where it can be opened once more.
    pub(super) fn path(&self) -> PathBuf {
        path(self.number)
    }

    /// What the contents tell, if there are any.
    pub(super) fn contents(&self) -> Option<Contents> {
        match self.nature {
            Nature::File(contents) => Some(contents),
            Nature::Forbidden(_) | Nature::Stream(_) => None,
        }
    }
}

/// Opens a regular file to read it, and nothing else: opening a FIFO would wait for its writer.
pub(super) fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)
}

fn path(number: u64) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{number}"))
}

fn target(number: u64) -> Option<String> {
    Some(fs::read_link(path(number)).ok()?.to_string_lossy().into_owned())
}

fn descriptor(number: u64, target: &str, pid: u32) -> Option<Descriptor> {
    let path = path(number);
    let file_type = fs::metadata(&path).ok()?.file_type();
    let nature = if file_type.is_file() {
        match contents(&path, pid) {
            Ok(contents) => Nature::File(contents),
            Err(error) => Nature::Forbidden(error),
        }
    } else if file_type.is_fifo() {
        Nature::Stream("a pipe".to_owned())
    } else if file_type.is_socket() {
        Nature::Stream("a socket".to_owned())
    } else if target.starts_with("/dev/pts/") || target.starts_with("/dev/tty") || target == "/dev/console" {
        Nature::Stream("the terminal".to_owned())
    } else {
        Nature::Stream(target.to_owned())
    };
    Some(Descriptor { number, target: target.to_owned(), nature })
}

fn contents(path: &Path, pid: u32) -> io::Result<Contents> {
    let mut bytes = Vec::new();
    open(path)?.take(SEARCHED).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(if text.is_empty() {
        Contents::Empty
    } else if let Some(xml) = xml_pid(&text, pid) {
        Contents::Xml(xml)
    } else if text.lines().any(|line| line::content(line, pid).is_some()) {
        Contents::Text
    } else {
        Contents::Unknown
    })
}

/// The process that a Valgrind XML is about; if several have written it, `wanted` where it is one.
fn xml_pid(text: &str, wanted: u32) -> Option<u32> {
    let (_, xml) = text.split_once("<valgrindoutput>")?;
    let (_, xml) = xml.split_once("<protocolversion>")?;
    let pids =
        || xml.split("<pid>").skip(1).filter_map(|rest| rest.split_once("</pid>")?.0.trim().parse().ok());
    pids().find(|&pid| pid == wanted).or_else(|| pids().next())
}

/// `O_RDONLY`, `O_WRONLY` or `O_RDWR`.
fn access_mode(number: u64) -> Option<i32> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    Some(i32::from_str_radix(flags.trim(), 8).ok()? & libc::O_ACCMODE)
}

/// The soft limit of the program's descriptors.
fn descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit only writes the structure it is given, which lives throughout the call.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } {
        0 => Ok(limit.rlim_cur),
        _ => Err(io::Error::last_os_error()),
    }
}
