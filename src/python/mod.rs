//! The PyO3 layer: the extension module `pythy._native`.

mod array;
mod backend;
mod buffer;
mod call_site;
mod callable;
mod callback;
mod convert;
mod create;
mod ctype;
mod defaults;
mod describe;
mod directives;
mod entry;
mod enumeration;
mod errno;
mod exceptions;
mod failure;
mod functions;
mod handle;
mod holder;
mod home;
mod interface;
mod isolated;
mod mirror;
mod names;
mod place;
mod plan;
mod pointer;
mod record;
mod record_class;
mod reference;
mod report;
mod stub;
mod suite;
mod summons;
mod type_object;
mod types;
mod value;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    exceptions::register(module)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<interface::Interface>()?;
    module.add_class::<pointer::Pointer>()?;
    module.add_class::<reference::Ref>()?;
    module.add_class::<record::Record>()?;
    module.add_class::<array::Array>()?;
    module.add_class::<type_object::CTypeObject>()?;
    module.add_class::<callback::Callback>()?;
    module.add_class::<report::Report>()?;
    module.add_class::<report::Watch>()?;
    module.add_class::<suite::PyMark>()?;
    module.add_function(wrap_pyfunction!(defaults::set_defaults, module)?)?;
    module.add_function(wrap_pyfunction!(suite::set_test, module)?)?;
    module.add_function(wrap_pyfunction!(suite::mark, module)?)?;
    module.add_function(wrap_pyfunction!(suite::news, module)?)?;
    module.add_function(wrap_pyfunction!(suite::calls, module)?)?;
    module.add_function(wrap_pyfunction!(suite::session_report, module)?)?;
    module.add_function(wrap_pyfunction!(suite::check_leaks, module)?)?;
    module.add_function(wrap_pyfunction!(suite::check_each_call, module)?)?;
    module.add_function(wrap_pyfunction!(suite::choose_leak_kinds, module)?)?;
    module.add_function(wrap_pyfunction!(suite::load_suppressions, module)?)?;
    module.add_function(wrap_pyfunction!(suite::report_from_json, module)?)?;
    module.add_function(wrap_pyfunction!(create::create_interface, module)?)?;
    module.add_class::<value::Value>()?;
    module.add_class::<backend::Worker>()?;
    module.add_function(wrap_pyfunction!(backend::worker, module)?)?;
    module.add_function(wrap_pyfunction!(backend::abandon_workers, module)?)?;
    module.add_function(wrap_pyfunction!(backend::end_workers, module)?)?;
    module.add_function(wrap_pyfunction!(errno::errno, module)?)?;
    module.add_function(wrap_pyfunction!(errno::set_errno, module)?)?;
    module.add_function(wrap_pyfunction!(describe::describe, module)?)?;
    module.add_function(wrap_pyfunction!(report::memory_report, module)?)?;
    module.add_function(wrap_pyfunction!(report::watch, module)?)?;
    module.add_function(wrap_pyfunction!(report::raise_on_finding, module)?)?;
    module.add_function(wrap_pyfunction!(report::running_under_valgrind, module)?)?;
    module.add_function(wrap_pyfunction!(report::valgrind_version, module)?)?;
    module.add_function(wrap_pyfunction!(report::read_report, module)?)?;
    module.add_function(wrap_pyfunction!(report::crash_report, module)?)?;
    module.add_function(wrap_pyfunction!(report::left_behind, module)?)?;
    module.add_function(wrap_pyfunction!(report::tell_at_exit, module)?)?;
    module.add_function(wrap_pyfunction!(report::report_at_exit, module)?)
}
