//! Values between Python and C, as their plans have it.

use std::ffi::{c_char, c_long};

use pyo3::ffi;
use pyo3::prelude::*;

use super::buffer::{View, Views, has_any_view, has_buffer};
use super::callable::Callable;
use super::callback::{Callback, CallbackType, Given};
use super::ctype::CType;
use super::home::Home;
use super::number::{boolean, character, double, float, integer, long, parts, unsigned};
use super::place::Place;
use super::plan::{Argument, Failure, Items, Plan, ResultPlan, Target};
use super::pointer::Pointer;
use super::record::Record;
use super::types::TypeId;
use super::value::{Travel, Value};
use crate::binding::{Scalar, Wide};
use crate::call;

/// Converts one argument.
///
/// # Safety
/// The GIL is held, `object` is a live object, and `views` lives until the call is over.
#[inline]
pub unsafe fn to_c(plan: &Plan, object: *mut ffi::PyObject, views: &mut Views) -> Result<Argument, Failure> {
    // SAFETY: as the caller vouches.
    unsafe {
        Ok(Argument::Word(match plan {
            Plan::Integer(scalar) => integer(*scalar, object)?,
            Plan::Double => double(object)?.to_bits(),
            Plan::Float => u64::from(float(object)?.to_bits()),
            Plan::Bool => boolean(object)?,
            Plan::Char => character(object)?,
            Plan::Text(target) => return text(target, object, views),
            Plan::Pointer(target) => return pointer(target, object, views),
            Plan::Callback(callback) => return function_pointer(callback, object, views),
            Plan::Record(id) => return record(*id, object, views),
            Plan::Wide(wide) => {
                let mut bytes = [0; Wide::LARGEST];
                call::wide::write(*wide, parts(*wide, object)?, &mut bytes);
                return Ok(Argument::Record(views.keep_wide(bytes)));
            }
        }))
    }
}

#[inline]
unsafe fn text(target: &Target, object: *mut ffi::PyObject, views: &mut Views) -> Result<Argument, Failure> {
    // SAFETY: as the caller vouches; bytes and str keep their memory as long as they live.
    unsafe {
        if ffi::PyBytes_Check(object) != 0 {
            // The terminating NUL belongs to the string.
            let length = ffi::PyBytes_Size(object) as usize + 1;
            let address = ffi::PyBytes_AsString(object).cast::<u8>();
            return Ok(Argument::Memory { address, length, writable: false });
        }
        if ffi::PyUnicode_Check(object) != 0 {
            let (address, length) = utf8(object)?;
            return Ok(Argument::Memory {
                address: address.cast_mut().cast(),
                length: length + 1,
                writable: false,
            });
        }
        pointer(target, object, views)
    }
}

/// The UTF-8 of a str without NULs, and its length.
#[inline(always)]
pub unsafe fn utf8(object: *mut ffi::PyObject) -> Result<(*const c_char, usize), Failure> {
    let mut length = 0;
    // SAFETY: as the caller vouches; the text has `length` bytes and a NUL after them.
    unsafe {
        let text = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut length);
        if text.is_null() {
            return Err(Failure::Raised);
        }
        if libc::strlen(text) != length as usize {
            return Err(Failure::EmbeddedNul);
        }
        Ok((text, length as usize))
    }
}

unsafe fn pointer(
    target: &Target,
    object: *mut ffi::PyObject,
    views: &mut Views,
) -> Result<Argument, Failure> {
    // SAFETY: the GIL is held, as the caller vouches, and the object is live.
    let borrowed = unsafe { Borrowed::from_ptr(Python::assume_attached(), object) };
    if borrowed.is_none() {
        return Ok(Argument::Word(0));
    }
    let given = if let Ok(pointer) = borrowed.cast::<Pointer>() {
        let pointer = pointer.get();
        let address = pointer.address().ok_or(Failure::Released)?;
        Some((address, [pointer.target(); 3], pointer.home()))
    } else {
        // Rows lie one behind the other: an array of arrays is one of what is in these, too.
        let types = |ty: &CType| [ty.element(), ty.id, ty.innermost()];
        Place::behind(&borrowed).map(|place| (place.address, types(&place.ty), &place.home))
    };
    if let Some((address, types, home)) = given {
        check_home(home, views)?;
        return if types.into_iter().any(|ty| target.accepts(ty)) {
            Ok(Argument::Word(address as u64))
        } else {
            Err(Failure::WrongTarget(types[0]))
        };
    }
    // SAFETY: as the caller vouches.
    unsafe { memory(target, object, views) }
}

