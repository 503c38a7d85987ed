//! Reports as Python sees them: the JSON report's structure, with ids resolved to objects.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::exceptions::{self, MemoryCheckError};
use crate::Error;
use crate::isolation;
use crate::report::{self, Report as Data, Screen, SourceLines, Tool};
use crate::session::{self, Entered, Mark};
use crate::valgrind::{self, Presence};
use crate::worker::Client;

/// Findings and calls of a stretch of the program.
#[pyclass(frozen, module = "pythy")]
pub struct Report {
    data: Mutex<Option<Data>>,
}

impl Report {
    /// A report that is complete.
    pub fn new(data: Data) -> Self {
        Self { data: Mutex::new(Some(data)) }
    }

    fn with<T>(&self, read: impl FnOnce(&Data) -> T) -> PyResult<T> {
        match &*self.data.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Some(data) => Ok(read(data)),
            None => Err(super::exceptions::Error::new_err(
                "this report is still being made: read it after the 'with pythy.watch()' block",
            )),
        }
    }

    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let json = self.json()?;
        py.import("json")?.call_method1("loads", (json,))
    }
}

#[pymethods]
impl Report {
    /// Whether nothing was found.
    #[getter]
    fn ok(&self) -> PyResult<bool> {
        self.with(Data::ok)
    }

    /// What was found, in order of first occurrence.
    #[getter]
    fn findings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.part(py, "findings")
    }

    /// Calls with something to tell, then totals of the rest.
    #[getter]
    fn calls<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.part(py, "calls")
    }

    /// Sums: calls, errors, leaked_bytes, leaked_blocks, crashes.
    #[getter]
    fn totals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.part(py, "totals")
    }

    /// What could not be known, one sentence each.
    #[getter]
    fn notes(&self) -> PyResult<Vec<String>> {
        self.with(|data| data.notes.clone())
    }

    /// The report as JSON text, in the form "pythy-report/1".
    fn json(&self) -> PyResult<String> {
        Ok(self.with(report::to_json)??)
    }

    /// Writes the report as JSON, in the form "pythy-report/1".
    fn to_json(&self, path: PathBuf) -> PyResult<()> {
        write(path, self.json()?)
    }

    /// The report as one HTML page that needs no other file.
    fn html(&self) -> PyResult<String> {
        Ok(self.with(|data| report::to_html(data, &file()))??)
    }

    /// Writes the report as one HTML page that needs no other file.
    fn to_html(&self, path: PathBuf) -> PyResult<()> {
        write(path, self.html()?)
    }

    /// The report as SARIF 2.1.0, for code scanning and editors.
    fn sarif(&self) -> PyResult<String> {
        self.with(|data| report::to_sarif(data, &file()))
    }

    /// Writes the report as SARIF 2.1.0, for code scanning and editors.
    fn to_sarif(&self, path: PathBuf) -> PyResult<()> {
        write(path, self.sarif()?)
    }

    /// The report as GitHub's workflow commands, which show findings at their lines of Python.
    fn github(&self) -> PyResult<String> {
        self.with(|data| report::to_github(data, &file()))
    }

    /// The report as JUnit's XML, a test case for each line that calls C.
    fn junit(&self) -> PyResult<String> {
        Ok(self.with(|data| report::to_junit(data, &file()))??)
    }

    /// Valgrind suppressions, an entry for each finding, each with the call it comes from.
    fn suppressions(&self) -> PyResult<String> {
        self.with(report::to_suppressions)
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        self.table(py, Some("stdout"))
    }

    /// The table, as wide as this stream of sys's is; without one, as long as its lines are.
    #[pyo3(signature = (stream=None))]
    fn table(&self, py: Python<'_>, stream: Option<&str>) -> PyResult<String> {
        let screen = stream.map_or_else(|| Ok(file()), |stream| screen(py, stream))?;
        self.with(|data| report::to_table(data, &screen))
    }

    fn __repr__(&self) -> PyResult<String> {
        self.with(|data| match data.findings.len() {
            0 => "<pythy.Report: no findings>".to_owned(),
            1 => "<pythy.Report: 1 finding>".to_owned(),
            n => format!("<pythy.Report: {n} findings>"),
        })
    }
}

impl Report {
    fn part<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let data = self.value(py)?;
        py.import("pythy.findings")?.call_method1("part", (data, name))
    }
}

