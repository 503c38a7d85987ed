//! The object behind a bound function: what a call needs, and the builtin that Python sees.
//!
//! The builtin is CPython's own (`builtin_function_or_method`), so that repr, pickle, pydoc and
//! `inspect.signature` treat it as any C extension's function. Its `self` is a module-like object
//! that carries the [`Callable`]: CPython prints functions of modules by their bare name.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyModule, PyString, PyType};
use pyo3::{ffi, intern};

use super::convert::to_python;
use super::ctype::{CType, Pointee, Types};
use super::enumeration::EnumClass;
use super::home::Home;
use super::ownership::Ownership;
use super::plan::{Parameter, ResultPlan};
use super::pointer::Pointer;
use super::there::There;
use crate::binding::{Convention, Registers, Signature};
use crate::call::Libffi;
use crate::session::LeakCheck;

/// What CPython calls: `self`, the arguments, their number, the names of keyword arguments.
pub type Entry = unsafe extern "C" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    ffi::Py_ssize_t,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// Everything a call of one function needs, settled when it is bound.
pub struct Callable {
    /// The C function.
    pub address: *const c_void,
    /// One per parameter.
    pub parameters: Box<[Parameter]>,
    /// The types that theirs are among. Weak, since these keep some builtins.
    pub types: Weak<Types>,
    /// The same where they do not keep it: a function is whole without its module.
    _kept: Option<Arc<Types>>,
    /// What becomes of the result.
    pub result: ResultPlan,
    /// The machine's view of the declaration; empty where `general` has it.
    pub signature: Signature,
    /// For records by value and variable arguments.
    pub general: Option<General>,
    /// For functions that run in a worker.
    pub there: Option<There>,
    /// Where the dispatcher puts arguments.
    pub registers: Registers,
    /// For native calls that do not fit the registers.
    pub libffi: Option<Libffi>,
    /// The enum that the result is of.
    pub enumeration: Option<Arc<EnumClass>>,
    /// What the result points to.
    pub pointee: Option<Arc<Pointee>>,
    /// Its declaration in the journal; 0 natively.
    pub declaration: u32,
    /// What it hands over that somebody has to free; `None` natively too.
    pub ownership: Option<Box<Ownership>>,
    /// Whether the GIL is released around the call.
    pub release_gil: bool,
    /// What is looked for after the call, under Valgrind.
    pub checks: Checks,
    /// Whether nothing is to be done for each call, so that it may go the short way under Valgrind.
    pub plain: bool,
    /// Whether the interface has been closed.
    closed: Arc<AtomicBool>,
    /// The C name.
    pub name: String,
    /// The declaration as C.
    pub prototype: String,
    method_name: CString,
    method_doc: CString,
    method: ffi::PyMethodDef,
}

/// What a general call needs beside the plans.
pub struct General {
    /// How everything travels.
    pub convention: Convention,
    /// The record that comes back.
    pub result: Option<Arc<CType>>,
    /// The types it is among.
    pub types: Arc<Types>,
}

/// What is looked for after a call under Valgrind.
#[derive(Clone, Copy)]
pub struct Checks {
    /// When leaks are looked for.
    pub leaks: LeakCheck,
    /// Whether uninitialised results are.
    pub results: bool,
}

/// The parts of a [`Callable`] that the builtin's face is made of.
pub struct Face {
    /// The name in Python.
    pub name: CString,
    /// `name(a, b, /)\n--\n\nDocumentation`.
    pub doc: CString,
    /// Where CPython enters.
    pub entry: Entry,
}

