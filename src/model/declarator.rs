//! The names of types as C spells them: specifiers, then an abstract declarator.
//!
//! `int (*(*)[4])(const char *)`: words and qualifiers in any order, then pointers, arrays and
//! functions around a hole where a variable's name would be.

use super::lookup::{Base, is_specifier};
use super::{BadTypeName, FunctionType, Interface, Type, TypeKind};

type Result<T> = std::result::Result<T, BadTypeName>;

/// Parses the whole of `text`. A function type counts as a pointer to it, as in a typedef.
pub(super) fn parse(interface: &Interface, text: &str) -> Result<Type> {
    let mut parser = Parser { interface, text, tokens: tokens(text), next: 0, depth: 0 };
    let (built, _) = parser.type_name(false)?;
    match parser.peek() {
        None => Ok(Type { spelling: parser.source(0), ..built.decayed() }),
        Some(_) => Err(parser.unexpected("the end of the name")),
    }
}

/// A type, or the type of a function, which only a pointer makes a type of values.
pub(super) enum Built {
    Object(Type),
    Function(FunctionType),
}

impl Built {
    /// What a parameter or a typedef of this type is.
    fn decayed(self) -> Type {
        match self {
            Self::Object(ty) => ty,
            Self::Function(function) => plain(TypeKind::FunctionPointer(Box::new(function))),
        }
    }

    /// The type around this one.
    fn within(self, part: Part) -> Result<Self> {
        let kind = match (part, self) {
            (Part::Pointer { is_const }, target) => {
                let kind = match target {
                    Self::Object(target) => TypeKind::Pointer(Box::new(target)),
                    Self::Function(function) => TypeKind::FunctionPointer(Box::new(function)),
                };
                return Ok(Self::Object(Type { is_const, ..plain(kind) }));
            }
            (Part::Array(count), Self::Object(element)) => match element.kind {
                TypeKind::Void => return Err(BadTypeName::Impossible("array of void")),
                TypeKind::Array(_, None) => {
                    return Err(BadTypeName::Impossible("array of arrays of unknown length"));
                }
                _ => {
                    let is_const = element.is_const;
                    let kind = TypeKind::Array(Box::new(element), count);
                    return Ok(Self::Object(Type { is_const, ..plain(kind) }));
                }
            },
            (Part::Array(_), Self::Function(_)) => "array of functions",
            (Part::Function { .. }, Self::Function(_)) => "function that returns a function",
            (Part::Function { parameters, variadic }, Self::Object(result)) => {
                if !matches!(result.kind, TypeKind::Array(..)) {
                    return Ok(Self::Function(FunctionType { parameters, result, variadic }));
                }
                "function that returns an array"
            }
        };
        Err(BadTypeName::Impossible(kind))
    }
}

/// One part of a declarator.
enum Part {
    Pointer { is_const: bool },
    Array(Option<u64>),
    Function { parameters: Vec<Type>, variadic: bool },
}

#[derive(Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    start: usize,
}

