//! Where CPython enters: one function per route of a call.
//!
//! Natively that is what a C extension does: check the count, convert, call, convert back. Under
//! Valgrind the call is entered in the session and made through its slots.

use std::ffi::{CStr, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::ffi;

use super::buffer::Views;
use super::call_site;
use super::callable::{Callable, Checks, Entry, callable};
use super::callback::{self, any_pending, take_exception};
use super::convert::{self, text_object, to_c, variadic_to_c, wide_object};
use super::failure::{bad_argument, bad_count, no_memory, refuse_closed};
use super::home::Home;
use super::ownership::stored;
use super::place::{Place, owned_block, told};
use super::plan::{Argument, Failure, Parameter, Plan, ResultPlan};
use super::reference::Ref;
use super::report;
use super::stub;
use super::value::Travel;
use crate::binding::{Passing, Place as RegisterPlace, Registers, Route, Scalar, Wide};
use crate::bracket::{self, Slot};
use crate::call::errno::Errno;
use crate::call::{Arguments, Block, Frame, call_for_float, call_for_integer};
use crate::journal::{ArgumentBlock, CallNumber};
use crate::lane;
use crate::session::{self, Entered};

type Object = *mut ffi::PyObject;

/// The entry for native calls of this signature.
pub fn native(route: Route, plans: (&[Parameter], ResultPlan), release_gil: bool) -> Entry {
    if let Some(entry) = stub::find(plans.0, plans.1, release_gil) {
        return entry;
    }
    match (route, release_gil) {
        (Route::Direct, false) => direct::<false>,
        (Route::Direct, true) => direct::<true>,
        (Route::Libffi, false) => libffi::<false>,
        (Route::Libffi, true) => libffi::<true>,
    }
}

/// Sets the exception that a callback on this thread left for the call that is over.
#[cold]
pub fn raised() -> bool {
    match take_exception() {
        Some(error) => {
            // SAFETY: only called from entries, with the GIL held.
            let py = unsafe { pyo3::Python::assume_attached() };
            error.restore(py);
            true
        }
        None => false,
    }
}

/// Calls that run without the GIL, which guards this number.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Whether C code is running anywhere below Python: without the GIL, or in a callback.
pub fn any_running() -> bool {
    RUNNING.load(Ordering::Relaxed) > 0 || callback::any_running()
}

/// Runs the call with `errno` of this thread's calls, without the GIL when `RELEASE`.
///
/// # Safety
/// The GIL is held; `call` touches no Python object.
#[inline(always)]
pub unsafe fn without_gil<const RELEASE: bool, T>(call: impl FnOnce() -> T) -> T {
    let call = || {
        let errno = Errno::restore();
        let result = call();
        errno.keep();
        result
    };
    if !RELEASE {
        return call();
    }
    // SAFETY: the GIL is held here, and is held again before anything of Python's is touched.
    unsafe {
        RUNNING.store(RUNNING.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let state = ffi::PyEval_SaveThread();
        let result = call();
        ffi::PyEval_RestoreThread(state);
        RUNNING.store(RUNNING.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        result
    }
}

/// The entry under Valgrind for calls of scalars.
pub fn checked(parameters: &[Parameter], result: ResultPlan, checks: Checks) -> Entry {
    let may_be_word =
        |parameter: &Parameter| matches!(parameter.plan, Plan::Integer(_) | Plan::Double | Plan::Pointer(_));
    let words = parameters.iter().all(may_be_word) && !matches!(result, ResultPlan::Text { .. });
    if words && !checks.results { bracketed_words } else { bracketed }
}

/// The entry for native calls whose arguments fit the registers.
///
/// # Safety
/// Called by CPython, or with what CPython gave a stub.
pub unsafe extern "C" fn direct<const RELEASE: bool>(
    object: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    keywords: Object,
) -> Object {
    // SAFETY: CPython calls this with the GIL, live arguments and a builtin of ours; the places
    // of all arguments are registers, or this would not be the route.
    unsafe {
        let callable = callable(object);
        if count as usize != callable.parameters.len() || !keywords.is_null() {
            return bad_count(callable, count, !keywords.is_null());
        }
        let (mut integers, mut floats) = ([0; Registers::INTEGERS], [0; Registers::FLOATS]);
        let mut views = Views::new();
        let places = callable.parameters.iter().zip(&callable.registers.places);
        for (index, (parameter, place)) in places.enumerate() {
            let argument = *arguments.add(index);
            let word = match to_c(&parameter.plan, argument, &mut views) {
                Ok(Argument::Word(word)) => word,
                Ok(Argument::Memory { address, .. }) => address as u64,
                Ok(Argument::Record(_) | Argument::Callable { .. }) => {
                    return bad_argument(callable, index, argument, Failure::Type);
                }
                Err(failure) => return bad_argument(callable, index, argument, failure),
            };
            match *place {
                RegisterPlace::Integer(n) => integers[usize::from(n)] = word,
                RegisterPlace::Float(n) => floats[usize::from(n)] = word,
                RegisterPlace::Stack(_) => {}
            }
        }
        if callable.is_closed() {
            return refuse_closed(callable);
        }
        let result = callable.signature.result;
        let word = without_gil::<RELEASE, _>(|| {
            if result.is_float() {
                result.word(0, call_for_float(callable.address, &integers, &floats))
            } else {
                result.word(call_for_integer(callable.address, &integers, &floats), 0)
            }
        });
        if any_pending() && raised() {
            return std::ptr::null_mut();
        }
        callable.give(word, &Home::Native)
    }
}

unsafe extern "C" fn libffi<const RELEASE: bool>(
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
        let mut words = Vec::with_capacity(callable.parameters.len());
        for (index, parameter) in callable.parameters.iter().enumerate() {
            let argument = *arguments.add(index);
            words.push(match to_c(&parameter.plan, argument, &mut views) {
                Ok(Argument::Word(word)) => word,
                Ok(Argument::Memory { address, .. }) => address as u64,
                Ok(Argument::Record(_) | Argument::Callable { .. }) => {
                    return bad_argument(callable, index, argument, Failure::Type);
                }
                Err(failure) => return bad_argument(callable, index, argument, failure),
            });
        }
        if callable.is_closed() {
            return refuse_closed(callable);
        }
        let word = without_gil::<RELEASE, _>(|| invoke_by_libffi(callable, &words));
        if any_pending() && raised() {
            return std::ptr::null_mut();
        }
        callable.give(word, &Home::Native)
    }
}

/// # Safety
/// The words are arguments of this function's signature.
unsafe fn invoke_by_libffi(callable: &Callable, words: &[u64]) -> u64 {
    match &callable.libffi {
        // SAFETY: as the caller vouches.
        Some(libffi) => unsafe { libffi.call(callable.address, words) },
        None => 0,
    }
}

/// A copy of a Python object's memory for one call, of exactly its size.
struct Copy {
    block: Block,
    original: *mut u8,
    writable: bool,
    /// The index of the argument, the first of several with this memory.
    argument: usize,
}

/// The entry under Valgrind for calls whose arguments and result are mere numbers, or pointers that
/// `lib.ref` and the like made: nothing is copied or kept for these. Any other argument, and the whole
/// call takes the general entry.
///
/// # Safety
/// Called by CPython.
unsafe extern "C" fn bracketed_words(
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
        let mut call = Prepared::new(callable);
        for (index, parameter) in callable.parameters.iter().enumerate() {
            let argument = *arguments.add(index);
            let word = match &parameter.plan {
                Plan::Integer(scalar) => convert::integer(*scalar, argument),
                Plan::Double => convert::double(argument).map(f64::to_bits),
                _ => match stub::referenced(argument, parameter) {
                    Some(address) => Ok(address as u64),
                    None => return bracketed(object, arguments, count, keywords),
                },
            };
            match word {
                Ok(word) => call.put(index, word),
                Err(failure) => return bad_argument(callable, index, argument, failure),
            }
        }
        if callable.is_closed() {
            return refuse_closed(callable);
        }
        let given = Given { arguments, count: count as usize, copies: &[] };
        match make_call(callable, &given, |slot| call.invoke(slot).word) {
            Some(word) => callable.give(word, &Home::Checked),
            None => std::ptr::null_mut(),
        }
    }
}

/// The entry under Valgrind.
unsafe extern "C" fn bracketed(
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
        let mut copies: Vec<Copy> = Vec::new();
        let mut call = Prepared::new(callable);
        for (index, parameter) in callable.parameters.iter().enumerate() {
            let argument = *arguments.add(index);
            let word = match to_c(&parameter.plan, argument, &mut views) {
                Ok(Argument::Word(word)) => word,
                Ok(Argument::Record(_) | Argument::Callable { .. }) => {
                    return bad_argument(callable, index, argument, Failure::Type);
                }
                Ok(Argument::Memory { address, length, writable }) => {
                    match copy(&mut copies, index, (address, length, writable)) {
                        Some(word) => word,
                        None => return no_memory(callable, length),
                    }
                }
                Err(failure) => return bad_argument(callable, index, argument, failure),
            };
            call.put(index, word);
        }
        if callable.is_closed() {
            return refuse_closed(callable);
        }
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
                text_object(outcome.word as usize as *const _, length, decode)
            }
            _ => callable.give(outcome.word, &Home::Checked),
        }
    }
}