/// A place from which a report may start.
#[derive(Clone)]
pub struct Since {
    here: Mark,
    there: isolation::Mark,
}

impl Since {
    /// The start of the process.
    pub const START: Self = Self { here: Mark::START, there: isolation::Mark::START };

    /// Now, without looking for leaks.
    pub fn here() -> Self {
        Self {
            here: session::started().map_or(Mark::START, |mut session| session.here()),
            there: isolation::current().map_or(isolation::Mark::START, |mut isolation| isolation.here()),
        }
    }

    /// The place among what workers do.
    pub fn there(&self) -> &isolation::Mark {
        &self.there
    }

    /// What has been seen since, without a leak check; `None` where that is nothing.
    pub fn news(&self, tool: Tool) -> Option<Data> {
        if let Some(mut session) = session::started() {
            return session.news(self.here, tool);
        }
        let mut isolation = isolation::current()?;
        isolation.has_news(&self.there).then(|| isolation.report_without_check(&self.there, tool))
    }

    /// Everything since, without a leak check; `None` where no interface was made.
    pub fn told(&self, tool: Tool) -> Option<Data> {
        match session::started() {
            Some(session) => Some(session.report_without_check(self.here, tool)),
            None => Some(isolation::current()?.report_without_check(&self.there, tool)),
        }
    }

    /// Now; what has been lost is found before it.
    fn now(py: Python<'_>) -> PyResult<Self> {
        check_workers(py)?;
        Ok(Self {
            here: session::current().map_or(Mark::START, |mut session| session.mark()),
            there: isolation::current().map_or(isolation::Mark::START, |mut isolation| isolation.here()),
        })
    }
}

/// A `with` block whose calls a report is about.
#[pyclass(frozen, module = "pythy")]
pub struct Watch {
    mark: Mutex<Option<Since>>,
    report: Py<Report>,
}

#[pymethods]
impl Watch {
    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<Report>> {
        let now = Since::now(py)?;
        *self.mark.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(now);
        Ok(self.report.clone_ref(py))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<bool> {
        let mark = self.mark.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let data = collect(py, &mark.unwrap_or(Since::START))?;
        *self.report.get().data.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(data);
        Ok(false)
    }
}

/// A context manager whose report is about the foreign calls made inside it.
///
/// with pythy.watch() as report: ...; read the report after the block.
#[pyfunction]
pub fn watch(py: Python<'_>) -> PyResult<Watch> {
    Ok(Watch { mark: Mutex::new(None), report: Py::new(py, Report { data: Mutex::new(None) })? })
}

/// A report about everything so far in this process. Runs a leak check.
#[pyfunction]
pub fn memory_report(py: Python<'_>) -> PyResult<Report> {
    Ok(Report::new(collect(py, &Since::START)?))
}

/// Whether this process runs under Valgrind.
#[pyfunction]
pub fn running_under_valgrind() -> bool {
    valgrind::running() != Presence::Native
}

/// Whether this process runs natively because Valgrind did not follow a script into it.
#[pyfunction]
pub fn left_behind() -> bool {
    valgrind::left_behind()
}

/// The version of the Valgrind on PATH, "3.19.0"; None where there is none.
#[pyfunction]
pub fn valgrind_version() -> Option<String> {
    static VERSION: OnceLock<Option<String>> = OnceLock::new();
    VERSION.get_or_init(|| valgrind::find().ok().map(|valgrind| valgrind.version.to_string())).clone()
}

/// Whether a call with a finding raises.
static RAISE: AtomicBool = AtomicBool::new(false);

/// Makes every foreign call with a finding raise MemoryCheckError, whose `report` has the findings;
/// raise_on_finding(False) ends that. Leaks are known at the call with leak_check="call" only.
#[pyfunction]
#[pyo3(signature = (enabled=true, /))]
pub fn raise_on_finding(enabled: bool) {
    RAISE.store(enabled, Ordering::Relaxed);
}

/// Sets `MemoryCheckError` for a call of which there is news, if that is wanted and it has findings.
/// The GIL is held.
pub fn raises(entered: &Entered) -> bool {
    if !is_to_raise() {
        return false;
    }
    // SAFETY: only called from entries, with the GIL held.
    let py = unsafe { Python::assume_attached() };
    let data = session::current().map(|mut session| session.report_on(entered, tool(py)));
    match data.map_or(Ok(None), |data| memory_check_error(py, data)) {
        Ok(None) => return false,
        Ok(Some(error)) | Err(error) => error.restore(py),
    }
    true
}

/// Whether calls with findings raise.
pub fn is_to_raise() -> bool {
    RAISE.load(Ordering::Relaxed)
}

/// The exception for a call of which this is known; `None` where that is nothing.
pub fn memory_check_error(py: Python<'_>, mut data: Data) -> PyResult<Option<PyErr>> {
    let Some(message) = report::to_message(&data, &Screen::default()) else { return Ok(None) };
    data.add_sources(&mut Linecache { py });
    let error = MemoryCheckError::new_err(message);
    error.value(py).setattr("report", Report::new(data))?;
    Ok(Some(error))
}

/// The exception for a call that ended its worker.
pub fn worker_crashed(
    py: Python<'_>,
    error: &Error,
    mut data: Data,
    signal: Option<i32>,
    exit_code: Option<i32>,
) -> PyResult<PyErr> {
    data.add_sources(&mut Linecache { py });
    let details = report::to_message(&data, &Screen::default());
    let message = details.map_or_else(|| error.to_string(), |details| format!("{error}\n{details}"));
    let report = Bound::new(py, Report { data: Mutex::new(Some(data)) })?;
    let findings: Vec<Bound<'_, PyAny>> = report.get().findings(py)?.extract()?;
    let is_crash = |finding: &Bound<'_, PyAny>| -> PyResult<bool> {
        Ok(finding.getattr("category")?.extract::<String>()? == "crash")
    };
    let mut crash = None;
    for finding in findings {
        if is_crash(&finding)? {
            crash = Some(finding);
        }
    }
    let error = exceptions::worker_crashed(py, message, signal, exit_code)?;
    let value = error.value(py);
    value.setattr("finding", crash)?;
    value.setattr("report", report)?;
    Ok(error)
}

