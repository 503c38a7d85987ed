//! Types by the names that C programmers give them.

use super::declarator::{self, Built, plain};
use super::{BadTypeName, FloatType, IntegerType, Interface, Location, Type, TypeKind};

impl Interface {
    /// The type that a name such as `unsigned long`, `uLong`, `struct point *`, `char *[4]` or
    /// `int (*)(const void *, const void *)` stands for. A function type counts as a pointer to it.
    pub fn type_named(&self, name: &str) -> Result<Type, BadTypeName> {
        declarator::parse(self, name)
    }

    /// Where the headers have a function pointer type, which is given without qualifiers: its typedef, or
    /// the first record with such a field.
    pub fn location_of_function_pointer(&self, canonical: &str) -> Option<&Location> {
        let is_it = |ty: &Type| match &ty.kind {
            TypeKind::FunctionPointer(_) => ty.canonical() == canonical,
            _ => false,
        };
        let typedef = self.typedefs.iter().find(|typedef| is_it(&typedef.ty));
        let record = || self.records.iter().find(|record| record.fields.iter().any(|field| is_it(&field.ty)));
        typedef.map(|typedef| &typedef.location).or_else(|| Some(&record()?.location))
    }

    /// The type of the words before a declarator.
    pub(super) fn base_type(&self, base: Base<'_>) -> Result<Built, BadTypeName> {
        let Some(name) = &base.named else {
            let kind = builtin(&base.words).ok_or_else(|| self.unknown(base.words.join(" ")))?;
            return Ok(Built::Object(base.qualify(plain(kind))));
        };
        if let Some(typedef) = self.typedefs.iter().find(|typedef| typedef.name == *name) {
            let ty = Type { spelling: name.clone(), ..typedef.ty.clone() };
            return Ok(match ty.kind {
                TypeKind::FunctionPointer(function) if typedef.is_function => Built::Function(*function),
                _ => Built::Object(base.qualify(ty)),
            });
        }
        let kind = self.tagged(name).or_else(|| well_known(name));
        let kind = kind.ok_or_else(|| self.unknown(name.clone()))?;
        Ok(Built::Object(base.qualify(Type { spelling: name.clone(), ..plain(kind) })))
    }

    fn tagged(&self, key: &str) -> Option<TypeKind> {
        if self.records.iter().any(|record| record.key == key) {
            return Some(TypeKind::Record(key.to_owned()));
        }
        let enumeration = self.enumerations.iter().find(|enumeration| enumeration.key == key)?;
        Some(TypeKind::Enumeration(key.to_owned(), enumeration.underlying))
    }

    fn unknown(&self, name: String) -> BadTypeName {
        let nearest = self.nearest(&name);
        BadTypeName::Unknown { name, nearest }
    }

    /// The known name that is most like `name`, those of the given headers first.
    fn nearest(&self, name: &str) -> Option<String> {
        const LIKE: f64 = 0.7;
        let typedefs = self.typedefs.iter().map(|typedef| (&typedef.name, typedef.in_given_header));
        let records = self.records.iter().map(|record| (&record.key, record.in_given_header));
        let enumerations = self.enumerations.iter().map(|one| (&one.key, one.in_given_header));
        let known = typedefs.chain(records).chain(enumerations).map(|(known, given)| (known.as_str(), given));
        known
            .chain(SPECIFIERS.iter().map(|word| (*word, false)))
            .map(|(known, given)| (similarity(name, known), given, known))
            .filter(|(similarity, ..)| *similarity >= LIKE)
            .max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
            .map(|(.., known)| known.to_owned())
    }
}

/// The words before a declarator.
#[derive(Default)]
pub(super) struct Base<'a> {
    /// C's own: `unsigned`, `long`.
    pub words: Vec<&'a str>,
    /// A name or `struct point`, where there is one.
    pub named: Option<String>,
    /// Whether `const` is among them.
    pub is_const: bool,
}

impl Base<'_> {
    /// Whether no type has been named yet.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.named.is_none()
    }

    fn qualify(&self, ty: Type) -> Type {
        let is_const = ty.is_const || self.is_const;
        let spelling = if self.is_const { format!("const {}", ty.spelling) } else { ty.spelling };
        Type { kind: ty.kind, spelling, is_const }
    }
}

