//! The dispatcher: a call's number as two return addresses.
//!
//! Valgrind records the stack of every error and allocation. A call made through the dispatcher
//! has two return addresses on its stack that nobody else has: one in the table of outer slots,
//! one in that of inner slots. Their indices are the two digits of the call's number, so that one
//! leak check after thousands of calls still tells which call allocated each block.

use std::ffi::c_void;
use std::ops::Range;

use crate::call::Frame;

/// How many slots each table has; two digits count to its square.
const SLOTS: u64 = 4096;
/// `call *%r11` and `jmp rel32`, padded.
const SLOT_SIZE: u64 = 8;

/// Whether this platform has a dispatcher.
pub const HAS_SLOTS: bool = cfg!(all(target_arch = "x86_64", target_os = "linux"));

/// What a pair of slots stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The call with this number, modulo [`Slots::CYCLE`].
    Call(u64),
    /// Any call of this origin, by the index that the journal gave it: below [`Slots::SHARED`]. An
    /// origin whose calls err time and again keeps one stack, because Valgrind takes milliseconds to
    /// describe an error on a new one.
    Shared(u64),
}

/// Where the two tables of slots lie in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    outer: Range<u64>,
    inner: Range<u64>,
}

impl Slots {
    /// Numbers that differ by this much share their slots. The last outer slot is left to
    /// [`Slot::Shared`].
    pub const CYCLE: u64 = SLOTS * SLOTS - Self::SHARED;

    /// How many origins can have a slot of their own.
    pub const SHARED: u64 = SLOTS;

    /// Tables at the given addresses, for evidence that was recorded elsewhere.
    pub fn at(outer: u64, inner: u64) -> Self {
        Self { outer: outer..outer + SLOTS * SLOT_SIZE, inner: inner..inner + SLOTS * SLOT_SIZE }
    }

    /// Where the tables begin, outer and inner: what [`Slots::at`] takes.
    pub fn starts(&self) -> (u64, u64) {
        (self.outer.start, self.inner.start)
    }

    /// The outer digit of an instruction address as Valgrind prints it; `None` outside the table.
    pub fn outer_digit(&self, ip: u64) -> Option<u64> {
        digit(&self.outer, ip)
    }

    /// The inner digit of an instruction address as Valgrind prints it; `None` outside the table.
    pub fn inner_digit(&self, ip: u64) -> Option<u64> {
        digit(&self.inner, ip)
    }

    /// What two digits stand for.
    pub fn slot(outer: u64, inner: u64) -> Slot {
        let number = outer * SLOTS + inner;
        if number < Self::CYCLE { Slot::Call(number) } else { Slot::Shared(inner) }
    }
}

impl Slot {
    /// The two digits, outer and inner.
    pub fn digits(self) -> (u64, u64) {
        let number = match self {
            Self::Call(number) => number % Slots::CYCLE,
            Self::Shared(index) => Slots::CYCLE + index % Slots::SHARED,
        };
        (number / SLOTS, number % SLOTS)
    }
}

