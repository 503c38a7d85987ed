//! A value in memory: where it lies, of which type it is, and who keeps it alive. `assignment` writes it.

use std::sync::Arc;

use pyo3::exceptions::{PyMemoryError, PyTypeError};
use pyo3::prelude::*;

use super::array::Array;
use super::convert::{text_object, to_python};
use super::ctype::{CType, Field, Shape, Types};
use super::exceptions;
use super::holder::Holder;
use super::home::Home;
use super::number::wide_object;
use super::owned::Owned;
use super::plan::ResultPlan;
use super::pointer::Pointer;
use super::record::Record;
use super::record_class;
use super::reference::Ref;
use crate::binding::Scalar;
use crate::call::BitField;

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

impl Place {
    /// What a `Ref`, a `Record` or an `Array` stands for; `None` for any other object.
    pub fn behind<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a Self> {
        if let Ok(reference) = object.cast::<Ref>() {
            Some(reference.get().place())
        } else if let Ok(record) = object.cast::<Record>() {
            Some(record.get().place())
        } else {
            object.cast::<Array>().ok().map(|array| array.get().place())
        }
    }

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
        let tail_end = ty
            .shape
            .flexible()
            .map_or(Some(0), |(field, item)| field.offset.checked_add(item.checked_mul(tail)?));
        let too_many = || PyMemoryError::new_err(format!("no memory for a '{}' of {tail} items", ty.name));
        let size = size.max(tail_end.ok_or_else(too_many)?);
        let no_memory = || PyMemoryError::new_err(format!("no memory for a '{}' of {size} bytes", ty.name));
        let home = types.homes.now()?;
        let owner = Owned::aligned(&home, (size, ty.extended_alignment), tail)?.ok_or_else(no_memory)?;
        let address = owner.address();
        Ok(Self { address, ty, types, owner: Some(Arc::new(owner)), read_only: false, home })
    }

    /// A value in a block of its own that somebody has made, and that is freed with it.
    pub fn adopt(address: usize, ty: Arc<CType>, types: Arc<Types>, home: &Home) -> Self {
        let size = ty.size.unwrap_or(0);
        let owner = Some(Arc::new(Owned::adopt(home, address, size)));
        Self { address, ty, types, owner, read_only: false, home: home.clone() }
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
            (Some(owner), Shape::Record { .. }) if owner.address() == self.address => owner.tail(),
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
    pub fn field(&self, field: &Field) -> Self {
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

    /// A field's value.
    pub fn get_field(&self, py: Python<'_>, field: &Field) -> PyResult<Py<PyAny>> {
        let place = self.field(field);
        let (Some((first, width)), Shape::Scalar { scalar, result, enumeration, .. }) =
            (field.bits, &field.ty.shape)
        else {
            return place.get(py);
        };
        self.check_open()?;
        let bits = BitField { first, width };
        let word = bits.word(&place.bytes(bits.size())?, scalar.is_signed());
        // SAFETY: the GIL is held, and the word is of this type.
        unsafe {
            let object = match enumeration {
                Some(enumeration) => enumeration.give(word),
                None => to_python(*result, word),
            };
            Bound::from_owned_ptr_or_err(py, object).map(Bound::unbind)
        }
    }

    /// The bytes of another value of this type; the Python objects that they point to are kept here too.
    pub fn copy_from(&self, py: Python<'_>, other: &Self) -> PyResult<()> {
        let size = self.extent().unwrap_or(0).min(other.extent().unwrap_or(0));
        self.put(&other.bytes(size)?)?;
        if let (Some(from), Some(to)) = (&other.owner, &self.owner) {
            to.keep_as(py, self.address, from, other.address..other.address + size);
        }
        Ok(())
    }

    /// Keeps what is pointed to from here as long as this memory lives, or forgets what was, for 0.
    pub fn keep(&self, object: &Bound<'_, PyAny>, word: u64) {
        let Some(owner) = &self.owner else { return };
        // Memory need not keep itself: then it would never go.
        let itself = matches!(Holder::of(object), Holder::Memory(memory) if Arc::ptr_eq(&memory, owner));
        if word == 0 || itself {
            owner.forget(self.address);
        } else {
            owner.keep(self.address, word, object.clone().unbind());
        }
    }

    /// Who keeps what the address stored here points to.
    pub fn holder_of(&self, py: Python<'_>, word: u64) -> Holder {
        let Some(owner) = &self.owner else { return Holder::Nobody };
        match owner.kept(py, self.address, word) {
            Some(object) => Holder::of(object.bind(py)),
            None if owner.has(word as usize) => Holder::Memory(owner.clone()),
            None => Holder::Nobody,
        }
    }

    /// Whether what this address points to is kept for as long as this memory lives.
    fn keeps(&self, word: u64) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.keeps(self.address, word))
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

/// The block of pythy's own that a `Ref`, `Record` or `Array` lies in: address and size.
pub fn owned_block(object: &Bound<'_, PyAny>) -> Option<(usize, usize)> {
    let owner = Place::behind(object)?.owner.as_ref()?;
    Some((owner.address(), owner.size()))
}
