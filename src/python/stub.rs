//! Stubs: entries compiled for one signature each, for the commonest of one and two arguments.
//! They do what a careful C programmer writes by hand, and nothing else.

use std::ffi::{c_char, c_int, c_long, c_void};

use pyo3::ffi;
use pyo3::prelude::*;

use super::callable::{Entry, callable};
use super::callback::any_pending;
use super::convert;
use super::entry::{direct, raised, without_gil};
use super::failure::{bad_argument, bad_count, refuse_closed};
use super::plan::{Failure, Parameter, Plan, ResultPlan};
use super::reference::Ref;
use crate::binding::Scalar;

type Object = *mut ffi::PyObject;

/// A C parameter type of stubs.
trait Take: Sized + Copy {
    /// Whether an argument of another type may still be right: then the whole call goes the
    /// general way.
    const MORE: bool = false;

    /// Converts an argument.
    ///
    /// # Safety
    /// The GIL is held and `object` is live.
    unsafe fn take(object: Object, parameter: &Parameter) -> Result<Self, Failure>;
}

/// A C result type of stubs.
trait Give: Sized + Copy {
    /// Makes the Python object, or sets an exception and gives NULL.
    ///
    /// # Safety
    /// The GIL is held.
    unsafe fn give(self) -> Object;
}

macro_rules! integers {
    ($($ty:ty, $scalar:ident;)*) => {$(
        impl Take for $ty {
            #[inline(always)]
            unsafe fn take(object: Object, _parameter: &Parameter) -> Result<Self, Failure> {
                // SAFETY: as the caller vouches.
                unsafe { convert::integer(Scalar::$scalar, object).map(|word| word as $ty) }
            }
        }
    )*};
}

integers! {
    c_int, I32;
    u32, U32;
    c_long, I64;
    u64, U64;
}

impl Take for f64 {
    #[inline(always)]
    unsafe fn take(object: Object, _parameter: &Parameter) -> Result<Self, Failure> {
        // SAFETY: as the caller vouches.
        unsafe { convert::double(object) }
    }
}

