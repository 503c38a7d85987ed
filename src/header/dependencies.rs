//! What a parse depended on: the files that were read, and those that would have been, had they existed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clang::{Entity, EntityKind, TranslationUnit};
use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::search::search_directories;
use super::{Options, freestanding};

/// Files in the state in which they were read, and paths at which there was none. A parse would give
/// the same as long as both are so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependencies {
    files: Vec<Stamp>,
    absent: Vec<Absent>,
}

/// Names that are not in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Absent {
    directory: PathBuf,
    /// As long as the directory is like this, no name has come into it; `None` where that cannot be told.
    state: Option<State>,
    names: Vec<OsString>,
}

/// A file, and what changes with its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    path: PathBuf,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// A program can set the time of modification back, this one it cannot.
    changed: (i64, i64),
}

impl Dependencies {
    /// The files in their present state; `None` where one is missing, or was changed after `start` or
    /// so shortly before that its times need not tell a further change.
    pub fn of_files(files: impl IntoIterator<Item = PathBuf>, start: SystemTime) -> Option<Self> {
        let mut dependencies = Self::default();
        for path in files {
            let state = State::settled(&std::fs::metadata(&path).ok()?, start)?;
            dependencies.files.push(Stamp { path, state });
        }
        Some(dependencies)
    }

    /// Whether nothing has changed since.
    pub fn are_unchanged(&self) -> bool {
        let unchanged = |stamp: &Stamp| {
            std::fs::metadata(&stamp.path).is_ok_and(|found| State::of(&found) == stamp.state)
        };
        self.files.iter().all(unchanged) && self.absent.iter().all(Absent::is_unchanged)
    }

    /// As `look_for`, where it also counts that there is one.
    fn ask_for(&mut self, path: PathBuf, start: SystemTime, absent: &mut BTreeSet<PathBuf>) -> Option<()> {
        match std::fs::metadata(&path) {
            Ok(found) => self.files.push(Stamp { state: State::settled(&found, start)?, path }),
            Err(_) => drop(absent.insert(path)),
        }
        Some(())
    }
}

impl Absent {
    /// Paths at which there is nothing, by directories: these are a few, and the paths hundreds.
    fn of(paths: BTreeSet<PathBuf>, start: SystemTime) -> Vec<Self> {
        let mut directories: BTreeMap<PathBuf, BTreeSet<OsString>> = BTreeMap::new();
        let mut untold = Vec::new();
        for path in paths {
            match first_missing(&path) {
                // What a link points to may come without its directory's being changed.
                Some((directory, name)) if !directory.join(&name).is_symlink() => {
                    directories.entry(directory).or_default().insert(name);
                }
                _ => untold.push(path.into_os_string()),
            }
        }
        let absent = directories.into_iter().map(|(directory, names)| {
            let found = std::fs::metadata(&directory).ok();
            let state = found.and_then(|found| State::settled(&found, start));
            Self { directory, state, names: names.into_iter().collect() }
        });
        absent.chain([Self { directory: PathBuf::new(), state: None, names: untold }]).collect()
    }

    fn is_unchanged(&self) -> bool {
        let now = || std::fs::metadata(&self.directory).ok().map(|found| State::of(&found));
        (self.state.is_some() && self.state == now())
            || !self.names.iter().any(|name| self.directory.join(name).exists())
    }
}

/// The first part of a path at which there is nothing, as the directory that would have it and its name there;
/// `None` where there is no telling because of a `..`.
fn first_missing(path: &Path) -> Option<(PathBuf, OsString)> {
    let mut missing = path;
    loop {
        let (directory, name) = (missing.parent()?, missing.file_name()?);
        if directory.as_os_str().is_empty() {
            return Some((PathBuf::from("."), name.to_owned()));
        }
        if directory.exists() {
            return Some((directory.to_owned(), name.to_owned()));
        }
        missing = directory;
    }
}

