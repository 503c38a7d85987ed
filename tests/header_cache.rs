//! What is kept between processes, and when it is not true any more.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pythy::error::HeaderError;
use pythy::header::{self, Cache, Key, Options};
use pythy::model::Interface;

/// Headers in a directory of their own, and a cache that is empty at first.
struct Place {
    directory: PathBuf,
    cache: Cache,
    parses: Cell<u32>,
}

impl Place {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("header_cache").join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let cache = Cache::at(directory.join("cache")).unwrap();
        let place = Self { directory, cache, parses: Cell::new(0) };
        files.iter().for_each(|(file, text)| place.write(file, text));
        place
    }

    fn write(&self, file: &str, text: &str) {
        let file = self.directory.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn options(&self, header: &str) -> Options {
        Options { headers: vec![self.directory.join(header)], ..Options::default() }
    }

    /// The names of the functions, as read through the cache.
    fn read(&self, options: &Options) -> Result<Vec<String>, HeaderError> {
        let key = Key::new(options, None);
        let parsed = Cache::read(Some(&self.cache), key.as_ref(), || {
            self.parses.set(self.parses.get() + 1);
            header::read(options)
        })?;
        Ok(parsed.interface.functions.into_iter().map(|function| function.name).collect())
    }

    /// Reads until an entry is there: what was changed within the last milliseconds is not kept.
    fn fill(&self, options: &Options) -> Vec<String> {
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            let before = self.parses.get();
            let names = self.read(options).unwrap();
            if self.parses.get() == before {
                return names;
            }
            assert!(Instant::now() < patience, "nothing is kept");
        }
    }

    /// Whether the next reading needs a parse.
    fn parses(&self, options: &Options) -> bool {
        let before = self.parses.get();
        self.read(options).unwrap();
        self.parses.get() > before
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.cache.directory()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

#[test]
fn what_is_kept_is_what_was_read() {
    let text = "int f(void);\n/** Adds. */\nint add(int a, int b);\n/** Adds. */\nint plus(int a, int b);\n\
                #define C 3\n/** A point. */\nstruct point { int x; /**< Größe. */ int y; };\n/** Tones. */\n\
                enum tone { LOW, /**< Deep. */ HIGH };\n/** Another name. */\ntypedef int number;\n\
                /** Counts. */\nextern int count;\n";
    let place = Place::new("same", &[("a.h", text)]);
    let options = place.options("a.h");
    place.fill(&options);
    let (cache, key) = (Some(&place.cache), Key::new(&options, None));
    let kept = Cache::read(cache, key.as_ref(), || Err("it is not kept")).unwrap();
    assert_eq!(kept, header::read(&options).unwrap());
    let Interface { functions, records, enumerations, typedefs, globals, .. } = kept.interface;
    let comments = [
        &functions[0].comment,
        &functions[1].comment,
        &functions[2].comment,
        &records[0].comment,
        &records[0].fields[0].comment,
        &records[0].fields[1].comment,
        &enumerations[0].comment,
        &enumerations[0].enumerators[0].comment,
        &enumerations[0].enumerators[1].comment,
        &typedefs[0].comment,
        &globals[0].comment,
    ];
    let texts: Vec<_> = comments.iter().map(|comment| comment.as_deref().unwrap_or("-")).collect();
    assert_eq!(
        texts,
        [
            "-",
            "Adds.",
            "Adds.",
            "A point.",
            "Größe.",
            "-",
            "Tones.",
            "Deep.",
            "-",
            "Another name.",
            "Counts."
        ]
    );
}

#[test]
fn an_edited_header_is_read_again_though_size_and_time_of_modification_are_the_same() {
    let place = Place::new("edited", &[("a.h", "int one(void);\n")]);
    let options = place.options("a.h");
    assert_eq!(place.fill(&options), ["one"]);
    let header = place.directory.join("a.h");
    let modified = header.metadata().unwrap().modified().unwrap();
    place.write("a.h", "int two(void);\n");
    fs::File::options().write(true).open(&header).unwrap().set_modified(modified).unwrap();
    assert_eq!(place.read(&options).unwrap(), ["two"]);
}

#[test]
fn an_edited_header_that_is_included_is_read_again() {
    let place = Place::new("included", &[("a.h", "#include \"b.h\"\n"), ("b.h", "int one(void);\n")]);
    let options = place.options("a.h");
    assert_eq!(place.fill(&options), ["one"]);
    place.write("b.h", "int two(void);\n");
    assert_eq!(place.read(&options).unwrap(), ["two"]);
    fs::remove_file(place.directory.join("b.h")).unwrap();
    assert!(matches!(place.read(&options), Err(HeaderError::HeaderSyntax { .. })));
}

#[test]
fn a_header_that_is_included_by_an_argument_counts_too() {
    let place = Place::new("argument", &[("a.h", "one(void);\n"), ("b.h", "int\n")]);
    let mut options = place.options("a.h");
    options.clang_args = vec!["-include".into(), place.directory.join("b.h").display().to_string()];
    assert_eq!(place.fill(&options), ["one"]);
    place.write("b.h", "int two(void); int\n");
    assert_eq!(place.read(&options).unwrap(), ["two", "one"]);
}

#[test]
fn a_touched_header_is_read_again_and_then_kept() {
    let place = Place::new("touched", &[("a.h", "int one(void);\n")]);
    let options = place.options("a.h");
    place.fill(&options);
    place.write("a.h", "int one(void);\n");
    assert_eq!(place.read(&options).unwrap(), ["one"]);
    assert_eq!(place.fill(&options), ["one"]);
    assert!(!place.parses(&options));
}

#[test]
fn a_new_header_that_comes_before_the_one_that_was_found_is_seen() {
    let files = [("a.h", "#include <lib/b.h>\n"), ("second/lib/b.h", "int one(void);\n"), ("first/x", "")];
    let place = Place::new("shadow", &files);
    let include_dirs = vec![place.directory.join("first"), place.directory.join("second")];
    let options = Options { include_dirs, ..place.options("a.h") };
    assert_eq!(place.fill(&options), ["one"]);
    place.write("first/lib/b.h", "int two(void);\n");
    assert_eq!(place.read(&options).unwrap(), ["two"]);
}

#[test]
fn a_given_header_that_appears_in_an_earlier_directory_is_seen() {
    let place = Place::new("given", &[("second/pythy_given.h", "int one(void);\n"), ("first/x", "")]);
    let include_dirs = vec![place.directory.join("first"), place.directory.join("second")];
    let options = Options { headers: vec!["pythy_given.h".into()], include_dirs, ..Options::default() };
    assert_eq!(place.fill(&options), ["one"]);
    place.write("first/pythy_given.h", "int two(void);\n");
    assert_eq!(place.read(&options).unwrap(), ["two"]);
}

#[test]
fn a_header_that_was_only_asked_for_is_seen_when_it_comes_and_when_it_goes() {
    let text = "#if __has_include(\"b.h\")\nint with(void);\n#else\nint without(void);\n#endif\n";
    let place = Place::new("asked", &[("a.h", text)]);
    let options = place.options("a.h");
    assert_eq!(place.fill(&options), ["without"]);
    place.write("b.h", "");
    assert_eq!(place.read(&options).unwrap(), ["with"]);
    assert_eq!(place.fill(&options), ["with"]);
    fs::remove_file(place.directory.join("b.h")).unwrap();
    assert_eq!(place.read(&options).unwrap(), ["without"]);
}

#[test]
fn every_option_makes_an_entry_of_its_own() {
    let text = "#ifdef TWO\nint two(void);\n#else\nint one(void);\n#endif\n";
    let place = Place::new("options", &[("a.h", text), ("b.h", "int three(void);\n")]);
    let options = place.options("a.h");
    place.fill(&options);
    let defined = Options { defines: vec![("TWO".into(), None)], ..options.clone() };
    let argument = Options { clang_args: vec!["-DTWO".into()], ..options.clone() };
    let directory = Options { include_dirs: vec![place.directory.clone()], ..options.clone() };
    let more = Options { headers: vec![place.directory.join("a.h"), place.directory.join("b.h")], ..options };
    assert_eq!(place.read(&defined).unwrap(), ["two"]);
    assert_eq!(place.read(&argument).unwrap(), ["two"]);
    assert_eq!(place.read(&more).unwrap(), ["one", "three"]);
    assert!(place.parses(&directory));
}

#[test]
fn what_tells_the_time_is_not_kept() {
    let place = Place::new("clock", &[("a.h", "#define BUILT __DATE__\nint one(void);\n")]);
    let settled = Place::new("clock-other", &[("b.h", "int one(void);\n")]);
    settled.fill(&settled.options("b.h"));
    assert!(place.parses(&place.options("a.h")));
    assert!(place.parses(&place.options("a.h")));
    assert_eq!(place.files(), [] as [PathBuf; 0]);
}

#[test]
fn errors_are_not_kept() {
    let place = Place::new("errors", &[("a.h", "int one(\n")]);
    let settled = Place::new("errors-other", &[("b.h", "int one(void);\n")]);
    settled.fill(&settled.options("b.h"));
    for _ in 0..2 {
        assert!(matches!(place.read(&place.options("a.h")), Err(HeaderError::HeaderSyntax { .. })));
    }
    assert_eq!(place.parses.get(), 2);
    assert_eq!(place.files(), [] as [PathBuf; 0]);
}

#[test]
fn a_damaged_entry_is_as_if_it_were_not_there_and_is_replaced() {
    let place = Place::new("damaged", &[("a.h", "int one(void);\n")]);
    let options = place.options("a.h");
    place.fill(&options);
    let [entry] = &place.files()[..] else { panic!("not one entry") };
    let good = fs::read(entry).unwrap();
    let mut damaged: Vec<Vec<u8>> = (0..good.len()).map(|length| good[..length].to_vec()).collect();
    damaged.extend((0..good.len()).map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        bytes
    }));
    let key = Key::new(&options, None).unwrap();
    for bytes in damaged {
        fs::write(entry, &bytes).unwrap();
        let kept = Cache::read(Some(&place.cache), Some(&key), || Err("it is not kept"));
        assert_eq!(kept, Err("it is not kept"));
    }
    assert_eq!(place.read(&options).unwrap(), ["one"]);
    assert!(!place.parses(&options));
    assert_eq!(fs::read(entry).unwrap().len(), good.len());
}

