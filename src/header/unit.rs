//! Running clang over a main file that exists in memory only.

use clang::{Index, TranslationUnit, Unsaved};

use super::{Options, freestanding};
use crate::error::{Error, Result};

/// The name of the main file. It stands in the working directory, so that clang finds what it includes there.
const MAIN_FILE: &str = "<pythy>";

/// Parses `main`, a text that includes the headers, and with `macros` keeps the definitions of
/// macros. The diagnostics are left to the caller.
pub(super) fn parse<'i>(
    index: &'i Index<'i>,
    options: &Options,
    main: &str,
    macros: bool,
) -> Result<TranslationUnit<'i>> {
    let mut unsaved = freestanding::unsaved();
    unsaved.push(Unsaved::new(MAIN_FILE, main));
    let parsed = index
        .parser(MAIN_FILE)
        .arguments(&options.arguments()?)
        .unsaved(&unsaved)
        .detailed_preprocessing_record(macros)
        .skip_function_bodies(true)
        .parse();
    parsed.map_err(|error| Error::Clang {
        headers: options.headers_for_messages(),
        message: format!("{error}; are the arguments for clang right?"),
    })
}
