use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::place::Place;
use super::pointer::Pointer;
use super::type_object::alias;

/// One C value in memory of its own, for parameters through which C hands something back.
///
/// Pass it where the function takes a pointer to this type, then read `value`.
#[pyclass(frozen, module = "pythy")]
pub struct Ref {
    place: Place,
}

impl Ref {
    /// The scalar at a place.
    pub fn at(place: Place) -> Self {
        Self { place }
    }

    /// Where it lies.
    pub fn place(&self) -> &Place {
        &self.place
    }
}

#[pymethods]
impl Ref {
    #[classmethod]
    fn __class_getitem__(cls: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        alias(cls, item)
    }

    /// The value, converted as results are: char * to bytes, other pointers to Pointer, NULL to None.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.place.get(py)
    }

    /// Stores a value, converted as arguments are.
    #[setter]
    fn set_value(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.place.set("the value", value)
    }

    /// The stored pointer itself, to free or to own it; None for NULL.
    #[getter]
    fn pointer(&self, py: Python<'_>) -> PyResult<Option<Py<Pointer>>> {
        Pointer::stored_in(py, &self.place)?.map_or_else(
            || {
                Err(PyAttributeError::new_err(format!(
                    "a ref of type '{}' holds no pointer",
                    self.place.ty.name
                )))
            },
            Ok,
        )
    }

    fn __repr__(&self) -> String {
        format!("<pythy.Ref '{}' at {:#x}>", self.place.ty.name, self.place.address)
    }
}