#[test]
fn only_the_user_reads_and_writes_it() {
    let place = Place::new("modes", &[("a.h", "int one(void);\n")]);
    place.fill(&place.options("a.h"));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(place.cache.directory()), 0o700);
    assert_eq!(place.files().iter().map(|file| mode(file)).collect::<Vec<_>>(), [0o600]);
    // Somebody else's files could be anything.
    fs::set_permissions(place.cache.directory(), fs::Permissions::from_mode(0o770)).unwrap();
    assert!(Cache::at(place.cache.directory().to_owned()).is_none());
}

/// Waits until a directory's times tell of further changes.
fn settle(directory: &Path) {
    while directory.metadata().unwrap().modified().unwrap().elapsed().unwrap() < Duration::from_millis(30) {
        std::thread::yield_now();
    }
}

#[test]
fn what_comes_into_a_directory_that_was_at_rest_is_seen() {
    let files =
        [("a.h", "#include <lib/b.h>\n"), ("second/lib/b.h", "int one(void);\n"), ("first/lib/x", "")];
    let place = Place::new("at-rest", &files);
    let include_dirs = vec![place.directory.join("first"), place.directory.join("second")];
    let options = Options { include_dirs, ..place.options("a.h") };
    settle(&place.directory.join("first/lib"));
    place.fill(&options);
    // Of no concern, and then of concern.
    place.write("first/lib/y", "");
    assert!(!place.parses(&options));
    place.write("first/lib/b.h", "int two(void);\n");
    assert_eq!(place.read(&options).unwrap(), ["two"]);
}

