//! Functions whose code is in the header: compiled, kept, and bound like those of the library.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pythy::binding::{Bindings, Library, bind};
use pythy::header::{self, Cache, Key, Options};

const SOURCE: &str = "int base = 40;\nint add(int a, int b) { return a + b; }\n";

struct Place {
    directory: PathBuf,
    options: Options,
    cache: Cache,
}

impl Place {
    fn new(name: &str, header: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("static_functions").join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("code.h"), header).unwrap();
        fs::write(directory.join("code.c"), SOURCE).unwrap();
        let command = ["-shared", "-fPIC", "-o", "code.so", "code.c"];
        assert!(Command::new("cc").args(command).current_dir(&directory).status().unwrap().success());
        let options = Options { headers: vec![directory.join("code.h")], ..Options::default() };
        let cache = Cache::at(directory.join("cache")).unwrap();
        Self { directory, options, cache }
    }

    fn bind(&self) -> (Library, Bindings) {
        let mut library = Library::open(&self.directory.join("code.so")).unwrap();
        let mut parsed = header::read(&self.options).unwrap();
        let key = Key::new(&self.options, None);
        library.compile_static_functions(&parsed, &self.options, Some(&self.cache), key.as_ref());
        let bindings = bind(&mut parsed.interface, &library, &self.options.headers).unwrap();
        (library, bindings)
    }

    fn objects(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.cache.directory()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|file| file.extension().is_some_and(|extension| extension == "so")).collect()
    }
}

/// Calls an `int(int)`.
fn call(bindings: &Bindings, name: &str, argument: i32) -> i32 {
    let function = bindings.functions.iter().find(|function| function.declaration.name == name).unwrap();
    // SAFETY: the test's own header says that it takes and returns an int.
    unsafe {
        let code: extern "C" fn(i32) -> i32 = std::mem::transmute(function.address);
        code(argument)
    }
}

#[test]
fn they_call_into_the_very_library() {
    let text = "extern int base;\nint add(int, int);\n\
                static inline int based(int x) { base++; return add(base, x); }\n";
    let place = Place::new("calls", text);
    let (library, bindings) = place.bind();
    assert_eq!((call(&bindings, "based", 1), call(&bindings, "based", 1)), (42, 43));
    let base = library.address("base").unwrap().unwrap().cast::<i32>();
    // SAFETY: the library's own variable, and the library is loaded.
    assert_eq!(unsafe { base.read() }, 42);
    let [object] = &place.objects()[..] else { panic!("not one object") };
    assert_eq!(library.shim().unwrap().path(), Some(object.as_path()));
}

#[test]
fn those_that_fail_are_found_among_many() {
    let mut text = "int missing(void);\nint add(int, int);\n".to_owned();
    for i in 0..20 {
        let body = if i % 7 == 3 { "missing() + x".to_owned() } else { format!("x + {i}") };
        text += &format!("static inline int f{i}(int x) {{ return {body}; }}\n");
    }
    let (_library, bindings) = Place::new("many", &text).bind();
    let skipped: Vec<_> = bindings.skipped.iter().map(|skipped| skipped.name.as_str()).collect();
    assert_eq!(skipped, ["missing", "f3", "f10", "f17"]);
    assert!(bindings.skipped[1].reason.ends_with("cannot compile it: undefined symbol: missing"));
    assert_eq!((call(&bindings, "f0", 1), call(&bindings, "f19", 1)), (1, 20));
}

#[test]
fn without_static_functions_there_is_no_shim() {
    let place = Place::new("none", "int add(int, int);\n");
    let (library, bindings) = place.bind();
    assert!(library.shim().is_none());
    assert_eq!((bindings.functions.len(), place.objects().len()), (1, 0));
}

#[test]
fn a_lost_object_is_made_again() {
    let place = Place::new("lost", "int add(int, int);\nstatic inline int one(int x) { return x + 1; }\n");
    drop(place.bind());
    let objects = place.objects();
    objects.iter().for_each(|object| fs::remove_file(object).unwrap());
    let (_library, bindings) = place.bind();
    assert_eq!(call(&bindings, "one", 1), 2);
}
