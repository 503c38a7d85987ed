//! Finding the given headers.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Options, freestanding};
use crate::error::{HeaderError, HeaderResult};

/// Where every given header is, in order.
pub(super) fn find_headers(options: &Options) -> HeaderResult<Vec<PathBuf>> {
    options.headers.iter().map(|header| find(header, &options.include_dirs)).collect()
}

/// The header itself if it exists, else the first of that name in the include directories and the
/// system's.
fn find(header: &Path, include_dirs: &[PathBuf]) -> HeaderResult<PathBuf> {
    if header.is_file() {
        return match is_library(header) {
            true => Err(HeaderError::HeaderIsLibrary(header.to_owned())),
            false => Ok(header.to_owned()),
        };
    }
    let directories = if is_searched_for(header) { search_directories(include_dirs) } else { Vec::new() };
    let found = directories.iter().map(|directory| directory.join(header)).find(|path| path.is_file());
    // The compiler's own headers lie in no directory of the system's.
    let own = || freestanding::path(header).filter(|_| is_searched_for(header));
    found.or_else(own).ok_or_else(|| match header.is_dir() {
        true => HeaderError::HeaderIsDirectory(header.to_owned()),
        false => HeaderError::HeaderNotFound { path: header.to_owned(), searched: directories },
    })
}

/// Whether it is compiled code. Nothing else that is no header is found out so early.
fn is_library(file: &Path) -> bool {
    let mut start = [0; 4];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"\x7fELF"
}

/// `zlib.h` and `curl/curl.h` are searched for, `./zlib.h` and `/opt/zlib.h` are not.
fn is_searched_for(header: &Path) -> bool {
    !header.is_absolute() && !header.starts_with(".") && !header.starts_with("..")
}

/// The directories of a header, and of `#include`, in order.
pub(super) fn search_directories(include_dirs: &[PathBuf]) -> Vec<PathBuf> {
    let system = ["/usr/local/include".into(), multiarch_directory(), "/usr/include".into()];
    include_dirs.iter().cloned().chain(system).collect()
}

/// Debian's directory for headers that differ between machines.
fn multiarch_directory() -> PathBuf {
    Path::new("/usr/include").join(format!("{}-linux-gnu", std::env::consts::ARCH))
}