/// # Safety
/// The originals are still there, and no smaller.
unsafe fn copy_back(copies: &[Copy]) {
    for Copy { block, original, writable, .. } in copies {
        if *writable {
            // SAFETY: the buffer's view has kept the original in place, with this size.
            unsafe { original.copy_from_nonoverlapping(block.address().cast(), block.size()) };
        }
    }
}

/// The address of a copy; the same memory handed over twice is one copy.
unsafe fn copy(
    copies: &mut Vec<Copy>,
    argument: usize,
    (original, length, writable): (*mut u8, usize, bool),
) -> Option<u64> {
    if let Some(copy) =
        copies.iter_mut().find(|copy| copy.original == original && copy.block.size() == length)
    {
        copy.writable |= writable;
        return Some(copy.block.address() as u64);
    }
    let bytes: &[u8] = if length == 0 {
        &[]
    } else {
        // SAFETY: the buffer's view, or the bytes or str object, keeps `length` bytes readable.
        unsafe { std::slice::from_raw_parts(original, length) }
    };
    let block = Block::copy_of(bytes)?;
    let address = block.address() as u64;
    copies.push(Copy { block, original, writable, argument });
    Some(address)
}

/// What a call has left in the registers of its result.
trait Word {
    fn word(&self) -> u64;
}

