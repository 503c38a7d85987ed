//! Where CPython enters for calls under Valgrind whose arguments and result are mere numbers, or pointers that `lib.ref`
//! and the like made, and fit the registers. Nothing is copied or kept for these, and most calls are such.

use pyo3::ffi;

use super::bracketing::{Given, make_call};
use super::callable::{Entry, callable};
use super::checked::bracketed;
use super::failure::{bad_argument, bad_count, refuse_closed};
use super::home::Home;
use super::number;
use super::plan::{Parameter, Plan, ResultPlan};
use super::stub::{self, Under, referenced};
use crate::bracket;
use crate::call::Words;

type Object = *mut ffi::PyObject;

/// The entry for calls of this signature, whose words fit the registers; `None` where more is to be done for them.
pub fn entry(parameters: &[Parameter], result: ResultPlan, release: bool) -> Option<Entry> {
    let may_be_word =
        |parameter: &Parameter| matches!(parameter.plan, Plan::Integer(_) | Plan::Double | Plan::Pointer(_));
    if let Some(entry) = stub::find(parameters, result, Under::Valgrind { release }) {
        return Some(entry);
    }
    if !parameters.iter().all(may_be_word) {
        return None;
    }
    match result {
        ResultPlan::Text { .. } | ResultPlan::Record | ResultPlan::Wide(_) => None,
        _ => Some(words),
    }
}

/// An argument of another kind than is taken here, and the whole call takes the general entry.
///
/// # Safety
/// Called by CPython.
unsafe extern "C" fn words(
    object: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    keywords: Object,
) -> Object {
    // SAFETY: CPython calls this with the GIL, live arguments and a builtin of ours; the places
    // of all arguments are registers, or this would not be the entry.
    unsafe {
        let callable = callable(object);
        if count as usize != callable.parameters.len() || !keywords.is_null() {
            return bad_count(callable, count, !keywords.is_null());
        }
        let mut words = Words::none();
        let places = callable.parameters.iter().zip(&callable.registers.places);
        for (index, (parameter, place)) in places.enumerate() {
            let argument = *arguments.add(index);
            let word = match &parameter.plan {
                Plan::Integer(scalar) => number::integer(*scalar, argument),
                Plan::Double => number::double(argument).map(f64::to_bits),
                _ => match referenced(argument, parameter) {
                    Some(address) => Ok(address as u64),
                    None => return bracketed(object, arguments, count, keywords),
                },
            };
            match word {
                Ok(word) => words.put(*place, word),
                Err(failure) => return bad_argument(callable, index, argument, failure),
            }
        }
        if callable.is_closed() {
            return refuse_closed(callable);
        }
        let given = Given { arguments, count: count as usize, copies: &[] };
        let result = callable.signature.result;
        let call = |slot| {
            let returned = bracket::dispatch_words(callable.address, &words, slot);
            words.wipe();
            result.word(returned.integer, returned.float.to_bits())
        };
        match make_call(callable, &given, call) {
            Some(word) => callable.give(word, &Home::Checked),
            None => std::ptr::null_mut(),
        }
    }
}