/// That an address means something to the C code that gets it.
#[inline]
fn check_home(home: &Home, views: &Views) -> Result<(), Failure> {
    if home.is(views.home()) { Ok(()) } else { Err(home.failure()) }
}

unsafe fn record(id: TypeId, object: *mut ffi::PyObject, views: &Views) -> Result<Argument, Failure> {
    // SAFETY: the GIL is held, as the caller vouches, and the object is live.
    let object = unsafe { Borrowed::from_ptr(Python::assume_attached(), object) };
    let record = object.cast::<Record>().map_err(|_| Failure::Type)?;
    let place = record.get().place();
    if place.check_open().is_err() {
        Err(Failure::Closed)
    } else if place.ty.id == id {
        check_home(&place.home, views)?;
        Ok(Argument::Record(place.address))
    } else {
        Err(Failure::WrongRecord(place.ty.id))
    }
}

/// Converts an argument after the last parameter, promoted as C promotes it: ints to 64 bits,
/// floats to double, text and buffers to their address; what has a type of its own as that type.
///
/// # Safety
/// As for [`to_c`].
pub unsafe fn variadic_to_c(
    object: *mut ffi::PyObject,
    views: &mut Views,
) -> Result<(Argument, Travel), Failure> {
    // SAFETY: as the caller vouches.
    unsafe {
        if ffi::PyFloat_Check(object) != 0 {
            return promoted_float(object);
        }
        if ffi::PyLong_Check(object) != 0 {
            return promoted_integer(object);
        }
        let borrowed = Borrowed::from_ptr(Python::assume_attached(), object);
        if let Ok(value) = borrowed.cast::<Value>() {
            check_home(&value.get().place().home, views)?;
            return value.get().argument();
        }
        if let Ok(callback) = borrowed.cast::<Callback>() {
            check_home(callback.get().home(), views)?;
            return Ok((Argument::Word(callback.get().address() as u64), Travel::Integer));
        }
        if let Some(address) = function_address(&borrowed, views)? {
            return Ok((Argument::Word(address as u64), Travel::Integer));
        }
        if ffi::PyBytes_Check(object) == 0 && has_buffer(object) {
            match views.take(object).filter(|view| view.is_number()).map(View::items) {
                Some(Items::Floats) => return promoted_float(object),
                Some(Items::Integers) => return promoted_integer(object),
                _ => ffi::PyErr_Clear(),
            }
        } else if ffi::PyIndex_Check(object) != 0 {
            return promoted_integer(object);
        }
        text(&Target::ANYTHING, object, views).map(|argument| (argument, Travel::Integer))
    }
}

/// The address of a function that pythy has bound, where it can be called there.
fn function_address(object: &Bound<'_, PyAny>, views: &Views) -> Result<Option<usize>, Failure> {
    let address = Callable::behind(object).and_then(|callable| match callable {
        Some(callable) => Ok(callable.address_in(views.home())?),
        None => Ok(None),
    });
    address.map_err(|error| {
        error.restore(object.py());
        Failure::Raised
    })
}

unsafe fn promoted_float(object: *mut ffi::PyObject) -> Result<(Argument, Travel), Failure> {
    // SAFETY: as the caller vouches.
    Ok((Argument::Word(unsafe { double(object)? }.to_bits()), Travel::Float))
}

unsafe fn promoted_integer(object: *mut ffi::PyObject) -> Result<(Argument, Travel), Failure> {
    // SAFETY: as the caller vouches.
    let word = match unsafe { long(object) } {
        // SAFETY: as above.
        Err(Failure::Range) => unsafe { unsigned(object)? },
        word => word? as u64,
    };
    Ok((Argument::Word(word), Travel::Integer))
}

