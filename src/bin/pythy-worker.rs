//! The process that works on behalf of Python, without Python in it.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [only] if only == "--version" => {
            println!("pythy-worker {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        [only] if only == "parse" => match pythy::worker::serve_parse() {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => {
                eprintln!("pythy-worker: {message}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: pythy-worker --version | parse");
            ExitCode::from(2)
        }
    }
}
