//! Running clang over a main file that exists in memory only.

use clang::{Index, SourceError, TranslationUnit, Unsaved};

use super::{Options, freestanding};
use crate::error::HeaderResult;

/// The name of the main file. It stands in the working directory, so that clang finds what it includes there.
pub(super) const MAIN_FILE: &str = "<pythy>";

/// Parses `main`, a text that includes the headers, and with `macros` keeps the definitions of
/// macros. The diagnostics are left to the caller.
pub(super) fn parse<'i>(
    index: &'i Index<'i>,
    options: &Options,
    main: &str,
    macros: bool,
) -> HeaderResult<TranslationUnit<'i>> {
    let mut unsaved = freestanding::unsaved();
    unsaved.push(Unsaved::new(MAIN_FILE, main));
    let parsed = index
        .parser(MAIN_FILE)
        .arguments(&options.arguments()?)
        .unsaved(&unsaved)
        .detailed_preprocessing_record(macros)
        .skip_function_bodies(true)
        .parse();
    parsed.map_err(|error| options.refused(refusal(error, &options.clang_args)))
}

/// libclang has only an error code for arguments that it cannot make a compilation of.
fn refusal(error: SourceError, clang_args: &[String]) -> String {
    match error {
        SourceError::AstDeserialization | SourceError::Unknown if !clang_args.is_empty() => {
            format!("it refuses the arguments {}", clang_args.join(" "))
        }
        _ => error.to_string(),
    }
}
