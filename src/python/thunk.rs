//! Function pointers that run Python callables.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use libffi::low;
use libffi::middle::{Cif, Closure};
use pyo3::exceptions::PyRecursionError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::ctype::{CType, Shape, Types};
use super::gil::{self, without_gil};
use super::home::Home;
use super::owned::Owned;
use super::place::{Place, value_of};
use super::plan::Argument;
use super::raised;
use super::summons::Summons;
use crate::call::errno::{self, Errno};
use crate::call::stack;
use crate::session;
use crate::worker::Client;

/// A function pointer, and what it needs.
pub struct Thunk {
    code: Code,
    data: Option<Arc<Data>>,
}

/// Whose the code is that C calls.
enum Code {
    /// A closure of libffi's in this process. `None` when it is gone, which is before its data go.
    Here(Option<Closure<'static>>),
    /// A closure in a worker, which calls back from there.
    There(Summons),
}

/// What a callable has to know when C calls it.
pub struct Data {
    function: Py<PyAny>,
    parameters: Vec<Arc<CType>>,
    result: Option<Arc<CType>>,
    types: Arc<Types>,
    home: Home,
    keep: Keep,
    /// Memory of results that C may still look at.
    results: Mutex<Vec<Arc<Owned>>>,
}

/// How long what a result points to is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Until the next call of the callback.
    Last,
    /// As long as the thunk, which is one foreign call.
    All,
}

// SAFETY: the closure and its data are made once and only read; Python objects in it are touched
// with the GIL held.
unsafe impl Send for Thunk {}
// SAFETY: as above.
unsafe impl Sync for Thunk {}

/// What is said where callbacks are nested too deeply.
pub const TOO_DEEP: &str = "callbacks are nested so deeply that the C stack is nearly used up";

/// How many callbacks are in Python, under the GIL that guards this number.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Whether some callback is running.
pub fn any_running() -> bool {
    RUNNING.load(Ordering::Relaxed) > 0
}

impl Thunk {
    /// One that C code of this process can call.
    pub fn here(cif: Cif, data: Arc<Data>) -> Self {
        // SAFETY: the thunk keeps the data until the closure is gone.
        let forever = unsafe { &*Arc::as_ptr(&data) };
        Self { code: Code::Here(Some(Closure::new(cif, run, forever))), data: Some(data) }
    }

    /// One that C code of a worker can call.
    pub fn there(summons: Summons, data: Arc<Data>) -> Self {
        Self { code: Code::There(summons), data: Some(data) }
    }

    /// The function pointer for C to keep.
    pub fn address(&mut self) -> PyResult<usize> {
        match &mut self.code {
            Code::There(summons) => Ok(without_gil(|| summons.address())?),
            Code::Here(_) => Ok(self.address_here()),
        }
    }

    fn address_here(&self) -> usize {
        match &self.code {
            Code::Here(Some(closure)) => *closure.code_ptr() as *const c_void as usize,
            _ => 0,
        }
    }

    /// The function pointer for the time of a call.
    pub fn argument(&self) -> Argument {
        match &self.code {
            Code::There(summons) => summons.argument(),
            Code::Here(_) => Argument::Word(self.address_here() as u64),
        }
    }

    /// The callable.
    pub fn function(&self) -> Option<&Py<PyAny>> {
        self.data.as_ref().map(|data| &data.function)
    }
}

impl Drop for Thunk {
    fn drop(&mut self) {
        match &mut self.code {
            Code::Here(closure) => drop(closure.take()),
            Code::There(summons) => summons.end(),
        }
        if let Some(data) = self.data.take() {
            // SAFETY: thunks go with the GIL held.
            unsafe { let_go(data) };
        }
    }
}

/// Drops the data, unless they are still needed.
///
/// # Safety
/// The GIL is held, maybe in an entry that PyO3 does not know of.
unsafe fn let_go(data: Arc<Data>) {
    let Some(data) = Arc::into_inner(data) else { return };
    forget(data.results.into_inner().unwrap_or_else(PoisonError::into_inner));
    // SAFETY: as the caller vouches; the reference is dropped as one who has the GIL does.
    unsafe { drop(data.function.into_bound(Python::assume_attached())) };
}

/// Drops results with the GIL held; PyO3, which may not know that it is, is told.
fn forget(results: Vec<Arc<Owned>>) {
    if !results.is_empty() {
        Python::attach(|_| drop(results));
    }
}

