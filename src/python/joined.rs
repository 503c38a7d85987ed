//! Headers and library, joined.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::prelude::*;

use super::backend::program;
use super::directives;
use super::names::Names;
use crate::binding::{self, Bindings, Library, Loader, Skipped, SymbolKind};
use crate::bracket;
use crate::header::{self, Cache, Key, Options, Parsed};
use crate::model::{Directives, Global, Interface as Model, Type, TypeKind};
use crate::valgrind::{self, Presence};
use crate::worker::parse_apart;

/// Headers and library, joined.
pub struct Joined {
    /// What the headers say beside functions; of its variables, those that the library has, with their lengths.
    pub model: Model,
    /// The library.
    pub library: Library,
    /// What can be called.
    pub bindings: Bindings,
    /// The names of everything else.
    pub names: Names,
    /// What the headers' directives say, if they say anything.
    pub directives: Option<Directives>,
}

/// Reads the headers and joins them with the library; `unloaded` says why that could not be loaded.
pub fn join(
    py: Python<'_>,
    options: &Options,
    library_file: &Path,
    loader: Arc<dyn Loader>,
    unloaded: impl FnOnce(crate::Error) -> PyErr,
) -> PyResult<Joined> {
    let _unfollowed = bracket::unfollowed();
    let libclang = libclang(py)?;
    let (cache, key) = (Cache::of_user(), Key::new(options, libclang.as_deref()));
    let parsed = Cache::read(cache.as_ref(), key.as_ref(), || read_headers(py, libclang, options))?;
    // A worker takes its time to start, or is in the middle of a call; other threads of Python's need not wait for it.
    let library = py.detach(|| -> crate::Result<_> {
        loader.ready()?;
        let mut library = Library::open_in(loader, library_file)?;
        library.compile_static_functions(&parsed, options, cache.as_ref(), key.as_ref());
        Ok(library)
    });
    let library = library.map_err(unloaded)?;
    let mut model = parsed.interface;
    let mut bindings = binding::bind(&mut model, &library, &options.headers)?;
    for mut global in std::mem::take(&mut model.globals) {
        let found = variable(&library, &global)?;
        if let Some((_, size)) = found {
            measure(&mut global.ty, size, &model);
            model.globals.push(global);
        } else {
            let reason = why_missing(&library, &global);
            bindings.skipped.push(Skipped {
                name: global.name,
                prototype: None,
                location: global.location,
                reason,
                in_given_header: global.in_given_header,
            });
        }
    }
    let names = Names::new(&mut model, &bindings);
    let directives = std::mem::take(&mut model.directives);
    let directives = directives::in_force(directives, &bindings, &names).map_err(crate::Error::from)?;
    Ok(Joined { model, library, bindings, names, directives })
}

/// Why a variable is not there, as the rest of a sentence about it.
fn why_missing(library: &Library, global: &Global) -> String {
    if !global.is_static {
        return format!("it is not exported by {}", library.path().display());
    }
    let why = match library.shim().and_then(|shim| shim.address(&global.name)) {
        Some(Err(why)) => format!("and {why}"),
        _ if global.in_given_header => {
            "where each file that includes it has its own, the library too".to_owned()
        }
        _ => "which was not given; give this one too to have a table in it compiled".to_owned(),
    };
    format!("it is static: its value is in the header, {why}")
}

/// Gives the type of a variable of that size its length: where the header leaves that of an array open,
/// the symbol table tells it.
fn measure(ty: &mut Type, size: u64, model: &Model) {
    if let TypeKind::Array(element, count @ None) = &mut ty.kind {
        *count = model.size_of(element).and_then(|item| size.checked_div(item)).or(Some(0));
    }
}

/// Natively right here, with the GIL held, as [`header::set_libclang`] asks; under Valgrind in the
/// packaged worker, which Valgrind does not watch.
fn read_headers(py: Python<'_>, libclang: Option<PathBuf>, options: &Options) -> PyResult<Parsed> {
    if valgrind::running() == Presence::Native {
        if let Some(libclang) = libclang {
            header::set_libclang(libclang);
        }
        return Ok(header::read(options).map_err(crate::Error::from)?);
    }
    let worker = program(py)?;
    Ok(py.detach(|| parse_apart(&worker, libclang, options))?)
}

/// The `libclang` package of PyPI, found without importing it.
fn libclang(py: Python<'_>) -> PyResult<Option<PathBuf>> {
    for directory in py.import("sys")?.getattr("path")?.try_iter()? {
        let Ok(directory) = directory?.extract::<PathBuf>() else { continue };
        let file = directory.join("clang/native/libclang.so");
        if file.is_file() {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Address and size of a variable that the library exports, or that was compiled from the header; there its type
/// has the size.
pub fn variable(library: &Library, global: &Global) -> crate::Result<Option<(usize, u64)>> {
    if global.is_static {
        let address = library.shim().and_then(|shim| shim.address(&global.name)?.ok());
        return Ok(address.map(|address| (address as usize, 0)));
    }
    let name = global.symbol.as_deref().unwrap_or(&global.name);
    let symbol = library.symbols().get(name).filter(|symbol| symbol.kind != SymbolKind::Function);
    let Some(symbol) = symbol else { return Ok(None) };
    Ok(library.address(name)?.map(|address| (address as usize, symbol.size)))
}
