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

use super::callable::Callable;
use super::ctype::{CType, Shape, Types};
use super::exceptions::new_argument_error;
use super::gil::{self, without_gil};
use super::home::Home;
use super::owned::Owned;
use super::place::{Place, value_of};
use super::plan::{Argument, Failure, ResultPlan};
use super::summons::{Summons, serve_other_threads};
use super::types::TypeId;
use crate::call::errno::{self, Errno};
use crate::call::stack;
use crate::call::{ffi_parameter, ffi_result};
use crate::model::{FunctionType, Type, TypeKind};
use crate::session;
use crate::worker::{CallbackSignature, Client};

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
    home: Home,
    thunk: Mutex<Option<Thunk>>,
}

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
    pub fn thunk(&self, function: &Bound<'_, PyAny>, keep: Keep, home: &Home) -> PyResult<Thunk> {
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
        let travels = |ty: &Type| types.passing(ty).map_err(|what| refuse(format!("it has {what}")));
        let parameters = self.function.parameters.iter().map(travels).collect::<PyResult<Vec<_>>>()?;
        let signature = CallbackSignature { parameters, result: travels(&self.function.result)? };
        let unknown = |what| refuse(format!("it has {what}"));
        let ffi_parameters = signature.parameters.iter().map(ffi_parameter);
        let ffi_parameters = ffi_parameters.collect::<Result<Vec<_>, _>>().map_err(unknown)?;
        let ffi_result = ffi_result(&signature.result).map_err(unknown)?;
        let has_result = self.function.result.kind != TypeKind::Void;
        let data = Arc::new(Data {
            function: function.clone().unbind(),
            parameters: self.function.parameters.iter().map(|ty| types.get(ty)).collect(),
            result: has_result.then(|| types.get(&self.function.result)),
            types: types.clone(),
            home: home.clone(),
            keep,
            results: Mutex::default(),
        });
        let code = match (home, types.homes.station()) {
            (Home::There(client), Some(station)) => {
                without_gil(|| station.define(client, self.id.number(), &signature))?;
                serve_other_threads(function.py(), client)?;
                Code::There(Summons::new(client, self.id.number(), &data))
            }
            _ => {
                let cif = Cif::new(ffi_parameters, ffi_result);
                // SAFETY: the thunk keeps the data until the closure is gone.
                let forever = unsafe { &*Arc::as_ptr(&data) };
                Code::Here(Some(Closure::new(cif, run, forever)))
            }
        };
        Ok(Thunk { code, data: Some(data) })
    }

    /// The number of the type, and the thunk's address, of a callable given as an argument.
    pub fn convert(&self, object: &Bound<'_, PyAny>, home: &Home) -> Result<Given, Failure> {
        if let Ok(callback) = object.cast::<Callback>() {
            let callback = callback.get();
            return if callback.id != self.id && !interchangeable(&callback.function, &self.function) {
                Err(Failure::WrongTarget(callback.id))
            } else if !callback.home.is(home) {
                Err(callback.home.failure())
            } else {
                Ok(Given::Address(callback.address))
            };
        }
        if !object.is_callable() {
            return Err(Failure::Type);
        }
        let given = self.c_function(object, home).and_then(|address| match address {
            Some(address) => Ok(Given::Address(address)),
            None => self.thunk(object, Keep::All, home).map(Given::Thunk),
        });
        given.map_err(|error| {
            error.restore(object.py());
            Failure::Raised
        })
    }

    /// The address of a C function that pythy has bound, which C can call by itself, and keep; `None` for any
    /// other callable, and for a function of another type.
    pub fn c_function(&self, object: &Bound<'_, PyAny>, home: &Home) -> PyResult<Option<usize>> {
        match Callable::behind(object)? {
            Some(callable) if self.is_of(callable) => Ok(callable.address_in(home)?),
            _ => Ok(None),
        }
    }

    fn is_of(&self, callable: &Callable) -> bool {
        let parameters = callable.parameters.iter().map(|parameter| &parameter.ty);
        let wanted = ResultPlan::of(&self.function.result, false);
        // What is not looked at may be anything that comes in a register.
        let result = match (wanted, callable.result.undecoded()) {
            (_, ResultPlan::Record) => false,
            (ResultPlan::Void, _) => true,
            (wanted, result) => wanted == result,
        };
        result
            && self.function.variadic == callable.is_variadic()
            && parameters.len() == self.function.parameters.len()
            && parameters.zip(&self.function.parameters).all(|(one, other)| alike(one, other))
    }
}

