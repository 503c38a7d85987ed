//! Calls of functions that run in a worker.

use std::time::Duration;

use pyo3::ffi;
use pyo3::prelude::*;

use super::backend::close_if_due;
use super::buffer::Views;
use super::call_site;
use super::callable::{Callable, callable};
use super::convert::{text_object, to_c, variadic_to_c};
use super::exceptions::new_argument_error;
use super::failure::told;
use super::failure::{bad_argument, bad_count, refuse_closed};
use super::home::Home;
use super::lent::Arguments;
use super::mirror;
use super::number::wide_object;
use super::options::seconds;
use super::ownership::stored;
use super::place::{Place, owned_block};
use super::plan::{Argument as Converted, Failure, ResultPlan};
use super::reference::Ref;
use super::report;
use super::summons::Attendance;
use super::there::There;
use super::value::Travel;
use crate::Error;
use crate::binding::{Passing, RecordClass};
use crate::call::{Lent, errno};
use crate::isolation::{self, Entered};
use crate::journal::{ArgumentBlock, CallNumber};
use crate::worker::{Argument, CallRequest, Client, Copy, CopyOf, MAX_ARGUMENTS, ResultKind, Returned};

type Object = *mut ffi::PyObject;

/// The entry.
pub unsafe extern "C" fn isolated(
    object: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    keywords: Object,
) -> Object {
    // SAFETY: CPython calls this with the GIL, live arguments and a builtin of ours.
    unsafe {
        let callable = callable(object);
        let Some(there) = &callable.there else { return std::ptr::null_mut() };
        let fixed = callable.parameters.len();
        let enough = if callable.is_variadic() { count as usize >= fixed } else { count as usize == fixed };
        let py = Python::assume_attached();
        let called = timeout(py, arguments.add(count as usize), keywords).and_then(|timeout| {
            let Some(timeout) = timeout else { return Ok(bad_count(callable, count, true)) };
            if !enough {
                return Ok(bad_count(callable, count, false));
            }
            Call { py, callable, there, arguments, count: count as usize }
                .make(timeout.or(there.timeout), TRIES)
        });
        called.unwrap_or_else(|error| {
            error.restore(py);
            std::ptr::null_mut()
        })
    }
}

/// The keyword `timeout`, in seconds; the outer `None` where there is another one.
///
/// # Safety
/// The GIL is held; the values of the keywords begin at `values`.
unsafe fn timeout(
    py: Python<'_>,
    values: *const Object,
    keywords: Object,
) -> PyResult<Option<Option<Duration>>> {
    // SAFETY: as the caller vouches.
    let Some(names) = (unsafe { Bound::from_borrowed_ptr_or_opt(py, keywords) }) else {
        return Ok(Some(None));
    };
    let names: Vec<String> = names.extract()?;
    if names != ["timeout"] {
        return Ok(None);
    }
    // SAFETY: one name, one value.
    let value = unsafe { Bound::from_borrowed_ptr(py, *values) };
    seconds(&value).map(Some)
}

/// A call that is being made.
struct Call<'a, 'py> {
    py: Python<'py>,
    callable: &'a Callable,
    there: &'a There,
    arguments: *const Object,
    count: usize,
}

/// How many workers a call waits for at most, when other threads' calls end one after the other.
const TRIES: u32 = 100;

