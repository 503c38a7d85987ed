//! `create_interface`: parse, bind, and put the functions into a module.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use pyo3::PyTypeCheck;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyModule, PyString, PyTuple, PyWeakrefReference};

use super::backend::{Backend, Worker, program};
use super::callable::{Callable, Checks, Face, General, c_string};
use super::ctype::{Calls, InWorker, Pointee, Types};
use super::defaults;
use super::directives;
use super::exceptions;
use super::failure::type_name;
use super::functions::Functions;
use super::home::{Home, Homes};
use super::interface::{Interface, OWN_NAMES, variable};
use super::isolated::{self, There};
use super::names::{Names, python_name};
use super::ownership::Ownership;
use super::plan::{Parameter, Plan, ResultPlan};
use super::{checked, entry, general};
use crate::binding::{
    self, Bindings, BoundFunction, CallShape, Library, Loader, Route, Scalar, Signature, Skipped,
};
use crate::bracket::{self, HAS_SLOTS};
use crate::call::Libffi;
use crate::header::{self, Cache, Key, Options, Parsed};
use crate::isolation;
use crate::journal::Declaration;
use crate::model::{
    self, Directives, Function, FunctionType, Global, Interface as Model, Linkage, Location, Type, TypeKind,
};
use crate::session::{self, LeakCheck};
use crate::valgrind::{self, Presence};
use crate::worker::parse_apart;

/// Reads C headers and a shared library, and returns a module with the library's functions.
///
/// header_files and library_file are paths; the library may also be a bare name that the dynamic
/// loader finds, such as "libz.so.1". With `module`, the functions are put into that module.
/// encoding="utf-8" gives str for the char * that C returns, instead of bytes. gil="hold" keeps
/// the GIL during calls: faster for short functions, but other threads wait. Under Valgrind, leak_check
/// ("call", "session", "off") says when leaks are looked for, and check_results=True also reports results and
/// buffers that C left uninitialised.
///
/// backend="isolated" runs the library in a worker process under Valgrind, or with checker="none" natively,
/// while Python runs natively: a crash of the C code is then a WorkerCrashed. timeout ends a call that takes
/// longer, in seconds, with TimeoutError; functions take timeout=... for one call, too. worker is what
/// pythy.worker() made, for several interfaces in one process.
#[pyfunction]
#[pyo3(signature = (header_files, library_file, module=None, wrapper_modules=None, *, backend=None, checker=None,
    include_dirs=None, defines=None, clang_args=None, encoding=None, gil="release", leak_check=None,
    check_results=false, timeout=None, worker=None))]
#[pyo3(text_signature = "(header_files, library_file, module=None, wrapper_modules=None, *, backend=None, \
    checker=None, include_dirs=(), defines={}, clang_args=(), encoding=None, gil='release', leak_check=None, \
    check_results=False, timeout=None, worker=None)")]
