//! A value in memory: where it lies, of which type it is, and who keeps it alive.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyMemoryError, PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyMemoryView, PyString, PyTuple};

use super::array::Array;
use super::buffer::Views;
use super::callback::Callback;
use super::convert::{text_object, to_c, to_python, wide_object};
use super::ctype::{CType, Field, Shape, Types};
use super::exceptions::{self, new_argument_error};
use super::failure::{refusal, short_repr};
use super::holder::Holder;
use super::home::{Home, Root};
use super::mirror::Mirror;
use super::plan::{Argument, Failure, Plan, ResultPlan};
use super::pointer::Pointer;
use super::record::Record;
use super::record_class;
use super::reference::Ref;
use crate::binding::{Scalar, Wide};

/// Memory of pythy's own, and the Python objects whose memory is pointed to from there.
pub struct Owned {
    address: usize,
    size: usize,
    home: Home,
    _root: Option<Root>,
    kept: Mutex<HashMap<usize, Kept>>,
    /// How many items the flexible array member of the record in it has.
    tail: usize,
}

/// An object that is pointed to.
struct Kept {
    /// The address that was stored; C code may have stored another since.
    word: u64,
    object: Py<PyAny>,
}

/// A value in memory.
#[derive(Clone)]
pub struct Place {
    /// Where it lies.
    pub address: usize,
    /// Its type.
    pub ty: Arc<CType>,
    /// The types it is among.
    pub types: Arc<Types>,
    /// Who keeps the memory; `None` for memory that C code owns.
    pub owner: Option<Arc<Owned>>,
    /// Whether it is part of something const.
    pub read_only: bool,
    /// The process that it lies in.
    pub home: Home,
}

/// Whether what a value is written into is new, so that const parts of it get their value now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    New,
    Again,
}

impl Place {
    /// A value in memory that C code owns.
    pub fn of_c(address: usize, ty: Arc<CType>, types: Arc<Types>, home: Home) -> Self {
        Self { address, ty, types, owner: None, read_only: false, home }
    }

    /// New zeroed memory for a value of a type whose size is known.
    pub fn allocate(ty: Arc<CType>, types: Arc<Types>) -> PyResult<Self> {
        Self::allocate_with_tail(ty, types, 0)
    }

    /// The same for a record whose flexible array member has as many items.
    pub fn allocate_with_tail(ty: Arc<CType>, types: Arc<Types>, tail: usize) -> PyResult<Self> {
        let size = ty.size.ok_or_else(|| {
            let reason = match &ty.shape {
                Shape::Opaque(reason) => format!(": {reason}"),
                _ => String::new(),
            };
            // The canonical name of a type that pythy lacks is in angles.
            let name = ty.name.trim_matches(['<', '>']);
            PyTypeError::new_err(format!("'{name}' has no size{reason}"))
        })?;
        let tail_end =
            ty.shape.flexible().and_then(|(field, item)| field.offset.checked_add(item.checked_mul(tail)?));
        let size = size.max(tail_end.unwrap_or(0));
        let no_memory = || PyMemoryError::new_err(format!("no memory for a '{}' of {size} bytes", ty.name));
        let home = types.homes.now()?;
        let owner = Owned::new(&home, size, tail)?.ok_or_else(no_memory)?;
        let address = owner.address;
        Ok(Self { address, ty, types, owner: Some(Arc::new(owner)), read_only: false, home })
    }

    /// A value in a block of its own that somebody has made, and that is freed with it.
    pub fn adopt(address: usize, ty: Arc<CType>, types: Arc<Types>, home: &Home) -> Self {
        let size = ty.size.unwrap_or(0);
        let (home, root) = (home.clone(), home.root(address));
        let owner = Owned { address, size, home: home.clone(), _root: root, kept: Mutex::default(), tail: 0 };
        Self { address, ty, types, owner: Some(Arc::new(owner)), read_only: false, home }
    }

    /// A copy in memory of its own, which keeps what it points to as this memory does.
    pub fn duplicate(&self, py: Python<'_>) -> PyResult<Self> {
        self.check_open()?;
        let copy = Self::allocate_with_tail(self.ty.clone(), self.types.clone(), self.tail())?;
        copy.copy_from(py, self)?;
        Ok(copy)
    }

