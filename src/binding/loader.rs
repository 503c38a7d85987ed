use std::ffi::{CStr, CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::{Error, Result};

/// The dynamic loader of the process that libraries are loaded into: this one, or a worker's.
pub trait Loader: Send + Sync {
    /// Which process it is now: where one takes over from another, all is to be loaded anew.
    fn life(&self) -> Result<u64> {
        Ok(0)
    }

    /// Waits until the process can be used. Everything else does so by itself.
    fn ready(&self) -> Result<()> {
        Ok(())
    }

    /// Loads a library by its path, or by a name that the dynamic loader finds.
    fn load(&self, library: &Path) -> Result<Loaded>;

    /// The address of a symbol; `None` where the loader does not know it.
    fn symbol(&self, library: Handle, name: &str) -> Result<Option<usize>>;

    /// The pointer that lies at an address.
    fn pointer_at(&self, address: usize) -> Result<usize>;

    /// The exported symbol that begins at an address; `None` where none does.
    fn symbol_at(&self, address: usize) -> Result<Option<SymbolAt>>;

    /// Unloads a library.
    fn unload(&self, library: Handle);
}

/// What the loader knows a library by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(pub u64);

/// A library that has been loaded.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the loader knows it by.
    pub handle: Handle,
    /// Its file, as the loader names it.
    pub path: PathBuf,
    /// The address that those in its symbol table count from.
    pub base: usize,
}

/// An exported symbol, and the file of the library that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolAt {
    /// Its name.
    pub name: String,
    /// The library's file.
    pub library: PathBuf,
}

/// The loader of this process.
#[derive(Debug)]
pub struct Here;

impl Loader for Here {
    fn load(&self, library: &Path) -> Result<Loaded> {
        // SAFETY: loading runs the library's constructors, which is what the user asks for.
        let opened = unsafe { Library::open(Some(library), RTLD_NOW | RTLD_LOCAL) };
        let handle = opened.map_err(|error| {
            let message = match &error {
                libloading::Error::DlOpen { source, .. } => source.to_string(),
                other => other.to_string(),
            };
            Error::LibraryLoad { path: library.to_owned(), message }
        })?;
        let raw = handle.into_raw();
        let mut map: *mut LinkMap = std::ptr::null_mut();
        // SAFETY: raw is a live handle from dlopen, and RTLD_DI_LINKMAP stores one pointer.
        let status = unsafe { libc::dlinfo(raw, libc::RTLD_DI_LINKMAP, (&raw mut map).cast()) };
        if status != 0 || map.is_null() {
            self.unload(Handle(raw as u64));
            let message = "the dynamic loader does not tell where it lies".to_owned();
            return Err(Error::LibraryLoad { path: library.to_owned(), message });
        }
        // SAFETY: the loader's link map and its name stay valid while the library is loaded.
        let (file, base) = unsafe { (CStr::from_ptr((*map).name), (*map).address) };
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(file.to_bytes()));
        Ok(Loaded { handle: Handle(raw as u64), path, base })
    }

    fn symbol(&self, library: Handle, name: &str) -> Result<Option<usize>> {
        let Ok(name) = CString::new(name) else { return Ok(None) };
        // SAFETY: a live handle from `load`; only the address is taken.
        let address = unsafe { libc::dlsym(library.0 as *mut c_void, name.as_ptr()) };
        Ok((!address.is_null()).then_some(address as usize))
    }

    fn pointer_at(&self, address: usize) -> Result<usize> {
        // SAFETY: asked of variables that are pointers, in libraries that are loaded.
        Ok(unsafe { (address as *const usize).read() })
    }

    fn symbol_at(&self, address: usize) -> Result<Option<SymbolAt>> {
        let address = address as *const c_void;
        let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
        // SAFETY: dladdr fills the structure for any address, and looks into the tables of loaded objects only.
        let info = unsafe {
            if libc::dladdr(address, info.as_mut_ptr()) == 0 {
                return Ok(None);
            }
            info.assume_init()
        };
        if info.dli_saddr.cast_const() != address || info.dli_sname.is_null() || info.dli_fname.is_null() {
            return Ok(None);
        }
        // SAFETY: both are strings of the loader's, which stay as long as the library is loaded.
        let (name, library) = unsafe { (CStr::from_ptr(info.dli_sname), CStr::from_ptr(info.dli_fname)) };
        let library = PathBuf::from(std::ffi::OsStr::from_bytes(library.to_bytes()));
        Ok(name.to_str().ok().map(|name| SymbolAt { name: name.to_owned(), library }))
    }

    fn unload(&self, library: Handle) {
        // SAFETY: a handle from `load`, which is not used after this.
        drop(unsafe { Library::from_raw(library.0 as *mut c_void) });
    }
}

/// The head of `struct link_map` of link.h.
#[repr(C)]
struct LinkMap {
    address: usize,
    name: *const libc::c_char,
}