impl Word for u64 {
    fn word(&self) -> u64 {
        *self
    }
}

impl Word for Outcome {
    fn word(&self) -> u64 {
        self.word
    }
}

struct Outcome {
    word: u64,
    /// The length of a string result, which was read as part of the call.
    text_length: Option<usize>,
}

/// The arguments of a call, for what is told of it.
struct Given<'a> {
    arguments: *const Object,
    count: usize,
    copies: &'a [Copy],
}

/// Makes the call inside its bracket; `None` with an exception set.
///
/// # Safety
/// The arguments are live; the GIL is held; `invoke` makes the call through these slots and touches no
/// Python object.
#[inline(always)]
unsafe fn make_call<T: Word>(
    callable: &Callable,
    given: &Given<'_>,
    invoke: impl FnOnce(Slot) -> T,
) -> Option<T> {
    let leaks = callable.checks.leaks;
    let (outcome, goes_on) = lane::on_this_thread(|running| {
        // Valgrind takes its time to copy what has gaps in it, as `Entered` has: the short way does without.
        if callable.ownership.is_none()
            && let Some((number, before)) = call_site::enter_shortly(running, callable.declaration, leaks)
        {
            // SAFETY: as the caller vouches.
            let (outcome, after) = unsafe { counted(callable, || invoke(Slot::Call(number))) };
            let entered = || Entered::shortly(number, before, leaks);
            // SAFETY: likewise.
            let told = || unsafe { leave_call(callable, given, &entered(), (after, outcome.word())) };
            let goes_on = lane::leave(running, before, after) || told();
            return Some((outcome, goes_on));
        }
        if callable.ownership.is_some() {
            // SAFETY: as the caller vouches.
            unsafe { take_back(callable, given) };
        }
        let entered = call_site::enter(callable.declaration, leaks)?;
        // SAFETY: as the caller vouches.
        let (outcome, after) = unsafe { counted(callable, || invoke(entered.slot)) };
        // SAFETY: likewise.
        let goes_on = unsafe { leave_call(callable, given, &entered, (after, outcome.word())) };
        Some((outcome, goes_on))
    })?;
    (goes_on && !(any_pending() && raised())).then_some(outcome)
}

