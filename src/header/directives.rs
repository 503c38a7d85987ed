//! Directives: lines of comments that begin with `$ word`. Here they are found; `resolution` says what they mean.

use std::rc::Rc;

use clang::source::File;
use clang::{Entity, EntityKind, TranslationUnit};
use memchr::memchr;

use super::scanner::{Comment, comments};
use super::sources::{Source, Sources};
use crate::model::Location;

/// The words of all directives.
pub(super) const WORDS: &[&str] = &[
    "class",
    "cleanup",
    "define",
    "func_alias",
    "init",
    "len",
    "private",
    "property",
    "wrapper",
    "wrapper_update",
];

/// A directive as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Where its `$` is.
    pub(super) offset: usize,
    /// Where its comment ends.
    pub(super) comment_end: usize,
    /// The word behind the `$`.
    pub(super) word: String,
    /// What stands behind the word.
    pub(super) rest: String,
}

/// A directive with its place.
pub(super) struct Directive {
    pub(super) location: Location,
    pub(super) word: String,
    pub(super) rest: String,
    /// The declaration that comes next in the file.
    pub(super) next: Option<Declared>,
}

/// What is declared somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Declared {
    /// A function of this name.
    Function(String),
    /// Something else, as C calls it.
    Other(String),
}

/// All directives of the given headers, and of what they include that is not the system's.
pub(super) fn of_unit(unit: &TranslationUnit<'_>, sources: &Sources) -> Vec<Directive> {
    let mut found: Vec<(Rc<Source>, Line)> = Vec::new();
    for source in own_sources(unit, sources) {
        let lines = lines_in_force(unit, &source);
        found.extend(
            lines.into_iter().filter(|line| line.word != "define").map(|line| (source.clone(), line)),
        );
    }
    if found.is_empty() {
        return Vec::new();
    }
    let declarations = declarations(unit, sources);
    let next = |source: &Source, line: &Line| {
        let later = declarations
            .iter()
            .filter(|(place, offset, _)| place.path == source.path && *offset > line.offset);
        later.min_by_key(|(_, offset, _)| *offset).map(|(.., declared)| declared.clone())
    };
    found
        .into_iter()
        .map(|(source, line)| Directive {
            location: source.location(line.offset),
            next: next(&source, &line),
            word: line.word,
            rest: line.rest,
        })
        .collect()
}

/// The files that may have directives, each once.
pub(super) fn own_sources(unit: &TranslationUnit<'_>, sources: &Sources) -> Vec<Rc<Source>> {
    let mut own: Vec<Rc<Source>> = Vec::new();
    for entity in unit.get_entity().get_children() {
        if entity.get_kind() != EntityKind::InclusionDirective {
            continue;
        }
        let Some(file) = entity.get_file() else { continue };
        let source = sources.source(&file);
        if (source.given || !is_of_system(&file)) && own.iter().all(|known| known.path != source.path) {
            own.push(source);
        }
    }
    own
}

fn is_of_system(file: &File<'_>) -> bool {
    file.get_offset_location(0).is_in_system_header()
}

/// The directives of a file, without those in branches that the preprocessor leaves out.
pub(super) fn lines_in_force(unit: &TranslationUnit<'_>, source: &Source) -> Vec<Line> {
    let mut lines = lines(source.text());
    if lines.is_empty() {
        return lines;
    }
    let name = source.name.as_path();
    for range in unit.get_skipped_ranges() {
        let (start, end) = (range.get_start().get_file_location(), range.get_end().get_file_location());
        if start.file.is_some_and(|file| file.get_path() == name) {
            lines.retain(|line| !(start.offset as usize..end.offset as usize).contains(&line.offset));
        }
    }
    lines
}