impl Callable {
    /// An empty method definition, to be filled by [`Callable::into_builtin`].
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        address: *const c_void,
        (parameters, types, kept): (Box<[Parameter]>, Weak<Types>, Option<Arc<Types>>),
        result: ResultPlan,
        (signature, general): (Signature, Option<General>),
        there: Option<There>,
        libffi: Option<Libffi>,
        (enumeration, pointee): (Option<Arc<EnumClass>>, Option<Arc<Pointee>>),
        (declaration, ownership): (u32, Option<Box<Ownership>>),
        (release_gil, checks, closed): (bool, Checks, Arc<AtomicBool>),
        (name, prototype): (String, String),
        face: Face,
    ) -> Box<Self> {
        let registers = signature.registers();
        let plain = ownership.is_none() && checks.leaks != LeakCheck::Call;
        let mut callable = Box::new(Self {
            address,
            parameters,
            types,
            _kept: kept,
            result,
            signature,
            general,
            there,
            registers,
            libffi,
            enumeration,
            pointee,
            declaration,
            ownership,
            release_gil,
            checks,
            plain,
            closed,
            name,
            prototype,
            method_name: face.name,
            method_doc: face.doc,
            method: ffi::PyMethodDef::zeroed(),
        });
        callable.method = ffi::PyMethodDef {
            ml_name: callable.method_name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: face.entry },
            ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
            ml_doc: callable.method_doc.as_ptr(),
        };
        callable
    }

    /// Makes the builtin; it owns the callable.
    pub fn into_builtin<'py>(self: Box<Self>, module: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        let py = module.py();
        let carrier = carrier_type(py)?;
        let name = PyString::new(py, &self.name);
        let object = carrier.call1((name,))?;
        let callable = Box::into_raw(self);
        // SAFETY: the object is an instance of the carrier type, whose last word is ours; the
        // method definition lives in the callable, which lives as long as the object.
        unsafe {
            slot(object.as_ptr()).write(callable);
            let method = &raw mut (*callable).method;
            let function = ffi::PyCFunction_NewEx(method, object.as_ptr(), module.as_ptr());
            Bound::from_owned_ptr_or_err(py, function)
        }
    }

    /// The callable of a builtin made by `into_builtin`, which it is borrowed from; `None` for any other object.
    pub fn behind<'a>(function: &'a Bound<'_, PyAny>) -> PyResult<Option<&'a Self>> {
        if !function.is_instance_of::<PyCFunction>() {
            return Ok(None);
        }
        let object = function.getattr(intern!(function.py(), "__self__"))?;
        if !object.get_type().is(carrier_type(function.py())?) {
            return Ok(None);
        }
        // SAFETY: the object is a carrier, whose slot is NULL or has a callable that lives as long as the
        // object; the builtin keeps that, since nobody can change its `__self__`.
        Ok(unsafe { slot(object.as_ptr()).read().as_ref() })
    }

    /// A result as it is kept while a leak check is made: a text's address with all bits flipped, as Python will
    /// have its bytes alone, and the block is lost by this very call.
    #[inline(always)]
    pub fn hidden(&self, word: u64) -> u64 {
        if matches!(self.result, ResultPlan::Text { .. }) { !word } else { word }
    }

    /// What was hidden.
    #[inline(always)]
    pub fn shown(&self, word: u64) -> u64 {
        self.hidden(word)
    }

    /// Where its code is in a process; `None` where that is not to be had there, or no more.
    pub fn address_in(&self, home: &Home) -> crate::Result<Option<usize>> {
        match (&self.there, home.client()) {
            _ if self.is_closed() => Ok(None),
            (None, None) => Ok(Some(self.address as usize)),
            (Some(there), Some(client)) => there.address_in(client),
            _ => Ok(None),
        }
    }

    /// The name of an argument: the header's, or its number among all.
    pub fn parameter_name(&self, index: usize) -> String {
        let name = self.parameters.get(index).and_then(|parameter| parameter.name.clone());
        name.unwrap_or_else(|| (index + 1).to_string())
    }

    /// Whether arguments may follow the last parameter.
    pub fn is_variadic(&self) -> bool {
        self.general.as_ref().is_some_and(|general| general.convention.variadic)
    }

    /// The object for a result word; NULL with an exception set.
    ///
    /// # Safety
    /// The GIL is held and the word is what the C function returned.
    #[inline(always)]
    pub unsafe fn give(&self, word: u64, home: &Home) -> *mut ffi::PyObject {
        // SAFETY: as the caller vouches.
        unsafe {
            match (self.result, &self.pointee, &self.enumeration) {
                (ResultPlan::Pointer, Some(pointee), _) => {
                    Pointer::give(Python::assume_attached(), word as usize, pointee, home)
                }
                (_, _, Some(enumeration)) => enumeration.give(word),
                (result, ..) => to_python(result, word),
            }
        }
    }

    /// Calls the function by libffi, where it has that.
    ///
    /// # Safety
    /// The words are arguments of its signature.
    pub unsafe fn call_by_libffi(&self, words: &[u64]) -> u64 {
        match &self.libffi {
            // SAFETY: as the caller vouches.
            Some(libffi) => unsafe { libffi.call(self.address, words) },
            None => 0,
        }
    }

    /// Whether the library went while the arguments were converted: `__index__`, `__float__` and
    /// `__buffer__` may run any code. Calls after that do not come so far (see [`Callable::redirect`]).
    #[inline(always)]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Makes every further call go through `entry`: how a closed interface refuses.
    pub fn redirect(builtin: &Bound<'_, PyAny>, entry: Entry) -> PyResult<()> {
        let object = builtin.getattr(intern!(builtin.py(), "__self__"))?;
        // SAFETY: only builtins made by `into_builtin` come here, under the GIL; CPython reads the
        // method definition anew at each call.
        unsafe {
            let callable = slot(object.as_ptr()).read();
            (*callable).method.ml_meth = ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: entry };
        }
        Ok(())
    }
}

