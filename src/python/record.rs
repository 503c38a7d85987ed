use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;

use super::ctype::{Field, Shape};
use super::names::reserved_name;
use super::place::Place;
use super::pointer::Pointer;

/// A C struct or union: its fields are attributes, read and written in the record's own memory.
///
/// Pass it where a function takes a pointer to it. pointer("field") is the address that a pointer
/// field holds, where reading the field would convert it.
#[pyclass(frozen, module = "pythy")]
pub struct Record {
    place: Place,
}

impl Record {
    /// The record at a place.
    pub fn at(place: Place) -> Self {
        Self { place }
    }

    /// Where it lies.
    pub fn place(&self) -> &Place {
        &self.place
    }

    fn field(&self, name: &str) -> PyResult<&Field> {
        field(&self.place, name)
    }
}

/// A field of the record at a place.
pub fn field<'a>(place: &'a Place, name: &str) -> PyResult<&'a Field> {
    let found = match &place.ty.shape {
        Shape::Record { fields, by_name } => {
            let plain = || by_name.get(reserved_name(name)?);
            by_name.get(name).or_else(plain).map(|index| &fields[*index])
        }
        _ => None,
    };
    found.ok_or_else(|| PyAttributeError::new_err(format!("'{}' has no field '{name}'", place.ty.name)))
}

#[pymethods]
impl Record {
    fn __getattr__(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        self.place.get_field(py, self.field(name)?)
    }

    fn __setattr__(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.place.set_field(self.field(name)?, value)
    }

    /// A field by its name, also where the name is that of a method.
    fn __getitem__(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        self.place.get_field(py, self.field(name)?)
    }

    /// The pointer that a pointer field holds, unconverted; None for NULL.
    fn pointer(&self, py: Python<'_>, field: &str) -> PyResult<Option<Py<Pointer>>> {
        let found = self.field(field)?;
        Pointer::stored_in(py, &self.place.part(found.offset, &found.ty))?.map_or_else(
            || {
                let message = format!("{}.{field} holds no pointer", self.place.ty.name);
                Err(PyAttributeError::new_err(message))
            },
            Ok,
        )
    }

    fn __dir__(&self) -> Vec<String> {
        let mut names = vec!["pointer".to_owned()];
        if let Shape::Record { fields, .. } = &self.place.ty.shape {
            names.extend(fields.iter().map(|field| field.name.clone()));
        }
        names
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let mut shown = Vec::new();
        if let Shape::Record { fields, .. } = &self.place.ty.shape {
            for field in fields {
                let value =
                    self.place.get_field(py, field).map(|value| super::failure::short_repr(value.bind(py)));
                shown.push(format!("{}={}", field.name, value.unwrap_or_else(|_| "?".to_owned())));
            }
        }
        format!("<{} {}>", self.place.ty.name, shown.join(" "))
    }
}
