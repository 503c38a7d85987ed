//! What a header and a library make in Python, as JSON: what `pythy inspect` and `pythy stubs` show.
//!
//! It comes by the way that `create_interface` takes, and types are described by the plans that
//! calls follow, so that it cannot say anything else than what is there.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Weak;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::Serialize;

use super::builtin::parameter_names;
use super::interface::OWN_NAMES;
use super::joined::{Joined, join};
use super::names::{Name, Names, python_name, without_keyword};
use super::options::{decodes, options};
use super::plan::Plan;
use crate::binding::{Library, Scalar, Skipped, Wide};
use crate::model::{
    ConstantValue, Directives, Field, Function, Interface as Model, Location, Type, TypeKind,
};

/// Everything there is.
#[derive(Serialize)]
struct Description<'a> {
    headers: Vec<PathBuf>,
    library: PathBuf,
    /// Whether `char *` results are str.
    decode: bool,
    own_names: &'static [&'static str],
    functions: Vec<FunctionRow<'a>>,
    skipped: Vec<SkippedRow<'a>>,
    constants: Vec<ConstantRow<'a>>,
    enumerations: Vec<EnumerationRow<'a>>,
    records: Vec<RecordRow<'a>>,
    typedefs: Vec<TypedefRow<'a>>,
    globals: Vec<GlobalRow<'a>>,
    /// What the headers' directives say, as the interface applies it.
    directives: Directives,
    /// The names of the records that the directives' classes are about, by the argument of each.
    class_records: HashMap<String, String>,
}

#[derive(Serialize)]
struct FunctionRow<'a> {
    name: String,
    c_name: &'a str,
    prototype: &'a str,
    doc: &'a str,
    parameters: Vec<ParameterRow>,
    variadic: bool,
    /// Whether it is static: its code was compiled from the header.
    compiled: bool,
    result: Value,
    #[serde(flatten)]
    place: PlaceRow<'a>,
}

#[derive(Serialize)]
struct ParameterRow {
    name: String,
    #[serde(rename = "type")]
    ty: Value,
}

#[derive(Serialize)]
struct SkippedRow<'a> {
    name: &'a str,
    /// `None` for a variable.
    prototype: Option<&'a str>,
    reason: &'a str,
    #[serde(flatten)]
    place: PlaceRow<'a>,
}

#[derive(Serialize)]
struct ConstantRow<'a> {
    name: String,
    #[serde(rename = "type")]
    ty: Value,
    value: String,
    #[serde(flatten)]
    place: PlaceRow<'a>,
}

#[derive(Serialize)]
struct EnumerationRow<'a> {
    /// `None` for an enum without tag and typedef: its members have names nevertheless.
    name: Option<String>,
    c_name: &'a str,
    doc: Option<&'a str>,
    members: Vec<MemberRow<'a>>,
    #[serde(flatten)]
    place: PlaceRow<'a>,
}

#[derive(Serialize)]
struct MemberRow<'a> {
    name: String,
    /// As text: JSON has no 128 bits.
    value: String,
    doc: Option<&'a str>,
    /// The name in the module; `None` where something else has it.
    global: Option<String>,
}

#[derive(Serialize)]
struct RecordRow<'a> {
    name: &'a str,
    c_name: &'a str,
    doc: Option<&'a str>,
    size: Option<u64>,
    fields: Vec<FieldRow<'a>>,
    #[serde(flatten)]
    place: PlaceRow<'a>,
}

#[derive(Serialize)]
struct FieldRow<'a> {
    name: String,
    #[serde(rename = "type")]
    ty: Value,
    is_const: bool,
    doc: Option<&'a str>,
}

#[derive(Serialize)]
struct TypedefRow<'a> {
    name: String,
    /// The class that it is another name of.
    alias: Option<&'a str>,
    spelling: &'a str,
    doc: Option<&'a str>,
    #[serde(rename = "type")]
    ty: Value,
    #[serde(flatten)]
    place: PlaceRow<'a>,
}

