//! The dispatcher: a call's number as two return addresses.
//!
//! Valgrind records the stack of every error and allocation. A call made through the dispatcher
//! has two return addresses on its stack that nobody else has: one in the table of outer slots,
//! one in that of inner slots. Their indices are the two digits of the call's number, so that one
//! leak check after thousands of calls still tells which call allocated each block.

use std::ffi::c_void;
use std::ops::Range;

use crate::call::{Frame, Words};

/// How many slots each table has; two digits count to its square.
const SLOTS: u64 = 4096;
/// How many addresses each has: a return address and the byte before it, as which Valgrind shows it, are of
/// the same slot.
const SLOT_SIZE: u64 = 8;
/// How many bytes before the inner slots the dispatchers make their calls in.
const CALL_SIZE: u64 = 32;

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
        let table = |start: u64| start..start.saturating_add(SLOTS * SLOT_SIZE);
        Self { outer: table(outer), inner: table(inner) }
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

    /// Whether this is where the dispatcher makes its calls, which is the frame before the two digits.
    pub fn is_dispatch(&self, ip: u64) -> bool {
        (self.inner.start.saturating_sub(CALL_SIZE)..self.inner.start).contains(&ip)
    }

    /// What two digits stand for.
    pub fn slot(outer: u64, inner: u64) -> Slot {
        let number = outer * SLOTS + inner;
        if number < Self::CYCLE { Slot::Call(number) } else { Slot::Shared(inner) }
    }
}

