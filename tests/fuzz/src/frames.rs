//! A worker that has greeted well and then sends what libFuzzer makes up; the first byte tells whether it greets.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pythy::worker::hostile::{asked, corpus, hello};

/// Where `make fuzz` wants the corpus to begin with.
const SEEDS: &str = "PYTHY_FUZZ_SEEDS";

fuzz_target!(
    init: {
        if let Some(directory) = std::env::var_os(SEEDS) {
            for (name, stream) in corpus() {
                let seed = match stream.strip_prefix(&hello()[..]) {
                    Some(rest) => [&[1], rest].concat(),
                    None => [&[0], &stream[..]].concat(),
                };
                std::fs::write(Path::new(&directory).join(name), seed).expect("the seeds can be written");
            }
        }
    },
    |data: &[u8]| {
        let Some((greets, rest)) = data.split_first() else { return };
        let greeting = if greets % 16 == 0 { Vec::new() } else { hello() };
        asked(&[&greeting[..], rest].concat());
    }
);
