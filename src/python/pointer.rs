use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyDict, PyList, PySlice, PyTuple, PyType, PyWeakrefMethods, PyWeakrefReference};

use super::builtin;
use super::ctype::{Pointee, Shape, Types};
use super::exceptions;
use super::home::{Home, Root};
use super::owned::Owned;
use super::owner::OwningPointer;
use super::place::Place;
use super::record::field;
use super::type_object::alias;
use super::types::TypeId;

/// A C pointer with its type, as C code returned it. Never NULL: that is `None`.
///
/// int(p) is its address. Pointers are equal when their addresses are, in one process. What it points to is read
/// and written by index, p[0], and where that is a record, by attribute, p.field. One to a function
/// is called like the functions of the library, p(1, 2).
#[pyclass(frozen, subclass, weakref, module = "pythy")]
pub struct Pointer {
    /// The address with all bits flipped: a handle that Python has dropped may linger in freed
    /// memory, where Memcheck would take the address itself for a live pointer.
    masked: usize,
    pointee: Arc<Pointee>,
    /// What is known of the target, also when its module is gone.
    _types: Option<Arc<Types>>,
    released: AtomicBool,
    free: Option<Arc<Free>>,
    /// Whether it is the header that has it freed.
    declared: bool,
    home: Home,
    _root: Option<Root>,
    /// The memory of pythy's own that it points into, where that is known.
    memory: Option<Arc<Owned>>,
}

/// What frees it, until that is done or given up.
pub type Free = Mutex<Option<Py<PyAny>>>;

/// The pointers that free what they point to, by process and masked address.
type Owners = HashMap<(u32, usize), Py<PyWeakrefReference>>;

static OWNERS: Mutex<Option<Owners>> = Mutex::new(None);

impl Pointer {
    /// A pointer that is not NULL.
    #[inline]
    pub fn new(address: usize, pointee: &Arc<Pointee>, home: &Home) -> Self {
        Self {
            masked: !address,
            pointee: pointee.clone(),
            _types: pointee.types(),
            released: AtomicBool::new(false),
            free: None,
            declared: false,
            home: home.clone(),
            _root: home.root(address),
            memory: None,
        }
    }

    /// A new pointer object, or `None` for NULL; NULL with an exception set where it cannot be made.
    pub fn give(py: Python<'_>, address: usize, pointee: &Arc<Pointee>, home: &Home) -> *mut ffi::PyObject {
        if address == 0 {
            return py.None().into_ptr();
        }
        match Py::new(py, Self::new(address, pointee, home)) {
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
        if place.owner.is_none() {
            place.check_open()?;
        }
        let word = place.word(*scalar)?;
        place.holder_of(py, word).stored(py, word as usize, target, &place.home).map(Some)
    }

    /// This pointer as one that keeps the memory it points into.
    pub fn keeping(mut self, memory: Arc<Owned>) -> Self {
        self.memory = Some(memory);
        self
    }

    /// The memory of pythy's own that it keeps.
    pub fn memory(&self) -> Option<Arc<Owned>> {
        self.memory.clone()
    }

    /// Whether it frees what it points to.
    pub fn is_owning(&self) -> bool {
        self.free.as_ref().is_some_and(|free| free.lock().unwrap_or_else(PoisonError::into_inner).is_some())
    }

    /// Where it points; `None` once it is released.
    #[inline]
    pub fn address(&self) -> Option<usize> {
        (!self.released.load(Ordering::Relaxed)).then_some(!self.masked)
    }

    /// The process that it points into.
    #[inline]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// What it points to.
    #[inline]
    pub fn target(&self) -> TypeId {
        self.pointee.id
    }

    /// Whether what it points to is const.
    pub fn is_to_const(&self) -> bool {
        self.pointee.is_const()
    }

    /// A pointer to the same that frees it with `free` when it is dropped, as somebody asks for or the header
    /// declares. What a header has freed has one owner; of what is asked for each may be a reference that C counts.
    pub fn owning<'py>(&self, free: &Bound<'py, PyAny>, declared: bool) -> PyResult<Bound<'py, Self>> {
        let py = free.py();
        let mut owning = self.another(self.live()?);
        owning.declared = declared;
        if self.is_owning() || self.owner(py).is_some_and(|owner| owner.get().declared) {
            let message = "own(): this pointer is owned already; disown() it first";
            return Err(exceptions::new_argument_error(py, message.to_owned()));
        }
        let free = Arc::new(Mutex::new(Some(free.clone().unbind())));
        owning.free = Some(free.clone());
        let (key, owning) = (owning.key(), OwningPointer::of(py, owning, free)?);
        let reference = PyWeakrefReference::new(&owning)?.unbind();
        // What it takes the place of is dropped after the lock.
        let _former = owners(|owners| owners.insert(key, reference));
        Ok(owning)
    }

    /// The pointer that frees what this one points to, if there is one.
    pub fn owner<'py>(&self, py: Python<'py>) -> Option<Bound<'py, Self>> {
        let key = self.key();
        let reference = owners(|owners| owners.get(&key).map(|reference| reference.clone_ref(py)))?;
        let owner = reference.bind(py).upgrade()?.cast_into::<Self>().ok()?;
        (owner.get().is_owning() && owner.get().home.is(&self.home)).then_some(owner)
    }

    fn key(&self) -> (u32, usize) {
        (self.home.process(), self.masked)
    }

    /// Another pointer like this one, which frees nothing.
    fn another(&self, address: usize) -> Self {
        let mut another = Self::new(address, &self.pointee, &self.home);
        another.memory = self.memory.clone();
        another
    }

    fn live(&self) -> PyResult<usize> {
        self.address().ok_or_else(|| {
            exceptions::Error::new_err(format!("this '{}' has been released", self.target().pointer_name()))
        })
    }

    /// Where it points, for who looks there: not once the interface is closed, nor after release().
    pub fn open_address(&self) -> PyResult<usize> {
        let address = self.live()?;
        if self.pointee.types().is_some_and(|types| types.closed()) {
            let kind = self.target().pointer_name();
            return Err(exceptions::Error::new_err(format!(
                "a '{kind}' was used after its interface was closed"
            )));
        }
        Ok(address)
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
        let address = index.checked_mul(size).and_then(|offset| address.checked_add(offset));
        let beyond = || PyIndexError::new_err(format!("item {index} lies beyond the end of all memory"));
        let owner = self.memory.clone();
        Ok(Place { owner, ..Place::of_c(address.ok_or_else(beyond)?, ty, types, self.home.clone()) })
    }

    /// The builtin that calls the function here.
    fn function(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let address = self.live()?;
        let kind = || self.target().pointer_name();
        let Some(function) = &self.pointee.function else {
            let message = format!(
                "a '{}' cannot be called; lib.cast(pointer, \"int (*)(int)\") makes a function pointer of it",
                kind()
            );
            return Err(exceptions::new_argument_error(py, message));
        };
        let types = self.pointee.types();
        let calls = types.as_ref().and_then(|types| Some((types, types.calls.get()?)));
        let Some((types, calls)) = calls else {
            return Err(exceptions::Error::new_err("the interface of this function pointer is gone"));
        };
        if types.closed() {
            let message = format!("a '{}' was called after its interface was closed", kind());
            return Err(exceptions::Error::new_err(message));
        }
        if let Some(builtin) = self.pointee.builtin(py, (self.home.process(), address)) {
            return Ok(builtin);
        }
        let (builtin, keepable) = builtin::function_at(py, (address, &self.home), function, types, calls)?;
        if keepable {
            self.pointee.keep_builtin((self.home.process(), address), builtin.clone_ref(py));
        }
        Ok(builtin)
    }

    /// Lets go of what it owns, and of its place among the owners.
    fn take_free(&self) -> Option<Py<PyAny>> {
        let free = self.free.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let key = self.key();
        let _former = owners(|owners| owners.remove(&key));
        Some(free)
    }

    /// Frees what it owns, once.
    fn free(&self, py: Python<'_>) -> PyResult<()> {
        let (Some(free), Some(address)) = (self.take_free(), self.address()) else { return Ok(()) };
        self.released.store(true, Ordering::Relaxed);
        // What a worker had is gone with it; to say so here would hide the exception that tells why.
        if self.home.client().is_some_and(|client| !client.is_alive()) {
            return Ok(());
        }
        let plain = self.another(address);
        free.call1(py, (plain,)).map(drop)
    }
}

