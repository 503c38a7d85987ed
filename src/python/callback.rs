//! Python callables as C function pointers.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use libffi::middle::Cif;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::callable::Callable;
use super::ctype::Types;
use super::exceptions::new_argument_error;
use super::gil::without_gil;
use super::home::Home;
use super::plan::{Failure, ResultPlan};
use super::summons::{Summons, serve_other_threads};
use super::thunk::{Data, Keep, Thunk};
use super::types::TypeId;
use crate::call::{ffi_parameter, ffi_result};
use crate::model::{FunctionType, Type, TypeKind};
use crate::worker::CallbackSignature;

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
        let parameters = self.function.parameters.iter().map(|ty| types.get(ty)).collect();
        let result = has_result.then(|| types.get(&self.function.result));
        let data = Data::new(function, (parameters, result), (types.clone(), home.clone()), keep);
        let data = Arc::new(data);
        match (home, types.homes.station()) {
            (Home::There(client), Some(station)) => {
                without_gil(|| station.define(client, self.id.number(), &signature))?;
                serve_other_threads(function.py(), client)?;
                Ok(Thunk::there(Summons::new(client, self.id.number(), &data), data))
            }
            _ => Ok(Thunk::here(Cif::new(ffi_parameters, ffi_result), data)),
        }
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
