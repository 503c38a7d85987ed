//! The builtins of functions.

use std::ffi::CString;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::callable::{Callable, Face, General, c_string};
use super::ctype::{Calls, Pointee, Types};
use super::exceptions;
use super::gil::without_gil;
use super::home::Home;
use super::isolated;
use super::names::python_name;
use super::ownership::Ownership;
use super::plan::{Parameter, Plan, ResultPlan};
use super::there::{self, There};
use super::{checked, entry, general};
use crate::binding::{BoundFunction, CallShape, Route, Scalar, Signature};
use crate::bracket::HAS_SLOTS;
use crate::call::Libffi;
use crate::isolation;
use crate::journal::Declaration;
use crate::model::{self, Function, FunctionType, Linkage, Location, Type, TypeKind};
use crate::session::{self, LeakCheck};

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
        let symbol = without_gil(|| calls.loader.symbol_at(address)).ok().flatten();
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
                Some(Home::There(client)) => there::Function::At(client.clone(), address as usize),
                _ if worker.library.symbols().get(&name()).is_some() => there::Function::Exported(name()),
                _ => there::Function::Static(declaration.name.clone()),
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
            (parameters, Arc::downgrade(self.types), at.is_none().then(|| self.types.clone())),
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
    if session::current().is_none() {
        return 0;
    }
    // Not under the lock: it may wait for the GIL.
    let declaration = declaration();
    session::current().map_or(0, |mut session| session.add_declaration(declaration))
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
