//! Where the comments of a file are.

/// One `/* … */`, or the lines of `//` that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comment {
    /// Offset of its first byte.
    pub(super) start: usize,
    /// Offset behind its last byte, the newline not included.
    pub(super) end: usize,
    /// Whether nothing stands before it on its line.
    pub(super) starts_line: bool,
    /// Whether it is marked as documentation: `/**`, `/*!`, `///`, `//!`.
    pub(super) documentation: bool,
    /// Whether it is marked as describing what stands before it: `/**<`, `///<`.
    pub(super) backward: bool,
}

/// All comments, in order.
pub(super) fn comments(text: &[u8]) -> Vec<Comment> {
    let mut found: Vec<Comment> = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'/' if text[at..].starts_with(b"//") => {
                let comment = comment(text, at, line_end(text, at));
                at = comment.end;
                match found.last_mut() {
                    Some(last) if continues(text, last, &comment) => last.end = comment.end,
                    _ => found.push(comment),
                }
            }
            b'/' if text[at..].starts_with(b"/*") => {
                let end = find(&text[at + 2..], b"*/").map_or(text.len(), |length| at + 2 + length + 2);
                found.push(comment(text, at, end));
                at = end;
            }
            quote @ (b'"' | b'\'') => at = literal_end(text, at, quote),
            _ => at += 1,
        }
    }
    found
}

fn comment(text: &[u8], start: usize, end: usize) -> Comment {
    let body = &text[start..end];
    let documentation = match body {
        [b'/', b'*', b'*', next, ..] => !matches!(next, b'*' | b'/'),
        [b'/', b'/', b'/', next, ..] => *next != b'/',
        [b'/', b'/', b'/'] | [b'/', b'*' | b'/', b'!', ..] => true,
        _ => false,
    };
    let starts_line = text[line_start(text, start)..start].trim_ascii().is_empty();
    let backward = documentation && body.get(3) == Some(&b'<');
    Comment { start, end, starts_line, documentation, backward }
}

/// Whether `next` is a line comment directly below `last`, in the same column and of the same style.
fn continues(text: &[u8], last: &Comment, next: &Comment) -> bool {
    let column = |offset: usize| offset - line_start(text, offset);
    let gap = &text[last.end..next.start];
    text[last.start..].starts_with(b"//")
        && next.starts_line
        && gap.trim_ascii().is_empty()
        && gap.iter().filter(|&&byte| byte == b'\n').count() == 1
        && column(last.start) == column(next.start)
        && last.documentation == next.documentation
        && (last.backward || !next.backward)
}

fn line_start(text: &[u8], offset: usize) -> usize {
    text[..offset].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1)
}

/// Where the line ends that begins somewhere before `at`, lines joined by a backslash being one.
fn line_end(text: &[u8], at: usize) -> usize {
    let mut from = at;
    loop {
        let Some(length) = text[from..].iter().position(|&byte| byte == b'\n') else { return text.len() };
        let end = from + length;
        if !text[at..end].trim_ascii_end().ends_with(b"\\") {
            return if text[..end].ends_with(b"\r") { end - 1 } else { end };
        }
        from = end + 1;
    }
}

/// Behind the string or character constant at `at`. An apostrophe in a line of prose (after
/// `#error`, in a branch not taken) ends with its line.
fn literal_end(text: &[u8], at: usize, quote: u8) -> usize {
    let mut i = at + 1;
    while let Some(&byte) = text.get(i) {
        match byte {
            b'\\' => i += 1,
            b'\n' => return i,
            byte if byte == quote => return i + 1,
            _ => {}
        }
        i += 1;
    }
    text.len()
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::comments;

    fn found(text: &str) -> Vec<&str> {
        comments(text.as_bytes()).iter().map(|comment| &text[comment.start..comment.end]).collect()
    }

    #[test]
    fn comments_in_literals_are_none() {
        assert_eq!(found("char *s = \"/* no */ \\\" // no\"; char c = '\"'; // yes"), ["// yes"]);
    }

    #[test]
    fn an_apostrophe_in_prose_ends_with_its_line() {
        assert_eq!(found("#error don't\n/* yes */"), ["/* yes */"]);
    }

    #[test]
    fn line_comments_below_each_other_are_one() {
        assert_eq!(found("// a\n// b\n\n// c"), ["// a\n// b", "// c"]);
        assert_eq!(found("int x; // a\n       // b\n// c"), ["// a\n       // b", "// c"]);
        assert_eq!(found("// a\n/// b"), ["// a", "/// b"]);
    }

    #[test]
    fn a_backslash_carries_a_line_comment_on() {
        assert_eq!(found("// a \\\nb\nint c;"), ["// a \\\nb"]);
    }

    #[test]
    fn an_open_comment_ends_with_the_file() {
        assert_eq!(found("int a; /* open"), ["/* open"]);
    }
}
