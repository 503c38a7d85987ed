use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyList, PySlice, PyTuple, PyType};

use super::ctype::{Pointee, Shape};
use super::exceptions;
use super::place::Place;
use super::record::field;
use super::type_object::alias;
use super::types::TypeId;
use crate::bracket::Root;

/// A C pointer with its type, as C code returned it. Never NULL: that is `None`.
///
/// int(p) is its address. Pointers are equal when their addresses are. What it points to is read
/// and written by index, p[0], and where that is a record, by attribute, p.field.
#[pyclass(frozen, module = "pythy")]
pub struct Pointer {
    /// The address with all bits flipped: a handle that Python has dropped may linger in freed
    /// memory, where Memcheck would take the address itself for a live pointer.
    masked: usize,
    pointee: Arc<Pointee>,
    released: AtomicBool,
    free: Mutex<Option<Py<PyAny>>>,
    root: Option<Root>,
}

impl Pointer {
    /// A pointer that is not NULL. `checked`: under Valgrind, where live handles are leak-check roots.
    #[inline]
    pub fn new(address: usize, pointee: &Arc<Pointee>, checked: bool) -> Self {
        Self {
            masked: !address,
            pointee: pointee.clone(),
            released: AtomicBool::new(false),
            free: Mutex::new(None),
            root: checked.then(|| Root::new(address)),
        }
    }

    /// A new pointer object, or `None` for NULL; NULL with an exception set where it cannot be made.
    pub fn give(py: Python<'_>, address: usize, pointee: &Arc<Pointee>, checked: bool) -> *mut ffi::PyObject {
        if address == 0 {
            return py.None().into_ptr();
        }
        match Py::new(py, Self::new(address, pointee, checked)) {
            Ok(pointer) => pointer.into_ptr(),
            Err(error) => {
                error.restore(py);
                std::ptr::null_mut()
            }
        }
    }

    /// The pointer that a place holds, the inner `None` for NULL; the outer `None` where it is of another type.
    pub fn stored_in(py: Python<'_>, place: &Place) -> PyResult<Option<Option<Py<Self>>>> {
        let Shape::Scalar { scalar, target: Some(target), .. } = &place.ty.shape else { return Ok(None) };
        match place.word(*scalar) {
            0 => Ok(Some(None)),
            word => Ok(Some(Some(Py::new(py, Self::new(word as usize, target, place.types.checked))?))),
        }
    }

    /// Where it points; `None` once it is released.
    #[inline]
    pub fn address(&self) -> Option<usize> {
        (!self.released.load(Ordering::Relaxed)).then_some(!self.masked)
    }

    /// What it points to.
    #[inline]
    pub fn target(&self) -> TypeId {
        self.pointee.id
    }

    /// A pointer to the same that frees it with `free` when it is dropped.
    pub fn owning(&self, free: &Bound<'_, PyAny>) -> PyResult<Self> {
        if self.free.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            let message = "own(): this pointer is owned already; disown() it first";
            return Err(exceptions::new_argument_error(free.py(), message.to_owned()));
        }
        let owning = Self::new(self.live()?, &self.pointee, self.root.is_some());
        *owning.free.lock().unwrap_or_else(PoisonError::into_inner) = Some(free.clone().unbind());
        Ok(owning)
    }

    fn live(&self) -> PyResult<usize> {
        self.address().ok_or_else(|| {
            exceptions::Error::new_err(format!("this '{}' has been released", self.target().pointer_name()))
        })
    }

    fn place(&self, index: usize) -> PyResult<Place> {
        let address = self.live()?;
        let (ty, types) = self
            .pointee
            .ctype()
            .ok_or_else(|| exceptions::Error::new_err("the interface of this pointer is gone"))?;
        let Some(size) = ty.size else {
            let reason = match &ty.shape {
                Shape::Opaque(reason) => reason.clone(),
                _ => format!("'{}' has no size", ty.name),
            };
            return Err(PyTypeError::new_err(format!(
                "a '{}' cannot be looked into: {reason}",
                self.target().pointer_name()
            )));
        };
        Ok(Place { address: address.wrapping_add(index.wrapping_mul(size)), ty, types, owner: None })
    }

    /// Frees what it owns, once.
    fn free(&self, py: Python<'_>) -> PyResult<()> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(free), Some(address)) = (free, self.address()) else { return Ok(()) };
        self.released.store(true, Ordering::Relaxed);
        let plain = Self::new(address, &self.pointee, self.root.is_some());
        free.call1(py, (plain,)).map(drop)
    }
}

