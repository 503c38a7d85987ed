//! What the interpreter is about to do that Valgrind has to be ready for.

use std::ffi::{CStr, c_char, c_int, c_void};

use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use crate::valgrind::{self, Presence, heap};

type Hook = unsafe extern "C" fn(*const c_char, *mut PyObject, *mut c_void) -> c_int;
type AddHook = unsafe extern "C" fn(Hook, *mut c_void) -> c_int;

/// Listens to the interpreter's audit events, under Valgrind. The function is CPython's own since 3.8, and not in the
/// limited API.
pub fn listen() {
    if valgrind::running() != Presence::Valgrind {
        return;
    }
    // SAFETY: asks the loader for a name, which only stands for this function.
    unsafe {
        let found = libc::dlsym(libc::RTLD_DEFAULT, c"PySys_AddAuditHook".as_ptr());
        if !found.is_null() {
            std::mem::transmute::<*mut c_void, AddHook>(found)(hear, std::ptr::null_mut());
        }
    }
}

/// Valgrind needs addresses itself when there are to be fewer.
unsafe extern "C" fn hear(event: *const c_char, arguments: *mut PyObject, _: *mut c_void) -> c_int {
    // SAFETY: CPython gives the event's name.
    let resource = match unsafe { CStr::from_ptr(event) } {
        name if name == c"resource.setrlimit" => 0,
        name if name == c"resource.prlimit" => 1,
        _ => return 0,
    };
    // SAFETY: CPython has the GIL, and gives a tuple; of `prlimit` the process comes first.
    let arguments = unsafe { Bound::from_borrowed_ptr(Python::assume_attached(), arguments) };
    let which = arguments.get_item(resource).and_then(|which| which.extract::<u32>());
    if which.is_ok_and(|which| which == libc::RLIMIT_AS) && !sets_nothing(&arguments, resource + 1) {
        heap::release();
    }
    0
}

/// Whether the limits at this index are none: `prlimit` without any only asks.
fn sets_nothing(arguments: &Bound<'_, PyAny>, index: usize) -> bool {
    arguments.get_item(index).is_ok_and(|limits| limits.is_none())
}
