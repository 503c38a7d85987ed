//! Where Python stands when it makes a call.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::isolation;
use crate::journal::{CallNumber, CallSite, Journal, Origin};
use crate::lane::{self, Place};
use crate::session::{self, Entered, LeakCheck};

/// A line of a code object; the object is kept alive so that its address stays its own.
type Line = (usize, c_int);

static KNOWN: Mutex<Option<HashMap<Line, u32>>> = Mutex::new(None);

thread_local! {
    static THREAD: Cell<Option<u32>> = const { Cell::new(None) };
    static TEST: Cell<(u32, Option<u32>)> = const { Cell::new((0, None)) };
}

/// The name of the test that runs now, and how often it has changed: so that a call need not ask for the name.
static RUNNING: Mutex<Option<String>> = Mutex::new(None);
static CHANGES: AtomicU32 = AtomicU32::new(0);

/// Names the test that makes the calls from now on.
pub fn set_test(name: Option<String>) {
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = name;
    CHANGES.fetch_add(1, Ordering::Release);
    lane::forget_origins();
}

/// Begins a call of which there is likely nothing to tell, the short way: its number and Valgrind's count. The GIL is
/// held.
#[inline(always)]
pub fn enter_shortly(declaration: u32, plain: bool) -> Option<(CallNumber, u64)> {
    let Running { code, instruction, .. } = Running::now();
    lane::enter(&Place { code: code as usize, instruction, declaration }, plain)
}

/// Enters a call that is made now in the session; `None` with an exception set, or without a session. The
/// GIL is held.
#[inline(never)]
pub fn enter(declaration: u32, leaks: LeakCheck) -> Option<Entered> {
    // SAFETY: only called from entries, with the GIL held.
    let py = unsafe { Python::assume_attached() };
    let frame = Running::now();
    let thread = match THREAD.get() {
        Some(thread) => thread,
        None => thread(py).map_err(|error| error.restore(py)).ok()?,
    };
    let Running { code, instruction, .. } = frame;
    let place = Place { code: code as usize, instruction, declaration };
    if let Some(origin) = lane::origin_at(&place, thread) {
        return Some(session::current()?.enter(origin, leaks));
    }
    let call_site = frame.call_site(py).map_err(|error| error.restore(py)).ok()?;
    let test = test();
    let mut session = session::current()?;
    let origin = session.set_origin_at(&place, Origin { declaration, call_site, test, thread });
    Some(session.enter(origin, leaks))
}

/// The origin of a call that is made now, for one of a function in a worker; `None` with an exception set. The
/// GIL is held.
pub fn origin(declaration: u32) -> Option<Origin> {
    // SAFETY: only called from entries, with the GIL held.
    let py = unsafe { Python::assume_attached() };
    let origin = Running::now().call_site(py).and_then(|call_site| {
        let thread = THREAD.get().map_or_else(|| thread(py), Ok)?;
        Ok(Origin { declaration, call_site, test: test(), thread })
    });
    origin.map_err(|error| error.restore(py)).ok()
}

/// Code of pythy's own between a program and the builtins: the call is made where that is called.
static STEPPED_OVER: Mutex<Option<HashSet<usize>>> = Mutex::new(None);
static ANY_STEPPED_OVER: AtomicBool = AtomicBool::new(false);

/// Makes these code objects, of pythy's own functions, no places where calls are made.
#[pyfunction]
pub fn step_over(codes: Vec<Py<PyAny>>) {
    let mut all = STEPPED_OVER.lock().unwrap_or_else(PoisonError::into_inner);
    // Kept alive, so that no other code has its address.
    let addresses = codes.into_iter().map(|code| code.into_ptr() as usize);
    all.get_or_insert_default().extend(addresses);
    ANY_STEPPED_OVER.store(true, Ordering::Relaxed);
}

/// Where the innermost Python code is that is not pythy's own. Both objects are borrowed: they run.
struct Running {
    frame: *mut ffi::PyFrameObject,
    code: *mut ffi::PyObject,
    instruction: c_int,
}

impl Running {
    #[inline(always)]
    fn now() -> Self {
        // SAFETY: the GIL is held; the frame is borrowed and runs.
        unsafe {
            let mut frame = ffi::PyEval_GetFrame();
            if frame.is_null() | ANY_STEPPED_OVER.load(Ordering::Relaxed) {
                frame = stepped_over(frame);
                if frame.is_null() {
                    return Self { frame, code: std::ptr::null_mut(), instruction: 0 };
                }
            }
            Self { frame, code: code_of(frame), instruction: instruction()(frame) }
        }
    }

