//! The comments of one file, and which of them belongs to a declaration.
//!
//! clang's own idea of it is too narrow (it never looks behind a function's declaration, where
//! zlib.h has its comments) and too wide (it takes a section's heading for the comment of the next
//! declaration). So the file is read once more, for its comments alone.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::directives;
use super::docstring::clean;
use super::scanner::{Comment, comments};
use crate::model::Text;

/// Where a declaration begins and where its name stands, as offsets in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) name: usize,
}

/// A file's text and its comments in order.
pub(super) struct Comments {
    text: Rc<[u8]>,
    list: Vec<Comment>,
    /// Whether this file's comments come after what they describe, as in zlib.h.
    after_declarations: OnceCell<bool>,
    /// Comments that begin with the prototype of what they describe, by the function's name.
    by_prototype: OnceCell<HashMap<String, usize>>,
}

impl Comments {
    pub(super) fn new(text: Rc<[u8]>) -> Self {
        let (text, list) = without_directives(text);
        Self { text, list, after_declarations: OnceCell::new(), by_prototype: OnceCell::new() }
    }

    /// The comment of the function `name`. In this order:
    /// directly before it, behind it on its line, directly after it where that is the file's
    /// style, before or after the run of declarations it stands in if it names the function, anywhere if it
    /// begins with the function's prototype.
    pub(super) fn of_function(&self, name: &str, span: Span) -> Option<Text> {
        let comment = self
            .before(span.start)
            .or_else(|| self.behind(span.name, b";"))
            .or_else(|| self.after(span.name))
            .or_else(|| self.around_run(name, span.start))
            .or_else(|| self.with_prototype(name))?;
        self.clean(comment)
    }

    /// The comment of a typedef, tag or variable: before it or behind it.
    pub(super) fn of_declaration(&self, span: Span) -> Option<Text> {
        self.before(span.start)
            .or_else(|| self.behind(span.name, b";"))
            .and_then(|comment| self.clean(comment))
    }

    /// The comment of a field or an enumerator: behind it or before it.
    pub(super) fn of_member(&self, span: Span) -> Option<Text> {
        self.behind(span.name, b";,")
            .or_else(|| self.before(span.start))
            .and_then(|comment| self.clean(comment))
    }

    fn clean(&self, comment: &Comment) -> Option<Text> {
        clean(&String::from_utf8_lossy(self.slice(comment.start, comment.end))).map(Text::from)
    }

    fn slice(&self, start: usize, end: usize) -> &[u8] {
        self.text.get(start..end).unwrap_or_default()
    }

    fn last_before(&self, offset: usize) -> Option<&Comment> {
        self.list[..self.count_before(offset)].last()
    }

    fn count_before(&self, offset: usize) -> usize {
        self.list.partition_point(|comment| comment.end <= offset)
    }

    fn first_after(&self, offset: usize) -> Option<&Comment> {
        self.list.get(self.list.partition_point(|comment| comment.start < offset))
    }

    /// The comment directly before: nothing but specifiers in between, and no empty line, unless
    /// it is marked as documentation.
    fn before(&self, offset: usize) -> Option<&Comment> {
        let comment = self.last_before(offset)?;
        let gap = self.slice(comment.end, offset);
        let close = gap.is_empty() || !has_empty_line(gap) || (comment.documentation && is_blank(gap));
        (comment.starts_line && !comment.backward && close && is_one_declaration(gap))
            .then_some(comment)
            .filter(|comment| !self.is_about_more(comment))
    }

    /// The comment behind the declaration, on the line where it ends with one of `ends`; or, if it
    /// is marked as pointing backward, on the next.
    fn behind(&self, offset: usize, ends: &[u8]) -> Option<&Comment> {
        let (end, inner) = self.end_of_declaration(offset, ends)?;
        let after = self.first_after(end).filter(|comment| {
            let gap = self.slice(end, comment.start);
            is_blank(gap) && newlines(gap) <= usize::from(comment.backward)
        });
        after.or(inner)
    }

