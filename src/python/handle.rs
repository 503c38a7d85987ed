//! Python objects as `void *` user data, by the names that cffi has for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyMemoryError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::ctype::Types;
use super::exceptions::new_argument_error;
use super::home::Home;
use super::pointer::Pointer;

/// A `void *` that stands for a Python object and keeps it alive, made by lib.new_handle(object).
///
/// C may store it and hand it back; lib.from_handle(pointer) is the object again.
#[pyclass(frozen, extends = Pointer, module = "pythy")]
pub struct Handle {
    /// Memory of our own, so that the address is nobody else's as long as this handle lives.
    address: usize,
    home: Home,
    object: Mutex<Option<Py<PyAny>>>,
}

/// The objects of the handles that live, by process and address; each handle keeps its own.
static OBJECTS: Mutex<Option<HashMap<(u32, usize), Borrowed>>> = Mutex::new(None);

/// An object that its handle keeps.
struct Borrowed(*mut pyo3::ffi::PyObject);

// SAFETY: only looked at with the GIL held.
unsafe impl Send for Borrowed {}

impl Handle {
    /// A new handle.
    pub fn of(py: Python<'_>, object: Bound<'_, PyAny>, types: &Arc<Types>) -> PyResult<Py<Self>> {
        // What C reads there is zero, not an address.
        let home = types.homes.now()?;
        let address = home.allocate(size_of::<usize>())?;
        let address = address.ok_or_else(|| PyMemoryError::new_err("no memory for a handle"))?;
        let pointer = Pointer::new(address, &types.void(), &home);
        let mut objects = OBJECTS.lock().unwrap_or_else(PoisonError::into_inner);
        objects.get_or_insert_default().insert((home.process(), address), Borrowed(object.as_ptr()));
        drop(objects);
        let handle = Self { address, home, object: Mutex::new(Some(object.unbind())) };
        Py::new(py, PyClassInitializer::from(pointer).add_subclass(handle))
    }

    fn forget(&self) -> Option<Py<PyAny>> {
        let mut objects = OBJECTS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(objects) = &mut *objects {
            objects.remove(&(self.home.process(), self.address));
        }
        self.object.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        drop(self.forget());
        self.home.free(self.address);
    }
}

#[pymethods]
impl Handle {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.object.try_lock() {
            Ok(object) => object.iter().try_for_each(|object| visit.call(object)),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self) {
        drop(self.forget());
    }
}

/// The object that a pointer is the handle of: looked up, never read from there.
pub fn object_of(py: Python<'_>, pointer: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let refuse = |what: String| {
        let message = format!("from_handle() takes a pointer that new_handle() made, {what}");
        Err(new_argument_error(py, message))
    };
    let Ok(known) = pointer.cast::<Pointer>() else {
        return refuse(if pointer.is_none() {
            "not None".to_owned()
        } else {
            format!("not {}", pointer.get_type().name()?)
        });
    };
    let address = known.get().address().unwrap_or(0);
    let objects = OBJECTS.lock().unwrap_or_else(PoisonError::into_inner);
    match objects.as_ref().and_then(|objects| objects.get(&(known.get().home().process(), address))) {
        // SAFETY: its handle lives, or the entry were gone, and keeps the object; the GIL is held.
        Some(object) => Ok(unsafe { Bound::from_borrowed_ptr(py, object.0) }.unbind()),
        None => refuse("and that is still kept; this one is none or is gone".to_owned()),
    }
}
