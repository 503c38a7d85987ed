//! What the arguments of `create_interface` say.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::PyTypeCheck;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::exceptions;
use super::failure::type_name;
use crate::header::Options;
use crate::session::LeakCheck;

/// When leaks are looked for, if not as usual.
pub fn leak_check_named(name: Option<&str>, usual: LeakCheck) -> PyResult<LeakCheck> {
    Ok(match name {
        Some("call") => LeakCheck::Call,
        Some("test") => LeakCheck::Test,
        None => usual,
        Some("session") => LeakCheck::Session,
        Some("off") => LeakCheck::Off,
        Some(other) => {
            return Err(PyValueError::new_err(format!(
                "leak_check must be 'call', 'test', 'session' or 'off', not '{other}'"
            )));
        }
    })
}

/// Whether `char *` results are str.
pub fn decodes(encoding: Option<&str>) -> PyResult<bool> {
    match encoding {
        None => Ok(false),
        Some(name) if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("utf8") => Ok(true),
        Some(other) => Err(PyValueError::new_err(format!("encoding must be None or 'utf-8', not '{other}'"))),
    }
}

/// Which headers to read, and how, as the caller says it.
pub fn options(
    header_files: &Bound<'_, PyAny>,
    include_dirs: Option<Bound<'_, PyAny>>,
    defines: Option<Bound<'_, PyAny>>,
    clang_args: Option<Bound<'_, PyAny>>,
) -> PyResult<Options> {
    let headers = paths("header_files", header_files)?;
    if headers.is_empty() {
        return Err(PyValueError::new_err("header_files is empty: give at least one header"));
    }
    Ok(Options {
        headers,
        include_dirs: include_dirs.map(|dirs| paths("include_dirs", &dirs)).transpose()?.unwrap_or_default(),
        defines: defines.map(|defines| definitions(&defines)).transpose()?.unwrap_or_default(),
        clang_args: clang_args.map(|arguments| words(&arguments)).transpose()?.unwrap_or_default(),
    })
}

/// One path, or a list or tuple of paths.
fn paths(option: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<PathBuf>> {
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        value.try_iter()?.map(|item| path(option, &item?)).collect()
    } else {
        Ok(vec![path(option, value)?])
    }
}

/// A str or a path, given for an option.
pub fn path(option: &str, value: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    value.extract().or_else(|_| wrong_option(option, "a str or a path", value))
}

/// Arguments, of which a str is not a list.
fn words(value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    value.extract().or_else(|_| wrong_option("clang_args", "a list of str", value))
}

/// The instance of a class that an option has to be.
pub fn instance<'py, T: PyTypeCheck>(
    option: &str,
    wanted: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, T>> {
    value.cast::<T>().cloned().or_else(|_| wrong_option(option, wanted, value))
}

fn wrong_option<T>(option: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyResult<T> {
    let given = type_name(value);
    Err(exceptions::new_argument_error(value.py(), format!("{option} must be {wanted}, not {given}")))
}

/// `{"NAME": value}`; `True` and `None` define the bare name.
fn definitions(defines: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Option<String>)>> {
    let Ok(defines) = defines.cast::<PyDict>() else {
        return wrong_option("defines", "a dict such as {'NAME': 1}", defines);
    };
    let one = |(name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let bare = value.is_none() || value.is(pyo3::types::PyBool::new(value.py(), true));
        let value = if bare { None } else { Some(value.str()?.to_string_lossy().into_owned()) };
        let name = name.extract().or_else(|_| wrong_option("a name in defines", "a str", &name))?;
        Ok((name, value))
    };
    defines.iter().map(one).collect()
}

/// A timeout as Python has it; `None` for none.
pub fn seconds(value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    if value.is_none() {
        return Ok(None);
    }
    let Ok(seconds) = value.extract::<f64>() else {
        let given = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("timeout is a number of seconds or None, not {given}")));
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(timeout) if !timeout.is_zero() => Ok(Some(timeout)),
        _ => Err(PyValueError::new_err(format!("timeout is a positive number of seconds, not {seconds}"))),
    }
}
