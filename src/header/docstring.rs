//! From a comment as it stands in the source to plain text.

use super::directives::directive;

/// The text of `comment` (one `/* … */`, or lines that begin with `//`) without comment marks,
/// leading stars, common indentation and directives. `None` where nothing is left.
pub(super) fn clean(comment: &str) -> Option<String> {
    let is_block = comment.starts_with("/*");
    let lines = if is_block { block_comment(comment) } else { line_comment(comment) };
    let lines: Vec<_> = lines.into_iter().map(|line| without_decoration(line.trim_end())).collect();
    let inline = is_block && lines.first().is_some_and(|line| !line.is_empty() && directive(line).is_none());
    let lines: Vec<_> = lines.into_iter().filter(|line| directive(line).is_none()).collect();
    let first = lines.iter().position(|line| !line.is_empty())?;
    let last = lines.iter().rposition(|line| !line.is_empty())?;
    Some(without_indentation(&lines[first..=last], inline && first == 0))
}

fn line_comment(comment: &str) -> Vec<&str> {
    comment.lines().map(|line| without_marks(line.trim_start().trim_start_matches('/'))).collect()
}

fn block_comment(comment: &str) -> Vec<&str> {
    let inner = comment.strip_prefix("/*").unwrap_or(comment);
    let inner = inner.strip_suffix("*/").unwrap_or(inner).trim_end_matches('*');
    let mut lines = inner.lines();
    let first = without_marks(lines.next().unwrap_or_default().trim_start_matches('*')).trim_start();
    let rest: Vec<&str> = lines.collect();
    let mut all = vec![first];
    if starred(&rest) {
        all.extend(rest.iter().map(|line| line.trim_start().trim_start_matches('*')));
    } else {
        all.extend(rest);
    }
    all
}

/// The rest of the marks after the slashes and stars: `!` and `<` of Doxygen.
fn without_marks(line: &str) -> &str {
    let line = line.strip_prefix('!').unwrap_or(line);
    line.strip_prefix('<').unwrap_or(line)
}

/// Whether stars run down the left side of the comment.
fn starred(lines: &[&str]) -> bool {
    let mut lines = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).peekable();
    lines.peek().is_some() && lines.all(|line| line.starts_with('*'))
}

/// Nothing for a line that only draws a rule.
fn without_decoration(line: &str) -> &str {
    let rule = line.trim();
    let drawn = rule.len() >= 3 && rule.bytes().all(|byte| matches!(byte, b'*' | b'-' | b'=' | b'#' | b'/'));
    if drawn { "" } else { line }
}

/// The lines joined, without the indentation they share. A first line that stands directly behind
/// the opening mark (`inline`) has no say in that.
fn without_indentation(lines: &[&str], inline: bool) -> String {
    let indentation = |line: &&str| line.len() - line.trim_start().len();
    let counted = lines.iter().skip(usize::from(inline)).filter(|line| !line.is_empty());
    let common = counted.map(indentation).min().unwrap_or(0);
    let cut = lines.iter().enumerate().map(|(i, line)| match i {
        0 => line.trim_start(),
        _ => line.get(common..).unwrap_or_default(),
    });
    cut.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[track_caller]
    fn cleaned(comment: &str, expected: &str) {
        assert_eq!(clean(comment).as_deref(), Some(expected));
    }

    #[test]
    fn marks_of_every_style_go() {
        for comment in [
            "// Adds.",
            "/// Adds.",
            "//! Adds.",
            "///< Adds.",
            "//!< Adds.",
            "/* Adds. */",
            "/** Adds. */",
            "/*! Adds. */",
            "/**< Adds. */",
            "/*!< Adds. */",
            "/**\n * Adds.\n */",
            "/*\n** Adds.\n*/",
            "/*\n    Adds.\n*/",
            "/***********\n * Adds.   *\n ***********/",
        ] {
            let text = clean(comment).unwrap();
            assert_eq!(text.trim_end_matches([' ', '*']), "Adds.", "{comment}");
        }
    }

    #[test]
    fn stars_at_the_left_go_and_inner_indentation_stays() {
        cleaned("/**\n * Adds:\n *   a\n *\n *   b\n */", "Adds:\n  a\n\n  b");
        cleaned("/* Adds\n   two\n     numbers. */", "Adds\ntwo\n  numbers.");
        cleaned("/*\n     zlib\n   style\n*/", "zlib\nstyle");
    }

    #[test]
    fn stars_that_are_text_stay() {
        cleaned("/* Either:\n * one\n   two */", "Either:\n* one\n  two");
    }

    #[test]
    fn line_comments_keep_their_lines() {
        cleaned("// a\n//\n//   b", "a\n\n  b");
    }

    #[test]
    fn directives_are_no_text() {
        cleaned("// $ private\n// Adds.", "Adds.");
        cleaned("/* $ class box\n   Adds\n     two.\n   $ private */", "Adds\n  two.");
        cleaned("/** Costs $ 2.\n *\n * $ private\n */", "Costs $ 2.");
        assert_eq!(clean("/* $ private */"), None);
    }

    #[test]
    fn an_empty_comment_is_none() {
        for comment in ["/**/", "/***/", "//", "/* ------ */", "/*\n *\n */"] {
            assert_eq!(clean(comment), None, "{comment}");
        }
    }
}
