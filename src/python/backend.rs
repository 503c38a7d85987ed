//! Where the C code of an interface is to run.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::defaults;
use super::exceptions;
use super::report::{Before, report_at_exit, tell};
use super::summons::{dismiss, interrupted};
use crate::valgrind::{self, Presence, Valgrind};
use crate::worker::{Checker, Client, Launch, Station};
use crate::{Error, Result, isolation, session};

/// Where the C code of an interface is to run.
pub enum Backend {
    /// In this process.
    InProcess,
    /// In a worker: where from, and whether it is this interface's alone.
    Isolated(Arc<Station>, Sole),
}

/// Whether a worker is one interface's alone, and ends with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sole(pub bool);

/// A worker process for several interfaces: create_interface(..., worker=worker). Made by pythy.worker().
///
/// A context manager: at the end of the block the worker ends.
#[pyclass(frozen, module = "pythy")]
pub struct Worker {
    station: Arc<Station>,
}

/// Starts a worker process that several interfaces can share: create_interface(..., worker=worker).
///
/// checker is "memcheck", "none", or None: memcheck where Valgrind is found.
#[pyfunction]
#[pyo3(signature = (*, checker=None))]
pub fn worker(py: Python<'_>, checker: Option<&str>) -> PyResult<Worker> {
    Ok(Worker { station: start(py, checker)? })
}

#[pymethods]
impl Worker {
    /// Ends the worker. Doing it twice is no error.
    fn close(&self, py: Python<'_>) {
        close_station(py, &self.station);
    }

    /// The number of the process; None where none is running.
    #[getter]
    fn pid(&self) -> Option<u32> {
        self.station.running().map(|client| client.pid())
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) -> bool {
        self.close(py);
        false
    }

    fn __repr__(&self) -> String {
        match self.pid() {
            Some(pid) => format!("<pythy.Worker of process {pid}>"),
            None => "<pythy.Worker that has ended>".to_owned(),
        }
    }
}

impl Backend {
    /// As the arguments of `create_interface` have it, or else the environment.
    pub fn chosen(
        py: Python<'_>,
        backend: Option<String>,
        checker: Option<&str>,
        worker: Option<&Bound<'_, Worker>>,
    ) -> PyResult<Self> {
        let named = backend.or_else(|| if worker.is_some() { None } else { defaults::backend() });
        let isolated = match named.as_deref() {
            None => worker.is_some(),
            Some("inprocess") => false,
            Some("isolated") => true,
            Some(other) => {
                return Err(PyValueError::new_err(format!(
                    "backend must be 'inprocess' or 'isolated', not '{other}'"
                )));
            }
        };
        match (isolated, worker) {
            (false, Some(_)) => Err(PyValueError::new_err("worker is for backend='isolated' only")),
            (false, None) if checker.is_some() => {
                Err(PyValueError::new_err("checker is for backend='isolated' only"))
            }
            (false, None) => Ok(Self::InProcess),
            (true, Some(_)) if checker.is_some() => {
                Err(PyValueError::new_err("checker is the worker's own: pythy.worker(checker=...)"))
            }
            (true, Some(worker)) => Ok(Self::Isolated(worker.get().station.clone(), Sole(false))),
            (true, None) => Ok(Self::Isolated(start(py, checker)?, Sole(true))),
        }
    }
}

fn start(py: Python<'_>, checker: Option<&str>) -> PyResult<Arc<Station>> {
    if valgrind::running() != Presence::Native {
        return Err(exceptions::Error::new_err(
            "backend='isolated' is for a Python that runs natively, and this one runs under Valgrind: \
             start it without Valgrind, or use backend='inprocess'",
        ));
    }
    let checker = match checker {
        None => match valgrind() {
            Ok(valgrind) => memcheck(valgrind),
            Err(Error::ValgrindMissing) => Checker::None,
            // Somebody who has Valgrind wants it.
            Err(unusable) => return Err(unusable.into()),
        },
        Some("memcheck") => memcheck(valgrind()?),
        Some("none") => Checker::None,
        Some(other) => {
            return Err(PyValueError::new_err(format!(
                "checker must be 'memcheck' or 'none', not '{other}'"
            )));
        }
    };
    let station = Station::start(Launch { worker: program(py)?, checker }, interrupted)?;
    keep_in_mind(py, &station)?;
    Ok(station)
}

fn memcheck(valgrind: Valgrind) -> Checker {
    let named = std::env::var_os("PYTHY_SUPPRESSIONS").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|file| !file.as_os_str().is_empty());
    let added = SUPPRESSIONS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let option = |file: PathBuf| format!("--suppressions={}", file.display());
    let kinds = session::leak_kinds().into_iter();
    let kinds =
        kinds.flat_map(|kinds| ["show", "errors-for"].map(|what| format!("--{what}-leak-kinds={kinds}")));
    Checker::Memcheck {
        valgrind: valgrind.path,
        options: named.chain(added).map(option).chain(kinds).collect(),
    }
}

