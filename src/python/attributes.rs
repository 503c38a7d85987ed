//! The names of an interface's module: what they stand for, and what may be assigned to them.

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyModule, PyString, PyWeakrefMethods};

use super::ctype::{Pointee, Shape};
use super::exceptions;
use super::gil::without_gil;
use super::interface::{Interface, OWN_NAMES};
use super::joined::variable;
use super::names::Name;
use super::place::Place;
use super::pointer::Pointer;
use crate::model::did_you_mean;

impl Interface {
    /// Puts all functions into the module.
    pub(super) fn make_all(&self, py: Python<'_>) -> PyResult<()> {
        let module = PyString::new(py, &self.name);
        for name in self.functions.names() {
            if self.hidden.lock().unwrap_or_else(std::sync::PoisonError::into_inner).contains_key(&name) {
                continue;
            }
            if let Some(builtin) = self.functions.make(&module, &name, &self.types)? {
                self.remember(py, &name, &builtin)?;
            }
        }
        Ok(())
    }

    /// Whether anything may be assigned to a name: in a module of the caller's, and where it begins with an underscore.
    pub(super) fn is_free(&self, name: &str) -> bool {
        self.shared || name.starts_with('_')
    }

    /// What a name of the module stands for, for messages.
    pub(super) fn kind_of(&self, name: &str) -> Option<&'static str> {
        if self.functions.has(name) {
            return Some("a function of the library");
        }
        if OWN_NAMES.contains(&name) {
            return Some("one of pythy's own functions");
        }
        self.names.get(name).map(Name::described)
    }

    /// Refuses to assign to a name that the library or pythy has, or that looks like a misspelt variable.
    pub(super) fn check_name(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.is_free(name) {
            return Ok(());
        }
        let is_function = self.functions.has(name) || OWN_NAMES.contains(&name);
        let message = match self.kind_of(name) {
            Some(_) if is_function && value.is_callable() => return Ok(()),
            Some(what) if is_function => format!("'{name}' is {what}: only a callable can take its place"),
            Some(what) => format!("'{name}' is {what}: it cannot be assigned"),
            None => {
                let nearest = self.did_you_mean(name);
                format!(
                    "'{name}' is no variable of {}{nearest} (a name of your own may begin with '_')",
                    self.headers
                )
            }
        };
        Err(PyAttributeError::new_err(message))
    }

    /// The end of a message about a name that the module does not have.
    pub(super) fn did_you_mean(&self, name: &str) -> String {
        let known = self.listed();
        did_you_mean(name, known.iter().map(String::as_str))
    }

    /// Lets the module answer by itself from now on.
    pub(super) fn remember(&self, py: Python<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match self.module.bind(py).upgrade() {
            Some(module) => module.cast::<PyModule>()?.dict().set_item(name, value),
            None => Ok(()),
        }
    }

    /// The C variable of that name, as long as the library is open.
    pub(super) fn global(&self, name: &str) -> PyResult<Option<Place>> {
        let Some(Name::Global(global)) = self.names.get(name) else { return Ok(None) };
        // Not under the lock: a signal handler may need it while this waits for a worker.
        let library = self.library.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let Some(library) = library else {
            let message = format!("the variable '{name}' was used after its interface was closed");
            return Err(exceptions::Error::new_err(message));
        };
        let find = || variable(&library, global);
        let found = if self.types.homes.station().is_some() { without_gil(find) } else { find() };
        let Some((address, _)) = found? else { return Ok(None) };
        let home = self.types.homes.now()?;
        let (ty, types) = (self.types.get(&global.ty), self.types.clone());
        Ok(Some(Place::of_c(address, ty, types, home)))
    }

    /// What a variable is in Python; of one whose type only the library knows, a pointer to it.
    pub(super) fn read(&self, py: Python<'_>, place: Place) -> PyResult<Py<PyAny>> {
        let Shape::Opaque(_) = place.ty.shape else { return place.get(py) };
        let target = Pointee::to(&place.ty.declared, &self.types);
        // SAFETY: a new reference, or NULL with an exception set.
        unsafe {
            let pointer = Pointer::give(py, place.address, &target, &place.home);
            Bound::from_owned_ptr_or_err(py, pointer).map(Bound::unbind)
        }
    }
}
