//! Tells rustc which CPython the optional `python` feature is built against, and the sources' fingerprint:
//! what another build has cached may not be what this one would make.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "python")]
    pyo3_build_config::use_pyo3_cfgs();

    let mut hasher = DefaultHasher::new();
    for path in ["src", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={path}");
        if Path::new(path).exists() {
            add(Path::new(path), &mut hasher)?;
        }
    }
    println!("cargo:rustc-env=PYTHY_FINGERPRINT={:016x}", hasher.finish());
    Ok(())
}

/// Adds a file's name and content, or those of all files below a directory, in order.
fn add(path: &Path, hasher: &mut DefaultHasher) -> std::io::Result<()> {
    path.hash(hasher);
    if path.is_dir() {
        let entries = path.read_dir()?.map(|entry| Ok(entry?.path()));
        let mut entries = entries.collect::<std::io::Result<Vec<_>>>()?;
        entries.sort();
        entries.iter().try_for_each(|entry| add(entry, hasher))
    } else {
        std::fs::read(path)?.hash(hasher);
        Ok(())
    }
}
