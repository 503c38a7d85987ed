//! Function pointers that call back to the parent.

use std::ffi::c_void;
use std::mem::MaybeUninit;

use libffi::low;
use libffi::middle::{Cif, Closure};

use super::protocol::CallbackSignature;
use super::serve::Worker;
use crate::binding::Passing;
use crate::call::{ffi_parameter, ffi_result};

/// A function pointer.
pub struct Thunk {
    // Dropped before the data that it points to.
    closure: Option<Closure<'static>>,
    data: *mut Data,
}

/// What it needs.
pub struct Data {
    /// Whose it is.
    pub worker: &'static Worker,
    /// What the parent calls it.
    pub id: u64,
    /// The sizes of its arguments.
    pub sizes: Vec<usize>,
    /// The size of its result.
    pub result: Passing,
}

// SAFETY: the closure and its data are made once and only read.
unsafe impl Send for Thunk {}

impl Thunk {
    /// A function pointer of this type, or why there is none.
    pub fn new(worker: &'static Worker, id: u64, signature: &CallbackSignature) -> Result<Self, String> {
        let parameters = signature.parameters.iter().map(ffi_parameter).collect::<Result<Vec<_>, _>>()?;
        let cif = Cif::new(parameters, ffi_result(&signature.result)?);
        let sizes = signature.parameters.iter().map(size).collect();
        let data = Box::into_raw(Box::new(Data { worker, id, sizes, result: signature.result.clone() }));
        // SAFETY: the data lives until the thunk is dropped, after the closure.
        let closure = Closure::new(cif, run, unsafe { &*data });
        Ok(Self { closure: Some(closure), data })
    }

    /// The function pointer.
    pub fn address(&self) -> usize {
        self.closure.as_ref().map_or(0, |closure| *closure.code_ptr() as *const c_void as usize)
    }
}

impl Drop for Thunk {
    fn drop(&mut self) {
        self.closure.take();
        // SAFETY: made by Box::into_raw, and the closure that used it is gone.
        drop(unsafe { Box::from_raw(self.data) });
    }
}

fn size(passing: &Passing) -> usize {
    match passing {
        Passing::Scalar(scalar) => scalar.size(),
        Passing::Record(class) => class.size,
    }
}

/// Where libffi enters.
unsafe extern "C" fn run(
    _cif: &low::ffi_cif,
    result: &mut MaybeUninit<u64>,
    arguments: *const *const c_void,
    data: &Data,
) {
    // libffi widens scalars to a word.
    let room = match &data.result {
        Passing::Scalar(crate::binding::Scalar::Void) => 0,
        Passing::Scalar(_) => size_of::<u64>(),
        Passing::Record(class) => class.size.max(size_of::<u64>()),
    };
    // SAFETY: libffi has room for the closure's result there, and hands over one pointer to so many bytes
    // for each parameter of the closure's type.
    let (result, arguments) = unsafe {
        let result = std::slice::from_raw_parts_mut(result.as_mut_ptr().cast::<u8>(), room);
        result.fill(0);
        let argument = |(index, size): (usize, &usize)| {
            std::slice::from_raw_parts((*arguments.add(index)).cast::<u8>(), *size)
        };
        (result, data.sizes.iter().enumerate().map(argument))
    };
    data.worker.call_back(data.id, arguments, result);
}
