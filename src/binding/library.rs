use std::ffi::c_void;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::loader::{Handle, Here, Loaded, Loader};
use super::{Shim, Symbols};
use crate::header::{Cache, Key, Options, Parsed};
use crate::{Error, Result};

/// A shared library that is loaded, with the symbols it exports itself.
pub struct Library {
    // Before the library itself: what needs it goes first.
    shim: Option<Shim>,
    mount: Mount,
    path: PathBuf,
    symbols: Symbols,
    /// The file that the symbols were read from.
    file: Option<FileId>,
}

/// What tells a file from another one at the same path, and from what it was before it was written to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileId {
    inode: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

impl FileId {
    fn of(path: &Path) -> Option<Self> {
        let file = path.metadata().ok()?;
        Some(Self {
            inode: (file.dev(), file.ino()),
            size: file.size(),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

/// A library in the process that there is now.
pub(super) struct Mount {
    loader: Arc<dyn Loader>,
    mounted: Mutex<Mounted>,
}

/// A library in one process.
#[derive(Clone, Copy)]
pub(super) struct Mounted {
    life: u64,
    /// Whether it is another file than in the first process.
    other_file: bool,
    /// What its loader knows it by.
    pub handle: Handle,
    /// The address that those in its symbol table count from.
    pub base: usize,
}

impl Mount {
    /// Loads it, and tells where it lies.
    pub fn new(loader: Arc<dyn Loader>, library: &Path) -> Result<(Self, PathBuf)> {
        let life = loader.life()?;
        let Loaded { handle, path, base } = loader.load(library)?;
        let mounted = Mounted { life, other_file: false, handle, base };
        Ok((Self { loader, mounted: Mutex::new(mounted) }, path))
    }

    /// Who loads it.
    pub fn loader(&self) -> &Arc<dyn Loader> {
        &self.loader
    }

    /// Where it is now, loaded again if the process has changed.
    pub fn now(&self, path: &Path) -> Result<Mounted> {
        self.now_or_other(path, || false)
    }

    /// The same of a library whose file may have been replaced since: whether it was is asked once it is loaded.
    fn now_or_other(&self, path: &Path, is_other: impl FnOnce() -> bool) -> Result<Mounted> {
        let life = self.loader.life()?;
        let known = *self.mounted();
        if known.life == life {
            return Ok(known);
        }
        // Not under the lock: a signal handler may need the library meanwhile. Loaded twice, it is the same.
        let Loaded { handle, base, .. } = self.loader.load(path)?;
        let mounted = Mounted { life, other_file: is_other(), handle, base };
        *self.mounted() = mounted;
        Ok(mounted)
    }
}

impl Mount {
    fn mounted(&self) -> MutexGuard<'_, Mounted> {
        self.mounted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.loader.unload(self.mounted.get_mut().unwrap_or_else(PoisonError::into_inner).handle);
    }
}

impl Library {
    /// Loads a library into this process; see [`Library::open_in`].
    pub fn open(library: &Path) -> Result<Self> {
        Self::open_in(Arc::new(Here), library)
    }

    /// Loads the library at a path, or, for a bare name that is no file here, the one that the
    /// dynamic loader finds under it (`libz.so.1`).
    pub fn open_in(loader: Arc<dyn Loader>, library: &Path) -> Result<Self> {
        let bare = library.components().count() == 1 && !library.as_os_str().as_bytes().contains(&b'/');
        if library.is_file() {
            let path = std::path::absolute(library).unwrap_or_else(|_| library.to_owned());
            let (file, symbols) = (FileId::of(&path), Symbols::read(&path)?);
            let (mount, _) = Mount::new(loader, &path)?;
            return Ok(Self { shim: None, mount, path, symbols, file });
        }
        if library.is_dir() {
            return Err(Error::NotALibrary {
                path: library.to_owned(),
                message: "it is a directory".to_owned(),
            });
        }
        if !bare {
            return Err(Error::LibraryNotFound { path: library.to_owned() });
        }
        let (mount, path) = match Mount::new(loader, library) {
            Ok(mounted) => mounted,
            // The loader speaks of this library, not of one that it needs.
            Err(Error::LibraryLoad { message, .. })
                if message.starts_with(&format!("{}: ", library.display()))
                    && message.contains("No such file") =>
            {
                return Err(Error::LibraryNotFound { path: library.to_owned() });
            }
            Err(other) => return Err(other),
        };
        let (file, symbols) = (FileId::of(&path), Symbols::read(&path)?);
        Ok(Self { shim: None, mount, path, symbols, file })
    }

    /// Where the library lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it exports itself.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// Who has loaded it.
    pub fn loader(&self) -> &Arc<dyn Loader> {
        self.mount.loader()
    }

    /// The address of one of its symbols; `None` where the loader does not know it.
    pub fn address(&self, symbol: &str) -> Result<Option<*const c_void>> {
        let mounted = self.mounted()?;
        let offset = self.symbols.get(symbol).and_then(|symbol| symbol.offset);
        let address = match offset.filter(|_| !mounted.other_file) {
            Some(offset) => Some(mounted.base.wrapping_add(offset)),
            None => self.loader().symbol(mounted.handle, symbol)?,
        };
        Ok(address.map(|address| address as *const c_void))
    }

    /// The functions that run when the library is unloaded, by `read` from the memory that it lies in.
    pub fn finishers(&self, read: impl Fn(usize, &mut [u8]) -> Result<()>) -> Result<Vec<usize>> {
        const WORD: usize = size_of::<usize>();
        let Mounted { base, other_file, .. } = self.mounted()?;
        let finishers =
            if other_file { Symbols::read(&self.path)?.finishers() } else { self.symbols.finishers() };
        let Some((offset, size)) = finishers else { return Ok(Vec::new()) };
        let mut words = vec![0; size];
        read(base.wrapping_add(offset), &mut words)?;
        let words = words.chunks_exact(WORD).filter_map(|word| word.try_into().ok());
        Ok(words.map(usize::from_ne_bytes).collect())
    }

    /// Where it is now. The file may be another one there than when its symbols were read.
    fn mounted(&self) -> Result<Mounted> {
        self.mount.now_or_other(&self.path, || FileId::of(&self.path) != self.file)
    }

    /// Compiles what the headers have as static functions, if there are any; see [`Shim::of`].
    pub fn compile_static_functions(
        &mut self,
        parsed: &Parsed,
        options: &Options,
        cache: Option<&Cache>,
        key: Option<&Key>,
    ) {
        self.shim = Shim::of(parsed, options, self, cache, key);
    }

    /// The compiled static functions.
    pub fn shim(&self) -> Option<&Shim> {
        self.shim.as_ref()
    }
}
