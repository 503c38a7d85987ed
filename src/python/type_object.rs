//! C types as Python objects: what a typedef's name stands for, and what takes types by name or object.

use std::sync::{Arc, Weak};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyType};

use super::ctype::{CType, Field, Shape, Types};
use super::exceptions;
use super::place::Place;
use super::record::Record;
use crate::model::{Type, Typedef};

/// Where the class of a record has its [`CTypeObject`].
pub const CTYPE: &str = "__ctype__";

/// A C type: what the name of a typedef stands for. lib.new, lib.ref, lib.cast, lib.sizeof and
/// lib.callback take it in place of the type's name.
#[pyclass(frozen, name = "CType", module = "pythy")]
pub struct CTypeObject {
    name: String,
    ty: Type,
    /// Weak: the classes of records are kept by the types, and have this.
    types: Weak<Types>,
}

impl CTypeObject {
    /// The type that a typedef names.
    pub fn new(typedef: &Typedef, types: &Arc<Types>) -> Self {
        Self { name: typedef.name.clone(), ty: typedef.ty.clone(), types: Arc::downgrade(types) }
    }

    /// The type of that name.
    pub fn named(name: String, ty: Type, types: &Arc<Types>) -> Self {
        Self { name, ty, types: Arc::downgrade(types) }
    }

    /// The type, and the types it is among.
    pub fn ctype(&self) -> PyResult<(Arc<CType>, Arc<Types>)> {
        let types = self.types.upgrade().ok_or_else(|| {
            exceptions::Error::new_err(format!("the interface of the type '{}' is gone", self.name))
        })?;
        Ok((types.get(&self.ty), types))
    }
}

#[pymethods]
impl CTypeObject {
    #[getter]
    fn __name__(&self) -> &str {
        &self.name
    }

    #[classmethod]
    fn __class_getitem__(cls: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        alias(cls, item)
    }

    fn __repr__(&self) -> String {
        format!("<pythy.CType '{}'>", self.name)
    }
}

/// The type behind a [`CTypeObject`] or the class of a record; `None` for any other object.
pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Option<(Arc<CType>, Arc<Types>)>> {
    if let Ok(ty) = object.cast::<CTypeObject>() {
        return ty.get().ctype().map(Some);
    }
    match object.cast::<PyType>() {
        Ok(class) => of_class(class),
        Err(_) => Ok(None),
    }
}

/// The type that a class of records stands for; `None` for any other class.
pub fn of_class(class: &Bound<'_, PyType>) -> PyResult<Option<(Arc<CType>, Arc<Types>)>> {
    match class.getattr_opt(CTYPE)? {
        Some(ty) => ty.cast::<CTypeObject>().ok().map(|ty| ty.get().ctype()).transpose(),
        None => Ok(None),
    }
}

/// New memory for a value of a type, with its first value.
pub fn new_value(
    (ty, types): (Arc<CType>, Arc<Types>),
    value: Option<Bound<'_, PyAny>>,
    fields: Option<Bound<'_, PyDict>>,
) -> PyResult<Place> {
    let ty = match &value {
        Some(value) => of_length(ty, &types, value)?,
        None => ty,
    };
    let tail = tail_length(&ty, value.as_ref(), fields.as_ref())?;
    let place = Place::allocate_with_tail(ty, types, tail)?;
    let is_record = matches!(place.ty.shape, Shape::Record { .. });
    if let Some(value) = value {
        place.initialise(if is_record { &place.ty.name } else { "the value" }, &value)?;
    }
    if let Some(fields) = &fields {
        place.initialise_fields(fields)?;
    }
    Ok(place)
}

/// The type; of an array that leaves its length open, with the length of its first value, as in C.
fn of_length(ty: Arc<CType>, types: &Arc<Types>, value: &Bound<'_, PyAny>) -> PyResult<Arc<CType>> {
    let (Shape::Array { text, .. }, None) = (&ty.shape, ty.size) else { return Ok(ty) };
    Ok(types.sized(&ty, length_of(value, *text)?))
}

/// How many items an array has that takes this value.
fn length_of(value: &Bound<'_, PyAny>, text: bool) -> PyResult<usize> {
    // Text has its NUL.
    let is_text = text && (value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyString>());
    let length = match value.cast::<PyString>() {
        Ok(text) => text.to_str()?.len(),
        Err(_) => value.len().map_err(|_| {
            let given = super::failure::type_name(value);
            let message = format!("an array without a length takes that of its value, and {given} has none");
            exceptions::new_argument_error(value.py(), message)
        })?,
    };
    Ok(length + usize::from(is_text))
}

/// The value that a dict has for a field.
fn named<'py>(values: &Bound<'py, PyDict>, ty: &CType, field: &Field) -> Option<Bound<'py, PyAny>> {
    let is_it = |name: &Bound<'_, PyAny>| {
        let name: Option<String> = name.extract().ok();
        name.and_then(|name| ty.shape.field(&name)).is_some_and(|known| std::ptr::eq(known, field))
    };
    values.iter().find(|(name, _)| is_it(name)).map(|(_, value)| value)
}

/// How many items the flexible array member of a record has that takes these values.
fn tail_length(
    ty: &CType,
    value: Option<&Bound<'_, PyAny>>,
    fields: Option<&Bound<'_, PyDict>>,
) -> PyResult<usize> {
    let Some((flexible, _)) = ty.shape.flexible() else { return Ok(0) };
    let Shape::Array { text, .. } = flexible.ty.shape else { return Ok(0) };
    let mut lengths = vec![fields.and_then(|values| named(values, ty, flexible))];
    if let Some(value) = value {
        if let Ok(other) = value.cast::<Record>() {
            return Ok(other.get().place().tail());
        }
        lengths.push(match value.cast::<PyDict>() {
            Ok(values) => named(values, ty, flexible),
            Err(_) => value.get_item(ty.shape.positions().saturating_sub(1)).ok(),
        });
    }
    // What has no length is refused where it is stored.
    let lengths = lengths.into_iter().flatten().filter(|given| given.len().is_ok());
    lengths.map(|given| length_of(&given, text)).try_fold(0, |most, length| Ok(most.max(length?)))
}

/// `Class[item]`, which means something to type checkers alone.
pub fn alias(class: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let alias = class.py().import("types")?.getattr("GenericAlias")?;
    alias.call1((class, item)).map(Bound::unbind)
}

/// What is said to an object that stands for no type.
pub fn no_type(object: &Bound<'_, PyAny>) -> PyErr {
    match object.get_type().name() {
        Ok(given) => {
            let wanted = "a C type is wanted here: its name as a str, or an object that stands for it";
            exceptions::new_argument_error(object.py(), format!("{wanted}, not {given}"))
        }
        Err(error) => error,
    }
}
