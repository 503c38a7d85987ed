//! What stands behind a module: the methods it has beside the library's functions.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{
    PyAnyMethods, PyBytes, PyCFunction, PyDict, PyDictMethods, PyMemoryView, PyModule, PyString, PyTuple,
    PyWeakrefMethods, PyWeakrefReference,
};

use super::backend::{Sole, close_after_calls};
use super::builtin;
use super::callback::Callback;
use super::cast;
use super::ctype::{CType, InWorker, Shape, Types};
use super::entry;
use super::exceptions::{self, new_argument_error, new_symbol_error};
use super::functions::Functions;
use super::gil::without_gil;
use super::handle::{self, Handle};
use super::mirror::Mirror;
use super::names::{Names, reserved_name};
use super::place::Place;
use super::plan::Plan;
use super::pointer::Pointer;
use super::type_object::{self, new_value};
use crate::binding::{Library, Skipped, SymbolKind};
use crate::model::{FunctionType, Type, TypeKind};

/// What the module has beside the library's functions.
pub const OWN_NAMES: &[&str] =
    &["buffer", "callback", "cast", "close", "from_handle", "new", "new_handle", "own", "ref", "sizeof"];

/// What stands behind a module that `create_interface` returns; its methods are in the module.
#[pyclass(frozen, module = "pythy")]
pub struct Interface {
    pub(super) name: String,
    /// The names of the given headers, for messages.
    pub(super) headers: String,
    pub(super) module: Py<PyWeakrefReference>,
    pub(super) types: Arc<Types>,
    pub(super) names: Names,
    pub(super) skipped: HashMap<String, Skipped>,
    pub(super) functions: Functions,
    pub(super) library: Mutex<Option<Arc<Library>>>,
    /// Functions that are not for the module, with what is said to who asks for them.
    pub(super) hidden: Mutex<HashMap<String, String>>,
    /// Whether the module is one of the caller's, with names of its own.
    pub(super) shared: bool,
}

#[pymethods]
impl Interface {
    /// Closes the interface: its functions raise from then on, and the library is unloaded. True if the
    /// library has a function named destructor, which runs then.
    ///
    /// Under Valgrind the library stays loaded, because its stacks would lose their names; so it
    /// does while a foreign call is running.
    /// Closing twice is no error.
    fn close(&self, py: Python<'_>) -> PyResult<bool> {
        let destroyed = self.destroy(py);
        if let Some(calls) = self.types.calls.get() {
            calls.closed.store(true, Ordering::Relaxed);
        }
        self.functions.close(py)?;
        let library = self.library.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        // Code that runs must stay, and under Valgrind so must the names of its stacks.
        if self.types.homes.are_checked() || entry::any_running() {
            std::mem::forget(library);
        }
        if let Some(InWorker { station, sole: Sole(true), .. }) = self.there() {
            close_after_calls(py, station);
        }
        destroyed
    }

    /// Whether it has been closed.
    #[getter]
    fn closed(&self) -> bool {
        self.types.closed()
    }

