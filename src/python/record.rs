use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use super::ctype::{Field, Shape};
use super::exceptions::new_argument_error;
use super::failure::type_name;
use super::names::without_keyword;
use super::place::Place;
use super::pointer::Pointer;
use super::record_class::Given;
use super::type_object::{new_value, of_class};

/// A C struct or union: its fields are attributes, read and written in the record's own memory.
///
/// Pass it where a function takes a pointer to it. pointer("field") is the address that a pointer
/// field holds, where reading the field would convert it.
#[pyclass(frozen, subclass, module = "pythy")]
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
    let shape = &place.ty.shape;
    shape.field(name).ok_or_else(|| {
        let nearest = shape.did_you_mean(name);
        PyAttributeError::new_err(format!("'{}' has no field '{name}'{nearest}", place.ty.name))
    })
}

#[pymethods]
impl Record {
    /// lib.point(other, x=1) is lib.new("struct point", other, x=1).
    #[new]
    #[classmethod]
    #[pyo3(signature = (*values, **fields), text_signature = "(value=None, /, **fields)")]
    fn __new__(
        class: &Bound<'_, PyType>,
        values: &Bound<'_, PyTuple>,
        fields: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let value = values.get_item(0).ok();
        if let Some(place) =
            value.as_ref().and_then(|value| value.cast::<Given>().ok()).and_then(|given| given.get().take())
        {
            return Ok(Self { place });
        }
        let Some(ty) = of_class(class)? else {
            let message = "pythy.Record has no fields of its own: make records with lib.new(\"struct name\")";
            return Err(PyTypeError::new_err(message));
        };
        if values.len() > 1 {
            let (name, count) = (class.name()?, values.len());
            let message = format!(
                "{name}() takes one value, not {count}; fields go by name, or all as one tuple: {name}((1, 2))"
            );
            return Err(new_argument_error(class.py(), message));
        }
        new_value(ty, value, fields).map(Self::at)
    }

    fn __getattr__(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        self.place.get_field(py, self.field(name)?)
    }

    fn __setattr__(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.place.set_field(self.field(name)?, value)
    }

    /// A field by its name, also where the name is that of a method.
    fn __getitem__(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let Ok(name) = name.cast::<PyString>() else {
            let (record, given) = (&self.place.ty.name, type_name(name));
            let message = format!("a field of '{record}' is asked for by its name, not by {given}");
            return Err(PyTypeError::new_err(message));
        };
        self.place.get_field(py, self.field(name.to_str()?)?)
    }

    /// Without it, iterating would ask for the field 0.
    fn __iter__(&self) -> PyResult<Py<PyAny>> {
        let record = &self.place.ty.name;
        Err(PyTypeError::new_err(format!(
            "a '{record}' has fields with names, which cannot be iterated over"
        )))
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
            names.extend(fields.iter().map(|field| without_keyword(&field.name).into_owned()));
        }
        names
    }

    /// A copy in memory of its own; pointers in it lead to where they did.
    fn __copy__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.place.duplicate(py)?.object(py)
    }

    /// The same: what pointers lead to is C's affair.
    fn __deepcopy__(&self, py: Python<'_>, _memo: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.__copy__(py)
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
