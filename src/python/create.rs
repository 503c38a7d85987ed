//! `create_interface`: parse, bind, and put the functions into a module.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule, PyWeakrefReference};

use super::backend::{Backend, Worker};
use super::callable::Checks;
use super::ctype::{Calls, InWorker, Types};
use super::defaults;
use super::directives;
use super::functions::Functions;
use super::home::{Home, Homes};
use super::interface::{Interface, OWN_NAMES};
use super::joined::{Joined, join};
use super::names::python_name;
use super::options::{decodes, instance, leak_check_named, options, path, seconds};
use super::report;
use crate::Error;
use crate::binding::{self, Loader};
use crate::isolation;
use crate::session::{self, LeakCheck};

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
    let timeout = timeout.map_or(Ok(None), |timeout| seconds(&timeout))?;
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
    // What has been lost before the first interface can be called is set apart.
    let session_runs = session::started().is_some();
    if matches!(backend, Backend::InProcess) {
        expect_crash(py, &library_file)?;
    }
    let Joined { mut model, library, bindings, names, directives } =
        join(py, &options, &library_file, loader, |error| unloaded(py, &backend, &library_file, error))?;
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
        if let Some(client) = there.station.running() {
            isolation.note_load(&client)?;
        }
    } else {
        if let Some(mut session) = session::current() {
            session.add_library(&library);
            match (session_runs, session::is_followed()) {
                (true, _) => session.note_load(),
                (false, true) => session.set_apart_losses(),
                // It has begun after the loading.
                (false, false) => {}
            }
        }
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

/// The exception for a library that could not be loaded. One that ended the worker meanwhile, as a constructor may, is
/// told like a call that does.
fn unloaded(py: Python<'_>, backend: &Backend, library: &Path, error: Error) -> PyErr {
    let (Error::WorkerCrashed { signal, exit_code, idle: false, .. }, Backend::Isolated(station, _)) =
        (&error, backend)
    else {
        return error.into();
    };
    let Some(client) = station.latest() else { return error.into() };
    let tool = report::tool(py);
    let told = isolation::begin().fail_load(&client, library, tool).map_err(PyErr::from);
    let crashed = |data| report::worker_crashed(py, &error, data, *signal, *exit_code);
    told.and_then(crashed).unwrap_or_else(|error| error)
}

/// The backend that the program has chosen with `pythy.backend.set_mode`.
fn mode_of_program(py: Python<'_>) -> PyResult<Option<String>> {
    let modules = py.import("sys")?.getattr("modules")?;
    match modules.cast::<PyDict>()?.get_item("pythy.backend")? {
        Some(backend) => backend.call_method0("chosen")?.extract(),
        None => Ok(None),
    }
}

/// Has the end of the process by one of the library's constructors told, where somebody tells of crashes.
fn expect_crash(py: Python<'_>, library: &Path) -> PyResult<()> {
    let told = session::is_followed()
        && session::current().is_some_and(|mut session| {
            session.expect_library(library);
            session.crashes_are_told()
        });
    if told { leave_crashes_to_valgrind(py) } else { Ok(()) }
}

/// faulthandler would take the signal and raise it again: Valgrind then sees its stack, and not the C code's.
fn leave_crashes_to_valgrind(py: Python<'_>) -> PyResult<()> {
    let modules = py.import("sys")?.getattr("modules")?;
    if let Some(handler) = modules.cast::<PyDict>()?.get_item("faulthandler")? {
        handler.call_method0("disable")?;
    }
    Ok(())
}

/// The headers as messages name them.
fn file_names(headers: &[PathBuf]) -> String {
    let name = |path: &PathBuf| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    headers.iter().map(name).collect::<Vec<_>>().join(", ")
}
