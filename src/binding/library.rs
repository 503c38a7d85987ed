use std::ffi::c_void;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::loader::{Handle, Here, Loaded, Loader};
use super::{Shim, Symbols};
use crate::header::{Cache, Key, Options, Parsed};
use crate::{Error, Result};

/// A shared library that is loaded, with the symbols it exports itself.
pub struct Library {
    shim: Option<Shim>,
    loader: Arc<dyn Loader>,
    handle: Handle,
    base: usize,
    path: PathBuf,
    symbols: Symbols,
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
            let symbols = Symbols::read(&path)?;
            let Loaded { handle, base, .. } = loader.load(&path)?;
            return Ok(Self { shim: None, loader, handle, base, path, symbols });
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
        let Loaded { handle, path, base } = match loader.load(library) {
            Ok(loaded) => loaded,
            // The loader speaks of this library, not of one that it needs.
            Err(Error::LibraryLoad { message, .. })
                if message.starts_with(&format!("{}: ", library.display()))
                    && message.contains("No such file") =>
            {
                return Err(Error::LibraryNotFound { path: library.to_owned() });
            }
            Err(other) => return Err(other),
        };
        let symbols = match Symbols::read(&path) {
            Ok(symbols) => symbols,
            Err(error) => {
                loader.unload(handle);
                return Err(error);
            }
        };
        Ok(Self { shim: None, loader, handle, base, path, symbols })
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
        &self.loader
    }

    /// The address of one of its symbols; `None` where the loader does not know it.
    pub fn address(&self, symbol: &str) -> Result<Option<*const c_void>> {
        let address = match self.symbols.get(symbol).and_then(|symbol| symbol.offset) {
            Some(offset) => Some(self.base.wrapping_add(offset)),
            None => self.loader.symbol(self.handle, symbol)?,
        };
        Ok(address.map(|address| address as *const c_void))
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

impl Drop for Library {
    fn drop(&mut self) {
        // What needs the library goes first.
        self.shim.take();
        self.loader.unload(self.handle);
    }
}
