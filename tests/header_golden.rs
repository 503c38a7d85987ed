//! Every header in `tests/fixtures/headers` against what is expected of it in `tests/expectations`.
//!
//! A new header gets its expectation with `UPDATE=1 cargo test --test header_golden`.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pythy::header::{Options, parse};
use pythy::model::{
    ConstantValue, Directives, Enumeration, Expression, Field, FloatType, Function, Interface, Linkage,
    Location, Record, RecordKind, Text, Type, TypeKind,
};

#[test]
fn headers_are_read_as_expected() {
    let wrong: Vec<_> = fixtures().iter().filter_map(|header| difference(header)).collect();
    assert!(wrong.is_empty(), "\n{}\nUPDATE=1 accepts what was read", wrong.join("\n"));
}

#[test]
fn headers_compile() {
    for header in fixtures() {
        let output = Command::new("cc").args(["-fsyntax-only", "-x", "c"]).arg(&header).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn fixtures() -> Vec<PathBuf> {
    let mut headers: Vec<_> = fs::read_dir("tests/fixtures/headers")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "h"))
        .collect();
    headers.sort();
    headers
}

fn difference(header: &Path) -> Option<String> {
    let name = header.file_stem().unwrap().to_str().unwrap();
    let expectation = Path::new("tests/expectations").join(format!("header_{name}.txt"));
    let interface = parse(&Options { headers: vec![header.to_owned()], ..Options::default() }).unwrap();
    let read = render(&interface);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&expectation, &read).unwrap();
    }
    let expected = fs::read_to_string(&expectation).unwrap_or_default();
    let line = expected.lines().chain([""]).zip(read.lines().chain([""])).position(|(a, b)| a != b);
    let line = line.or((expected != read).then_some(expected.lines().count().min(read.lines().count())))?;
    Some(format!(
        "{}:{}: expected {:?}, read {:?}",
        expectation.display(),
        line + 1,
        expected.lines().nth(line).unwrap_or_default(),
        read.lines().nth(line).unwrap_or_default()
    ))
}

/// What the given header itself declares, and the records and enums of others that it uses by name.
fn render(interface: &Interface) -> String {
    let mut text = String::new();
    for function in interface.functions.iter().filter(|f| f.in_given_header) {
        render_function(&mut text, function);
    }
    for record in interface.records.iter().filter(|r| r.in_given_header) {
        render_record(&mut text, record);
    }
    for enumeration in interface.enumerations.iter().filter(|e| e.in_given_header) {
        render_enumeration(&mut text, enumeration);
    }
    for t in interface.typedefs.iter().filter(|t| t.in_given_header) {
        heading(&mut text, &format!("typedef {} = {}", t.name, show(&t.ty)), &t.location, &t.comment);
    }
    for g in interface.globals.iter().filter(|g| g.in_given_header) {
        let how = if g.is_static { "static" } else { "global" };
        heading(&mut text, &format!("{how} {}: {}", g.name, show(&g.ty)), &g.location, &g.comment);
    }
    for c in interface.constants.iter().filter(|c| c.in_given_header) {
        let value = match &c.value {
            ConstantValue::Integer(value) => value.to_string(),
            ConstantValue::Float(value) => format!("{value:?}"),
            ConstantValue::Pointer(address, ty) => format!("{address:#x} as {ty}"),
            ConstantValue::String(value) => format!("\"{}\"", value.escape_ascii()),
        };
        heading(&mut text, &format!("constant {} = {value}", c.name), &c.location, &None);
    }
    render_directives(&mut text, &interface.directives);
    text
}

fn render_directives(text: &mut String, directives: &Directives) {
    for class in &directives.classes {
        let record = class.record.as_deref().unwrap_or("anything");
        heading(
            text,
            &format!("class {} of {}: {record}", class.name, class.argument),
            &class.location,
            &None,
        );
        if let Some(init) = &class.init {
            writeln!(text, "  init {init}").unwrap();
        }
        for method in &class.methods {
            writeln!(text, "  method {method}").unwrap();
        }
        for property in &class.properties {
            let name = |function: &Option<String>| function.clone().unwrap_or("none".to_owned());
            let (getter, setter) = (name(&property.getter), name(&property.setter));
            writeln!(text, "  property {}: {getter}, {setter}", property.name).unwrap();
        }
    }
    for alias in &directives.aliases {
        writeln!(text, "alias {} = {}", alias.name, alias.function).unwrap();
    }
    for wrapper in &directives.wrappers {
        heading(text, &format!("wrapper {}", wrapper.name), &wrapper.location, &None);
        for function in &wrapper.functions {
            writeln!(text, "  {function}").unwrap();
        }
    }
    for function in &directives.private {
        writeln!(text, "private {function}").unwrap();
    }
    for length in &directives.lengths {
        let whose = length.parameter.map_or("result".to_owned(), |index| format!("parameter {index}"));
        let expression = show_expression(&length.expression);
        writeln!(text, "length {} {whose}: {expression}, {} bytes each", length.function, length.unit)
            .unwrap();
    }
    for cleanup in &directives.cleanups {
        let class = cleanup.class.as_deref().map_or(String::new(), |class| format!(", class {class}"));
        let outs = cleanup.outs.iter().map(|(function, index)| format!("{function} parameter {index}"));
        let freed: Vec<_> = cleanup.results.iter().cloned().chain(outs).collect();
        writeln!(text, "cleanup {} of {}{class}", cleanup.function, freed.join(", ")).unwrap();
    }
}

