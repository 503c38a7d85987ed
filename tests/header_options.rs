//! Several headers, include directories, defines, threads: how a parse is set up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pythy::header::{Options, parse, set_libclang};
use pythy::model::{Function, Interface};

fn directory(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("header_options").join(name);
    for (file, text) in files {
        let file = directory.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    directory
}

fn header(path: impl Into<PathBuf>) -> Options {
    Options { headers: vec![path.into()], ..Options::default() }
}

fn function<'i>(interface: &'i Interface, name: &str) -> &'i Function {
    interface.functions.iter().find(|function| function.name == name).unwrap()
}

fn names(interface: &Interface) -> Vec<&str> {
    interface.functions.iter().map(|function| function.name.as_str()).collect()
}

#[test]
fn several_headers_are_read_in_order_as_one() {
    let files = [("a.h", "typedef int number;\nnumber a(void);\n"), ("b.h", "number b(void);\n")];
    let directory = directory("several", &files);
    let headers = vec![directory.join("a.h"), directory.join("b.h")];
    let interface = parse(&Options { headers, ..Options::default() }).unwrap();
    assert_eq!(names(&interface), ["a", "b"]);
    assert!(interface.functions.iter().all(|function| function.in_given_header));
}

#[test]
fn the_compilers_own_headers_can_be_given() {
    let directory = directory("own", &[("needs.h", "size_t needs(va_list arguments);\n")]);
    let headers = vec!["stdarg.h".into(), "stddef.h".into(), directory.join("needs.h")];
    let interface = parse(&Options { headers, ..Options::default() }).unwrap();
    assert_eq!(names(&interface), ["needs"]);
    let size = interface.typedefs.iter().find(|typedef| typedef.name == "size_t").unwrap();
    assert!(size.in_given_header);
}

#[test]
fn what_a_given_header_includes_is_read_too_and_told_apart() {
    let files = [
        ("umbrella.h", "#include \"parts/one.h\"\nint own(void);\n"),
        ("parts/one.h", "#include \"two.h\"\nint one(void);\n"),
        ("parts/two.h", "int two(void);\n"),
    ];
    let directory = directory("umbrella", &files);
    let interface = parse(&header(directory.join("umbrella.h"))).unwrap();
    assert_eq!(names(&interface), ["two", "one", "own"]);
    let given: Vec<_> = interface.functions.iter().map(|function| function.in_given_header).collect();
    assert_eq!(given, [false, false, true]);
    assert_eq!(function(&interface, "two").location.file, directory.join("parts/two.h"));
}

#[test]
fn a_given_header_is_known_under_any_path() {
    let files =
        [("a.h", "#include \"sub/../b.h\"\n"), ("b.h", "#pragma once\nint b(void);\n"), ("sub/c.h", "")];
    let directory = directory("paths", &files);
    let headers = vec![directory.join("a.h"), directory.join("b.h")];
    let interface = parse(&Options { headers, ..Options::default() }).unwrap();
    assert!(function(&interface, "b").in_given_header);
}

#[test]
fn include_directories_are_searched() {
    let files = [
        ("include/lib/a.h", "#include <lib/b.h>\nnumber a(void);\n"),
        ("include/lib/b.h", "typedef int number;\n"),
    ];
    let directory = directory("include_dirs", &files);
    let options = Options { include_dirs: vec![directory.join("include")], ..header("lib/a.h") };
    let interface = parse(&options).unwrap();
    assert_eq!(function(&interface, "a").location.file, directory.join("include/lib/a.h"));
}

#[test]
fn defines_have_values_or_are_one() {
    let text = "#if ONE == 1\nTYPE a(void);\n#endif\n";
    let directory = directory("defines", &[("a.h", text)]);
    let defines = vec![("ONE".to_owned(), None), ("TYPE".to_owned(), Some("unsigned long".to_owned()))];
    let interface = parse(&Options { defines, ..header(directory.join("a.h")) }).unwrap();
    assert_eq!(function(&interface, "a").prototype, "unsigned long a(void)");
}

