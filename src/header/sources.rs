//! The files of a translation unit: their names, whether they were given, their comments.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clang::source::File;
use clang::{Entity, TranslationUnit};

use super::comments::{Comments, Span};
use super::freestanding;
use super::substitution::Texts;
use crate::model::Location;

/// Answers, for declarations, where they are and which comment is theirs. Every file is looked at once.
pub(super) struct Sources {
    given: Vec<FileId>,
    texts: Texts,
    files: RefCell<HashMap<PathBuf, Rc<Source>>>,
}

/// One file of the translation unit.
pub(super) struct Source {
    /// As messages spell it.
    pub(super) path: PathBuf,
    /// As libclang spells it.
    pub(super) name: PathBuf,
    /// Whether it is one of the given headers.
    pub(super) given: bool,
    text: OnceCell<Rc<[u8]>>,
    comments: OnceCell<Comments>,
}

/// Where a declaration is.
pub(super) struct Place {
    pub(super) source: Rc<Source>,
    /// Where it begins.
    pub(super) location: Location,
    pub(super) span: Span,
}

type FileId = (u64, u64, u64);

impl Sources {
    /// `headers` are the paths of the given ones, `texts` what the unit was made of instead of files.
    pub(super) fn new(unit: &TranslationUnit<'_>, headers: &[PathBuf], texts: &Texts) -> Self {
        let given = headers.iter().filter_map(|path| unit.get_file(path)).map(|file| file.get_id()).collect();
        Self { given, texts: texts.clone(), files: RefCell::default() }
    }

    /// Where the declaration is; of one that a macro expands to, where the macro is used. `None` for
    /// what clang itself predefines.
    pub(super) fn place(&self, entity: &Entity<'_>) -> Option<Place> {
        let start = entity.get_range()?.get_start().get_expansion_location();
        let name = entity.get_location()?.get_expansion_location();
        let source = self.source(&start.file?);
        let location = Location { file: source.path.clone(), line: start.line, column: start.column };
        let offset = start.offset as usize;
        Some(Place { source, location, span: Span { start: offset, name: offset.max(name.offset as usize) } })
    }

    /// What is known of a file.
    pub(super) fn source(&self, file: &File<'_>) -> Rc<Source> {
        let name = file.get_path();
        if let Some(source) = self.files.borrow().get(&name) {
            return source.clone();
        }
        let given = self.given.contains(&file.get_id());
        let text: Option<Rc<[u8]>> = self.texts.get(&name).map(|text| text.as_bytes().into());
        let source = Rc::new(Source {
            path: without_dot(&name),
            name: name.clone(),
            given,
            text: text.map(OnceCell::from).unwrap_or_default(),
            comments: OnceCell::new(),
        });
        self.files.borrow_mut().insert(name, source.clone());
        source
    }
}

impl Source {
    /// The comments in the file.
    pub(super) fn comments(&self) -> &Comments {
        self.comments.get_or_init(|| Comments::new(self.text().clone()))
    }

    /// What is in the file; nothing where it cannot be read again.
    pub(super) fn text(&self) -> &Rc<[u8]> {
        self.text.get_or_init(|| match freestanding::text(&self.path) {
            Some(text) => text.as_bytes().into(),
            None => std::fs::read(&self.path).unwrap_or_default().into(),
        })
    }
}

impl Source {
    /// The line and column of an offset.
    pub(super) fn location(&self, offset: usize) -> Location {
        let before = self.text().get(..offset).unwrap_or_default();
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Location {
            file: self.path.clone(),
            line: count(1 + before.iter().filter(|&&byte| byte == b'\n').count()),
            column: count(1 + offset - line_start),
        }
    }
}

/// The file as locations spell it.
pub(super) fn location_of(file: &File<'_>) -> PathBuf {
    without_dot(&file.get_path())
}

/// clang writes `./add.h` for what it finds in the working directory.
fn without_dot(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_owned()
}