fn digit(table: &Range<u64>, ip: u64) -> Option<u64> {
    table.contains(&ip).then(|| (ip - table.start) / SLOT_SIZE)
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod imp {
    use super::*;

    // Both halves keep an rbp frame and describe themselves with one FDE each, so that unwinders
    // find the caller from anywhere in the slots. Slots are entered with the target in r11.
    std::arch::global_asm!(
        ".pushsection .text.pythy_dispatch,\"ax\",@progbits",
        ".p2align 4",
        ".globl pythy_outer_call",
        ".hidden pythy_outer_call",
        ".type pythy_outer_call,@function",
        "pythy_outer_call:", // rdi: the frame, rsi: outer slot offset, rdx: inner slot offset
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "lea r11, [rip + pythy_inner_call]",
        "lea rax, [rip + pythy_outer_slots]",
        "add rax, rsi",
        "jmp rax",
        ".p2align 3",
        ".globl pythy_outer_slots",
        ".hidden pythy_outer_slots",
        "pythy_outer_slots:",
        ".rept {slots}",
        ".p2align 3",
        "call r11",
        "jmp 9f",
        ".endr",
        ".p2align 3",
        "9:",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        ".size pythy_outer_call, . - pythy_outer_call",
        "",
        ".p2align 4",
        ".globl pythy_inner_call",
        ".hidden pythy_inner_call",
        ".type pythy_inner_call,@function",
        "pythy_inner_call:", // rdi: the frame, rdx: inner slot offset
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rbx",
        ".cfi_offset rbx, -24",
        "sub rsp, 8",
        "mov rbx, rdi",
        "lea rax, [rip + pythy_inner_slots]",
        "add rax, rdx",
        "mov rcx, [rbx + {stack_words}]",
        "mov rsi, [rbx + {stack}]",
        "lea rdx, [rcx*8 + 15]", // stack words, kept 16-byte aligned
        "and rdx, -16",
        "sub rsp, rdx",
        "test rcx, rcx",
        "jz 3f",
        "2:",
        "mov r10, [rsi + rcx*8 - 8]",
        "mov [rsp + rcx*8 - 8], r10",
        "dec rcx",
        "jnz 2b",
        "3:",
        "movsd xmm0, [rbx + {floats}]",
        "movsd xmm1, [rbx + {floats} + 8]",
        "movsd xmm2, [rbx + {floats} + 16]",
        "movsd xmm3, [rbx + {floats} + 24]",
        "movsd xmm4, [rbx + {floats} + 32]",
        "movsd xmm5, [rbx + {floats} + 40]",
        "movsd xmm6, [rbx + {floats} + 48]",
        "movsd xmm7, [rbx + {floats} + 56]",
        "mov rdi, [rbx + {integers}]",
        "mov rsi, [rbx + {integers} + 8]",
        "mov rdx, [rbx + {integers} + 16]",
        "mov rcx, [rbx + {integers} + 24]",
        "mov r8, [rbx + {integers} + 32]",
        "mov r9, [rbx + {integers} + 40]",
        "mov r11, [rbx]",
        "mov r10, rax",
        "mov eax, 8", // an upper bound of SSE registers used, for variadic callees
        "jmp r10",
        ".p2align 3",
        ".globl pythy_inner_slots",
        ".hidden pythy_inner_slots",
        "pythy_inner_slots:",
        ".rept {slots}",
        ".p2align 3",
        "call r11",
        "jmp 9f",
        ".endr",
        ".p2align 3",
        "9:",
        "mov [rbx + {result_integer}], rax",
        "movsd [rbx + {result_float}], xmm0",
        "mov [rbx + {result_integer_2}], rdx",
        "movsd [rbx + {result_float_2}], xmm1",
        "mov rcx, [rbx + {x87}]",
        "test rcx, rcx",
        "jz 8f",
        "fstp tbyte ptr [rbx + {result_x87}]",
        "dec rcx",
        "jz 8f",
        "fstp tbyte ptr [rbx + {result_x87} + 16]",
        "8:",
        "lea rsp, [rbp - 8]",
        "pop rbx",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        ".size pythy_inner_call, . - pythy_inner_call",
        ".popsection",
        slots = const SLOTS,
        integers = const std::mem::offset_of!(Frame, integers),
        floats = const std::mem::offset_of!(Frame, floats),
        stack = const Frame::STACK_OFFSET,
        stack_words = const Frame::STACK_WORDS_OFFSET,
        result_integer = const std::mem::offset_of!(Frame, result_integer),
        result_float = const std::mem::offset_of!(Frame, result_float),
        result_integer_2 = const std::mem::offset_of!(Frame, result_integer_2),
        result_float_2 = const std::mem::offset_of!(Frame, result_float_2),
        x87 = const Frame::X87_OFFSET,
        result_x87 = const Frame::RESULT_X87_OFFSET,
    );

    unsafe extern "C" {
        fn pythy_outer_call(frame: *mut c_void, outer: u64, inner: u64);
        static pythy_outer_slots: c_void;
        static pythy_inner_slots: c_void;
    }

    impl Slots {
        /// The tables of this process; `None` on a platform without a dispatcher.
        pub fn of_this_process() -> Option<Self> {
            let (outer, inner) = (&raw const pythy_outer_slots, &raw const pythy_inner_slots);
            Some(Self::at(outer as u64, inner as u64))
        }
    }

    /// Makes the call that `frame` describes through its slots.
    ///
    /// # Safety
    /// `frame` holds the address of a function and the arguments of its signature.
    pub unsafe fn dispatch(frame: &mut Frame, slot: Slot) {
        let (outer, inner) = slot.digits();
        // SAFETY: the caller vouches for the frame; both offsets lie within their tables.
        unsafe { pythy_outer_call((&raw mut *frame).cast(), outer * SLOT_SIZE, inner * SLOT_SIZE) };
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod imp {
    use super::*;

    impl Slots {
        /// The tables of this process; `None` on a platform without a dispatcher.
        pub fn of_this_process() -> Option<Self> {
            None
        }
    }

    /// There are no slots here: callers ask [`Slots::of_this_process`] first.
    ///
    /// # Safety
    /// Never called.
    pub unsafe fn dispatch(_frame: &mut Frame, _slot: Slot) {}
}

pub use imp::dispatch;

/// The file that this code is in, as Valgrind names it; `None` where the loader does not tell.
pub fn own_object() -> Option<String> {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    let here = own_object as fn() -> Option<String> as *const c_void;
    // SAFETY: dladdr fills the structure for any address; the name it gives is never freed.
    let name = unsafe {
        if libc::dladdr(here, info.as_mut_ptr()) == 0 || info.assume_init_ref().dli_fname.is_null() {
            return None;
        }
        std::ffi::CStr::from_ptr(info.assume_init_ref().dli_fname)
    };
    let path = std::fs::canonicalize(name.to_str().ok()?).ok()?;
    Some(path.display().to_string())
}
