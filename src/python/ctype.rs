//! C types as values in memory have them: layout, and what becomes of each part in Python.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use pyo3::prelude::*;

use super::backend::Sole;
use super::callable::Checks;
use super::enumeration::EnumClass;
use super::home::Homes;
use super::names::{Names, reserved_name};
use super::plan::{Plan, ResultPlan};
use super::record_class::RecordClass;
use super::types::TypeId;
use crate::binding::{Library, Loader, Passing, Scalar, Wide};
use crate::model::{
    BadTypeName, Cleanup, FunctionType, IntegerType, Interface as Model, Record, RecordKind, Type, TypeKind,
    did_you_mean,
};
use crate::worker::Station;

/// The types of one interface.
pub struct Types {
    model: Model,
    enumerations: HashMap<String, Arc<EnumClass>>,
    records: HashMap<String, usize>,
    classes: HashMap<String, RecordClass>,
    /// By their qualified spelling.
    known: Mutex<HashMap<String, Arc<CType>>>,
    /// By the names that they were asked for.
    named: Mutex<HashMap<String, Arc<CType>>>,
    /// The module that classes say they are of.
    pub module: String,
    /// Whether `char *` results are decoded.
    pub decode: bool,
    /// Where its values lie.
    pub homes: Homes,
    /// How functions of the interface are called; known when it is bound.
    pub calls: OnceLock<Calls>,
}

/// What the calls through function pointers have in common with those of the interface's functions.
pub struct Calls {
    /// The first header.
    pub header: PathBuf,
    /// The library.
    pub library: PathBuf,
    /// Who has loaded it.
    pub loader: Arc<dyn Loader>,
    /// Whether the GIL is released around each call.
    pub release_gil: bool,
    /// What is looked for after each call.
    pub checks: Checks,
    /// Whether the interface has been closed.
    pub closed: Arc<AtomicBool>,
    /// What frees what functions return.
    pub cleanups: Vec<Cleanup>,
    /// Where the C code runs, if not in this process.
    pub there: Option<InWorker>,
}

/// What functions that run in a worker have in common.
pub struct InWorker {
    /// Where the worker is found.
    pub station: Arc<Station>,
    /// The library.
    pub library: Arc<Library>,
    /// How long a call may take.
    pub timeout: Option<Duration>,
    /// Whether the worker ends with the interface.
    pub sole: Sole,
}

/// One type.
pub struct CType {
    /// Its number.
    pub id: TypeId,
    /// As C without typedefs.
    pub name: String,
    /// As the headers have it.
    pub declared: Type,
    /// Size in bytes; `None` where nobody knows it.
    pub size: Option<usize>,
    /// What addresses must be multiples of beyond what C's allocator sees to; 1 for most types.
    pub extended_alignment: usize,
    /// Whether values of it must not be written.
    pub is_const: bool,
    /// What it is made of.
    pub shape: Shape,
}

/// What a type is made of.
pub enum Shape {
    /// One word.
    Scalar {
        /// To the machine.
        scalar: Scalar,
        /// From Python.
        plan: Plan,
        /// To Python.
        result: ResultPlan,
        /// The enum it is of.
        enumeration: Option<Arc<EnumClass>>,
        /// What it points to.
        target: Option<Arc<Pointee>>,
    },
    /// `long double`, or a complex number.
    Wide {
        /// Which.
        wide: Wide,
        /// From Python.
        plan: Plan,
    },
    /// Named fields.
    Record {
        /// In order, those of anonymous members among them.
        fields: Vec<Field>,
        /// Index by name.
        by_name: HashMap<String, usize>,
    },
    /// Elements of one type.
    Array {
        /// The type.
        element: Arc<CType>,
        /// How many; 0 for a flexible array member.
        count: usize,
        /// Plain `char`: text.
        text: bool,
    },
    /// Nothing that Python can look into, with the reason.
    Opaque(String),
}

impl CType {
    /// What an array has in it; of any other type it itself.
    pub fn element(&self) -> TypeId {
        match &self.shape {
            Shape::Array { element, .. } => element.id,
            _ => self.id,
        }
    }

    /// What an array has in it, or the arrays in it have; of any other type it itself.
    pub fn innermost(&self) -> TypeId {
        match &self.shape {
            Shape::Array { element, .. } => element.innermost(),
            _ => self.id,
        }
    }
}

impl Shape {
    /// How many fields a list of values without names has values for.
    pub fn positions(&self) -> usize {
        match self {
            Self::Record { fields, .. } => fields.iter().filter(|field| field.positional).count(),
            _ => 0,
        }
    }

    /// The flexible array member, and the size of an item; `None` where the record has none.
    pub fn flexible(&self) -> Option<(&Field, usize)> {
        let Self::Record { fields, .. } = self else { return None };
        let last = fields.last()?;
        match &last.ty.shape {
            Self::Array { element, count: 0, .. } => Some((last, element.size?)),
            _ => None,
        }
    }

