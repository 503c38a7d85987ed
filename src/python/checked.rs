//! Where CPython enters for calls of scalars under Valgrind: each is entered in the session and made through its
//! slots.

use std::ffi::CStr;

use pyo3::ffi;

use super::bracketing::{Given, Word, make_call};
use super::buffer::Views;
use super::callable::{Callable, Checks, Entry, callable};
use super::convert::{text_object, to_c};
use super::copies::{Copying, copy_back};
use super::definedness::{check, check_outputs, outputs};
use super::failure::{bad_argument, bad_count, no_memory, refuse_closed};
use super::home::Home;
use super::plan::{Argument, Failure, Parameter, ResultPlan};
use super::words;
use crate::binding::{Place, Route};
use crate::bracket::{self, HAS_SLOTS, Slot};
use crate::call::Frame;

type Object = *mut ffi::PyObject;

/// The entry under Valgrind for calls of scalars.
pub fn entry(
    (parameters, result): (&[Parameter], ResultPlan),
    route: Route,
    (checks, release): (Checks, bool),
) -> Entry {
    let in_registers = HAS_SLOTS && route == Route::Direct && !checks.results;
    in_registers.then(|| words::entry(parameters, result, release)).flatten().unwrap_or(bracketed)
}

/// The entry under Valgrind for any of them.
///
/// # Safety
/// Called by CPython, or with what CPython gave another entry.
pub unsafe extern "C" fn bracketed(
    object: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    keywords: Object,
) -> Object {
    // SAFETY: as in `direct`.
    unsafe {
        let callable = callable(object);
        if count as usize != callable.parameters.len() || !keywords.is_null() {
            return bad_count(callable, count, !keywords.is_null());
        }
        let mut views = Views::new();
        let mut copying = Copying::new();
        let mut call = Prepared::new(callable);
        for (index, parameter) in callable.parameters.iter().enumerate() {
            let argument = *arguments.add(index);
            let word = match to_c(&parameter.plan, argument, &mut views) {
                Ok(Argument::Word(word)) => word,
                Ok(Argument::Record(_) | Argument::Callable { .. }) => {
                    return bad_argument(callable, index, argument, Failure::Type);
                }
                Ok(Argument::Memory { address, length, writable }) => {
                    copying.add(index, (address, length, writable), index);
                    0
                }
                Err(failure) => return bad_argument(callable, index, argument, failure),
            };
            call.put(index, word);
        }
        if callable.is_closed() {
            return refuse_closed(callable);
        }
        let copies = match copying.copy(|index, word| call.put(index, word)) {
            Ok(copies) => copies,
            Err(length) => return no_memory(callable, length),
        };
        let given = Given { arguments, count: count as usize, copies: &copies };
        let outputs = outputs(callable, &given);
        let invoke = |slot| {
            let outcome = call.invoke(slot);
            check_outputs(&outputs, slot);
            outcome
        };
        let Some(outcome) = make_call(callable, &given, invoke) else {
            return std::ptr::null_mut();
        };
        copy_back(&copies);
        match (callable.result, outcome.text_length) {
            (ResultPlan::Text { decode }, Some(length)) => {
                text_object(callable.shown(outcome.word) as usize as *const _, length, decode)
            }
            _ => callable.give(callable.shown(outcome.word), &Home::Checked),
        }
    }
}

impl Word for Outcome {
    fn word(&self) -> u64 {
        self.word
    }
}

struct Outcome {
    /// As [`Callable::hidden`] has it.
    word: u64,
    /// The length of a string result, which was read as part of the call.
    text_length: Option<usize>,
}

/// A call whose arguments are put into their places one by one.
struct Prepared<'a> {
    callable: &'a Callable,
    frame: Frame,
    /// The same for libffi, where there is no dispatcher.
    words: Vec<u64>,
}

impl<'a> Prepared<'a> {
    #[inline(always)]
    fn new(callable: &'a Callable) -> Self {
        let frame = Frame::empty(callable.address, callable.registers.stack_words);
        let words = if HAS_SLOTS { Vec::new() } else { vec![0; callable.parameters.len()] };
        Self { callable, frame, words }
    }

    #[inline(always)]
    fn put(&mut self, index: usize, word: u64) {
        if HAS_SLOTS {
            self.frame.put(self.callable.registers.places[index], word);
        } else {
            self.words[index] = word;
        }
    }

    /// # Safety
    /// All arguments of this function's signature have been put.
    #[inline(always)]
    unsafe fn invoke(&mut self, slot: Slot) -> Outcome {
        let Self { callable, frame, words } = self;
        // SAFETY: as the caller vouches; strlen reads a string that C code returned as one.
        unsafe {
            if !HAS_SLOTS {
                return Outcome { word: callable.hidden(callable.call_by_libffi(words)), text_length: None };
            }
            bracket::dispatch(frame, slot);
            if callable.checks.results {
                check(bracket::check_result, frame.raw_result(callable.signature.result), slot);
            }
            let word = frame.result(&callable.signature);
            frame.wipe();
            let text_length = match callable.result {
                ResultPlan::Text { .. } => text_length(word, slot),
                _ => None,
            };
            Outcome { word: callable.hidden(word), text_length }
        }
    }
}

/// The length of a string, read through these slots; `None` for NULL. Never inlined: a result that C left undefined
/// must not decide anything here, and the compiler would compare other results too, for nothing.
///
/// # Safety
/// It is a string, or reading it is the call's own mistake.
#[inline(never)]
unsafe fn text_length(text: u64, slot: Slot) -> Option<usize> {
    if text == 0 {
        return None;
    }
    let mut frame = Frame::empty(libc::strlen as *const _, 0);
    frame.put(Place::Integer(0), text);
    // SAFETY: strlen takes one pointer.
    unsafe { bracket::dispatch(&mut frame, slot) };
    Some(frame.result_integer as usize)
}

/// The name of Valgrind's environment variable switch for measuring brackets.
pub fn brackets_wanted() -> bool {
    // SAFETY: getenv with a literal; the answer is only compared.
    let value = unsafe { libc::getenv(c"PYTHY_BRACKET".as_ptr()) };
    // SAFETY: a C string, if it is not NULL.
    value.is_null() || unsafe { CStr::from_ptr(value) } != c"off"
}
