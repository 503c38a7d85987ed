//! Running clang over a main file that exists in memory only.

use clang::{Index, SourceError, TranslationUnit, Unsaved};

use super::substitution::Texts;
use super::{Options, freestanding};
use crate::error::HeaderResult;

/// The name of the main file. It stands in the working directory, so that clang finds what it includes there.
pub(super) const MAIN_FILE: &str = "<pythy>";

/// Parses `main`, a text that includes the headers, with `texts` instead of some files, and with `macros` keeps the definitions of
/// macros. The diagnostics are left to the caller.
pub(super) fn parse<'i>(
    index: &'i Index<'i>,
    options: &Options,
    (main, texts): (&str, &Texts),
    macros: bool,
) -> HeaderResult<TranslationUnit<'i>> {
    let mut unsaved = freestanding::unsaved();
    unsaved.push(Unsaved::new(MAIN_FILE, main));
    unsaved.extend(texts.iter().map(|(file, text)| Unsaved::new(file, text)));
    let parsed = index
        .parser(MAIN_FILE)
        .arguments(&options.arguments()?)
        .unsaved(&unsaved)
        .detailed_preprocessing_record(macros)
        .skip_function_bodies(true)
        .parse();
    parsed.map_err(|error| options.refused(refusal(error, &options.clang_args)))
}

/// Refuses arguments for another machine than the one that the library is loaded on: `-m32`.
pub(super) fn check_target(unit: &TranslationUnit<'_>, options: &Options) -> HeaderResult<()> {
    let (width, here) = (unit.get_target().pointer_width, usize::BITS as usize);
    if width == here {
        return Ok(());
    }
    let given = options.clang_args.join(" ");
    Err(options.refused(format!("with {given} pointers have {width} bits, and here they have {here}")))
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
