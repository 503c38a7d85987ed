use clang::{Type as ClangType, TypeKind as Kind};

use super::lowering::Lowering;
use super::prototype;
use crate::model::{FloatType, FunctionType, IntegerType, Type, TypeKind};

impl<'tu> Lowering<'tu> {
    /// Lowers the type of a variable, a field or a result.
    pub(super) fn ty(&mut self, ty: ClangType<'tu>) -> Type {
        Type { kind: self.kind(ty), spelling: prototype::declare(ty, ""), is_const: is_const(ty) }
    }

    /// Lowers the type of a parameter: an array becomes a pointer to its elements, a function a
    /// pointer to it.
    pub(super) fn parameter(&mut self, ty: ClangType<'tu>) -> Type {
        if is_va_list(ty) {
            return self.ty(ty);
        }
        match ty.get_canonical_type().get_kind() {
            Kind::ConstantArray | Kind::IncompleteArray | Kind::VariableArray => self.decayed_array(ty),
            Kind::FunctionPrototype | Kind::FunctionNoPrototype => self.decayed_function(ty),
            _ => self.ty(ty),
        }
    }

    /// Lowers what a typedef stands for: a function type, which nothing else may be, counts as a
    /// pointer to it.
    pub(super) fn type_or_function(&mut self, ty: ClangType<'tu>) -> Type {
        if is_function(ty) {
            Type { spelling: prototype::declare(ty, ""), ..self.decayed_function(ty) }
        } else {
            self.ty(ty)
        }
    }

    fn decayed_array(&mut self, ty: ClangType<'tu>) -> Type {
        let array = without_names(ty);
        match array.get_element_type() {
            Some(element) => Type {
                kind: self.pointer(element),
                spelling: prototype::declare_pointer_to(element, ""),
                is_const: false,
            },
            None => self.ty(ty),
        }
    }

    fn decayed_function(&mut self, ty: ClangType<'tu>) -> Type {
        let spelling = if prototype::is_function(ty) {
            prototype::declare(ty, "(*)")
        } else {
            prototype::declare(ty, "*")
        };
        Type { kind: self.pointer(ty), spelling, is_const: false }
    }

    fn kind(&mut self, ty: ClangType<'tu>) -> TypeKind {
        if let Some(scalar) = scalar(ty.get_kind()) {
            return scalar;
        }
        match ty.get_kind() {
            Kind::Pointer => match ty.get_pointee_type() {
                Some(pointee) => self.pointer(pointee),
                None => unsupported(ty),
            },
            Kind::ConstantArray | Kind::IncompleteArray => match ty.get_element_type() {
                Some(element) => TypeKind::Array(Box::new(self.ty(element)), ty.get_size().map(|n| n as u64)),
                None => unsupported(ty),
            },
            Kind::Typedef if is_va_list(ty) => TypeKind::Unsupported("va_list".to_owned()),
            Kind::Typedef | Kind::Elaborated => match next_name(ty) {
                Some(named) => self.kind(named),
                None => unsupported(ty),
            },
            Kind::Record => match ty.get_declaration() {
                Some(declaration) => TypeKind::Record(self.record(&declaration)),
                None => unsupported(ty),
            },
            Kind::Enum => match ty.get_declaration() {
                Some(declaration) => {
                    let (key, underlying) = self.enumeration(&declaration);
                    TypeKind::Enumeration(key, underlying)
                }
                None => unsupported(ty),
            },
            _ => self.unexposed(ty),
        }
    }

    fn pointer(&mut self, pointee: ClangType<'tu>) -> TypeKind {
        match self.function_type(pointee) {
            Some(function) => TypeKind::FunctionPointer(Box::new(function)),
            None => TypeKind::Pointer(Box::new(self.ty(measured(pointee)))),
        }
    }

    fn function_type(&mut self, ty: ClangType<'tu>) -> Option<FunctionType> {
        let canonical = ty.get_canonical_type();
        let prototyped = match canonical.get_kind() {
            Kind::FunctionPrototype => true,
            Kind::FunctionNoPrototype => false,
            _ => return None,
        };
        // As written, so that the typedef names in the parameters are kept.
        let function = without_names(ty);
        let parameters = function.get_argument_types().unwrap_or_default();
        Some(FunctionType {
            parameters: parameters.into_iter().map(|parameter| self.parameter(parameter)).collect(),
            result: self.ty(function.get_result_type()?),
            variadic: prototyped && canonical.is_variadic(),
        })
    }

    /// What the clang crate has no name for, and types in parentheses, `typeof` and attributes.
    fn unexposed(&mut self, ty: ClangType<'tu>) -> TypeKind {
        let canonical = ty.get_canonical_type();
        let name = canonical.get_display_name();
        if let Some((_, part)) = name.split_once("_Complex ") {
            return complex(part).unwrap_or_else(|| TypeKind::Unsupported(format!("_Complex {part}")));
        }
        if canonical.get_kind() != ty.get_kind() {
            return self.kind(canonical);
        }
        unsupported(canonical)
    }
}

