//! Directives on their way to Python: `pythy/_directives.py` applies them.

use std::collections::HashMap;

use serde::Serialize;

use super::builtin::parameter_names;
use super::given_names;
use super::names::{Names, python_name, without_keyword};
use crate::binding::{Bindings, BoundFunction};
use crate::error::HeaderError;
use crate::model::{Alias, Directives, Function, Interface, Type, TypeKind};

/// What the names of functions begin with that are meant for Python: 0.0.1 took it off, and bound no others.
const PREFIX: &str = "interface_";

/// The directives, those that go without saying included; `None` where there are none.
///
/// # Errors
///
/// A name that one of them gives is taken.
pub fn in_force(
    mut directives: Directives,
    bindings: &Bindings,
    module_names: &Names,
) -> Result<Option<Directives>, HeaderError> {
    for name in directives.aliases.iter_mut().map(|alias| &mut alias.name) {
        *name = without_keyword(name).into_owned();
    }
    for name in directives.classes.iter_mut().map(|class| &mut class.name) {
        *name = without_keyword(name).into_owned();
    }
    let names = || bindings.functions.iter().map(|function| function.declaration.name.as_str());
    let named: Vec<_> = directives.aliases.iter().map(|alias| alias.function.clone()).collect();
    let plain = names().filter_map(|name| Some((name, name.strip_prefix(PREFIX)?)));
    let free = plain.filter(|(name, short)| {
        !short.is_empty() && !named.iter().any(|known| known == name) && names().all(|other| other != *short)
    });
    directives.aliases.extend(free.map(|(function, short)| Alias {
        function: function.to_owned(),
        name: python_name(short),
        location: None,
    }));
    given_names::check(&directives, bindings, module_names)?;
    Ok((!directives.is_empty()).then_some(directives))
}

#[derive(Serialize)]
struct Described<'a> {
    directives: &'a Directives,
    functions: Vec<Row<'a>>,
    /// What the headers say of the records of classes, by their keys.
    records: HashMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct Row<'a> {
    c_name: &'a str,
    name: String,
    location: String,
    variadic: bool,
    parameters: Vec<ParameterRow<'a>>,
    result: TypeRow<'a>,
}

#[derive(Serialize)]
struct ParameterRow<'a> {
    name: String,
    #[serde(rename = "type")]
    ty: TypeRow<'a>,
}

/// A type as wrappers need it.
#[derive(Serialize)]
struct TypeRow<'a> {
    spelling: &'a str,
    /// Whether it is a pointer.
    pointer: bool,
    /// Whether it comes to Python as text.
    text: bool,
    /// Whether it points to anything.
    void: bool,
    /// Whether it points to const.
    #[serde(rename = "const")]
    constant: bool,
    /// The record that it points to.
    record: Option<&'a str>,
}

/// The directives and the functions that they may be about, as JSON.
pub fn described(directives: &Directives, bindings: &Bindings, model: &Interface) -> String {
    let functions =
        bindings.functions.iter().map(|BoundFunction { declaration, .. }| row(declaration)).collect();
    let of_class = |key: &str| directives.classes.iter().any(|class| class.record.as_deref() == Some(key));
    let records = model.records.iter().filter(|record| of_class(&record.key));
    let records = records.filter_map(|record| Some((record.key.as_str(), record.comment.as_deref()?)));
    // Text, numbers and lists: there is nothing in it that JSON cannot have.
    serde_json::to_string(&Described { directives, functions, records: records.collect() })
        .unwrap_or_default()
}

fn row(function: &Function) -> Row<'_> {
    let names = parameter_names(function);
    let parameters = function.parameters.iter().zip(names);
    Row {
        c_name: &function.name,
        name: python_name(&function.name),
        location: function.location.to_string(),
        variadic: function.variadic,
        parameters: parameters.map(|(one, name)| ParameterRow { name, ty: type_row(&one.ty) }).collect(),
        result: type_row(&function.result),
    }
}

fn type_row(ty: &Type) -> TypeRow<'_> {
    let target = match &ty.kind {
        TypeKind::Pointer(target) => Some(target),
        _ => None,
    };
    TypeRow {
        spelling: &ty.spelling,
        pointer: target.is_some(),
        text: target.is_some_and(|target| is_text(target)),
        void: target.is_some_and(|target| target.kind == TypeKind::Void),
        constant: target.is_some_and(|target| target.is_const),
        record: target.and_then(|target| match &target.kind {
            TypeKind::Record(key) => Some(key.as_str()),
            _ => None,
        }),
    }
}

fn is_text(target: &Type) -> bool {
    target.kind == TypeKind::Integer(crate::model::IntegerType::Char)
}