impl Slot {
    /// The two digits, outer and inner.
    #[inline(always)]
    pub fn digits(self) -> (u64, u64) {
        let number = match self {
            // No division for most programs.
            Self::Call(number) if number < Slots::CYCLE => number,
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

    // The frames of the two digits are never run: the dispatcher pushes their return addresses between
    // its own frame and its caller's. So there is one piece of code for all calls, which Valgrind
    // translates once, not once for each slot. All of it, slots included, has rbp frames and one FDE, so that
    // unwinders pass through. The calls themselves are in the 32 bytes before the first inner slot.
    //
    // The first dispatcher makes every call, the second those whose arguments are in the registers already.
    std::arch::global_asm!(
        ".pushsection .text.pythy_dispatch,\"ax\",@progbits",
        ".p2align 4",
        ".globl pythy_dispatch",
        ".hidden pythy_dispatch",
        ".type pythy_dispatch,@function",
        "pythy_dispatch:", // rdi: the frame, rsi: outer return address, rdx: inner return address
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rsi",
        "push rbp",
        "mov rbp, rsp",
        "push rdx",
        "push rbp",
        "mov rbp, rsp",
        "push rdi",
        "sub rsp, 8", // the stack is 16-byte aligned again
        "mov r10, rdi",
        "mov rcx, [r10 + {stack_words}]",
        "test rcx, rcx",
        "jz 3f",
        "mov rsi, [r10 + {stack}]",
        "lea rdx, [rcx*8 + 15]", // stack words, kept 16-byte aligned
        "and rdx, -16",
        "sub rsp, rdx",
        "2:",
        "mov r11, [rsi + rcx*8 - 8]",
        "mov [rsp + rcx*8 - 8], r11",
        "dec rcx",
        "jnz 2b",
        "3:",
        "mov rax, [r10 + {float_words}]", // as variadic callees want it, too
        "test rax, rax",
        "jz 4f",
        "movsd xmm0, [r10 + {floats}]",
        "movsd xmm1, [r10 + {floats} + 8]",
        "movsd xmm2, [r10 + {floats} + 16]",
        "movsd xmm3, [r10 + {floats} + 24]",
        "movsd xmm4, [r10 + {floats} + 32]",
        "movsd xmm5, [r10 + {floats} + 40]",
        "movsd xmm6, [r10 + {floats} + 48]",
        "movsd xmm7, [r10 + {floats} + 56]",
        "4:",
        "mov rdi, [r10 + {integers}]",
        "mov rsi, [r10 + {integers} + 8]",
        "mov rdx, [r10 + {integers} + 16]",
        "mov rcx, [r10 + {integers} + 24]",
        "mov r8, [r10 + {integers} + 32]",
        "mov r9, [r10 + {integers} + 40]",
        "mov r11, [r10]",
        "jmp 5f",
        ".p2align 4",
        ".globl pythy_dispatch_registers",
        ".hidden pythy_dispatch_registers",
        ".type pythy_dispatch_registers,@function",
        "pythy_dispatch_registers:", // r11: the function, r10 and rax: outer and inner return address
        ".cfi_def_cfa rsp, 8",
        ".cfi_restore rbp",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        // The same as four pushes, in one change of rsp: Memcheck follows each, and this size at once.
        "sub rsp, 32",
        "mov [rsp + 24], r10",
        "mov [rsp + 16], rbp",
        "lea rbp, [rsp + 16]",
        "mov [rsp + 8], rax",
        "mov [rsp], rbp",
        "mov rbp, rsp",
        ".p2align 5",
        "call r11",
        "jmp 6f",
        ".p2align 4",
        "5:",
        "call r11",
        "jmp 9f",
        ".p2align 4",
        ".globl pythy_inner_slots",
        ".hidden pythy_inner_slots",
        "pythy_inner_slots:",
        ".skip {slots} * {slot_size}, 0xcc",
        ".globl pythy_outer_slots",
        ".hidden pythy_outer_slots",
        "pythy_outer_slots:",
        ".skip {slots} * {slot_size}, 0xcc",
        "9:",
        "mov r10, [rbp - 8]",
        "mov [r10 + {result_integer}], rax",
        "movsd [r10 + {result_float}], xmm0",
        "mov [r10 + {result_integer_2}], rdx",
        "movsd [r10 + {result_float_2}], xmm1",
        "mov rcx, [r10 + {x87}]",
        "test rcx, rcx",
        "jz 8f",
        "fstp tbyte ptr [r10 + {result_x87}]",
        "dec rcx",
        "jz 8f",
        "fstp tbyte ptr [r10 + {result_x87} + 16]",
        "8:",
        "lea rsp, [rbp + 32]",
        "pop rbp",
        ".cfi_remember_state",
        ".cfi_def_cfa rsp, 8",
        "ret",
        "6:",
        ".cfi_restore_state",
        "add rsp, 32",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        ".size pythy_dispatch, . - pythy_dispatch",
        ".popsection",
        slots = const SLOTS,
        slot_size = const SLOT_SIZE,
        integers = const std::mem::offset_of!(Frame, integers),
        floats = const std::mem::offset_of!(Frame, floats),
        float_words = const Frame::FLOAT_WORDS_OFFSET,
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
        fn pythy_dispatch(frame: *mut c_void, outer: u64, inner: u64);
        fn pythy_dispatch_registers();
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
    #[inline(always)]
    pub unsafe fn dispatch(frame: &mut Frame, slot: Slot) {
        let (outer, inner) = return_addresses(slot);
        // SAFETY: the caller vouches for the frame; both addresses lie within their tables.
        unsafe { pythy_dispatch((&raw mut *frame).cast(), outer, inner) };
    }

    /// Calls a function with these registers through its slots; gives rax and xmm0.
    macro_rules! dispatch_registers {
        ($function:expr, $slot:expr, xmm0 = $first:expr, $($register:tt = $word:expr),*) => {{
            let (outer, inner) = return_addresses($slot);
            let (integer, float);
            // SAFETY: the caller vouches for the function and its arguments; as a function, the dispatcher keeps all other
            // registers.
            unsafe {
                std::arch::asm!(
                    "call {dispatch}",
                    dispatch = sym pythy_dispatch_registers,
                    in("r11") $function,
                    in("r10") outer,
                    inlateout("rax") inner => integer,
                    inlateout("xmm0") $first => float,
                    $(in($register) $word,)*
                    clobber_abi("C"),
                );
            }
            Returned { integer, float }
        }};
    }

    /// Calls a function through its slots with at most two arguments: the integers among them, and the floating-point
    /// numbers, in their order.
    ///
    /// # Safety
    /// They are the arguments of the function's signature.
    #[inline(always)]
    pub unsafe fn dispatch_two(
        function: *const c_void,
        ([a, b], [s, t]): ([u64; 2], [f64; 2]),
        slot: Slot,
    ) -> Returned {
        dispatch_registers!(function, slot, xmm0 = s, "xmm1" = t, "rdi" = a, "rsi" = b)
    }

    /// Calls a function through its slots with all its arguments in registers.
    ///
    /// # Safety
    /// They are the arguments of the function's signature.
    #[inline(always)]
    pub unsafe fn dispatch_words(function: *const c_void, words: &Words, slot: Slot) -> Returned {
        let Words { integers: [a, b, c, d, e, f], floats } = *words;
        let [s, t, u, v, w, x, y, z] = floats;
        dispatch_registers!(
            function,
            slot,
            xmm0 = s,
            "xmm1" = t,
            "xmm2" = u,
            "xmm3" = v,
            "xmm4" = w,
            "xmm5" = x,
            "xmm6" = y,
            "xmm7" = z,
            "rdi" = a,
            "rsi" = b,
            "rdx" = c,
            "rcx" = d,
            "r8" = e,
            "r9" = f
        )
    }

    #[inline(always)]
    fn return_addresses(slot: Slot) -> (u64, u64) {
        let (outer, inner) = slot.digits();
        let (outers, inners) = (&raw const pythy_outer_slots as u64, &raw const pythy_inner_slots as u64);
        let within = SLOT_SIZE / 2;
        (outers + outer * SLOT_SIZE + within, inners + inner * SLOT_SIZE + within)
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

    /// Likewise.
    ///
    /// # Safety
    /// Never called.
    pub unsafe fn dispatch_two(
        _function: *const c_void,
        _words: ([u64; 2], [f64; 2]),
        _slot: Slot,
    ) -> Returned {
        Returned { integer: 0, float: 0.0 }
    }

    /// Likewise.
    ///
    /// # Safety
    /// Never called.
    pub unsafe fn dispatch_words(_function: *const c_void, _words: &Words, _slot: Slot) -> Returned {
        Returned { integer: 0, float: 0.0 }
    }
}

/// What a function has left in the registers of its result, of which one may be it.
#[derive(Clone, Copy, Debug)]
pub struct Returned {
    /// rax
    pub integer: u64,
    /// xmm0
    pub float: f64,
}

pub use imp::{dispatch, dispatch_two, dispatch_words};

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
