use std::ffi::c_void;
use std::mem::MaybeUninit;

use crate::binding::{Eightbyte, Passing, Place, RecordClass, Registers, Scalar, Signature};

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
    /// xmm0 to xmm7, the low 8 bytes of each; as far as they are used.
    pub floats: [MaybeUninit<u64>; Registers::FLOATS],
    /// How many of them are used.
    float_words: usize,
    /// Words for the stack, the first at the lowest address.
    stack: *const u64,
    /// How many there are.
    stack_words: usize,
    /// rax after the call.
    pub result_integer: u64,
    /// xmm0 after the call.
    pub result_float: u64,
    /// rdx after the call.
    pub result_integer_2: u64,
    /// xmm1 after the call.
    pub result_float_2: u64,
    /// How many x87 registers hold the result; the callee has pushed so many.
    x87: usize,
    /// st0 and st1 after the call, 16 bytes each.
    result_x87: MaybeUninit<[u8; 32]>,
    stack_storage: Vec<u64>,
}

impl Frame {
    pub(crate) const FLOAT_WORDS_OFFSET: usize = std::mem::offset_of!(Frame, float_words);
    pub(crate) const STACK_OFFSET: usize = std::mem::offset_of!(Frame, stack);
    pub(crate) const STACK_WORDS_OFFSET: usize = std::mem::offset_of!(Frame, stack_words);
    pub(crate) const X87_OFFSET: usize = std::mem::offset_of!(Frame, x87);
    pub(crate) const RESULT_X87_OFFSET: usize = std::mem::offset_of!(Frame, result_x87);

    /// A call with no arguments yet, but with room for so many words on the stack.
    #[inline(always)]
    pub fn empty(address: *const c_void, stack_words: usize) -> Self {
        // Most calls have none, and making an empty vector so is no call of a function.
        let stack_storage = if stack_words == 0 { Vec::new() } else { vec![0; stack_words] };
        Self {
            address,
            integers: [0; Registers::INTEGERS],
            floats: [MaybeUninit::uninit(); Registers::FLOATS],
            float_words: 0,
            stack: stack_storage.as_ptr(),
            stack_words,
            result_integer: 0,
            result_float: 0,
            result_integer_2: 0,
            result_float_2: 0,
            x87: 0,
            result_x87: MaybeUninit::uninit(),
            stack_storage,
        }
    }

    /// Puts one word per parameter into its place.
    pub fn new(address: *const c_void, registers: &Registers, words: &[u64]) -> Self {
        debug_assert_eq!(registers.places.len(), words.len());
        let mut frame = Self::empty(address, registers.stack_words);
        for (place, word) in registers.places.iter().zip(words) {
            frame.put(*place, *word);
        }
        frame
    }

    /// Puts a word into its place, which is one of the signature that the frame was made for.
    #[inline(always)]
    pub fn put(&mut self, place: Place, word: u64) {
        match place {
            Place::Integer(n) => self.integers[usize::from(n)] = word,
            Place::Float(n) => {
                self.floats[usize::from(n)] = MaybeUninit::new(word);
                self.float_words = usize::from(n) + 1;
            }
            Place::Stack(n) => self.stack_storage[usize::from(n)] = word,
        }
    }

    /// Where the bytes of a scalar result lie, as the callee left them.
    pub fn raw_result(&self, scalar: Scalar) -> (*const c_void, usize) {
        let address =
            if scalar.is_float() { &raw const self.result_float } else { &raw const self.result_integer };
        (address.cast(), scalar.size())
    }

    /// The result of a call of this signature as a word.
    #[inline(always)]
    pub fn result(&self, signature: &Signature) -> u64 {
        signature.result.word(self.result_integer, self.result_float)
    }

    /// Wipes what a leak check could take for a pointer: arguments, and what a function without a result has
    /// left in its registers.
    #[inline(always)]
    pub fn wipe(&mut self) {
        self.integers = [0; Registers::INTEGERS];
        (self.result_integer, self.result_integer_2) = (0, 0);
        self.stack_storage.fill(0);
        // Otherwise the compiler sees that nobody reads this.
        std::hint::black_box(self);
    }
}

/// The words of a call that is put together argument by argument.
#[derive(Debug, Default)]
pub struct Arguments {
    integers: Filled<{ Registers::INTEGERS }>,
    floats: Filled<{ Registers::FLOATS }>,
    stack: Vec<u64>,
}

