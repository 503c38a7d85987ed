//! Where CPython enters for native calls: one function per route. They do what a C extension does: check the count,
//! convert, call, convert back.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::ffi;

use super::buffer::Views;
use super::callable::{Entry, callable};
use super::convert::to_c;
use super::failure::{bad_argument, bad_count, refuse_closed};
use super::gil;
use super::home::Home;
use super::plan::{Argument, Failure, Parameter, ResultPlan};
use super::raised::{any_pending, take_exception};
use super::stub::{self, Under};
use super::thunk;
use crate::binding::{Place, Registers, Route};
use crate::call::errno::Errno;
use crate::call::{call_for_float, call_for_integer};

type Object = *mut ffi::PyObject;

/// The entry for native calls of this signature.
pub fn native(route: Route, plans: (&[Parameter], ResultPlan), release_gil: bool) -> Entry {
    if let Some(entry) = stub::find(plans.0, plans.1, Under::Nothing { release: release_gil }) {
        return entry;
    }
    match (route, release_gil) {
        (Route::Direct, false) => direct::<false>,
        (Route::Direct, true) => direct::<true>,
        (Route::Libffi, false) => libffi::<false>,
        (Route::Libffi, true) => libffi::<true>,
    }
}

/// Sets the exception that a callback on this thread left for the call that is over.
#[cold]
pub fn raised() -> bool {
    match take_exception() {
        Some(error) => {
            // SAFETY: only called from entries, with the GIL held.
            let py = unsafe { pyo3::Python::assume_attached() };
            error.restore(py);
            true
        }
        None => false,
    }
}

/// Calls that run without the GIL, which guards this number.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Whether C code is running anywhere below Python: without the GIL, or in a callback.
pub fn any_running() -> bool {
    RUNNING.load(Ordering::Relaxed) > 0 || thunk::any_running()
}

/// Runs the call with `errno` of this thread's calls, without the GIL when `RELEASE`.
///
/// # Safety
/// The GIL is held; `call` touches no Python object.
#[inline(always)]
pub unsafe fn without_gil<const RELEASE: bool, T>(call: impl FnOnce() -> T) -> T {
    let call = || {
        let errno = Errno::restore();
        let result = call();
        errno.keep();
        result
    };
    if !RELEASE {
        return call();
    }
    // SAFETY: the GIL is held here, and is held again before anything of Python's is touched.
    unsafe {
        RUNNING.store(RUNNING.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let state = gil::give_away();
        let result = call();
        gil::take_back(state);
        RUNNING.store(RUNNING.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        result
    }
}

/// The entry for native calls whose arguments fit the registers.
///
/// # Safety
/// Called by CPython, or with what CPython gave a stub.
pub unsafe extern "C" fn direct<const RELEASE: bool>(
    object: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    keywords: Object,
) -> Object {
    // SAFETY: CPython calls this with the GIL, live arguments and a builtin of ours; the places
    // of all arguments are registers, or this would not be the route.
    unsafe {
        let callable = callable(object);
        if count as usize != callable.parameters.len() || !keywords.is_null() {
            return bad_count(callable, count, !keywords.is_null());
        }
        let (mut integers, mut floats) = ([0; Registers::INTEGERS], [0; Registers::FLOATS]);
        let mut views = Views::new();
        let places = callable.parameters.iter().zip(&callable.registers.places);
        for (index, (parameter, place)) in places.enumerate() {
            let argument = *arguments.add(index);
            let word = match to_c(&parameter.plan, argument, &mut views) {
                Ok(Argument::Word(word)) => word,
                Ok(Argument::Memory { address, .. }) => address as u64,
                Ok(Argument::Record(_) | Argument::Callable { .. }) => {
                    return bad_argument(callable, index, argument, Failure::Type);
                }
                Err(failure) => return bad_argument(callable, index, argument, failure),
            };
            match *place {
                Place::Integer(n) => integers[usize::from(n)] = word,
                Place::Float(n) => floats[usize::from(n)] = word,
                Place::Stack(_) => {}
            }
        }
        if callable.is_closed() {
            return refuse_closed(callable);
        }
        let result = callable.signature.result;
        let word = without_gil::<RELEASE, _>(|| {
            if result.is_float() {
                result.word(0, call_for_float(callable.address, &integers, &floats))
            } else {
                result.word(call_for_integer(callable.address, &integers, &floats), 0)
            }
        });
        if any_pending() && raised() {
            return std::ptr::null_mut();
        }
        callable.give(word, &Home::Native)
    }
}

unsafe extern "C" fn libffi<const RELEASE: bool>(
    object: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    keywords: Object,
) -> Object {
    // SAFETY: as in `direct`.
    unsafe {
        let callable = callable(object);
        if count as usize != callable.parameters.len() || !keywords.is_null() {
            return bad_count(callable, count, !keywords.is_null());
        }
        let mut views = Views::new();
        let mut words = Vec::with_capacity(callable.parameters.len());
        for (index, parameter) in callable.parameters.iter().enumerate() {
            let argument = *arguments.add(index);
            words.push(match to_c(&parameter.plan, argument, &mut views) {
                Ok(Argument::Word(word)) => word,
                Ok(Argument::Memory { address, .. }) => address as u64,
                Ok(Argument::Record(_) | Argument::Callable { .. }) => {
                    return bad_argument(callable, index, argument, Failure::Type);
                }
                Err(failure) => return bad_argument(callable, index, argument, failure),
            });
        }
        if callable.is_closed() {
            return refuse_closed(callable);
        }
        let word = without_gil::<RELEASE, _>(|| callable.call_by_libffi(&words));
        if any_pending() && raised() {
            return std::ptr::null_mut();
        }
        callable.give(word, &Home::Native)
    }
}
