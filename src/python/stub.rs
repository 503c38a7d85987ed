//! Stubs: entries compiled for one signature each, for the commonest of one and two arguments.
//! They do what a careful C programmer writes by hand, and nothing else; under Valgrind, inside a bracket.

use std::ffi::{c_char, c_int, c_long, c_void};

use pyo3::ffi;
use pyo3::prelude::*;

use super::bracketing::{Begun, Given, Word, begin, end, end_in_full, make_in_full};
use super::callable::{Callable, Entry, callable};
use super::checked::bracketed;
use super::convert;
use super::entry::{direct, raised, without_gil};
use super::failure::{bad_argument, bad_count, refuse_closed};
use super::number;
use super::plan::{Failure, Parameter, Plan, ResultPlan};
use super::raised::any_pending;
use super::reference::Ref;
use crate::binding::Scalar;
use crate::bracket::{self, Returned, Slot, dispatch_two};

type Object = *mut ffi::PyObject;

/// How a stub makes its call.
trait Way {
    /// The entry for a call with arguments of another kind.
    const GENERAL: Entry;

    /// Makes the call, by itself or with these registers; gives the result's object, or sets an exception and gives NULL.
    ///
    /// # Safety
    /// The GIL is held, the arguments are live, and both ways of calling are right for the function.
    unsafe fn call<R: Give>(
        callable: &Callable,
        given: (*const Object, usize),
        call: impl FnOnce() -> R,
        registers: InRegisters,
    ) -> Object;
}

/// The words of two arguments at most, in their order: the integers, and the floating-point numbers.
type InRegisters = ([u64; 2], [f64; 2]);

struct Native<const RELEASE: bool>;

impl<const RELEASE: bool> Way for Native<RELEASE> {
    const GENERAL: Entry = direct::<RELEASE>;

    #[inline(always)]
    unsafe fn call<R: Give>(
        _callable: &Callable,
        _given: (*const Object, usize),
        call: impl FnOnce() -> R,
        _registers: InRegisters,
    ) -> Object {
        // SAFETY: as the caller vouches.
        unsafe {
            let result = without_gil::<RELEASE, _>(call);
            if any_pending() && raised() { std::ptr::null_mut() } else { result.give() }
        }
    }
}

struct Bracketed<const RELEASE: bool>;

impl<const RELEASE: bool> Way for Bracketed<RELEASE> {
    const GENERAL: Entry = bracketed;

    #[inline(always)]
    unsafe fn call<R: Give>(
        callable: &Callable,
        given: (*const Object, usize),
        _call: impl FnOnce() -> R,
        registers: InRegisters,
    ) -> Object {
        // What is not done for most calls is done elsewhere, so that these need little memory: Memcheck takes its time
        // to follow a stack that grows by much.
        // SAFETY: as the caller vouches.
        unsafe {
            let Some(begun) = begin(callable) else { return call_in_full::<R>(callable, given, registers) };
            let (returned, after) = without_gil::<RELEASE, _>(|| {
                (dispatch_two(callable.address, registers, Slot::Call(begun.call)), bracket::count_errors())
            });
            let result = R::of(returned);
            if end(begun, after) { result.give() } else { told::<R>(callable, given, (begun, after), result) }
        }
    }
}

/// # Safety
/// As for [`Way::call`].
#[inline(never)]
unsafe fn call_in_full<R: Give>(
    callable: &Callable,
    (arguments, count): (*const Object, usize),
    registers: InRegisters,
) -> Object {
    let given = Given { arguments, count, copies: &[] };
    // SAFETY: as the caller vouches.
    unsafe {
        let mut call = |slot| R::of(dispatch_two(callable.address, registers, slot));
        make_in_full(callable, &given, &mut call).map_or(std::ptr::null_mut(), |result| result.give())
    }
}

