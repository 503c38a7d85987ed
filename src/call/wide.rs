//! `long double` and complex numbers as bytes.

use crate::binding::Wide;

/// Writes a number; the imaginary part counts for complex ones only. What is left of `bytes`
/// becomes zero.
pub fn write(wide: Wide, (real, imaginary): (f64, f64), bytes: &mut [u8]) {
    bytes.fill(0);
    match wide {
        Wide::LongDouble => bytes[..10].copy_from_slice(&extended(real)),
        Wide::ComplexFloat => {
            bytes[..4].copy_from_slice(&(real as f32).to_ne_bytes());
            bytes[4..8].copy_from_slice(&(imaginary as f32).to_ne_bytes());
        }
        Wide::ComplexDouble => {
            bytes[..8].copy_from_slice(&real.to_ne_bytes());
            bytes[8..16].copy_from_slice(&imaginary.to_ne_bytes());
        }
        Wide::ComplexLongDouble => {
            bytes[..10].copy_from_slice(&extended(real));
            bytes[16..26].copy_from_slice(&extended(imaginary));
        }
    }
}

/// Reads a number: real and imaginary part, a `long double` rounded to `double`.
pub fn read(wide: Wide, bytes: &[u8]) -> (f64, f64) {
    match wide {
        Wide::LongDouble => (double(part(bytes, 0)), 0.0),
        Wide::ComplexFloat => {
            (f32::from_ne_bytes(part(bytes, 0)).into(), f32::from_ne_bytes(part(bytes, 4)).into())
        }
        Wide::ComplexDouble => (f64::from_ne_bytes(part(bytes, 0)), f64::from_ne_bytes(part(bytes, 8))),
        Wide::ComplexLongDouble => (double(part(bytes, 0)), double(part(bytes, 16))),
    }
}

fn part<const SIZE: usize>(bytes: &[u8], from: usize) -> [u8; SIZE] {
    let mut part = [0; SIZE];
    part.copy_from_slice(&bytes[from..from + SIZE]);
    part
}

/// The x87's 80 bits of a `double`, which holds all of its values.
#[cfg(target_arch = "x86_64")]
fn extended(value: f64) -> [u8; 10] {
    let mut bytes = [0; 10];
    // SAFETY: reads 8 bytes, writes 10, and leaves the x87's stack as it was.
    unsafe {
        std::arch::asm!("fld qword ptr [{}]", "fstp tbyte ptr [{}]", in(reg) &raw const value,
            in(reg) &raw mut bytes, out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _, options(nostack));
    }
    bytes
}

/// The nearest `double`.
#[cfg(target_arch = "x86_64")]
fn double(bytes: [u8; 10]) -> f64 {
    let mut value = 0.0_f64;
    // SAFETY: reads 10 bytes, writes 8, and leaves the x87's stack as it was.
    unsafe {
        std::arch::asm!("fld tbyte ptr [{}]", "fstp qword ptr [{}]", in(reg) &raw const bytes,
            in(reg) &raw mut value, out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _, options(nostack));
    }
    value
}

// `Wide::of` gives none elsewhere.
#[cfg(not(target_arch = "x86_64"))]
fn extended(_value: f64) -> [u8; 10] {
    [0; 10]
}

#[cfg(not(target_arch = "x86_64"))]
fn double(_bytes: [u8; 10]) -> f64 {
    f64::NAN
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn a_long_double_holds_every_double() {
        for value in [0.0, -0.0, 1.0, -1.5, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::INFINITY, 0.1] {
            let mut bytes = [0xEE; 16];
            write(Wide::LongDouble, (value, 0.0), &mut bytes);
            assert_eq!(read(Wide::LongDouble, &bytes).0.to_bits(), value.to_bits());
            assert_eq!(bytes[10..], [0; 6]);
        }
        let mut bytes = [0; 16];
        write(Wide::LongDouble, (1.0, 0.0), &mut bytes);
        assert_eq!(bytes[..10], [0, 0, 0, 0, 0, 0, 0, 0x80, 0xFF, 0x3F]);
    }

    #[test]
    fn a_long_double_between_two_doubles_is_rounded_to_the_nearest() {
        let mut bytes = [0; 16];
        write(Wide::LongDouble, (1.0, 0.0), &mut bytes);
        bytes[1] = 0x05; // 1 + 5 * 2^-55: above the middle between 1 and 1 + 2^-52
        assert_eq!(read(Wide::LongDouble, &bytes).0, 1.0 + f64::EPSILON);
    }

    #[test]
    fn both_parts_of_complex_numbers_are_kept() {
        for wide in [Wide::ComplexFloat, Wide::ComplexDouble, Wide::ComplexLongDouble] {
            let mut bytes = [0; Wide::LARGEST];
            write(wide, (1.5, -2.25), &mut bytes);
            assert_eq!(read(wide, &bytes), (1.5, -2.25));
        }
    }
}