    /// A copy in memory of its own.
    pub fn copied(&self) -> PyResult<Self> {
        Self::holding(self.ty.clone(), self.types.clone(), &self.bytes(self.ty.size.unwrap_or(0))?)
    }

    /// These bytes in memory of their own.
    pub fn holding(ty: Arc<CType>, types: Arc<Types>, bytes: &[u8]) -> PyResult<Self> {
        let place = Self::allocate(ty, types)?;
        place.put(bytes)?;
        Ok(place)
    }

    /// How many items the flexible array member has: only memory of pythy's own knows.
    pub fn tail(&self) -> usize {
        match (&self.owner, &self.ty.shape) {
            (Some(owner), Shape::Record { .. }) if owner.address == self.address => owner.tail,
            _ => 0,
        }
    }

    /// Its size in bytes, with the flexible array member.
    pub fn extent(&self) -> Option<usize> {
        let tail = self.ty.shape.flexible().map_or(0, |(field, item)| match self.tail() {
            0 => 0,
            tail => field.offset + tail * item,
        });
        self.ty.size.map(|size| size.max(tail))
    }

    /// A field of this record, the flexible array member with the length it has here.
    fn field(&self, field: &Field) -> Self {
        let place = self.part(field.offset, &field.ty);
        match (self.tail(), self.ty.shape.flexible()) {
            (tail @ 1.., Some((flexible, _))) if std::ptr::eq(flexible, field) => {
                Self { ty: self.types.sized(&field.ty, tail), ..place }
            }
            _ => place,
        }
    }

    /// A part of this value.
    pub fn part(&self, offset: usize, ty: &Arc<CType>) -> Self {
        Self {
            address: self.address + offset,
            ty: ty.clone(),
            types: self.types.clone(),
            owner: self.owner.clone(),
            read_only: self.is_const(),
            home: self.home.clone(),
        }
    }

    /// The value for Python: scalars converted, text fields as bytes, records and arrays as views
    /// of this very memory.
    pub fn get(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.check_open()?;
        self.value(py)
    }

    /// Refuses memory that was C's own, once its interface is closed: it may be gone with the library.
    pub fn check_open(&self) -> PyResult<()> {
        let points_there = || {
            let Shape::Scalar { scalar, result: ResultPlan::Text { .. }, .. } = &self.ty.shape else {
                return false;
            };
            self.word(*scalar).is_ok_and(|word| word != 0 && !self.keeps(word))
        };
        if !self.types.closed() || (self.owner.is_some() && !points_there()) {
            return Ok(());
        }
        let whose = if self.owner.is_some() { "the text of " } else { "" };
        let message =
            format!("{whose}a '{}' in C's memory was used after its interface was closed", self.ty.name);
        Err(exceptions::Error::new_err(message))
    }

