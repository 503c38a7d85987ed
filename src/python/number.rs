//! Numbers between Python and C.

use std::ffi::c_long;

use pyo3::prelude::*;
use pyo3::{ffi, intern};

use super::plan::Failure;
use crate::binding::{Scalar, Wide};
use crate::call;
use crate::model::IntegerType;

/// # Safety
/// The GIL is held and `object` is a live object; so for all that follow.
#[inline(always)]
pub unsafe fn integer(scalar: Scalar, object: *mut ffi::PyObject) -> Result<u64, Failure> {
    // SAFETY: as the caller vouches.
    unsafe {
        match scalar {
            Scalar::U64 => return unsigned(object),
            Scalar::I64 => return Ok(long(object)? as u64),
            _ => {}
        }
        let value = long(object)?;
        let fits = match scalar {
            Scalar::I32 => value == c_long::from(value as i32),
            Scalar::U32 => value == c_long::from(value as u32),
            Scalar::I16 => value == c_long::from(value as i16),
            Scalar::U16 => value == c_long::from(value as u16),
            Scalar::I8 => value == c_long::from(value as i8),
            _ => value == c_long::from(value as u8),
        };
        if fits { Ok(value as u64) } else { Err(Failure::Range) }
    }
}

#[inline(always)]
pub unsafe fn long(object: *mut ffi::PyObject) -> Result<c_long, Failure> {
    // SAFETY: as the caller vouches.
    unsafe {
        let value = ffi::PyLong_AsLong(object);
        if value == -1 && !ffi::PyErr_Occurred().is_null() {
            return Err(number_failure());
        }
        Ok(value)
    }
}

#[inline(always)]
pub unsafe fn unsigned(object: *mut ffi::PyObject) -> Result<u64, Failure> {
    // SAFETY: as the caller vouches.
    unsafe {
        let value = ffi::PyLong_AsUnsignedLongLong(object);
        if value == u64::MAX && !ffi::PyErr_Occurred().is_null() {
            return unsigned_by_index(object);
        }
        Ok(value)
    }
}

/// `PyLong_AsUnsignedLongLong` asks for a real int; the others take whatever has `__index__`.
#[cold]
unsafe fn unsigned_by_index(object: *mut ffi::PyObject) -> Result<u64, Failure> {
    // SAFETY: as the caller vouches; the new reference is dropped here.
    unsafe {
        if ffi::PyLong_Check(object) != 0 {
            return Err(number_failure());
        }
        ffi::PyErr_Clear();
        let index = ffi::PyNumber_Index(object);
        if index.is_null() {
            return Err(number_failure());
        }
        let value = ffi::PyLong_AsUnsignedLongLong(index);
        ffi::Py_DECREF(index);
        if value == u64::MAX && !ffi::PyErr_Occurred().is_null() {
            return Err(number_failure());
        }
        Ok(value)
    }
}

/// Sorts the exception that a numeric conversion has set.
#[cold]
unsafe fn number_failure() -> Failure {
    // SAFETY: an exception is set and the GIL is held.
    unsafe {
        let failure = if ffi::PyErr_ExceptionMatches(ffi::PyExc_OverflowError) != 0 {
            Failure::Range
        } else if ffi::PyErr_ExceptionMatches(ffi::PyExc_TypeError) != 0 {
            Failure::Type
        } else {
            return Failure::Raised;
        };
        ffi::PyErr_Clear();
        failure
    }
}

#[inline(always)]
pub unsafe fn double(object: *mut ffi::PyObject) -> Result<f64, Failure> {
    // SAFETY: as the caller vouches.
    unsafe {
        let value = ffi::PyFloat_AsDouble(object);
        if value == -1.0 && !ffi::PyErr_Occurred().is_null() {
            return Err(number_failure());
        }
        Ok(value)
    }
}

#[inline(always)]
pub unsafe fn float(object: *mut ffi::PyObject) -> Result<f32, Failure> {
    // SAFETY: as the caller vouches.
    let value = unsafe { double(object)? };
    let narrow = value as f32;
    if narrow.is_infinite() && value.is_finite() { Err(Failure::Range) } else { Ok(narrow) }
}

/// Real and imaginary part.
pub unsafe fn parts(wide: Wide, object: *mut ffi::PyObject) -> Result<(f64, f64), Failure> {
    // SAFETY: as the caller vouches; a new reference is dropped here.
    unsafe {
        if !wide.is_complex() {
            return Ok((double(object)?, 0.0));
        }
        let parts = if ffi::PyComplex_Check(object) != 0 {
            (ffi::PyComplex_RealAsDouble(object), ffi::PyComplex_ImagAsDouble(object))
        } else {
            let borrowed = Borrowed::from_ptr(Python::assume_attached(), object);
            match borrowed.call_method0(intern!(borrowed.py(), "__complex__")) {
                Ok(complex) if ffi::PyComplex_Check(complex.as_ptr()) != 0 => (
                    ffi::PyComplex_RealAsDouble(complex.as_ptr()),
                    ffi::PyComplex_ImagAsDouble(complex.as_ptr()),
                ),
                _ => (double(object)?, 0.0),
            }
        };
        let narrow = |value: f64| (value as f32).is_infinite() && value.is_finite();
        if wide == Wide::ComplexFloat && (narrow(parts.0) || narrow(parts.1)) {
            return Err(Failure::Range);
        }
        Ok(parts)
    }
}

/// The float or complex number that the bytes are; NULL with an exception set where there is no memory.
///
/// # Safety
/// The GIL is held.
pub unsafe fn wide_object(wide: Wide, bytes: &[u8]) -> *mut ffi::PyObject {
    let (real, imaginary) = call::wide::read(wide, bytes);
    // SAFETY: as the caller vouches.
    unsafe {
        if wide.is_complex() {
            ffi::PyComplex_FromDoubles(real, imaginary)
        } else {
            ffi::PyFloat_FromDouble(real)
        }
    }
}

pub unsafe fn boolean(object: *mut ffi::PyObject) -> Result<u64, Failure> {
    // SAFETY: as the caller vouches.
    match unsafe { long(object)? } {
        value @ (0 | 1) => Ok(value as u64),
        _ => Err(Failure::Range),
    }
}

pub unsafe fn character(object: *mut ffi::PyObject) -> Result<u64, Failure> {
    // SAFETY: as the caller vouches; lengths are checked before anything is read.
    unsafe {
        if ffi::PyBytes_Check(object) != 0 {
            if ffi::PyBytes_Size(object) != 1 {
                return Err(Failure::Type);
            }
            return Ok((*ffi::PyBytes_AsString(object)) as u64);
        }
        if ffi::PyUnicode_Check(object) != 0 {
            let mut length = 0;
            let text = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut length);
            if text.is_null() {
                ffi::PyErr_Clear();
                return Err(Failure::Type);
            }
            return if length == 1 { Ok((*text) as u64) } else { Err(Failure::Type) };
        }
        integer(Scalar::of_integer(IntegerType::Char), object)
    }
}
