//! Types written back as C, in one place.

use super::{FloatType, FunctionType, Type, TypeKind};

impl Type {
    /// The type as C without typedefs and qualifiers: `unsigned long *`, `struct box *`,
    /// `int (*)(void *, int)`. Two types are compatible handles when these are equal.
    pub fn canonical(&self) -> String {
        Spelling { qualified: false }.declare(self, String::new())
    }

    /// The type as C without typedefs, each `const` in its place: `const unsigned char *const`.
    pub fn qualified(&self) -> String {
        Spelling { qualified: true }.declare(self, String::new())
    }
}

impl FunctionType {
    /// The function type itself, as [`Type::canonical`]: `int (void *, int)`.
    pub fn canonical(&self) -> String {
        let spelling = Spelling { qualified: false };
        spelling.declare(&self.result, format!("({})", spelling.parameters(self)))
    }
}

/// The pointer to a type that is spelled like this, without qualifiers: `int (*)(int)` for `int (int)`.
pub fn pointer_to(canonical: &str) -> String {
    let mut hole =
        canonical.find("(unnamed ").map_or(0, |at| at + canonical[at..].find(')').unwrap_or(0) + 1);
    let mut grouped = false;
    while let Some(at) = canonical[hole..].find(['(', '[', ')']) {
        let rest = &canonical[hole + at..];
        if (grouped && at > 0) || !rest.starts_with("(*") {
            break;
        }
        hole += at + 1 + rest[1..].bytes().take_while(|byte| *byte == b'*').count();
        grouped = true;
    }
    let at = match canonical[hole..].find(['(', '[']) {
        Some(at) if !grouped => hole + at,
        _ if grouped => hole,
        _ => canonical.len(),
    };
    let (before, after) = canonical.split_at(at);
    match after.bytes().next() {
        Some(b'(' | b'[') => format!("{before}(*){after}"),
        None if !before.ends_with('*') => format!("{before} *"),
        _ => format!("{before}*{after}"),
    }
}

#[derive(Clone, Copy)]
struct Spelling {
    qualified: bool,
}

impl Spelling {
    fn declare(self, ty: &Type, inner: String) -> String {
        let is_const = self.qualified && ty.is_const;
        match &ty.kind {
            TypeKind::Pointer(target) => {
                let inner = pointer(is_const, &inner);
                let array = matches!(target.kind, TypeKind::Array(..));
                self.declare(target, if array { format!("({inner})") } else { inner })
            }
            TypeKind::FunctionPointer(function) => {
                let inner = pointer(is_const, &inner);
                self.declare(&function.result, format!("({inner})({})", self.parameters(function)))
            }
            TypeKind::Array(element, count) => {
                let count = count.map(|count| count.to_string()).unwrap_or_default();
                // A const array is one of const elements.
                let element = Type { is_const: element.is_const || ty.is_const, ..(**element).clone() };
                self.declare(&element, format!("{inner}[{count}]"))
            }
            base => {
                let qualifier = if is_const { "const " } else { "" };
                let space = if inner.is_empty() { "" } else { " " };
                format!("{qualifier}{}{space}{inner}", name(base))
            }
        }
    }

    fn parameters(self, function: &FunctionType) -> String {
        let one = |ty: &Type| self.declare(ty, String::new());
        let mut list: Vec<String> = function.parameters.iter().map(one).collect();
        if function.variadic {
            list.push("...".to_owned());
        } else if list.is_empty() {
            list.push("void".to_owned());
        }
        list.join(", ")
    }
}

fn pointer(is_const: bool, inner: &str) -> String {
    match (is_const, inner.is_empty()) {
        (false, _) => format!("*{inner}"),
        (true, true) => "*const".to_owned(),
        (true, false) => format!("*const {inner}"),
    }
}

fn name(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Void => "void".to_owned(),
        TypeKind::Bool => "_Bool".to_owned(),
        TypeKind::Integer(integer) => integer.spelling().to_owned(),
        TypeKind::Float(float) => float_name(*float).to_owned(),
        TypeKind::Complex(float) => format!("{} _Complex", float_name(*float)),
        TypeKind::Record(key) | TypeKind::Enumeration(key, _) => key.clone(),
        TypeKind::Unsupported(reason) => format!("<{reason}>"),
        TypeKind::Pointer(_) | TypeKind::FunctionPointer(_) | TypeKind::Array(..) => String::new(),
    }
}

fn float_name(float: FloatType) -> &'static str {
    match float {
        FloatType::Float => "float",
        FloatType::Double => "double",
        FloatType::LongDouble => "long double",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::IntegerType;

    fn ty(kind: TypeKind) -> Type {
        Type { kind, spelling: String::new(), is_const: true }
    }

    fn pointer(target: TypeKind) -> TypeKind {
        TypeKind::Pointer(Box::new(ty(target)))
    }

    #[test]
    fn declarators_nest_as_in_c() {
        let int = TypeKind::Integer(IntegerType::Int);
        let array = TypeKind::Array(Box::new(ty(int.clone())), Some(3));
        let function = TypeKind::FunctionPointer(Box::new(FunctionType {
            parameters: vec![ty(pointer(TypeKind::Void)), ty(int.clone())],
            result: ty(pointer(TypeKind::Integer(IntegerType::Char))),
            variadic: false,
        }));
        assert_eq!(ty(pointer(pointer(int))).canonical(), "int **");
        assert_eq!(ty(pointer(TypeKind::Record("struct box".into()))).canonical(), "struct box *");
        assert_eq!(ty(array.clone()).canonical(), "int [3]");
        assert_eq!(ty(pointer(array)).canonical(), "int (*)[3]");
        assert_eq!(ty(function).canonical(), "char *(*)(void *, int)");
        for (target, pointer) in [
            ("int", "int *"),
            ("int *", "int **"),
            ("int [3]", "int (*)[3]"),
            ("char *[2]", "char *(*)[2]"),
            ("int (*)[3]", "int (**)[3]"),
            ("int (int)", "int (*)(int)"),
            ("char *(int (*)(int))", "char *(*)(int (*)(int))"),
            ("int (*)(int)", "int (**)(int)"),
            ("int (*[4])(int)", "int (*(*)[4])(int)"),
            ("void (*(int))(double)", "void (*(*)(int))(double)"),
            ("void (*(*)(int))(double)", "void (*(**)(int))(double)"),
            ("struct (unnamed at a.h:1:2)", "struct (unnamed at a.h:1:2) *"),
            ("struct (unnamed at a.h:1:2) [3]", "struct (unnamed at a.h:1:2) (*)[3]"),
        ] {
            assert_eq!(pointer_to(target), pointer);
        }
        assert_eq!(ty(pointer(pointer(TypeKind::Bool))).qualified(), "const _Bool *const *const");
    }
}