fn show_expression(expression: &Expression) -> String {
    match expression {
        Expression::Number(number) => number.to_string(),
        Expression::Argument(index) => format!("${index}"),
        Expression::Target(index) => format!("*${index}"),
        Expression::Negative(inner) => format!("-{}", show_expression(inner)),
        Expression::Binary(operator, left, right) => {
            format!("({operator:?} {} {})", show_expression(left), show_expression(right))
        }
    }
}

fn render_function(text: &mut String, function: &Function) {
    let linkage = match function.linkage {
        Linkage::Static => "static ",
        Linkage::Inline => "inline ",
        Linkage::External => "",
    };
    let symbol = function.symbol.as_ref().map_or(String::new(), |symbol| format!(" as {symbol}"));
    let mut words = function.prototype.split(|c: char| !c.is_alphanumeric() && c != '_');
    let alias = words.all(|word| word != function.name);
    let name = if alias { format!("{}: ", function.name) } else { String::new() };
    heading(
        text,
        &format!("{linkage}function {name}{}{symbol}", function.prototype),
        &function.location,
        &function.comment,
    );
    for parameter in &function.parameters {
        writeln!(text, "  {}: {}", parameter.name.as_deref().unwrap_or("_"), show(&parameter.ty)).unwrap();
    }
    if function.variadic {
        writeln!(text, "  ...").unwrap();
    }
    writeln!(text, "  -> {}", show(&function.result)).unwrap();
}

fn render_record(text: &mut String, record: &Record) {
    let kind = if record.kind == RecordKind::Union { "union" } else { "struct" };
    let layout = record
        .size
        .map_or("opaque".to_owned(), |size| format!("{kind}, size {size}, align {}", record.align));
    heading(text, &format!("record {}: {layout}", record.key), &record.location, &record.comment);
    for field in &record.fields {
        render_field(text, field);
    }
}

fn render_field(text: &mut String, field: &Field) {
    let width = field.bit_width.map_or(String::new(), |width| format!(" : {width}"));
    let name = field.name.as_deref().unwrap_or("_");
    writeln!(text, "  bit {} {name}{width}: {}", field.offset_bits, show(&field.ty)).unwrap();
    comment(text, "      ", &field.comment);
}

fn render_enumeration(text: &mut String, enumeration: &Enumeration) {
    let title = format!("enumeration {}: {}", enumeration.key, enumeration.underlying.spelling());
    heading(text, &title, &enumeration.location, &enumeration.comment);
    for enumerator in &enumeration.enumerators {
        writeln!(text, "  {} = {}", enumerator.name, enumerator.value).unwrap();
        comment(text, "      ", &enumerator.comment);
    }
}

fn heading(text: &mut String, title: &str, location: &Location, about: &Option<Text>) {
    writeln!(text, "{title} [{}:{}]", location.line, location.column).unwrap();
    comment(text, "    ", about);
}

fn comment(text: &mut String, indentation: &str, comment: &Option<Text>) {
    for line in comment.iter().flat_map(|comment| comment.lines()) {
        writeln!(text, "{}", format!("{indentation}| {line}").trim_end()).unwrap();
    }
}

/// The spelling, and what it resolves to where that differs.
fn show(ty: &Type) -> String {
    let kind = show_kind(&ty.kind);
    let constant = if ty.is_const { "const " } else { "" };
    if ty.spelling == format!("{constant}{kind}") {
        ty.spelling.clone()
    } else {
        format!("{} = {constant}{kind}", ty.spelling)
    }
}

fn show_kind(kind: &TypeKind) -> String {
    let float = |float: &FloatType| match float {
        FloatType::Float => "float",
        FloatType::Double => "double",
        FloatType::LongDouble => "long double",
    };
    let constant = |ty: &Type| if ty.is_const { "const " } else { "" };
    match kind {
        TypeKind::Void => "void".to_owned(),
        TypeKind::Bool => "_Bool".to_owned(),
        TypeKind::Integer(integer) => integer.spelling().to_owned(),
        TypeKind::Float(kind) => float(kind).to_owned(),
        TypeKind::Complex(kind) => format!("_Complex {}", float(kind)),
        TypeKind::Pointer(pointee) => format!("pointer to {}{}", constant(pointee), show_kind(&pointee.kind)),
        TypeKind::FunctionPointer(function) => {
            let mut parameters: Vec<_> = function.parameters.iter().map(|p| show_kind(&p.kind)).collect();
            if function.variadic {
                parameters.push("...".to_owned());
            }
            format!("function ({}) -> {}", parameters.join(", "), show_kind(&function.result.kind))
        }
        TypeKind::Array(element, Some(count)) => format!("array of {count} {}", show_kind(&element.kind)),
        TypeKind::Array(element, None) => format!("array of {}", show_kind(&element.kind)),
        TypeKind::Record(key) => key.clone(),
        TypeKind::Enumeration(key, underlying) => format!("{key} in {}", underlying.spelling()),
        TypeKind::Unsupported(reason) => format!("unsupported: {reason}"),
    }
}
