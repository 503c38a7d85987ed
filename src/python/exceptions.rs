use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyKeyboardInterrupt, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

create_exception!(pythy, Error, PyException, "The base of all exceptions of pythy's own.");
create_exception!(pythy, HeaderError, Error, "A header that is missing or that clang cannot parse.");
create_exception!(
    pythy,
    BindingError,
    Error,
    "A library that cannot be loaded, or that lacks what is asked of it."
);
create_exception!(pythy, WorkerCrashed, Error, "The C code ended its worker process.");
create_exception!(pythy, ValgrindError, Error, "Valgrind is missing, unusable, or leaves a question open.");
create_exception!(pythy, MemoryCheckError, Error, "Valgrind has a finding for this very call.");

static ARGUMENT_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static SYMBOL_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// `ArgumentError(Error, TypeError)`, which a macro with one base cannot make.
pub fn argument_error(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    let doc = "An argument of a C function that has the wrong type, number or shape.";
    two_bases(
        py,
        &ARGUMENT_ERROR,
        "ArgumentError",
        doc,
        (py.get_type::<Error>(), py.get_type::<PyTypeError>()),
    )
}

/// `SymbolError(BindingError, AttributeError)`, for names that are declared and not bound.
pub fn symbol_error(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    let doc = "A name that the header declares and that cannot be used, with the reason.";
    let attribute_error = py.get_type::<pyo3::exceptions::PyAttributeError>();
    two_bases(py, &SYMBOL_ERROR, "SymbolError", doc, (py.get_type::<BindingError>(), attribute_error))
}

fn two_bases<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyType>>,
    name: &str,
    doc: &str,
    bases: (Bound<'py, PyType>, Bound<'py, PyType>),
) -> PyResult<&'py Bound<'py, PyType>> {
    let ty = cell.get_or_try_init(py, || {
        let namespace = pyo3::types::PyDict::new(py);
        namespace.set_item("__module__", "pythy")?;
        namespace.set_item("__doc__", doc)?;
        let bases = PyTuple::new(py, [bases.0, bases.1])?;
        let ty = py.get_type::<PyType>().call1((name, bases, namespace))?;
        Ok::<_, PyErr>(ty.cast_into::<PyType>()?.unbind())
    })?;
    Ok(ty.bind(py))
}

/// An `ArgumentError` with this message.
pub fn new_argument_error(py: Python<'_>, message: String) -> PyErr {
    match argument_error(py) {
        Ok(ty) => PyErr::from_type(ty.clone(), message),
        Err(error) => error,
    }
}

/// A `SymbolError` with this message.
pub fn new_symbol_error(py: Python<'_>, message: String) -> PyErr {
    match symbol_error(py) {
        Ok(ty) => PyErr::from_type(ty.clone(), message),
        Err(error) => error,
    }
}

/// A `WorkerCrashed` with this message that tells how the worker ended.
pub fn worker_crashed(
    py: Python<'_>,
    message: String,
    signal: Option<i32>,
    exit_code: Option<i32>,
) -> PyResult<PyErr> {
    let signal = match signal {
        Some(number) => Some(py.import("signal")?.getattr("Signals")?.call1((number,))?),
        None => None,
    };
    let error = WorkerCrashed::new_err(message);
    let value = error.value(py);
    value.setattr("signal", signal)?;
    value.setattr("exit_code", exit_code)?;
    // Where a call brought it about, that has more to say.
    value.setattr("finding", py.None())?;
    value.setattr("report", py.None())?;
    Ok(error)
}

impl From<crate::Error> for PyErr {
    fn from(error: crate::Error) -> PyErr {
        use crate::Error as Failure;

        let message = error.to_string();
        match error {
            Failure::Header(_) | Failure::HeaderReader { .. } => HeaderError::new_err(message),
            Failure::LibraryNotFound { .. }
            | Failure::NotALibrary { .. }
            | Failure::LibraryLoad { .. }
            | Failure::NothingInCommon { .. } => BindingError::new_err(message),
            Failure::Log { .. } | Failure::ValgrindMissing | Failure::ValgrindUnusable { .. } => {
                ValgrindError::new_err(message)
            }
            Failure::WorkerStart { .. } | Failure::WorkerBuild { .. } | Failure::WorkerNonsense { .. } => {
                Error::new_err(message)
            }
            Failure::WorkerGone { .. } | Failure::WorkerRefused { .. } => Error::new_err(message),
            Failure::WorkerCrashed { signal, exit_code, .. } => Python::attach(|py| {
                worker_crashed(py, message, signal, exit_code).unwrap_or_else(|error| error)
            }),
            Failure::WorkerTimeout { .. } => pyo3::exceptions::PyTimeoutError::new_err(message),
            Failure::WorkerMemory { .. } => pyo3::exceptions::PyMemoryError::new_err(message),
            // What interrupted it has set its own exception.
            Failure::Interrupted => {
                Python::attach(PyErr::take).unwrap_or_else(|| PyKeyboardInterrupt::new_err(message))
            }
            Failure::ReportRead { .. } | Failure::ReportForm { .. } => Error::new_err(message),
            Failure::ReportWrite { source, .. } => match source.raw_os_error() {
                Some(code) => pyo3::exceptions::PyOSError::new_err((code, message)),
                None => pyo3::exceptions::PyOSError::new_err(message),
            },
        }
    }
}

/// Puts every exception class into the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("Error", py.get_type::<Error>())?;
    module.add("HeaderError", py.get_type::<HeaderError>())?;
    module.add("BindingError", py.get_type::<BindingError>())?;
    module.add("SymbolError", symbol_error(py)?)?;
    module.add("ArgumentError", argument_error(py)?)?;
    module.add("WorkerCrashed", py.get_type::<WorkerCrashed>())?;
    module.add("ValgrindError", py.get_type::<ValgrindError>())?;
    module.add("MemoryCheckError", py.get_type::<MemoryCheckError>())
}
