//! What headers declare, kept between processes. A cache never fails: what it cannot read or write
//! is as if it were not there.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::Hasher;
use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustc_hash::FxHasher;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::dependencies::{self, Dependencies, INCLUDE_VARIABLES};
use super::{Options, Parsed, library};
use crate::model::{Interface, Text};

/// The build whose entries these are: another one may see more in the same headers.
const BUILD: &str = concat!(env!("CARGO_PKG_VERSION"), " ", env!("PYTHY_FINGERPRINT"));

/// What an entry begins with; a checksum follows, then the length of the text that comes next.
const MAGIC: &[u8; 8] = b"pythy\x00c2";
const HEAD: usize = MAGIC.len() + 2 * size_of::<u64>();

/// How many bytes of entries are kept.
const LIMIT: u64 = 64 << 20;

/// A directory of entries, each a file of its own.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

/// Everything but the content of files that decides what a parse gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    /// The key of a parse by the libclang given, or by the one that [`set_libclang`](super::set_libclang)
    /// describes.
    pub fn new(options: &Options, libclang: Option<&Path>) -> Option<Self> {
        let libclang = library::choice(libclang);
        let directory = match dependencies::on_working_directory(options) {
            true => Some(std::env::current_dir().ok()?),
            false => None,
        };
        // Where libclang is searched for, these say where.
        let search: &[&str] = if libclang.is_none() { &["PATH", "LD_LIBRARY_PATH"] } else { &[] };
        let variables = INCLUDE_VARIABLES.iter().chain(search).map(std::env::var_os).collect::<Vec<_>>();
        Self::of(&(BUILD, options, libclang, directory, variables))
    }

    /// The key of what is made of this key's headers and of something else.
    pub fn with(&self, more: &impl Serialize) -> Option<Self> {
        Self::of(&(&self.0, more))
    }

    fn of(what: &impl Serialize) -> Option<Self> {
        postcard::to_stdvec(what).ok().map(Self)
    }

    /// The name that files of this key begin with.
    pub fn file_name(&self) -> String {
        format!("{:016x}", checksum(&[&self.0]))
    }
}

/// An interface as it is kept, without its comments: these are most of what there is, are seldom asked for,
/// and one may be that of twenty functions.
#[derive(Serialize, Deserialize)]
struct Kept {
    interface: Interface,
    /// Where each comment is among all, in the order of [`comments`].
    comments: Vec<Option<Range<usize>>>,
}

impl Kept {
    /// What is kept, and the comments.
    fn new(interface: &Interface) -> (Self, String) {
        let mut kept = Self { interface: interface.clone(), comments: Vec::new() };
        let (mut all, mut known) = (String::new(), HashMap::new());
        for comment in comments(&mut kept.interface) {
            kept.comments.push(comment.take().map(|comment| {
                let range = known.entry(comment.to_string()).or_insert_with(|| {
                    let start = all.len();
                    all.push_str(&comment);
                    start..all.len()
                });
                range.clone()
            }));
        }
        (kept, all)
    }

    fn interface(self, all: &Arc<String>) -> Interface {
        let Self { mut interface, comments: ranges } = self;
        for (comment, range) in comments(&mut interface).zip(ranges) {
            *comment = range.and_then(|range| Text::part(all, range));
        }
        interface
    }
}

/// All comments of an interface.
fn comments(interface: &mut Interface) -> impl Iterator<Item = &mut Option<Text>> {
    let Interface { functions, records, enumerations, typedefs, globals, constants: _, directives: _ } =
        interface;
    let records = records.iter_mut().flat_map(|record| {
        record.fields.iter_mut().map(|field| &mut field.comment).chain([&mut record.comment])
    });
    let enumerations = enumerations.iter_mut().flat_map(|enumeration| {
        let enumerators = enumeration.enumerators.iter_mut().map(|enumerator| &mut enumerator.comment);
        enumerators.chain([&mut enumeration.comment])
    });
    let functions = functions.iter_mut().map(|function| &mut function.comment);
    let typedefs = typedefs.iter_mut().map(|typedef| &mut typedef.comment);
    let globals = globals.iter_mut().map(|global| &mut global.comment);
    functions.chain(records).chain(enumerations).chain(typedefs).chain(globals)
}

/// What is found in the cache.
#[derive(Debug)]
pub struct Entry<T> {
    /// The value.
    pub value: T,
    /// The text beside it.
    pub text: String,
    /// What both hang on.
    pub dependencies: Dependencies,
}

impl Cache {
    /// The cache of the user, `pythy` below `XDG_CACHE_HOME`, else below `.cache` in `HOME`; `None` where
    /// it cannot be made, or others may write to it.
    pub fn of_user() -> Option<Self> {
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Self::at(caches.join("pythy"))
    }

