//! Who keeps the memory that a pointer points to.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::ctype::Pointee;
use super::handle::Handle;
use super::home::Home;
use super::owned::Owned;
use super::place::Place;
use super::pointer::Pointer;

/// Who keeps what a pointer points to.
pub enum Holder {
    /// C code, or nobody.
    Nobody,
    /// Memory of pythy's own.
    Memory(Arc<Owned>),
    /// A Python object: a callback, a buffer, an owned pointer.
    Object(Py<PyAny>),
}

/// A [`Pointer`] to what a Python object keeps. A class of its own, because it takes part in garbage
/// collection, and the pointers that C code returns need not.
#[pyclass(frozen, extends = Pointer, name = "Pointer", module = "pythy")]
pub struct HoldingPointer(Mutex<Option<Py<PyAny>>>);

impl Holder {
    /// Who keeps the memory that an object of pythy's stands for; any other object keeps its own.
    pub fn of(object: &Bound<'_, PyAny>) -> Self {
        if let Some(place) = Place::behind(object) {
            return place.owner.clone().map_or(Self::Nobody, Self::Memory);
        }
        match object.cast::<Pointer>() {
            Ok(pointer) => Self::of_pointer(pointer),
            Err(_) => Self::Object(object.clone().unbind()),
        }
    }

    fn of_pointer(pointer: &Bound<'_, Pointer>) -> Self {
        if let Ok(holding) = pointer.cast::<HoldingPointer>() {
            let object = holding.get().0.lock().unwrap_or_else(PoisonError::into_inner);
            return object
                .as_ref()
                .map_or(Self::Nobody, |object| Self::Object(object.clone_ref(pointer.py())));
        }
        if pointer.is_instance_of::<Handle>() || pointer.get().is_owning() {
            return Self::Object(pointer.clone().into_any().unbind());
        }
        pointer.get().memory().map_or(Self::Nobody, Self::Memory)
    }

    /// The pointer to what is kept so, where it was stored: one that frees it is that very pointer.
    pub fn stored(
        self,
        py: Python<'_>,
        address: usize,
        pointee: &Arc<Pointee>,
        home: &Home,
    ) -> PyResult<Option<Py<Pointer>>> {
        if let Self::Object(object) = &self
            && let Ok(owner) = object.bind(py).cast::<Pointer>()
            && owner.get().is_owning()
            && (owner.get().address(), owner.get().target()) == (Some(address), pointee.id)
        {
            return Ok(Some(owner.clone().unbind()));
        }
        self.pointer(py, address, pointee, home)
    }

    /// A pointer to what is kept so; `None` for NULL.
    pub fn pointer(
        self,
        py: Python<'_>,
        address: usize,
        pointee: &Arc<Pointee>,
        home: &Home,
    ) -> PyResult<Option<Py<Pointer>>> {
        if address == 0 {
            return Ok(None);
        }
        let pointer = Pointer::new(address, pointee, home);
        Ok(Some(match self {
            Self::Nobody => Py::new(py, pointer)?,
            Self::Memory(memory) => Py::new(py, pointer.keeping(memory))?,
            Self::Object(object) => {
                let holding = HoldingPointer(Mutex::new(Some(object)));
                let holding = Bound::new(py, PyClassInitializer::from(pointer).add_subclass(holding))?;
                holding.into_super().unbind()
            }
        }))
    }
}

#[pymethods]
impl HoldingPointer {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.0.try_lock() {
            Ok(object) => object.iter().try_for_each(|object| visit.call(object)),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self) {
        let object = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Not under the lock: this may run Python code.
        drop(object);
    }
}