    /// The field of that name in Python or in C; `None` where there is none.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let Self::Record { fields, by_name } = self else { return None };
        let plain = || by_name.get(reserved_name(name)?);
        by_name.get(name).or_else(plain).map(|index| &fields[*index])
    }

    /// The end of a message about a field that there is not.
    pub fn did_you_mean(&self, name: &str) -> String {
        match self {
            Self::Record { fields, .. } => did_you_mean(name, fields.iter().map(|field| field.name.as_str())),
            _ => String::new(),
        }
    }
}

/// A field of a record.
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Arc<CType>,
    /// Bytes from the start of the record.
    pub offset: usize,
    /// For a bit-field: the first bit, counted from `offset`, and how many.
    pub bits: Option<(u32, u32)>,
    /// Whether a list of values without names has one for it: of a union only the first member has.
    pub positional: bool,
}

/// The type that a pointer points to, looked up when somebody looks there.
pub struct Pointee {
    /// Its number.
    pub id: TypeId,
    /// Its type, where it is a function.
    pub function: Option<FunctionType>,
    ty: Type,
    types: Weak<Types>,
    known: OnceLock<Option<Arc<CType>>>,
    /// The builtins that call functions of this type, by process and address.
    builtins: Mutex<HashMap<(u32, usize), Py<PyAny>>>,
}

impl Pointee {
    /// The target of pointers to a type of which nothing else is known.
    pub fn to(ty: &Type, types: &Arc<Types>) -> Arc<Self> {
        Self::new(TypeId::of(&ty.canonical()), None, ty.clone(), types)
    }

    /// The target of a pointer type; `None` for other types.
    pub fn of(ty: &Type, types: &Arc<Types>) -> Option<Arc<Self>> {
        let (id, function, ty) = match &ty.kind {
            TypeKind::Pointer(target) => (TypeId::of(&target.canonical()), None, (**target).clone()),
            TypeKind::FunctionPointer(function) => {
                let kind = TypeKind::Unsupported("function".to_owned());
                let target = Type { kind, spelling: ty.spelling.clone(), is_const: true };
                (TypeId::of(&function.canonical()), Some((**function).clone()), target)
            }
            _ => return None,
        };
        Some(Self::new(id, function, ty, types))
    }

    fn new(id: TypeId, function: Option<FunctionType>, ty: Type, types: &Arc<Types>) -> Arc<Self> {
        let (types, known, builtins) = (Arc::downgrade(types), OnceLock::new(), Mutex::default());
        Arc::new(Self { id, function, ty, types, known, builtins })
    }

    /// The builtin that calls the function at an address, if it has been made.
    pub fn builtin(&self, py: Python<'_>, address: (u32, usize)) -> Option<Py<PyAny>> {
        let builtins = self.builtins.lock().unwrap_or_else(PoisonError::into_inner);
        builtins.get(&address).map(|builtin| builtin.clone_ref(py))
    }

    /// Keeps a builtin for the next call through a pointer to the same function.
    pub fn keep_builtin(&self, address: (u32, usize), builtin: Py<PyAny>) {
        // A library has few functions of one type; closures may be at any number of addresses.
        const MOST: usize = 64;
        let mut builtins = self.builtins.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if builtins.len() < MOST { HashMap::new() } else { std::mem::take(&mut *builtins) };
        builtins.insert(address, builtin);
        // Not under the lock: this may run Python code.
        drop(builtins);
        drop(before);
    }

    /// The target itself, and the types it is among; `None` where its interface is gone.
    pub fn ctype(&self) -> Option<(Arc<CType>, Arc<Types>)> {
        let types = self.types.upgrade()?;
        let known = self.known.get_or_init(|| self.types.upgrade().map(|types| types.get(&self.ty)));
        Some((known.clone()?, types))
    }

    /// Whether it must not be written.
    pub fn is_const(&self) -> bool {
        self.ty.is_const
    }

    /// The types it is among; `None` where its interface is gone.
    pub fn types(&self) -> Option<Arc<Types>> {
        self.types.upgrade()
    }
}

impl Types {
    /// The types of a model.
    pub fn new(model: Model, names: &Names, module: String, decode: bool, homes: Homes) -> Arc<Self> {
        let records =
            model.records.iter().enumerate().map(|(index, record)| (record.key.clone(), index)).collect();
        let classes = model.records.iter().filter_map(|record| {
            let name = names.records().get(&record.key)?.clone();
            Some((record.key.clone(), RecordClass::new(name, record.comment.clone())))
        });
        let classes = classes.collect();
        Arc::new(Self {
            model,
            enumerations: names.enumerations().clone(),
            records,
            classes,
            known: Mutex::default(),
            named: Mutex::default(),
            module,
            decode,
            homes,
            calls: OnceLock::new(),
        })
    }

    /// Whether the interface has been closed.
    pub fn closed(&self) -> bool {
        self.calls.get().is_some_and(|calls| calls.closed.load(Ordering::Relaxed))
    }