#[test]
fn clang_arguments_have_the_last_word() {
    let directory = directory("arguments", &[("a.h", "int a(int);\n#ifdef B\nint b(void);\n#endif\n")]);
    let clang_args = ["-DB", "-std=c89"].map(str::to_owned).to_vec();
    let interface = parse(&Options { clang_args, ..header(directory.join("a.h")) }).unwrap();
    assert_eq!(names(&interface), ["a", "b"]);
}

#[test]
fn a_path_is_spelled_as_it_was_given() {
    let interface = parse(&header("tests/fixtures/headers/integers.h")).unwrap();
    assert_eq!(function(&interface, "integer").location.to_string(), "tests/fixtures/headers/integers.h:11");
}

#[test]
fn every_thread_may_parse() {
    let parsed: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| parse(&header("tests/fixtures/headers/records.h")).unwrap()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(parsed.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_failed_parse_leaves_the_next_one_alone() {
    let directory = directory("failed", &[("broken.h", "int (\n"), ("a.h", "int a(void);\n")]);
    for _ in 0..2 {
        assert!(parse(&header(directory.join("broken.h"))).is_err());
        assert_eq!(names(&parse(&header(directory.join("a.h"))).unwrap()), ["a"]);
    }
}

/// libclang catches SIGSEGV while it runs; afterwards it must not stand between the library under
/// test and whoever looks for its crash.
#[test]
fn the_signal_handlers_are_left_as_they_were() {
    let signals = [libc::SIGSEGV, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP];
    let handlers = || signals.map(handler);
    let before = handlers();
    alone(
        "the_signal_handlers_are_left_as_they_were",
        |_| {},
        || {
            parse(&header("tests/fixtures/headers/records.h")).unwrap();
            assert_eq!(handlers(), before);
        },
    );
}

fn handler(signal: libc::c_int) -> usize {
    // SAFETY: with no new action, sigaction only fills in the structure, for which all zeros is valid.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        assert_eq!(libc::sigaction(signal, std::ptr::null(), &mut action), 0);
        action.sa_sigaction
    }
}

#[test]
fn a_missing_libclang_is_told_and_can_be_remedied() {
    let missing = |command: &mut Command| {
        command.env("LIBCLANG_PATH", "/nonexistent");
    };
    alone("a_missing_libclang_is_told_and_can_be_remedied", missing, || {
        let error = || parse(&Options::default()).unwrap_err().to_string();
        let expected = "libclang cannot be loaded (couldn't find any valid shared libraries matching: \
                        ['libclang.so', 'libclang-*.so', 'libclang.so.*', 'libclang-*.so.*']); \
                        install it with 'pip install libclang', or set LIBCLANG_PATH";
        assert_eq!(error(), expected);
        // A second attempt says the same, not that an instance already exists.
        assert_eq!(error(), expected);
    });
}

#[test]
fn libclang_is_found_where_the_package_says() {
    let Some(path) = std::env::var_os("LIBCLANG_PATH").or_else(|| std::env::var_os("TEST_LIBCLANG")) else {
        return;
    };
    let told = |command: &mut Command| {
        command.env_remove("LIBCLANG_PATH").env("TEST_LIBCLANG", &path);
    };
    alone("libclang_is_found_where_the_package_says", told, || {
        set_libclang(PathBuf::from(std::env::var_os("TEST_LIBCLANG").unwrap()));
        parse(&Options::default()).unwrap();
        assert_eq!(std::env::var_os("LIBCLANG_PATH"), None);
    });
}

/// Runs `work` in a process where nothing else of this file has run, as `setup` prepares it. `test`
/// is the name of the calling test.
fn alone(test: &str, setup: impl Fn(&mut Command), work: impl Fn()) {
    if std::env::var_os("TEST_ALONE").is_some() {
        return work();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("TEST_ALONE", "1");
    setup(&mut command);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