/// Ends a call of which there is something to tell, and gives its result.
///
/// # Safety
/// As for [`Way::call`].
#[inline(never)]
unsafe fn told<R: Give>(
    callable: &Callable,
    (arguments, count): (*const Object, usize),
    ended: (Begun, u64),
    result: R,
) -> Object {
    let given = Given { arguments, count, copies: &[] };
    // SAFETY: as the caller vouches.
    unsafe {
        if end_in_full(callable, &given, ended, result.word()) { result.give() } else { std::ptr::null_mut() }
    }
}

/// A C parameter type of stubs.
trait Take: Sized + Copy {
    /// Whether it goes into a floating-point register.
    const FLOAT: bool = false;
    /// Whether an argument of another type may still be right: then the whole call goes the
    /// general way.
    const MORE: bool = false;

    /// Converts the argument with this index.
    ///
    /// # Safety
    /// The GIL is held and `object` is live.
    unsafe fn take(object: Object, parameters: &[Parameter], index: usize) -> Result<Self, Failure>;

    /// What is put into its register.
    fn word(self) -> u64;
}

/// A C result type of stubs.
trait Give: Word + Sized + Copy {
    /// The result among what the call has left.
    fn of(returned: Returned) -> Self;

    /// Makes the Python object, or sets an exception and gives NULL.
    ///
    /// # Safety
    /// The GIL is held.
    unsafe fn give(self) -> Object;
}

macro_rules! integers {
    ($($ty:ty, $scalar:ident;)*) => {$(
        impl Take for $ty {
            #[inline(always)]
            unsafe fn take(object: Object, _parameters: &[Parameter], _index: usize) -> Result<Self, Failure> {
                // SAFETY: as the caller vouches.
                unsafe { number::integer(Scalar::$scalar, object).map(|word| word as $ty) }
            }

            #[inline(always)]
            fn word(self) -> u64 {
                self as u64
            }
        }
    )*};
}

integers! {
    c_int, I32;
    u32, U32;
    c_long, I64;
    u64, U64;
}

impl Take for f64 {
    const FLOAT: bool = true;

    #[inline(always)]
    unsafe fn take(object: Object, _parameters: &[Parameter], _index: usize) -> Result<Self, Failure> {
        // SAFETY: as the caller vouches.
        unsafe { number::double(object) }
    }

    #[inline(always)]
    fn word(self) -> u64 {
        self.to_bits()
    }
}

/// `const char *` from bytes or str: what the stub for strings takes by itself.
#[derive(Clone, Copy)]
struct Text(*const c_char);

impl Take for Text {
    const MORE: bool = true;

    #[inline(always)]
    unsafe fn take(object: Object, _parameters: &[Parameter], _index: usize) -> Result<Self, Failure> {
        // SAFETY: as the caller vouches; bytes and str keep their text as long as they live.
        unsafe {
            if ffi::PyBytes_Check(object) != 0 {
                return Ok(Text(ffi::PyBytes_AsString(object)));
            }
            if ffi::PyUnicode_Check(object) != 0 {
                return convert::utf8(object).map(|(text, _)| Text(text));
            }
            Err(Failure::Type)
        }
    }

    #[inline(always)]
    fn word(self) -> u64 {
        self.0 as u64
    }
}

/// A pointer to data: what the stub takes by itself is a `Ref` of the very type.
#[derive(Clone, Copy)]
struct Data(usize);

impl Take for Data {
    const MORE: bool = true;

    #[inline(always)]
    unsafe fn take(object: Object, parameters: &[Parameter], index: usize) -> Result<Self, Failure> {
        // SAFETY: as the caller vouches.
        unsafe { referenced(object, &parameters[index]).map(Data).ok_or(Failure::Type) }
    }

    #[inline(always)]
    fn word(self) -> u64 {
        self.0 as u64
    }
}

/// The address of a `Ref`'s memory, for a parameter that is a pointer to the very type.
///
/// # Safety
/// The GIL is held and `object` is live.
#[inline(always)]
pub unsafe fn referenced(object: Object, parameter: &Parameter) -> Option<usize> {
    // SAFETY: as the caller vouches.
    let object = unsafe { Borrowed::from_ptr(Python::assume_attached(), object) };
    match (object.cast_exact::<Ref>(), &parameter.plan) {
        (Ok(reference), Plan::Pointer(target)) if reference.get().place().ty.id == target.id => {
            Some(reference.get().place().address)
        }
        _ => None,
    }
}

