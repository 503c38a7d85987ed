//! The three routes of a call (registers, libffi, dispatcher) hand over the same arguments and
//! results: random signatures, with functions compiled by the C compiler as the oracle.

// Every block here calls code that this file has just generated, with the arguments it declares.
#![allow(clippy::undocumented_unsafe_blocks)]

use std::ffi::c_void;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use pythy::binding::{Place, Route, Scalar, Signature};
use pythy::bracket::{Slot, Slots, dispatch};
use pythy::call::{Frame, Libffi, call_for_float, call_for_integer};

const SIGNATURES: usize = 400;
const CALLS_EACH: usize = 5;

const SCALARS: [(Scalar, &str); 12] = [
    (Scalar::Bool, "_Bool"),
    (Scalar::I8, "signed char"),
    (Scalar::I16, "short"),
    (Scalar::I32, "int"),
    (Scalar::I64, "long"),
    (Scalar::U8, "unsigned char"),
    (Scalar::U16, "unsigned short"),
    (Scalar::U32, "unsigned"),
    (Scalar::U64, "unsigned long"),
    (Scalar::F32, "float"),
    (Scalar::F64, "double"),
    (Scalar::Pointer, "void *"),
];

/// xorshift64*, so that every run has the same signatures.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn word(&mut self, scalar: Scalar) -> u64 {
        let bits = self.next();
        match scalar {
            Scalar::Void => 0,
            Scalar::Bool => bits & 1,
            Scalar::I8 => bits as i8 as u64,
            Scalar::I16 => bits as i16 as u64,
            Scalar::I32 => bits as i32 as u64,
            Scalar::U8 => bits & 0xff,
            Scalar::U16 => bits & 0xffff,
            Scalar::U32 => bits & 0xffff_ffff,
            Scalar::I64 | Scalar::U64 | Scalar::Pointer => bits,
            // No NaN: a signalling one may come back quiet.
            Scalar::F32 => u64::from((bits as i32 as f32 / 7.0).to_bits()),
            Scalar::F64 => (bits as i64 as f64 / 7.0).to_bits(),
        }
    }
}

fn spelling(scalar: Scalar) -> &'static str {
    SCALARS.iter().find(|(candidate, _)| *candidate == scalar).map_or("void", |(_, name)| name)
}

fn random_signatures() -> Vec<Signature> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    (0..SIGNATURES)
        .map(|_| {
            let parameters = (0..random.below(15)).map(|_| SCALARS[random.below(12)].0).collect();
            let result = match random.below(13) {
                12 => Scalar::Void,
                n => SCALARS[n].0,
            };
            Signature { parameters, result }
        })
        .collect()
}

/// Each function copies its arguments into `seen`, 8 bytes apart, and returns the head of `give`.
fn compile(signatures: &[Signature]) -> PathBuf {
    let mut source = String::from("#include <string.h>\nunsigned char seen[256], give[16];\n");
    for (k, signature) in signatures.iter().enumerate() {
        let parameters: Vec<_> =
            signature.parameters.iter().enumerate().map(|(i, s)| format!("{} a{i}", spelling(*s))).collect();
        let list = if parameters.is_empty() { "void".to_owned() } else { parameters.join(", ") };
        let result = spelling(signature.result);
        write!(source, "{result} f{k}({list}) {{ memset(seen, 0, sizeof seen);").unwrap();
        for i in 0..parameters.len() {
            write!(source, " memcpy(seen + {}, &a{i}, sizeof a{i});", i * 8).unwrap();
        }
        if signature.result != Scalar::Void {
            write!(source, " {result} r; memcpy(&r, give, sizeof r); return r;").unwrap();
        }
        source.push_str(" }\n");
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("routes");
    std::fs::create_dir_all(&directory).unwrap();
    let (file, library) = (directory.join("routes.c"), directory.join("routes.so"));
    std::fs::write(&file, source).unwrap();
    let status =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-w", "-o"]).arg(&library).arg(&file).status();
    assert!(status.unwrap().success());
    library
}

struct Oracle {
    library: libloading::Library,
    seen: *mut [u8; 256],
    give: *mut [u8; 16],
}

impl Oracle {
    fn check(
        &self,
        name: &str,
        signature: &Signature,
        words: &[u64],
        result: u64,
        call: impl FnOnce(*const c_void) -> u64,
        route: &str,
    ) {
        let symbol = unsafe { self.library.get::<*const c_void>(name) }.unwrap();
        unsafe {
            self.seen.write([0xEE; 256]);
            self.give.cast::<u64>().write_unaligned(result);
        }
        let returned = call(*symbol);
        let mut expected = [0u8; 256];
        for (i, (word, scalar)) in words.iter().zip(&signature.parameters).enumerate() {
            expected[i * 8..i * 8 + scalar.size()].copy_from_slice(&word.to_le_bytes()[..scalar.size()]);
        }
        assert_eq!(unsafe { *self.seen }, expected, "{route}: arguments of {name} {signature:?}");
        assert_eq!(returned, result, "{route}: result of {name} {signature:?}");
    }
}

#[test]
fn every_route_passes_the_same_arguments_and_results() {
    let signatures = random_signatures();
    let library = unsafe { libloading::Library::new(compile(&signatures)) }.unwrap();
    let seen = *unsafe { library.get::<*mut [u8; 256]>("seen") }.unwrap();
    let give = *unsafe { library.get::<*mut [u8; 16]>("give") }.unwrap();
    let oracle = Oracle { library, seen, give };
    let mut random = Random(42);
    let mut direct = 0;
    let mut number = 0;
    for (k, signature) in signatures.iter().enumerate() {
        let name = format!("f{k}");
        let registers = signature.registers();
        let libffi = Libffi::new(signature.clone());
        for _ in 0..CALLS_EACH {
            let words: Vec<u64> = signature.parameters.iter().map(|scalar| random.word(*scalar)).collect();
            let result = random.word(signature.result);
            oracle.check(
                &name,
                signature,
                &words,
                result,
                |address| unsafe { libffi.call(address, &words) },
                "libffi",
            );
            if Slots::of_this_process().is_some() {
                number += 4095 * 7;
                let dispatched = |address| {
                    let mut frame = Frame::new(address, &registers, &words);
                    unsafe { dispatch(&mut frame, Slot::Call(number)) };
                    frame.result(signature)
                };
                oracle.check(&name, signature, &words, result, dispatched, "dispatcher");
            }
            if signature.route() == Route::Direct {
                direct += 1;
                let (mut integers, mut floats) = ([0; 6], [0; 8]);
                for (place, word) in registers.places.iter().zip(&words) {
                    match *place {
                        Place::Integer(n) => integers[usize::from(n)] = *word,
                        Place::Float(n) => floats[usize::from(n)] = *word,
                        Place::Stack(_) => unreachable!("the direct route has no stack words"),
                    }
                }
                let called = |address| unsafe {
                    let (integer, float) = if signature.result.is_float() {
                        (0, call_for_float(address, &integers, &floats))
                    } else {
                        (call_for_integer(address, &integers, &floats), 0)
                    };
                    signature.result.word(integer, float)
                };
                oracle.check(&name, signature, &words, result, called, "direct");
            }
        }
    }
    assert!(direct > SIGNATURES, "only {direct} direct calls were tried");
}