/// The report that to_json() has written into this file.
#[pyfunction]
pub fn read_report(path: PathBuf) -> PyResult<Report> {
    let wrong = |message: String| Error::ReportRead { path: path.clone(), message };
    let json = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
    let data = report::from_json(&json).map_err(wrong)?;
    Ok(Report::new(data))
}

/// The report on a process that crashed, from the trail in this directory and Valgrind's XML; None
/// where it never made an interface.
#[pyfunction]
pub fn crash_report(py: Python<'_>, trail: PathBuf, log: PathBuf) -> PyResult<Option<Report>> {
    let tool = Tool { valgrind: valgrind_version(), checker: "memcheck".to_owned(), ..tool(py) };
    let Some(mut data) = session::report_on_crash(&trail, &log, tool)? else { return Ok(None) };
    data.add_sources(&mut Linecache { py });
    Ok(Some(Report::new(data)))
}

/// Whether the end of the process is the time to tell.
static TELL_AT_EXIT: AtomicBool = AtomicBool::new(true);

/// Says whether report_at_exit() has something to do: not where others tell all.
#[pyfunction]
#[pyo3(signature = (enabled, /))]
pub fn tell_at_exit(enabled: bool) {
    TELL_AT_EXIT.store(enabled, Ordering::Relaxed);
}

/// The table on stderr at the end of a process whose C code ran under Valgrind. Nothing where
/// there is nothing to say.
#[pyfunction]
pub fn report_at_exit(py: Python<'_>) -> PyResult<()> {
    tell(py, Before::Stdout)
}

/// What is written before a table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// What the program has printed comes first.
    Stdout,
    /// What the program has not written yet is not ours to write.
    Nothing,
}