macro_rules! results {
    ($($ty:ty, |$returned:ident| $of:expr, |$word:ident| $bits:expr, |$value:ident| $give:expr;)*) => {$(
        impl Word for $ty {
            #[inline(always)]
            fn word(&self) -> u64 {
                let $word = *self;
                $bits
            }
        }

        impl Give for $ty {
            #[inline(always)]
            fn of($returned: Returned) -> Self {
                $of
            }

            #[inline(always)]
            unsafe fn give(self) -> Object {
                let $value = self;
                // SAFETY: the GIL is held, as the caller vouches.
                unsafe { $give }
            }
        }
    )*};
}

results! {
    (), |_left| (), |_nothing| 0, |_nothing| { let none = ffi::Py_None(); ffi::Py_INCREF(none); none };
    c_int, |left| left.integer as c_int, |value| value as u64, |value| ffi::PyLong_FromLong(value.into());
    u32, |left| left.integer as u32, |value| value.into(), |value| ffi::PyLong_FromLong(value.into());
    c_long, |left| left.integer as c_long, |value| value as u64, |value| ffi::PyLong_FromLong(value);
    f64, |left| left.float, |value| value.to_bits(), |value| ffi::PyFloat_FromDouble(value);
}

impl Give for u64 {
    #[inline(always)]
    fn of(returned: Returned) -> Self {
        returned.integer
    }

    #[inline(always)]
    unsafe fn give(self) -> Object {
        // SAFETY: the GIL is held, as the caller vouches.
        unsafe { ffi::PyLong_FromUnsignedLongLong(self) }
    }
}

/// Two arguments in the registers of their kinds.
#[inline(always)]
fn registers<A: Take, B: Take>(a: A, b: B) -> InRegisters {
    let float = f64::from_bits;
    match (A::FLOAT, B::FLOAT, a.word(), b.word()) {
        (false, false, a, b) => ([a, b], [0.0, 0.0]),
        (false, true, a, b) => ([a, 0], [float(b), 0.0]),
        (true, false, a, b) => ([b, 0], [float(a), 0.0]),
        (true, true, a, b) => ([0, 0], [float(a), float(b)]),
    }
}

macro_rules! argument {
    ($ty:ty, $object:expr, $callable:expr, $arguments:expr, $index:expr) => {{
        let argument = *$arguments.add($index);
        match <$ty>::take(argument, &$callable.parameters, $index) {
            Ok(value) => value,
            Err(Failure::Type) if <$ty>::MORE => {
                return W::GENERAL(
                    $object,
                    $arguments,
                    $callable.parameters.len() as _,
                    std::ptr::null_mut(),
                );
            }
            Err(failure) => return bad_argument($callable, $index, argument, failure),
        }
    }};
}

unsafe extern "C" fn stub0<R: Give, W: Way>(
    object: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    keywords: Object,
) -> Object {
    // SAFETY: CPython calls this with the GIL and a builtin of ours, whose C function has this signature.
    unsafe {
        let callable = callable(object);
        if count != 0 || !keywords.is_null() {
            return bad_count(callable, count, !keywords.is_null());
        }
        let function: unsafe extern "C" fn() -> R = std::mem::transmute::<*const c_void, _>(callable.address);
        W::call(callable, (arguments, 0), || function(), ([0; 2], [0.0; 2]))
    }
}

unsafe extern "C" fn stub1<A: Take, R: Give, W: Way>(
    object: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    keywords: Object,
) -> Object {
    // SAFETY: as for stub0, with live arguments.
    unsafe {
        let callable = callable(object);
        if count != 1 || !keywords.is_null() {
            return bad_count(callable, count, !keywords.is_null());
        }
        let a = argument!(A, object, callable, arguments, 0);
        if callable.is_closed() {
            return refuse_closed(callable);
        }
        let function: unsafe extern "C" fn(A) -> R =
            std::mem::transmute::<*const c_void, _>(callable.address);
        W::call(callable, (arguments, 1), || function(a), registers(a, 0_u64))
    }
}

