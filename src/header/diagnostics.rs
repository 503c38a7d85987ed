//! What clang has against a header.

use std::path::{Path, PathBuf};

use clang::TranslationUnit;
use clang::diagnostic::{Diagnostic, Severity};

use super::Options;
use super::sources::location_of;
use super::unit::MAIN_FILE;
use crate::error::{HeaderError, HeaderResult};
use crate::model::Location;

/// Fails with clang's first error, if it has one: a header that clang cannot read to the end
/// would give an interface with holes. `headers` are the files that the main file includes, one a line.
pub(super) fn check(unit: &TranslationUnit<'_>, options: &Options, headers: &[PathBuf]) -> HeaderResult<()> {
    let diagnostics = unit.get_diagnostics();
    let errors: Vec<_> = diagnostics.iter().filter(|d| is_error(d)).collect();
    match errors.first() {
        None => Ok(()),
        Some(first) => Err(error(first, errors.len() - 1, options, headers)),
    }
}

/// The lines of the main file with errors.
pub(super) fn lines_with_errors(unit: &TranslationUnit<'_>) -> impl Iterator<Item = u32> {
    let diagnostics = unit.get_diagnostics().into_iter().filter(is_error);
    diagnostics.map(|d| d.get_location().get_expansion_location()).map(|place| place.line)
}

/// Whether clang could not make sense of the code.
fn is_error(diagnostic: &Diagnostic<'_>) -> bool {
    matches!(diagnostic.get_severity(), Severity::Error | Severity::Fatal)
}

fn error(first: &Diagnostic<'_>, more: usize, options: &Options, headers: &[PathBuf]) -> HeaderError {
    let message = advised(first.get_text());
    let place = first.get_location().get_expansion_location();
    match place.file.map(|file| location_of(&file)) {
        Some(file) if file == Path::new(MAIN_FILE) => match headers.get(place.line as usize - 1) {
            Some(header) => HeaderError::HeaderSyntax { location: end_of(header), message, more },
            None => options.refused(message),
        },
        Some(file) => {
            let location = Location { file, line: place.line, column: place.column };
            HeaderError::HeaderSyntax { location, message, more }
        }
        // Of the command line, not of any header: a macro that cannot be.
        None => options.refused(message),
    }
}

/// Clang's message, with what to do where that is known.
fn advised(message: String) -> String {
    const OF_CXX: [&str; 4] = ["class", "namespace", "template", "using"];
    let unknown = message.strip_prefix("unknown type name '").and_then(|rest| rest.strip_suffix('\''));
    match unknown {
        Some(word) if OF_CXX.contains(&word) => format!("{message}: this is C++, and pythy reads C"),
        Some(_) => format!("{message}; give the header that declares it before this one"),
        None if message.ends_with("file not found") => {
            format!("{message}; include_dirs names further directories to look in")
        }
        None => message,
    }
}

/// Where a header ends. One that ends inside a declaration shows up behind its `#include`.
fn end_of(header: &Path) -> Location {
    let text = std::fs::read(header).unwrap_or_default();
    let lines = text.split(|&byte| byte == b'\n');
    let (line, last) = lines.enumerate().last().unwrap_or_default();
    Location { file: header.to_owned(), line: line as u32 + 1, column: last.len() as u32 + 1 }
}