const SPECIFIERS: &[&str] = &[
    "void",
    "_Bool",
    "char",
    "short",
    "int",
    "long",
    "signed",
    "unsigned",
    "float",
    "double",
    "_Complex",
    "__complex__",
    "__int128",
];

/// Whether a word is one of those that make up C's own types.
pub(super) fn is_specifier(word: &str) -> bool {
    SPECIFIERS.contains(&word)
}

/// How much alike two names are, 0 to 1; a tag may be forgotten or mistaken.
fn similarity(name: &str, known: &str) -> f64 {
    let bare = |name: &'_ str| name.rsplit_once(' ').map_or(0, |(tag, _)| tag.len() + 1);
    let whole = strsim::normalized_damerau_levenshtein(name, known);
    let tags = strsim::normalized_damerau_levenshtein(&name[bare(name)..], &known[bare(known)..]);
    whole.max(tags)
}

/// The types that C has by itself.
fn builtin(words: &[&str]) -> Option<TypeKind> {
    use IntegerType::{
        Char, Int, Long, LongLong, Short, SignedChar, UnsignedChar, UnsignedInt, UnsignedLong,
        UnsignedLongLong, UnsignedShort,
    };
    let mut sorted = words.to_vec();
    sorted.sort_unstable();
    if let Some(at) = sorted.iter().position(|word| matches!(*word, "_Complex" | "__complex__")) {
        sorted.remove(at);
        return complex(&sorted);
    }
    let integer = match sorted[..] {
        ["void"] => return Some(TypeKind::Void),
        ["_Bool"] => return Some(TypeKind::Bool),
        ["float"] => return Some(TypeKind::Float(FloatType::Float)),
        ["double"] => return Some(TypeKind::Float(FloatType::Double)),
        ["double", "long"] => return Some(TypeKind::Float(FloatType::LongDouble)),
        ["__int128"] | ["__int128", "signed"] | ["__int128", "unsigned"] => {
            return Some(TypeKind::Unsupported("__int128".to_owned()));
        }
        ["char"] => Char,
        ["char", "signed"] => SignedChar,
        ["char", "unsigned"] => UnsignedChar,
        ["short"] | ["int", "short"] | ["short", "signed"] | ["int", "short", "signed"] => Short,
        ["short", "unsigned"] | ["int", "short", "unsigned"] => UnsignedShort,
        ["int"] | ["signed"] | ["int", "signed"] => Int,
        ["unsigned"] | ["int", "unsigned"] => UnsignedInt,
        ["long"] | ["int", "long"] | ["long", "signed"] | ["int", "long", "signed"] => Long,
        ["long", "unsigned"] | ["int", "long", "unsigned"] => UnsignedLong,
        ["long", "long"]
        | ["int", "long", "long"]
        | ["long", "long", "signed"]
        | ["int", "long", "long", "signed"] => LongLong,
        ["long", "long", "unsigned"] | ["int", "long", "long", "unsigned"] => UnsignedLongLong,
        _ => return None,
    };
    Some(TypeKind::Integer(integer))
}

fn complex(words: &[&str]) -> Option<TypeKind> {
    Some(TypeKind::Complex(match words {
        ["float"] => FloatType::Float,
        ["double"] | [] => FloatType::Double,
        ["double", "long"] => FloatType::LongDouble,
        _ => return None,
    }))
}