unsafe extern "C" fn stub2<A: Take, B: Take, R: Give, W: Way>(
    object: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    keywords: Object,
) -> Object {
    // SAFETY: as for stub1.
    unsafe {
        let callable = callable(object);
        if count != 2 || !keywords.is_null() {
            return bad_count(callable, count, !keywords.is_null());
        }
        let a = argument!(A, object, callable, arguments, 0);
        let b = argument!(B, object, callable, arguments, 1);
        if callable.is_closed() {
            return refuse_closed(callable);
        }
        let function: unsafe extern "C" fn(A, B) -> R =
            std::mem::transmute::<*const c_void, _>(callable.address);
        W::call(callable, (arguments, 2), || function(a, b), registers(a, b))
    }
}

macro_rules! with_type {
    ($ty:ty, $name:ident => $body:expr) => {{
        type $name = $ty;
        $body
    }};
}

/// Runs the body with `$name` standing for the C type of a parameter, where there are stubs for it.
macro_rules! with_parameter {
    ($parameter:expr, $name:ident => $body:expr) => {
        match $parameter.plan {
            Plan::Integer(Scalar::I32) => with_type!(c_int, $name => $body),
            Plan::Integer(Scalar::U32) => with_type!(u32, $name => $body),
            Plan::Integer(Scalar::I64) => with_type!(c_long, $name => $body),
            Plan::Integer(Scalar::U64) => with_type!(u64, $name => $body),
            Plan::Double => with_type!(f64, $name => $body),
            Plan::Text(_) => with_type!(Text, $name => $body),
            Plan::Pointer(_) => with_type!(Data, $name => $body),
            _ => None,
        }
    };
}

/// The same for a result.
macro_rules! with_result {
    ($plan:expr, $name:ident => $body:expr) => {
        match $plan {
            ResultPlan::Void => with_type!((), $name => $body),
            ResultPlan::Integer(Scalar::I32) => with_type!(c_int, $name => $body),
            ResultPlan::Integer(Scalar::U32) => with_type!(u32, $name => $body),
            ResultPlan::Integer(Scalar::I64) => with_type!(c_long, $name => $body),
            ResultPlan::Integer(Scalar::U64) => with_type!(u64, $name => $body),
            ResultPlan::Double => with_type!(f64, $name => $body),
            _ => None,
        }
    };
}

macro_rules! some {
    ($way:expr, $stub:ident < $($ty:ty),* >) => {
        Some(match $way {
            Under::Nothing { release: false } => $stub::<$($ty,)* Native<false>> as Entry,
            Under::Nothing { release: true } => $stub::<$($ty,)* Native<true>> as Entry,
            Under::Valgrind { release: false } => $stub::<$($ty,)* Bracketed<false>> as Entry,
            Under::Valgrind { release: true } => $stub::<$($ty,)* Bracketed<true>> as Entry,
        })
    };
}

/// What calls run under, and whether they release the GIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Under {
    /// Nothing.
    Nothing {
        /// Whether they do.
        release: bool,
    },
    /// Valgrind, with slots.
    Valgrind {
        /// Whether they do.
        release: bool,
    },
}

/// The stub for a signature, if it has one.
pub fn find(parameters: &[Parameter], result: ResultPlan, under: Under) -> Option<Entry> {
    let copied = |parameter: &Parameter| matches!(parameter.plan, Plan::Text(_));
    if matches!(under, Under::Valgrind { .. }) && parameters.iter().any(copied) {
        return None;
    }
    match parameters {
        [] => with_result!(result, R => some!(under, stub0<R>)),
        [a] => with_parameter!(a, A => with_result!(result, R => some!(under, stub1<A, R>))),
        [a, b] => with_parameter!(a, A => with_parameter!(b, B => {
            with_result!(result, R => some!(under, stub2<A, B, R>))
        })),
        _ => None,
    }
}
