use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// What a report's text depends on beside the report.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    /// Columns of the terminal; `None` leaves every line as long as it is, for files and pipes.
    pub width: Option<u16>,
    /// Files below this directory are shown relative to it.
    pub directory: Option<PathBuf>,
}

impl Screen {
    pub(super) fn path<'a>(&self, file: &'a str) -> Cow<'a, str> {
        let relative = self.directory.as_ref().and_then(|base| Path::new(file).strip_prefix(base).ok());
        relative.map_or(file.into(), |path| path.to_string_lossy())
    }
}