impl State {
    fn of(file: &Metadata) -> Self {
        Self {
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    fn settled(file: &Metadata, start: SystemTime) -> Option<Self> {
        let state = Self::of(file);
        let (seconds, nanoseconds) = state.changed;
        let since_epoch = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
        // Times come from the kernel's tick; some file systems keep whole seconds, or every second one.
        let grain = Duration::from_millis(if nanoseconds == 0 { 2000 } else { 20 });
        (SystemTime::UNIX_EPOCH + since_epoch + grain < start).then_some(state)
    }
}

/// What the parse of `unit`, begun at `start`, depended on. `None` where that cannot be known: then a
/// later parse may give something else though no file has changed.
pub(super) fn of_unit(
    unit: &TranslationUnit<'_>,
    options: &Options,
    headers: &[PathBuf],
    libclang: &Path,
    start: SystemTime,
) -> Option<Dependencies> {
    if options.clang_args.iter().any(|argument| reads_more(argument)) {
        return None;
    }
    let mut searched = Searched::new(options, headers);
    for entity in unit.get_entity().get_children() {
        if entity.get_kind() == EntityKind::InclusionDirective {
            searched.inclusion(&entity);
        }
    }
    for path in &searched.files.clone() {
        searched.text(path, &std::fs::read(path).ok()?)?;
    }
    let files = searched.files.iter().cloned().chain([libclang.to_owned()]);
    let mut dependencies = Dependencies::of_files(files, start)?;
    let mut absent = BTreeSet::new();
    for path in searched.candidates(&searched.names) {
        look_for(path, start, &mut absent)?;
    }
    for path in searched.candidates(&searched.asked_for) {
        dependencies.ask_for(path, start, &mut absent)?;
    }
    dependencies.absent = Absent::of(absent, start);
    Some(dependencies)
}

/// Takes down a path at which there is nothing; `None` where something came during the parse.
fn look_for(path: PathBuf, start: SystemTime, absent: &mut BTreeSet<PathBuf>) -> Option<()> {
    match std::fs::metadata(&path) {
        // One that appeared during the parse may have come too late for it.
        Ok(found) => State::settled(&found, start).map(drop),
        Err(_) => {
            absent.insert(path);
            Some(())
        }
    }
}

/// Whether paths are among the options that mean something else in another working directory.
pub(super) fn on_working_directory(options: &Options) -> bool {
    let mut paths = options.headers.iter().chain(&options.include_dirs);
    paths.any(|path| path.is_relative())
        || !options.clang_args.is_empty()
        || environment_directories().any(|path| path.is_relative())
}

/// Whether an argument makes clang read files that are no inclusions.
fn reads_more(argument: &str) -> bool {
    let files = ["@", "--config", "-include-pch", "-fmodule", "-ivfsoverlay", "-fembed"];
    files.iter().any(|prefix| argument.starts_with(prefix))
}

/// The names that were searched for, and where.
struct Searched {
    files: BTreeSet<PathBuf>,
    names: BTreeSet<PathBuf>,
    asked_for: BTreeSet<PathBuf>,
    roots: BTreeSet<PathBuf>,
}

impl Searched {
    fn new(options: &Options, headers: &[PathBuf]) -> Self {
        let mut roots: BTreeSet<PathBuf> = search_directories(&options.include_dirs).into_iter().collect();
        roots.extend(on_working_directory(options).then(PathBuf::new));
        roots.extend(named_directories(&options.clang_args));
        roots.extend(environment_directories());
        Self {
            files: headers.iter().cloned().collect(),
            names: options.headers.iter().cloned().collect(),
            asked_for: BTreeSet::new(),
            roots,
        }
    }

    fn inclusion(&mut self, directive: &Entity<'_>) {
        let Some(name) = directive.get_name().map(PathBuf::from) else { return };
        if let Some(file) = directive.get_file().map(|file| file.get_path()) {
            self.found(&name, file);
        }
        self.names.insert(name);
    }

    /// Where one header was found, others may be looked for: beside it, and where its name begins.
    fn found(&mut self, name: &Path, file: PathBuf) {
        if freestanding::text(&file).is_some() {
            return;
        }
        if file.ends_with(name) {
            self.roots.extend(file.ancestors().nth(name.components().count()).map(Path::to_owned));
        }
        self.roots.extend(file.parent().map(Path::to_owned));
        self.files.insert(file);
    }

    /// What a file asks for by `__has_include`, of which clang does not tell. `None` where what it
    /// says changes with the clock.
    fn text(&mut self, path: &Path, text: &[u8]) -> Option<()> {
        let by_the_clock = ["__DATE__", "__TIME__", "__TIMESTAMP__"];
        if by_the_clock.iter().any(|word| memmem::find(text, word.as_bytes()).is_some()) {
            return None;
        }
        self.roots.extend(path.parent().map(Path::to_owned));
        for at in memmem::find_iter(text, "has_include") {
            let line = text[at..].split(|byte| *byte == b'\n').next().unwrap_or_default();
            for name in line.split(|byte| matches!(byte, b'<' | b'>' | b'"')).skip(1).step_by(2) {
                self.asked_for.insert(PathBuf::from(String::from_utf8_lossy(name).as_ref()));
            }
        }
        Some(())
    }

    /// Every place where one of the names could be.
    fn candidates<'a>(&'a self, names: &'a BTreeSet<PathBuf>) -> impl Iterator<Item = PathBuf> + 'a {
        let relative = names.iter().filter(|name| name.is_relative());
        relative.flat_map(|name| self.roots.iter().map(move |root| root.join(name)))
    }
}

/// The environment's directories for `#include`.
pub(super) const INCLUDE_VARIABLES: [&str; 2] = ["CPATH", "C_INCLUDE_PATH"];

fn environment_directories() -> impl Iterator<Item = PathBuf> {
    let values = INCLUDE_VARIABLES.iter().filter_map(std::env::var_os);
    values.flat_map(|value| std::env::split_paths(&value).collect::<Vec<_>>())
}

/// The directories in arguments: `-Idir`, `-isystem dir` and the like.
fn named_directories(arguments: &[String]) -> Vec<PathBuf> {
    const OPTIONS: [&str; 6] = ["-I", "-isystem", "-iquote", "-idirafter", "-cxx-isystem", "-iwithprefix"];
    let mut directories = Vec::new();
    for (index, argument) in arguments.iter().enumerate() {
        for option in OPTIONS {
            match argument.strip_prefix(option) {
                Some("") => directories.extend(arguments.get(index + 1).map(PathBuf::from)),
                Some(directory) => directories.push(PathBuf::from(directory)),
                None => {}
            }
        }
    }
    directories
}
