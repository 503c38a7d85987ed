//! The GIL, where it is given away and taken back in the middle of foreign calls.
//!
//! A thread that wants the GIL while the interpreter ends is ended by CPython up to 3.13, with `pthread_exit`. That would
//! unwind the frames of Rust and of C that the thread is in, which are not made for it, and abort the process. Here such a
//! thread waits for ever instead, as CPython itself has it wait from 3.14 on.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// What PyO3 declares as functions that do not unwind.
mod unwinding {
    use pyo3::ffi::{PyGILState_STATE, PyObject, PyThreadState};

    unsafe extern "C-unwind" {
        pub fn PyEval_RestoreThread(state: *mut PyThreadState);
        pub fn PyGILState_Ensure() -> PyGILState_STATE;
        pub fn PyObject_CallObject(function: *mut PyObject, arguments: *mut PyObject) -> *mut PyObject;
    }
}

/// Stops the unwinding of a thread that is being ended.
struct Stop;

impl Drop for Stop {
    fn drop(&mut self) {
        while !std::thread::panicking() {
            // SAFETY: has no preconditions.
            unsafe { libc::pause() };
        }
    }
}

/// Runs what may end the thread.
#[inline(always)]
fn staying<T>(run: impl FnOnce() -> T) -> T {
    let stop = Stop;
    let result = run();
    std::mem::forget(stop);
    result
}

/// Gives the GIL away.
///
/// # Safety
/// It is held.
#[inline(always)]
pub unsafe fn give_away() -> *mut ffi::PyThreadState {
    // SAFETY: as the caller vouches.
    unsafe { ffi::PyEval_SaveThread() }
}

/// Takes it back.
///
/// # Safety
/// The state is what [`give_away`] gave, on this thread.
#[inline(always)]
pub unsafe fn take_back(state: *mut ffi::PyThreadState) {
    // SAFETY: as the caller vouches.
    staying(|| unsafe { unwinding::PyEval_RestoreThread(state) });
}

/// Takes it on any thread, whether Python knows it or not, and whether it has it or not; `PyGILState_Release` ends that.
///
/// # Safety
/// The interpreter has been started.
pub unsafe fn ensure() -> ffi::PyGILState_STATE {
    // SAFETY: as the caller vouches.
    staying(|| unsafe { unwinding::PyGILState_Ensure() })
}

/// Calls a callable, which may give the GIL away.
pub fn call<'py>(
    function: &Bound<'py, PyAny>,
    arguments: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the GIL is held, and these are a callable and a tuple.
    unsafe {
        let result = staying(|| unwinding::PyObject_CallObject(function.as_ptr(), arguments.as_ptr()));
        Bound::from_owned_ptr_or_err(function.py(), result)
    }
}

/// Runs something that waits and touches no Python object, without the GIL, which is held.
pub fn without_gil<T>(wait: impl FnOnce() -> T) -> T {
    // SAFETY: the GIL is held, so this thread has a state, and it is the one that is given back. Not PyO3's own
    // way: it does not know that the entries hold the GIL.
    unsafe {
        let state = give_away();
        let result = wait();
        take_back(state);
        result
    }
}
