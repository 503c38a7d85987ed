//! The names of an interface that are not functions: constants, enums and their enumerators,
//! variables, records and typedefs. They become objects when somebody asks for them. And how names of
//! C are written in Python.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat};
use rustc_hash::{FxHashMap, FxHashSet};

use super::ctype::{Shape, Types};
use super::enumeration::EnumClass;
use super::exceptions::new_argument_error;
use super::interface::OWN_NAMES;
use super::pointer::Pointer;
use super::record_class;
use super::type_object::CTypeObject;
use crate::binding::Bindings;
use crate::model::{Constant, ConstantValue, Global, Interface as Model, Type, TypeKind, Typedef};

const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "class", "def", "del", "elif",
    "except", "finally", "from", "global", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass",
    "raise", "try", "with", "yield",
];

/// What a name stands for.
#[derive(Clone)]
pub enum Name {
    /// A C variable.
    Global(Global),
    /// An enumerator, by its name in C.
    Member(Arc<EnumClass>, String),
    /// A macro, or a `static const` variable, by its number.
    Constant(usize),
    /// An enum, or a typedef of one.
    Enumeration(Arc<EnumClass>),
    /// A struct or union, or a typedef of one, by its key.
    Record(String),
    /// A typedef of any other type.
    Type(Typedef),
}

/// The names and what they stand for. No two things have one name.
pub struct Names {
    enumerations: HashMap<String, Arc<EnumClass>>,
    constants: Vec<Constant>,
    table: FxHashMap<String, Known>,
    /// The names of records by their keys.
    records: HashMap<String, String>,
    /// The names of enums by their keys.
    classes: HashMap<String, String>,
}

struct Known {
    what: Name,
    /// Whether `dir()` shows it.
    listed: bool,
}

impl Names {
    /// The names of a model, of which `bindings` has the functions; its constants are taken out of it. Where C has several things of
    /// one name, the first of these has it in Python: functions, variables, enumerators, macros,
    /// typedefs. A tag that loses its name to any of them keeps `struct`: `struct_stat`.
    pub fn new(model: &mut Model, bindings: &Bindings) -> Self {
        let constants = std::mem::take(&mut model.constants);
        let model = &*model;
        let mut names = Self {
            enumerations: EnumClass::all(model),
            constants: Vec::new(),
            table: FxHashMap::default(),
            records: HashMap::new(),
            classes: HashMap::new(),
        };
        names.table.reserve(constants.len() + model.typedefs.len() + model.records.len());
        let bound = bindings.functions.iter().map(|function| function.declaration.name.as_str());
        let skipped = bindings.skipped.iter().filter(|skipped| skipped.prototype.is_some());
        let functions = bound.chain(skipped.map(|function| function.name.as_str())).collect();
        let shown = shown(model, bindings);
        let mut claim = Claim { functions, names: &mut names };
        for global in &model.globals {
            claim.name(&global.name, Name::Global(global.clone()), global.in_given_header);
        }
        for enumeration in &model.enumerations {
            let class = claim.names.enumerations[&enumeration.key].clone();
            for member in &enumeration.enumerators {
                let name = Name::Member(class.clone(), member.name.clone());
                claim.name(&member.name, name, shown.contains(enumeration.key.as_str()));
            }
        }
        for (number, constant) in constants.iter().enumerate() {
            claim.name(&constant.name, Name::Constant(number), constant.in_given_header);
        }
        for typedef in &model.typedefs {
            claim.typedef(typedef, &shown);
        }
        for enumeration in &model.enumerations {
            let class = claim.names.enumerations[&enumeration.key].clone();
            let name = claim.tag(&enumeration.key, &Name::Enumeration(class), &shown);
            claim.names.classes.extend(name.map(|name| (enumeration.key.clone(), name)));
        }
        for record in &model.records {
            let name = claim.tag(&record.key, &Name::Record(record.key.clone()), &shown);
            claim.names.records.extend(name.map(|name| (record.key.clone(), name)));
        }
        names.constants = constants;
        names
    }

