//! Where Python stands when it makes a call.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::journal::{CallSite, Journal, Origin};
use crate::{isolation, session};

/// A line of a code object; the object is kept alive so that its address stays its own.
type Line = (usize, c_int);

struct Known {
    ids: HashMap<Line, u32>,
}

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

thread_local! {
    static LAST: Cell<(Line, u32)> = const { Cell::new(((0, 0), 0)) };
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
}

/// The origin of a call that is made now; `None` with an exception set. The GIL is held.
pub fn origin(declaration: u32) -> Option<Origin> {
    // SAFETY: only called from entries, with the GIL held.
    let py = unsafe { Python::assume_attached() };
    let origin = call_site(py)
        .and_then(|call_site| Ok(Origin { declaration, call_site, test: test(), thread: thread(py)? }));
    origin.map_err(|error| error.restore(py)).ok()
}

fn call_site(py: Python<'_>) -> PyResult<u32> {
    // SAFETY: the GIL is held; the frame is borrowed and runs, the code is a new reference.
    let (code, line) = unsafe {
        let frame = ffi::PyEval_GetFrame();
        if frame.is_null() {
            return Ok(add(CallSite { file: "(no Python code)".into(), line: 0, function: String::new() }));
        }
        let code = ffi::PyFrame_GetCode(frame);
        (Bound::from_owned_ptr(py, code.cast()), ffi::PyFrame_GetLineNumber(frame))
    };
    let key = (code.as_ptr() as usize, line);
    let (last, id) = LAST.get();
    if last == key {
        return Ok(id);
    }
    let id = known_or_new(&code, key)?;
    LAST.set((key, id));
    Ok(id)
}

fn known_or_new(code: &Bound<'_, PyAny>, key: Line) -> PyResult<u32> {
    if let Some(id) =
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|known| known.ids.get(&key))
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
    known.get_or_insert_with(|| Known { ids: HashMap::new() }).ids.insert(key, id);
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

fn thread(py: Python<'_>) -> PyResult<u32> {
    if let Some(id) = THREAD.get() {
        return Ok(id);
    }
    let name: String = py.import("threading")?.call_method0("current_thread")?.getattr("name")?.extract()?;
    let id = journal(|journal| journal.add_thread(&name)).unwrap_or(0);
    THREAD.set(Some(id));
    Ok(id)
}