#[derive(Serialize)]
struct GlobalRow<'a> {
    name: String,
    spelling: &'a str,
    #[serde(rename = "type")]
    ty: Value,
    is_const: bool,
    doc: Option<&'a str>,
    #[serde(flatten)]
    place: PlaceRow<'a>,
}

#[derive(Serialize)]
struct PlaceRow<'a> {
    #[serde(flatten)]
    location: &'a Location,
    in_given_header: bool,
}

/// A C type as Python sees its values.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Value {
    Void,
    Bool,
    Int,
    Float,
    Complex,
    Char,
    /// A string constant.
    Bytes,
    /// Plain `char *`.
    Text,
    Enumeration {
        name: Option<String>,
    },
    Record {
        name: Option<String>,
    },
    /// `buffers`: whether an argument may be one.
    Pointer {
        to: Box<Value>,
        buffers: bool,
    },
    Function {
        parameters: Vec<Value>,
        result: Box<Value>,
        variadic: bool,
    },
    /// `text`: of plain `char`, which is read as bytes.
    Array {
        of: Box<Value>,
        text: bool,
    },
    /// Nothing that Python can read or write.
    Opaque,
}

/// What create_interface would make of these headers and this library, as JSON.
#[pyfunction]
#[pyo3(signature = (header_files, library_file, *, include_dirs=None, defines=None, clang_args=None, encoding=None))]
pub fn describe(
    py: Python<'_>,
    header_files: &Bound<'_, PyAny>,
    library_file: PathBuf,
    include_dirs: Option<Bound<'_, PyAny>>,
    defines: Option<Bound<'_, PyAny>>,
    clang_args: Option<Bound<'_, PyAny>>,
    encoding: Option<&str>,
) -> PyResult<String> {
    let decode = decodes(encoding)?;
    let options = options(header_files, include_dirs, defines, clang_args)?;
    let joined = join(py, &options, &library_file, std::sync::Arc::new(crate::binding::Here), PyErr::from)?;
    let mut description = Describer { model: &joined.model, names: &joined.names }.describe(&joined);
    (description.headers, description.decode) = (options.headers, decode);
    serde_json::to_string(&description).map_err(|error| PyValueError::new_err(error.to_string()))
}

struct Describer<'a> {
    model: &'a Model,
    names: &'a Names,
}