/// The user's own, for the workers that are still to be started.
static SUPPRESSIONS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Has the Valgrind of every worker from now on read a file of suppressions.
pub fn add_suppressions(file: PathBuf) {
    SUPPRESSIONS.lock().unwrap_or_else(PoisonError::into_inner).push(file);
}

/// The path of the Valgrind that is installed; ValgrindError where there is none that can be used.
#[pyfunction]
pub fn find_valgrind() -> PyResult<PathBuf> {
    Ok(valgrind()?.path)
}

/// The Valgrind that is installed, asked for its version once.
fn valgrind() -> Result<Valgrind> {
    static FOUND: OnceLock<Valgrind> = OnceLock::new();
    if let Some(valgrind) = FOUND.get() {
        return Ok(valgrind.clone());
    }
    let valgrind = valgrind::find()?;
    Ok(FOUND.get_or_init(|| valgrind).clone())
}

/// The worker that comes with the package.
pub fn program(py: Python<'_>) -> PyResult<PathBuf> {
    let package: PathBuf = py.import("pythy")?.getattr("__file__")?.extract()?;
    Ok(package.with_file_name("bin").join("pythy-worker"))
}

/// Ends the worker as a program ends, after a last look for what it has lost.
pub fn close_station(py: Python<'_>, station: &Arc<Station>) {
    match (isolation::current(), station.running()) {
        (Some(mut isolation), Some(client)) => isolation.finish(&client, || station.close()),
        (isolation, _) => {
            drop(isolation);
            py.detach(|| station.close());
        }
    }
}

/// The same once no call is under way any more: a callback may close what it was called by.
pub fn close_after_calls(py: Python<'_>, station: &Arc<Station>) {
    station.retire();
    close_if_due(py, station);
}

/// Ends a worker that was to end after the last call.
pub fn close_if_due(py: Python<'_>, station: &Arc<Station>) {
    if station.is_due() {
        close_station(py, station);
    }
}

/// All stations that may have a worker.
static STATIONS: Mutex<Vec<Weak<Station>>> = Mutex::new(Vec::new());

fn keep_in_mind(py: Python<'_>, station: &Arc<Station>) -> PyResult<()> {
    static HOOKED: OnceLock<()> = OnceLock::new();
    if HOOKED.set(()).is_ok() {
        let native = py.import("pythy._native")?;
        let keywords = [("after_in_child", native.getattr("abandon_workers")?)].into_iter();
        let keywords = pyo3::types::IntoPyDict::into_py_dict(keywords.collect::<Vec<_>>(), py)?;
        py.import("os")?.call_method("register_at_fork", (), Some(&keywords))?;
        py.import("atexit")?.call_method1("register", (native.getattr("end_workers")?,))?;
        py.import("pythy._exits")?.call_method0("begin")?;
    }
    let mut stations = STATIONS.lock().unwrap_or_else(PoisonError::into_inner);
    stations.retain(|station| station.strong_count() > 0);
    stations.push(Arc::downgrade(station));
    Ok(())
}

/// In the child after a fork: the workers stay the parent's.
#[pyfunction]
pub fn abandon_workers() {
    Client::abandon_all();
    if let Some(mut isolation) = isolation::current_if_free() {
        isolation.start_over();
    }
    let Ok(stations) = STATIONS.try_lock() else { return };
    stations.iter().filter_map(Weak::upgrade).for_each(|station| station.abandon());
}

/// At the end of the program: ends the workers as programs end, and tells what they found.
#[pyfunction]
pub fn end_workers(py: Python<'_>) -> PyResult<()> {
    close_all(py);
    dismiss(py)?;
    report_at_exit(py)
}

/// The same in a process that is about to end at once, where nothing is waited for.
///
/// What the program has not printed yet stays so, and where another thread was in the middle of something, nothing
/// is done.
#[pyfunction]
pub fn end_workers_at_once(py: Python<'_>) -> PyResult<()> {
    if isolation::current_if_free().is_none() || STATIONS.try_lock().is_err() {
        return Ok(());
    }
    close_all(py);
    tell(py, Before::Nothing)
}

fn close_all(py: Python<'_>) {
    let stations: Vec<_> = {
        let stations = STATIONS.lock().unwrap_or_else(PoisonError::into_inner);
        stations.iter().filter_map(Weak::upgrade).collect()
    };
    stations.iter().for_each(|station| close_station(py, station));
    // Those whose interfaces are gone, and of which Python still has a pointer or a record.
    for client in Client::living() {
        isolation::begin().finish(&client, || client.close());
    }
}
