//! The Python class of each struct and union: a subclass of `Record`, made when it is first needed.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::ctype::Types;
use super::place::Place;
use super::record::Record;
use super::type_object::{CTYPE, CTypeObject};
use crate::model::{Text, Type, TypeKind};

/// The class of one record, once somebody needs it.
pub struct RecordClass {
    /// The name in Python.
    pub name: String,
    /// The comment of the header.
    pub comment: Option<Text>,
    made: PyOnceLock<Py<PyType>>,
}

/// A place on its way into the constructor of its class, which Python must call.
#[pyclass(frozen)]
pub struct Given(Mutex<Option<Place>>);

impl Given {
    /// The place, once.
    pub fn take(&self) -> Option<Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl RecordClass {
    /// Not made yet.
    pub fn new(name: String, comment: Option<Text>) -> Self {
        Self { name, comment, made: PyOnceLock::new() }
    }
}

/// The class of the record of that key; `Record` itself for one without a name.
pub fn of_key<'py>(py: Python<'py>, types: &Arc<Types>, key: &str) -> PyResult<Bound<'py, PyType>> {
    let record = py.get_type::<Record>();
    let Some(class) = types.record_class(key) else { return Ok(record) };
    let made = class.made.get_or_try_init(py, || {
        let ty = Type { kind: TypeKind::Record(key.to_owned()), spelling: key.to_owned(), is_const: false };
        let namespace = PyDict::new(py);
        namespace.set_item("__module__", &types.module)?;
        namespace.set_item("__doc__", class.comment.as_deref())?;
        // No dict for its instances: a misspelt field must not become an attribute.
        namespace.set_item("__slots__", PyTuple::empty(py))?;
        namespace.set_item(CTYPE, CTypeObject::named(key.to_owned(), ty, types))?;
        let made = py.get_type::<PyType>().call1((&class.name, (record,), namespace))?;
        Ok::<_, PyErr>(made.cast_into::<PyType>()?.unbind())
    })?;
    Ok(made.bind(py).clone())
}

/// The record at a place, as an instance of its class.
pub fn object(py: Python<'_>, place: Place) -> PyResult<Py<PyAny>> {
    let class = of_key(py, &place.types, &place.ty.name)?;
    let given = Given(Mutex::new(Some(place)));
    Ok(class.call1((given,))?.unbind())
}
