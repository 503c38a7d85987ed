//! Every type that system headers write is the same type by its name.

use pythy::header::{self, Options};
use pythy::model::{Type, TypeKind};

#[test]
fn the_spelling_of_a_header_names_the_headers_type() {
    let headers = ["stdlib.h", "stdio.h", "string.h", "signal.h", "time.h", "unistd.h", "search.h", "ftw.h"];
    let options = Options { headers: headers.iter().map(Into::into).collect(), ..Options::default() };
    let interface = header::parse(&options).expect("the C library's headers");
    let mut types: Vec<&Type> = Vec::new();
    for function in &interface.functions {
        types.push(&function.result);
        types.extend(function.parameters.iter().map(|parameter| &parameter.ty));
    }
    types.extend(interface.records.iter().flat_map(|record| &record.fields).map(|field| &field.ty));
    let mut pointers_to_functions = 0;
    for ty in types.iter().filter(|ty| can_be_named(ty)) {
        let named = interface.type_named(&ty.spelling);
        let named = named.unwrap_or_else(|error| panic!("{}", error.message(&ty.spelling, "the C library")));
        assert_eq!(named.qualified(), ty.qualified(), "{}", ty.spelling);
        let again = interface.type_named(&ty.qualified()).map(|ty| ty.qualified());
        assert_eq!(again, Ok(ty.qualified()));
        pointers_to_functions += usize::from(matches!(ty.kind, TypeKind::FunctionPointer(_)));
    }
    assert!(types.len() > 500, "{}", types.len());
    assert!(pointers_to_functions > 10, "{pointers_to_functions}");
}

/// What C gives no name to: untagged records, and the machine's `va_list`.
fn can_be_named(ty: &Type) -> bool {
    let spelling = ty.qualified();
    !spelling.contains("(unnamed") && !spelling.contains('<') && !ty.spelling.contains("(unnamed")
}
