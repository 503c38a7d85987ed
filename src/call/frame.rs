use std::ffi::c_void;

use crate::binding::{Place, Registers, Signature};

/// The arguments of one call in their registers and stack words, and the result registers after it.
///
/// The layout is shared with the dispatcher's assembler.
#[repr(C)]
#[derive(Debug)]
pub struct Frame {
    /// The code to call.
    pub address: *const c_void,
    /// rdi, rsi, rdx, rcx, r8, r9.
    pub integers: [u64; Registers::INTEGERS],
    /// xmm0 to xmm7, the low 8 bytes of each.
    pub floats: [u64; Registers::FLOATS],
    /// Words for the stack, the first at the lowest address.
    stack: *const u64,
    /// How many there are.
    stack_words: usize,
    /// rax after the call.
    pub result_integer: u64,
    /// xmm0 after the call.
    pub result_float: u64,
    stack_storage: Vec<u64>,
}

impl Frame {
    pub(crate) const STACK_OFFSET: usize = std::mem::offset_of!(Frame, stack);
    pub(crate) const STACK_WORDS_OFFSET: usize = std::mem::offset_of!(Frame, stack_words);

    /// Puts one word per parameter into its place.
    pub fn new(address: *const c_void, registers: &Registers, words: &[u64]) -> Self {
        debug_assert_eq!(registers.places.len(), words.len());
        let mut frame = Self {
            address,
            integers: [0; Registers::INTEGERS],
            floats: [0; Registers::FLOATS],
            stack: std::ptr::null(),
            stack_words: registers.stack_words,
            result_integer: 0,
            result_float: 0,
            stack_storage: vec![0; registers.stack_words],
        };
        for (place, word) in registers.places.iter().zip(words) {
            match *place {
                Place::Integer(n) => frame.integers[usize::from(n)] = *word,
                Place::Float(n) => frame.floats[usize::from(n)] = *word,
                Place::Stack(n) => frame.stack_storage[usize::from(n)] = *word,
            }
        }
        frame.stack = frame.stack_storage.as_ptr();
        frame
    }

    /// The result of a call of this signature as a word.
    pub fn result(&self, signature: &Signature) -> u64 {
        signature.result.word(self.result_integer, self.result_float)
    }
}