#[test]
fn a_link_that_pointed_nowhere_is_seen_when_it_points_to_a_header() {
    let files = [("a.h", "#include <b.h>\n"), ("second/b.h", "int one(void);\n"), ("first/x", "")];
    let place = Place::new("link", &files);
    let include_dirs = vec![place.directory.join("first"), place.directory.join("second")];
    std::os::unix::fs::symlink(place.directory.join("later.h"), place.directory.join("first/b.h")).unwrap();
    let options = Options { include_dirs, ..place.options("a.h") };
    settle(&place.directory.join("first"));
    assert_eq!(place.fill(&options), ["one"]);
    place.write("later.h", "int two(void);\n");
    assert_eq!(place.read(&options).unwrap(), ["two"]);
}

#[test]
fn a_name_that_goes_up_again_is_seen() {
    let files =
        [("a.h", "#include <lib/../b.h>\n"), ("second/lib/x", ""), ("second/b.h", "int one(void);\n")];
    let place = Place::new("up", &files);
    fs::create_dir_all(place.directory.join("first")).unwrap();
    let include_dirs = vec![place.directory.join("first"), place.directory.join("second")];
    let options = Options { include_dirs, ..place.options("a.h") };
    settle(&place.directory.join("first"));
    assert_eq!(place.fill(&options), ["one"]);
    place.write("first/lib/x", "");
    place.write("first/b.h", "int two(void);\n");
    assert_eq!(place.read(&options).unwrap(), ["two"]);
}

#[test]
fn a_directory_that_cannot_be_made_is_no_cache() {
    let place = Place::new("no-directory", &[("a.h", "int one(void);\n")]);
    assert!(Cache::at(place.directory.join("a.h")).is_none());
    assert!(Cache::at(place.directory.join("a.h/below")).is_none());
    assert!(Cache::at("/proc/pythy".into()).is_none());
    let options = place.options("a.h");
    let parsed = Cache::read(None, Key::new(&options, None).as_ref(), || header::read(&options)).unwrap();
    assert_eq!(parsed.interface.functions[0].name, "one");
}

#[test]
fn a_cache_that_has_gone_is_as_if_it_were_not_there() {
    let place = Place::new("gone", &[("a.h", "int one(void);\n")]);
    place.fill(&place.options("a.h"));
    fs::remove_dir_all(place.cache.directory()).unwrap();
    assert_eq!(place.read(&place.options("a.h")).unwrap(), ["one"]);
}

#[test]
fn many_threads_fill_it_at_once() {
    let place = Place::new("threads", &[("a.h", "int one(void);\n")]);
    let options = place.options("a.h");
    place.fill(&options);
    let (key, parsed) = (Key::new(&options, None).unwrap(), header::read(&options).unwrap());
    let dependencies = parsed.dependencies.unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert!(place.cache.put(&key, &dependencies, &parsed.interface, ""));
                    let found = place.cache.get::<Interface>(&key).unwrap().value;
                    assert_eq!(found, parsed.interface);
                }
            });
        }
    });
    assert_eq!(place.files().len(), 1);
}