    /// The same of memory that is known to be there: an argument of a callback.
    pub fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &self.ty.shape {
            Shape::Scalar { result: ResultPlan::Pointer, scalar, target: Some(target), .. }
                if self.owner.is_some() =>
            {
                let word = self.word(*scalar)?;
                let holder = self.holder_of(py, word);
                let pointer = holder.stored(py, word as usize, target, &self.home)?;
                Ok(pointer.map_or_else(|| py.None(), Py::into_any))
            }
            Shape::Scalar { scalar, .. } => {
                value_of(py, &self.ty, (&self.types, &self.home), &self.bytes(scalar.size())?)
            }
            Shape::Wide { wide, .. } => {
                value_of(py, &self.ty, (&self.types, &self.home), &self.bytes(wide.size())?)
            }
            Shape::Record { .. } => record_class::object(py, self.clone()),
            Shape::Array { text: true, count, .. } if *count > 0 => {
                let bytes = self.bytes(*count)?;
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                self.text(py, &bytes[..end])
            }
            Shape::Array { .. } => Ok(Py::new(py, Array::at(self.clone()))?.into_any()),
            Shape::Opaque(reason) => Err(PyTypeError::new_err(reason.clone())),
        }
    }

    /// Whether it must not be written.
    pub fn is_const(&self) -> bool {
        self.read_only || self.ty.is_const
    }

    /// Stores a value, converted as arguments are. `what` names the place in messages.
    pub fn set(&self, what: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.write(what, value, Writing::Again)
    }

    /// Stores the first value, in const memory too.
    pub fn initialise(&self, what: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.write(what, value, Writing::New)
    }

    fn write(&self, what: &str, value: &Bound<'_, PyAny>, writing: Writing) -> PyResult<()> {
        self.check_writable(what, value.py(), writing)?;
        match &self.ty.shape {
            Shape::Scalar { scalar, .. } => {
                let word = self.word_of(what, value)?;
                self.store(*scalar, word)
            }
            Shape::Wide { wide, plan } => self.set_wide(what, value, *wide, plan),
            Shape::Record { fields, .. } => self.set_record(what, value, fields, writing),
            Shape::Array { element, count, text } => {
                self.set_array(what, value, (element, *count, *text), writing)
            }
            Shape::Opaque(reason) => Err(PyTypeError::new_err(reason.clone())),
        }
    }

    fn check_writable(&self, what: &str, py: Python<'_>, writing: Writing) -> PyResult<()> {
        if self.owner.is_none() {
            self.check_open()?;
        }
        if writing == Writing::New || !self.is_const() {
            return Ok(());
        }
        let why = if self.ty.is_const { "is const" } else { "is in a const record" };
        Err(new_argument_error(py, format!("{what} {why}: it cannot be written")))
    }

    /// A field's value.
    pub fn get_field(&self, py: Python<'_>, field: &Field) -> PyResult<Py<PyAny>> {
        let place = self.field(field);
        let (Some((first, width)), Shape::Scalar { scalar, result, enumeration, .. }) =
            (field.bits, &field.ty.shape)
        else {
            return place.get(py);
        };
        self.check_open()?;
        let bits = place.bit_field(first, width)?;
        let word = if is_signed(*scalar) { sign_extended(bits, width) } else { bits };
        // SAFETY: the GIL is held, and the word is of this type.
        unsafe {
            let object = match enumeration {
                Some(enumeration) => enumeration.give(word),
                None => to_python(*result, word),
            };
            Bound::from_owned_ptr_or_err(py, object).map(Bound::unbind)
        }
    }

    /// Stores a field's value.
    pub fn set_field(&self, field: &Field, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.write_field(&self.ty.name, field, value, Writing::Again)
    }

    /// Stores the first values of the fields that a dict names.
    pub fn initialise_fields(&self, values: &Bound<'_, PyDict>) -> PyResult<()> {
        self.write_fields(&self.ty.name, values, Writing::New)
    }

    fn write_fields(&self, path: &str, values: &Bound<'_, PyDict>, writing: Writing) -> PyResult<()> {
        for (name, value) in values {
            let Ok(name) = name.cast::<PyString>() else {
                let given = name.get_type().name()?;
                let message = format!("{path}: the keys of a dict are the names of fields, not {given}");
                return Err(new_argument_error(value.py(), message));
            };
            let name = name.to_str()?;
            let Some(field) = self.ty.shape.field(name) else {
                let at = if path == self.ty.name { String::new() } else { format!("{path}: ") };
                let message = format!("{at}'{}' has no field '{name}'", self.ty.name);
                return Err(new_argument_error(value.py(), message));
            };
            self.write_field(path, field, &value, writing)?;
        }
        Ok(())
    }

    /// Stores a field's value; `path` leads here from where the writing began.
    fn write_field(
        &self,
        path: &str,
        field: &Field,
        value: &Bound<'_, PyAny>,
        writing: Writing,
    ) -> PyResult<()> {
        let what = format!("{path}.{}", field.name);
        let place = self.field(field);
        let (Some((first, width)), Shape::Scalar { scalar, .. }) = (field.bits, &field.ty.shape) else {
            return place.write(&what, value, writing);
        };
        place.check_writable(&what, value.py(), writing)?;
        let word = place.word_of(&what, value)?;
        let kept = if is_signed(*scalar) { sign_extended(word, width) } else { word & mask(width) };
        if kept != word {
            let (low, high) = if is_signed(*scalar) {
                (-(1_i128 << (width - 1)), (1_i128 << (width - 1)) - 1)
            } else {
                (0, (1_i128 << width) - 1)
            };
            let value = short_repr(value);
            let message =
                format!("{what}: {value} does not fit a bit-field of {width} bits: it takes {low} to {high}");
            return Err(PyOverflowError::new_err(message));
        }
        place.store_bit_field(first, width, word)
    }

    fn set_wide(&self, what: &str, value: &Bound<'_, PyAny>, wide: Wide, plan: &Plan) -> PyResult<()> {
        let mut views = Views::of(self.home.clone());
        // SAFETY: the GIL is held and the value is live.
        match unsafe { to_c(plan, value.as_ptr(), &mut views) } {
            Ok(Argument::Record(bytes)) => {
                // SAFETY: a number of this size lies there, as long as `views` lives.
                self.put(unsafe { std::slice::from_raw_parts(bytes as *const u8, wide.size()) })
            }
            Ok(_) => Err(PyTypeError::new_err(format!("{what} is no number"))),
            Err(failure) => Err(self.refused(what, value, plan, failure)),
        }
    }

    /// A record from one of its type, from a dict by name, or from a tuple or list by position. Fields
    /// that are not mentioned stay as they are.
    fn set_record(
        &self,
        what: &str,
        value: &Bound<'_, PyAny>,
        fields: &[Field],
        writing: Writing,
    ) -> PyResult<()> {
        if let Ok(values) = value.cast::<PyDict>() {
            return self.write_fields(what, values, writing);
        }
        if value.is_instance_of::<PyTuple>() || value.is_instance_of::<PyList>() {
            let fields: Vec<&Field> = fields.iter().filter(|field| field.positional).collect();
            let items: Vec<Bound<'_, PyAny>> = value.try_iter()?.collect::<PyResult<_>>()?;
            if items.len() > fields.len() {
                let (given, room) = (counted(items.len(), "item"), counted(fields.len(), "field"));
                let message = format!("{what}: {given} for the {room} of '{}'", self.ty.name);
                return Err(new_argument_error(value.py(), message));
            }
            let mut pairs = fields.into_iter().zip(&items);
            return pairs.try_for_each(|(field, item)| self.write_field(what, field, item, writing));
        }
        let Ok(other) = value.cast::<Record>() else {
            let given = value.get_type().name()?;
            let message = format!("{what} takes a '{}', a dict or a tuple, not {given}", self.ty.name);
            return Err(new_argument_error(value.py(), message));
        };
        let other = other.get().place();
        if other.ty.id != self.ty.id {
            let message = format!("{what} takes a '{}', not a '{}'", self.ty.name, other.ty.name);
            return Err(new_argument_error(value.py(), message));
        }
        other.check_open()?;
        self.copy_from(value.py(), other)
    }

    /// The bytes of another value of this type; the Python objects that they point to are kept here too.
    fn copy_from(&self, py: Python<'_>, other: &Place) -> PyResult<()> {
        let size = self.extent().unwrap_or(0).min(other.extent().unwrap_or(0));
        self.put(&other.bytes(size)?)?;
        let (Some(from), Some(to)) = (&other.owner, &self.owner) else { return Ok(()) };
        let pointed_to: Vec<(usize, Kept)> = {
            let kept = from.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let here = kept.iter().filter(|(at, _)| (other.address..other.address + size).contains(at));
            let copy = |kept: &Kept| Kept { word: kept.word, object: kept.object.clone_ref(py) };
            here.map(|(at, kept)| (self.address + (at - other.address), copy(kept))).collect()
        };
        let before: Vec<_> = {
            let mut kept = to.kept.lock().unwrap_or_else(PoisonError::into_inner);
            pointed_to.into_iter().map(|(at, pointed_to)| kept.insert(at, pointed_to)).collect()
        };
        // Not under the lock: this may run Python code.
        drop(before);
        Ok(())
    }

    fn set_array(
        &self,
        what: &str,
        value: &Bound<'_, PyAny>,
        (element, count, text): (&Arc<CType>, usize, bool),
        writing: Writing,
    ) -> PyResult<()> {
        let py = value.py();
        let size = element.size.unwrap_or(0);
        if (text || size == 1)
            && let Some(mut bytes) = bytes_of(what, value)?
        {
            if bytes.len() > count {
                let message = format!("{what}: {} bytes do not fit {count}", bytes.len());
                return Err(new_argument_error(py, message));
            }
            // The rest of the array becomes zero.
            bytes.resize(count, 0);
            return self.put(&bytes);
        }
        let items = if value.is_instance_of::<PyDict>() { None } else { value.try_iter().ok() };
        let Some(items) = items else {
            let given = value.get_type().name()?;
            let message = format!("{what} takes a sequence of '{}', not {given}", element.name);
            return Err(new_argument_error(py, message));
        };
        let items: Vec<Bound<'_, PyAny>> = items.collect::<PyResult<_>>()?;
        if items.len() > count {
            let message = format!("{what}: {} items do not fit {count}", items.len());
            return Err(new_argument_error(py, message));
        }
        for (index, item) in items.iter().enumerate() {
            self.part(index * size, element).write(&format!("{what}[{index}]"), item, writing)?;
        }
        Ok(())
    }

    pub fn word_of(&self, what: &str, value: &Bound<'_, PyAny>) -> PyResult<u64> {
        let py = value.py();
        let Shape::Scalar { plan, .. } = &self.ty.shape else {
            return Err(PyTypeError::new_err(format!("{what} is no scalar")));
        };
        if let Plan::Callback(callback) = plan
            && value.is_callable()
            && !value.is_instance_of::<Callback>()
            && !value.is_instance_of::<Pointer>()
        {
            if self.owner.is_none() {
                let message = format!(
                    "{what}: nobody would keep this callback alive; make it with @lib.callback(...) and keep it"
                );
                return Err(new_argument_error(py, message));
            }
            let callback = Bound::new(py, Callback::new(callback, value)?)?;
            return self.word_of(what, callback.as_any());
        }
        let mut views = Views::of(self.home.clone());
        // SAFETY: the GIL is held and the value is live.
        match unsafe { to_c(plan, value.as_ptr(), &mut views) } {
            Ok(Argument::Word(word)) => {
                self.keep(value, if plan.is_pointer() { word } else { 0 });
                Ok(word)
            }
            // Records are stored as such, never as a word; so are callables, which have become callbacks.
            Ok(Argument::Record(_) | Argument::Callable { .. }) => {
                Err(PyTypeError::new_err(format!("{what} is no record")))
            }
            Ok(Argument::Memory { address, length, .. }) => {
                if self.owner.is_none() {
                    let message = format!(
                        "{what}: this memory is C's own, so nobody would keep the {} alive; copy it into lib.new(...)",
                        value.get_type().name()?
                    );
                    return Err(new_argument_error(py, message));
                }
                // A memoryview keeps a bytearray from being resized; bytes and str stay as they are.
                let holder = match PyMemoryView::from(value) {
                    Ok(view) => view.into_any(),
                    Err(_) => value.clone(),
                };
                let Some(client) = self.home.client() else {
                    self.keep(&holder, address as u64);
                    return Ok(address as u64);
                };
                let changes = holder.cast::<PyMemoryView>().is_ok()
                    && !holder.getattr("readonly")?.extract::<bool>()?;
                // SAFETY: the GIL is held, and the holder keeps the memory in place.
                let mirror =
                    unsafe { Mirror::in_block((&self.home, client), &holder, (address, length), changes)? };
                let no_memory = || PyMemoryError::new_err(format!("no memory for a copy of {length} bytes"));
                let mirror = Bound::new(py, mirror.ok_or_else(no_memory)?)?;
                let word = mirror.get().address() as u64;
                self.keep(mirror.as_any(), word);
                Ok(word)
            }
            Err(failure) => Err(self.refused(what, value, plan, failure)),
        }
    }

    /// The exception for a value that cannot be stored here.
    fn refused(&self, what: &str, value: &Bound<'_, PyAny>, plan: &Plan, failure: Failure) -> PyErr {
        refusal(&format!("{what} ({})", self.ty.name), plan, value, failure)
    }

    /// Keeps what is pointed to from here as long as this memory lives, or forgets what was, for 0.
    fn keep(&self, object: &Bound<'_, PyAny>, word: u64) {
        let Some(owner) = &self.owner else { return };
        // Memory need not keep itself: then it would never go.
        let itself = matches!(Holder::of(object), Holder::Memory(memory) if Arc::ptr_eq(&memory, owner));
        let before = {
            let mut kept = owner.kept.lock().unwrap_or_else(PoisonError::into_inner);
            match word {
                word if word != 0 && !itself => {
                    kept.insert(self.address, Kept { word, object: object.clone().unbind() })
                }
                _ => kept.remove(&self.address),
            }
        };
        // Not under the lock: this may run Python code.
        drop(before);
    }

    /// Who keeps what the address stored here points to.
    pub fn holder_of(&self, py: Python<'_>, word: u64) -> Holder {
        let Some(owner) = &self.owner else { return Holder::Nobody };
        let kept = {
            let kept = owner.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = kept.get(&self.address).filter(|kept| kept.word == word);
            kept.map(|kept| kept.object.clone_ref(py))
        };
        match kept {
            Some(object) => Holder::of(object.bind(py)),
            None if owner.has(word as usize) => Holder::Memory(owner.clone()),
            None => Holder::Nobody,
        }
    }

    /// Whether what this address points to is kept for as long as this memory lives.
    fn keeps(&self, word: u64) -> bool {
        let Some(owner) = &self.owner else { return false };
        let kept = owner.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&self.address).is_some_and(|kept| kept.word == word)
    }

    /// The scalar here as a word.
    pub fn word(&self, scalar: Scalar) -> PyResult<u64> {
        Ok(word_in(scalar, &self.bytes(scalar.size())?))
    }

    /// The address that is stored here, if this is a pointer that can be read.
    pub fn pointer_here(&self) -> Option<u64> {
        match self.ty.shape {
            Shape::Scalar { scalar: scalar @ Scalar::Pointer, .. } => self.word(scalar).ok(),
            _ => None,
        }
    }

    fn store(&self, scalar: Scalar, word: u64) -> PyResult<()> {
        if scalar == Scalar::Pointer {
            self.home.note_release();
        }
        self.put(&word.to_le_bytes()[..scalar.size()])
    }

    /// A copy of the first `count` bytes here.
    pub fn bytes(&self, count: usize) -> PyResult<Vec<u8>> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(count).map_err(|_| {
            PyMemoryError::new_err(format!("no memory for {count} bytes of a '{}'", self.ty.name))
        })?;
        bytes.resize(count, 0);
        self.home.read(self.address, &mut bytes)?;
        Ok(bytes)
    }

    /// Stores the first bytes here.
    pub fn put(&self, bytes: &[u8]) -> PyResult<()> {
        Ok(self.home.write(self.address, bytes)?)
    }

    fn bit_field(&self, first: u32, width: u32) -> PyResult<u64> {
        let mut bits = [0; 16];
        let count = (first + width).div_ceil(8) as usize;
        bits[..count].copy_from_slice(&self.bytes(count)?);
        Ok((u128::from_le_bytes(bits) >> first) as u64 & mask(width))
    }

    fn store_bit_field(&self, first: u32, width: u32, value: u64) -> PyResult<()> {
        let mut bits = [0; 16];
        let count = (first + width).div_ceil(8) as usize;
        bits[..count].copy_from_slice(&self.bytes(count)?);
        let others = u128::from_le_bytes(bits) & !(u128::from(mask(width)) << first);
        let bits = (others | u128::from(value & mask(width)) << first).to_le_bytes();
        self.put(&bits[..count])
    }

    fn text(&self, py: Python<'_>, bytes: &[u8]) -> PyResult<Py<PyAny>> {
        text(py, bytes, self.types.decode)
    }

    /// The object that stands for this memory.
    pub fn object(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match &self.ty.shape {
            Shape::Scalar { .. } | Shape::Wide { .. } => Ok(Py::new(py, Ref::at(self))?.into_any()),
            Shape::Record { .. } => record_class::object(py, self),
            Shape::Array { .. } => Ok(Py::new(py, Array::at(self))?.into_any()),
            Shape::Opaque(reason) => Err(PyTypeError::new_err(reason.clone())),
        }
    }
}

