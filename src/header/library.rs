//! Loading libclang, once for the whole process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use clang::Clang;

use crate::error::{HeaderError, HeaderResult};

/// The directory or file given with [`set_libclang`].
static CHOSEN: Mutex<Option<PathBuf>> = Mutex::new(None);

/// The loaded libclang. The lock also keeps parses apart: libclang may be used by one thread at a time.
static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

/// The choice that libclang was loaded by.
static LOADED_BY: OnceLock<Option<PathBuf>> = OnceLock::new();

/// libclang, never unloaded again: loading it once more would cost several milliseconds.
struct Loaded {
    clang: &'static Clang,
    library: Arc<clang_sys::SharedLibrary>,
}

// SAFETY: `Clang` is an empty token that is `!Send` to keep libclang to one thread at a time. Here
// the token lives inside `LOADED`, whose lock is held for as long as the token is used.
unsafe impl Send for Loaded {}

/// Says where libclang is: the shared library itself or its directory.
///
/// The environment variable `LIBCLANG_PATH` takes precedence, and once a header has been parsed a
/// further call has no effect.
pub fn set_libclang(path: PathBuf) {
    *lock(&CHOSEN) = Some(path);
}

/// Which libclang a parse takes: the one that is loaded, else the environment's, else `given`; `None`
/// where it is searched for.
pub(super) fn choice(given: Option<&Path>) -> Option<PathBuf> {
    let wanted = || std::env::var_os(LibclangPath::NAME).map(PathBuf::from);
    LOADED_BY.get().cloned().unwrap_or_else(|| wanted().or_else(|| given.map(Path::to_owned)))
}

/// Runs `work` with libclang loaded on this thread, while no other thread uses it; the path is libclang's.
///
/// A panic inside (the clang crate has some, for what it believes impossible) becomes [`HeaderError::Clang`].
pub(super) fn with_clang<T>(
    headers: &str,
    work: impl FnOnce(&Clang, &Path) -> HeaderResult<T>,
) -> HeaderResult<T> {
    let mut slot = lock(&LOADED);
    let loaded = match slot.take() {
        Some(loaded) => slot.insert(loaded),
        None => slot.insert(load()?),
    };
    let previous = clang_sys::set_library(Some(loaded.library.clone()));
    let (clang, path) = (loaded.clang, loaded.library.path());
    let outcome = catch_unwind(AssertUnwindSafe(|| work(clang, path)));
    stop_crash_recovery();
    clang_sys::set_library(previous);
    outcome.unwrap_or_else(|panic| {
        Err(HeaderError::Clang { headers: headers.to_owned(), message: panic_message(panic.as_ref()) })
    })
}

/// `clang_createIndex` installs handlers for SIGSEGV and the like. Left in place they would hide
/// where the library under test crashed.
fn stop_crash_recovery() {
    if clang_sys::clang_toggleCrashRecovery::is_loaded() {
        // SAFETY: the library is loaded on this thread, and no parse is under way.
        unsafe { clang_sys::clang_toggleCrashRecovery(0) };
    }
}

fn load() -> HeaderResult<Loaded> {
    // The loader goes on to recommend LIBCLANG_PATH, as the error does.
    let missing = |message: String| HeaderError::LibclangMissing {
        message: message.split(", set the `LIBCLANG_PATH`").next().unwrap_or_default().to_owned(),
    };
    let _variable = LibclangPath::set();
    // `Clang::new` failing once leaves it unusable for ever, so look first whether it can succeed.
    clang_sys::load().map_err(missing)?;
    let clang = Clang::new().map_err(missing)?;
    let library = clang_sys::get_library().ok_or_else(|| missing("the loader lost it".into()))?;
    LOADED_BY.get_or_init(|| std::env::var_os(LibclangPath::NAME).map(PathBuf::from));
    Ok(Loaded { clang: Box::leak(Box::new(clang)), library })
}

/// `LIBCLANG_PATH`, set for as long as this value lives: clang-sys knows no other way to be told.
struct LibclangPath {
    set: bool,
}

impl LibclangPath {
    const NAME: &'static str = "LIBCLANG_PATH";

    fn set() -> Self {
        match lock(&CHOSEN).as_ref() {
            Some(path) if std::env::var_os(Self::NAME).is_none() => {
                // SAFETY: happens once a process, in the first parse; Rust's own readers of the
                // environment are locked out, and CPython's run under the GIL, which the first
                // parse holds.
                unsafe { std::env::set_var(Self::NAME, path) };
                Self { set: true }
            }
            _ => Self { set: false },
        }
    }
}

impl Drop for LibclangPath {
    fn drop(&mut self) {
        if self.set {
            // SAFETY: as in `set`.
            unsafe { std::env::remove_var(Self::NAME) };
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
    text.unwrap_or("libclang failed").to_owned()
}
