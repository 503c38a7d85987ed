//! `errno` for Python.

use std::ffi::c_int;

use pyo3::prelude::*;

use crate::call;

/// C's errno as the last foreign call of this thread left it: an int, for os.strerror() and the
/// names of the module errno.
#[pyfunction]
pub fn errno() -> c_int {
    call::errno::get()
}

/// Gives errno a value for the next foreign call of this thread: set_errno(0) before a function
/// whose failure only errno tells, such as strtol().
#[pyfunction]
#[pyo3(signature = (value, /))]
pub fn set_errno(value: c_int) {
    call::errno::set(value);
}
