//! What a call that cannot be made tells its caller, the function, the argument, the C type; and arguments as text.

use pyo3::exceptions::{PyMemoryError, PyOverflowError};
use pyo3::ffi;
use pyo3::prelude::*;

use super::callable::Callable;
use super::exceptions::{self, new_argument_error};
use super::plan::{Failure, Items, Plan, Target};
use super::record::Record;

/// Sets the exception for an argument that cannot be converted; returns NULL.
///
/// # Safety
/// The GIL is held and `object` is live.
#[cold]
pub unsafe fn bad_argument(
    callable: &Callable,
    index: usize,
    object: *mut ffi::PyObject,
    failure: Failure,
) -> *mut ffi::PyObject {
    if failure == Failure::Raised {
        return std::ptr::null_mut();
    }
    // SAFETY: as the caller vouches.
    let (py, object) = unsafe {
        let py = Python::assume_attached();
        (py, Bound::from_borrowed_ptr(py, object))
    };
    explain(callable, index, &object, failure).restore(py);
    std::ptr::null_mut()
}

fn explain(callable: &Callable, index: usize, object: &Bound<'_, PyAny>, failure: Failure) -> PyErr {
    let Some(parameter) = callable.parameters.get(index) else {
        let subject = format!("{} argument {} (one of '...')", called(callable), index + 1);
        return refusal_of_variable(&subject, object, failure);
    };
    let name = parameter.name.as_ref().map(|name| format!(" '{name}'")).unwrap_or_default();
    let called = called(callable);
    let subject = format!("{called} argument {}{name} ({})", index + 1, parameter.ty.spelling);
    refusal(&subject, &parameter.plan, object, failure)
}

fn refusal_of_variable(subject: &str, object: &Bound<'_, PyAny>, failure: Failure) -> PyErr {
    let detail = match failure {
        Failure::Range => {
            let (value, low, high) = (short_repr(object), i64::MIN, u64::MAX);
            let message = format!("{subject}: {value} is out of range: it takes {low} to {high}");
            return PyOverflowError::new_err(message);
        }
        Failure::Type if object.is_callable() => {
            "must be made a function pointer: lib.callback(\"int (*)(int)\")(function), with the type that C expects"
                .to_owned()
        }
        Failure::Type => format!(
            "must be an int, a float, bytes, a str, a buffer, a pointer or None that C can take as it is, not {}",
            type_name(object)
        ),
        failure => return refusal(subject, &Plan::Text(Target::ANYTHING), object, failure),
    };
    new_argument_error(object.py(), format!("{subject} {detail}"))
}

/// The exception that says why `subject`, which takes what `plan` does, cannot take this object.
pub fn refusal(subject: &str, plan: &Plan, object: &Bound<'_, PyAny>, failure: Failure) -> PyErr {
    let py = object.py();
    let detail = match failure {
        Failure::Type => format!("must be {}, not {}", plan.expected(), type_name(object)),
        Failure::Range => {
            let range = plan.range().map(|(low, high)| format!(": it takes {low} to {high}"));
            let message =
                format!("{subject}: {} is out of range{}", short_repr(object), range.unwrap_or_default());
            return PyOverflowError::new_err(message);
        }
        Failure::EmbeddedNul => {
            "must not be a str with a NUL character inside: C would see the text end there".to_owned()
        }
        Failure::ReadOnly => {
            format!("must be writable, because C may write there; this {} is read-only", type_name(object))
        }
        Failure::NotContiguous => {
            format!("must be a C-contiguous buffer, which this {} is not", type_name(object))
        }
        Failure::NoBuffer => {
            let why = PyErr::fetch(py);
            format!("must be a buffer, and this {} gives none: {}", type_name(object), why.value(py))
        }
        Failure::Length(length) => {
            let size = match plan {
                Plan::Text(target) | Plan::Pointer(target) => target.item_size,
                _ => 1,
            };
            let given = type_name(object);
            format!("must be a whole number of items of {size} bytes; this {given} has {length} bytes")
        }
        Failure::ItemSize(size) => {
            format!(
                "must be a buffer of items of that type; this {} has items of {size} bytes",
                type_name(object)
            )
        }
        Failure::Items(items) => {
            let wanted = match plan {
                Plan::Text(target) | Plan::Pointer(target) => target.items,
                _ => Items::Other,
            };
            let (wanted, given) = (wanted.named(), items.named());
            format!("must be a buffer of {wanted}; this {} has {given}", type_name(object))
        }
        Failure::WrongTarget(target) => format!("must not be a pointer of type '{}'", target.pointer_name()),
        Failure::WrongRecord(ty) => format!("must not be a '{}'", ty.name()),
        Failure::Released => {
            return exceptions::Error::new_err(format!("{subject} has been released"));
        }
        Failure::Closed => {
            let message = format!("{subject} is in C's memory, whose interface was closed");
            return exceptions::Error::new_err(message);
        }
        Failure::Elsewhere => {
            let message = format!("{subject} is in the memory of another process: each worker has its own");
            return exceptions::Error::new_err(message);
        }
        Failure::Gone => {
            let message = format!("{subject} was in the memory of a worker that has ended, and is gone");
            return exceptions::Error::new_err(message);
        }
        Failure::Raised => return PyErr::fetch(py),
    };
    new_argument_error(py, format!("{subject} {detail}"))
}