struct Parser<'a> {
    interface: &'a Interface,
    text: &'a str,
    tokens: Vec<Token<'a>>,
    next: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// Deeper declarators than any that a person writes would end the stack.
    const DEEPEST: usize = 64;

    /// Specifiers and declarator, and whether a name stood in the hole.
    fn type_name(&mut self, parameter: bool) -> Result<(Built, bool)> {
        let base = self.specifiers()?;
        let (parts, named) = self.declarator(parameter)?;
        let built = parts.into_iter().rev().try_fold(base, Built::within)?;
        Ok((built, named))
    }

    fn specifiers(&mut self) -> Result<Built> {
        let mut base = Base::default();
        while let Some(word) = self.peek().filter(|token| is_word(token)) {
            if is_qualifier(word) {
                base.is_const |= is_const(word);
            } else if matches!(word, "struct" | "union" | "enum") && base.is_empty() {
                self.next += 1;
                let Some(tag) = self.peek().filter(|token| is_word(token)) else {
                    return Err(self.unexpected("a tag"));
                };
                base.named = Some(format!("{word} {tag}"));
            } else if is_specifier(word) && base.named.is_none() {
                base.words.push(word);
            } else if base.is_empty() {
                base.named = Some(word.to_owned());
            } else {
                break;
            }
            self.next += 1;
        }
        if base.is_empty() {
            return Err(self.unexpected("a type"));
        }
        self.interface.base_type(base)
    }

    /// The parts in the order in which they are read from the hole outwards.
    fn declarator(&mut self, parameter: bool) -> Result<(Vec<Part>, bool)> {
        self.depth += 1;
        Self::check_depth(self.depth)?;
        let mut pointers = Vec::new();
        while self.take("*") {
            pointers.push(Part::Pointer { is_const: self.qualifiers() });
            Self::check_depth(pointers.len())?;
        }
        let mut named = false;
        let mut parts = Vec::new();
        if self.peek() == Some("(") && matches!(self.second(), Some("*" | "(" | "[")) {
            self.next += 1;
            (parts, named) = self.declarator(parameter)?;
            self.expect(")")?;
        } else if parameter && self.peek().is_some_and(is_word) {
            self.next += 1;
            named = true;
        }
        loop {
            if self.take("[") {
                parts.push(self.array(parameter)?);
            } else if self.take("(") {
                parts.push(self.function()?);
            } else {
                break;
            }
            Self::check_depth(parts.len())?;
        }
        parts.extend(pointers.into_iter().rev());
        Self::check_depth(parts.len())?;
        self.depth -= 1;
        Ok((parts, named))
    }

    fn check_depth(depth: usize) -> Result<()> {
        if depth > Self::DEEPEST { Err(BadTypeName::TooDeep(Self::DEEPEST)) } else { Ok(()) }
    }

    fn array(&mut self, parameter: bool) -> Result<Part> {
        if parameter {
            while self.take("static") || self.take("const") || self.take("restrict") {}
        }
        if self.take("]") {
            return Ok(Part::Array(None));
        }
        let count = self.peek().and_then(number).ok_or_else(|| self.unexpected("a length or ']'"))?;
        self.next += 1;
        self.expect("]")?;
        Ok(Part::Array(Some(count)))
    }

    fn function(&mut self) -> Result<Part> {
        let mut parameters = Vec::new();
        if self.take(")") {
            return Ok(Part::Function { parameters, variadic: false });
        }
        if self.peek() == Some("void") && self.second() == Some(")") {
            self.next += 2;
            return Ok(Part::Function { parameters, variadic: false });
        }
        loop {
            if self.take("...") {
                self.expect(")")?;
                return Ok(Part::Function { parameters, variadic: true });
            }
            parameters.push(self.parameter()?);
            if self.take(")") {
                return Ok(Part::Function { parameters, variadic: false });
            }
            if !self.take(",") {
                return Err(self.unexpected("',' or ')'"));
            }
        }
    }

    fn parameter(&mut self) -> Result<Type> {
        let first = self.next;
        let (built, named) = self.type_name(true)?;
        let ty = match built {
            Built::Object(Type { kind: TypeKind::Array(element, _), .. }) => {
                plain(TypeKind::Pointer(element))
            }
            Built::Object(Type { kind: TypeKind::Void, .. }) => {
                return Err(BadTypeName::Impossible("parameter of type void"));
            }
            Built::Object(ty) if !named => Type { spelling: self.source(first), ..ty },
            other => other.decayed(),
        };
        let spelling = if ty.spelling.is_empty() { ty.qualified() } else { ty.spelling };
        Ok(Type { spelling, ..ty })
    }

    fn qualifiers(&mut self) -> bool {
        let mut found = false;
        while let Some(word) = self.peek().filter(|word| is_qualifier(word)) {
            found |= is_const(word);
            self.next += 1;
        }
        found
    }

    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.next).map(|token| token.text)
    }

    fn second(&self) -> Option<&'a str> {
        self.tokens.get(self.next + 1).map(|token| token.text)
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.peek() == Some(text);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, text: &'static str) -> Result<()> {
        if self.take(text) { Ok(()) } else { Err(self.unexpected(if text == ")" { "')'" } else { "']'" })) }
    }

    fn unexpected(&self, expected: &'static str) -> BadTypeName {
        let start = self.tokens.get(self.next).map_or(self.text.len(), |token| token.start);
        BadTypeName::Syntax {
            expected,
            found: self.peek().map(str::to_owned),
            column: self.text[..start].chars().count() + 1,
        }
    }

    /// What stands from the token `first` to the next one, blanks made single.
    fn source(&self, first: usize) -> String {
        let (Some(first), Some(last)) = (self.tokens.get(first), self.tokens[..self.next].last()) else {
            return String::new();
        };
        let text = &self.text[first.start..last.start + last.text.len()];
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A type without qualifiers, its spelling yet to be found.
pub(super) fn plain(kind: TypeKind) -> Type {
    let ty = Type { kind, spelling: String::new(), is_const: false };
    Type { spelling: ty.qualified(), ..ty }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first == '_' || first.is_alphabetic())
}

fn is_const(word: &str) -> bool {
    matches!(word, "const" | "__const" | "__const__")
}

