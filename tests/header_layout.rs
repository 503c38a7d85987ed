//! Sizes, alignments and offsets against what the C compiler makes of the same records.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pythy::header::{Options, parse};
use pythy::model::{Field, Interface, Record, TypeKind};

#[test]
fn records_of_the_fixture_are_laid_out_as_cc_does() {
    let header = fs::canonicalize("tests/fixtures/headers/records.h").unwrap();
    let interface = read(&header);
    assert!(named(&interface).count() >= 15);
    compare(&header, &interface, "fixture");
}

#[test]
fn random_records_are_laid_out_as_cc_does() {
    let mut random = Random(20_240_607);
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let header = directory.join("random_records.h");
    let (text, members) = corpus(&mut random, 300);
    fs::write(&header, text).unwrap();
    let interface = read(&header);
    let found: usize = named(&interface).map(|record| flat(&interface, record).len()).sum();
    assert_eq!((named(&interface).count(), found), (300, members));
    compare(&header, &interface, "random");
}

fn read(header: &Path) -> Interface {
    parse(&Options { headers: vec![header.to_owned()], ..Options::default() }).unwrap()
}

/// The complete records of the header that C has a name for.
fn named(interface: &Interface) -> impl Iterator<Item = &Record> {
    let records = interface.records.iter();
    records
        .filter(|record| record.in_given_header && record.size.is_some() && !record.key.contains("(unnamed"))
}

/// The named fields with their offsets, those of anonymous members among them.
fn flat<'i>(interface: &'i Interface, record: &'i Record) -> Vec<(&'i Field, u64)> {
    let mut fields = Vec::new();
    for field in &record.fields {
        match (&field.name, &field.ty.kind) {
            (Some(_), _) => fields.push((field, field.offset_bits)),
            (None, TypeKind::Record(key)) => {
                let inner = interface.records.iter().find(|record| record.key == *key).unwrap();
                fields.extend(flat(interface, inner).into_iter().map(|(f, at)| (f, at + field.offset_bits)));
            }
            (None, kind) => panic!("a field without a name is {kind:?}"),
        }
    }
    fields
}

/// What libclang says, in the words of the oracle.
fn layout(interface: &Interface) -> String {
    let mut text = String::new();
    for record in named(interface) {
        writeln!(text, "{} size {} align {}", record.key, record.size.unwrap(), record.align).unwrap();
        for (field, offset) in flat(interface, record) {
            let name = field.name.as_ref().unwrap();
            match field.bit_width {
                Some(width) => writeln!(text, "{}.{name} bit {offset} width {width}", record.key).unwrap(),
                None => writeln!(text, "{}.{name} bit {offset}", record.key).unwrap(),
            }
        }
    }
    text
}

fn compare(header: &Path, interface: &Interface, name: &str) {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (source, program) =
        (directory.join(format!("layout_{name}.c")), directory.join(format!("layout_{name}")));
    fs::write(&source, oracle(header, interface)).unwrap();
    let compiled = Command::new("cc").arg("-w").arg(&source).arg("-o").arg(&program).output().unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let expected = String::from_utf8(Command::new(&program).output().unwrap().stdout).unwrap();
    let read = layout(interface);
    for (expected, read) in expected.lines().zip(read.lines()) {
        assert_eq!(read, expected, "in {}", header.display());
    }
    assert_eq!(read.lines().count(), expected.lines().count());
}

/// A program that prints the same as [`layout`]. The place of a bit-field is where bits turn up
/// when all of its own are set.
fn oracle(header: &Path, interface: &Interface) -> String {
    let mut main = String::new();
    for record in named(interface) {
        let key = &record.key;
        writeln!(main, "printf(\"{key} size %zu align %zu\\n\", sizeof({key}), _Alignof({key}));").unwrap();
        for (field, _) in flat(interface, record) {
            let name = field.name.as_ref().unwrap();
            if field.bit_width.is_some() {
                writeln!(main, "{{ {key} r; memset(&r, 0, sizeof r); r.{name} = -1; bits(\"{key}.{name}\", &r, sizeof r); }}")
                    .unwrap();
            } else {
                writeln!(main, "printf(\"{key}.{name} bit %zu\\n\", 8 * offsetof({key}, {name}));").unwrap();
            }
        }
    }
    format!(
        r#"#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "{}"
static void bits(const char *name, const void *record, size_t size) {{
    const unsigned char *bytes = record;
    size_t first = 0, width = 0;
    for (size_t i = 0; i < 8 * size; i++)
        if (bytes[i / 8] >> i % 8 & 1 && width++ == 0)
            first = i;
    printf("%s bit %zu width %zu\n", name, first, width);
}}
int main(void) {{
{main}return 0;
}}
"#,
        header.display()
    )
}