/// The call, and Valgrind's count after it.
///
/// # Safety
/// The GIL is held, and the call touches no Python object.
#[inline(always)]
unsafe fn counted<T>(callable: &Callable, call: impl FnOnce() -> T) -> (T, u64) {
    let call = || (call(), bracket::count_errors());
    // SAFETY: as the caller vouches.
    unsafe { if callable.release_gil { without_gil::<true, _>(call) } else { without_gil::<false, _>(call) } }
}

/// Ends a call of which there may be something to tell; `false` with an exception set.
///
/// # Safety
/// The arguments are live; the GIL is held.
#[inline(never)]
unsafe fn leave_call(
    callable: &Callable,
    given: &Given<'_>,
    entered: &Entered,
    (errors_after, word): (u64, u64),
) -> bool {
    // SAFETY: as the caller vouches.
    let shown = entered.is_described(errors_after).then(|| unsafe {
        session::Given { arguments: show(callable, given), blocks: blocks(callable, given) }
    });
    let news = session::current().is_some_and(|mut session| session.leave(entered, errors_after, shown));
    if callable.ownership.is_some() {
        // SAFETY: as the caller vouches.
        unsafe { hand_over(callable, given, (entered.call, word)) };
    }
    // An exception of a callback goes before one of ours.
    any_pending() || !(news && report::raises(entered))
}

/// # Safety
/// The arguments are live and the GIL is held.
#[cold]
unsafe fn take_back(callable: &Callable, given: &Given<'_>) {
    // SAFETY: as the caller vouches.
    let first = unsafe { given.objects() }.next().map(|first| first.to_owned());
    let freed = callable.ownership.as_ref().and_then(|ownership| ownership.freed(first.as_ref()));
    if let (Some(address), Some(mut session)) = (freed, session::current()) {
        session.journal().take_back(Home::Checked.process(), address);
    }
}

