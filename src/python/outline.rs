//! What the arguments of a function are made of, for who makes them up: `pythy.testing` asks.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::callable::Callable;
use super::ctype::{CType, Field, Pointee, Shape, Types};
use super::exceptions;
use super::plan::Plan;
use super::record::Record;
use super::record_class;
use super::type_object::{CTypeObject, new_value};
use crate::binding::Wide;
use crate::model::Type;

/// The types of a function's parameters, each with its spelling in the header; None for what is no function of
/// an interface.
#[pyfunction]
pub fn parameters(function: &Bound<'_, PyAny>) -> PyResult<Option<Vec<(String, CTypeObject)>>> {
    let Some(callable) = Callable::behind(function)? else { return Ok(None) };
    let types = callable.types.upgrade().ok_or_else(|| {
        exceptions::Error::new_err(format!("the interface of {}() is gone: keep the module", callable.name))
    })?;
    let described = |ty: &Type| (ty.spelling.clone(), object_of(ty, &types));
    Ok(Some(callable.parameters.iter().map(|parameter| described(&parameter.ty)).collect()))
}

/// What a type is, one level of it: `kind`, and what there is to say of that kind. Types in it are CType objects.
#[pyfunction]
pub fn outline<'py>(py: Python<'py>, ctype: &Bound<'py, CTypeObject>) -> PyResult<Bound<'py, PyDict>> {
    let (ty, types) = ctype.get().ctype()?;
    let outline = PyDict::new(py);
    outline.set_item("name", &ty.name)?;
    outline.set_item("size", ty.size)?;
    match &ty.shape {
        Shape::Scalar { enumeration: Some(enumeration), .. } => {
            let class = enumeration.class(py, &types.module)?;
            outline.set_item("kind", "enumeration")?;
            outline.set_item("members", class.try_iter()?.collect::<PyResult<Vec<_>>>()?)?;
        }
        Shape::Scalar { plan, target, .. } => scalar(&outline, (plan, target.as_deref()), &types)?,
        Shape::Wide { wide, .. } => {
            outline.set_item("kind", if *wide == Wide::LongDouble { "double" } else { "complex" })?;
        }
        Shape::Record { fields, .. } => {
            let fields = fields.iter().filter(|field| field.positional).map(|field| row(field, &types));
            outline.set_item("kind", "record")?;
            // A name of the headers'; a record without one is nobody's class.
            let class = record_class::of_key(py, &types, &ty.name)?;
            outline.set_item("class", (!class.is(py.get_type::<Record>())).then_some(class))?;
            outline.set_item("fields", PyList::new(py, fields.collect::<Vec<_>>())?)?;
        }
        Shape::Array { element, count, text } => {
            outline.set_item("kind", if *text { "characters" } else { "array" })?;
            outline.set_item("of", object_of(&element.declared, &types))?;
            outline.set_item("count", count)?;
        }
        Shape::Opaque(_) => outline.set_item("kind", "opaque")?,
    }
    Ok(outline)
}

/// Zeroed C memory for a value of a type, with this value.
#[pyfunction]
pub fn make(
    py: Python<'_>,
    ctype: &Bound<'_, CTypeObject>,
    value: Option<Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    new_value(ctype.get().ctype()?, value, None)?.object(py)
}

fn scalar(
    outline: &Bound<'_, PyDict>,
    (plan, target): (&Plan, Option<&Pointee>),
    types: &Arc<Types>,
) -> PyResult<()> {
    let kind = match plan {
        Plan::Bool => "bool",
        Plan::Char => "char",
        Plan::Integer(_) => "int",
        Plan::Float => "float",
        Plan::Double => "double",
        Plan::Text(_) => "text",
        Plan::Pointer(_) => "pointer",
        Plan::Callback(_) => "function",
        Plan::Wide(_) | Plan::Record(_) => "opaque",
    };
    outline.set_item("kind", kind)?;
    if let Some((least, most)) = plan.range() {
        outline.set_item("range", (least, most))?;
    }
    if let Plan::Text(target) | Plan::Pointer(target) = plan {
        outline.set_item("to_const", target.is_const)?;
        outline.set_item("buffers", target.buffers)?;
        outline.set_item("decode", types.decode)?;
    }
    if let (Plan::Callback(_), Some(function)) = (plan, target.and_then(|target| target.function.as_ref())) {
        outline.set_item("result", object_of(&function.result, types))?;
    } else if let Some((to, types)) = target.and_then(Pointee::ctype) {
        // What C promises not to write somebody has to make.
        let to = Type { is_const: false, ..to.declared.clone() };
        outline.set_item("to", object_of(&to, &types))?;
    }
    Ok(())
}

/// A field's name, its type, and its width if it is a bit-field.
fn row(field: &Field, types: &Arc<Types>) -> (String, CTypeObject, Option<u32>) {
    let CType { declared, .. } = &*field.ty;
    (field.name.clone(), object_of(declared, types), field.bits.map(|(_, width)| width))
}

fn object_of(ty: &Type, types: &Arc<Types>) -> CTypeObject {
    CTypeObject::named(ty.spelling.clone(), ty.clone(), types)
}