    #[cold]
    fn call_site(&self, py: Python<'_>) -> PyResult<u32> {
        if self.frame.is_null() {
            return Ok(add(CallSite { file: "(no Python code)".into(), line: 0, function: String::new() }));
        }
        // SAFETY: the frame runs, and keeps its code.
        let (code, line) =
            unsafe { (Bound::from_borrowed_ptr(py, self.code), ffi::PyFrame_GetLineNumber(self.frame)) };
        known_or_new(&code, (self.code as usize, line))
    }
}

/// # Safety
/// The GIL is held, and the frame runs: it keeps its code.
#[inline(always)]
unsafe fn code_of(frame: *mut ffi::PyFrameObject) -> *mut ffi::PyObject {
    // SAFETY: as the caller vouches.
    unsafe {
        let code = ffi::PyFrame_GetCode(frame).cast();
        ffi::Py_DECREF(code);
        code
    }
}

/// The innermost frame, of this one and those around it, that is not stepped over; this one where there is none.
///
/// # Safety
/// The GIL is held, and the frame runs, if there is one.
#[cold]
unsafe fn stepped_over(innermost: *mut ffi::PyFrameObject) -> *mut ffi::PyFrameObject {
    let all = STEPPED_OVER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut frame = innermost;
    // SAFETY: as the caller vouches; a frame keeps the one around it, and both run.
    unsafe {
        while !frame.is_null() {
            let code = code_of(frame) as usize;
            if !all.as_ref().is_some_and(|all| all.contains(&code)) {
                return frame;
            }
            let around = ffi::PyObject_GetAttrString(frame.cast(), c"f_back".as_ptr());
            if around.is_null() {
                ffi::PyErr_Clear();
                return innermost;
            }
            ffi::Py_DECREF(around);
            frame = if around == ffi::Py_None() { std::ptr::null_mut() } else { around.cast() };
        }
    }
    innermost
}

type Instruction = unsafe extern "C" fn(*mut ffi::PyFrameObject) -> c_int;

/// What tells one call of a code object from another: the instruction, which is known at once, where this
/// CPython (3.11) tells it; else the line, which CPython has to count.
static INSTRUCTION: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// Finds out what this CPython tells. Done when the module is made, before any call.
pub fn find_instruction(py: Python<'_>) {
    let found = if py.version_info() >= (3, 11) {
        // SAFETY: asks the loader for a name.
        unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"PyFrame_GetLasti".as_ptr()) }
    } else {
        // Another CPython's function may be there all the same, where some library was linked with that.
        std::ptr::null_mut()
    };
    let line: Instruction = ffi::PyFrame_GetLineNumber;
    INSTRUCTION.store(if found.is_null() { line as *mut c_void } else { found }, Ordering::Relaxed);
}

#[inline(always)]
fn instruction() -> Instruction {
    // SAFETY: one of two functions of CPython's that take a frame and return an int.
    unsafe { std::mem::transmute::<*mut c_void, Instruction>(INSTRUCTION.load(Ordering::Relaxed)) }
}

fn known_or_new(code: &Bound<'_, PyAny>, key: Line) -> PyResult<u32> {
    if let Some(id) =
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|known| known.get(&key))
    {
        return Ok(*id);
    }
    let text = |name: &str| -> PyResult<String> {
        Ok(code.getattr(name)?.cast_into::<PyString>()?.to_string_lossy().into_owned())
    };
    let file = text("co_filename")?;
    let file = if file.starts_with('<') {
        file
    } else {
        std::path::absolute(&file).map_or(file, |path| path.display().to_string())
    };
    let function = text("co_qualname").or_else(|_| text("co_name"))?;
    let id = add(CallSite { file, line: u32::try_from(key.1).unwrap_or(0), function });
    std::mem::forget(code.clone().unbind());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.get_or_insert_default().insert(key, id);
    Ok(id)
}

/// The journal of this process; `None` where no calls are recorded.
pub fn journal<T>(with: impl FnOnce(&mut Journal) -> T) -> Option<T> {
    if let Some(mut session) = session::current() {
        return Some(with(session.journal()));
    }
    isolation::current().map(|mut isolation| with(isolation.journal()))
}

/// The test's id in the journal.
fn test() -> Option<u32> {
    let changes = CHANGES.load(Ordering::Acquire);
    let (known, id) = TEST.get();
    if known == changes {
        return id;
    }
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let id = running.as_ref().and_then(|name| journal(|journal| journal.add_test(name)));
    TEST.set((changes, id));
    id
}

fn add(call_site: CallSite) -> u32 {
    journal(|journal| journal.add_call_site(call_site)).unwrap_or(0)
}

#[cold]
fn thread(py: Python<'_>) -> PyResult<u32> {
    let name: String = py.import("threading")?.call_method0("current_thread")?.getattr("name")?.extract()?;
    let id = match session::current() {
        Some(mut session) => session.add_thread(&name),
        None => journal(|journal| journal.add_thread(&name)).unwrap_or(0),
    };
    THREAD.set(Some(id));
    Ok(id)
}