/// # Safety
/// The arguments are live and the GIL is held.
#[cold]
unsafe fn hand_over(callable: &Callable, given: &Given<'_>, (call, word): (CallNumber, u64)) {
    let (Some(ownership), Some(mut session)) = (&callable.ownership, session::current()) else { return };
    // SAFETY: as the caller vouches.
    let argument = |index| unsafe { given.objects() }.nth(index).and_then(|object| stored(&object));
    ownership.note((call, word, &Home::Checked), argument, session.journal());
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
        Self { callable, frame, words: Vec::new() }
    }

    #[inline(always)]
    fn put(&mut self, index: usize, word: u64) {
        if bracket::HAS_SLOTS {
            self.frame.put(self.callable.registers.places[index], word);
        } else {
            self.words.push(word);
        }
    }

    /// # Safety
    /// All arguments of this function's signature have been put.
    #[inline(always)]
    unsafe fn invoke(&mut self, slot: Slot) -> Outcome {
        let Self { callable, frame, words } = self;
        // SAFETY: as the caller vouches; strlen reads a string that C code returned as one.
        unsafe {
            if !bracket::HAS_SLOTS {
                return Outcome { word: invoke_by_libffi(callable, words), text_length: None };
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
            Outcome { word, text_length }
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
    frame.put(RegisterPlace::Integer(0), text);
    // SAFETY: strlen takes one pointer.
    unsafe { bracket::dispatch(&mut frame, slot) };
    Some(frame.result_integer as usize)
}

impl Given<'_> {
    /// # Safety
    /// The arguments are live and the GIL is held.
    unsafe fn objects(&self) -> impl Iterator<Item = pyo3::Borrowed<'_, '_, pyo3::PyAny>> {
        // SAFETY: as the caller vouches.
        (0..self.count).map(|index| unsafe {
            pyo3::Borrowed::from_ptr(pyo3::Python::assume_attached(), *self.arguments.add(index))
        })
    }
}

/// The memory of arguments that a call may have written, where that is to be checked: buffers, and what
/// lib.ref made.
///
/// # Safety
/// The arguments are live and the GIL is held.
unsafe fn outputs(callable: &Callable, given: &Given<'_>) -> Vec<(*const c_void, usize)> {
    if !callable.checks.results {
        return Vec::new();
    }
    let written = given.copies.iter().filter(|copy| copy.writable);
    let copies = written.map(|copy| (copy.block.address().cast_const().cast(), copy.block.size()));
    // SAFETY: as the caller vouches.
    let references = unsafe { given.objects() }.filter_map(|object| {
        let place = object.cast::<Ref>().ok()?.get().place().clone();
        Some((place.address as *const c_void, place.ty.size?))
    });
    copies.chain(references).collect()
}

/// # Safety
/// The memory is there.
unsafe fn check_outputs(outputs: &[(*const c_void, usize)], slot: Slot) {
    for output in outputs {
        // SAFETY: as the caller vouches.
        unsafe { check(bracket::check_argument, *output, slot) };
    }
}

/// Lets Valgrind look at memory on the stack of a call.
///
/// # Safety
/// The memory is there.
unsafe fn check(
    request: extern "C" fn(*const c_void, usize),
    (address, size): (*const c_void, usize),
    slot: Slot,
) {
    if size == 0 || !bracket::HAS_SLOTS {
        return;
    }
    let mut words = Arguments::default();
    words.push_integer(address as u64);
    words.push_integer(size as u64);
    let mut frame = words.frame(request as *const c_void, &Passing::Scalar(Scalar::Void));
    // SAFETY: a function of these two arguments, which reads nothing.
    unsafe { bracket::dispatch(&mut frame, slot) };
}

/// # Safety
/// The arguments are live and the GIL is held.
unsafe fn show(callable: &Callable, given: &Given<'_>) -> Vec<String> {
    let plan = |index: usize| callable.parameters.get(index).map(|parameter| &parameter.plan);
    // SAFETY: as the caller vouches.
    unsafe { given.objects().enumerate().map(|(index, object)| told(&object, plan(index))).collect() }
}

/// The memory that C knew by each argument.
///
/// # Safety
/// The arguments are live and the GIL is held.
unsafe fn blocks(callable: &Callable, given: &Given<'_>) -> Vec<ArgumentBlock> {
    let name = |index| callable.parameter_name(index);
    let copies = given.copies.iter().map(|copy| ArgumentBlock {
        name: name(copy.argument),
        address: copy.block.address() as u64,
        size: copy.block.size() as u64,
    });
    // SAFETY: as the caller vouches.
    let objects = unsafe { given.objects() };
    let owned = objects.enumerate().filter_map(|(index, object)| {
        let (address, size) = owned_block(&object)?;
        Some(ArgumentBlock { name: name(index), address: address as u64, size: size as u64 })
    });
    copies.chain(owned).collect()
}

/// The entry for records and wide numbers by value, and for variable arguments.
pub fn general(release_gil: bool, bracketed: bool) -> Entry {
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
        let (mut views, mut copies, mut words) = (Views::new(), Vec::new(), Arguments::default());
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
                Ok((Argument::Word(word), _)) => words.push_integer(word),
                Ok((Argument::Memory { address, length, writable }, _)) if CHECKED => {
                    match copy(&mut copies, index, (address, length, writable)) {
                        Some(word) => words.push_integer(word),
                        None => return no_memory(callable, length),
                    }
                }
                Ok((Argument::Memory { address, .. }, _)) => words.push_integer(address as u64),
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
                word
            };
            let Some(word) = make_call(callable, &given, call) else {
                return std::ptr::null_mut();
            };
            copy_back(&copies);
            word
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

/// The name of Valgrind's environment variable switch for measuring brackets.
pub fn brackets_wanted() -> bool {
    // SAFETY: getenv with a literal; the answer is only compared.
    let value = unsafe { libc::getenv(c"PYTHY_BRACKET".as_ptr()) };
    // SAFETY: a C string, if it is not NULL.
    value.is_null() || unsafe { CStr::from_ptr(value) } != c"off"
}