impl<'a> Describer<'a> {
    fn describe(&self, joined: &'a Joined) -> Description<'a> {
        let directives = joined.directives.clone().unwrap_or_default();
        Description {
            headers: Vec::new(),
            library: joined.library.path().to_owned(),
            decode: false,
            own_names: OWN_NAMES,
            functions: joined
                .bindings
                .functions
                .iter()
                .map(|bound| self.function(&bound.declaration, &joined.library))
                .collect(),
            skipped: joined.bindings.skipped.iter().map(Self::skipped).collect(),
            constants: self.constants(),
            enumerations: self.enumerations(),
            records: self.records(),
            typedefs: self.typedefs(),
            globals: self.globals(),
            class_records: self.class_records(&directives),
            directives,
        }
    }

    fn class_records(&self, directives: &Directives) -> HashMap<String, String> {
        let named = directives.classes.iter().filter_map(|class| {
            let name = self.names.records().get(class.record.as_ref()?)?;
            Some((class.argument.clone(), name.clone()))
        });
        named.collect()
    }

    fn function(&self, function: &'a Function, library: &Library) -> FunctionRow<'a> {
        let symbol = function.symbol.as_deref().unwrap_or(&function.name);
        let types = function.parameters.iter().map(|parameter| self.value(&parameter.ty));
        let parameters = parameter_names(function).into_iter().zip(types);
        FunctionRow {
            name: python_name(&function.name),
            c_name: &function.name,
            prototype: &function.prototype,
            doc: function.comment.as_deref().unwrap_or(&function.prototype),
            parameters: parameters.map(|(name, ty)| ParameterRow { name, ty }).collect(),
            variadic: function.variadic,
            compiled: library.symbols().get(symbol).is_none(),
            result: self.value(&function.result),
            place: place(&function.location, function.in_given_header),
        }
    }

    fn skipped(skipped: &'a Skipped) -> SkippedRow<'a> {
        SkippedRow {
            name: &skipped.name,
            prototype: skipped.prototype.as_deref(),
            reason: &skipped.reason,
            place: place(&skipped.location, skipped.in_given_header),
        }
    }

    /// The name in Python of something in C that has just this name, and is in `dir()`.
    fn listed(&self, c_name: &str, is: impl Fn(&Name) -> bool) -> Option<String> {
        let name = python_name(c_name);
        let known = self.names.is_listed(&name) && self.names.get(&name).is_some_and(is);
        known.then_some(name)
    }

    fn constants(&self) -> Vec<ConstantRow<'a>> {
        let constants = self.names.constants().iter().filter_map(|constant| {
            let (ty, value) = match &constant.value {
                ConstantValue::Integer(value) => (Value::Int, value.to_string()),
                ConstantValue::Float(value) => (Value::Float, format!("{value:?}")),
                ConstantValue::String(value) => (Value::Bytes, format!("\"{}\"", value.escape_ascii())),
                ConstantValue::Pointer(0, _) => (Value::Void, "NULL".to_owned()),
                ConstantValue::Pointer(address, type_name) => {
                    let ty = self.model.type_named(type_name).map_or(Value::Opaque, |ty| self.value(&ty));
                    (ty, format!("({type_name})0x{address:x}"))
                }
            };
            let name = self.listed(&constant.name, |name| matches!(name, Name::Constant(_)))?;
            Some(ConstantRow { name, ty, value, place: place(&constant.location, constant.in_given_header) })
        });
        constants.collect()
    }

    fn enumerations(&self) -> Vec<EnumerationRow<'a>> {
        let all = self.model.enumerations.iter().filter_map(|enumeration| {
            let class = &self.names.enumerations()[&enumeration.key];
            let members: Vec<MemberRow<'a>> = enumeration
                .enumerators
                .iter()
                .map(|member| {
                    MemberRow {
                    name: class.member_name(&member.name).into_owned(),
                    value: member.value.to_string(),
                    doc: member.comment.as_deref(),
                    global: self.listed(&member.name, |name| {
                        matches!(name, Name::Member(class, _) if class.enumeration().key == enumeration.key)
                    }),
                }
                })
                .collect();
            let name = self.enumeration_name(&enumeration.key);
            let listed = name.as_ref().is_some_and(|name| self.names.is_listed(name));
            (listed || members.iter().any(|member| member.global.is_some())).then(|| EnumerationRow {
                name,
                c_name: &enumeration.key,
                doc: enumeration.comment.as_deref(),
                members,
                place: place(&enumeration.location, enumeration.in_given_header),
            })
        });
        all.collect()
    }

    fn enumeration_name(&self, key: &str) -> Option<String> {
        self.names.enumeration(key).map(str::to_owned)
    }

    fn records(&self) -> Vec<RecordRow<'a>> {
        let all = self.model.records.iter().filter_map(|record| {
            let name = self.names.records().get(&record.key)?;
            let mut fields = Vec::new();
            self.add_fields(&record.fields, &mut fields);
            self.names.is_listed(name).then(|| RecordRow {
                name,
                c_name: &record.key,
                doc: record.comment.as_deref(),
                size: record.size,
                fields,
                place: place(&record.location, record.in_given_header),
            })
        });
        all.collect()
    }