/// Whether a function of one type serves for the other, as where the one has `void *`, or the pointer to
/// another type of single bytes, so that it takes the address where a `char *` would be read as text.
fn interchangeable(one: &FunctionType, other: &FunctionType) -> bool {
    one.variadic == other.variadic
        && one.parameters.len() == other.parameters.len()
        && one.parameters.iter().zip(&other.parameters).all(|(one, other)| alike(one, other))
        && alike(&one.result, &other.result)
}

/// Whether a value of one type serves for the other.
fn alike(one: &Type, other: &Type) -> bool {
    let is_byte = |ty: &Type| matches!(&ty.kind, TypeKind::Integer(integer) if integer.size() == 1);
    match (&one.kind, &other.kind) {
        (TypeKind::Pointer(a), TypeKind::Pointer(b)) => {
            a.kind == TypeKind::Void
                || b.kind == TypeKind::Void
                || (is_byte(a) && is_byte(b))
                || a.canonical() == b.canonical()
        }
        _ => one.canonical() == other.canonical(),
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
    /// The function pointer for C to keep.
    fn address(&mut self) -> PyResult<usize> {
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

    fn function(&self) -> Option<&Py<PyAny>> {
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

impl Callback {
    /// A callback that keeps itself and the callable.
    pub fn new(ty: &CallbackType, function: &Bound<'_, PyAny>) -> PyResult<Self> {
        if !function.is_callable() {
            let given = function.get_type().name()?;
            return Err(PyTypeError::new_err(format!("a callback is made of a callable, not of {given}")));
        }
        let home = match ty.types.upgrade() {
            Some(types) => types.homes.now()?,
            None => Home::Native,
        };
        let mut thunk = ty.thunk(function, Keep::Last, &home)?;
        let (function, address) = (ty.function.clone(), thunk.address()?);
        Ok(Self { id: ty.id, function, address, home, thunk: Mutex::new(Some(thunk)) })
    }

    /// The process whose C code may call it.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The function pointer.
    pub fn address(&self) -> usize {
        self.address
    }

    fn function(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let thunk = self.thunk.lock().unwrap_or_else(PoisonError::into_inner);
        match thunk.as_ref().and_then(Thunk::function) {
            Some(function) => Ok(function.clone_ref(py)),
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
            Ok(thunk) => {
                thunk.iter().filter_map(Thunk::function).try_for_each(|function| visit.call(function))
            }
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
            Err(error) if held.is_none() => {
                EXCEPTION.with_borrow_mut(|exception| *exception = Some(error));
                PENDING.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {}
        }
        RUNNING.fetch_sub(1, Ordering::Relaxed);
        let_go(data);
        session::read_python(outside.as_ref());
        ffi::PyGILState_Release(state);
    }
    if let Some(first) = held {
        EXCEPTION.with_borrow_mut(|exception| *exception = Some(first));
    }
    session::leave_python(outside);
    // Python's own work is not to be seen in C's errno, what its foreign calls left is.
    let _ = Errno::restore();
}

impl Data {
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

/// Takes this thread's exception, if a callback left one.
#[cold]
pub fn take_exception() -> Option<PyErr> {
    let exception = EXCEPTION.with_borrow_mut(Option::take)?;
    PENDING.fetch_sub(1, Ordering::Relaxed);
    Some(exception)
}