/// Sets the exception for a wrong number of arguments, or for keyword arguments; returns NULL.
///
/// # Safety
/// The GIL is held.
#[cold]
pub unsafe fn bad_count(callable: &Callable, given: ffi::Py_ssize_t, keywords: bool) -> *mut ffi::PyObject {
    // SAFETY: as the caller vouches.
    let py = unsafe { Python::assume_attached() };
    let Callable { name, prototype, parameters, .. } = callable;
    let called = called(callable);
    let prototype = if name == prototype { String::new() } else { format!(": {prototype}") };
    let message = if keywords {
        format!("{called} takes no keyword arguments{prototype}")
    } else {
        let plural = if parameters.len() == 1 { "" } else { "s" };
        let at_least = if callable.is_variadic() { "at least " } else { "" };
        let were = if given == 1 { "was" } else { "were" };
        format!(
            "{called} takes {at_least}{} argument{plural}, but {given} {were} given{prototype}",
            parameters.len()
        )
    };
    new_argument_error(py, message).restore(py);
    std::ptr::null_mut()
}

/// The entry of functions whose interface is closed.
pub unsafe extern "C" fn closed(
    object: *mut ffi::PyObject,
    _arguments: *const *mut ffi::PyObject,
    _count: ffi::Py_ssize_t,
    _keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: CPython calls this with the GIL, on a builtin of ours.
    unsafe { refuse_closed(super::callable::callable(object)) }
}

/// Sets the exception for a call of a closed interface; returns NULL.
///
/// # Safety
/// The GIL is held.
#[cold]
pub unsafe fn refuse_closed(callable: &Callable) -> *mut ffi::PyObject {
    // SAFETY: as the caller vouches.
    let py = unsafe { Python::assume_attached() };
    let message = format!("{} was called after its interface was closed", called(callable));
    exceptions::Error::new_err(message).restore(py);
    std::ptr::null_mut()
}

/// Sets `MemoryError`; returns NULL.
///
/// # Safety
/// The GIL is held.
#[cold]
pub unsafe fn no_memory(callable: &Callable, size: usize) -> *mut ffi::PyObject {
    // SAFETY: as the caller vouches.
    let py = unsafe { Python::assume_attached() };
    let message = format!("{}: no memory for a copy of {size} bytes", called(callable));
    PyMemoryError::new_err(message).restore(py);
    std::ptr::null_mut()
}

/// A function by its name, `add()`; one that has none, behind a pointer, by its type.
fn called(callable: &Callable) -> String {
    if callable.name == callable.prototype {
        format!("'{}'", callable.name)
    } else {
        format!("{}()", callable.name)
    }
}

/// An argument as it is told once the call is over. A copy of what Python owns has not been copied back by then; a
/// record is C's own memory, shows what C has made of it, and says so.
pub fn told(object: &Bound<'_, PyAny>, plan: Option<&Plan>) -> String {
    let by_pointer = !matches!(plan, Some(Plan::Record(_)));
    let may_write = !matches!(plan, Some(Plan::Text(target) | Plan::Pointer(target)) if target.is_const);
    let after =
        if by_pointer && may_write && object.cast::<Record>().is_ok() { " after the call" } else { "" };
    format!("{}{after}", short_repr(object))
}

/// The object's repr, cut to one short line; what stands for it if repr raises.
pub fn short_repr(object: &Bound<'_, PyAny>) -> String {
    const LONGEST: usize = 80;
    let text = object
        .repr()
        .map_or_else(|_| format!("<{}>", type_name(object)), |repr| repr.to_string_lossy().into_owned());
    if text.chars().count() <= LONGEST {
        return text;
    }
    let cut: String = text.chars().take(LONGEST - 1).collect();
    format!("{cut}…")
}

/// The name of the object's type.
pub fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string_lossy().into_owned())
}