/// What an array of bytes takes as a whole: bytes, a bytearray, a memoryview, or the UTF-8 of a str.
fn bytes_of(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Vec<u8>>> {
    if let Ok(string) = value.cast::<PyString>() {
        let text = string.to_str()?;
        if text.contains('\0') {
            let why = "must not be a str with a NUL character inside: C would see the text end there";
            return Err(new_argument_error(value.py(), format!("{what} {why}")));
        }
        return Ok(Some(text.as_bytes().to_vec()));
    }
    Ok(match value.cast::<PyBytes>() {
        Ok(bytes) => Some(bytes.as_bytes().to_vec()),
        Err(_) if value.is_instance_of::<PyByteArray>() => Some(value.extract()?),
        Err(_) if value.is_instance_of::<PyMemoryView>() => Some(value.call_method0("tobytes")?.extract()?),
        Err(_) => None,
    })
}

/// What bytes of a type are in Python; records and arrays get memory of their own.
pub fn value_of(
    py: Python<'_>,
    ty: &Arc<CType>,
    (types, home): (&Arc<Types>, &Home),
    bytes: &[u8],
) -> PyResult<Py<PyAny>> {
    // SAFETY: the GIL is held, and the word is of this type; a new reference, or NULL with an exception set.
    let owned = |object| unsafe { Bound::from_owned_ptr_or_err(py, object).map(Bound::unbind) };
    match &ty.shape {
        Shape::Scalar { result, enumeration, target, scalar, .. } => {
            let word = word_in(*scalar, bytes);
            match (enumeration, target, result) {
                // SAFETY: as above.
                (Some(enumeration), _, _) => owned(unsafe { enumeration.give(word) }),
                (_, Some(target), ResultPlan::Pointer) => {
                    owned(Pointer::give(py, word as usize, target, home))
                }
                (_, _, ResultPlan::Text { decode }) if word != 0 => {
                    text(py, &home.text(word as usize)?, *decode)
                }
                // SAFETY: as above; the text of NULL is `None`.
                _ => owned(unsafe { to_python(*result, word) }),
            }
        }
        // SAFETY: the GIL is held.
        Shape::Wide { wide, .. } => owned(unsafe { wide_object(*wide, bytes) }),
        _ => Place::holding(ty.clone(), types.clone(), bytes)?.object(py),
    }
}

fn word_in(scalar: Scalar, bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..scalar.size()].copy_from_slice(&bytes[..scalar.size()]);
    let word = u64::from_le_bytes(word);
    scalar.word(word, word)
}