    /// The fields, those of anonymous members among them.
    fn add_fields(&self, fields: &'a [Field], rows: &mut Vec<FieldRow<'a>>) {
        for field in fields {
            match (&field.name, &field.ty.kind) {
                (Some(name), _) => rows.push(FieldRow {
                    name: without_keyword(name).into_owned(),
                    ty: self.value(&field.ty),
                    is_const: field.ty.is_read_only(),
                    doc: field.comment.as_deref(),
                }),
                (None, TypeKind::Record(key)) => {
                    if let Some(inner) = self.model.records.iter().find(|record| record.key == *key) {
                        self.add_fields(&inner.fields, rows);
                    }
                }
                (None, _) => {}
            }
        }
    }

    fn typedefs(&self) -> Vec<TypedefRow<'a>> {
        let all = self.model.typedefs.iter().filter_map(|typedef| {
            let alias = match &typedef.ty.kind {
                TypeKind::Record(key) => self.names.records().get(key).map(String::as_str),
                TypeKind::Enumeration(key, _) => self.names.enumeration(key),
                _ => None,
            };
            let name = self.listed(&typedef.name, |name| match name {
                Name::Record(_) | Name::Enumeration(_) => alias != Some(python_name(&typedef.name).as_str()),
                name => matches!(name, Name::Type(_)),
            })?;
            Some(TypedefRow {
                name,
                alias,
                spelling: &typedef.ty.spelling,
                doc: typedef.comment.as_deref(),
                ty: self.value(&typedef.ty),
                place: place(&typedef.location, typedef.in_given_header),
            })
        });
        all.collect()
    }

    fn globals(&self) -> Vec<GlobalRow<'a>> {
        let all = self.model.globals.iter().filter_map(|global| {
            let name = self.listed(&global.name, |name| matches!(name, Name::Global(_)))?;
            // Of what is only declared there is a pointer to it.
            let ty = match self.value(&global.ty) {
                to @ Value::Record { .. } if self.model.size_of(&global.ty).is_none() => {
                    Value::Pointer { to: Box::new(to), buffers: false }
                }
                ty => ty,
            };
            Some(GlobalRow {
                name,
                spelling: &global.ty.spelling,
                ty,
                is_const: global.ty.is_read_only(),
                doc: global.comment.as_deref(),
                place: place(&global.location, global.in_given_header),
            })
        });
        all.collect()
    }

    fn value(&self, ty: &Type) -> Value {
        match &ty.kind {
            TypeKind::Void => return Value::Void,
            TypeKind::Record(key) => return Value::Record { name: self.names.records().get(key).cloned() },
            TypeKind::Enumeration(key, _) => return Value::Enumeration { name: self.enumeration_name(key) },
            TypeKind::Array(element, count) => {
                let of = self.value(element);
                let text = matches!(of, Value::Char) && count.is_some_and(|count| count > 0);
                return Value::Array { of: Box::new(of), text };
            }
            kind if Wide::of(kind).is_none() && Scalar::of(ty).is_err() => return Value::Opaque,
            _ => {}
        }
        match (Plan::of(ty, &Weak::new()), &ty.kind) {
            (Plan::Bool, _) => Value::Bool,
            (Plan::Char, _) => Value::Char,
            (Plan::Integer(_), _) => Value::Int,
            (Plan::Float | Plan::Double | Plan::Wide(Wide::LongDouble), _) => Value::Float,
            (Plan::Wide(_), _) => Value::Complex,
            (Plan::Text(_), _) => Value::Text,
            (Plan::Pointer(target), TypeKind::Pointer(to)) => {
                Value::Pointer { to: Box::new(self.value(to)), buffers: target.buffers }
            }
            (Plan::Callback(_), TypeKind::FunctionPointer(function)) => Value::Function {
                parameters: function.parameters.iter().map(|ty| self.value(ty)).collect(),
                result: Box::new(self.value(&function.result)),
                variadic: function.variadic,
            },
            (Plan::Pointer(_) | Plan::Callback(_) | Plan::Record(_), _) => Value::Opaque,
        }
    }
}

fn place(location: &Location, in_given_header: bool) -> PlaceRow<'_> {
    PlaceRow { location, in_given_header }
}