/// The callable behind the `self` that an [`Entry`] is given.
///
/// # Safety
/// `object` is the `self` of a builtin made by [`Callable::into_builtin`], and outlives the result.
#[inline(always)]
pub unsafe fn callable<'a>(object: *mut ffi::PyObject) -> &'a Callable {
    // SAFETY: as the caller vouches; the slot was filled before the builtin was made.
    unsafe { &**slot(object) }
}

/// Size of a module object: our word comes right after it.
static mut MODULE_SIZE: usize = 0;

#[inline(always)]
unsafe fn slot(object: *mut ffi::PyObject) -> *mut *mut Callable {
    // SAFETY: MODULE_SIZE is written once, before the first object of the carrier type exists.
    unsafe { object.byte_add(MODULE_SIZE).cast() }
}

/// The subclass of `ModuleType` whose instances carry a callable.
fn carrier_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CARRIER: OnceLock<Py<PyType>> = OnceLock::new();
    if let Some(carrier) = CARRIER.get() {
        return Ok(carrier.bind(py));
    }
    let module_type = py.get_type::<PyModule>();
    let size: usize = module_type.getattr(intern!(py, "__basicsize__"))?.extract()?;
    let mut slots = [
        ffi::PyType_Slot { slot: ffi::Py_tp_dealloc, pfunc: dealloc as *mut c_void },
        ffi::PyType_Slot { slot: 0, pfunc: std::ptr::null_mut() },
    ];
    let mut spec = ffi::PyType_Spec {
        name: c"pythy._native.Declaration".as_ptr().cast::<c_char>(),
        basicsize: (size + size_of::<*mut Callable>()) as c_int,
        itemsize: 0,
        flags: ffi::Py_TPFLAGS_DEFAULT as _,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the spec describes a type that adds one pointer to a module; MODULE_SIZE is set
    // under the GIL before any instance can exist.
    let carrier = unsafe {
        MODULE_SIZE = size;
        let carrier = ffi::PyType_FromSpecWithBases(&raw mut spec, module_type.as_ptr());
        Bound::from_owned_ptr_or_err(py, carrier)?.cast_into::<PyType>()?
    };
    Ok(CARRIER.get_or_init(|| carrier.unbind()).bind(py))
}

unsafe extern "C" fn dealloc(object: *mut ffi::PyObject) {
    // SAFETY: CPython calls this once, for an instance of the carrier type; the module's own
    // deallocator frees the object's memory, then nobody can reach the callable any more.
    unsafe {
        let ty = ffi::Py_TYPE(object);
        let callable = slot(object).read();
        let base = ffi::PyType_GetSlot(&raw mut ffi::PyModule_Type, ffi::Py_tp_dealloc);
        let base: unsafe extern "C" fn(*mut ffi::PyObject) = std::mem::transmute(base);
        base(object);
        if !callable.is_null() {
            drop(Box::from_raw(callable));
        }
        ffi::Py_DECREF(ty.cast());
    }
}

/// A C string for CPython; NULs, which no C name or comment should hold, are dropped.
pub fn c_string(text: String) -> PyResult<CString> {
    CString::new(text).or_else(|error| {
        let mut bytes = error.into_vec();
        bytes.retain(|byte| *byte != 0);
        CString::new(bytes).map_err(|error| PyMemoryError::new_err(error.to_string()))
    })
}