    /// The comment that starts on the line after the declaration, followed by an empty line or a
    /// directive, in a file whose style that is.
    fn after(&self, offset: usize) -> Option<&Comment> {
        let (end, _) = self.end_of_declaration(offset, b";")?;
        let comment = self.first_after(end)?;
        let gap = self.slice(end, comment.start);
        let directly = is_blank(gap) && newlines(gap) == 1 && self.stands_apart_below(comment);
        (directly && self.after_declarations()).then_some(comment)
    }

    fn after_declarations(&self) -> bool {
        *self.after_declarations.get_or_init(|| {
            let plain = || self.list.iter().filter(|comment| comment.starts_line);
            let after =
                plain().filter(|comment| self.follows_closely(comment) && self.stands_apart_below(comment));
            let before =
                plain().filter(|comment| !self.follows_closely(comment) && self.precedes_closely(comment));
            after.count() > before.count()
        })
    }

    /// Whether a declaration ends on the line before.
    fn follows_closely(&self, comment: &Comment) -> bool {
        let text = self.slice(0, comment.start).trim_ascii_end();
        text.ends_with(b";") && newlines(self.slice(text.len(), comment.start)) == 1
    }

    /// Whether code, not a directive, stands on the next line.
    fn precedes_closely(&self, comment: &Comment) -> bool {
        let next = self.line_below(comment).trim_ascii();
        !next.is_empty() && !next.starts_with(b"#") && !next.starts_with(b"/")
    }

    fn stands_apart_below(&self, comment: &Comment) -> bool {
        let next = self.line_below(comment).trim_ascii();
        next.is_empty() || next.starts_with(b"#")
    }

    fn line_below(&self, comment: &Comment) -> &[u8] {
        let rest = self.slice(comment.end, self.text.len());
        rest.split(|&byte| byte == b'\n').nth(1).unwrap_or_default()
    }

    /// sqlite3.h describes `sqlite3_close` and `sqlite3_close_v2`, one line after the other, in one
    /// comment before both; zlib.h `gzclose_r` and `gzclose_w` in one after both.
    fn around_run(&self, name: &str, offset: usize) -> Option<&Comment> {
        let before = self.list[..self.count_before(offset)].iter().rev().find(|comment| comment.starts_line);
        let before = before.filter(|comment| is_run(self.slice(comment.end, offset)));
        let after = self.list[self.count_before(offset)..].iter().find(|comment| comment.starts_line);
        let after =
            after.filter(|comment| is_run(self.slice(offset, comment.start)) && self.after_declarations());
        let names_it = |comment: &&Comment| {
            has_word(self.slice(comment.start, comment.end), name.as_bytes())
                && self.clean(comment).is_some_and(|text| has_word(text.as_bytes(), name.as_bytes()))
        };
        before.into_iter().chain(after).filter(|comment| !comment.backward).find(names_it)
    }

    fn with_prototype(&self, name: &str) -> Option<&Comment> {
        let by_prototype = self.by_prototype.get_or_init(|| {
            let named = self.list.iter().enumerate().filter(|(_, comment)| comment.starts_line);
            named.filter_map(|(i, comment)| Some((prototype_name(&self.clean(comment)?)?, i))).collect()
        });
        by_prototype.get(name).map(|&i| &self.list[i])
    }

    /// Whether a Doxygen command says that the comment is about a file or a group.
    fn is_about_more(&self, comment: &Comment) -> bool {
        let text = String::from_utf8_lossy(self.slice(comment.start, comment.end));
        comment.documentation
            && ["file", "defgroup", "addtogroup", "name", "mainpage", "page", "{", "}"].iter().any(
                |command| {
                    ["@", "\\"].iter().any(|mark| {
                        let found = text.split_once(&format!("{mark}{command}"));
                        found.is_some_and(|(_, rest)| !rest.starts_with(|c: char| c.is_alphanumeric()))
                    })
                },
            )
    }