/// See [`report_at_exit`].
pub fn tell(py: Python<'_>, before: Before) -> PyResult<()> {
    if !TELL_AT_EXIT.load(Ordering::Relaxed) {
        return Ok(());
    }
    let data = collect(py, &Since::START)?;
    // `pythy run` shows it when the process is over.
    // Programs that this one starts have the variable too.
    if let Ok(path) = std::env::var("PYTHY_RUN_REPORT") {
        let path = PathBuf::from(path.replace("%p", &std::process::id().to_string()));
        return write(path, report::to_json(&data)?);
    }
    if data.ok() && data.notes.is_empty() {
        return Ok(());
    }
    let table = report::to_table(&data, &screen(py, "stderr")?);
    let sys = py.import("sys")?;
    let stdout = sys.getattr("stdout")?;
    if before == Before::Stdout && !stdout.is_none() {
        stdout.call_method0("flush")?;
    }
    let stderr = sys.getattr("stderr")?;
    if !stderr.is_none() {
        stderr.call_method1("write", (table,))?;
        stderr.call_method0("flush")?;
    }
    Ok(())
}

/// A report with the text of its source lines. The session's lock is not held: this runs Python code, which
/// may call C again.
pub fn finished(py: Python<'_>, mut data: Data) -> Report {
    data.add_sources(&mut Linecache { py });
    Report::new(data)
}

fn collect(py: Python<'_>, since: &Since) -> PyResult<Data> {
    check_workers(py)?;
    let tool = tool(py);
    let isolated = || {
        isolation::current().map(|mut isolation| isolation.report_without_check(&since.there, tool.clone()))
    };
    let session = session::current();
    let mut data = match session {
        Some(mut session) => session.report(since.here, tool),
        None => isolated().unwrap_or_else(|| session::report_without_session(tool.clone())),
    };
    // Not under the session's lock: this runs Python code, which may call C again.
    data.add_sources(&mut Linecache { py });
    Ok(data)
}

/// Looks for leaks in all workers. One that is in a call of another thread's is waited for, while Python goes on.
fn check_workers(py: Python<'_>) -> PyResult<()> {
    let check = || isolation::current().map_or_else(Vec::new, |mut isolation| isolation.check_leaks());
    let mut busy = check();
    while !busy.is_empty() {
        while !py.detach(|| busy.iter().all(Client::is_free_soon)) {
            py.check_signals()?;
        }
        busy = check();
    }
    Ok(())
}

/// What makes the reports of this process.
pub fn tool(py: Python<'_>) -> Tool {
    let isolated = isolation::current().map(|isolation| isolation.has_checker());
    let under_valgrind = valgrind::running() != Presence::Native || isolated == Some(true);
    let python = py.version_info();
    Tool {
        pythy: env!("CARGO_PKG_VERSION").to_owned(),
        valgrind: under_valgrind.then(|| valgrind_version().unwrap_or_else(|| "unknown".to_owned())),
        checker: match valgrind::running() {
            Presence::Valgrind => "memcheck",
            Presence::Native if isolated == Some(true) => "memcheck",
            Presence::Native | Presence::ValgrindWithoutRequests => "none",
        }
        .to_owned(),
        python: Some(format!("{}.{}.{}", python.major, python.minor, python.patch)),
        mode: if isolated.is_some() { "isolated" } else { "inprocess" }.to_owned(),
    }
}

/// Source lines as Python's own tracebacks find them.
struct Linecache<'py> {
    py: Python<'py>,
}

impl SourceLines for Linecache<'_> {
    fn line(&mut self, file: &str, line: u32) -> Option<String> {
        let linecache = self.py.import("linecache").ok()?;
        let text: String = linecache.call_method1("getline", (file, line)).ok()?.extract().ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

fn screen(py: Python<'_>, stream: &str) -> PyResult<Screen> {
    let stream = py.import("sys")?.getattr(stream)?;
    let is_terminal = stream.call_method0("isatty").and_then(|answer| answer.is_truthy()).unwrap_or(false);
    let width = if is_terminal {
        // Of this very stream: the others may go elsewhere.
        let size = py.import("os")?.call_method1("get_terminal_size", (stream.call_method0("fileno")?,));
        let columns = size.and_then(|size| size.getattr("columns")?.extract::<u16>());
        Some(columns.unwrap_or(80).max(60))
    } else {
        None
    };
    Ok(Screen { width, ..file() })
}

/// What a file is: as wide as its lines are, with paths that are relative to where Python is.
fn file() -> Screen {
    let directory = std::env::current_dir().ok().filter(|directory| directory.parent().is_some());
    Screen { width: None, directory }
}

fn write(path: PathBuf, text: String) -> PyResult<()> {
    std::fs::write(&path, text).map_err(|source| Error::ReportWrite { path, source }.into())
}
