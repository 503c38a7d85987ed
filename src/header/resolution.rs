//! What directives mean: each checked against what the headers declare, whatever their order is.

use std::collections::HashMap;

use super::directives::{Declared, Directive, WORDS};
use super::patterns::Patterns;
use crate::error::{HeaderError, HeaderResult};
use crate::model::{Alias, Directives, Function, Interface, Wrapper, did_you_mean};

/// What `directives` say about an interface.
pub(super) fn resolve(directives: Vec<Directive>, interface: &Interface) -> HeaderResult<Directives> {
    let functions = interface.functions.iter().map(|function| (function.name.as_str(), function)).collect();
    let mut resolver = Resolver { interface, functions, found: Directives::default() };
    // A class is needed by all that name it; of wrappers, the updates come after what they update.
    for words in [&["class"][..], &["init", "func_alias"], &["private", "len", "cleanup"], &["property"]] {
        let of_turn = directives.iter().filter(|directive| words.contains(&directive.word.as_str()));
        for directive in of_turn {
            resolver.one(directive)?;
        }
        if words.contains(&"class") {
            resolver.find_methods();
            resolver.check_classes()?;
        }
    }
    resolver.wrappers(&directives)?;
    match directives.iter().find(|directive| !WORDS.contains(&directive.word.as_str())) {
        Some(unknown) => Err(unknown.error(format!(
            "there is no directive '{}'{}",
            unknown.word,
            did_you_mean(&unknown.word, WORDS.iter().copied())
        ))),
        None => Ok(resolver.found),
    }
}

impl Directive {
    pub(super) fn error(&self, message: String) -> HeaderError {
        HeaderError::Directive { location: self.location.clone(), message }
    }

    /// What is wrong with how it is written.
    pub(super) fn malformed(&self, form: &str) -> HeaderError {
        let written = format!("$ {} {}", self.word, self.rest);
        self.error(format!("'{}' is not '$ {form}'", written.trim_end()))
    }

    pub(super) fn words(&self) -> Vec<&str> {
        self.rest.split_whitespace().collect()
    }
}

/// The directives of one interface, on their way: `classes`, `lengths` and `cleanups` have the meanings of theirs.
pub(super) struct Resolver<'a> {
    pub(super) interface: &'a Interface,
    pub(super) functions: HashMap<&'a str, &'a Function>,
    pub(super) found: Directives,
}

impl<'a> Resolver<'a> {
    fn one(&mut self, directive: &Directive) -> HeaderResult<()> {
        match directive.word.as_str() {
            "class" => self.class(directive),
            "init" => self.init(directive),
            "func_alias" => self.alias(directive),
            "private" => self.private(directive),
            "len" => self.length(directive),
            "cleanup" => self.cleanup(directive),
            "property" => self.property(directive),
            _ => Ok(()),
        }
    }