impl Call<'_, '_> {
    /// # Safety
    /// The GIL is held and the arguments are live.
    unsafe fn make(&self, timeout: Option<Duration>, tries: u32) -> PyResult<Object> {
        let (client, function) = self.there.find()?;
        let home = Home::There(client.clone());
        let mut views = Views::of(home.clone());
        // SAFETY: as the caller vouches.
        let Some(arguments) = (unsafe { self.convert(&mut views) }) else { return Ok(std::ptr::null_mut()) };
        if self.count > MAX_ARGUMENTS {
            let message = format!(
                "{}() takes at most {MAX_ARGUMENTS} arguments in a worker ({} given); use backend='inprocess'",
                self.callable.name, self.count
            );
            return Err(new_argument_error(self.py, message));
        }
        if self.callable.is_closed() {
            // SAFETY: the GIL is held.
            return Ok(unsafe { refuse_closed(self.callable) });
        }
        let Arguments { list, values, lending, outputs } = arguments;
        let lent = lending.lent;
        // Not into the objects at once: a call that has erred is to be shown with what it was given.
        let mut results: Vec<Vec<u8>> =
            lent.iter().map(|lent| vec![0; if lent.writable { lent.length } else { 0 }]).collect();
        let mut copies: Vec<Copy<'_>> = lent
            .iter()
            .zip(&mut results)
            .map(|(lent, left)| {
                // SAFETY: the views keep this memory in place until the call is over; Python threads may change
                // it as they like.
                let given = unsafe { lent.bytes() };
                let memory = if left.is_empty() { CopyOf::In(given) } else { CopyOf::Apart { given, left } };
                Copy { memory, address: 0 }
            })
            .collect();
        mirror::send(&client)?;
        let Some(origin) = call_site::origin(self.callable.declaration) else {
            return Ok(std::ptr::null_mut());
        };
        let entered = isolation::begin().enter(origin, &client, self.callable.checks.leaks)?;
        // SAFETY: as the caller vouches.
        let first = unsafe { self.objects() }.next();
        let freed = self.callable.ownership.as_ref().and_then(|ownership| ownership.freed(first.as_ref()));
        if let Some(address) = freed {
            isolation::begin().journal().take_back(home.process(), address);
        }
        let mut request = CallRequest {
            function,
            slot: entered.slot,
            errno: errno::get(),
            result: self.result_kind(),
            copies: &mut copies,
            arguments: &list,
            values: &values,
            check_results: self.callable.checks.results,
            outputs: &outputs,
            leak_check: entered.leak_check,
            timeout,
        };
        let surroundings = client.surroundings_to_follow();
        // SAFETY: the GIL is held, and the client touches no Python object.
        let ((asked, returned), raised) = unsafe {
            Attendance::during(Some(&entered), |attendance| {
                client.attempt(&mut request, surroundings, attendance)
            })
        };
        if !asked {
            isolation::begin().withdraw(&entered);
        }
        let blocks: Vec<_> = copies.iter().zip(&lent).map(|(copy, lent)| (copy.address, lent)).collect();
        // SAFETY: as the caller vouches.
        let given = || unsafe { (self.show(), self.blocks(&blocks)) };
        let returned = match returned {
            Ok(returned) => returned,
            // Another thread's call has ended the worker while this one waited for it: it is for the next.
            Err(Error::WorkerCrashed { idle: false, .. } | Error::WorkerGone { .. })
                if !asked && raised.is_none() && tries > 1 && !self.there.find()?.0.is(&client) =>
            {
                // SAFETY: as the caller vouches.
                return unsafe { self.make(timeout, tries - 1) };
            }
            Err(error) if !asked => return Err(raised.unwrap_or_else(|| self.ended_before(error))),
            Err(error) => {
                let failed = self.failed(&entered, &client, error, given());
                return Err(raised.unwrap_or(failed));
            }
        };
        let news = {
            let mut isolation = isolation::begin();
            isolation.note_pace(&entered, returned.micros);
            isolation.leave(&entered, &returned)
        };
        if entered.is_described(&returned) {
            // Not under the lock: this runs Python code, which may call C again.
            let given = given();
            isolation::begin().describe(&entered, returned.errors, given);
        }
        // SAFETY: the views have kept the memory in place.
        lent.iter().zip(&results).for_each(|(lent, left)| unsafe { lent.fill(left) });
        mirror::fetch(&client)?;
        // SAFETY: as the caller vouches.
        unsafe { self.hand_over((entered.call, returned.word), &home) };
        if self.callable.is_closed() {
            close_if_due(self.py, &self.there.station);
        }
        errno::set(returned.errno);
        if let Some(error) = raised {
            return Err(error);
        }
        if news && report::is_to_raise() {
            let tool = report::tool(self.py);
            let data = isolation::begin().report_on(&entered, tool);
            if let Some(error) = report::memory_check_error(self.py, data)? {
                return Err(error);
            }
        }
        self.give(&returned, &home)
    }

