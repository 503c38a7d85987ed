//! What a runner of tests asks: which test makes the calls, and what is new since its phase began.

use std::path::PathBuf;

use pyo3::prelude::*;

use super::report::{Report, Since, finished};
use super::{backend, call_site, report};
use crate::session::{self, Pinpoint};
use crate::valgrind::{self, Presence};
use crate::{Error, bracket, isolation};

/// A place from which news are told.
#[pyclass(frozen, module = "pythy._native", name = "Mark")]
pub struct PyMark(Since);

/// Names the test that makes the calls from now on; None for none.
#[pyfunction]
pub fn set_test(name: Option<String>) {
    call_site::set_test(name);
}

/// The place up to which everything has been seen.
#[pyfunction]
pub fn mark() -> PyMark {
    PyMark(Since::here())
}

/// A report about what has been seen since the mark, without a leak check; None where that is nothing.
#[pyfunction]
pub fn news(py: Python<'_>, since: &Bound<'_, PyMark>) -> Option<Report> {
    let tool = report::tool(py);
    let data = since.get().0.news(tool)?;
    Some(finished(py, data))
}

/// How many foreign calls there have been.
#[pyfunction]
pub fn calls() -> u64 {
    call_site::journal(|journal| journal.last()).unwrap_or(0)
}

/// A report about this process since the mark, without a leak check; None where no interface was made.
#[pyfunction]
pub fn session_report(py: Python<'_>, since: &Bound<'_, PyMark>) -> Option<Report> {
    let tool = report::tool(py);
    let data = since.get().0.told(tool)?;
    Some(finished(py, data))
}

/// The names of what can be found: "InvalidRead", "Leak_DefinitelyLost".
#[pyfunction]
pub fn kinds() -> Vec<&'static str> {
    crate::report::kinds().collect()
}

/// Looks for lost blocks, if one can have been lost since that was done last.
#[pyfunction]
pub fn check_leaks() {
    if let Some(mut session) = session::started() {
        session.check_leaks_if_due();
    }
    if let Some(mut isolation) = isolation::current() {
        isolation.check_leaks_if_due();
    }
}

/// Ends the workers that have loaded something since the mark, as programs end; what uses one again starts another.
#[pyfunction]
pub fn end_workers_since(since: &Bound<'_, PyMark>) {
    let Some(mut isolation) = isolation::current() else { return };
    for client in isolation.begun_since(since.get().0.there()) {
        isolation.finish(&client, || client.close());
    }
}

/// Has calls from this number on followed by a leak check each, no more than so many and until so many losses
/// have been seen; 0 calls end that.
#[pyfunction]
pub fn check_each_call(first: u64, calls: u32, losses: usize) {
    if let Some(mut session) = session::started() {
        session.pinpoint((calls > 0).then_some(Pinpoint { first, calls, losses }));
    }
}

/// Has each call in a worker told by itself, however often calls from its line err; False ends that.
#[pyfunction]
pub fn tell_calls_apart(enabled: bool) {
    isolation::tell_apart(enabled);
}

/// Says which kinds of leaks are told: "definite,possible". It must come before the first interface is made;
/// tells whether it did.
#[pyfunction]
pub fn choose_leak_kinds(kinds: String) -> bool {
    session::choose_leak_kinds(kinds)
}

/// Has the Valgrind that runs this process, or that of the workers to come, read a file of suppressions; it ends
/// the process if it cannot.
#[pyfunction]
pub fn load_suppressions(path: PathBuf) {
    if valgrind::running() == Presence::Valgrind {
        bracket::change_option(&format!("--suppressions={}", path.display()));
    } else {
        backend::add_suppressions(path);
    }
}

/// The report that this JSON is.
#[pyfunction]
pub fn report_from_json(json: &str) -> PyResult<Report> {
    let wrong = |message| Error::ReportRead { path: PathBuf::from("(JSON)"), message };
    Ok(Report::new(crate::report::from_json(json).map_err(wrong)?))
}
