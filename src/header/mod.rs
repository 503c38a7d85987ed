//! From C headers to the [model](crate::model), by means of libclang. Nothing else of the crate
//! knows libclang.

mod aliases;
mod cache;
mod classes;
mod cleanups;
mod comments;
mod constants;
mod dependencies;
mod diagnostics;
mod directives;
mod docstring;
mod enumerations;
mod freestanding;
mod functions;
mod lengths;
mod library;
mod lowering;
mod macros;
mod options;
mod patterns;
mod prototype;
mod records;
mod resolution;
mod scanner;
mod search;
mod sources;
mod substitution;
mod types;
mod unit;

pub use cache::{Cache, Entry, Key};
pub use dependencies::Dependencies;
pub use library::set_libclang;
pub use options::Options;

use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use self::sources::Sources;
use self::substitution::Texts;
use crate::error::HeaderResult;
use crate::model::Interface;

/// What headers declare, and what that hangs on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parsed {
    /// Everything that is declared.
    pub interface: Interface,
    /// The files that were read; `None` where the same files may give something else another time.
    pub dependencies: Option<Dependencies>,
}

/// Parses the headers as one translation unit and returns everything that it declares, what the
/// headers include among it.
///
/// A location is where a declaration begins (its first specifier, or the macro that makes it).
///
/// # Errors
///
/// [`HeaderNotFound`](crate::error::HeaderError::HeaderNotFound) for a missing header,
/// [`HeaderSyntax`](crate::error::HeaderError::HeaderSyntax) for clang's first error in one (a missing
/// `#include` too), [`Directive`](crate::error::HeaderError::Directive) for a wrong directive, [`Clang`](crate::error::HeaderError::Clang) for arguments that clang refuses, and
/// [`LibclangMissing`](crate::error::HeaderError::LibclangMissing).
pub fn parse(options: &Options) -> HeaderResult<Interface> {
    Ok(read(options)?.interface)
}

/// As [`parse`], with what a [`Cache`] has to know.
pub fn read(options: &Options) -> HeaderResult<Parsed> {
    let start = SystemTime::now();
    let paths = search::find_headers(options)?;
    let main = options.main_file(&paths)?;
    library::with_clang(&options.headers_for_messages(), |clang, libclang| {
        let index = clang::Index::new(clang, false, false);
        let (unit, texts, sources) = unit_of(&index, options, (&main, &paths))?;
        diagnostics::check(&unit, options, &paths)?;
        unit::check_target(&unit, options)?;
        let dependencies = dependencies::of_unit(&unit, options, &paths, libclang, start);
        let directives = directives::of_unit(&unit, &sources);
        let macros = macros::candidates(&unit, &sources);
        let mut interface = lowering::lower(&unit, sources);
        let meanings = constants::evaluate(&index, options, (&main, &texts), macros)?;
        interface.constants.extend(meanings.constants);
        aliases::declare(&mut interface, meanings.aliases);
        interface.directives = resolution::resolve(directives, &interface)?;
        Ok(Parsed { interface, dependencies })
    })
}

/// The unit that the main file is, read again as long as files in it say that their text is to be another.
fn unit_of<'i>(
    index: &'i clang::Index<'i>,
    options: &Options,
    (main, headers): (&str, &[PathBuf]),
) -> HeaderResult<(clang::TranslationUnit<'i>, Texts, Sources)> {
    let mut texts = Texts::default();
    loop {
        let unit = unit::parse(index, options, (main, &texts), true)?;
        let sources = Sources::new(&unit, headers, &texts);
        if !texts.add(&unit, &sources)? {
            return Ok((unit, texts, sources));
        }
    }
}
