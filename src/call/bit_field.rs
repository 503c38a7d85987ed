//! A bit-field: some bits of the bytes that it lies in.

/// Where it is among the bits of its bytes, and how many it has.
#[derive(Clone, Copy)]
pub struct BitField {
    /// The first bit.
    pub first: u32,
    /// How many bits.
    pub width: u32,
}

impl BitField {
    /// How many bytes it lies in.
    pub fn size(self) -> usize {
        (self.first + self.width).div_ceil(8) as usize
    }

    /// Its value in these bytes, as a word.
    pub fn word(self, bytes: &[u8], signed: bool) -> u64 {
        self.cut((bits_of(bytes) >> self.first) as u64, signed)
    }

    /// The bytes with that value in it.
    pub fn stored(self, bytes: &[u8], value: u64) -> Vec<u8> {
        let others = bits_of(bytes) & !(u128::from(self.mask()) << self.first);
        let bits = others | u128::from(value & self.mask()) << self.first;
        bits.to_le_bytes()[..bytes.len()].to_vec()
    }

    /// What is left of a word when it has been stored here.
    pub fn cut(self, word: u64, signed: bool) -> u64 {
        let shift = 64 - self.width.clamp(1, 64);
        if signed { (((word << shift) as i64) >> shift) as u64 } else { word & self.mask() }
    }

    /// The smallest and the largest number that fits.
    pub fn range(self, signed: bool) -> (i128, i128) {
        if signed {
            (-(1 << (self.width - 1)), (1 << (self.width - 1)) - 1)
        } else {
            (0, (1 << self.width) - 1)
        }
    }

    fn mask(self) -> u64 {
        if self.width >= 64 { u64::MAX } else { (1 << self.width) - 1 }
    }
}

/// At most 16 bytes as one number.
fn bits_of(bytes: &[u8]) -> u128 {
    let mut bits = [0; 16];
    bits[..bytes.len()].copy_from_slice(bytes);
    u128::from_le_bytes(bits)
}

#[cfg(test)]
mod tests {
    use super::BitField;

    #[test]
    fn a_field_that_crosses_bytes_leaves_the_others_alone() {
        let field = BitField { first: 6, width: 5 };
        let bytes = field.stored(&[0xff, 0xff], 0b1_0010);
        assert_eq!(bytes, [0b1011_1111, 0b1111_1100]);
        assert_eq!((field.size(), field.word(&bytes, false), field.word(&bytes, true) as i64), (2, 18, -14));
        assert_eq!((field.range(false), field.range(true)), ((0, 31), (-16, 15)));
        let widest = BitField { first: 0, width: 64 };
        assert_eq!(widest.cut(u64::MAX, false), u64::MAX);
        assert_eq!(widest.range(true), (i128::from(i64::MIN), i128::from(i64::MAX)));
    }
}