/// `count` random records, each of which may hold earlier ones, and how many named members they have.
fn corpus(random: &mut Random, count: usize) -> (String, usize) {
    let mut text = "#include <stdint.h>\nenum small { ONE, TWO = 200 };\n".to_owned();
    let mut members = 0;
    for number in 0..count {
        let keyword = record_keyword(random);
        writeln!(text, "typedef {keyword} {{").unwrap();
        let fields = 1 + random.below(8);
        let named: usize = (0..fields).map(|i| member(random, &mut text, number, &format!("m{i}"))).sum();
        members += named;
        if keyword == "struct" && named > 0 && random.below(10) == 0 {
            text.push_str("short last[];\n");
            members += 1;
        }
        writeln!(text, "}} {} r{number};\n", attribute(random)).unwrap();
    }
    (text, members)
}

fn record_keyword(random: &mut Random) -> &'static str {
    random.pick(&["struct", "struct", "struct", "union"])
}

fn attribute(random: &mut Random) -> &'static str {
    let attributes = [
        "",
        "",
        "",
        "",
        "__attribute__((packed))",
        "__attribute__((aligned(16)))",
        "__attribute__((packed, aligned(4)))",
    ];
    random.pick(&attributes)
}

/// Writes one member of record `number`; returns how many names it adds.
fn member(random: &mut Random, text: &mut String, number: usize, name: &str) -> usize {
    let scalars = [
        "char",
        "short",
        "int",
        "long",
        "long long",
        "uint8_t",
        "float",
        "double",
        "long double",
        "void *",
        "enum small",
        "_Bool",
        "float _Complex",
    ];
    match random.below(10) {
        0..=3 => bit_field(random, text, name),
        4..=6 => named_member(text, random.pick(&scalars), &format!("{name}{}", array(random))),
        7 => named_member(text, &format!("int __attribute__((aligned({})))", 1 << random.below(5)), name),
        8 if number > 0 => named_member(text, &format!("r{}", earlier(random, number)), name),
        _ => {
            writeln!(text, "{} {{", record_keyword(random)).unwrap();
            let inner = (0..2).map(|i| bit_field(random, text, &format!("{name}_{i}"))).sum::<usize>();
            let inner = inner + named_member(text, random.pick(&scalars), &format!("{name}_x"));
            text.push_str("};\n");
            inner
        }
    }
}

/// An earlier record; ones with a flexible array may stand inside others too, as GNU C allows.
fn earlier(random: &mut Random, number: usize) -> usize {
    random.below(number as u64) as usize
}

fn array(random: &mut Random) -> String {
    if random.below(4) == 0 { format!("[{}]", 1 + random.below(5)) } else { String::new() }
}

fn named_member(text: &mut String, ty: &str, declarator: &str) -> usize {
    writeln!(text, "{ty} {declarator};").unwrap();
    1
}

fn bit_field(random: &mut Random, text: &mut String, name: &str) -> usize {
    let types = [
        ("_Bool", 1),
        ("unsigned char", 8),
        ("short", 16),
        ("unsigned", 32),
        ("int", 32),
        ("long", 64),
        ("enum small", 32),
    ];
    let (ty, most) = random.pick(&types);
    match random.below(8) {
        0 => writeln!(text, "{ty} : 0;").unwrap(),
        1 => writeln!(text, "{ty} : {};", 1 + random.below(most)).unwrap(),
        _ => {
            let least = if ty == "enum small" { 8 } else { 1 };
            writeln!(text, "{ty} {name} : {};", least + random.below(most - least + 1)).unwrap();
            return 1;
        }
    }
    0
}

/// A linear congruential generator: the same records in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}
