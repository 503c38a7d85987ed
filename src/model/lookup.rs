//! Types by the names that C programmers give them.

use super::{FloatType, IntegerType, Interface, Type, TypeKind};

impl Interface {
    /// The type that a name such as `unsigned long`, `uLong`, `struct point *` or `char **` stands
    /// for; `None` where it stands for none.
    pub fn type_named(&self, name: &str) -> Option<Type> {
        let spelling = name.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((element, count)) = spelling.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
            let count = match count.trim() {
                "" => None,
                digits => Some(digits.parse().ok()?),
            };
            return self.array(element, count, spelling.clone());
        }
        let stars = spelling.bytes().rev().take_while(|byte| matches!(byte, b'*' | b' ')).count();
        let (base, stars) = spelling.split_at(spelling.len() - stars);
        let mut ty = self.base_type(base)?;
        for _ in stars.bytes().filter(|byte| *byte == b'*') {
            ty = Type { kind: TypeKind::Pointer(Box::new(ty)), spelling: String::new(), is_const: false };
        }
        Some(Type { spelling, ..ty })
    }

    /// `int[2][3]` is two arrays of three, so the last dimension belongs to the innermost element.
    fn array(&self, element: &str, count: Option<u64>, spelling: String) -> Option<Type> {
        let wrap = |element: Type, count| Type {
            kind: TypeKind::Array(Box::new(element), count),
            spelling: String::new(),
            is_const: false,
        };
        let mut outer = Vec::new();
        let mut base = element.trim();
        while let Some((rest, dimension)) = base.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
            outer.push(if dimension.trim().is_empty() { None } else { Some(dimension.trim().parse().ok()?) });
            base = rest.trim();
        }
        let innermost = wrap(self.type_named(base)?, count);
        let ty = outer.into_iter().fold(innermost, wrap);
        Some(Type { spelling, ..ty })
    }

    fn base_type(&self, name: &str) -> Option<Type> {
        let words: Vec<&str> =
            name.split(' ').filter(|word| !matches!(*word, "const" | "volatile")).collect();
        let is_const = name.split(' ').any(|word| word == "const");
        let plain = words.join(" ");
        let kind = builtin(&words).or_else(|| {
            self.typedefs.iter().find(|typedef| typedef.name == plain).map(|typedef| typedef.ty.kind.clone())
        });
        let kind = kind.or_else(|| {
            self.records
                .iter()
                .find(|record| record.key == plain)
                .map(|record| TypeKind::Record(record.key.clone()))
        });
        let kind = kind.or_else(|| {
            let enumeration = self.enumerations.iter().find(|enumeration| enumeration.key == plain)?;
            Some(TypeKind::Enumeration(enumeration.key.clone(), enumeration.underlying))
        })?;
        Some(Type { kind, spelling: plain, is_const })
    }
}

/// The types that C has by itself, and the fixed-width names that every C programmer knows.
fn builtin(words: &[&str]) -> Option<TypeKind> {
    use IntegerType::{
        Char, Int, Long, LongLong, Short, SignedChar, UnsignedChar, UnsignedInt, UnsignedLong,
        UnsignedLongLong, UnsignedShort,
    };
    let mut sorted = words.to_vec();
    sorted.sort_unstable();
    let integer = match sorted[..] {
        ["void"] => return Some(TypeKind::Void),
        ["_Bool"] | ["bool"] => return Some(TypeKind::Bool),
        ["float"] => return Some(TypeKind::Float(FloatType::Float)),
        ["double"] => return Some(TypeKind::Float(FloatType::Double)),
        ["double", "long"] => return Some(TypeKind::Float(FloatType::LongDouble)),
        ["char"] => Char,
        ["char", "signed"] | ["int8_t"] => SignedChar,
        ["char", "unsigned"] | ["uint8_t"] => UnsignedChar,
        ["short"] | ["int", "short"] | ["short", "signed"] | ["int", "short", "signed"] | ["int16_t"] => {
            Short
        }
        ["short", "unsigned"] | ["int", "short", "unsigned"] | ["uint16_t"] => UnsignedShort,
        ["int"] | ["signed"] | ["int", "signed"] | ["int32_t"] => Int,
        ["unsigned"] | ["int", "unsigned"] | ["uint32_t"] => UnsignedInt,
        ["long"]
        | ["int", "long"]
        | ["long", "signed"]
        | ["int", "long", "signed"]
        | ["ssize_t"]
        | ["intptr_t"]
        | ["ptrdiff_t"]
        | ["int64_t"] => Long,
        ["long", "unsigned"] | ["int", "long", "unsigned"] | ["size_t"] | ["uintptr_t"] | ["uint64_t"] => {
            UnsignedLong
        }
        ["long", "long"] | ["int", "long", "long"] | ["long", "long", "signed"] => LongLong,
        ["long", "long", "unsigned"] | ["int", "long", "long", "unsigned"] => UnsignedLongLong,
        _ => return None,
    };
    Some(TypeKind::Integer(integer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(name: &str) -> Option<String> {
        Interface::default().type_named(name).map(|ty| ty.canonical())
    }

    #[test]
    fn names_of_c_are_known_in_any_order_of_words() {
        assert_eq!(canonical("long unsigned int").as_deref(), Some("unsigned long"));
        assert_eq!(canonical("  unsigned   char * ").as_deref(), Some("unsigned char *"));
        assert_eq!(canonical("const char **").as_deref(), Some("char **"));
        assert_eq!(canonical("int[4]").as_deref(), Some("int [4]"));
        assert_eq!(canonical("char *[2] [3]").as_deref(), Some("char *[2][3]"));
        assert_eq!(canonical("int[x]"), None);
        assert_eq!(canonical("size_t").as_deref(), Some("unsigned long"));
        assert_eq!(canonical("nonsense"), None);
        assert_eq!(canonical(""), None);
        assert_eq!(canonical("*"), None);
    }
}