    /// Notes what somebody in Python has to free from now on.
    ///
    /// # Safety
    /// The GIL is held and the arguments are live.
    unsafe fn hand_over(&self, (call, word): (CallNumber, u64), home: &Home) {
        let Some(ownership) = &self.callable.ownership else { return };
        // SAFETY: as the caller vouches. They are read before the lock is taken, which others may need meanwhile.
        let words: Vec<_> = unsafe { self.objects() }
            .map(|object| ownership.stores().then(|| stored(&object)).flatten())
            .collect();
        let argument = |index: usize| words.get(index).copied().flatten();
        ownership.note((call, word, home), argument, isolation::begin().journal());
    }

    /// The exception for a call that was not made.
    fn ended_before(&self, error: Error) -> PyErr {
        let Error::WorkerCrashed { signal, exit_code, idle: true, .. } = error else { return error.into() };
        let tool = report::tool(self.py);
        let data = isolation::begin().report_on_idle_end(tool);
        report::worker_crashed(self.py, &error, data, signal, exit_code).unwrap_or_else(|error| error)
    }

    /// The exception for a call during which the worker ended, or was ended.
    fn failed(
        &self,
        entered: &Entered,
        client: &Client,
        error: Error,
        given: (Vec<String>, Vec<ArgumentBlock>),
    ) -> PyErr {
        let tool = report::tool(self.py);
        let death = client.death();
        let (told, data) = {
            let mut isolation = isolation::begin();
            let told = isolation.fail(entered, death.as_ref(), given);
            (told, isolation.report_on(entered, tool))
        };
        // Whoever serves the callbacks of C's threads may see the end first.
        let error = match (error, death) {
            (Error::WorkerGone { .. }, Some(death)) if told => death.error(),
            (error, _) => error,
        };
        match error {
            Error::WorkerCrashed { signal, exit_code, .. } => {
                report::worker_crashed(self.py, &error, data, signal, exit_code).unwrap_or_else(|error| error)
            }
            error => error.into(),
        }
    }

