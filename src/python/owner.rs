//! Pointers that free what they point to.

use std::sync::{Arc, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::pointer::{Free, Pointer};

/// A [`Pointer`] that frees what it points to. A class of its own, because it takes part in garbage collection: what
/// frees it is often a method of the object that keeps it.
#[pyclass(frozen, extends = Pointer, name = "Pointer", module = "pythy")]
pub struct OwningPointer(Arc<Free>);

static PREPARED: PyOnceLock<()> = PyOnceLock::new();

impl OwningPointer {
    /// The object of a pointer with this very `free`.
    pub fn of<'py>(py: Python<'py>, pointer: Pointer, free: Arc<Free>) -> PyResult<Bound<'py, Pointer>> {
        PREPARED.get_or_try_init(py, || Self::prepare(py))?;
        let owning = PyClassInitializer::from(pointer).add_subclass(Self(free));
        Ok(Bound::new(py, owning)?.into_super())
    }

    /// Has the collector free what an unreachable one points to, while all that this needs is still there. PyO3 has no
    /// way to say so.
    fn prepare(py: Python<'_>) -> PyResult<()> {
        let class = py.get_type::<Self>();
        class.setattr("__del__", class.getattr("release")?)
    }
}

#[pymethods]
impl OwningPointer {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.0.try_lock() {
            Ok(free) => free.iter().try_for_each(|free| visit.call(free)),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self) {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Not under the lock: this may run Python code.
        drop(free);
    }
}