/// Where a word of [`Arguments`] is.
#[derive(Clone, Copy, Debug)]
pub enum Position {
    /// In a register, by its index.
    Register(usize),
    /// On the stack, by its index.
    Stack(usize),
}

/// Registers that are filled one after the other.
#[derive(Debug)]
struct Filled<const COUNT: usize> {
    words: [u64; COUNT],
    used: usize,
}

impl<const COUNT: usize> Default for Filled<COUNT> {
    fn default() -> Self {
        Self { words: [0; COUNT], used: 0 }
    }
}

impl<const COUNT: usize> Filled<COUNT> {
    /// Takes a word if there is room.
    fn push(&mut self, word: u64) -> bool {
        let Some(place) = self.words.get_mut(self.used) else { return false };
        *place = word;
        self.used += 1;
        true
    }
}

impl Arguments {
    /// An integer or a pointer; where it is.
    pub fn push_integer(&mut self, word: u64) -> Position {
        if self.integers.push(word) {
            return Position::Register(self.integers.used - 1);
        }
        self.stack.push(word);
        Position::Stack(self.stack.len() - 1)
    }

    /// Changes an integer or a pointer.
    pub fn set(&mut self, position: Position, word: u64) {
        match position {
            Position::Register(index) => self.integers.words[index] = word,
            Position::Stack(index) => self.stack[index] = word,
        }
    }

    /// The bits of a `double`, or of a `float` in the low half.
    pub fn push_float(&mut self, word: u64) {
        if !self.floats.push(word) {
            self.stack.push(word);
        }
    }

    /// A record by value: all of it in registers, or all of it on the stack.
    pub fn push_record(&mut self, class: &RecordClass, bytes: &[u8]) {
        let words: Vec<u64> = bytes
            .chunks(8)
            .map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_ne_bytes(word)
            })
            .collect();
        let eightbytes = class.eightbytes.as_deref().unwrap_or_default();
        let needs = |class| eightbytes.iter().filter(|other| **other == class).count();
        let fits = class.eightbytes.is_some()
            && self.integers.used + needs(Eightbyte::Integer) <= Registers::INTEGERS
            && self.floats.used + needs(Eightbyte::Sse) <= Registers::FLOATS;
        if !fits {
            if class.align > 8 && !self.stack.len().is_multiple_of(2) {
                self.stack.push(0);
            }
            self.stack.extend(words);
            return;
        }
        for (word, eightbyte) in words.into_iter().zip(eightbytes) {
            match eightbyte {
                Eightbyte::Nothing | Eightbyte::X87 => {}
                Eightbyte::Integer => _ = self.integers.push(word),
                Eightbyte::Sse => _ = self.floats.push(word),
            }
        }
    }

    /// The call of `address` with these arguments, for a result of the class given.
    pub fn frame(self, address: *const c_void, result: &Passing) -> Frame {
        let mut frame = Frame::empty(address, 0);
        frame.integers = self.integers.words;
        frame.floats = self.floats.words.map(MaybeUninit::new);
        frame.float_words = self.floats.used;
        if let Passing::Record(class) = result {
            frame.x87 = class.x87;
        }
        frame.stack_words = self.stack.len();
        frame.stack_storage = self.stack;
        frame.stack = frame.stack_storage.as_ptr();
        frame
    }
}

impl Frame {
    /// Writes a record or wide number that came back in registers; one that came back in memory is
    /// there already.
    pub fn write_result(&self, class: &RecordClass, bytes: &mut [u8]) {
        if class.x87 > 0 {
            let length = bytes.len().min(16 * class.x87);
            // SAFETY: the dispatcher has stored 16 bytes for each of these registers.
            let stored = unsafe { std::slice::from_raw_parts(self.result_x87.as_ptr().cast(), length) };
            bytes[..length].copy_from_slice(stored);
        }
        let Some(eightbytes) = &class.eightbytes else { return };
        let mut integers = [self.result_integer, self.result_integer_2].into_iter();
        let mut floats = [self.result_float, self.result_float_2].into_iter();
        for (chunk, eightbyte) in bytes.chunks_mut(8).zip(eightbytes) {
            let word = match eightbyte {
                Eightbyte::Nothing | Eightbyte::X87 => continue,
                Eightbyte::Integer => integers.next(),
                Eightbyte::Sse => floats.next(),
            };
            let length = chunk.len();
            chunk.copy_from_slice(&word.unwrap_or(0).to_ne_bytes()[..length]);
        }
    }
}
