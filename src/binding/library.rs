use std::ffi::{CStr, CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Shim, Symbols};
use crate::header::{Cache, Key, Options, Parsed};
use crate::{Error, Result};

/// A shared library that is loaded, with the symbols it exports itself.
#[derive(Debug)]
pub struct Library {
    // Before the handle: what needs the library goes first.
    shim: Option<Shim>,
    handle: libloading::os::unix::Library,
    path: PathBuf,
    symbols: Symbols,
}

impl Library {
    /// Loads the library at a path, or, for a bare name that is no file here, the one that the
    /// dynamic loader finds under it (`libz.so.1`).
    pub fn open(library: &Path) -> Result<Self> {
        let bare = library.components().count() == 1 && !library.as_os_str().as_bytes().contains(&b'/');
        if library.is_file() {
            let path = std::path::absolute(library).unwrap_or_else(|_| library.to_owned());
            let symbols = Symbols::read(&path)?;
            let handle = load(&path)?;
            return Ok(Self { shim: None, handle, path, symbols });
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
        let handle = match load(library) {
            Ok(handle) => handle,
            // The loader speaks of this library, not of one that it needs.
            Err(Error::LibraryLoad { message, .. })
                if message.starts_with(&format!("{}: ", library.display()))
                    && message.contains("No such file") =>
            {
                return Err(Error::LibraryNotFound { path: library.to_owned() });
            }
            Err(other) => return Err(other),
        };
        let (handle, path) = loaded_path(handle, library)?;
        let symbols = Symbols::read(&path)?;
        Ok(Self { shim: None, handle, path, symbols })
    }

    /// Where the library lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it exports itself.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The address of one of its symbols; `None` where the loader does not know it.
    pub fn address(&self, symbol: &str) -> Option<*const c_void> {
        self::symbol(&self.handle, symbol)
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

/// An exported symbol, and the file of the library that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolAt {
    /// Its name.
    pub name: String,
    /// The library's file.
    pub library: PathBuf,
}

/// The exported symbol that begins at an address; `None` where none does.
pub fn symbol_at(address: usize) -> Option<SymbolAt> {
    let address = address as *const c_void;
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: dladdr fills the structure for any address, and looks into the tables of loaded objects only.
    let info = unsafe {
        if libc::dladdr(address, info.as_mut_ptr()) == 0 {
            return None;
        }
        info.assume_init()
    };
    if info.dli_saddr.cast_const() != address || info.dli_sname.is_null() || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: both are strings of the loader's, which stay as long as the library is loaded.
    let (name, library) = unsafe { (CStr::from_ptr(info.dli_sname), CStr::from_ptr(info.dli_fname)) };
    let library = PathBuf::from(std::ffi::OsStr::from_bytes(library.to_bytes()));
    Some(SymbolAt { name: name.to_str().ok()?.to_owned(), library })
}

/// The address of a symbol of what is loaded; `None` where the loader does not know it.
pub(super) fn symbol(handle: &libloading::os::unix::Library, symbol: &str) -> Option<*const c_void> {
    let name = CString::new(symbol).ok()?;
    // SAFETY: only the address is taken; nothing is called or read through it here.
    let address = unsafe { handle.get::<*const c_void>(name.as_bytes_with_nul()) }.ok()?;
    let address = address.into_raw().cast_const();
    (!address.is_null()).then_some(address)
}

pub(super) fn load(path: &Path) -> Result<libloading::os::unix::Library> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    // SAFETY: loading runs the library's constructors, which is what the user asks for.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| {
        let message = match &error {
            libloading::Error::DlOpen { source, .. } => source.to_string(),
            other => other.to_string(),
        };
        Error::LibraryLoad { path: path.to_owned(), message }
    })
}

/// The file behind a library that the dynamic loader found by its bare name.
fn loaded_path(
    handle: libloading::os::unix::Library,
    name: &Path,
) -> Result<(libloading::os::unix::Library, PathBuf)> {
    let raw = handle.into_raw();
    let mut map: *mut LinkMap = std::ptr::null_mut();
    // SAFETY: raw is a live handle from dlopen, and RTLD_DI_LINKMAP stores one pointer.
    let status = unsafe { libc::dlinfo(raw, libc::RTLD_DI_LINKMAP, (&raw mut map).cast()) };
    // SAFETY: raw came from into_raw just above and is owned by nobody else.
    let handle = unsafe { libloading::os::unix::Library::from_raw(raw) };
    if status != 0 || map.is_null() {
        return Err(Error::LibraryLoad {
            path: name.to_owned(),
            message: "the dynamic loader does not tell where it lies".to_owned(),
        });
    }
    // SAFETY: the loader's link map and its name stay valid while the library is loaded.
    let file = unsafe { CStr::from_ptr((*map).name) };
    Ok((handle, PathBuf::from(std::ffi::OsStr::from_bytes(file.to_bytes()))))
}

/// The head of `struct link_map` of link.h.
#[repr(C)]
struct LinkMap {
    address: usize,
    name: *const libc::c_char,
}
