//! Whether a call has left its result and the memory of its arguments defined, where that is asked for.

use std::ffi::c_void;

use super::bracketing::Given;
use super::callable::Callable;
use super::reference::Ref;
use crate::binding::{Passing, Scalar};
use crate::bracket::{self, Slot};
use crate::call::Arguments;

/// The memory of arguments that a call may have written, where that is to be checked: buffers, and what
/// lib.ref made.
///
/// # Safety
/// The arguments are live and the GIL is held.
pub unsafe fn outputs(callable: &Callable, given: &Given<'_>) -> Vec<(*const c_void, usize)> {
    if !callable.checks.results {
        return Vec::new();
    }
    let written = given.copies.iter().filter(|copy| copy.lent.writable);
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
pub unsafe fn check_outputs(outputs: &[(*const c_void, usize)], slot: Slot) {
    for output in outputs {
        // SAFETY: as the caller vouches.
        unsafe { check(bracket::check_argument, *output, slot) };
    }
}

/// Lets Valgrind look at memory on the stack of a call.
///
/// # Safety
/// The memory is there.
pub unsafe fn check(
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
