//! The functions of an interface, which become builtins when they are asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::builtin;
use super::callable::Callable;
use super::ctype::Types;
use super::failure::closed;
use crate::binding::BoundFunction;

/// The functions of one interface. Most programs call a few of hundreds, and each builtin takes
/// microseconds to make.
pub struct Functions(Mutex<Inner>);

struct Inner {
    /// By their names in Python.
    bound: HashMap<String, BoundFunction>,
    /// Those that are made, by the same names.
    made: HashMap<String, Py<PyAny>>,
    /// Those that are made in addition.
    others: Vec<Py<PyAny>>,
}

impl Functions {
    /// None is made yet.
    pub fn new(bound: HashMap<String, BoundFunction>) -> Self {
        Self(Mutex::new(Inner { bound, made: HashMap::new(), others: Vec::new() }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of those that are not made yet.
    pub fn names(&self) -> Vec<String> {
        self.inner().bound.keys().cloned().collect()
    }

    /// Whether there is a function of this name.
    pub fn has(&self, name: &str) -> bool {
        let inner = self.inner();
        inner.bound.contains_key(name) || inner.made.contains_key(name)
    }

    /// The builtin of this name, if it has been made.
    pub fn made<'py>(&self, py: Python<'py>, name: &str) -> Option<Bound<'py, PyAny>> {
        self.inner().made.get(name).map(|builtin| builtin.bind(py).clone())
    }

    /// The builtin of this name, made now where it is not yet; `None` where there is none.
    pub fn make<'py>(
        &self,
        module: &Bound<'py, PyString>,
        name: &str,
        types: &Arc<Types>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some(made) = self.made(module.py(), name) {
            return Ok(Some(made));
        }
        let Some(function) = self.inner().bound.get(name).cloned() else { return Ok(None) };
        let builtin = builtin::builtin(module, function, types, None)?;
        if types.closed() {
            Callable::redirect(&builtin, closed)?;
        }
        let mut inner = self.inner();
        inner.bound.remove(name);
        // Another thread may have made it meanwhile.
        let made = inner.made.entry(name.to_owned()).or_insert_with(|| builtin.unbind());
        Ok(Some(made.bind(module.py()).clone()))
    }

    /// Another builtin of a function, under a name of its own; `changed` says what else is different about it.
    /// Only as long as the function's own is not made.
    pub fn make_another<'py>(
        &self,
        module: &Bound<'py, PyString>,
        (name, another): (&str, &str),
        types: &Arc<Types>,
        changed: impl FnOnce(&mut BoundFunction),
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(mut function) = self.inner().bound.get(name).cloned() else { return Ok(None) };
        changed(&mut function);
        let builtin = builtin::builtin(module, function, types, Some(another))?;
        self.inner().others.push(builtin.clone().unbind());
        Ok(Some(builtin))
    }

    /// Makes every further call of the builtins raise.
    pub fn close(&self, py: Python<'_>) -> PyResult<()> {
        let made: Vec<_> = {
            let inner = self.inner();
            inner.made.values().chain(&inner.others).map(|function| function.clone_ref(py)).collect()
        };
        made.iter().try_for_each(|function| Callable::redirect(function.bind(py), closed))
    }
}