impl Drop for Pointer {
    fn drop(&mut self) {
        if self.free.get_mut().is_ok_and(|free| free.is_some()) {
            // The object is deallocated by CPython, with the GIL.
            Python::attach(|py| {
                if let Err(error) = self.free(py) {
                    error.write_unraisable(py, None);
                }
            });
        }
    }
}

fn index_of(index: &Bound<'_, PyAny>) -> PyResult<usize> {
    let index: isize = index.extract()?;
    usize::try_from(index)
        .map_err(|_| PyIndexError::new_err(format!("a pointer's index is not negative: {index}")))
}

#[pymethods]
impl Pointer {
    #[classmethod]
    fn __class_getitem__(cls: &Bound<'_, PyType>, item: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        alias(cls, item)
    }

    fn __int__(&self) -> PyResult<usize> {
        self.live()
    }

    fn __bool__(&self) -> bool {
        self.address().is_some()
    }

    fn __eq__<'py>(&self, py: Python<'py>, other: &Bound<'py, PyAny>) -> Py<PyAny> {
        match other.cast::<Pointer>() {
            Ok(other) => {
                let equal = self.masked == other.get().masked;
                pyo3::types::PyBool::new(py, equal).to_owned().into_any().unbind()
            }
            Err(_) => py.NotImplemented(),
        }
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.masked.hash(&mut hasher);
        hasher.finish()
    }

    fn __getattr__(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        // Only a record's fields are attributes: to everybody else the name is just missing.
        match self.pointee.ctype() {
            Some((ty, _)) if matches!(ty.shape, Shape::Record { .. }) => {
                let place = self.place(0)?;
                let field = field(&place, name)?;
                place.get_field(py, field)
            }
            _ => {
                let kind = self.target().pointer_name();
                Err(pyo3::exceptions::PyAttributeError::new_err(format!("'{kind}' has no field '{name}'")))
            }
        }
    }

    fn __setattr__(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let place = self.place(0)?;
        let field = field(&place, name)?;
        place.set_field(field, value)
    }

    fn __getitem__(&self, py: Python<'_>, index: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let Ok(slice) = index.cast::<PySlice>() else {
            return self.place(index_of(index)?)?.get(py);
        };
        let bound = |name: &str| -> PyResult<Option<usize>> {
            let bound = slice.getattr(name)?;
            if bound.is_none() { Ok(None) } else { index_of(&bound).map(Some) }
        };
        let (start, step) = (bound("start")?.unwrap_or(0), bound("step")?.unwrap_or(1).max(1));
        let stop =
            bound("stop")?.ok_or_else(|| PyIndexError::new_err("a pointer's slice needs an end: p[0:n]"))?;
        let values = (start..stop).step_by(step).map(|index| self.place(index)?.get(py));
        Ok(PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)?.into_any().unbind())
    }

    fn __setitem__(&self, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let index = index_of(index)?;
        let what = format!("'{}' item {index}", self.target().pointer_name());
        self.place(index)?.set(&what, value)
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<bool> {
        self.free(py).map(|()| false)
    }

    /// Frees what lib.own(pointer, free) owns, now. Doing it twice is no error.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.free(py)
    }

    /// Gives up ownership: a pointer to the same that frees nothing.
    fn disown(&self) -> PyResult<Self> {
        let plain = Self::new(self.live()?, &self.pointee, self.root.is_some());
        self.free.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(plain)
    }

    fn __repr__(&self) -> String {
        let kind = self.target().pointer_name();
        match self.address() {
            Some(address) => format!("<pythy.Pointer '{kind}' at {address:#x}>"),
            None => format!("<pythy.Pointer '{kind}' released>"),
        }
    }
}