    /// The builtin of a function, by its name in Python, one that is hidden too; with `another`, a further
    /// one under that name, and with `as_pointer` one that returns a pointer where the function returns text.
    #[pyo3(signature = (name, another=None, as_pointer=false))]
    fn function<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        another: Option<&str>,
        as_pointer: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let module = PyString::new(py, &self.name);
        if another.is_none() && !as_pointer {
            return self.functions.make(&module, name, &self.types);
        }
        let names = (name, another.unwrap_or(name));
        self.functions.make_another(&module, names, &self.types, |function| {
            if as_pointer {
                function.declaration.result = untyped_pointer();
            }
        })
    }

    /// Takes functions out of the module; each name has what is said to who asks for it.
    fn hide(&self, names: HashMap<String, String>) {
        self.hidden.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(names);
    }

    /// The path of the library.
    #[getter]
    fn library(&self) -> Option<PathBuf> {
        Some(self.types.calls.get()?.library.clone())
    }

    /// The address of a function that the library exports.
    fn address(&self, name: &str) -> PyResult<Option<usize>> {
        let library = self.library.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let Some(library) = library else {
            let message = format!("the function '{name}' was asked for after its interface was closed");
            return Err(exceptions::Error::new_err(message));
        };
        let symbol = library.symbols().get(name).filter(|symbol| symbol.kind == SymbolKind::Function);
        let address = if symbol.is_some() { without_gil(|| library.address(name))? } else { None };
        Ok(address.map(|address| address as usize))
    }

    /// Whether text comes as str.
    #[getter]
    fn decodes(&self) -> bool {
        self.types.decode
    }

    /// The names of pythy's own functions in the module.
    #[getter]
    fn own_names(&self) -> HashSet<&'static str> {
        OWN_NAMES.iter().copied().collect()
    }

    /// The pointer that frees what this one points to, if there is one: it or another.
    fn owner<'py>(&self, pointer: &Bound<'py, Pointer>) -> Option<Bound<'py, Pointer>> {
        pointer.get().owner(pointer.py())
    }

    /// Whether two pointers are of one type.
    fn alike(&self, one: &Bound<'_, Pointer>, other: &Bound<'_, Pointer>) -> bool {
        one.get().target() == other.get().target()
    }

    /// The bytes at a pointer: so many, or those up to the first NUL.
    #[pyo3(signature = (pointer, size=None))]
    fn bytes_at<'py>(
        &self,
        py: Python<'py>,
        pointer: &Bound<'py, Pointer>,
        size: Option<usize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (address, home) = (pointer.get().open_address()?, pointer.get().home());
        let Some(size) = size else {
            return Ok(PyBytes::new(py, &home.text(address)?));
        };
        PyBytes::new_with(py, size, |bytes| Ok(home.read(address, bytes)?))
    }

    /// A C value in memory of its own, for parameters through which C hands something back.
    ///
    /// type_name is any C type, typedefs of the headers included: ref("unsigned long", 200).
    #[pyo3(name = "ref", signature = (type_name, value=None, /, **fields))]
    fn reference(
        &self,
        py: Python<'_>,
        type_name: &Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        fields: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        self.allocate(py, type_name, value, fields)
    }

    /// Zeroed C memory for a value of any type that C code may keep: new("struct point", x=1),
    /// new("int[4]", [1, 2]). It is freed when the last Python object that refers to it goes.
    #[pyo3(name = "new", signature = (type_name, value=None, /, **fields))]
    fn allocate(
        &self,
        py: Python<'_>,
        type_name: &Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        fields: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        new_value(self.named(type_name)?, value, fields)?.object(py)
    }

    /// The size of a C type, or of what a Python object of pythy's stands for, in bytes.
    fn sizeof(&self, what: &Bound<'_, PyAny>) -> PyResult<usize> {
        let ty = match self.named(what) {
            Ok((ty, _)) => ty,
            Err(error) if what.is_instance_of::<PyString>() => return Err(error),
            Err(_) => self.place_of(what, "sizeof() takes a type, a Ref, a Record or an Array")?.ty,
        };
        ty.size.ok_or_else(|| PyTypeError::new_err(format!("'{}' has no size", ty.name)))
    }

    /// The same address as a pointer of another type: cast(pointer, "struct point *"). It keeps what
    /// lib.new made, a callback, a handle and an owned pointer as long as it lives. With a type that is no
    /// pointer, a value of it for variable arguments: cast(1.5, "long double").
    fn cast(
        &self,
        py: Python<'_>,
        value: &Bound<'_, PyAny>,
        type_name: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Py<PyAny>>> {
        cast::cast(self, py, value, type_name)
    }

    /// A pointer that frees what it points to, with the function given: at the end of a `with`
    /// block, at release(), or when it is dropped. disown() gives that up.
    fn own<'py>(
        &self,
        pointer: &Bound<'py, PyAny>,
        free: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Pointer>> {
        let Ok(pointer) = pointer.cast::<Pointer>() else {
            let given = pointer.get_type().name()?;
            return Err(new_argument_error(
                pointer.py(),
                format!("own() takes a Pointer to free, not {given}"),
            ));
        };
        if !free.is_callable() {
            let given = free.get_type().name()?;
            let message = format!("own() frees with a callable, not with {given}");
            return Err(new_argument_error(free.py(), message));
        }
        pointer.get().owning(free, false)
    }

    /// The same for what a header's `$ cleanup` has freed.
    fn own_as_declared<'py>(
        &self,
        pointer: &Bound<'py, Pointer>,
        free: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Pointer>> {
        pointer.get().owning(free, true)
    }

    /// The memory of what pythy has a handle for, as a memoryview of bytes; of a pointer, the first
    /// `size` bytes. It is valid as long as the memory is C's; what lib.new made is kept alive by it. In a
    /// worker it is as of the last call: C code sees what is stored there when it is called next.
    #[pyo3(signature = (what, size=None))]
    fn buffer<'py>(
        &self,
        py: Python<'py>,
        what: &Bound<'py, PyAny>,
        size: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (address, whole, is_const, home) = match what.cast::<Pointer>() {
            Ok(pointer) => {
                let pointer = pointer.get();
                (pointer.open_address()?, None, pointer.is_to_const(), pointer.home().clone())
            }
            Err(_) => {
                let place = self.place_of(what, "buffer() takes a Pointer, a Ref, a Record or an Array")?;
                place.check_open()?;
                (place.address, place.extent(), place.is_const(), place.home.clone())
            }
        };
        let size = match (size, whole) {
            (None, None) => return Err(PyTypeError::new_err("buffer() of a pointer needs a size in bytes")),
            (Some(size), Some(whole)) if size > whole => {
                let message = format!("{size} bytes are more than the {whole} that there are");
                return Err(PyValueError::new_err(message));
            }
            (size, whole) => size.or(whole).unwrap_or(0),
        };
        let (address, mirror) = match home.client() {
            None => (address, None),
            Some(client) => {
                let mirror = Mirror::of(client, address, size)?.ok_or_else(|| {
                    let message = format!("there is no memory of {size} bytes at {address:#x}");
                    exceptions::Error::new_err(message)
                })?;
                (mirror.here(), Some(Bound::new(py, mirror)?))
            }
        };
        // ctypes gives a writable buffer over an address that keeps its owner, on every CPython.
        let ctypes = py.import("ctypes")?;
        let array = ctypes.getattr("c_ubyte")?.mul(size)?.call_method1("from_address", (address,))?;
        array.setattr("_pythy_owner", (what, mirror))?;
        let view = PyMemoryView::from(&array)?.call_method1("cast", ("B",))?;
        if is_const { view.call_method0("toreadonly") } else { Ok(view) }
    }

    /// A decorator that makes a callable a C function pointer of the type given, alive as long as
    /// the object it returns: for C code that keeps the pointer beyond the call.
    fn callback(&self, py: Python<'_>, type_name: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (ty, _) = self.named(type_name)?;
        let Shape::Scalar { plan: Plan::Callback(callback), .. } = &ty.shape else {
            return Err(PyTypeError::new_err(format!(
                "'{}' is no function pointer type",
                spelt(type_name, &ty)
            )));
        };
        let callback = callback.clone();
        let decorate =
            move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<Callback> {
                Callback::new(&callback, &arguments.get_item(0)?)
            };
        Ok(PyCFunction::new_closure(py, Some(c"callback"), None, decorate)?.into_any().unbind())
    }

    /// A `void *` that stands for a Python object, for C functions that hand user data on to a
    /// callback. The object lives as long as this pointer does: keep the pointer.
    fn new_handle(&self, py: Python<'_>, object: Bound<'_, PyAny>) -> PyResult<Py<Handle>> {
        Handle::of(py, object, &self.types)
    }

    /// The object that new_handle() made this pointer for.
    #[allow(clippy::wrong_self_convention)] // The name is cffi's.
    fn from_handle(&self, py: Python<'_>, pointer: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        handle::object_of(py, pointer)
    }

    /// The names of the module that are made at their first use.
    pub(super) fn listed(&self) -> HashSet<String> {
        let mut listed: HashSet<String> = self.names.listed().map(str::to_owned).collect();
        listed.extend(self.functions.names());
        let hidden = self.hidden.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        listed.retain(|name| !hidden.contains_key(name));
        listed
    }

    /// Stores into a C variable; tells whether there is one of that name. A name that the module cannot
    /// have is refused: it would hide what C has, or be a misspelt variable.
    fn assign(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        for name in [Some(name), reserved_name(name)].into_iter().flatten() {
            if let Some(place) = self.global(name)? {
                return place.set(name, value).map(|()| true);
            }
        }
        self.check_name(name, value).map(|()| false)
    }

    /// Refuses to delete what is the library's. What replaced a function may go: the function is back then.
    fn check_deletion(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let Some(what) = self.kind_of(name).filter(|_| !self.is_free(name)) else { return Ok(()) };
        if self.functions.has(name)
            && let Some(module) = self.module.bind(py).upgrade()
            && let Some(here) = module.cast::<PyModule>()?.dict().get_item(name)?
            && self.functions.made(py, name).is_none_or(|function| !here.is(&function))
        {
            return Ok(());
        }
        Err(PyAttributeError::new_err(format!("'{name}' is {what}: it cannot be deleted")))
    }

    /// What the module says to a name that it does not have yet, or at all.
    fn missing(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        if let Some(why) = self.hidden.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(name) {
            return Err(new_symbol_error(py, why.clone()));
        }
        if let Some(builtin) = self.functions.make(&PyString::new(py, &self.name), name, &self.types)? {
            self.remember(py, name, builtin.as_any())?;
            return Ok(builtin.unbind());
        }
        if let Some(place) = self.global(name)? {
            return self.read(py, place);
        }
        if let Some(value) = self.names.resolve(py, &self.types, name)? {
            self.remember(py, name, value.bind(py))?;
            return Ok(value);
        }
        let plain = || self.skipped.get(reserved_name(name)?);
        Err(match self.skipped.get(name).or_else(plain) {
            Some(Skipped { location, reason, .. }) => {
                new_symbol_error(py, format!("{location}: '{name}' is declared, but {reason}"))
            }
            None => {
                // What Python itself asks for is nobody's mistake.
                let nearest = if name.starts_with('_') { String::new() } else { self.did_you_mean(name) };
                PyAttributeError::new_err(format!(
                    "module '{}' has no attribute '{name}'{nearest}",
                    self.name
                ))
            }
        })
    }
}

