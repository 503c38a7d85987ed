//! The patterns of the directive `wrapper`: which functions it is for.

/// Patterns in order: the last that matches a function decides, and without one it is not chosen.
pub(super) struct Patterns(Vec<Pattern>);

/// One of them.
struct Pattern {
    /// `!`: what matches is not chosen.
    excludes: bool,
    /// `@`: it is about the function's class.
    of_class: bool,
    /// What stands between `|`.
    alternatives: Vec<String>,
}

/// Among the patterns of classes: no class.
const NONE: &str = "#";

impl Patterns {
    /// As words of a directive.
    pub(super) fn of(words: &[&str]) -> Self {
        let one = |word: &&str| {
            let positive = word.strip_prefix('!');
            let word = positive.unwrap_or(word);
            let class = word.strip_prefix('@');
            let alternatives = class.unwrap_or(word).split('|').map(str::to_owned).collect();
            Pattern { excludes: positive.is_some(), of_class: class.is_some(), alternatives }
        };
        Self(words.iter().map(one).collect())
    }

    /// Adds patterns that decide over these.
    pub(super) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// Whether they choose a function of a class, given by its argument.
    pub(super) fn choose(&self, function: &str, class: Option<&str>) -> bool {
        let last = self.0.iter().rev().find(|pattern| pattern.matches(function, class));
        last.is_some_and(|pattern| !pattern.excludes)
    }

    /// The names without a `*`, and whether each is that of a class.
    pub(super) fn plain_names(&self) -> impl Iterator<Item = (&str, bool)> {
        let names = self
            .0
            .iter()
            .flat_map(|pattern| pattern.alternatives.iter().map(|name| (name.as_str(), pattern.of_class)));
        names.filter(|(name, of_class)| !(name.contains('*') || *of_class && *name == NONE))
    }
}

impl Pattern {
    fn matches(&self, function: &str, class: Option<&str>) -> bool {
        self.alternatives.iter().any(|pattern| match (self.of_class, class) {
            (false, _) => is_like(function, pattern),
            (true, None) => pattern == NONE,
            (true, Some(class)) => is_like(class, pattern),
        })
    }
}

/// Whether a name is like a pattern, in which each `*` stands for anything.
fn is_like(name: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return name == pattern };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, behind)) = name.split_once(part) else { return false };
        name = behind;
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::{Patterns, is_like};

    #[test]
    fn a_star_is_anything() {
        for (name, pattern) in
            [("add", "*"), ("add", "add"), ("add", "a*d"), ("add", "*d*"), ("a", "a*"), ("abcabd", "a*ab*d")]
        {
            assert!(is_like(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in [("add", "ad"), ("add", "a*c"), ("a", "a*a"), ("add", ""), ("ab", "*abc*")] {
            assert!(!is_like(name, pattern), "{name} {pattern}");
        }
    }

    #[track_caller]
    fn chosen(patterns: &str, expected: &[&str]) {
        let functions = [
            ("add", None),
            ("sub", None),
            ("box_new", Some("box")),
            ("box_area", Some("box")),
            ("circle_area", Some("circle")),
        ];
        let patterns = Patterns::of(&patterns.split(' ').collect::<Vec<_>>());
        let found =
            functions.iter().filter(|(name, class)| patterns.choose(name, *class)).map(|(name, _)| *name);
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        chosen("*", &["add", "sub", "box_new", "box_area", "circle_area"]);
        chosen("* !add", &["sub", "box_new", "box_area", "circle_area"]);
        chosen("!add *", &["add", "sub", "box_new", "box_area", "circle_area"]);
        chosen("* !*area circle_*", &["add", "sub", "box_new", "circle_area"]);
        chosen("add|sub", &["add", "sub"]);
        chosen("!add", &[]);
    }

    #[test]
    fn classes_have_patterns_of_their_own() {
        chosen("@#", &["add", "sub"]);
        chosen("* !@*", &["add", "sub"]);
        chosen("@*", &["box_new", "box_area", "circle_area"]);
        chosen("* !@#", &["box_new", "box_area", "circle_area"]);
        chosen("@box !box_new", &["box_area"]);
        chosen("@box|#", &["add", "sub", "box_new", "box_area"]);
    }

    #[test]
    fn names_without_a_star_are_to_be_known() {
        let patterns = Patterns::of(&["a*", "!b|c*|d", "@e|#", "#"]);
        let names: Vec<_> = patterns.plain_names().collect();
        assert_eq!(names, [("b", false), ("d", false), ("e", true), ("#", false)]);
    }
}
