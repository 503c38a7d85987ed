use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::failure::short_repr;
use super::place::Place;
use super::plan::{Argument, Failure};
use super::type_object::alias;
use crate::binding::{Passing, RecordClass, Scalar};

/// A value of a C type, for the arguments after `...`, which have no type of their own:
/// printf("%Lg", lib.cast(1.5, "long double")).
#[pyclass(frozen, module = "pythy")]
pub struct Value {
    place: Place,
    passing: Passing,
}

/// How an argument travels that no parameter says anything about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Travel {
    /// As an integer or a pointer.
    Integer,
    /// As a `double`, or as what the parameter says.
    Float,
    /// As the eightbytes of a record or of a wide number.
    Record(RecordClass),
}

impl Value {
    /// The value at a place that nobody else writes to.
    pub fn at(place: Place) -> PyResult<Self> {
        let passing = place.types.passing(&place.ty.declared).map_err(|what| {
            PyTypeError::new_err(format!("cast() cannot make {what}, which pythy cannot pass yet"))
        })?;
        Ok(Self { place, passing })
    }

    /// Where it lies.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The value as an argument, promoted as C promotes it.
    pub fn argument(&self) -> Result<(Argument, Travel), Failure> {
        match &self.passing {
            Passing::Record(class) => {
                Ok((Argument::Record(self.place.address), Travel::Record(class.clone())))
            }
            Passing::Scalar(scalar) => {
                let word = self.place.word(*scalar).map_err(|_| self.place.home.failure())?;
                Ok(match scalar {
                    Scalar::F32 => {
                        let promoted = f64::from(f32::from_bits(word as u32));
                        (Argument::Word(promoted.to_bits()), Travel::Float)
                    }
                    scalar if scalar.is_float() => (Argument::Word(word), Travel::Float),
                    _ => (Argument::Word(word), Travel::Integer),
                })
            }
        }
    }
}

#[pymethods]
impl Value {
    #[classmethod]
    fn __class_getitem__(cls: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        alias(cls, item)
    }

    /// The value in Python.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.place.get(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let value = self.place.get(py)?;
        Ok(format!("<pythy.Value '{}' {}>", self.place.ty.name, short_repr(value.bind(py))))
    }
}
