//! A worker as that which loads libraries.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::PoisonError;

use super::answers::{address, done, unexpected};
use super::client::Client;
use super::launch::Checker;
use super::protocol::{Notice, Reply, Request, Watched};
use crate::binding::{Handle, Loaded, Loader, SymbolAt};
use crate::call::Memory;
use crate::valgrind::{Defaults, loaded_objects};
use crate::{Error, Result};

impl Client {
    /// Gives Valgrind those of its own suppressions that can match, now that these libraries are loaded.
    fn suppress(&self) -> Result<()> {
        let hello = self.hello()?;
        if hello.watched != Watched::Yes {
            return Ok(());
        }
        let due = {
            let mut defaults = self.inner.defaults.lock().unwrap_or_else(PoisonError::into_inner);
            let read = || Defaults::of_process(hello.pid, self.inner.launch.leak_kinds());
            defaults.get_or_insert_with(read).take_due(&loaded_objects(hello.pid))
        };
        if due.is_empty() {
            return Ok(());
        }
        self.plain(Request::Suppress(due), |reply, _| done(&reply))
    }
}

impl Loader for Client {
    fn load(&self, library: &Path) -> Result<Loaded> {
        self.suppress()?;
        let loaded =
            self.plain(Request::Load(library.as_os_str().as_bytes().to_vec()), |reply, _| match reply {
                Reply::Loaded { library, path, base } => Ok(Ok(Loaded {
                    handle: Handle(library),
                    path: std::ffi::OsString::from_vec(path).into(),
                    base: base as usize,
                })),
                Reply::Refused(message) => Ok(Err(Error::LibraryLoad { path: library.to_owned(), message })),
                other => unexpected(&other),
            })?;
        self.suppress()?;
        Ok(loaded)
    }

    fn symbol(&self, library: Handle, name: &str) -> Result<Option<usize>> {
        let request = Request::Symbol { library: library.0, name: name.to_owned() };
        self.plain(request, address).map(|address| (address != 0).then_some(address))
    }

    fn pointer_at(&self, address: usize) -> Result<usize> {
        let mut bytes = [0; size_of::<usize>()];
        self.read(address, &mut bytes)?;
        Ok(usize::from_ne_bytes(bytes))
    }

    fn symbol_at(&self, address: usize) -> Result<Option<SymbolAt>> {
        self.plain(Request::SymbolAt(address as u64), |reply, _| match reply {
            Reply::Symbol(symbol) => Ok(Ok(symbol.map(|(name, library)| SymbolAt {
                name,
                library: std::ffi::OsString::from_vec(library).into(),
            }))),
            other => unexpected(&other),
        })
    }

    /// With the next request; under Valgrind never, or the stacks of what it lost would have no names.
    fn unload(&self, library: Handle) {
        if self.inner.launch.checker == Checker::None {
            self.notice(Notice::Unload(library.0));
        }
    }
}
