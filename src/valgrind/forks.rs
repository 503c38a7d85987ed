//! Whether this process has forked, or is a fork of the one that asked.

use std::sync::atomic::{AtomicBool, Ordering};

static FORKED: AtomicBool = AtomicBool::new(false);
static HAS_CHILDREN: AtomicBool = AtomicBool::new(false);

/// From now on forks are noted, in the child and in the parent, which calls `before` first.
pub fn note_forks(before: extern "C" fn()) {
    // SAFETY: safe functions; those after the fork only store to statics.
    unsafe { libc::pthread_atfork(Some(before), Some(note_child), Some(note)) };
}

/// Whether this process has been forked off since this was asked last.
pub fn take_forked() -> bool {
    FORKED.load(Ordering::Relaxed) && FORKED.swap(false, Ordering::Relaxed)
}

/// Whether this process has forked, so that the same log may have records of another.
pub fn has_forked() -> bool {
    HAS_CHILDREN.load(Ordering::Relaxed)
}

extern "C" fn note_child() {
    HAS_CHILDREN.store(true, Ordering::Relaxed);
}

extern "C" fn note() {
    FORKED.store(true, Ordering::Relaxed);
}
