//! Callables that C code in a worker calls.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use pyo3::exceptions::{PyKeyboardInterrupt, PyRecursionError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use super::gil;
use super::mirror;
use super::plan::Argument;
use super::thunk::{Data, TOO_DEEP};
use crate::call::{errno, stack};
use crate::isolation::{self, Entered};
use crate::worker::{CallbackCall, CallbackResult, Client, Hooks};
use crate::{Error, Result};

/// The callables that workers may call, by the numbers that they call them by.
static KNOWN: Mutex<Option<HashMap<u64, Weak<Data>>>> = Mutex::new(None);

/// A callable that a worker can call.
pub struct Summons {
    client: Client,
    id: u64,
    signature: u32,
    address: Option<usize>,
}

impl Summons {
    /// Makes a callable known under a new number; the worker knows its function type by `signature`.
    pub fn new(client: &Client, signature: u32, data: &Arc<Data>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_default().insert(id, Arc::downgrade(data));
        Self { client: client.clone(), id, signature, address: None }
    }

    /// As an argument: a function pointer for the time of the call.
    pub fn argument(&self) -> Argument {
        match self.address {
            Some(address) => Argument::Word(address as u64),
            None => Argument::Callable { id: self.id, signature: self.signature },
        }
    }

    /// A function pointer for C to keep.
    pub fn address(&mut self) -> Result<usize> {
        if let Some(address) = self.address {
            return Ok(address);
        }
        let address = self.client.make_callback(self.id, self.signature)?;
        self.address = Some(address);
        Ok(address)
    }

    /// The callable is known no longer.
    pub fn end(&mut self) {
        if let Some(known) = &mut *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) {
            known.remove(&self.id);
        }
        if self.address.is_some() {
            self.client.drop_callback(self.id);
        }
    }
}

fn known(id: u64) -> Option<Arc<Data>> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.as_ref()?.get(&id)?.upgrade()
}

/// What Python does while a call waits for its worker, without the GIL.
pub struct Attendance<'a> {
    state: *mut ffi::PyThreadState,
    /// What the first callback that raised has raised.
    pub raised: Option<PyErr>,
    /// The call; `None` where these are callbacks of a worker's other threads: no call can raise what they raise.
    entered: Option<&'a Entered>,
}

impl<'a> Attendance<'a> {
    /// Runs something that waits for a worker, without the GIL.
    ///
    /// # Safety
    /// The GIL is held, by a thread state of CPython's; `wait` touches no Python object.
    pub unsafe fn during<T>(
        entered: Option<&'a Entered>,
        wait: impl FnOnce(&mut Self) -> T,
    ) -> (T, Option<PyErr>) {
        // SAFETY: the GIL is held here, and again before this returns.
        unsafe {
            let mut attendance = Self { state: gil::give_away(), raised: None, entered };
            let result = wait(&mut attendance);
            gil::take_back(attendance.state);
            // A signal's handler has raised it, maybe.
            let pending = PyErr::take(Python::assume_attached());
            (result, pending.or(attendance.raised))
        }
    }

    /// Runs something with the GIL.
    fn attached<T>(&mut self, run: impl FnOnce(Python<'_>, &mut Self) -> T) -> T {
        // SAFETY: the state is what PyEval_SaveThread gave on this very thread.
        unsafe {
            gil::take_back(self.state);
            let result = run(Python::assume_attached(), self);
            self.state = gil::give_away();
            result
        }
    }
}

impl Attendance<'_> {
    /// Runs a callable; the bytes of its result, none where it raised. What is to end the worker is an error.
    fn answer(&mut self, py: Python<'_>, data: &Data, call: &CallbackCall) -> PyResult<Vec<u8>> {
        match run(py, data, call) {
            Ok(bytes) => return Ok(bytes),
            Err(error) if self.entered.is_none() => data.unraisable(py, error),
            Err(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => return Err(error),
            Err(error) if self.raised.is_none() => self.raised = Some(error),
            Err(_) => {}
        }
        Ok(Vec::new())
    }
}

impl Hooks for Attendance<'_> {
    fn callback(&mut self, call: CallbackCall) -> Result<CallbackResult> {
        if let Some(entered) = self.entered {
            isolation::begin().call_back(entered, call.count);
        }
        errno::set(call.errno);
        let bytes = self.attached(|py, this| {
            let Some(data) = known(call.id) else { return Ok(Vec::new()) };
            if !data.takes(&call.arguments) {
                let message = "it called back with other arguments than the callback's type has".to_owned();
                return Err(Error::WorkerNonsense { message });
            }
            let result = this.answer(py, &data, &call);
            // Ctrl-C ends a worker: one that calls back for ever would never return otherwise.
            let go_on = |bytes| match this.entered {
                Some(_) => py.check_signals().map(|()| bytes),
                None => Ok(bytes),
            };
            match result.and_then(go_on) {
                Ok(bytes) => Ok(bytes),
                Err(error) => {
                    this.raised = Some(error);
                    Err(Error::Interrupted)
                }
            }
        })?;
        Ok(CallbackResult { bytes, errno: errno::get() })
    }