/// Names that every C programmer knows, for headers that do not include theirs.
fn well_known(name: &str) -> Option<TypeKind> {
    use IntegerType::{Int, Long, Short, SignedChar, UnsignedChar, UnsignedInt, UnsignedLong, UnsignedShort};
    Some(TypeKind::Integer(match name {
        "bool" => return Some(TypeKind::Bool),
        "int8_t" => SignedChar,
        "uint8_t" => UnsignedChar,
        "int16_t" => Short,
        "uint16_t" => UnsignedShort,
        "int32_t" => Int,
        "uint32_t" => UnsignedInt,
        "ssize_t" | "intptr_t" | "ptrdiff_t" | "int64_t" => Long,
        "size_t" | "uintptr_t" | "uint64_t" => UnsignedLong,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Record, RecordKind, Typedef};

    fn canonical(name: &str) -> Option<String> {
        Interface::default().type_named(name).ok().map(|ty| ty.canonical())
    }

    fn geometry() -> Interface {
        let location = Location { file: "point.h".into(), line: 1, column: 1 };
        let record = |key: &str| Record {
            key: key.to_owned(),
            kind: RecordKind::Struct,
            size: None,
            align: 0,
            fields: Vec::new(),
            location: location.clone(),
            comment: None,
            in_given_header: true,
        };
        let typedef = |name: &str, of: &str, is_function| Typedef {
            name: name.to_owned(),
            ty: Interface::default().type_named(of).expect(of),
            is_function,
            location: location.clone(),
            comment: None,
            in_given_header: true,
        };
        Interface {
            records: vec![record("struct point"), record("struct shape")],
            typedefs: vec![
                typedef("compare", "int (*)(int, int)", true),
                typedef("comparer", "int (*)(int, int)", false),
                typedef("fixed", "const int", false),
            ],
            ..Interface::default()
        }
    }

    #[test]
    fn names_of_c_are_known_in_any_order_of_words() {
        assert_eq!(canonical("long unsigned int").as_deref(), Some("unsigned long"));
        assert_eq!(canonical("  unsigned   char * ").as_deref(), Some("unsigned char *"));
        assert_eq!(canonical("const char **").as_deref(), Some("char **"));
        assert_eq!(canonical("int[4]").as_deref(), Some("int [4]"));
        assert_eq!(canonical("int[0x10]").as_deref(), Some("int [16]"));
        assert_eq!(canonical("char *[2] [3]").as_deref(), Some("char *[2][3]"));
        assert_eq!(canonical("size_t").as_deref(), Some("unsigned long"));
        assert_eq!(canonical("double long").as_deref(), Some("long double"));
        assert_eq!(canonical("_Complex float").as_deref(), Some("float _Complex"));
        assert_eq!(canonical("long double _Complex *").as_deref(), Some("long double _Complex *"));
        assert_eq!(canonical("unsigned double"), None);
        assert_eq!(canonical("nonsense"), None);
    }

    #[test]
    fn typedefs_of_functions_are_functions() {
        let canonical = |name: &str| geometry().type_named(name).map(|ty| ty.canonical());
        assert_eq!(canonical("compare").as_deref(), Ok("int (*)(int, int)"));
        assert_eq!(canonical("compare *").as_deref(), Ok("int (*)(int, int)"));
        assert_eq!(canonical("comparer").as_deref(), Ok("int (*)(int, int)"));
        assert_eq!(canonical("comparer *").as_deref(), Ok("int (**)(int, int)"));
        assert_eq!(canonical("void (compare)").as_deref(), Ok("void (*)(int (*)(int, int))"));
        assert_eq!(canonical("compare[2]"), Err(BadTypeName::Impossible("array of functions")));
        assert_eq!(geometry().type_named("fixed *").map(|ty| ty.qualified()).as_deref(), Ok("const int *"));
    }

    #[test]
    fn the_nearest_name_is_told() {
        let says = |name: &str| geometry().type_named(name).expect_err(name).message(name, "point.h");
        assert_eq!(
            says("struct pont *[4]"),
            "'struct pont' is not a type of point.h; did you mean 'struct point'?"
        );
        assert_eq!(says("point"), "'point' is not a type of point.h; did you mean 'struct point'?");
        assert_eq!(
            says("union shape"),
            "'union shape' is not a type of point.h; did you mean 'struct shape'?"
        );
        assert_eq!(says("cmopare"), "'cmopare' is not a type of point.h; did you mean 'compare'?");
        assert_eq!(says("unsinged"), "'unsinged' is not a type of point.h; did you mean 'unsigned'?");
        assert_eq!(says("quux"), "'quux' is not a type of point.h");
    }
}
