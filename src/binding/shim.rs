use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ffi::c_void;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::CallShape;
use super::compiler::Compiler;
use super::library::Mount;
use super::{Library, Symbols};
use crate::Error;
use crate::error::HeaderError;
use crate::header::{Cache, Dependencies, Entry, Key, Options, Parsed};
use crate::model::{Function, Linkage};

/// The static and inline functions and the static variables of the given headers, compiled: a shared object with a pointer to each.
///
/// A pointer, not a function that calls it: so the code, its name and its line numbers are the header's own, and no
/// type has to be written back as C.
pub struct Shim {
    loaded: Option<Loaded>,
    /// Why one is not in there, as the rest of a sentence.
    refused: HashMap<String, String>,
}

struct Loaded {
    mount: Mount,
    path: PathBuf,
    /// The variables that point to them, by their names.
    pointers: Symbols,
}

/// A shim in the cache.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The name of its file.
    object: Option<String>,
    refused: HashMap<String, String>,
}

/// Exported, whatever `-fvisibility` the user gives.
const VISIBLE: &str = "__attribute__((visibility(\"default\"))) const void *const";

/// What every pointer's name begins with; the function's name follows.
const PREFIX: &str = "pythy_inline_";

/// Findings name lines, so debug information; the code stays what the header says, so little optimisation.
const ARGUMENTS: [&str; 7] = ["-x", "c", "-w", "-g", "-Og", "-fPIC", "-shared"];

/// How long the compiler may work for one interface.
const PATIENCE: Duration = Duration::from_secs(60);

impl Shim {
    /// The shim for what `parsed` declares and the library does not export; `None` where there is
    /// nothing to compile. It is kept in the cache, under the headers' key and what else it is made of.
    pub fn of(
        parsed: &Parsed,
        options: &Options,
        library: &Library,
        cache: Option<&Cache>,
        key: Option<&Key>,
    ) -> Option<Self> {
        let names = wanted(parsed, library);
        if names.is_empty() {
            return None;
        }
        let shop = match Shop::new(parsed, options, library) {
            Ok(shop) => shop,
            Err(reason) => return Some(Self::refusing(&names, &reason)),
        };
        let headers = parsed.dependencies.as_ref();
        let more = (&names, shop.compiler.program(), shop.compiler.own_arguments(), library.path(), headers);
        let key = key.zip(headers).and_then(|(key, _)| key.with(&more));
        let kept = cache.zip(key.as_ref()).and_then(|(cache, key)| shop.keep(&names, cache, key));
        Some(kept.unwrap_or_else(|| shop.make(&names)))
    }

    /// Where a function's code or a variable is, or why there is none; `None` for what the shim is not about.
    pub fn address(&self, name: &str) -> Option<Result<*const c_void, &str>> {
        if let Some(reason) = self.refused.get(name) {
            return Some(Err(reason));
        }
        let loaded = self.loaded.as_ref()?;
        let pointer = loaded.pointers.get(&format!("{PREFIX}{name}"))?.offset?;
        let code = loaded
            .mount
            .now(&loaded.path)
            .and_then(|mounted| loaded.mount.loader().pointer_at(mounted.base.wrapping_add(pointer)));
        match code {
            Ok(code) => Some(Ok(code as *const c_void)),
            Err(_) => Some(Err("the process that has it is gone")),
        }
    }

    /// The shared object, whose code is the library's as far as findings are concerned.
    pub fn path(&self) -> Option<&Path> {
        self.loaded.as_ref().map(|loaded| loaded.path.as_path())
    }

    fn refusing(names: &[&str], reason: &str) -> Self {
        let refused = names.iter().map(|name| ((*name).to_owned(), reason.to_owned())).collect();
        Self { loaded: None, refused }
    }
}

/// The functions and variables that only a compiler can bring.
fn wanted<'a>(parsed: &'a Parsed, library: &Library) -> Vec<&'a str> {
    let missing = |function: &&Function| {
        function.in_given_header
            && function.linkage != Linkage::External
            && library.symbols().get(function.symbol.as_deref().unwrap_or(&function.name)).is_none()
            && CallShape::of(function, &parsed.interface).is_ok()
    };
    let functions = parsed.interface.functions.iter().filter(missing).map(|function| function.name.as_str());
    let tables = parsed.interface.globals.iter().filter(|global| global.is_table());
    functions.chain(tables.map(|global| global.name.as_str())).collect()
}