#[allow(clippy::too_many_arguments)]
pub fn create_interface<'py>(
    py: Python<'py>,
    header_files: &Bound<'py, PyAny>,
    library_file: Bound<'py, PyAny>,
    module: Option<Bound<'py, PyAny>>,
    wrapper_modules: Option<Bound<'py, PyAny>>,
    backend: Option<String>,
    checker: Option<String>,
    include_dirs: Option<Bound<'py, PyAny>>,
    defines: Option<Bound<'py, PyAny>>,
    clang_args: Option<Bound<'py, PyAny>>,
    encoding: Option<String>,
    gil: &str,
    leak_check: Option<String>,
    check_results: bool,
    timeout: Option<Bound<'py, PyAny>>,
    worker: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyModule>> {
    let timeout = timeout.map_or(Ok(None), |timeout| isolated::seconds(&timeout))?;
    let module = module.map(|module| instance::<PyModule>("module", "a module", &module)).transpose()?;
    let worker = worker.map(|worker| instance::<Worker>("worker", "what pythy.worker() makes", &worker));
    let worker = worker.transpose()?;
    let decode = decodes(encoding.as_deref())?;
    let release_gil = match gil {
        "release" => true,
        "hold" => false,
        other => {
            return Err(PyValueError::new_err(format!("gil must be 'release' or 'hold', not '{other}'")));
        }
    };
    let options = options(header_files, include_dirs, defines, clang_args)?;
    // First of all, so that it starts while the headers are read.
    let mode = if backend.is_none() && worker.is_none() { mode_of_program(py)? } else { None };
    let checked_at_close = mode.as_deref() == Some("isolated");
    let backend = Backend::chosen(py, backend.or(mode), checker.as_deref(), worker.as_ref())?;
    if timeout.is_some() && matches!(backend, Backend::InProcess) {
        return Err(PyValueError::new_err(
            "timeout is for backend='isolated' only: only a worker can be ended",
        ));
    }
    let usual = if matches!(backend, Backend::InProcess) { LeakCheck::Session } else { LeakCheck::Paced };
    let checks = Checks {
        leaks: leak_check_named(leak_check.or_else(defaults::leak_check).as_deref(), usual)?,
        results: check_results,
    };
    let loader: Arc<dyn Loader> = match &backend {
        Backend::InProcess => Arc::new(binding::Here),
        Backend::Isolated(station, _) => station.clone(),
    };
    let name = options.headers.first().and_then(|first| first.file_stem());
    let name = name.map_or_else(|| "interface".into(), |stem| stem.to_string_lossy().into_owned());
    let library_file = path("library_file", &library_file)?;
    let Joined { mut model, library, bindings, names, directives } =
        join(py, &options, &library_file, loader)?;
    let library = Arc::new(library);
    let directed = directives.as_ref().map(|directives| directives::described(directives, &bindings, &model));
    // The names have these.
    model.globals.clear();
    // Code in a module of the user's reaches its globals without asking the module.
    let all_at_once = module.is_some();
    let module = match module {
        Some(module) => module,
        None => PyModule::new(py, &name)?,
    };
    let (homes, there) = match backend {
        Backend::InProcess if session::current().is_some() => (Homes::Here(Home::Checked), None),
        Backend::InProcess => (Homes::Here(Home::Native), None),
        Backend::Isolated(station, sole) => {
            let there = InWorker { station: station.clone(), library: library.clone(), timeout, sole };
            (Homes::There(station), Some(there))
        }
    };
    if let Some(there) = &there {
        let mut isolation = isolation::begin();
        isolation.add_library(&library);
        isolation.note_checker(there.station.has_checker());
    } else if let Some(mut session) = session::current() {
        session.add_library(&library);
    }
    let types = Types::new(model, &names, module.name()?.to_string_lossy().into_owned(), decode, homes);
    let calls = Calls {
        header: options.headers.first().cloned().unwrap_or_default(),
        library: library.path().to_owned(),
        loader: library.loader().clone(),
        release_gil,
        checks,
        closed: Arc::default(),
        cleanups: directives.map(|directives| directives.cleanups).unwrap_or_default(),
        there,
    };
    types.calls.get_or_init(|| calls);
    let functions = bindings.functions.into_iter();
    let functions = functions.map(|function| (python_name(&function.declaration.name), function));
    let skipped = bindings.skipped.into_iter().map(|skipped| (skipped.name.clone(), skipped)).collect();
    let interface = Bound::new(
        py,
        Interface {
            name: module.name()?.to_string_lossy().into_owned(),
            headers: file_names(&options.headers),
            module: PyWeakrefReference::new(module.as_any())?.unbind(),
            types,
            names,
            skipped,
            functions: Functions::new(functions.collect()),
            library: Mutex::new(Some(library)),
            hidden: Mutex::default(),
            shared: all_at_once,
        },
    )?;
    for method in OWN_NAMES {
        module.setattr(*method, interface.getattr(*method)?)?;
    }
    module.setattr("__interface__", &interface)?;
    if let Some(directed) = directed {
        let arguments = (&module, &interface, directed, wrapper_modules);
        py.import("pythy._directives")?.call_method1("apply", arguments)?;
    }
    if all_at_once {
        interface.get().make_all(py)?;
    }
    // C's variables are read and written through the module itself.
    module.setattr("__class__", py.import("pythy._module")?.getattr("InterfaceModule")?)?;
    if checked_at_close {
        py.import("pythy.backend")?.call_method1("check_at_close", (&module,))?;
    }
    Ok(module)
}

