//! The headers a compiler brings along (`stddef.h`, `stdarg.h`, …), which the libclang of PyPI lacks.

use std::path::{Path, PathBuf};

use clang::Unsaved;

/// Where libclang finds the headers; no such directory exists on disk.
pub(super) const DIRECTORY: &str = "/pythy-freestanding";

const HEADERS: &[(&str, &str)] = &[
    ("stddef.h", include_str!("freestanding/stddef.h")),
    ("stdarg.h", include_str!("freestanding/stdarg.h")),
    ("stdbool.h", include_str!("freestanding/stdbool.h")),
    ("stdint.h", include_str!("freestanding/stdint.h")),
    ("limits.h", include_str!("freestanding/limits.h")),
    ("float.h", include_str!("freestanding/float.h")),
    ("stdalign.h", include_str!("freestanding/stdalign.h")),
    ("stdnoreturn.h", include_str!("freestanding/stdnoreturn.h")),
    ("iso646.h", include_str!("freestanding/iso646.h")),
    ("stdatomic.h", include_str!("freestanding/stdatomic.h")),
    ("tgmath.h", include_str!("freestanding/tgmath.h")),
];

const X86_VECTORS: &str = include_str!("freestanding/x86-vectors.h");

const X86_NAMES: &[&str] = &[
    "mmintrin.h",
    "xmmintrin.h",
    "emmintrin.h",
    "pmmintrin.h",
    "tmmintrin.h",
    "smmintrin.h",
    "nmmintrin.h",
    "wmmintrin.h",
    "ammintrin.h",
    "immintrin.h",
    "x86intrin.h",
    "mm_malloc.h",
    "cpuid.h",
];

/// All of them, as files that libclang takes from memory.
pub(super) fn unsaved() -> Vec<Unsaved> {
    headers().map(|(name, text)| Unsaved::new(format!("{DIRECTORY}/{name}"), text)).collect()
}

/// The full path of the one of that name.
pub(super) fn path(header: &Path) -> Option<PathBuf> {
    headers().find(|(name, _)| header == Path::new(name)).map(|(name, _)| Path::new(DIRECTORY).join(name))
}

/// What is in one of them, by its full path.
pub(super) fn text(path: &Path) -> Option<&'static str> {
    let name = path.strip_prefix(DIRECTORY).ok()?;
    headers().find(|(header, _)| name == Path::new(header)).map(|(_, text)| text)
}

fn headers() -> impl Iterator<Item = (&'static str, &'static str)> {
    let x86: &[&str] = if cfg!(any(target_arch = "x86_64", target_arch = "x86")) { X86_NAMES } else { &[] };
    HEADERS.iter().copied().chain(x86.iter().map(|name| (*name, X86_VECTORS)))
}