fn is_qualifier(word: &str) -> bool {
    is_const(word) || matches!(word, "volatile" | "restrict" | "__restrict" | "__restrict__" | "__volatile__")
}

fn number(token: &str) -> Option<u64> {
    let number = token.to_ascii_lowercase();
    let digits = number.trim_end_matches(['u', 'l']);
    match digits.split_at_checked(2) {
        Some(("0x", digits)) => u64::from_str_radix(digits, 16).ok(),
        Some(("0b", digits)) => u64::from_str_radix(digits, 2).ok(),
        _ if digits.starts_with('0') => u64::from_str_radix(digits, 8).ok(),
        _ => digits.parse().ok(),
    }
}

/// Words, numbers, `...`, and single characters for everything else.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(first) = text[start..].chars().next() {
        let rest = &text[start..];
        let is_part = |c: char| c == '_' || c.is_alphanumeric();
        let length = if is_part(first) {
            rest.find(|c: char| !is_part(c)).unwrap_or(rest.len())
        } else if rest.starts_with("...") {
            3
        } else {
            first.len_utf8()
        };
        if !first.is_whitespace() {
            tokens.push(Token { text: &rest[..length], start });
        }
        start += length;
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qualified(name: &str) -> String {
        Interface::default().type_named(name).expect(name).qualified()
    }

    fn refusal(name: &str) -> String {
        Interface::default().type_named(name).expect_err(name).message(name, "point.h")
    }

    #[test]
    fn declarators_are_read_from_the_hole_outwards() {
        for name in [
            "int",
            "char *",
            "int **",
            "int [4]",
            "char *[2][3]",
            "int (*)[3]",
            "int (*)(const void *, const void *)",
            "void (*(*)(int))(double)",
            "int (*[4])(int)",
            "int (*(*)[4])(void)",
            "int (*)(const char *, ...)",
            "char *(*(**)(int (*)(int)))[3]",
        ] {
            assert_eq!(qualified(name), name);
        }
        assert_eq!(qualified("int(int,int)"), "int (*)(int, int)");
        assert_eq!(qualified("int (*)()"), "int (*)(void)");
        assert_eq!(qualified("int ((*))(int)"), "int (*)(int)");
    }

    #[test]
    fn qualifiers_stay_where_they_were() {
        assert_eq!(qualified("char const *"), "const char *");
        assert_eq!(qualified("const int"), "const int");
        assert_eq!(qualified("int * const"), "int *const");
        assert_eq!(qualified("const int * const * volatile"), "const int *const *");
        assert_eq!(qualified("unsigned const long"), "const unsigned long");
        assert_eq!(qualified("const int[3]"), "const int [3]");
        assert_eq!(qualified("int (* const)(int)"), "int (*const)(int)");
    }

    #[test]
    fn parameters_decay_and_may_have_names() {
        assert_eq!(
            qualified("int (*)(int v[4], size_t n, int cmp(int a), char *restrict s)"),
            "int (*)(int *, unsigned long, int (*)(int), char *)"
        );
        let ty = Interface::default().type_named("void (*)(size_t, char  const*)");
        let Ok(Type { kind: TypeKind::FunctionPointer(function), spelling, .. }) = ty else {
            panic!("{ty:?}")
        };
        assert_eq!(spelling, "void (*)(size_t, char const*)");
        assert_eq!(function.parameters[0].spelling, "size_t");
        assert_eq!(function.parameters[1].spelling, "char const*");
    }

    #[test]
    fn what_is_wrong_is_told_and_where() {
        for (name, says) in [
            ("int (*)(int", "',' or ')' expected at its end"),
            ("int [x]", "a length or ']' expected at column 6, not 'x'"),
            ("int [4", "']' expected at its end"),
            ("int (*)(int,)", "a type expected at column 13, not ')'"),
            ("int x", "the end of the name expected at column 5, not 'x'"),
            ("", "a type expected at its end"),
            ("* int", "a type expected at column 1, not '*'"),
            ("struct", "a tag expected at its end"),
            ("int (*)(int) é€ *", "the end of the name expected at column 14, not 'é'"),
            ("int (*(", "a type expected at its end"),
            ("int [3](int)", "there is no array of functions"),
            ("int (int)[3]", "there is no function that returns an array"),
            ("int (int)(int)", "there is no function that returns a function"),
            ("void [3]", "there is no array of void"),
            ("int [3][]", "there is no array of arrays of unknown length"),
            ("int (void, int)", "there is no parameter of type void"),
        ] {
            assert_eq!(refusal(name), format!("'{name}' is no C type: {says}"));
        }
        let deep = format!("int {}", "(".repeat(100_000));
        assert!(refusal(&deep).contains("is too deep"));
    }
}
