//! The process that runs a library on behalf of Python, without Python in it.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [only] if only == "--version" => {
            println!("pythy-worker {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: pythy-worker --version");
            ExitCode::from(2)
        }
    }
}
