//! Callables that C code in a worker calls.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use pyo3::ffi;
use pyo3::prelude::*;

use super::callback::Data;
use super::plan::Argument;
use crate::call::errno;
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
pub struct Attendance {
    state: *mut ffi::PyThreadState,
    /// What the first callback that raised has raised.
    pub raised: Option<PyErr>,
    /// Whether it is for callbacks of the worker's other threads, whose exceptions no call can raise.
    unattended: bool,
}

impl Attendance {
    /// Runs something that waits for a worker, without the GIL.
    ///
    /// # Safety
    /// The GIL is held, by a thread state of CPython's; `wait` touches no Python object.
    pub unsafe fn during<T>(unattended: bool, wait: impl FnOnce(&mut Self) -> T) -> (T, Option<PyErr>) {
        // SAFETY: the GIL is held here, and again before this returns.
        unsafe {
            let mut attendance = Self { state: ffi::PyEval_SaveThread(), raised: None, unattended };
            let result = wait(&mut attendance);
            ffi::PyEval_RestoreThread(attendance.state);
            (result, attendance.raised)
        }
    }

    /// Runs something with the GIL.
    fn attached<T>(&mut self, run: impl FnOnce(Python<'_>, &mut Self) -> T) -> T {
        // SAFETY: the state is what PyEval_SaveThread gave on this very thread.
        unsafe {
            ffi::PyEval_RestoreThread(self.state);
            let result = run(Python::assume_attached(), self);
            self.state = ffi::PyEval_SaveThread();
            result
        }
    }
}

impl Hooks for Attendance {
    fn callback(&mut self, call: CallbackCall) -> Result<CallbackResult> {
        errno::set(call.errno);
        let bytes = self.attached(|py, this| {
            let Some(data) = known(call.id) else { return Vec::new() };
            let mut bytes = Vec::new();
            let arguments = call.arguments.iter().map(Vec::as_slice);
            match data.call(py, arguments, |result| bytes.extend_from_slice(result)) {
                Ok(()) => return bytes,
                Err(error) if this.unattended => data.unraisable(py, error),
                Err(error) if this.raised.is_none() => this.raised = Some(error),
                Err(_) => {}
            }
            Vec::new()
        });
        Ok(CallbackResult { bytes, errno: errno::get() })
    }

    fn interrupted(&mut self) -> Result<()> {
        self.attached(|_, _| interrupted())
    }
}

/// Lets Python handle signals; the GIL is held. What a handler raises is set as the exception.
pub fn interrupted() -> Result<()> {
    // SAFETY: the GIL is held, as the caller vouches.
    if unsafe { ffi::PyErr_CheckSignals() } == 0 { Ok(()) } else { Err(Error::Interrupted) }
}
