//! What cannot be read, with the literal messages.

use std::fs;
use std::path::{Path, PathBuf};

use pythy::header::{Options, parse};

/// A directory of this test's own, with the given files in it.
fn directory(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("header_errors").join(name);
    fs::create_dir_all(&directory).unwrap();
    for (file, text) in files {
        fs::write(directory.join(file), text).unwrap();
    }
    directory
}

fn header(path: impl Into<PathBuf>) -> Options {
    Options { headers: vec![path.into()], ..Options::default() }
}

/// The message, with the test's directory cut out.
#[track_caller]
fn message(options: &Options, directory: &Path) -> String {
    parse(options).unwrap_err().to_string().replace(&format!("{}/", directory.display()), "")
}

#[test]
fn a_missing_header_is_named() {
    let directory = directory("missing", &[]);
    let options = header(directory.join("no.h"));
    assert_eq!(message(&options, &directory), "header file 'no.h' does not exist");
    assert_eq!(message(&header("./no.h"), &directory), "header file './no.h' does not exist");
}

#[test]
fn the_places_where_a_header_was_looked_for_are_named() {
    let options = Options { include_dirs: vec!["include".into()], ..header("no_such_thing.h") };
    let system = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    assert_eq!(
        parse(&options).unwrap_err().to_string(),
        format!(
            "header file 'no_such_thing.h' does not exist, nor is it in \
             'include', '/usr/local/include', '{system}' or '/usr/include'"
        )
    );
}

#[test]
fn a_directory_is_no_header() {
    let directory = directory("directory", &[]);
    let expected = format!("'{}' is a directory, not a header file", directory.display());
    assert_eq!(parse(&header(&directory)).unwrap_err().to_string(), expected);
}

#[test]
fn a_missing_include_is_located() {
    let directory = directory("include", &[("a.h", "int a(void);\n  #include \"gone.h\"\nint b(void);\n")]);
    assert_eq!(
        message(&header(directory.join("a.h")), &directory),
        "a.h:2:12: 'gone.h' file not found; include_dirs names further directories to look in"
    );
}

#[test]
fn a_missing_include_of_an_included_header_is_located_there() {
    let files = [("a.h", "#include \"b.h\"\n"), ("b.h", "#include <gone.h>\n")];
    let directory = directory("nested", &files);
    assert_eq!(
        message(&header(directory.join("a.h")), &directory),
        "b.h:1:10: 'gone.h' file not found; include_dirs names further directories to look in"
    );
}

#[test]
fn a_syntax_error_is_located() {
    let directory = directory("syntax", &[("a.h", "int ok(void);\nint broken(int a;\n")]);
    assert_eq!(message(&header(directory.join("a.h")), &directory), "a.h:2:17: expected ')'");
}

#[test]
fn further_errors_are_counted() {
    let lines = |count: usize| "unknown_t f(void);\n".repeat(count);
    let directory = directory("more", &[("two.h", &lines(2)), ("many.h", &lines(30))]);
    let first = "1:1: unknown type name 'unknown_t'; give the header that declares it before this one";
    assert_eq!(
        message(&header(directory.join("two.h")), &directory),
        format!("two.h:{first} (and 1 more error)")
    );
    assert_eq!(
        message(&header(directory.join("many.h")), &directory),
        format!("many.h:{first} (and 29 more errors)")
    );
}

#[test]
fn what_is_cxx_is_told_to_be() {
    let directory = directory("cxx", &[("a.h", "template<class T> T f(T);\n")]);
    assert_eq!(
        message(&header(directory.join("a.h")), &directory),
        "a.h:1:1: unknown type name 'template': this is C++, and pythy reads C (and 1 more error)"
    );
}

#[test]
fn arguments_for_another_machine_are_refused() {
    let directory = directory("machine", &[("a.h", "long f(void *p);\n")]);
    let options = Options { clang_args: vec!["-m32".to_owned()], ..header(directory.join("a.h")) };
    assert_eq!(
        message(&options, &directory),
        "clang could not parse a.h: with -m32 pointers have 32 bits, and here they have 64"
    );
}

#[test]
fn an_error_directive_is_an_error() {
    let directory = directory("directive", &[("a.h", "#error \"define A first\"\n")]);
    assert_eq!(message(&header(directory.join("a.h")), &directory), "a.h:1:2: \"define A first\"");
    let defined = directory.join("b.h");
    fs::write(&defined, "#ifndef A\n#error A\n#endif\nint a(void);\n").unwrap();
    let options = Options { defines: vec![("A".to_owned(), None)], ..header(defined) };
    assert_eq!(parse(&options).unwrap().functions.len(), 1);
}

#[test]
fn the_second_header_is_named_when_it_is_at_fault() {
    let directory = directory("second", &[("a.h", "int a(void);\n"), ("b.h", "int b(\n")]);
    let options =
        Options { headers: vec![directory.join("a.h"), directory.join("b.h")], ..Options::default() };
    assert_eq!(message(&options, &directory), "b.h:2:1: expected parameter declarator (and 2 more errors)");
}

#[test]
fn a_binary_file_is_no_header() {
    let directory = directory("binary", &[("a.h", "\u{7f}ELF\u{2}\u{1}\u{1}"), ("b.h", "\u{7f}\u{2}\u{1}")]);
    assert_eq!(
        message(&header(directory.join("a.h")), &directory),
        "'a.h' is a library, not a header file; headers come first, the library last"
    );
    let message = message(&header(directory.join("b.h")), &directory);
    assert!(message.starts_with("b.h:1:1: "), "{message}");
}

#[test]
fn arguments_that_clang_refuses_are_told() {
    let directory = directory("arguments", &[("a.h", "int a(void);\n")]);
    let with =
        |argument: &str| Options { clang_args: vec![argument.to_owned()], ..header(directory.join("a.h")) };
    assert_eq!(
        message(&with("-std=c1000"), &directory),
        "clang could not parse a.h: it refuses the arguments -std=c1000"
    );
    assert_eq!(
        message(&with("--no-such-argument"), &directory),
        "clang could not parse a.h: unknown argument: '--no-such-argument'"
    );
    assert_eq!(
        message(&with("a\0b"), &directory),
        "clang could not parse a.h: argument \"a\\0b\" contains a NUL"
    );
}

#[test]
fn odd_file_names_are_read() {
    let files = [("with space.h", "int a(void);"), ("quo\"te.h", "int b(void);"), ("ünï.h", "int c(void);")];
    let directory = directory("names", &files);
    for (file, _) in files {
        let interface = parse(&header(directory.join(file))).unwrap();
        let [function] = interface.functions.as_slice() else { panic!("{file}") };
        assert!(function.in_given_header);
        assert_eq!(function.location.file, directory.join(file));
    }
}

#[test]
fn impossible_file_names_are_told() {
    use std::os::unix::ffi::OsStrExt;
    let directory = directory("impossible", &[("a\nb.h", ""), ("a\">b.h", "")]);
    for file in ["a\nb.h", "a\">b.h"] {
        let message = message(&header(directory.join(file)), &directory);
        assert!(message.ends_with("cannot be written in an #include"), "{message}");
    }
    let file = directory.join(std::ffi::OsStr::from_bytes(b"\xff.h"));
    fs::write(&file, "").unwrap();
    let message = parse(&header(file)).unwrap_err().to_string();
    assert!(message.ends_with("is not valid UTF-8"), "{message}");
}

#[test]
fn an_empty_list_of_headers_declares_nothing() {
    assert_eq!(parse(&Options::default()).unwrap(), pythy::model::Interface::default());
}
