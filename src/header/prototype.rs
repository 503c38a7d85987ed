//! Writing a declaration back as C.

use clang::{Entity, EntityKind, Type, TypeKind};

use super::sources::location_of;

/// `int add(int a, int b)`
pub(super) fn of_function(entity: &Entity<'_>, name: &str) -> Option<String> {
    let parameters = entity.get_arguments().unwrap_or_default();
    let parameters = parameters.iter().filter_map(|parameter| {
        Some(declare(parameter.get_type()?, &parameter.get_name().unwrap_or_default()))
    });
    let list = parameter_list(parameters.collect(), entity.is_variadic(), !is_missing(entity));
    Some(declare(entity.get_result_type()?, &format!("{name}{list}")))
}

/// Whether a function is declared as `f()`, which before C23 says nothing about its parameters.
pub(super) fn is_missing(entity: &Entity<'_>) -> bool {
    let kind = entity.get_type().map(|ty| ty.get_canonical_type().get_kind());
    kind == Some(TypeKind::FunctionNoPrototype)
}

/// The type as `declarator` would be declared with it: `int` and `*p` give `int *p`. An empty
/// declarator gives the type alone.
pub(super) fn declare(ty: Type<'_>, declarator: &str) -> String {
    match ty.get_kind() {
        TypeKind::Pointer => declare_pointer(ty, declarator),
        TypeKind::ConstantArray => {
            declare_array(ty, declarator, ty.get_size().map_or(String::new(), |size| size.to_string()))
        }
        TypeKind::IncompleteArray => declare_array(ty, declarator, String::new()),
        // In a prototype C has it so too, whatever the length is called.
        TypeKind::VariableArray => declare_array(ty, declarator, "*".to_owned()),
        _ if is_function(ty) => declare_function(ty, declarator),
        TypeKind::Unexposed if is_array(ty.get_canonical_type()) => {
            declare(ty.get_canonical_type(), declarator)
        }
        _ if declarator.is_empty() => base(ty),
        _ => format!("{} {declarator}", base(ty)),
    }
}

/// A pointer to `pointee`, with `declarator` behind the star.
pub(super) fn declare_pointer_to(pointee: Type<'_>, declarator: &str) -> String {
    let parenthesised =
        is_function(pointee) || (is_array(pointee.get_canonical_type()) && !is_named(pointee));
    declare(pointee, &if parenthesised { format!("(*{declarator})") } else { format!("*{declarator}") })
}

/// The type as clang spells it. For a type without a name, which clang spells in a different way in
/// every version, its key.
fn base(ty: Type<'_>) -> String {
    let spelling = ty.get_display_name();
    match ty.get_canonical_type().get_declaration() {
        Some(declaration) if is_unnamed(&spelling) => {
            let constant = if ty.is_const_qualified() { "const " } else { "" };
            format!("{constant}{}", tag_key(&declaration))
        }
        _ => spelling,
    }
}

/// The key of a struct, union or enum: its tag, else the name that its typedef gives it, else its place.
pub(super) fn tag_key(entity: &Entity<'_>) -> String {
    let spelling = entity.get_type().map(|ty| ty.get_display_name()).unwrap_or_default();
    if !is_unnamed(&spelling) {
        return spelling;
    }
    let keyword = match entity.get_kind() {
        EntityKind::UnionDecl => "union",
        EntityKind::EnumDecl => "enum",
        _ => "struct",
    };
    let start = entity.get_range().map(|range| range.get_start().get_expansion_location());
    match start.and_then(|start| Some((start.file?, start.line, start.column))) {
        Some((file, line, column)) => {
            format!("{keyword} (unnamed at {}:{line}:{column})", location_of(&file).display())
        }
        None => format!("{keyword} (unnamed)"),
    }
}

/// Whether clang made the name up: `struct (unnamed at a.h:1:2)`, `union u::(anonymous at a.h:1:2)`.
pub(super) fn is_unnamed(name: &str) -> bool {
    name.is_empty() || name.contains("(unnamed") || name.contains("(anonymous")
}

fn declare_pointer(ty: Type<'_>, declarator: &str) -> String {
    let Some(pointee) = ty.get_pointee_type() else { return ty.get_display_name() };
    declare_pointer_to(pointee, &qualified(ty, declarator))
}

fn declare_array(ty: Type<'_>, declarator: &str, size: String) -> String {
    match ty.get_element_type() {
        Some(element) => declare(element, &format!("{declarator}[{size}]")),
        None => ty.get_display_name(),
    }
}

fn declare_function(ty: Type<'_>, declarator: &str) -> String {
    let parameters = ty.get_argument_types().unwrap_or_default();
    let parameters = parameters.into_iter().map(|parameter| declare(parameter, "")).collect();
    let known = ty.get_canonical_type().get_kind() != TypeKind::FunctionNoPrototype;
    let list = parameter_list(parameters, ty.is_variadic(), known);
    match ty.get_result_type() {
        Some(result) => declare(result, &format!("{declarator}{list}")),
        None => ty.get_display_name(),
    }
}

fn parameter_list(mut parameters: Vec<String>, variadic: bool, known: bool) -> String {
    if variadic && known {
        parameters.push("...".to_owned());
    }
    if parameters.is_empty() && known {
        parameters.push("void".to_owned());
    }
    format!("({})", parameters.join(", "))
}

/// The pointer's own qualifiers and what it qualifies: `const p`.
fn qualified(ty: Type<'_>, declarator: &str) -> String {
    let qualifiers = [
        ("const", ty.is_const_qualified()),
        ("volatile", ty.is_volatile_qualified()),
        ("restrict", ty.is_restrict_qualified()),
    ];
    let mut words: Vec<&str> = qualifiers.iter().filter(|(_, set)| *set).map(|(word, _)| *word).collect();
    if !declarator.is_empty() {
        words.push(declarator);
    }
    words.join(" ")
}

/// Whether the type is written as a function, not named by a typedef. (Parentheses and attributes
/// around a function type are `Unexposed`.)
pub(super) fn is_function(ty: Type<'_>) -> bool {
    match ty.get_kind() {
        TypeKind::FunctionPrototype | TypeKind::FunctionNoPrototype => true,
        TypeKind::Unexposed => matches!(
            ty.get_canonical_type().get_kind(),
            TypeKind::FunctionPrototype | TypeKind::FunctionNoPrototype
        ),
        _ => false,
    }
}

fn is_array(ty: Type<'_>) -> bool {
    matches!(ty.get_kind(), TypeKind::ConstantArray | TypeKind::IncompleteArray | TypeKind::VariableArray)
}

fn is_named(ty: Type<'_>) -> bool {
    matches!(ty.get_kind(), TypeKind::Typedef | TypeKind::Elaborated)
}
