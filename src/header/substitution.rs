//! The directive `define OLD -> NEW`: the text that clang reads instead of a file's.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clang::TranslationUnit;

use super::directives::{self, Line, lines_in_force};
use super::scanner::comments;
use super::sources::{Source, Sources};
use crate::error::{HeaderError, HeaderResult};

/// Files whose text is to be another than on disk, by the names that clang has for them.
#[derive(Clone, Default)]
pub(super) struct Texts(HashMap<PathBuf, Rc<str>>);

impl Texts {
    /// What is to be read instead of a file.
    pub(super) fn get(&self, file: &Path) -> Option<&Rc<str>> {
        self.0.get(file)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.0.iter().map(|(file, text)| (file.as_path(), &**text))
    }

    /// Adds the files of a unit that say so themselves; tells whether there are new ones, so that the unit
    /// has to be read again.
    pub(super) fn add(&mut self, unit: &TranslationUnit<'_>, sources: &Sources) -> HeaderResult<bool> {
        let before = self.0.len();
        for source in directives::own_sources(unit, sources) {
            if !self.0.contains_key(&source.name)
                && let Some(text) = substituted(&source, lines_in_force(unit, &source))?
            {
                self.0.insert(source.name.clone(), text.into());
            }
        }
        Ok(self.0.len() > before)
    }
}

/// A file's text as its `define`s have it; `None` where there is none.
fn substituted(source: &Source, lines: Vec<Line>) -> HeaderResult<Option<String>> {
    let mut defines = Vec::new();
    for line in lines.into_iter().filter(|line| line.word == "define") {
        let (old, new) = parts(&line.rest).ok_or_else(|| HeaderError::Directive {
            location: source.location(line.offset),
            message: format!("'$ define {}' is not '$ define OLD -> NEW'", line.rest),
        })?;
        defines.push((line.comment_end, old.to_owned(), new.to_owned()));
    }
    Ok((!defines.is_empty()).then(|| replace(source.text(), &defines)))
}

fn parts(rest: &str) -> Option<(&str, &str)> {
    let (old, new) = rest.split_once("->")?;
    let (old, new) = (old.trim(), new.trim());
    (!old.is_empty() && !new.contains("->")).then_some((old, new))
}

/// The text with the replacements made in the code behind each one, not in comments.
fn replace(text: &[u8], defines: &[(usize, String, String)]) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut at = 0;
    let ends = [(text.len(), text.len())];
    for (start, end) in comments(text).iter().map(|comment| (comment.start, comment.end)).chain(ends) {
        let mut code = String::from_utf8_lossy(text.get(at..start).unwrap_or_default()).into_owned();
        for (_, old, new) in defines.iter().filter(|(from, ..)| *from <= at) {
            code = code.replace(old, new);
        }
        replaced.push_str(&code);
        replaced.push_str(&String::from_utf8_lossy(text.get(start..end).unwrap_or_default()));
        at = end;
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::{parts, replace};

    #[test]
    fn code_is_replaced_behind_the_directive_and_comments_are_not() {
        let text = "box a; // $ define box -> int\nbox b; /* box */ boxes c;\n";
        let end = text.find('\n').unwrap();
        let replaced = replace(text.as_bytes(), &[(end, "box".to_owned(), "int".to_owned())]);
        assert_eq!(replaced, "box a; // $ define box -> int\nint b; /* box */ intes c;\n");
    }

    #[test]
    fn later_replacements_see_what_earlier_ones_have_made() {
        let defines = [(0, "a".to_owned(), "b".to_owned()), (0, "b".to_owned(), "c".to_owned())];
        assert_eq!(replace(b"a b c", &defines), "c c c");
    }

    #[test]
    fn both_sides_may_have_spaces_and_the_new_may_be_empty() {
        assert_eq!(parts("struct box* -> void*"), Some(("struct box*", "void*")));
        assert_eq!(parts("EXPORT ->"), Some(("EXPORT", "")));
        for bad in ["", "a", "-> b", "a -> b -> c", "a - > b"] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }
}