    fn interrupted(&mut self) -> Result<()> {
        if self.entered.is_none() { Ok(()) } else { interrupted() }
    }
}

/// Runs a callable; the bytes of its result.
fn run(py: Python<'_>, data: &Data, call: &CallbackCall) -> PyResult<Vec<u8>> {
    let client = data.client();
    if stack::nearly_used_up() {
        return Err(PyRecursionError::new_err(TOO_DEEP));
    }
    client.map_or(Ok(()), mirror::fetch)?;
    let mut bytes = Vec::new();
    let arguments = call.arguments.iter().map(Vec::as_slice);
    data.call(py, arguments, |result| bytes.extend_from_slice(result))?;
    client.map_or(Ok(()), mirror::send)?;
    Ok(bytes)
}

/// Lets Python handle signals. What a handler raises is set as the exception.
pub fn interrupted() -> Result<()> {
    // SAFETY: may be called with and without the GIL, by a thread that Python knows: its state stays.
    unsafe {
        let state = gil::ensure();
        let handled = ffi::PyErr_CheckSignals();
        ffi::PyGILState_Release(state);
        if handled == 0 { Ok(()) } else { Err(Error::Interrupted) }
    }
}

/// Runs the callbacks that come on threads of C's own, until the worker ends.
pub fn serve_other_threads(py: Python<'_>, client: &Client) -> PyResult<()> {
    if !client.begin_serving() {
        return Ok(());
    }
    let ours = Mutex::new(Some(client.observer()));
    let serve = move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        let client = ours.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(client) = client {
            // SAFETY: the GIL is held, and the client touches no Python object. That it ends is no news: whoever
            // calls the worker is told.
            let _ = unsafe { Attendance::during(None, |hooks| client.serve_callbacks(hooks)) };
        }
    };
    let serve = PyCFunction::new_closure(py, Some(c"serve_callbacks"), None, serve)?;
    let keywords = PyDict::new(py);
    keywords.set_item("target", serve)?;
    keywords.set_item("name", format!("pythy callbacks of worker {}", client.pid()))?;
    keywords.set_item("daemon", true)?;
    let thread = py.import("threading")?.getattr("Thread")?.call((), Some(&keywords))?;
    thread.call_method0("start")?;
    let busy = |thread: &Py<PyAny>| {
        thread.call_method0(py, "is_alive").is_ok_and(|alive| alive.is_truthy(py).unwrap_or(true))
    };
    // Not under the lock: another thread may want it while Python runs.
    let mut servants = std::mem::take(&mut *SERVANTS.lock().unwrap_or_else(PoisonError::into_inner));
    servants.retain(busy);
    servants.push(thread.unbind());
    SERVANTS.lock().unwrap_or_else(PoisonError::into_inner).append(&mut servants);
    Ok(())
}

/// The threads that serve.
static SERVANTS: Mutex<Vec<Py<PyAny>>> = Mutex::new(Vec::new());

/// Waits for the threads that serve, once their workers have been closed: Python must not end under them.
pub fn dismiss(py: Python<'_>) -> PyResult<()> {
    /// Seconds. A callback may take its time.
    const LONGEST: u32 = 5;
    let servants = std::mem::take(&mut *SERVANTS.lock().unwrap_or_else(PoisonError::into_inner));
    servants.iter().try_for_each(|thread| thread.call_method1(py, "join", (LONGEST,)).map(drop))
}