/// The backend that the program has chosen with `pythy.backend.set_mode`.
fn mode_of_program(py: Python<'_>) -> PyResult<Option<String>> {
    let modules = py.import("sys")?.getattr("modules")?;
    match modules.cast::<PyDict>()?.get_item("pythy.backend")? {
        Some(backend) => backend.call_method0("chosen")?.extract(),
        None => Ok(None),
    }
}

/// The builtin of a bound function, with another name than its own if one is given.
pub fn builtin<'py>(
    module: &Bound<'py, PyString>,
    function: BoundFunction,
    types: &Arc<Types>,
    name: Option<&str>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some(calls) = types.calls.get() else {
        return Err(exceptions::Error::new_err(format!("the interface '{module}' is not ready yet")));
    };
    Making { calls, types }.builtin(module, function, name)
}

/// The headers as messages name them.
fn file_names(headers: &[PathBuf]) -> String {
    let name = |path: &PathBuf| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    headers.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn leak_check_named(name: Option<&str>, usual: LeakCheck) -> PyResult<LeakCheck> {
    Ok(match name {
        Some("call") => LeakCheck::Call,
        Some("test") => LeakCheck::Test,
        None => usual,
        Some("session") => LeakCheck::Session,
        Some("off") => LeakCheck::Off,
        Some(other) => {
            return Err(PyValueError::new_err(format!(
                "leak_check must be 'call', 'test', 'session' or 'off', not '{other}'"
            )));
        }
    })
}

/// Whether `char *` results are str.
pub fn decodes(encoding: Option<&str>) -> PyResult<bool> {
    match encoding {
        None => Ok(false),
        Some(name) if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("utf8") => Ok(true),
        Some(other) => Err(PyValueError::new_err(format!("encoding must be None or 'utf-8', not '{other}'"))),
    }
}

/// Which headers to read, and how, as the caller says it.
pub fn options(
    header_files: &Bound<'_, PyAny>,
    include_dirs: Option<Bound<'_, PyAny>>,
    defines: Option<Bound<'_, PyAny>>,
    clang_args: Option<Bound<'_, PyAny>>,
) -> PyResult<Options> {
    let headers = paths("header_files", header_files)?;
    if headers.is_empty() {
        return Err(PyValueError::new_err("header_files is empty: give at least one header"));
    }
    Ok(Options {
        headers,
        include_dirs: include_dirs.map(|dirs| paths("include_dirs", &dirs)).transpose()?.unwrap_or_default(),
        defines: defines.map(|defines| definitions(&defines)).transpose()?.unwrap_or_default(),
        clang_args: clang_args.map(|arguments| words(&arguments)).transpose()?.unwrap_or_default(),
    })
}

/// Headers and library, joined.
pub struct Joined {
    /// What the headers say beside functions; of its variables, those that the library has, with their lengths.
    pub model: Model,
    /// The library.
    pub library: Library,
    /// What can be called.
    pub bindings: Bindings,
    /// The names of everything else.
    pub names: Names,
    /// What the headers' directives say, if they say anything.
    pub directives: Option<Directives>,
}

/// Reads the headers and joins them with the library.
pub fn join(
    py: Python<'_>,
    options: &Options,
    library_file: &Path,
    loader: Arc<dyn Loader>,
) -> PyResult<Joined> {
    let _unfollowed = bracket::unfollowed();
    let libclang = libclang(py)?;
    let (cache, key) = (Cache::of_user(), Key::new(options, libclang.as_deref()));
    let parsed = Cache::read(cache.as_ref(), key.as_ref(), || read_headers(py, libclang, options))?;
    // A worker takes its time to start; other threads of Python's need not wait for it.
    py.detach(|| loader.ready())?;
    let mut library = Library::open_in(loader, library_file)?;
    py.detach(|| library.compile_static_functions(&parsed, options, cache.as_ref(), key.as_ref()));
    let mut model = parsed.interface;
    let mut bindings = binding::bind(&mut model, &library, &options.headers)?;
    for mut global in std::mem::take(&mut model.globals) {
        let found = variable(&library, &global)?;
        if let Some((_, size)) = found {
            measure(&mut global.ty, size, &model);
            model.globals.push(global);
        } else {
            let reason = why_missing(&library, &global);
            bindings.skipped.push(Skipped {
                name: global.name,
                prototype: None,
                location: global.location,
                reason,
                in_given_header: global.in_given_header,
            });
        }
    }
    let names = Names::new(&mut model, &bindings);
    let directives = std::mem::take(&mut model.directives);
    let directives = directives::in_force(directives, &bindings, &names).map_err(crate::Error::from)?;
    Ok(Joined { model, library, bindings, names, directives })
}

/// Why a variable is not there, as the rest of a sentence about it.
fn why_missing(library: &Library, global: &Global) -> String {
    if !global.is_static {
        return format!("it is not exported by {}", library.path().display());
    }
    let why = match library.shim().and_then(|shim| shim.address(&global.name)) {
        Some(Err(why)) => format!("and {why}"),
        _ if global.in_given_header => {
            "where each file that includes it has its own, the library too".to_owned()
        }
        _ => "which was not given; give this one too to have a table in it compiled".to_owned(),
    };
    format!("it is static: its value is in the header, {why}")
}

/// Gives the type of a variable of that size its length: where the header leaves that of an array open,
/// the symbol table tells it.
fn measure(ty: &mut Type, size: u64, model: &Model) {
    if let TypeKind::Array(element, count @ None) = &mut ty.kind {
        *count = model.size_of(element).and_then(|item| size.checked_div(item)).or(Some(0));
    }
}

/// One path, or a list or tuple of paths.
fn paths(option: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<PathBuf>> {
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        value.try_iter()?.map(|item| path(option, &item?)).collect()
    } else {
        Ok(vec![path(option, value)?])
    }
}

/// A str or a path, given for an option.
fn path(option: &str, value: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    value.extract().or_else(|_| wrong_option(option, "a str or a path", value))
}

/// Arguments, of which a str is not a list.
fn words(value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    value.extract().or_else(|_| wrong_option("clang_args", "a list of str", value))
}

/// The instance of a class that an option has to be.
fn instance<'py, T: PyTypeCheck>(
    option: &str,
    wanted: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, T>> {
    value.cast::<T>().cloned().or_else(|_| wrong_option(option, wanted, value))
}

fn wrong_option<T>(option: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyResult<T> {
    let given = type_name(value);
    Err(exceptions::new_argument_error(value.py(), format!("{option} must be {wanted}, not {given}")))
}

/// `{"NAME": value}`; `True` and `None` define the bare name.
fn definitions(defines: &Bound<'_, PyAny>) -> PyResult<Vec<(String, Option<String>)>> {
    let Ok(defines) = defines.cast::<PyDict>() else {
        return wrong_option("defines", "a dict such as {'NAME': 1}", defines);
    };
    let one = |(name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let bare = value.is_none() || value.is(pyo3::types::PyBool::new(value.py(), true));
        let value = if bare { None } else { Some(value.str()?.to_string_lossy().into_owned()) };
        let name = name.extract().or_else(|_| wrong_option("a name in defines", "a str", &name))?;
        Ok((name, value))
    };
    defines.iter().map(one).collect()
}

/// Natively right here, with the GIL held, as [`header::set_libclang`] asks; under Valgrind in the
/// packaged worker, which Valgrind does not watch.
fn read_headers(py: Python<'_>, libclang: Option<PathBuf>, options: &Options) -> PyResult<Parsed> {
    if valgrind::running() == Presence::Native {
        if let Some(libclang) = libclang {
            header::set_libclang(libclang);
        }
        return Ok(header::read(options).map_err(crate::Error::from)?);
    }
    let worker = program(py)?;
    Ok(py.detach(|| parse_apart(&worker, libclang, options))?)
}

/// The `libclang` package of PyPI, found without importing it.
fn libclang(py: Python<'_>) -> PyResult<Option<PathBuf>> {
    for directory in py.import("sys")?.getattr("path")?.try_iter()? {
        let Ok(directory) = directory?.extract::<PathBuf>() else { continue };
        let file = directory.join("clang/native/libclang.so");
        if file.is_file() {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// What all functions of one interface have in common while they are made.
struct Making<'a> {
    calls: &'a Calls,
    types: &'a Arc<Types>,
}

impl Making<'_> {
    fn builtin<'py>(
        &self,
        module: &Bound<'py, PyString>,
        function: BoundFunction,
        name: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let journal_id = add_declaration(self.calls, || Declaration {
            name: function.declaration.name.clone(),
            prototype: function.declaration.prototype.clone(),
            location: function.declaration.location.clone(),
            library: self.calls.library.clone(),
            leaks: self.calls.checks.leaks != LeakCheck::Off,
        });
        self.entered(module, function, journal_id, (None, name))
    }

    /// The builtin of a function that the journal has.
    fn entered<'py>(
        &self,
        module: &Bound<'py, PyString>,
        function: BoundFunction,
        journal_id: u32,
        (at, name): (Option<&Home>, Option<&str>),
    ) -> PyResult<Bound<'py, PyAny>> {
        let BoundFunction { mut declaration, address, shape } = function;
        let recorded = self.calls.there.is_some() || session::current().is_some();
        let ownership = recorded.then(|| Ownership::of(&declaration, &self.calls.cleanups)).flatten();
        let (name, doc) = face(&declaration, name)?;
        let parameters: Box<[Parameter]> = std::mem::take(&mut declaration.parameters)
            .into_iter()
            .map(|parameter| Parameter {
                plan: Plan::of(&parameter.ty, &Arc::downgrade(self.types)),
                name: parameter.name,
                ty: parameter.ty,
            })
            .collect();
        let result = ResultPlan::of(&declaration.result, self.types.decode);
        let bracketed = self.types.homes.are_checked() && checked::brackets_wanted();
        let release = self.calls.release_gil;
        let there = self.calls.there.as_ref().map(|worker| {
            let name = || declaration.symbol.clone().unwrap_or_else(|| declaration.name.clone());
            let function = match at {
                Some(Home::There(client)) => isolated::Function::At(client.clone(), address as usize),
                _ if worker.library.symbols().get(&name()).is_some() => isolated::Function::Exported(name()),
                _ => isolated::Function::Static(declaration.name.clone()),
            };
            There::new(&worker.station, &worker.library, function, worker.timeout)
        });
        let (signature, general, libffi, entry) = match shape {
            CallShape::Scalars(signature) if bracketed => {
                let libffi = (!HAS_SLOTS).then(|| Libffi::new(signature.clone()));
                let entry =
                    checked::entry((&parameters, result), signature.route(), (self.calls.checks, release));
                (signature, None, libffi, entry)
            }
            CallShape::Scalars(signature) => {
                let route = signature.route();
                let libffi = (route == Route::Libffi).then(|| Libffi::new(signature.clone()));
                (signature, None, libffi, entry::native(route, (&parameters, result), release))
            }
            CallShape::General(convention) => {
                let result = matches!(declaration.result.kind, TypeKind::Record(_));
                let result = result.then(|| self.types.get(&declaration.result));
                let general = General { convention, result, types: self.types.clone() };
                let signature = Signature { parameters: Vec::new(), result: Scalar::Void };
                (signature, Some(general), None, general::entry(release, bracketed))
            }
        };
        let entry = if there.is_some() { isolated::isolated } else { entry };
        let face = Face { name, doc, entry };
        let enumeration = self.types.enumeration(&declaration.result);
        let pointee = Pointee::of(&declaration.result, self.types);
        let names = (declaration.name, declaration.prototype);
        Callable::new(
            address,
            (parameters, Arc::downgrade(self.types)),
            result,
            (signature, general),
            there,
            libffi,
            (enumeration, pointee),
            (journal_id, ownership),
            (release, self.calls.checks, self.calls.closed.clone()),
            names,
            face,
        )
        .into_builtin(module)
    }
}