    /// Enums by the keys that types refer to them by.
    pub fn enumerations(&self) -> &HashMap<String, Arc<EnumClass>> {
        &self.enumerations
    }

    /// The name in Python of the enum of that key; `None` for one without a name.
    pub fn enumeration(&self, key: &str) -> Option<&str> {
        self.classes.get(key).map(String::as_str)
    }

    /// Records' names in Python by the keys that types refer to them by.
    pub fn records(&self) -> &HashMap<String, String> {
        &self.records
    }

    /// What a name stands for: one in Python, or a keyword as C has it.
    pub fn get(&self, name: &str) -> Option<&Name> {
        let known = self.table.get(name).or_else(|| self.table.get(&*without_keyword(name)));
        known.map(|known| &known.what)
    }

    /// What `name` stands for, as an object; `None` for variables, and where it stands for nothing.
    pub fn resolve(&self, py: Python<'_>, types: &Arc<Types>, name: &str) -> PyResult<Option<Py<PyAny>>> {
        let module = &types.module;
        Ok(Some(match self.get(name) {
            None | Some(Name::Global(_)) => return Ok(None),
            Some(Name::Member(class, member)) => class.member(py, module, member)?.unbind(),
            Some(Name::Constant(number)) => match &self.constants[*number].value {
                ConstantValue::Pointer(address, type_name) => pointer(py, types, *address, type_name)?,
                ConstantValue::Integer(value) => value.into_pyobject(py)?.into_any().unbind(),
                ConstantValue::Float(value) => PyFloat::new(py, *value).into_any().unbind(),
                ConstantValue::String(value) => PyBytes::new(py, value).into_any().unbind(),
            },
            Some(Name::Enumeration(class)) => class.class(py, module)?.unbind(),
            Some(Name::Record(key)) => record_class::of_key(py, types, key)?.into_any().unbind(),
            Some(Name::Type(typedef)) => {
                CTypeObject::new(typedef, types).into_pyobject(py)?.into_any().unbind()
            }
        }))
    }

    /// All macros and `static const` variables, those that lost their name too.
    pub fn constants(&self) -> &[Constant] {
        &self.constants
    }

    /// The names that `dir()` shows: those of the given headers, and what bound functions reach.
    pub fn listed(&self) -> impl Iterator<Item = &str> {
        self.table.iter().filter(|(_, known)| known.listed).map(|(name, _)| name.as_str())
    }

    /// Whether `dir()` shows a name.
    pub fn is_listed(&self, name: &str) -> bool {
        self.table.get(name).is_some_and(|known| known.listed)
    }
}

/// Who may have which name.
struct Claim<'a> {
    functions: FxHashSet<&'a str>,
    names: &'a mut Names,
}

impl Claim<'_> {
    /// Gives a name to what asks first; tells whether it has it.
    fn name(&mut self, c_name: &str, what: Name, listed: bool) -> bool {
        let name = python_name(c_name);
        if self.functions.contains(c_name) || self.names.table.contains_key(&name) {
            return false;
        }
        self.names.table.insert(name, Known { what, listed });
        true
    }

    fn typedef(&mut self, typedef: &Typedef, shown: &FxHashSet<&str>) {
        let what = match &typedef.ty.kind {
            TypeKind::Unsupported(_) | TypeKind::Void => return,
            TypeKind::Record(key) => Name::Record(key.clone()),
            TypeKind::Enumeration(key, _) => match self.names.enumerations.get(key) {
                Some(class) => Name::Enumeration(class.clone()),
                None => return,
            },
            _ => Name::Type(typedef.clone()),
        };
        // What is known by its typedef alone is shown where its record is.
        let listed = typedef.in_given_header || shown.contains(typedef.name.as_str());
        self.name(&typedef.name, what, listed);
    }

    /// The name in Python of what has this key, `None` for what has neither tag nor typedef.
    fn tag(&mut self, key: &str, what: &Name, shown: &FxHashSet<&str>) -> Option<String> {
        if key.contains('(') {
            return None;
        }
        let plain = key.rsplit(' ').next().unwrap_or(key);
        let listed = shown.contains(key);
        let name = python_name(plain);
        if let Some(taken) = self.names.table.get_mut(&name).filter(|taken| taken.what.is(what)) {
            // A typedef of that name has said so already.
            taken.listed |= listed;
            return Some(name);
        }
        let with_kind = key.replace(' ', "_");
        [plain, &with_kind].into_iter().find(|name| self.name(name, what.clone(), listed)).map(python_name)
    }
}