    /// Where the declaration around `offset` ends, just behind its `;` (or what else is in `ends`),
    /// and the first comment inside it that does not begin a line. `None` for a function with a
    /// body, and where no end is near (what a macro declares needs none).
    fn end_of_declaration(&self, offset: usize, ends: &[u8]) -> Option<(usize, Option<&Comment>)> {
        let mut depth = 0_u32;
        let mut inner: Option<&Comment> = None;
        let mut at = offset;
        let mut line_start = false;
        while let Some(&byte) = self.text.get(at) {
            if let Some(comment) = self.comment_at(at).filter(|_| byte == b'/') {
                inner = inner.or(Some(comment).filter(|c| depth == 0 && !c.starts_line));
                at = comment.end;
                continue;
            }
            match byte {
                b'{' if self.ends_parameters(at) => return None,
                b'(' | b'[' | b'{' => depth += 1,
                b'}' if depth == 0 => break,
                b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                b'\n' | b'#' if line_start && depth == 0 => break,
                byte if depth == 0 && ends.contains(&byte) => return Some((at + 1, inner)),
                _ => {}
            }
            line_start = byte == b'\n' || (line_start && byte.is_ascii_whitespace());
            at += 1;
        }
        inner.map(|comment| (comment.end, inner))
    }

    fn comment_at(&self, offset: usize) -> Option<&Comment> {
        self.first_after(offset).filter(|comment| comment.start == offset)
    }

    /// Whether the brace at `offset` opens a function's body.
    fn ends_parameters(&self, offset: usize) -> bool {
        self.slice(0, offset).trim_ascii_end().ends_with(b")")
    }
}

/// Comments of nothing but directives describe nothing: they are made to look like part of the declaration
/// that follows, so that another comment before them is its own.
fn without_directives(text: Rc<[u8]>) -> (Rc<[u8]>, Vec<Comment>) {
    let all = comments(&text);
    let lines = directives::lines(&text);
    let only_directives = |comment: &Comment| {
        lines.iter().any(|line| (comment.start..comment.end).contains(&line.offset))
            && clean(&String::from_utf8_lossy(text.get(comment.start..comment.end).unwrap_or_default()))
                .is_none()
    };
    let (bare, list): (Vec<_>, Vec<_>) = all.into_iter().partition(only_directives);
    if bare.is_empty() {
        return (text, list);
    }
    let mut hidden = text.to_vec();
    for comment in &bare {
        let bytes = hidden.get_mut(comment.start..comment.end).into_iter().flatten();
        bytes.filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'~');
    }
    (hidden.into(), list)
}

/// Whether between a comment and a declaration stand at most specifiers of that declaration.
fn is_one_declaration(gap: &[u8]) -> bool {
    let mut depth = 0_u32;
    gap.iter().all(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        !matches!(byte, b';' | b'{' | b'}' | b'#') && (depth > 0 || *byte != b',')
    })
}

/// Whether declarations stand here line by line, without an empty line or anything else.
fn is_run(gap: &[u8]) -> bool {
    !has_empty_line(gap) && !gap.iter().any(|byte| matches!(byte, b'{' | b'}' | b'#'))
}

fn is_blank(text: &[u8]) -> bool {
    text.trim_ascii().is_empty()
}

fn newlines(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte == b'\n').count()
}

fn has_empty_line(gap: &[u8]) -> bool {
    let mut lines = gap.split(|&byte| byte == b'\n').skip(1).collect::<Vec<_>>();
    lines.pop();
    lines.into_iter().any(is_blank)
}

fn has_word(text: &[u8], word: &[u8]) -> bool {
    let is_name = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    text.windows(word.len()).enumerate().any(|(i, window)| {
        window == word
            && !is_name(i.checked_sub(1).and_then(|before| text.get(before)))
            && !is_name(text.get(i + word.len()))
    })
}

/// The function whose prototype is the comment's first paragraph; zlib.h hides some behind macros.
fn prototype_name(comment: &str) -> Option<String> {
    let paragraph = comment.split("\n\n").next()?.trim_end();
    let head = paragraph.strip_suffix(';')?.split('(').next()?.trim_end();
    let head = head.strip_suffix(" OF").unwrap_or(head);
    let (result, name) = head.rsplit_once(|c: char| !c.is_alphanumeric() && c != '_')?;
    (!result.trim().is_empty() && !name.is_empty()).then(|| name.to_owned())
}
