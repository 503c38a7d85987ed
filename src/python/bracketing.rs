//! A call under Valgrind inside its bracket: it is entered in the session before, and left after.

use pyo3::ffi;

use super::call_site;
use super::callable::Callable;
use super::copies::Copy;
use super::entry::{raised, without_gil};
use super::failure::told;
use super::home::Home;
use super::ownership::stored;
use super::place::owned_block;
use super::raised::{any_pending, pending};
use super::report;
use crate::bracket::{self, Slot};
use crate::journal::{ArgumentBlock, CallNumber};
use crate::lane;
use crate::session::{self, Entered};

type Object = *mut ffi::PyObject;

/// The arguments of a call, for what is told of it.
pub struct Given<'a> {
    /// The objects.
    pub arguments: *const Object,
    /// How many.
    pub count: usize,
    /// The copies of their memory.
    pub copies: &'a [Copy],
}

/// What a call has left in the registers of its result.
pub trait Word {
    /// The first of them, as [`Callable::hidden`] has it.
    fn word(&self) -> u64;
}

impl Word for u64 {
    fn word(&self) -> u64 {
        *self
    }
}

/// Makes the call inside its bracket; `None` with an exception set.
///
/// # Safety
/// The arguments are live; the GIL is held; `invoke` makes the call through these slots and touches no
/// Python object.
#[inline(always)]
pub unsafe fn make_call<T: Word>(
    callable: &Callable,
    given: &Given<'_>,
    mut invoke: impl FnMut(Slot) -> T,
) -> Option<T> {
    let Some(begun) = begin(callable) else {
        // SAFETY: as the caller vouches.
        return unsafe { make_in_full(callable, given, &mut invoke) };
    };
    // SAFETY: likewise.
    let (outcome, after) = unsafe { counted(callable, || invoke(Slot::Call(begun.call))) };
    if end(begun, after) {
        return Some(outcome);
    }
    // SAFETY: likewise.
    unsafe { end_in_full(callable, given, (begun, after), outcome.word()).then_some(outcome) }
}

/// A call that has begun the short way, as most do: by its number and Valgrind's count before it.
#[derive(Clone, Copy)]
pub struct Begun {
    /// Its number.
    pub call: CallNumber,
    /// The count.
    pub before: u64,
}

/// Begins a call of which there is likely nothing to tell; `None` if it must be made in full. The GIL is held.
#[inline(always)]
pub fn begin(callable: &Callable) -> Option<Begun> {
    let (call, before) = call_site::enter_shortly(callable.declaration, callable.plain)?;
    Some(Begun { call, before })
}

/// Ends it, if there is nothing to tell indeed; else it must be ended in full.
#[inline(always)]
pub fn end(begun: Begun, after: u64) -> bool {
    if (after ^ begun.before) | pending() != 0 {
        return false;
    }
    lane::leave();
    true
}

/// Makes a call of which there may be something to tell; `None` with an exception set.
///
/// # Safety
/// As for [`make_call`].
#[inline(never)]
pub unsafe fn make_in_full<T: Word>(
    callable: &Callable,
    given: &Given<'_>,
    invoke: &mut dyn FnMut(Slot) -> T,
) -> Option<T> {
    if callable.ownership.is_some() {
        // SAFETY: as the caller vouches.
        unsafe { take_back(callable, given) };
    }
    let entered = call_site::enter(callable.declaration, callable.checks.leaks)?;
    // SAFETY: as the caller vouches.
    let (outcome, after) = unsafe { counted(callable, || invoke(entered.slot)) };
    if entered.is_checked() {
        bracket::wipe_dead_stack();
    }
    // SAFETY: likewise.
    let goes_on = unsafe { leave_call(callable, given, &entered, (after, outcome.word())) };
    (goes_on && !(any_pending() && raised())).then_some(outcome)
}

/// Ends a call that has begun the short way, and of which there is something to tell; `false` with an exception set.
///
/// # Safety
/// As for [`make_call`]; `word` is the call's result.
#[inline(never)]
pub unsafe fn end_in_full(
    callable: &Callable,
    given: &Given<'_>,
    (begun, after): (Begun, u64),
    word: u64,
) -> bool {
    let goes_on = if after == begun.before {
        lane::leave();
        true
    } else {
        let entered = Entered::shortly(begun.call, begun.before, callable.checks.leaks);
        // SAFETY: as the caller vouches.
        unsafe { leave_call(callable, given, &entered, (after, word)) }
    };
    goes_on && !(any_pending() && raised())
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
    let shown = entered.is_described(errors_after).then(|| unsafe { describe(callable, given) });
    if entered.is_checked() {
        // Of what has just been made for that, whose addresses are near those of the call.
        bracket::wipe_dead_stack();
    }
    let news = session::current().is_some_and(|mut session| session.leave(entered, errors_after, shown));
    if callable.ownership.is_some() {
        // SAFETY: as the caller vouches.
        unsafe { hand_over(callable, given, (entered.call, callable.shown(word))) };
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

impl Given<'_> {
    /// # Safety
    /// The arguments are live and the GIL is held.
    pub unsafe fn objects(&self) -> impl Iterator<Item = pyo3::Borrowed<'_, '_, pyo3::PyAny>> {
        // SAFETY: as the caller vouches.
        (0..self.count).map(|index| unsafe {
            pyo3::Borrowed::from_ptr(pyo3::Python::assume_attached(), *self.arguments.add(index))
        })
    }
}

/// Never inlined: what it leaves on the stack is wiped before a leak check, but for the frame of who calls it.
///
/// # Safety
/// The arguments are live and the GIL is held.
#[inline(never)]
unsafe fn describe(callable: &Callable, given: &Given<'_>) -> session::Given {
    // SAFETY: as the caller vouches.
    session::aside(|| unsafe {
        session::Given { arguments: show(callable, given), blocks: blocks(callable, given) }
    })
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
        name: name(copy.lent.argument),
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