impl Name {
    /// What it stands for, in messages.
    pub fn described(&self) -> &'static str {
        match self {
            Self::Global(_) => "a variable of the library",
            Self::Member(..) | Self::Constant(_) => "a constant of the headers",
            Self::Enumeration(_) | Self::Record(_) | Self::Type(_) => "a type of the headers",
        }
    }

    /// Whether both are one record or one enum.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Record(one), Self::Record(other)) => one == other,
            (Self::Enumeration(one), Self::Enumeration(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// The keys of the records and enums to show.
fn shown<'a>(model: &'a Model, bindings: &'a Bindings) -> FxHashSet<&'a str> {
    let records = model.records.iter().filter(|record| record.in_given_header);
    let enumerations = model.enumerations.iter().filter(|enumeration| enumeration.in_given_header);
    let typedefs = model.typedefs.iter().filter(|typedef| typedef.in_given_header);
    let globals = model.globals.iter().filter(|global| global.in_given_header);
    let functions = bindings.functions.iter().map(|function| &function.declaration);
    let types: Vec<&Type> = functions
        .flat_map(|function| {
            function.parameters.iter().map(|parameter| &parameter.ty).chain([&function.result])
        })
        .chain(records.clone().flat_map(|record| record.fields.iter().map(|field| &field.ty)))
        .chain(typedefs.map(|typedef| &typedef.ty))
        .chain(globals.map(|global| &global.ty))
        .collect();
    let mut shown = model.reached(types);
    shown.extend(records.map(|record| record.key.as_str()));
    shown.extend(enumerations.map(|enumeration| enumeration.key.as_str()));
    shown
}

/// A constant that is an address; its type is spelt as the header has it.
fn pointer(py: Python<'_>, types: &Arc<Types>, address: u64, type_name: &str) -> PyResult<Py<PyAny>> {
    let ty = types
        .named(type_name)
        .map_err(|error| new_argument_error(py, error.message(type_name, "the headers")))?;
    let Shape::Scalar { target: Some(target), .. } = &ty.shape else {
        return Err(new_argument_error(py, format!("'{type_name}' is no pointer")));
    };
    let home = types.homes.now()?;
    // SAFETY: a new reference, or NULL with an exception set.
    unsafe {
        let pointer = Pointer::give(py, address as usize, target, &home);
        Bound::from_owned_ptr_or_err(py, pointer).map(Bound::unbind)
    }
}

/// The name of something in the module: keywords, and the module's own names, get a trailing underscore.
pub fn python_name(name: &str) -> String {
    if OWN_NAMES.contains(&name) { format!("{name}_") } else { without_keyword(name).into_owned() }
}

/// The name, with a trailing underscore if it is a keyword.
pub fn without_keyword(name: &str) -> Cow<'_, str> {
    if KEYWORDS.contains(&name) { Cow::Owned(format!("{name}_")) } else { Cow::Borrowed(name) }
}

/// The name in C of what [`python_name`] gave an underscore; `None` for any other.
pub fn reserved_name(name: &str) -> Option<&str> {
    name.strip_suffix('_').filter(|plain| KEYWORDS.contains(plain) || OWN_NAMES.contains(plain))
}
