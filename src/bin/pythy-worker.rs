//! The process that works on behalf of Python, without Python in it.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [only] if only == "--version" => {
            println!("pythy-worker {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        [only] if only == "parse" => ended(pythy::worker::serve_parse()),
        [first, descriptors @ ..] if first == "serve" => match numbers(descriptors) {
            Some(descriptors) => ended(pythy::worker::serve(descriptors)),
            None => usage(),
        },
        _ => usage(),
    }
}

fn ended(how: Result<(), String>) -> ExitCode {
    match how {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("pythy-worker: {message}");
            ExitCode::FAILURE
        }
    }
}

fn numbers<const COUNT: usize>(words: &[OsString]) -> Option<[i32; COUNT]> {
    let numbers: Option<Vec<i32>> = words.iter().map(|word| word.to_str()?.parse().ok()).collect();
    numbers?.try_into().ok()
}

fn usage() -> ExitCode {
    eprintln!("usage: pythy-worker --version | parse | serve DESCRIPTORS; pythy starts it by itself");
    ExitCode::from(2)
}