fn text(py: Python<'_>, bytes: &[u8], decode: bool) -> PyResult<Py<PyAny>> {
    // SAFETY: the GIL is held, and the bytes are readable.
    unsafe {
        let object = text_object(bytes.as_ptr().cast(), bytes.len(), decode);
        Bound::from_owned_ptr_or_err(py, object).map(Bound::unbind)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.home.free(self.address);
    }
}

impl Owned {
    /// New zeroed memory; `None` where there is none.
    pub fn new(home: &Home, size: usize, tail: usize) -> crate::Result<Option<Self>> {
        let Some(address) = home.allocate(size)? else { return Ok(None) };
        let (home, root) = (home.clone(), home.root(address));
        Ok(Some(Self { address, size, home, _root: root, kept: Mutex::default(), tail }))
    }

    /// Where it begins.
    pub fn address(&self) -> usize {
        self.address
    }

    /// The whole block's size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether the address is one of this block's, or its end.
    fn has(&self, address: usize) -> bool {
        (self.address..=self.address + self.size).contains(&address)
    }

    /// Whether Python objects are kept for what lies here.
    pub fn keeps_objects(&self) -> bool {
        !self.kept.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The block of pythy's own that a `Ref`, `Record` or `Array` lies in: address and size.
pub fn owned_block(object: &Bound<'_, PyAny>) -> Option<(usize, usize)> {
    let place = if let Ok(reference) = object.cast::<Ref>() {
        reference.get().place()
    } else if let Ok(record) = object.cast::<Record>() {
        record.get().place()
    } else {
        object.cast::<Array>().ok()?.get().place()
    };
    let owner = place.owner.as_ref()?;
    Some((owner.address, owner.size))
}

/// An argument as it is told once the call is over. A copy of what Python owns has not been copied back by then; a
/// record is C's own memory, shows what C has made of it, and says so.
pub fn told(object: &Bound<'_, PyAny>, plan: Option<&Plan>) -> String {
    let by_pointer = !matches!(plan, Some(Plan::Record(_)));
    let may_write = !matches!(plan, Some(Plan::Text(target) | Plan::Pointer(target)) if target.is_const);
    let after =
        if by_pointer && may_write && object.cast::<Record>().is_ok() { " after the call" } else { "" };
    format!("{}{after}", short_repr(object))
}

fn is_signed(scalar: Scalar) -> bool {
    matches!(scalar, Scalar::I8 | Scalar::I16 | Scalar::I32 | Scalar::I64)
}

fn mask(width: u32) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

fn sign_extended(bits: u64, width: u32) -> u64 {
    let shift = 64 - width.clamp(1, 64);
    (((bits << shift) as i64) >> shift) as u64
}
