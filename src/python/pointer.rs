use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::prelude::*;
use pyo3::types::PyAny;

use super::types::TypeId;
use crate::bracket::Root;

/// A C pointer with its type, as C code returned it. Never NULL: that is `None`.
///
/// int(p) is its address. Pointers are equal when their addresses are.
#[pyclass(frozen, module = "pythy")]
pub struct Pointer {
    /// The address with all bits flipped: a handle that Python has dropped may linger in freed
    /// memory, where Memcheck would take the address itself for a live pointer.
    masked: usize,
    target: TypeId,
    _root: Option<Root>,
}

impl Pointer {
    /// A pointer that is not NULL. `checked`: under Valgrind, where live handles are leak-check roots.
    #[inline]
    pub fn new(address: usize, target: TypeId, checked: bool) -> Self {
        Self { masked: !address, target, _root: checked.then(|| Root::new(address)) }
    }

    /// Where it points.
    #[inline]
    pub fn address(&self) -> usize {
        !self.masked
    }

    /// What it points to.
    #[inline]
    pub fn target(&self) -> TypeId {
        self.target
    }
}

#[pymethods]
impl Pointer {
    fn __int__(&self) -> usize {
        self.address()
    }

    fn __bool__(&self) -> bool {
        true
    }

    fn __eq__<'py>(&self, py: Python<'py>, other: &Bound<'py, PyAny>) -> Py<PyAny> {
        match other.cast::<Pointer>() {
            Ok(other) => {
                let equal = self.address() == other.get().address();
                pyo3::types::PyBool::new(py, equal).to_owned().into_any().unbind()
            }
            Err(_) => py.NotImplemented(),
        }
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.address().hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self) -> String {
        format!("<pythy.Pointer '{}' at {:#x}>", self.target.pointer_name(), self.address())
    }
}
