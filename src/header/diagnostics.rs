//! What clang has against a header.

use clang::TranslationUnit;
use clang::diagnostic::{Diagnostic, Severity};

use super::sources::location_of;
use crate::error::{Error, Result};
use crate::model::Location;

/// Fails with clang's first error, if it has one: a header that clang cannot read to the end
/// would give an interface with holes.
pub(super) fn check(unit: &TranslationUnit<'_>, headers: &str) -> Result<()> {
    let diagnostics = unit.get_diagnostics();
    let errors: Vec<_> = diagnostics.iter().filter(|d| is_error(d)).collect();
    match errors.first() {
        None => Ok(()),
        Some(first) => Err(error(first, errors.len() - 1, headers)),
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

fn error(first: &Diagnostic<'_>, more: usize, headers: &str) -> Error {
    let message = first.get_text();
    let place = first.get_location().get_expansion_location();
    match place.file {
        Some(file) => {
            let location = Location { file: location_of(&file), line: place.line, column: place.column };
            Error::HeaderSyntax { location, message, more }
        }
        // Of the command line, not of any header: an unknown argument, a macro that cannot be.
        None => Error::Clang { headers: headers.to_owned(), message },
    }
}
