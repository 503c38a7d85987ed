//! Writing a value in memory: what Python assigns, converted as arguments are.

use std::sync::Arc;

use pyo3::exceptions::{PyMemoryError, PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyMemoryView, PyString, PyTuple};

use super::buffer::Views;
use super::callback::Callback;
use super::convert::to_c;
use super::ctype::{CType, Field, Shape};
use super::exceptions::new_argument_error;
use super::failure::{refusal, short_repr};
use super::mirror::Mirror;
use super::place::Place;
use super::plan::{Argument, Failure, Plan};
use super::pointer::Pointer;
use super::record::Record;
use crate::binding::{Scalar, Wide};
use crate::call::BitField;

/// Whether what a value is written into is new, so that const parts of it get their value now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    New,
    Again,
}

impl Place {
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
                let nearest = self.ty.shape.did_you_mean(name);
                let message = format!("{at}'{}' has no field '{name}'{nearest}", self.ty.name);
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
        let (word, bits) = (place.word_of(&what, value)?, BitField { first, width });
        if bits.cut(word, scalar.is_signed()) != word {
            let (low, high) = bits.range(scalar.is_signed());
            let value = short_repr(value);
            let message =
                format!("{what}: {value} does not fit a bit-field of {width} bits: it takes {low} to {high}");
            return Err(PyOverflowError::new_err(message));
        }
        place.put(&bits.stored(&place.bytes(bits.size())?, word))
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
            if let Some(address) = callback.c_function(value, &self.home)? {
                self.keep(value, address as u64);
                return Ok(address as u64);
            }
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

    fn store(&self, scalar: Scalar, word: u64) -> PyResult<()> {
        if scalar == Scalar::Pointer {
            self.home.note_release();
        }
        self.put(&word.to_le_bytes()[..scalar.size()])
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

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