/// `const char *` from bytes or str: what the stub for strings takes by itself.
#[derive(Clone, Copy)]
struct Text(#[allow(dead_code)] *const c_char);

impl Take for Text {
    const MORE: bool = true;

    #[inline(always)]
    unsafe fn take(object: Object, _parameter: &Parameter) -> Result<Self, Failure> {
        // SAFETY: as the caller vouches; bytes and str keep their text as long as they live.
        unsafe {
            if ffi::PyBytes_Check(object) != 0 {
                return Ok(Text(ffi::PyBytes_AsString(object)));
            }
            if ffi::PyUnicode_Check(object) != 0 {
                return convert::utf8(object).map(|(text, _)| Text(text));
            }
            Err(Failure::Type)
        }
    }
}

/// A pointer to data: what the stub takes by itself is a `Ref` of the very type.
#[derive(Clone, Copy)]
struct Data(#[allow(dead_code)] usize);

impl Take for Data {
    const MORE: bool = true;

    #[inline(always)]
    unsafe fn take(object: Object, parameter: &Parameter) -> Result<Self, Failure> {
        // SAFETY: as the caller vouches.
        unsafe { referenced(object, parameter).map(Data).ok_or(Failure::Type) }
    }
}

/// The address of a `Ref`'s memory, for a parameter that is a pointer to the very type.
///
/// # Safety
/// The GIL is held and `object` is live.
#[inline(always)]
pub unsafe fn referenced(object: Object, parameter: &Parameter) -> Option<usize> {
    // SAFETY: as the caller vouches.
    let object = unsafe { Borrowed::from_ptr(Python::assume_attached(), object) };
    match (object.cast_exact::<Ref>(), &parameter.plan) {
        (Ok(reference), Plan::Pointer(target)) if reference.get().place().ty.id == target.id => {
            Some(reference.get().place().address)
        }
        _ => None,
    }
}

macro_rules! results {
    ($($ty:ty, |$value:ident| $give:expr;)*) => {$(
        impl Give for $ty {
            #[inline(always)]
            unsafe fn give(self) -> Object {
                let $value = self;
                // SAFETY: the GIL is held, as the caller vouches.
                unsafe { $give }
            }
        }
    )*};
}

results! {
    (), |_nothing| { let none = ffi::Py_None(); ffi::Py_INCREF(none); none };
    c_int, |value| ffi::PyLong_FromLong(value.into());
    u32, |value| ffi::PyLong_FromLong(value.into());
    c_long, |value| ffi::PyLong_FromLong(value);
    u64, |value| ffi::PyLong_FromUnsignedLongLong(value);
    f64, |value| ffi::PyFloat_FromDouble(value);
}

macro_rules! argument {
    ($ty:ty, $object:expr, $callable:expr, $arguments:expr, $index:expr) => {{
        let argument = *$arguments.add($index);
        match <$ty>::take(argument, &$callable.parameters[$index]) {
            Ok(value) => value,
            Err(Failure::Type) if <$ty>::MORE => {
                return direct::<RELEASE>(
                    $object,
                    $arguments,
                    $callable.parameters.len() as _,
                    std::ptr::null_mut(),
                );
            }
            Err(failure) => return bad_argument($callable, $index, argument, failure),
        }
    }};
}

unsafe extern "C" fn stub0<R: Give, const RELEASE: bool>(
    object: Object,
    _arguments: *const Object,
    count: ffi::Py_ssize_t,
    keywords: Object,
) -> Object {
    // SAFETY: CPython calls this with the GIL and a builtin of ours, whose C function has this signature.
    unsafe {
        let callable = callable(object);
        if count != 0 || !keywords.is_null() {
            return bad_count(callable, count, !keywords.is_null());
        }
        let function: unsafe extern "C" fn() -> R = std::mem::transmute::<*const c_void, _>(callable.address);
        let result = without_gil::<RELEASE, _>(|| function());
        if any_pending() && raised() {
            return std::ptr::null_mut();
        }
        result.give()
    }
}

unsafe extern "C" fn stub1<A: Take, R: Give, const RELEASE: bool>(
    object: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    keywords: Object,
) -> Object {
    // SAFETY: as for stub0, with live arguments.
    unsafe {
        let callable = callable(object);
        if count != 1 || !keywords.is_null() {
            return bad_count(callable, count, !keywords.is_null());
        }
        let a = argument!(A, object, callable, arguments, 0);
        if callable.is_closed() {
            return refuse_closed(callable);
        }
        let function: unsafe extern "C" fn(A) -> R =
            std::mem::transmute::<*const c_void, _>(callable.address);
        let result = without_gil::<RELEASE, _>(|| function(a));
        if any_pending() && raised() {
            return std::ptr::null_mut();
        }
        result.give()
    }
}

unsafe extern "C" fn stub2<A: Take, B: Take, R: Give, const RELEASE: bool>(
    object: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    keywords: Object,
) -> Object {
    // SAFETY: as for stub1.
    unsafe {
        let callable = callable(object);
        if count != 2 || !keywords.is_null() {
            return bad_count(callable, count, !keywords.is_null());
        }
        let a = argument!(A, object, callable, arguments, 0);
        let b = argument!(B, object, callable, arguments, 1);
        if callable.is_closed() {
            return refuse_closed(callable);
        }
        let function: unsafe extern "C" fn(A, B) -> R =
            std::mem::transmute::<*const c_void, _>(callable.address);
        let result = without_gil::<RELEASE, _>(|| function(a, b));
        if any_pending() && raised() {
            return std::ptr::null_mut();
        }
        result.give()
    }
}

macro_rules! with_type {
    ($ty:ty, $name:ident => $body:expr) => {{
        type $name = $ty;
        $body
    }};
}

/// Runs the body with `$name` standing for the C type of a parameter, where there are stubs for it.
macro_rules! with_parameter {
    ($parameter:expr, $name:ident => $body:expr) => {
        match $parameter.plan {
            Plan::Integer(Scalar::I32) => with_type!(c_int, $name => $body),
            Plan::Integer(Scalar::U32) => with_type!(u32, $name => $body),
            Plan::Integer(Scalar::I64) => with_type!(c_long, $name => $body),
            Plan::Integer(Scalar::U64) => with_type!(u64, $name => $body),
            Plan::Double => with_type!(f64, $name => $body),
            Plan::Text(_) => with_type!(Text, $name => $body),
            Plan::Pointer(_) => with_type!(Data, $name => $body),
            _ => None,
        }
    };
}

/// The same for a result.
macro_rules! with_result {
    ($plan:expr, $name:ident => $body:expr) => {
        match $plan {
            ResultPlan::Void => with_type!((), $name => $body),
            ResultPlan::Integer(Scalar::I32) => with_type!(c_int, $name => $body),
            ResultPlan::Integer(Scalar::U32) => with_type!(u32, $name => $body),
            ResultPlan::Integer(Scalar::I64) => with_type!(c_long, $name => $body),
            ResultPlan::Integer(Scalar::U64) => with_type!(u64, $name => $body),
            ResultPlan::Double => with_type!(f64, $name => $body),
            _ => None,
        }
    };
}

macro_rules! some {
    ($release:expr, $stub:ident < $($ty:ty),* >) => {
        Some(if $release { $stub::<$($ty,)* true> as Entry } else { $stub::<$($ty,)* false> as Entry })
    };
}

/// The stub for a signature, if it has one.
pub fn find(parameters: &[Parameter], result: ResultPlan, release: bool) -> Option<Entry> {
    match parameters {
        [] => with_result!(result, R => some!(release, stub0<R>)),
        [a] => with_parameter!(a, A => with_result!(result, R => some!(release, stub1<A, R>))),
        [a, b] => with_parameter!(a, A => with_parameter!(b, B => {
            with_result!(result, R => some!(release, stub2<A, B, R>))
        })),
        _ => None,
    }
}
