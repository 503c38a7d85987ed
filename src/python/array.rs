use std::sync::Arc;

use pyo3::exceptions::{PyIndexError, PyOverflowError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PySlice, PyType};

use super::ctype::{CType, Shape};
use super::failure::short_repr;
use super::place::Place;
use super::type_object::alias;

/// A C array: indexed, sliced, iterated and assigned like a list of fixed length.
///
/// Pass it where a function takes a pointer to its elements. lib.buffer(array) is its memory.
#[pyclass(frozen, sequence, module = "pythy")]
pub struct Array {
    place: Place,
}

impl Array {
    /// The array at a place.
    pub fn at(place: Place) -> Self {
        Self { place }
    }

    /// Where it lies.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The element type and how many there are.
    pub fn elements(&self) -> PyResult<(&Arc<CType>, usize)> {
        match &self.place.ty.shape {
            Shape::Array { element, count, .. } => Ok((element, *count)),
            _ => Err(PyTypeError::new_err(format!("'{}' is no array", self.place.ty.name))),
        }
    }

    /// An index as a number; one that no array could have is out of range too.
    fn index(&self, index: &Bound<'_, PyAny>) -> PyResult<isize> {
        index.extract().map_err(|error: PyErr| {
            if !error.is_instance_of::<PyOverflowError>(index.py()) {
                return error;
            }
            let message = format!("index {} is out of range for '{}'", short_repr(index), self.place.ty.name);
            PyIndexError::new_err(message)
        })
    }

    fn element(&self, index: isize) -> PyResult<Place> {
        let (element, count) = self.elements()?;
        let from_end = if index < 0 { index + count as isize } else { index };
        match usize::try_from(from_end).ok().filter(|index| *index < count) {
            Some(index) => Ok(self.place.part(index * element.size.unwrap_or(0), element)),
            None => {
                let message = format!("index {index} is out of range for '{}'", self.place.ty.name);
                Err(PyIndexError::new_err(message))
            }
        }
    }

    fn indices(&self, slice: &Bound<'_, PySlice>) -> PyResult<Vec<isize>> {
        let indices = slice.indices(self.elements()?.1 as isize)?;
        Ok((0..indices.slicelength as isize).map(|step| indices.start + step * indices.step).collect())
    }
}

#[pymethods]
impl Array {
    #[classmethod]
    fn __class_getitem__(cls: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        alias(cls, item)
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.elements()?.1)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Py<PyAny>> {
        let Ok(slice) = index.cast::<PySlice>() else {
            return self.element(self.index(index)?)?.get(py);
        };
        let values = self.indices(slice)?.into_iter().map(|index| self.element(index)?.get(py));
        Ok(PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)?.into_any().unbind())
    }

    /// By index, as Python itself would; with it an array is an `Iterable`.
    fn __iter__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the GIL is held, and the array is a sequence.
        unsafe { Bound::from_owned_ptr_or_err(this.py(), ffi::PySeqIter_New(this.as_ptr())) }
    }

    fn __setitem__(&self, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let Ok(slice) = index.cast::<PySlice>() else {
            let index = self.index(index)?;
            return self.element(index)?.set(&format!("'{}' item {index}", self.place.ty.name), value);
        };
        let indices = self.indices(slice)?;
        let values: Vec<Bound<'_, PyAny>> = value.try_iter()?.collect::<PyResult<_>>()?;
        if values.len() != indices.len() {
            let message = format!("a slice of {} items takes as many, not {}", indices.len(), values.len());
            return Err(pyo3::exceptions::PyValueError::new_err(message));
        }
        for (index, value) in indices.into_iter().zip(values) {
            self.element(index)?.set(&format!("'{}' item {index}", self.place.ty.name), &value)?;
        }
        Ok(())
    }

    /// A copy in memory of its own; pointers in it lead to where they did.
    fn __copy__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.place.duplicate(py)?.object(py)
    }

    /// The same: what pointers lead to is C's affair.
    fn __deepcopy__(&self, py: Python<'_>, _memo: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.__copy__(py)
    }

    fn __repr__(&self) -> String {
        format!("<pythy.Array '{}' at {:#x}>", self.place.ty.name, self.place.address)
    }
}