impl Interface {
    fn there(&self) -> Option<&InWorker> {
        self.types.calls.get()?.there.as_ref()
    }

    /// Runs the library's function named destructor, if unloading does not; tells whether there is one.
    fn destroy(&self, py: Python<'_>) -> PyResult<bool> {
        const NAME: &str = "destructor";
        let library = self.library.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let (Some(library), Some(calls)) = (library, self.types.calls.get()) else { return Ok(false) };
        let is_function =
            |name| library.symbols().get(name).is_some_and(|symbol| symbol.kind == SymbolKind::Function);
        if !is_function(NAME) {
            return Ok(false);
        }
        let Some(address) = without_gil(|| library.address(NAME))? else { return Ok(false) };
        let (address, home) = (address as usize, self.types.homes.now()?);
        let runs_by_itself = library.finishers(|at, into| home.read(at, into))?.contains(&address);
        if !runs_by_itself {
            let nothing = Type { kind: TypeKind::Void, spelling: "void".to_owned(), is_const: false };
            let function = FunctionType { parameters: Vec::new(), result: nothing, variadic: false };
            builtin::function_at(py, (address, &home), &function, &self.types, calls)?.0.call0(py)?;
        }
        Ok(true)
    }

    /// The type that a name, or an object such as the value of `lib.name`, stands for.
    pub fn named(&self, what: &Bound<'_, PyAny>) -> PyResult<(Arc<CType>, Arc<Types>)> {
        let Ok(name) = what.cast::<PyString>() else {
            return type_object::of(what)?.ok_or_else(|| type_object::no_type(what));
        };
        let name = name.to_string_lossy();
        match self.types.named(&name) {
            Ok(ty) => Ok((ty, self.types.clone())),
            Err(error) => Err(new_argument_error(what.py(), error.message(&name, &self.headers))),
        }
    }

    /// Where an object's value lies; `wanted` says what else would do.
    pub fn place_of(&self, object: &Bound<'_, PyAny>, wanted: &str) -> PyResult<Place> {
        if let Some(place) = Place::behind(object) {
            return Ok(place.clone());
        }
        let given = object.get_type().name()?;
        Err(new_argument_error(object.py(), format!("{wanted}, not {given}")))
    }
}

/// A type as the caller wrote it, or by the name it has.
pub fn spelt(given: &Bound<'_, PyAny>, ty: &CType) -> String {
    given.extract().unwrap_or_else(|_| ty.name.clone())
}

/// `void *`
fn untyped_pointer() -> Type {
    let target = Type { kind: TypeKind::Void, spelling: "void".to_owned(), is_const: false };
    Type { kind: TypeKind::Pointer(Box::new(target)), spelling: "void *".to_owned(), is_const: false }
}

impl Drop for Interface {
    fn drop(&mut self) {
        if self.there().is_some() {
            return;
        }
        // Functions may outlive the module: only close() unloads.
        let library = self.library.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        std::mem::forget(library);
    }
}
