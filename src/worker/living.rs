//! The workers of this process.

use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::client::{Client, Inner};

/// All workers of this process that may be there.
static LIVING: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

/// Makes a worker one of them.
pub(super) fn keep_in_mind(inner: &Arc<Inner>) {
    living().push(Arc::downgrade(inner));
}

fn living() -> MutexGuard<'static, Vec<Weak<Inner>>> {
    let mut living = LIVING.lock().unwrap_or_else(PoisonError::into_inner);
    living.retain(|inner| inner.upgrade().is_some_and(|inner| !inner.dead.load(Ordering::Acquire)));
    living
}

impl Client {
    /// All workers that have not ended.
    pub fn living() -> Vec<Self> {
        let living = living().iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
        living.into_iter().map(Self::observing).filter(Self::is_alive).collect()
    }

    /// To be called in the child after a fork: the workers stay the parent's, nothing of them is left here.
    pub fn abandon_all() {
        let Ok(nothing) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") else {
            return;
        };
        // Others may have held the locks when the process was forked, so none is waited for.
        let Ok(mut living) = LIVING.try_lock() else { return };
        let mine = std::process::id();
        for inner in std::mem::take(&mut *living).iter().filter_map(Weak::upgrade) {
            if inner.owner == mine || inner.dead.load(Ordering::Acquire) {
                continue;
            }
            for descriptor in &inner.descriptors {
                // SAFETY: the descriptors are the worker's, and stay open as long as it lives.
                unsafe { libc::dup3(nothing.as_raw_fd(), *descriptor, libc::O_CLOEXEC) };
            }
        }
    }
}