/// The id of a declaration in the journal; 0 where calls are not recorded.
fn add_declaration(calls: &Calls, declaration: impl FnOnce() -> Declaration) -> u32 {
    if calls.there.is_some() {
        // Not under the lock: it may take a word with the worker.
        let declaration = declaration();
        return isolation::begin().add_declaration(declaration);
    }
    session::current().map_or(0, |mut session| session.add_declaration(declaration()))
}

/// The builtin that calls the function at an address through a pointer of this type, and whether the
/// type may keep it: not where it keeps the types itself.
pub fn function_at(
    py: Python<'_>,
    (address, home): (usize, &Home),
    function: &FunctionType,
    types: &Arc<Types>,
    calls: &Calls,
) -> PyResult<(Py<PyAny>, bool)> {
    let kind = TypeKind::FunctionPointer(Box::new(function.clone()));
    let ty = Type { kind, spelling: String::new(), is_const: false };
    let (canonical, qualified) = (ty.canonical(), ty.qualified());
    let parameters = function.parameters.iter().cloned().map(|ty| model::Parameter { name: None, ty });
    let declaration = Function {
        name: qualified.clone(),
        symbol: None,
        parameters: parameters.collect(),
        result: function.result.clone(),
        variadic: function.variadic,
        linkage: Linkage::External,
        prototype: qualified.clone(),
        // A type that only the caller's cast names belongs to the header as a whole.
        location: types
            .model()
            .location_of_function_pointer(&canonical)
            .cloned()
            .unwrap_or_else(|| Location { file: calls.header.clone(), line: 1, column: 1 }),
        comment: None,
        in_given_header: false,
    };
    let shape = CallShape::of(&declaration, types.model()).map_err(|why| {
        exceptions::new_argument_error(py, format!("a '{qualified}' cannot be called: {why}"))
    })?;
    let journal_id = add_declaration(calls, || {
        let symbol = calls.loader.symbol_at(address).ok().flatten();
        Declaration {
            name: symbol.as_ref().map_or(qualified, |symbol| symbol.name.clone()),
            prototype: declaration.prototype.clone(),
            location: declaration.location.clone(),
            library: symbol.map_or_else(|| calls.library.clone(), |symbol| symbol.library),
            leaks: calls.checks.leaks != LeakCheck::Off,
        }
    });
    let keepable = matches!(shape, CallShape::Scalars(_));
    let bound = BoundFunction { declaration, address: address as *const _, shape };
    let making = Making { calls, types };
    Ok((
        making.entered(&PyString::new(py, "pythy"), bound, journal_id, (Some(home), None))?.unbind(),
        keepable,
    ))
}

