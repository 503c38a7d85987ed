//! What callbacks have raised, for the calls that got them run.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;

/// How many threads have an exception of a callback to raise: calls look at it when they end.
static PENDING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static EXCEPTION: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Whether some call has to raise what a callback raised.
#[inline(always)]
pub fn any_pending() -> bool {
    pending() != 0
}

/// How many threads' calls have to.
#[inline(always)]
pub fn pending() -> u64 {
    PENDING.load(Ordering::Relaxed) as u64
}

/// Leaves an exception for the call that ends next on this thread.
pub fn leave(error: PyErr) {
    put_back(error);
    PENDING.fetch_add(1, Ordering::Relaxed);
}

/// Takes this thread's exception, if a callback left one.
#[cold]
pub fn take_exception() -> Option<PyErr> {
    let exception = set_aside()?;
    PENDING.fetch_sub(1, Ordering::Relaxed);
    Some(exception)
}

/// The exception that a callback before this one left for the same call: the calls that this one makes are not to
/// raise it.
pub fn set_aside() -> Option<PyErr> {
    EXCEPTION.with_borrow_mut(Option::take)
}

/// The end of that.
pub fn put_back(error: PyErr) {
    EXCEPTION.with_borrow_mut(|exception| *exception = Some(error));
}