    /// The class of the record of that key; `None` for one without a name.
    pub fn record_class(&self, key: &str) -> Option<&RecordClass> {
        self.classes.get(key)
    }

    /// A type by the name C programmers give it.
    pub fn named(self: &Arc<Self>, name: &str) -> Result<Arc<CType>, BadTypeName> {
        if let Some(known) = self.named.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(known.clone());
        }
        let ty = self.get(&self.model.type_named(name)?);
        self.named.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), ty.clone());
        Ok(ty)
    }

    /// An array type of unknown length, with this length.
    pub fn sized(self: &Arc<Self>, ty: &CType, length: usize) -> Arc<CType> {
        let mut ty = ty.declared.clone();
        if let TypeKind::Array(_, count @ (None | Some(0))) = &mut ty.kind {
            *count = Some(length as u64);
        }
        self.get(&ty)
    }

    /// How values of a type travel, or why they cannot.
    pub fn passing(&self, ty: &Type) -> Result<Passing, String> {
        Passing::of(ty, &self.model)
    }

    /// What a `void *` points to.
    pub fn void(self: &Arc<Self>) -> Arc<Pointee> {
        let ty = Type { kind: TypeKind::Void, spelling: "void".to_owned(), is_const: false };
        Pointee::new(TypeId::VOID, None, ty, self)
    }

    /// The model, without functions, variables and constants.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// A type of the model.
    pub fn get(self: &Arc<Self>, ty: &Type) -> Arc<CType> {
        let key = ty.qualified();
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let name = ty.canonical();
        let made = Arc::new(CType {
            id: TypeId::of(&name),
            name,
            declared: ty.clone(),
            size: self.size_of(ty),
            extended_alignment: self.model.extended_alignment_of(ty) as usize,
            is_const: ty.is_read_only(),
            shape: self.shape(ty),
        });
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, made.clone());
        made
    }

    /// The enum that a type is.
    pub fn enumeration(&self, ty: &Type) -> Option<Arc<EnumClass>> {
        match &ty.kind {
            TypeKind::Enumeration(key, _) => self.enumerations.get(key).cloned(),
            _ => None,
        }
    }

    fn size_of(&self, ty: &Type) -> Option<usize> {
        self.model.size_of(ty).and_then(|size| usize::try_from(size).ok())
    }

    fn shape(self: &Arc<Self>, ty: &Type) -> Shape {
        match &ty.kind {
            TypeKind::Record(key) => match self.records.get(key).map(|index| &self.model.records[*index]) {
                Some(record) if record.size.is_some() => self.record(record),
                _ => Shape::Opaque(format!("'{key}' is only declared, not defined")),
            },
            TypeKind::Array(element, count) => Shape::Array {
                element: self.get(element),
                count: usize::try_from(count.unwrap_or(0)).unwrap_or(0),
                text: element.kind == TypeKind::Integer(IntegerType::Char),
            },
            kind if Wide::of(kind).is_some() => match Plan::of(ty, &Arc::downgrade(self)) {
                plan @ Plan::Wide(wide) => Shape::Wide { wide, plan },
                _ => Shape::Opaque(format!("'{}' is no number", ty.spelling)),
            },
            _ => match Scalar::of(ty) {
                Ok(Scalar::Void) => Shape::Opaque("'void' has no values".to_owned()),
                Ok(scalar) => Shape::Scalar {
                    scalar,
                    plan: Plan::of(ty, &Arc::downgrade(self)),
                    result: ResultPlan::of(ty, self.decode),
                    enumeration: self.enumeration(ty),
                    target: Pointee::of(ty, self),
                },
                Err(reason) => Shape::Opaque(format!("pythy cannot read or write {reason} yet")),
            },
        }
    }

    fn record(self: &Arc<Self>, record: &Record) -> Shape {
        let mut fields = Vec::new();
        self.add_fields(record, 0, true, &mut fields);
        let by_name = fields.iter().enumerate().map(|(index, field)| (field.name.clone(), index)).collect();
        Shape::Record { fields, by_name }
    }

    fn add_fields(
        self: &Arc<Self>,
        record: &Record,
        base_bits: u64,
        positional: bool,
        fields: &mut Vec<Field>,
    ) {
        for (index, field) in record.fields.iter().enumerate() {
            let positional = positional && (record.kind == RecordKind::Struct || index == 0);
            let bits = base_bits + field.offset_bits;
            match (&field.name, &field.ty.kind) {
                (Some(name), _) => {
                    let ty = self.get(&field.ty);
                    fields.push(Field {
                        name: name.clone(),
                        ty,
                        offset: (bits / 8) as usize,
                        bits: field.bit_width.map(|width| ((bits % 8) as u32, width)),
                        positional,
                    });
                }
                (None, TypeKind::Record(key)) => {
                    if let Some(index) = self.records.get(key) {
                        self.add_fields(&self.model.records[*index], bits, positional, fields);
                    }
                }
                (None, _) => {}
            }
        }
    }
}