/// Where libffi enters. What the callable raises waits for the foreign call that got us here.
unsafe extern "C" fn run(
    _cif: &low::ffi_cif,
    result: &mut MaybeUninit<u64>,
    arguments: *const *const c_void,
    data: &Data,
) {
    let result = result.as_mut_ptr().cast::<u8>();
    // SAFETY: libffi has room for the closure's result there.
    unsafe { result.write_bytes(0, data.result_size()) };
    errno::keep();
    // Errors of the interpreter's own in here are not the C code's.
    let outside = session::enter_python();
    let held = raised::set_aside();
    // SAFETY: may be called without the GIL: it looks only at this thread.
    let called_from_python = unsafe { !ffi::PyGILState_GetThisThreadState().is_null() };
    // Not PyO3's own attach: it counts by thread, and does not see the entries let go of the GIL.
    // SAFETY: the GIL is taken here and given back below; libffi hands over one pointer per
    // parameter of the closure's type.
    unsafe {
        let state = gil::ensure();
        let py = Python::assume_attached();
        // The callable may let go of its own callback.
        Arc::increment_strong_count(data);
        let data = Arc::from_raw(std::ptr::from_ref(data));
        RUNNING.fetch_add(1, Ordering::Relaxed);
        session::read_caller(outside.as_ref());
        let outcome = if stack::nearly_used_up() {
            Err(PyRecursionError::new_err(TOO_DEEP))
        } else {
            let bytes = |(index, ty): (usize, &Arc<CType>)| {
                let address = (*arguments.add(index)).cast::<u8>();
                std::slice::from_raw_parts(address, ty.size.unwrap_or(0))
            };
            let arguments = data.parameters.iter().enumerate().map(bytes);
            data.call(py, arguments, |bytes| result.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()))
        };
        match outcome {
            Ok(()) => {}
            Err(error) if !called_from_python => error.write_unraisable(py, Some(data.function.bind(py))),
            Err(error) if held.is_none() => raised::leave(error),
            Err(_) => {}
        }
        RUNNING.fetch_sub(1, Ordering::Relaxed);
        let_go(data);
        session::read_python(outside.as_ref());
        ffi::PyGILState_Release(state);
    }
    if let Some(first) = held {
        raised::put_back(first);
    }
    session::leave_python(outside);
    // Python's own work is not to be seen in C's errno, what its foreign calls left is.
    let _ = Errno::restore();
}

impl Data {
    /// For a callable with these parameters, and a result if it has one, that C code of `home` calls.
    pub fn new(
        function: &Bound<'_, PyAny>,
        (parameters, result): (Vec<Arc<CType>>, Option<Arc<CType>>),
        (types, home): (Arc<Types>, Home),
        keep: Keep,
    ) -> Self {
        let function = function.clone().unbind();
        Self { function, parameters, result, types, home, keep, results: Mutex::default() }
    }

    /// Runs the callable on the bytes of its arguments; `put` takes those of its result.
    pub fn call<'a>(
        &self,
        py: Python<'_>,
        arguments: impl Iterator<Item = &'a [u8]>,
        put: impl FnMut(&[u8]),
    ) -> PyResult<()> {
        let mut values = Vec::with_capacity(self.parameters.len());
        for (ty, bytes) in self.parameters.iter().zip(arguments) {
            values.push(value_of(py, ty, (&self.types, &self.home), bytes)?);
        }
        let value = gil::call(self.function.bind(py), &PyTuple::new(py, values)?)?;
        self.give(&value, put)
    }

    /// Whether these are the bytes of its arguments.
    pub fn takes(&self, arguments: &[Vec<u8>]) -> bool {
        let size = |ty: &Arc<CType>| ty.size.unwrap_or(0);
        arguments.iter().map(Vec::len).eq(self.parameters.iter().map(size))
    }

    /// The worker whose C code calls it, if one does.
    pub fn client(&self) -> Option<&Client> {
        self.home.client()
    }

    /// Tells of an exception that no call can raise.
    pub fn unraisable(&self, py: Python<'_>, error: PyErr) {
        error.write_unraisable(py, Some(self.function.bind(py)));
    }

    /// How much libffi has room for: scalars are widened to a word.
    fn result_size(&self) -> usize {
        match &self.result {
            Some(ty) => ty.size.unwrap_or(0).max(size_of::<u64>()),
            None => 0,
        }
    }

    /// What the callable returned, as C has it. What a void function returns is nobody's.
    fn give(&self, value: &Bound<'_, PyAny>, mut put: impl FnMut(&[u8])) -> PyResult<()> {
        const WHAT: &str = "a callback's result";
        let Some(ty) = &self.result else { return Ok(()) };
        match &ty.shape {
            Shape::Scalar { scalar, plan, .. } if !plan.is_pointer() => {
                let place = Place::of_c(0, ty.clone(), self.types.clone(), self.home.clone());
                let word = place.word_of(WHAT, value)?;
                put(&scalar.word(word, word).to_ne_bytes());
            }
            shape => {
                let place = Place::allocate(ty.clone(), self.types.clone())?;
                place.initialise(WHAT, value)?;
                match shape {
                    Shape::Scalar { scalar, .. } => put(&place.word(*scalar)?.to_ne_bytes()),
                    _ => put(&place.bytes(ty.size.unwrap_or(0))?),
                }
                self.keep_result(place);
            }
        }
        Ok(())
    }

    /// Keeps what a result points to.
    fn keep_result(&self, place: Place) {
        let Some(owner) = place.owner.filter(|owner| owner.keeps_objects()) else { return };
        let before = {
            let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
            let before = if self.keep == Keep::Last { std::mem::take(&mut *results) } else { Vec::new() };
            results.push(owner);
            before
        };
        forget(before);
    }
}
