//! `lib.cast`.

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyInt;

use super::callable::Callable;
use super::callback::Callback;
use super::ctype::Shape;
use super::exceptions;
use super::failure::short_repr;
use super::holder::Holder;
use super::interface::{Interface, spelt};
use super::pointer::Pointer;
use super::type_object::new_value;
use super::value::Value;

/// The value as a pointer of that type, or as a value of it where it is no pointer.
pub fn cast(
    interface: &Interface,
    py: Python<'_>,
    value: &Bound<'_, PyAny>,
    type_name: &Bound<'_, PyAny>,
) -> PyResult<Option<Py<PyAny>>> {
    let (ty, types) = interface.named(type_name)?;
    let Shape::Scalar { target: Some(target), .. } = &ty.shape else {
        if let Shape::Array { .. } = ty.shape {
            let name = spelt(type_name, &ty);
            let message = format!("cast() makes pointers, numbers and records, and '{name}' is none");
            return Err(PyTypeError::new_err(message));
        }
        let place = new_value((ty, types), Some(value.clone()), None)?;
        return Ok(Some(Py::new(py, Value::at(place)?)?.into_any()));
    };
    let now = || interface.types.homes.now();
    let (address, holder, home) = if value.is_none() {
        (0, Holder::Nobody, now()?)
    } else if let Ok(pointer) = value.cast::<Pointer>() {
        let home = pointer.get().home().clone();
        (pointer.call_method0("__int__")?.extract()?, Holder::of(value), home)
    } else if value.is_instance_of::<PyInt>() {
        (address_of(value)?, Holder::Nobody, now()?)
    } else if let Ok(callback) = value.cast::<Callback>() {
        (callback.get().address(), Holder::of(value), callback.get().home().clone())
    } else if let Some(function) = Callable::behind(value)? {
        let home = now()?;
        let gone =
            || format!("cast(): {}() is in another process, or its interface is closed", function.name);
        let address = function.address_in(&home)?.ok_or_else(|| exceptions::Error::new_err(gone()))?;
        (address, Holder::Nobody, home)
    } else {
        let wanted = "cast() takes a Pointer, a Ref, a Record, an Array, a callback, an int or None";
        let place = interface.place_of(value, wanted)?;
        (place.address, Holder::of(value), place.home)
    };
    Ok(holder.pointer(py, address, target, &home)?.map(Py::into_any))
}

/// The address that an int stands for; -1 is the highest, as in C.
fn address_of(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    value.extract().or_else(|_| value.extract::<isize>().map(|address| address as usize)).map_err(|_| {
        let message =
            format!("cast(): {} is no address: it takes {} to {}", short_repr(value), isize::MIN, usize::MAX);
        PyOverflowError::new_err(message)
    })
}
