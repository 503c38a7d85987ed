//! Object-like macros that may be constants.

use std::collections::HashMap;

use clang::{Entity, EntityKind, TranslationUnit};

use super::sources::{Place, Sources};
use crate::model::Location;

/// An object-like macro whose text may be an expression.
#[derive(Clone, Debug)]
pub(super) struct Macro {
    pub(super) name: String,
    pub(super) location: Location,
    pub(super) given: bool,
}

/// The candidates, in the order of their first definition, each described by its last one.
///
/// Reserved names (`_STDIO_H`, `__USE_MISC`) count in the given headers only: elsewhere they are
/// the system's own affair, and more than all others together.
pub(super) fn candidates(unit: &TranslationUnit<'_>, sources: &Sources) -> Vec<Macro> {
    let mut found: Vec<Option<Macro>> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let definitions = unit.get_entity().get_children();
    for entity in definitions.iter().filter(|entity| entity.get_kind() == EntityKind::MacroDefinition) {
        let Some(name) = entity.get_name() else { continue };
        let candidate = candidate(entity, &name, sources);
        match known.get(&name) {
            Some(&index) => found[index] = candidate,
            None if candidate.is_some() => {
                known.insert(name, found.len());
                found.push(candidate);
            }
            None => {}
        }
    }
    found.into_iter().flatten().collect()
}

fn candidate(entity: &Entity<'_>, name: &str, sources: &Sources) -> Option<Macro> {
    if entity.is_builtin_macro() || entity.is_function_like_macro() {
        return None;
    }
    let Place { source, location, span } = sources.place(entity)?;
    let end = entity.get_range()?.get_end().get_expansion_location().offset as usize;
    let body = source.text().get(span.name + name.len()..end)?;
    let wanted = source.given || !is_reserved(name);
    (wanted && may_be_expression(body)).then(|| Macro {
        name: name.to_owned(),
        location,
        given: source.given,
    })
}

fn is_reserved(name: &str) -> bool {
    name.strip_prefix('_').is_some_and(|rest| rest.starts_with(|c: char| c == '_' || c.is_ascii_uppercase()))
}

/// Whether the text can stand alone as an initialiser without harm to what comes after it.
fn may_be_expression(body: &[u8]) -> bool {
    let mut depth = 0_i32;
    let mut quote = None;
    let mut escaped = false;
    for &byte in body.trim_ascii() {
        match (quote, byte) {
            _ if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'(' | b'[') => depth += 1,
            (None, b')' | b']') => depth -= 1,
            (None, b'{' | b'}' | b';' | b'#' | b'@') => return false,
            (None, b',') if depth == 0 => return false,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0 && quote.is_none() && !body.trim_ascii().is_empty()
}

#[cfg(test)]
mod tests {
    use super::{is_reserved, may_be_expression};

    #[test]
    fn only_what_is_balanced_may_be_an_expression() {
        for body in [&b" 1"[..], b"\t(a + 1)", b" \"(\"", b" ')'", b" f(1, 2)", b" \"\\\"\""] {
            assert!(may_be_expression(body), "{}", body.escape_ascii());
        }
        for body in [&b""[..], b" ", b" (1", b" 1)", b" )(", b" {1}", b" a;", b" 1, 2", b" #x", b" \"open"] {
            assert!(!may_be_expression(body), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn reserved_names_are_those_of_the_standard() {
        assert!(is_reserved("__linux__") && is_reserved("_STDIO_H"));
        assert!(!is_reserved("_exit") && !is_reserved("EOF"));
    }
}