unsafe fn function_pointer(
    callback: &CallbackType,
    object: *mut ffi::PyObject,
    views: &mut Views,
) -> Result<Argument, Failure> {
    // SAFETY: the GIL is held, as the caller vouches, and the object is live.
    let object = unsafe { Bound::from_borrowed_ptr(Python::assume_attached(), object) };
    if object.is_none() {
        return Ok(Argument::Word(0));
    }
    if let Ok(pointer) = object.cast::<Pointer>() {
        let pointer = pointer.get();
        let fits = pointer.target() == callback.id || pointer.target() == TypeId::VOID;
        let address = pointer.address().ok_or(Failure::Released)?;
        check_home(pointer.home(), views)?;
        return if fits {
            Ok(Argument::Word(address as u64))
        } else {
            Err(Failure::WrongTarget(pointer.target()))
        };
    }
    match callback.convert(&object, views.home())? {
        Given::Address(address) => Ok(Argument::Word(address as u64)),
        Given::Thunk(thunk) => Ok(views.keep(thunk)),
    }
}

unsafe fn memory(
    target: &Target,
    object: *mut ffi::PyObject,
    views: &mut Views,
) -> Result<Argument, Failure> {
    // SAFETY: as the caller vouches; the view keeps the memory in place until the call is over.
    unsafe {
        if !target.buffers || !has_buffer(object) {
            return Err(Failure::Type);
        }
        let Some(view) = views.take(object) else {
            ffi::PyErr_Clear();
            return Err(if has_any_view(object) { Failure::NotContiguous } else { Failure::NoBuffer });
        };
        let (item_size, length) = (view.itemsize as usize, view.len as usize);
        let parts = (item_size == 1 || item_size == target.element_size) && target.item_size > 0;
        if item_size != target.item_size && target.id != TypeId::VOID {
            if !parts {
                return Err(Failure::ItemSize(item_size));
            }
            if !length.is_multiple_of(target.item_size) {
                return Err(Failure::Length(length));
            }
        }
        let items = view.items();
        if !target.takes(items, item_size) {
            return Err(Failure::Items(items));
        }
        if view.readonly != 0 && !target.is_const {
            return Err(Failure::ReadOnly);
        }
        let writable = view.readonly == 0 && !target.is_const;
        Ok(Argument::Memory { address: view.buf.cast(), length: view.len as usize, writable })
    }
}

/// Makes the Python object for a result word, or sets an exception and returns NULL.
///
/// # Safety
/// The GIL is held and the word is what the C function returned.
#[inline(always)]
pub unsafe fn to_python(plan: ResultPlan, word: u64) -> *mut ffi::PyObject {
    // SAFETY: as the caller vouches.
    unsafe {
        match plan {
            // Records and wide numbers are made where their bytes are.
            ResultPlan::Void | ResultPlan::Record | ResultPlan::Wide(_) => {
                let none = ffi::Py_None();
                ffi::Py_INCREF(none);
                none
            }
            // Whoever has the enum at hand asks it; without it the int will do.
            ResultPlan::Integer(Scalar::U64) | ResultPlan::Enumeration(Scalar::U64) => {
                ffi::PyLong_FromUnsignedLongLong(word)
            }
            ResultPlan::Integer(_) | ResultPlan::Enumeration(_) => ffi::PyLong_FromLong(word as c_long),
            ResultPlan::Double => ffi::PyFloat_FromDouble(f64::from_bits(word)),
            ResultPlan::Float => ffi::PyFloat_FromDouble(f64::from(f32::from_bits(word as u32))),
            ResultPlan::Bool => ffi::PyBool_FromLong(word as c_long),
            ResultPlan::Char => {
                let byte = word as u8;
                ffi::PyBytes_FromStringAndSize((&raw const byte).cast(), 1)
            }
            ResultPlan::Text { decode } => {
                let text = word as usize as *const c_char;
                if text.is_null() {
                    return to_python(ResultPlan::Void, 0);
                }
                text_object(text, libc::strlen(text), decode)
            }
            // Whoever has the target at hand makes the pointer; the address is what is left.
            ResultPlan::Pointer => ffi::PyLong_FromUnsignedLongLong(word),
        }
    }
}

/// bytes, or str from UTF-8.
///
/// # Safety
/// The GIL is held and `length` bytes can be read at `text`.
pub unsafe fn text_object(text: *const c_char, length: usize, decode: bool) -> *mut ffi::PyObject {
    // SAFETY: as the caller vouches.
    unsafe {
        if decode {
            ffi::PyUnicode_DecodeUTF8(text, length as ffi::Py_ssize_t, std::ptr::null())
        } else {
            ffi::PyBytes_FromStringAndSize(text, length as ffi::Py_ssize_t)
        }
    }
}