/// Where each declaration of the unit begins.
fn declarations(unit: &TranslationUnit<'_>, sources: &Sources) -> Vec<(Rc<Source>, usize, Declared)> {
    let declared = |entity: Entity<'_>| {
        let declared = match entity.get_kind() {
            EntityKind::FunctionDecl => Declared::Function(entity.get_name()?),
            EntityKind::StructDecl | EntityKind::UnionDecl | EntityKind::EnumDecl => {
                Declared::Other(entity.get_type()?.get_display_name())
            }
            EntityKind::TypedefDecl | EntityKind::VarDecl => Declared::Other(entity.get_name()?),
            _ => return None,
        };
        let place = sources.place(&entity)?;
        Some((place.source, place.span.start, declared))
    };
    unit.get_entity().get_children().into_iter().filter_map(declared).collect()
}

/// The directives in a text.
pub(super) fn lines(text: &[u8]) -> Vec<Line> {
    if memchr(b'$', text).is_none() {
        return Vec::new();
    }
    comments(text).iter().flat_map(|comment| lines_of(text, comment)).collect()
}

fn lines_of(text: &[u8], comment: &Comment) -> Vec<Line> {
    let body = text.get(comment.start..comment.end).unwrap_or_default();
    let mut start = comment.start;
    let mut found = Vec::new();
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        let blank = line.len() - line.trim_ascii_start().len();
        let marks = line[blank..].iter().take_while(|byte| b"/*!<".contains(byte)).count();
        let content = String::from_utf8_lossy(&line[blank + marks..]);
        if let Some((word, rest)) = directive(&content) {
            let spaces = content.len() - content.trim_start().len();
            let offset = start + blank + marks + spaces;
            found.push(Line {
                offset,
                comment_end: comment.end,
                word: word.to_owned(),
                rest: rest.to_owned(),
            });
        }
        start += line.len();
    }
    found
}

/// The word and the rest of a directive, if a comment's line is one; its marks are gone.
///
/// `$Id$` of a version control system is none, nor is `$HOME`: without a space only a known word counts.
pub(super) fn directive(line: &str) -> Option<(&str, &str)> {
    let behind = line.trim().strip_prefix('$')?;
    let behind = behind.strip_suffix("*/").unwrap_or(behind).trim_end();
    let content = behind.trim_start();
    let length = content.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(content.len());
    let (word, rest) = content.split_at(length);
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let apart = content.len() < behind.len();
    let ends = rest.is_empty() || rest.starts_with(char::is_whitespace);
    (is_word && ends && (apart || WORDS.contains(&word))).then(|| (word, rest.trim()))
}

#[cfg(test)]
mod tests {
    use super::{directive, lines};

    #[test]
    fn a_directive_begins_its_line() {
        assert_eq!(directive(" $ private"), Some(("private", "")));
        assert_eq!(directive("$ class  box Box "), Some(("class", "box Box")));
        assert_eq!(directive("$class box"), Some(("class", "box")));
        assert_eq!(directive(" $ private */"), Some(("private", "")));
        assert_eq!(directive("$ frobnicate it"), Some(("frobnicate", "it")));
        for other in ["$Id$", "$Id: code.h 12 $", "$HOME is", "it costs $ 12", "$ 12", "$ ./run.sh", "$", ""]
        {
            assert_eq!(directive(other), None, "{other}");
        }
    }

    #[test]
    fn comments_of_every_style_have_directives() {
        let text = b"// $ private\n/// $ class a\n/* $ class b */ int x;\n/**\n * $ class c\n * text $ class d\n */\n\
            /*\n  $ class e\n  // $ class f\n*/\nchar *s = \"// $ class g\";\n";
        let found: Vec<_> =
            lines(text).into_iter().map(|line| format!("{} {}", line.word, line.rest)).collect();
        assert_eq!(found, ["private ", "class a", "class b", "class c", "class e", "class f"]);
        let offsets: Vec<_> = lines(text).into_iter().map(|line| text[line.offset]).collect();
        assert_eq!(offsets, [b'$'; 6]);
    }
}