impl Drop for Pointer {
    fn drop(&mut self) {
        if self.is_owning() {
            // The object is deallocated by CPython, with the GIL.
            Python::attach(|py| {
                // It may go while an exception is on its way, which code of Python's would lose.
                let raised = PyErr::take(py);
                if let Err(error) = self.free(py) {
                    error.write_unraisable(py, None);
                }
                if let Some(raised) = raised {
                    raised.restore(py);
                }
            });
        }
    }
}

fn owners<T>(with: impl FnOnce(&mut Owners) -> T) -> T {
    let mut owners = OWNERS.lock().unwrap_or_else(PoisonError::into_inner);
    with(owners.get_or_insert_default())
}

fn index_of(index: &Bound<'_, PyAny>) -> PyResult<usize> {
    let index: isize = index.extract()?;
    usize::try_from(index)
        .map_err(|_| PyIndexError::new_err(format!("a pointer's index or step is not negative: {index}")))
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

    /// Calls the function that it points to.
    #[pyo3(signature = (*arguments, **keywords))]
    fn __call__(
        &self,
        py: Python<'_>,
        arguments: &Bound<'_, PyTuple>,
        keywords: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        self.function(py)?.call(py, arguments, keywords)
    }

    fn __eq__<'py>(&self, py: Python<'py>, other: &Bound<'py, PyAny>) -> Py<PyAny> {
        match other.cast::<Pointer>() {
            Ok(other) => {
                let equal = self.masked == other.get().masked && self.home.is(&other.get().home);
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

    /// Without it, iterating would take items for ever.
    fn __iter__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err("a pointer does not know how many items there are: use a slice, p[0:n]"))
    }

    fn __getitem__(&self, py: Python<'_>, index: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let Ok(slice) = index.cast::<PySlice>() else {
            return self.place(index_of(index)?)?.get(py);
        };
        let bound = |name: &str| -> PyResult<Option<usize>> {
            let bound = slice.getattr(name)?;
            if bound.is_none() { Ok(None) } else { index_of(&bound).map(Some) }
        };
        let (start, step) = (bound("start")?.unwrap_or(0), bound("step")?.unwrap_or(1));
        if step == 0 {
            return Err(PyValueError::new_err("a slice's step is not zero"));
        }
        let stop =
            bound("stop")?.ok_or_else(|| PyIndexError::new_err("a pointer's slice needs an end: p[0:n]"))?;
        let values = (start..stop).step_by(step).map(|index| self.place(index)?.get(py));
        Ok(PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)?.into_any().unbind())
    }

    fn __setitem__(&self, index: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if index.is_instance_of::<PySlice>() {
            let message = "a pointer's items are assigned one by one: it does not know how many there are";
            return Err(PyTypeError::new_err(message));
        }
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
        let plain = self.another(self.live()?);
        drop(self.take_free());
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
