//! The buffer protocol. CPython 3.10 exports these functions with the layout that became part of
//! the stable ABI in 3.11, so they are declared here.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;

use pyo3::ffi;

use super::home::Home;
use super::plan::Argument;
use super::plan::Items;
use super::thunk::Thunk;
use crate::binding::Wide;

/// `Py_buffer` of the stable ABI.
#[repr(C)]
pub struct View {
    pub buf: *mut c_void,
    obj: *mut ffi::PyObject,
    pub len: ffi::Py_ssize_t,
    pub itemsize: ffi::Py_ssize_t,
    pub readonly: c_int,
    ndim: c_int,
    format: *mut c_char,
    shape: *mut ffi::Py_ssize_t,
    strides: *mut ffi::Py_ssize_t,
    suboffsets: *mut ffi::Py_ssize_t,
    internal: *mut c_void,
}

unsafe extern "C" {
    fn PyObject_CheckBuffer(object: *mut ffi::PyObject) -> c_int;
    fn PyObject_GetBuffer(object: *mut ffi::PyObject, view: *mut View, flags: c_int) -> c_int;
    fn PyBuffer_Release(view: *mut View);
}

/// `PyBUF_ND | PyBUF_STRIDES | PyBUF_C_CONTIGUOUS | PyBUF_FORMAT`, and the item size with it.
const PYBUF_C_CONTIGUOUS: c_int = 0x8 | 0x10 | 0x20 | 0x4;

/// `PyBUF_FULL_RO`: suboffsets too.
const PYBUF_ANY: c_int = 0x100 | 0x8 | 0x10 | 0x4;

impl View {
    /// Whether it is one number that nobody may write: a scalar of NumPy's.
    pub fn is_number(&self) -> bool {
        self.ndim == 0 && self.readonly != 0
    }

    /// What the items are, as the `struct` module writes it.
    pub fn items(&self) -> Items {
        if self.format.is_null() {
            return Items::Integers;
        }
        // SAFETY: a C string that lives as long as the view.
        Items::of_format(unsafe { CStr::from_ptr(self.format) }.to_bytes())
    }
}

/// Whether the object has the buffer protocol.
///
/// # Safety
/// `object` is a live object and the GIL is held.
pub unsafe fn has_buffer(object: *mut ffi::PyObject) -> bool {
    // SAFETY: as the caller vouches.
    unsafe { PyObject_CheckBuffer(object) != 0 }
}

/// Whether the object gives a view of any layout now; if not, its exception stands.
///
/// # Safety
/// As for [`has_buffer`].
pub unsafe fn has_any_view(object: *mut ffi::PyObject) -> bool {
    let mut view = MaybeUninit::uninit();
    // SAFETY: as the caller vouches; a view that was filled is released.
    unsafe {
        let given = PyObject_GetBuffer(object, view.as_mut_ptr(), PYBUF_ANY) == 0;
        if given {
            PyBuffer_Release(view.as_mut_ptr());
        }
        given
    }
}

const INLINE: usize = 6;

/// The buffers, callbacks and wide numbers of one call, held until it is over. A view may point into itself, so none moves.
pub struct Views {
    count: usize,
    inline: [MaybeUninit<View>; INLINE],
    // Boxed, because the vector's growth must not move a view.
    #[allow(clippy::vec_box)]
    more: Vec<Box<MaybeUninit<View>>>,
    thunks: Vec<Thunk>,
    home: Home,
    // Boxed, because the vector's growth must not move a number.
    #[allow(clippy::vec_box)]
    wide: Vec<Box<[u8; Wide::LARGEST]>>,
}

impl Views {
    /// Holds nothing yet; for C in this process.
    #[inline(always)]
    pub fn new() -> Self {
        Self::of(Home::Native)
    }

    /// Holds nothing yet; for C in that process.
    #[inline(always)]
    pub fn of(home: Home) -> Self {
        Self {
            home,
            count: 0,
            inline: [const { MaybeUninit::uninit() }; INLINE],
            more: Vec::new(),
            thunks: Vec::new(),
            wide: Vec::new(),
        }
    }

    /// Whose C code the arguments are for.
    #[inline]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Keeps a callback's function pointer for the call, and gives it.
    pub fn keep(&mut self, thunk: Thunk) -> Argument {
        let argument = thunk.argument();
        self.thunks.push(thunk);
        argument
    }

    /// Keeps the bytes of a number for the call, and gives their address.
    pub fn keep_wide(&mut self, bytes: [u8; Wide::LARGEST]) -> usize {
        let bytes = Box::new(bytes);
        let address = bytes.as_ptr() as usize;
        self.wide.push(bytes);
        address
    }

    /// Takes a C-contiguous view of the object, writable where the object allows; `None` with
    /// Python's exception set where there is no such view.
    ///
    /// # Safety
    /// `object` is a live object with the buffer protocol, and the GIL is held.
    pub unsafe fn take(&mut self, object: *mut ffi::PyObject) -> Option<&View> {
        let room = if self.count < INLINE {
            &mut self.inline[self.count]
        } else {
            self.more.push(Box::new(MaybeUninit::uninit()));
            let last = self.more.len() - 1;
            &mut *self.more[last]
        };
        // SAFETY: room for one view that stays where it is until it is released.
        if unsafe { PyObject_GetBuffer(object, room.as_mut_ptr(), PYBUF_C_CONTIGUOUS) } != 0 {
            if self.count >= INLINE {
                self.more.pop();
            }
            return None;
        }
        self.count += 1;
        let room = match self.count.checked_sub(INLINE + 1) {
            Some(index) => &*self.more[index],
            None => &self.inline[self.count - 1],
        };
        // SAFETY: just filled.
        Some(unsafe { room.assume_init_ref() })
    }
}

impl Drop for Views {
    #[inline(always)]
    fn drop(&mut self) {
        if self.count > 0 {
            self.release();
        }
    }
}

impl Views {
    #[cold]
    fn release(&mut self) {
        let inline = self.inline[..self.count.min(INLINE)].iter_mut();
        for view in inline.chain(self.more.iter_mut().map(|view| &mut **view)) {
            // SAFETY: the first `count` views were filled by PyObject_GetBuffer and not released.
            unsafe { PyBuffer_Release(view.as_mut_ptr()) };
        }
    }
}