    /// # Safety
    /// The GIL is held and the arguments are live.
    unsafe fn objects(&self) -> impl Iterator<Item = Bound<'_, PyAny>> {
        // SAFETY: as the caller vouches.
        (0..self.count).map(|index| unsafe { Bound::from_borrowed_ptr(self.py, *self.arguments.add(index)) })
    }

    /// # Safety
    /// The GIL is held and the arguments are live.
    unsafe fn show(&self) -> Vec<String> {
        let plan = |index: usize| self.callable.parameters.get(index).map(|parameter| &parameter.plan);
        // SAFETY: as the caller vouches.
        unsafe { self.objects().enumerate().map(|(index, object)| told(&object, plan(index))).collect() }
    }

    /// The memory that C knew by each argument.
    ///
    /// # Safety
    /// The GIL is held and the arguments are live.
    unsafe fn blocks(&self, copies: &[(usize, &Lent)]) -> Vec<ArgumentBlock> {
        let name = |index| self.callable.parameter_name(index);
        let copies = copies.iter().map(|(address, lent)| ArgumentBlock {
            name: name(lent.argument),
            address: *address as u64,
            size: lent.length as u64,
        });
        // SAFETY: as the caller vouches.
        let objects = unsafe { self.objects() };
        let owned = objects.enumerate().filter_map(|(index, object)| {
            let (address, size) = owned_block(&object)?;
            Some(ArgumentBlock { name: name(index), address: address as u64, size: size as u64 })
        });
        copies.chain(owned).collect()
    }

    /// `None` with an exception set.
    ///
    /// # Safety
    /// The GIL is held and the arguments are live.
    unsafe fn convert(&self, views: &mut Views) -> Option<Arguments> {
        let mut arguments = Arguments::default();
        for index in 0..self.count {
            // SAFETY: as the caller vouches.
            unsafe {
                let object = *self.arguments.add(index);
                let converted = match self.callable.parameters.get(index) {
                    Some(parameter) => {
                        let travel = if self.is_float(index) { Travel::Float } else { Travel::Integer };
                        to_c(&parameter.plan, object, views).map(|argument| (argument, travel))
                    }
                    None => variadic_to_c(object, views),
                };
                let failure = match converted {
                    Ok((argument, travel)) => {
                        if self.push(&mut arguments, index, argument, travel) {
                            continue;
                        }
                        Failure::Type
                    }
                    Err(failure) => failure,
                };
                bad_argument(self.callable, index, object, failure);
            }
            return None;
        }
        arguments.merge();
        if self.callable.checks.results {
            // SAFETY: as the caller vouches.
            arguments.outputs = unsafe { self.outputs() };
        }
        Some(arguments)
    }

    /// Whether the argument could be added.
    fn push(&self, arguments: &mut Arguments, index: usize, argument: Converted, travel: Travel) -> bool {
        match argument {
            Converted::Word(word) if travel == Travel::Float => arguments.list.push(Argument::Float(word)),
            Converted::Word(word) => arguments.list.push(Argument::Integer(word)),
            Converted::Memory { address, length, writable } => {
                arguments.lend(index, (address, length, writable))
            }
            Converted::Callable { id, signature } => {
                arguments.list.push(Argument::Callback { id, signature });
            }
            Converted::Record(address) if index >= self.callable.parameters.len() => {
                let Travel::Record(class) = travel else { return false };
                arguments.list.push(Argument::ValueAt(class, address as u64));
            }
            Converted::Record(address) => {
                let Some(class) = self.class(index) else { return false };
                if self.callable.parameters[index].plan.is_wide() {
                    // SAFETY: the views keep a number of this size there.
                    let bytes = unsafe { std::slice::from_raw_parts(address as *const u8, class.size) };
                    arguments.values.extend_from_slice(bytes);
                    arguments.list.push(Argument::Value(class.clone()));
                } else {
                    arguments.list.push(Argument::ValueAt(class.clone(), address as u64));
                }
            }
        }
        true
    }

    fn class(&self, index: usize) -> Option<&RecordClass> {
        match self.callable.general.as_ref()?.convention.parameters.get(index)? {
            Passing::Record(class) => Some(class),
            Passing::Scalar(_) => None,
        }
    }

    fn is_float(&self, index: usize) -> bool {
        match &self.callable.general {
            Some(general) => matches!(
                general.convention.parameters.get(index),
                Some(Passing::Scalar(scalar)) if scalar.is_float()
            ),
            None => self.callable.signature.parameters.get(index).is_some_and(|scalar| scalar.is_float()),
        }
    }

    /// # Safety
    /// The GIL is held and the arguments are live.
    unsafe fn outputs(&self) -> Vec<(usize, usize)> {
        let output = |index| {
            // SAFETY: as the caller vouches.
            let object = unsafe { Bound::from_borrowed_ptr(self.py, *self.arguments.add(index)) };
            let place = object.cast::<Ref>().ok()?.get().place().clone();
            Some((place.address, place.ty.size?))
        };
        (0..self.count).filter_map(output).collect()
    }

    fn result_kind(&self) -> ResultKind {
        match (self.callable.general.as_ref().map(|general| &general.convention.result), self.callable.result)
        {
            (Some(Passing::Record(class)), ResultPlan::Wide(_)) => ResultKind::Wide(class.clone()),
            (Some(Passing::Record(class)), _) => ResultKind::Record(class.clone()),
            (_, ResultPlan::Text { .. }) => ResultKind::Text,
            (Some(Passing::Scalar(scalar)), _) => ResultKind::Word(*scalar),
            (None, _) => ResultKind::Word(self.callable.signature.result),
        }
    }

    fn give(&self, returned: &Returned, home: &Home) -> PyResult<Object> {
        let general = self.callable.general.as_ref();
        if let Some(ty) = general.and_then(|general| general.result.as_ref()) {
            let types = general.map(|general| general.types.clone());
            let Some(types) = types else { return Ok(std::ptr::null_mut()) };
            let place = Place::adopt(returned.word as usize, ty.clone(), types, home);
            return Ok(place.object(self.py)?.into_ptr());
        }
        // SAFETY: the GIL is held, and the word and the bytes are of this type.
        Ok(unsafe {
            match (self.callable.result, &returned.text) {
                (ResultPlan::Wide(wide), _) => wide_object(wide, &returned.wide),
                (ResultPlan::Text { decode }, Some(text)) => {
                    text_object(text.as_ptr().cast(), text.len(), decode)
                }
                _ => self.callable.give(returned.word, home),
            }
        })
    }
}
