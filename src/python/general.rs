//! Where CPython enters for records and wide numbers by value, and for variable arguments.

use pyo3::ffi;

use super::bracketing::{Given, make_call};
use super::buffer::Views;
use super::callable::{Entry, callable};
use super::convert::{to_c, variadic_to_c};
use super::copies::{Copying, copy_back};
use super::definedness::{check, check_outputs, outputs};
use super::entry::{raised, without_gil};
use super::failure::{bad_argument, bad_count, no_memory, refuse_closed};
use super::home::Home;
use super::number::wide_object;
use super::place::Place;
use super::plan::{Argument, Failure, ResultPlan};
use super::raised::any_pending;
use super::value::Travel;
use crate::binding::{Passing, Wide};
use crate::bracket::{self, Slot};
use crate::call::{Arguments, Frame};

type Object = *mut ffi::PyObject;

/// The entry for records and wide numbers by value, and for variable arguments.
pub fn entry(release_gil: bool, bracketed: bool) -> Entry {
    match (release_gil, bracketed) {
        (false, false) => general_call::<false, false>,
        (true, false) => general_call::<true, false>,
        // Under Valgrind the callable itself says whether the GIL is released.
        (_, true) => general_call::<true, true>,
    }
}

unsafe extern "C" fn general_call<const RELEASE: bool, const CHECKED: bool>(
    object: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    keywords: Object,
) -> Object {
    // SAFETY: as in `direct`.
    unsafe {
        let callable = callable(object);
        let Some(general) = &callable.general else { return std::ptr::null_mut() };
        let fixed = callable.parameters.len();
        let enough =
            if general.convention.variadic { count as usize >= fixed } else { count as usize == fixed };
        if !enough || !keywords.is_null() {
            return bad_count(callable, count, !keywords.is_null());
        }
        let py = pyo3::Python::assume_attached();
        let (mut views, mut copying, mut words) = (Views::new(), Copying::new(), Arguments::default());
        let result = match &general.result {
            None => None,
            Some(ty) => match Place::allocate(ty.clone(), general.types.clone()) {
                Ok(place) => Some(place),
                Err(error) => {
                    error.restore(py);
                    return std::ptr::null_mut();
                }
            },
        };
        if let (Some(place), Passing::Record(class)) = (&result, &general.convention.result)
            && class.returned_in_memory()
        {
            words.push_integer(place.address as u64);
        }
        for index in 0..count as usize {
            let argument = *arguments.add(index);
            let converted = match callable.parameters.get(index) {
                Some(parameter) => to_c(&parameter.plan, argument, &mut views).map(|argument| {
                    let scalar = general.convention.parameters.get(index);
                    let float = matches!(scalar, Some(Passing::Scalar(scalar)) if scalar.is_float());
                    (argument, if float { Travel::Float } else { Travel::Integer })
                }),
                None => variadic_to_c(argument, &mut views),
            };
            match converted {
                Ok((Argument::Word(word), Travel::Float)) => words.push_float(word),
                Ok((Argument::Word(word), _)) => _ = words.push_integer(word),
                Ok((Argument::Memory { address, length, writable }, _)) if CHECKED => {
                    copying.add(index, (address, length, writable), words.push_integer(0));
                }
                Ok((Argument::Memory { address, .. }, _)) => _ = words.push_integer(address as u64),
                Ok((Argument::Record(address), travel)) => {
                    let class = match (general.convention.parameters.get(index), &travel) {
                        (Some(Passing::Record(class)), _) | (_, Travel::Record(class)) => class,
                        _ => return bad_argument(callable, index, argument, Failure::Type),
                    };
                    words.push_record(class, std::slice::from_raw_parts(address as *const u8, class.size));
                }
                Ok((Argument::Callable { .. }, _)) => {
                    return bad_argument(callable, index, argument, Failure::Type);
                }
                Err(failure) => return bad_argument(callable, index, argument, failure),
            }
        }
        if callable.is_closed() {
            return refuse_closed(callable);
        }
        let copies = match copying.copy(|place, word| words.set(place, word)) {
            Ok(copies) => copies,
            Err(length) => return no_memory(callable, length),
        };
        let mut frame = words.frame(callable.address, &general.convention.result);
        let mut wide = [0; Wide::LARGEST];
        let mut take_result = |frame: &Frame| match (&general.convention.result, &result) {
            (Passing::Scalar(scalar), _) => scalar.word(frame.result_integer, frame.result_float),
            (Passing::Record(class), Some(place)) => {
                frame.write_result(
                    class,
                    std::slice::from_raw_parts_mut(place.address as *mut u8, class.size),
                );
                0
            }
            (Passing::Record(class), None) => {
                frame.write_result(class, &mut wide);
                0
            }
        };
        let word = if CHECKED {
            let given = Given { arguments, count: count as usize, copies: &copies };
            let outputs = outputs(callable, &given);
            let call = |slot| {
                bracket::dispatch(&mut frame, slot);
                if let (true, Passing::Scalar(scalar)) = (callable.checks.results, &general.convention.result)
                {
                    check(bracket::check_result, frame.raw_result(*scalar), slot);
                }
                let word = take_result(&frame);
                frame.wipe();
                check_outputs(&outputs, slot);
                callable.hidden(word)
            };
            let Some(word) = make_call(callable, &given, call) else {
                return std::ptr::null_mut();
            };
            copy_back(&copies);
            callable.shown(word)
        } else {
            without_gil::<RELEASE, _>(|| bracket::dispatch(&mut frame, Slot::Call(0)));
            if any_pending() && raised() {
                return std::ptr::null_mut();
            }
            take_result(&frame)
        };
        let home = if CHECKED { &Home::Checked } else { &Home::Native };
        match (&general.convention.result, result) {
            (Passing::Record(_), Some(place)) => match place.object(py) {
                Ok(record) => record.into_ptr(),
                Err(error) => {
                    error.restore(py);
                    std::ptr::null_mut()
                }
            },
            (Passing::Scalar(_), _) => callable.give(word, home),
            (Passing::Record(_), None) => match callable.result {
                ResultPlan::Wide(kind) => wide_object(kind, &wide),
                _ => callable.give(0, home),
            },
        }
    }
}
