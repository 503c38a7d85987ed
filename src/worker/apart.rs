//! Reading headers in a process of its own. Under Valgrind libclang would take a hundred times as
//! long, and would fill Valgrind's log with findings of its own.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::error::HeaderResult;
use crate::header::{self, Options, Parsed};
use crate::{Error, Result};

#[derive(Serialize, Deserialize)]
struct Request {
    libclang: Option<PathBuf>,
    options: Options,
}

/// What [`header::read`] gives, from the worker at `worker`; `libclang` as for
/// [`header::set_libclang`].
pub fn parse_apart(worker: &Path, libclang: Option<PathBuf>, options: &Options) -> Result<Parsed> {
    let failed = |message: String| Error::HeaderReader { path: worker.to_owned(), message };
    // Under Valgrind, starting what is not there looks like a program that ended.
    if !worker.is_file() {
        return Err(failed("does not exist".to_owned()));
    }
    let request = Request { libclang, options: options.clone() };
    let request =
        postcard::to_stdvec(&request).map_err(|error| failed(format!("cannot be asked ({error})")))?;
    let mut child = Command::new(worker)
        .arg("parse")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("cannot be started ({error})")))?;
    // The request is small and the worker reads all of it first: no deadlock. One that is gone
    // already is known by its answer.
    if let Some(mut input) = child.stdin.take() {
        let _ = input.write_all(&request);
    }
    let output =
        child.wait_with_output().map_err(|error| failed(format!("cannot be waited for ({error})")))?;
    if !output.status.success() {
        return Err(failed(format!("ended with {}", output.status)));
    }
    let answer: HeaderResult<Parsed> =
        postcard::from_bytes(&output.stdout).map_err(|error| failed(format!("gives no answer ({error})")))?;
    Ok(answer?)
}

/// The worker's side: answers the request on standard input.
pub fn serve_parse() -> std::result::Result<(), String> {
    let mut request = Vec::new();
    std::io::stdin().lock().read_to_end(&mut request).map_err(|error| error.to_string())?;
    let Request { libclang, options } = postcard::from_bytes(&request).map_err(|error| error.to_string())?;
    if let Some(libclang) = libclang {
        header::set_libclang(libclang);
    }
    let answer = postcard::to_stdvec(&header::read(&options)).map_err(|error| error.to_string())?;
    std::io::stdout().lock().write_all(&answer).map_err(|error| error.to_string())
}
