//! Python callables as C function pointers.

use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use libffi::low;
use libffi::middle::{Cif, Closure};
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::ctype::{CType, Shape, Types};
use super::exceptions::new_argument_error;
use super::place::Place;
use super::plan::Failure;
use super::types::TypeId;
use crate::binding::Scalar;
use crate::call::errno::{self, Errno};
use crate::call::ffi_type;
use crate::model::{FunctionType, Type, TypeKind};
use crate::session;

/// What C code gives to and takes from a function of one type.
pub struct CallbackType {
    /// The function pointer type's number.
    pub id: TypeId,
    name: String,
    function: FunctionType,
    types: Weak<Types>,
}

/// A function pointer that runs a Python callable, for as long as this object lives.
///
/// Made by @lib.callback("name of the type"): for C code that keeps the pointer beyond the call.
#[pyclass(frozen, module = "pythy")]
pub struct Callback {
    function: Py<PyAny>,
    id: TypeId,
    thunk: Thunk,
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
        Some(Arc::new(Self { id: TypeId::of(&name), name, function, types: types.clone() }))
    }

    /// A function pointer to `function`.
    pub fn thunk(&self, function: &Bound<'_, PyAny>) -> PyResult<Thunk> {
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
        let scalar = |ty: &Type| Scalar::of(ty).map_err(|what| refuse(format!("it has {what}")));
        let parameters = self.function.parameters.iter().map(scalar).collect::<PyResult<Vec<_>>>()?;
        let result = scalar(&self.function.result)?;
        let cif = Cif::new(parameters.iter().copied().map(ffi_type), ffi_type(result));
        let data = Box::into_raw(Box::new(Data {
            function: function.clone().unbind(),
            parameters: self.function.parameters.iter().map(|ty| types.get(ty)).collect(),
            result: (result != Scalar::Void).then(|| types.get(&self.function.result)),
            types,
        }));
        // SAFETY: the data lives until the thunk is dropped, after the closure.
        let closure = Closure::new(cif, run, unsafe { &*data });
        Ok(Thunk { closure: Some(closure), data })
    }

    /// The number of the type, and the thunk's address, of a callable given as an argument.
    pub fn convert(&self, object: &Bound<'_, PyAny>) -> Result<Given, Failure> {
        if let Ok(callback) = object.cast::<Callback>() {
            let callback = callback.get();
            return if callback.id == self.id {
                Ok(Given::Address(callback.thunk.address()))
            } else {
                Err(Failure::WrongTarget(callback.id))
            };
        }
        if !object.is_callable() {
            return Err(Failure::Type);
        }
        match self.thunk(object) {
            Ok(thunk) => Ok(Given::Thunk(thunk)),
            Err(error) => {
                error.restore(object.py());
                Err(Failure::Raised)
            }
        }
    }
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
}

impl Drop for Thunk {
    fn drop(&mut self) {
        self.closure.take();
        // SAFETY: made by Box::into_raw, and the closure that used it is gone. Thunks go with the
        // GIL held, in an entry that PyO3 does not know of: the reference is dropped as one who
        // has the GIL does.
        unsafe {
            let data = Box::from_raw(self.data);
            drop(data.function.into_bound(Python::assume_attached()));
        }
    }
}

impl Callback {
    /// A callback that keeps itself and the callable.
    pub fn new(ty: &CallbackType, function: &Bound<'_, PyAny>) -> PyResult<Self> {
        if !function.is_callable() {
            let given = function.get_type().name()?;
            return Err(PyTypeError::new_err(format!("a callback is made of a callable, not of {given}")));
        }
        Ok(Self { function: function.clone().unbind(), id: ty.id, thunk: ty.thunk(function)? })
    }

    /// The function pointer.
    pub fn address(&self) -> usize {
        self.thunk.address()
    }
}

#[pymethods]
impl Callback {
    #[pyo3(signature = (*arguments))]
    fn __call__(&self, py: Python<'_>, arguments: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        self.function.call1(py, arguments)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<pythy.Callback '{}' of {}>", self.id.name(), self.function.bind(py).repr()?))
    }
}

/// Where libffi enters. What the callable raises waits for the foreign call that got us here.
unsafe extern "C" fn run(
    _cif: &low::ffi_cif,
    result: &mut u64,
    arguments: *const *const c_void,
    data: &Data,
) {
    *result = 0;
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
        match call(py, data, arguments) {
            Ok(word) => *result = word,
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

unsafe fn call(py: Python<'_>, data: &Data, arguments: *const *const c_void) -> PyResult<u64> {
    let mut values = Vec::with_capacity(data.parameters.len());
    for (index, ty) in data.parameters.iter().enumerate() {
        // SAFETY: as the caller vouches; the value is read at once.
        let address = unsafe { *arguments.add(index) } as usize;
        let place = Place { address, ty: ty.clone(), types: data.types.clone(), owner: None };
        values.push(place.get(py)?);
    }
    let value = data.function.bind(py).call1(PyTuple::new(py, values)?)?;
    match &data.result {
        None => Ok(0),
        Some(ty) => {
            let Shape::Scalar { scalar, .. } = &ty.shape else { return Ok(0) };
            let what = "a callback's result";
            let word = Place { address: 0, ty: ty.clone(), types: data.types.clone(), owner: None }
                .word_of(what, &value)?;
            Ok(scalar.word(word, word))
        }
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
