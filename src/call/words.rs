use crate::binding::{Place, Registers};

/// The arguments of one call that has them all in registers.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// rdi, rsi, rdx, rcx, r8, r9.
    pub integers: [u64; Registers::INTEGERS],
    /// xmm0 to xmm7, the low 8 bytes of each.
    pub floats: [f64; Registers::FLOATS],
}

impl Words {
    /// None of them put yet.
    #[inline(always)]
    pub fn none() -> Self {
        Self { integers: [0; Registers::INTEGERS], floats: [0.0; Registers::FLOATS] }
    }

    /// Puts a word into its place, which is a register.
    #[inline(always)]
    pub fn put(&mut self, place: Place, word: u64) {
        match place {
            Place::Integer(n) => self.integers[usize::from(n)] = word,
            Place::Float(n) => self.floats[usize::from(n)] = f64::from_bits(word),
            Place::Stack(_) => {}
        }
    }

    /// Wipes what a leak check could take for a pointer.
    #[inline(always)]
    pub fn wipe(&mut self) {
        self.integers = [0; Registers::INTEGERS];
        // Otherwise the compiler sees that nobody reads this.
        std::hint::black_box(self);
    }
}