/// What shims of one library are made with.
struct Shop<'a> {
    compiler: Compiler,
    includes: String,
    arguments: Vec<String>,
    library: &'a Library,
    /// The functions that are inline and not static.
    inline: HashSet<&'a str>,
    end: Instant,
}

impl<'a> Shop<'a> {
    fn new(parsed: &'a Parsed, options: &Options, library: &'a Library) -> Result<Self, String> {
        let compiler = Compiler::find()?;
        let unusable = |error: HeaderError| error.to_string();
        let includes = options.includes().map_err(unusable)?;
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).into();
        arguments.extend(options.own_arguments().map_err(unusable)?);
        let functions = parsed.interface.functions.iter();
        let inline = functions.filter(|function| function.linkage == Linkage::Inline);
        let inline = inline.map(|function| function.name.as_str()).collect();
        Ok(Self { compiler, includes, arguments, library, inline, end: Instant::now() + PATIENCE })
    }

    /// The shim from the cache, or a new one that is put there.
    fn keep(&self, names: &[&str], cache: &Cache, key: &Key) -> Option<Shim> {
        let load = |name: &String| self.load(&cache.directory().join(name));
        if let Some(Entry { value: Kept { object, refused }, .. }) = cache.get(key)
            && let Ok(loaded) = object.as_ref().map(load).transpose()
        {
            return Some(Shim { loaded, refused });
        }
        let start = SystemTime::now();
        let bench = Bench::new(cache.temporary())?;
        let (made, refused) = self.compile(names, &bench);
        let object = match made {
            Some(object) => Some(cache.adopt(&object, key)?),
            None => None,
        };
        let loaded = object.as_ref().map(load).transpose().ok()?;
        // What is refused may be so for want of something in the library.
        let library = (!refused.is_empty()).then(|| self.library.path().to_owned());
        let dependencies =
            Dependencies::of_files(library.into_iter().chain([self.compiler.program()]), start);
        if let Some(dependencies) = dependencies.filter(|_| Instant::now() < self.end) {
            cache.put(key, &dependencies, &Kept { object, refused: refused.clone() }, "");
        }
        Some(Shim { loaded, refused })
    }

    /// A shim whose file is gone as soon as it is loaded.
    fn make(&self, names: &[&str]) -> Shim {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("pythy-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        let Some(bench) = Bench::new(directory.clone()) else {
            return Shim::refusing(
                names,
                &format!("'{}' cannot be made to compile it in", directory.display()),
            );
        };
        let (made, refused) = self.compile(names, &bench);
        match made.map(|object| self.load(&object)).transpose() {
            Ok(loaded) => Shim { loaded, refused },
            Err(reason) => Shim::refusing(names, &reason),
        }
    }

    /// A shared object of as many of the functions as can be compiled and linked, and why the others
    /// cannot.
    fn compile(&self, names: &[&str], bench: &Bench) -> (Option<PathBuf>, HashMap<String, String>) {
        let mut refused = HashMap::new();
        if let Ok(object) = self.attempt(names, bench) {
            return (Some(object), refused);
        }
        // If not even the headers alone will do, the functions need not be tried.
        let alone = self.attempt(&[], bench);
        let good = match alone {
            Ok(_) => self.working(names, bench, &mut refused),
            Err(reason) => {
                refused.extend(names.iter().map(|name| ((*name).to_owned(), self.reason(&reason))));
                Vec::new()
            }
        };
        if good.is_empty() {
            return (None, refused);
        }
        match self.attempt(&good, bench) {
            Ok(object) => (Some(object), refused),
            Err(reason) => {
                refused.extend(good.iter().map(|name| ((*name).to_owned(), self.reason(&reason))));
                (None, refused)
            }
        }
    }

    /// Those that work, found by halving.
    fn working<'n>(
        &self,
        names: &[&'n str],
        bench: &Bench,
        refused: &mut HashMap<String, String>,
    ) -> Vec<&'n str> {
        match (self.attempt(names, bench), names) {
            (Ok(_), _) => names.to_vec(),
            (Err(reason), [one]) => {
                refused.insert((*one).to_owned(), self.reason(&reason));
                Vec::new()
            }
            (Err(_), _) => {
                let (first, second) = names.split_at(names.len() / 2);
                let mut good = self.working(first, bench, refused);
                good.extend(self.working(second, bench, refused));
                good
            }
        }
    }

    fn reason(&self, error: &str) -> String {
        format!("'{}' cannot compile it: {error}", self.compiler.name())
    }

    /// Compiles, and sees whether the loader takes it.
    fn attempt(&self, names: &[&str], bench: &Bench) -> Result<PathBuf, String> {
        let (source, object) = bench.files();
        let io = |error: std::io::Error| format!("'{}' cannot be written ({error})", source.display());
        std::fs::write(&source, self.text(names)).map_err(io)?;
        let mut arguments = self.arguments.clone();
        let path =
            |path: &Path| path.to_str().map(str::to_owned).ok_or(format!("{path:?} is not valid UTF-8"));
        let (library, output) = (path(self.library.path())?, path(&object)?);
        // No rpath: the loader knows the library by its name, as it is loaded.
        let link =
            ["-", "-x", "none", "-Wl,--no-as-needed", &library, "-Wl,--as-needed", "-lm", "-o", &output];
        arguments.extend(link.map(str::to_owned));
        self.compiler.run(&arguments, File::open(&source).map_err(io)?, self.end)?;
        self.load(&object).map(|_| object)
    }

    fn text(&self, names: &[&str]) -> String {
        // Declared as extern too, an inline function has its code here.
        let inline = names.iter().filter(|name| self.inline.contains(*name));
        let inline = inline.map(|name| format!("extern __typeof__({name}) {name};\n"));
        let pointers =
            names.iter().map(|name| format!("{VISIBLE} {PREFIX}{name} = (const void *)&{name};\n"));
        [self.includes.clone()].into_iter().chain(inline).chain(pointers).collect()
    }

    fn load(&self, path: &Path) -> Result<Loaded, String> {
        let unusable = |error: Error| match error {
            Error::LibraryLoad { message, .. } => {
                message.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&message).to_owned()
            }
            other => other.to_string(),
        };
        let pointers = Symbols::read(path).map_err(unusable)?;
        let (mount, _) = Mount::new(self.library.loader().clone(), path).map_err(unusable)?;
        let loaded = Loaded { mount, path: path.to_owned(), pointers };
        if self.is_of_the_library(&loaded) {
            return Ok(loaded);
        }
        let library = self.library.path().display();
        Err(format!("the loader gives it another library than '{library}'; is one of the same name loaded?"))
    }

    /// Whether what the code calls is this very library's: the loader finds it by its name alone, and
    /// there may be two of a name.
    fn is_of_the_library(&self, loaded: &Loaded) -> bool {
        let mut names = self.library.symbols().names().peekable();
        names.peek().is_none()
            || names.any(|name| {
                let mounted = loaded.mount.now(&loaded.path);
                let found =
                    mounted.and_then(|it| loaded.mount.loader().symbol(it.handle, name)).ok().flatten();
                let own = self.library.address(name).ok().flatten();
                found.is_some() && found == own.map(|address| address as usize)
            })
    }
}

/// A directory for what is made, removed with it.
struct Bench {
    directory: PathBuf,
    count: Cell<u32>,
}

impl Bench {
    fn new(directory: PathBuf) -> Option<Self> {
        DirBuilder::new().mode(0o700).create(&directory).ok()?;
        Some(Self { directory, count: Cell::new(0) })
    }

    /// A source and an object. The loader would take a name that it knows for the file that it knows.
    fn files(&self) -> (PathBuf, PathBuf) {
        let count = self.count.replace(self.count.get() + 1);
        (self.directory.join(format!("{count}.c")), self.directory.join(format!("{count}.so")))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What is left is in the way of nobody.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