/// The names of the parameters in Python, each once.
pub fn parameter_names(declaration: &Function) -> Vec<String> {
    let mut parameters: Vec<String> = Vec::new();
    for (index, parameter) in declaration.parameters.iter().enumerate() {
        let name = parameter.name.as_deref().map_or_else(|| format!("arg{}", index + 1), python_name);
        // An unnamed parameter's name must not be that of a later one.
        let taken = |name: &str| {
            parameters.iter().any(|other| other == name)
                || declaration.parameters[index + 1..].iter().any(|later| later.name.as_deref() == Some(name))
        };
        let mut unique = name.clone();
        while taken(&unique) {
            unique.push('_');
        }
        parameters.push(unique);
    }
    parameters
}

/// The name in Python, and the documentation with the signature before it.
fn face(declaration: &Function, name: Option<&str>) -> PyResult<(CString, CString)> {
    let name = name.map_or_else(|| python_name(&declaration.name), str::to_owned);
    let mut parameters = parameter_names(declaration);
    if !parameters.is_empty() {
        parameters.push("/".to_owned());
    }
    if declaration.variadic {
        parameters.push("*args".to_owned());
    }
    let text = declaration.comment.as_deref().unwrap_or(&declaration.prototype);
    let parameters = parameters.join(", ");
    // Some comments are long: room for all of it at once.
    let mut doc = String::with_capacity(name.len() + parameters.len() + text.len() + "()\n--\n\n\0".len());
    doc.extend([name.as_str(), "(", parameters.as_str(), ")\n--\n\n", text]);
    Ok((c_string(name)?, c_string(doc)?))
}
