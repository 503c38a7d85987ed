use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::freestanding;
use super::search::find_headers;
use crate::error::{HeaderError, HeaderResult};

/// Which headers to parse, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// The headers, in the order in which they are included. One that does not exist relative to
    /// the working directory is looked for in `include_dirs`, then in the system's directories.
    pub headers: Vec<PathBuf>,
    /// Directories for `#include`, as with `-I`.
    pub include_dirs: Vec<PathBuf>,
    /// Macros to define, as with `-D`; `None` as value means `1`.
    pub defines: Vec<(String, Option<String>)>,
    /// Further arguments for clang, as they are. They come last.
    pub clang_args: Vec<String>,
}

impl Options {
    /// The headers as messages name them, joined with commas.
    pub(super) fn headers_for_messages(&self) -> String {
        self.headers.iter().map(|h| h.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    /// The command line for clang.
    pub(super) fn arguments(&self) -> HeaderResult<Vec<String>> {
        let fixed = ["-x", "c", "-w", "-ferror-limit=0", "-isystem", freestanding::DIRECTORY];
        let mut arguments: Vec<String> = fixed.map(str::to_owned).into();
        arguments.extend(self.own_arguments()?);
        Ok(arguments)
    }

    /// The part of the command line that is the user's.
    pub fn own_arguments(&self) -> HeaderResult<Vec<String>> {
        let mut arguments = Vec::new();
        for directory in &self.include_dirs {
            arguments.push(format!("-I{}", self.text(directory)?));
        }
        for (name, value) in &self.defines {
            arguments.push(match value {
                Some(value) => format!("-D{name}={value}"),
                None => format!("-D{name}"),
            });
        }
        arguments.extend(self.clang_args.iter().cloned());
        match arguments.iter().find(|argument| argument.contains('\0')) {
            Some(argument) => Err(self.refused(format!("argument {argument:?} contains a NUL"))),
            None => Ok(arguments),
        }
    }

    /// The text of a file that includes all headers.
    pub fn includes(&self) -> HeaderResult<String> {
        self.main_file(&find_headers(self)?)
    }

    /// The text of a file that includes all headers, found at `paths`, in order.
    pub(super) fn main_file(&self, paths: &[PathBuf]) -> HeaderResult<String> {
        paths.iter().map(|path| self.include(path)).collect()
    }

    fn include(&self, path: &PathBuf) -> HeaderResult<String> {
        let text = self.text(path)?;
        // C has no escapes in the name of an included file.
        if text.contains(['\n', '\0']) || (text.contains('"') && text.contains('>')) {
            return Err(self.refused(format!("{text:?} cannot be written in an #include")));
        }
        Ok(if text.contains('"') { format!("#include <{text}>\n") } else { format!("#include \"{text}\"\n") })
    }

    fn text<'p>(&self, path: &'p PathBuf) -> HeaderResult<&'p str> {
        path.to_str().ok_or_else(|| self.refused(format!("path {path:?} is not valid UTF-8")))
    }

    /// An error of these options' making.
    pub(super) fn refused(&self, message: String) -> HeaderError {
        HeaderError::Clang { headers: self.headers_for_messages(), message }
    }
}