/// Whether a type, under whatever name, is that of a function.
pub(super) fn is_function(ty: ClangType<'_>) -> bool {
    matches!(ty.get_canonical_type().get_kind(), Kind::FunctionPrototype | Kind::FunctionNoPrototype)
}

fn scalar(kind: Kind) -> Option<TypeKind> {
    Some(match kind {
        Kind::Void => TypeKind::Void,
        Kind::Bool => TypeKind::Bool,
        Kind::Float => TypeKind::Float(FloatType::Float),
        Kind::Double => TypeKind::Float(FloatType::Double),
        Kind::LongDouble => TypeKind::Float(FloatType::LongDouble),
        _ => TypeKind::Integer(integer(kind)?),
    })
}

/// The integer type that clang calls `kind`.
pub(super) fn integer(kind: Kind) -> Option<IntegerType> {
    Some(match kind {
        Kind::CharS | Kind::CharU => IntegerType::Char,
        Kind::SChar => IntegerType::SignedChar,
        Kind::UChar => IntegerType::UnsignedChar,
        Kind::Short => IntegerType::Short,
        Kind::UShort => IntegerType::UnsignedShort,
        Kind::Int => IntegerType::Int,
        Kind::UInt => IntegerType::UnsignedInt,
        Kind::Long => IntegerType::Long,
        Kind::ULong => IntegerType::UnsignedLong,
        Kind::LongLong => IntegerType::LongLong,
        Kind::ULongLong => IntegerType::UnsignedLongLong,
        _ => return None,
    })
}

fn complex(part: &str) -> Option<TypeKind> {
    Some(TypeKind::Complex(match part {
        "float" => FloatType::Float,
        "double" => FloatType::Double,
        "long double" => FloatType::LongDouble,
        _ => return None,
    }))
}

/// Names what cannot be handed over.
fn unsupported(ty: ClangType<'_>) -> TypeKind {
    let name = ty.get_display_name();
    let reason = match ty.get_kind() {
        Kind::Int128 | Kind::UInt128 => "__int128",
        Kind::Float16 | Kind::Half => "_Float16",
        Kind::Float128 => "__float128",
        Kind::Vector | Kind::ExtVector => "vector type",
        Kind::BlockPointer => "block",
        Kind::VariableArray => "variable-length array",
        _ if name.contains("vector_type") => "vector type",
        _ if name.contains("_Atomic(") => "_Atomic",
        _ => &name,
    };
    TypeKind::Unsupported(reason.to_owned())
}

/// Whether the type itself is `const`; an array is if its elements are.
fn is_const(ty: ClangType<'_>) -> bool {
    let mut ty = ty.get_canonical_type();
    while let Some(element) = array_element(ty) {
        ty = element;
    }
    ty.is_const_qualified()
}

fn array_element(ty: ClangType<'_>) -> Option<ClangType<'_>> {
    match ty.get_kind() {
        Kind::ConstantArray | Kind::IncompleteArray => ty.get_element_type(),
        _ => None,
    }
}

/// What a pointer to it counts as pointing to: of an array of a length that C knows only when it runs, the elements.
fn measured(ty: ClangType<'_>) -> ClangType<'_> {
    let (mut inner, mut varies) = (ty, false);
    loop {
        let array = without_names(inner);
        match (array.get_kind(), array.get_element_type()) {
            (Kind::VariableArray, Some(element)) => (inner, varies) = (element, true),
            (Kind::ConstantArray | Kind::IncompleteArray, Some(element)) => inner = element,
            _ => return if varies { inner } else { ty },
        }
    }
}

/// Whether the type is `va_list` under any name. (Resolved, it differs from machine to machine.)
fn is_va_list(ty: ClangType<'_>) -> bool {
    let mut ty = Some(ty);
    while let Some(named) = ty {
        if named.get_typedef_name().as_deref() == Some("__builtin_va_list") {
            return true;
        }
        ty = next_name(named);
    }
    false
}

/// One step from a name to what it stands for.
fn next_name(ty: ClangType<'_>) -> Option<ClangType<'_>> {
    match ty.get_kind() {
        Kind::Typedef => ty.get_declaration()?.get_typedef_underlying_type(),
        Kind::Elaborated => ty.get_elaborated_type(),
        _ => None,
    }
}

/// The type with the names in front of it resolved, those inside it kept.
fn without_names(mut ty: ClangType<'_>) -> ClangType<'_> {
    while let Some(named) = next_name(ty) {
        ty = named;
    }
    ty
}
