//! Whether this process runs under Valgrind.

use std::fs;
use std::sync::OnceLock;

use crabgrind::valgrind::running_mode;

/// Whether this process runs under Valgrind, and whether this build can talk to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It does not.
    Native,
    /// It does, and client requests may be made.
    Valgrind,
    /// It does, but pythy was built without Valgrind's headers: no client request may be made.
    ValgrindWithoutRequests,
}

/// Whether this process runs under Valgrind. The answer is kept after the first time.
pub fn running() -> Presence {
    static PRESENCE: OnceLock<Presence> = OnceLock::new();
    *PRESENCE.get_or_init(|| match crabgrind::VALGRIND_AVAILABLE {
        // crabgrind panics on any request when it was built without the headers.
        true if running_mode().is_valgrind() => Presence::Valgrind,
        false if is_preloaded() => Presence::ValgrindWithoutRequests,
        _ => Presence::Native,
    })
}

/// Whether Valgrind has loaded its own libraries into this process, as it does with every tool.
fn is_preloaded() -> bool {
    fs::read("/proc/self/maps").is_ok_and(|maps| String::from_utf8_lossy(&maps).contains("/vgpreload_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_run_natively() {
        assert_eq!(running(), Presence::Native);
        assert!(!is_preloaded());
    }
}