    /// The cache in a directory, which is made if it is missing.
    pub fn at(directory: PathBuf) -> Option<Self> {
        if !directory.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(&directory).ok()?;
        }
        let (found, process) = (directory.metadata().ok()?, Path::new("/proc/self").metadata().ok()?);
        (found.uid() == process.uid() && found.mode() & 0o022 == 0).then_some(Self { directory })
    }

    /// Where the entries are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What was kept under the key, if it is still true.
    pub fn get<T: DeserializeOwned>(&self, key: &Key) -> Option<Entry<T>> {
        let (mut file, mut head) = (File::open(self.path(key)).ok()?, [0; HEAD]);
        file.read_exact(&mut head).ok()?;
        let (magic, rest) = head.split_first_chunk()?;
        let (sum, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(rest.try_into().ok()?)).ok()?;
        let room = usize::try_from(file.metadata().ok()?.len()).ok()?.checked_sub(HEAD)?;
        if magic != MAGIC || length > room {
            return None;
        }
        let (mut text, mut body) = (vec![0; length], Vec::with_capacity(room - length + 1));
        file.read_exact(&mut text).ok()?;
        file.read_to_end(&mut body).ok()?;
        if *sum != checksum(&[&text, &body]).to_le_bytes() {
            return None;
        }
        let ((found, dependencies), value): ((&[u8], Dependencies), _) =
            postcard::take_from_bytes(&body).ok()?;
        if found != key.0 || !dependencies.are_unchanged() {
            return None;
        }
        let value = postcard::from_bytes(value).ok()?;
        Some(Entry { value, text: String::from_utf8(text).ok()?, dependencies })
    }

    /// Keeps a value, and a text beside it; tells whether that was possible.
    pub fn put<T: Serialize>(&self, key: &Key, dependencies: &Dependencies, value: &T, text: &str) -> bool {
        let Ok(body) = postcard::to_stdvec(&((&key.0, dependencies), value)) else { return false };
        let sum = checksum(&[text.as_bytes(), &body]).to_le_bytes();
        let length = (text.len() as u64).to_le_bytes();
        let bytes = [&MAGIC[..], &sum, &length, text.as_bytes(), &body].concat();
        let kept = self.write(&self.path(key), &bytes).is_ok();
        self.evict(LIMIT);
        kept
    }

    /// What `options` declare: from here if that is known, else by `read`. Errors are not kept.
    pub fn read<E>(
        cache: Option<&Self>,
        key: Option<&Key>,
        read: impl FnOnce() -> Result<Parsed, E>,
    ) -> Result<Parsed, E> {
        let (Some(cache), Some(key)) = (cache, key) else { return read() };
        if let Some(Entry { value, text, dependencies }) = cache.get::<Kept>(key) {
            let interface = value.interface(&Arc::new(text));
            return Ok(Parsed { interface, dependencies: Some(dependencies) });
        }
        let parsed = read()?;
        if let Some(dependencies) = &parsed.dependencies {
            let (kept, comments) = Kept::new(&parsed.interface);
            cache.put(key, dependencies, &kept, &comments);
        }
        Ok(parsed)
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.directory.join(key.file_name())
    }

    /// A name in the cache that no other process and no other thread takes.
    pub fn temporary(&self) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        self.directory.join(format!("{TEMPORARY}{}-{count}", std::process::id()))
    }

    /// Takes over a shared object that was made in the cache's directory; gives its name there. Another content
    /// has another name: the loader would take the same name for the same file.
    pub fn adopt(&self, object: &Path, key: &Key) -> Option<String> {
        let content = checksum(&[&std::fs::read(object).ok()?]);
        let name = format!("{}-{content:016x}.so", key.file_name());
        std::fs::rename(object, self.directory.join(&name)).ok()?;
        Some(name)
    }

    /// Whoever reads meanwhile sees the old file or the new one.
    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let temporary = self.temporary();
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(bytes)?;
            std::fs::rename(&temporary, path)
        };
        write().inspect_err(|_| drop(std::fs::remove_file(&temporary)))
    }

    /// Removes the oldest files until no more than `limit` bytes are left, and what a process that was
    /// killed has left behind.
    fn evict(&self, limit: u64) {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in entries {
            let Ok(found) = entry.metadata() else { continue };
            let Ok(modified) = found.modified() else { continue };
            let unfinished = entry.file_name().to_string_lossy().starts_with(TEMPORARY);
            if unfinished && modified.elapsed().is_ok_and(|age| age > ABANDONED) {
                // In vain if another process is as tidy; then it is gone all the same.
                let _ = if found.is_dir() {
                    std::fs::remove_dir_all(entry.path())
                } else {
                    std::fs::remove_file(entry.path())
                };
            } else if found.is_file() {
                files.push((modified, found.len(), entry.path()));
            }
        }
        files.sort();
        let mut size: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, bytes, path) in files {
            if size > limit && std::fs::remove_file(&path).is_ok() {
                size -= bytes;
            }
        }
    }
}

/// What the names of unfinished files begin with.
const TEMPORARY: &str = ".unfinished-";

/// No process takes this long for a file.
const ABANDONED: Duration = Duration::from_secs(3600);

fn checksum(parts: &[&[u8]]) -> u64 {
    let mut hasher = FxHasher::default();
    for part in parts {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(name: &str) -> Cache {
        let directory = std::env::temp_dir().join(format!("pythy-{name}-{}", std::process::id()));
        Cache::at(directory).unwrap()
    }

    fn file(cache: &Cache, name: &str, size: usize, age: Duration) {
        let path = cache.directory.join(name);
        std::fs::write(&path, vec![0; size]).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }

    fn names(cache: &Cache) -> Vec<String> {
        let entries = std::fs::read_dir(&cache.directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_files_go_first() {
        let cache = cache("oldest");
        for (name, minutes) in [("b", 3), ("c", 1), ("a", 2)] {
            file(&cache, name, 100, Duration::from_secs(60 * minutes));
        }
        cache.evict(300);
        assert_eq!(names(&cache), ["a", "b", "c"]);
        cache.evict(299);
        assert_eq!(names(&cache), ["a", "c"]);
        cache.evict(0);
        assert_eq!(names(&cache), [] as [&str; 0]);
        std::fs::remove_dir(&cache.directory).unwrap();
    }

    #[test]
    fn what_a_process_left_unfinished_goes_after_an_hour() {
        let cache = cache("unfinished");
        file(&cache, ".unfinished-1-0", 1, Duration::from_secs(3700));
        file(&cache, ".unfinished-1-1", 1, Duration::from_secs(3500));
        cache.evict(1000);
        assert_eq!(names(&cache), [".unfinished-1-1"]);
        std::fs::remove_dir_all(&cache.directory).unwrap();
    }
}