    /// The function of this name, or the one that is declared next.
    pub(super) fn function(&self, directive: &Directive, name: Option<&str>) -> HeaderResult<&'a Function> {
        let name = match (name, &directive.next) {
            (Some(name), _) => name,
            (None, Some(Declared::Function(name))) => name,
            (None, Some(Declared::Other(other))) => {
                return Err(directive.error(format!(
                    "'$ {}' without a function is about the next declaration, and '{other}' is no function",
                    directive.word
                )));
            }
            (None, None) => {
                return Err(directive.error(format!(
                    "'$ {}' without a function is about the next declaration, and there is none",
                    directive.word
                )));
            }
        };
        self.functions.get(name).copied().ok_or_else(|| self.no_function(directive, name))
    }

    pub(super) fn no_function(&self, directive: &Directive, name: &str) -> HeaderError {
        let nearest = did_you_mean(name, self.functions.keys().copied());
        directive.error(format!("the headers declare no function '{name}'{nearest}"))
    }
    fn alias(&mut self, directive: &Directive) -> HeaderResult<()> {
        const FORM: &str = "func_alias [FUNCTION] NAME";
        let (function, name) = match directive.words()[..] {
            [name] => (None, name),
            [function, name] => (Some(function), name),
            _ => return Err(directive.malformed(FORM)),
        };
        if let Some(pattern) = function.filter(|function| function.contains('*')) {
            return self.aliases(directive, pattern, name);
        }
        if !is_identifier(name) {
            return Err(directive.malformed(FORM));
        }
        let function = self.function(directive, function)?.name.clone();
        let location = Some(directive.location.clone());
        self.found.aliases.push(Alias { function, name: name.to_owned(), location });
        Ok(())
    }

    /// `box_* *` takes a prefix off.
    fn aliases(&mut self, directive: &Directive, pattern: &str, name: &str) -> HeaderResult<()> {
        let parts = pattern.split_once('*').zip(name.split_once('*'));
        let parts = parts.filter(|(old, new)| !old.1.contains('*') && !new.1.contains('*'));
        let Some(((before, after), (new_before, new_after))) = parts else {
            return Err(directive.error(format!("'{pattern}' and '{name}' need one '*' each")));
        };
        let renamed = self.interface.functions.iter().filter_map(|function| {
            let middle = function.name.strip_prefix(before)?.strip_suffix(after)?;
            let name = format!("{new_before}{middle}{new_after}");
            let location = Some(directive.location.clone());
            is_identifier(&name).then(|| Alias { function: function.name.clone(), name, location })
        });
        let known = self.found.aliases.len();
        self.found.aliases.extend(renamed);
        if self.found.aliases.len() == known {
            return Err(directive.error(format!("no function that the headers declare is like '{pattern}'")));
        }
        Ok(())
    }

    fn private(&mut self, directive: &Directive) -> HeaderResult<()> {
        let function = match directive.words()[..] {
            [] => None,
            [function] => Some(function),
            _ => return Err(directive.malformed("private [FUNCTION]")),
        };
        let name = self.function(directive, function)?.name.clone();
        if !self.found.private.contains(&name) {
            self.found.private.push(name);
        }
        Ok(())
    }
    fn wrappers(&mut self, directives: &[Directive]) -> HeaderResult<()> {
        let mut wrappers: Vec<(String, &Directive, Patterns)> = Vec::new();
        for directive in directives.iter().filter(|directive| directive.word == "wrapper") {
            let words = directive.words();
            let [name, patterns @ ..] = &words[..] else {
                return Err(directive.malformed("wrapper NAME PATTERN..."));
            };
            if let Some((_, other, _)) = wrappers.iter().find(|(known, ..)| known == name) {
                return Err(directive.error(format!(
                    "there is a '$ wrapper {name}' already, at {}; '$ wrapper_update {name}' adds patterns",
                    other.location
                )));
            }
            let patterns = match patterns {
                [] => Patterns::of(&[self.function(directive, None)?.name.as_str()]),
                patterns => Patterns::of(patterns),
            };
            wrappers.push(((*name).to_owned(), directive, self.checked(directive, patterns)?));
        }
        for directive in directives.iter().filter(|directive| directive.word == "wrapper_update") {
            let words = directive.words();
            let [name, patterns @ ..] = &words[..] else {
                return Err(directive.malformed("wrapper_update NAME PATTERN..."));
            };
            let more = match patterns {
                [] => Patterns::of(&[self.function(directive, None)?.name.as_str()]),
                patterns => Patterns::of(patterns),
            };
            let more = self.checked(directive, more)?;
            let nearest = did_you_mean(name, wrappers.iter().map(|(known, ..)| known.as_str()));
            let Some((.., patterns)) = wrappers.iter_mut().find(|(known, ..)| known == name) else {
                return Err(directive.error(format!("there is no '$ wrapper {name}'{nearest}")));
            };
            patterns.extend(more);
        }
        for (name, directive, patterns) in wrappers {
            let functions = self.interface.functions.iter().map(|function| function.name.as_str());
            let chosen = functions.filter(|function| patterns.choose(function, self.class_of(function)));
            let functions = chosen.map(str::to_owned).collect();
            self.found.wrappers.push(Wrapper { name, functions, location: directive.location.clone() });
        }
        Ok(())
    }
    /// The patterns, if each name in them that has no `*` is one of something.
    pub(super) fn checked(&self, directive: &Directive, patterns: Patterns) -> HeaderResult<Patterns> {
        for name in patterns.plain_names() {
            match name {
                (name, false) if !self.functions.contains_key(name) => {
                    return Err(self.no_function(directive, name));
                }
                (name, true) => drop(self.class_named(directive, name)?),
                _ => {}
            }
        }
        Ok(patterns)
    }
}

pub(super) fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
