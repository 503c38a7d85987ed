//! Whether this process runs under Valgrind.

use std::env;
use std::fs;
use std::os::unix::process::parent_id;
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

/// Whether this process runs natively in the place of a program that ran under Valgrind: a script that starts
/// Python, such as pyenv's `python`, whose shell Valgrind ran and did not follow when it became Python.
pub fn left_behind() -> bool {
    // Memcheck leaves these in its program's environment; a child of a program that is still under
    // Valgrind has them too.
    let marked = ["GLIBCPP_FORCE_NEW", "GLIBCXX_FORCE_NEW"].iter().all(|name| env::var_os(name).is_some())
        && env::var_os("LD_PRELOAD").is_some_and(|value| !value.to_string_lossy().contains("vgpreload"));
    marked && running() == Presence::Native && !is_preloaded_into(&parent_id().to_string())
}

/// Whether Valgrind has loaded its own libraries into this process, as it does with every tool.
fn is_preloaded() -> bool {
    is_preloaded_into("self")
}

fn is_preloaded_into(process: &str) -> bool {
    fs::read(format!("/proc/{process}/maps"))
        .is_ok_and(|maps| String::from_utf8_lossy(&maps).contains("/vgpreload_"))
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
