//! Python callables as C function pointers.

use std::cell::RefCell;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use libffi::low;
use libffi::middle::{Cif, Closure};
use pyo3::exceptions::{PyRecursionError, PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::ctype::{CType, Shape, Types};
use super::exceptions::new_argument_error;
use super::place::{Owned, Place, value_of};
use super::plan::Failure;
use super::types::TypeId;
use crate::binding::Passing;
use crate::call::errno::{self, Errno};
use crate::call::stack;
use crate::call::{ffi_parameter, ffi_result};
use crate::model::{FunctionType, Type, TypeKind};
use crate::session;

/// What C code gives to and takes from a function of one type.
pub struct CallbackType {
    /// The function type's number.
    pub id: TypeId,
    name: String,
    function: FunctionType,
    types: Weak<Types>,
}

/// A function pointer that runs a Python callable, for as long as this object lives.
///
/// Made by @lib.callback("name of the type"): for C code that keeps the pointer beyond the call. What
/// its result points to, text or a buffer or a record, is kept until it is called again.
#[pyclass(frozen, module = "pythy")]
pub struct Callback {
    id: TypeId,
    function: FunctionType,
    address: usize,
    thunk: Mutex<Option<Thunk>>,
}

/// A closure of libffi's and what it needs.
pub struct Thunk {
    // Dropped before the data that it points to.
    closure: Option<Closure<'static>>,
    data: *mut Data,
}

struct Data {
    function: Py<PyAny>,
    parameters: Vec<Arc<CType>>,
    result: Option<Arc<CType>>,
    types: Arc<Types>,
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

/// How many threads have an exception of a callback to raise: calls look at it when they end.
static PENDING: AtomicUsize = AtomicUsize::new(0);

/// How many callbacks are in Python, under the GIL that guards this number.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Whether some callback is running.
pub fn any_running() -> bool {
    RUNNING.load(Ordering::Relaxed) > 0
}

thread_local! {
    static EXCEPTION: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

impl CallbackType {
    /// The callback type of a function pointer; `None` for other types.
    pub fn of(ty: &Type, types: &Weak<Types>) -> Option<Arc<Self>> {
        let TypeKind::FunctionPointer(function) = &ty.kind else { return None };
        let name = ty.canonical();
        let function = (**function).clone();
        Some(Arc::new(Self { id: TypeId::of(&function.canonical()), name, function, types: types.clone() }))
    }

    /// A function pointer to `function`.
    pub fn thunk(&self, function: &Bound<'_, PyAny>, keep: Keep) -> PyResult<Thunk> {
        let refuse = |what: String| {
            new_argument_error(
                function.py(),
                format!("a callback of type '{}' cannot be made: {what}", self.name),
            )
        };
        let types = self.types.upgrade().ok_or_else(|| refuse("its interface is gone".to_owned()))?;
        if self.function.variadic {
            return Err(refuse("it is variadic".to_owned()));
        }
        let travels = |ty: &Type, as_libffi_has_it: fn(&Passing) -> Result<libffi::middle::Type, String>| {
            let passing = types.passing(ty).and_then(|passing| as_libffi_has_it(&passing));
            passing.map_err(|what| refuse(format!("it has {what}")))
        };
        let parameters = self.function.parameters.iter().map(|ty| travels(ty, ffi_parameter));
        let parameters = parameters.collect::<PyResult<Vec<_>>>()?;
        let cif = Cif::new(parameters, travels(&self.function.result, ffi_result)?);
        let has_result = self.function.result.kind != TypeKind::Void;
        let data = Box::into_raw(Box::new(Data {
            function: function.clone().unbind(),
            parameters: self.function.parameters.iter().map(|ty| types.get(ty)).collect(),
            result: has_result.then(|| types.get(&self.function.result)),
            types,
            keep,
            results: Mutex::default(),
        }));
        // SAFETY: the data lives until the thunk is dropped, after the closure.
        let closure = Closure::new(cif, run, unsafe { &*data });
        Ok(Thunk { closure: Some(closure), data })
    }

    /// The number of the type, and the thunk's address, of a callable given as an argument.
    pub fn convert(&self, object: &Bound<'_, PyAny>) -> Result<Given, Failure> {
        if let Ok(callback) = object.cast::<Callback>() {
            let callback = callback.get();
            return if callback.id == self.id || interchangeable(&callback.function, &self.function) {
                Ok(Given::Address(callback.address))
            } else {
                Err(Failure::WrongTarget(callback.id))
            };
        }
        if !object.is_callable() {
            return Err(Failure::Type);
        }
        match self.thunk(object, Keep::All) {
            Ok(thunk) => Ok(Given::Thunk(thunk)),
            Err(error) => {
                error.restore(object.py());
                Err(Failure::Raised)
            }
        }
    }
}

/// Whether a function of one type serves for the other: where the one has `void *`, or the pointer to
/// another type of single bytes, so that it takes the address where a `char *` would be read as text.
fn interchangeable(one: &FunctionType, other: &FunctionType) -> bool {
    let is_byte = |ty: &Type| matches!(&ty.kind, TypeKind::Integer(integer) if integer.size() == 1);
    let alike = |one: &Type, other: &Type| match (&one.kind, &other.kind) {
        (TypeKind::Pointer(a), TypeKind::Pointer(b)) => {
            a.kind == TypeKind::Void
                || b.kind == TypeKind::Void
                || (is_byte(a) && is_byte(b))
                || a.canonical() == b.canonical()
        }
        _ => one.canonical() == other.canonical(),
    };
    one.variadic == other.variadic
        && one.parameters.len() == other.parameters.len()
        && one.parameters.iter().zip(&other.parameters).all(|(one, other)| alike(one, other))
        && alike(&one.result, &other.result)
}

/// A callable as a function pointer.
pub enum Given {
    /// Of a callback object that somebody keeps.
    Address(usize),
    /// New: to be kept for the call.
    Thunk(Thunk),
}

impl Thunk {
    /// The function pointer.
    pub fn address(&self) -> usize {
        self.closure.as_ref().map_or(0, |closure| *closure.code_ptr() as *const c_void as usize)
    }

    fn function(&self) -> &Py<PyAny> {
        // SAFETY: the data lives as long as the thunk, and its function is never exchanged.
        unsafe { &(*self.data).function }
    }
}

impl Drop for Thunk {
    fn drop(&mut self) {
        self.closure.take();
        // SAFETY: made by Box::into_raw, and the closure that used it is gone. Thunks go with the
        // GIL held, in an entry that PyO3 does not know of: the reference is dropped as one who
        // has the GIL does.
        unsafe {
            let data = Box::from_raw(self.data);
            forget(data.results.into_inner().unwrap_or_else(PoisonError::into_inner));
            drop(data.function.into_bound(Python::assume_attached()));
        }
    }
}

/// Drops results with the GIL held; PyO3, which may not know that it is, is told.
fn forget(results: Vec<Arc<Owned>>) {
    if !results.is_empty() {
        Python::attach(|_| drop(results));
    }
}

impl Callback {
    /// A callback that keeps itself and the callable.
    pub fn new(ty: &CallbackType, function: &Bound<'_, PyAny>) -> PyResult<Self> {
        if !function.is_callable() {
            let given = function.get_type().name()?;
            return Err(PyTypeError::new_err(format!("a callback is made of a callable, not of {given}")));
        }
        let thunk = ty.thunk(function, Keep::Last)?;
        Ok(Self {
            id: ty.id,
            function: ty.function.clone(),
            address: thunk.address(),
            thunk: Mutex::new(Some(thunk)),
        })
    }

    /// The function pointer.
    pub fn address(&self) -> usize {
        self.address
    }

    fn function(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let thunk = self.thunk.lock().unwrap_or_else(PoisonError::into_inner);
        match &*thunk {
            Some(thunk) => Ok(thunk.function().clone_ref(py)),
            None => Err(PyRuntimeError::new_err("this callback is being collected")),
        }
    }
}

#[pymethods]
impl Callback {
    #[pyo3(signature = (*arguments))]
    fn __call__(&self, py: Python<'_>, arguments: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        self.function(py)?.call1(py, arguments)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let function = self.function(py)?;
        Ok(format!("<pythy.Callback '{}' of {}>", self.id.pointer_name(), function.bind(py).repr()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.thunk.try_lock() {
            Ok(thunk) => thunk.iter().try_for_each(|thunk| visit.call(thunk.function())),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self) {
        let thunk = self.thunk.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Not under the lock: this may run Python code.
        drop(thunk);
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
    let held = EXCEPTION.with_borrow_mut(Option::take);
    // SAFETY: may be called without the GIL: it looks only at this thread.
    let called_from_python = unsafe { !ffi::PyGILState_GetThisThreadState().is_null() };
    // Not PyO3's own attach: it counts by thread, and does not see the entries let go of the GIL.
    // SAFETY: the GIL is taken here and given back below; libffi hands over one pointer per
    // parameter of the closure's type.
    unsafe {
        let state = ffi::PyGILState_Ensure();
        let py = Python::assume_attached();
        RUNNING.fetch_add(1, Ordering::Relaxed);
        let outcome = if stack::nearly_used_up() {
            Err(PyRecursionError::new_err(
                "callbacks are nested so deeply that the C stack is nearly used up",
            ))
        } else {
            call(py, data, arguments, result)
        };
        match outcome {
            Ok(()) => {}
            Err(error) if !called_from_python => error.write_unraisable(py, Some(data.function.bind(py))),
            Err(error) if held.is_none() => {
                EXCEPTION.with_borrow_mut(|exception| *exception = Some(error));
                PENDING.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {}
        }
        RUNNING.fetch_sub(1, Ordering::Relaxed);
        ffi::PyGILState_Release(state);
    }
    if let Some(first) = held {
        EXCEPTION.with_borrow_mut(|exception| *exception = Some(first));
    }
    session::leave_python(outside);
    // Python's own work is not to be seen in C's errno, what its foreign calls left is.
    let _ = Errno::restore();
}

/// # Safety
/// The GIL is held; one pointer per parameter, and room for the result.
unsafe fn call(
    py: Python<'_>,
    data: &Data,
    arguments: *const *const c_void,
    result: *mut u8,
) -> PyResult<()> {
    let mut values = Vec::with_capacity(data.parameters.len());
    for (index, ty) in data.parameters.iter().enumerate() {
        // SAFETY: as the caller vouches; the value is read at once.
        let bytes = unsafe {
            let address = (*arguments.add(index)).cast::<u8>();
            std::slice::from_raw_parts(address, ty.size.unwrap_or(0))
        };
        values.push(value_of(py, ty, &data.types, bytes)?);
    }
    let value = data.function.bind(py).call1(PyTuple::new(py, values)?)?;
    // SAFETY: as the caller vouches.
    unsafe { data.give(&value, result) }
}

impl Data {
    /// How much libffi has room for: scalars are widened to a word.
    fn result_size(&self) -> usize {
        match &self.result {
            Some(ty) => ty.size.unwrap_or(0).max(size_of::<u64>()),
            None => 0,
        }
    }

    /// What the callable returned, as C has it. What a void function returns is nobody's.
    ///
    /// # Safety
    /// There is room for the result.
    unsafe fn give(&self, value: &Bound<'_, PyAny>, result: *mut u8) -> PyResult<()> {
        const WHAT: &str = "a callback's result";
        let Some(ty) = &self.result else { return Ok(()) };
        let put = |bytes: &[u8]| {
            // SAFETY: as the caller vouches: the bytes are those of a result.
            unsafe { result.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
        };
        match &ty.shape {
            Shape::Scalar { scalar, plan, .. } if !plan.is_pointer() => {
                let word = Place::of_c(0, ty.clone(), self.types.clone()).word_of(WHAT, value)?;
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

/// Whether some call has to raise what a callback raised.
#[inline(always)]
pub fn any_pending() -> bool {
    PENDING.load(Ordering::Relaxed) != 0
}

/// Takes this thread's exception, if a callback left one.
#[cold]
pub fn take_exception() -> Option<PyErr> {
    let exception = EXCEPTION.with_borrow_mut(Option::take)?;
    PENDING.fetch_sub(1, Ordering::Relaxed);
    Some(exception)
}
