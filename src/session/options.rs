//! Valgrind's options: those that it was given, and those that a session changes when it begins.

use super::leak_kinds;
use crate::{bracket, valgrind};

/// Keeps the interpreter's own blocks out of the leak checks, which would take seconds to describe them.
pub fn load_suppressions(own_object: Option<&str>) -> std::io::Result<()> {
    let (_file, path) = valgrind::shipped_suppressions(own_object)?;
    bracket::change_option(&format!("--suppressions={path}"));
    Ok(())
}

/// How many bytes of freed blocks Valgrind is to keep before it hands their addresses out again.
const KEPT: u64 = 256_000_000;

/// Python and pythy leave pointers to blocks that they have freed in memory that leak checks search. A block of C's
/// at such an address would never be lost, so addresses come back late, unless the user has said when: tells whether
/// they do.
pub fn keep_freed_blocks() -> bool {
    const OPTION: &str = "--freelist-vol";
    let late = valgrind::option(OPTION).is_none();
    if late {
        bracket::change_option(&format!("{OPTION}={KEPT}"));
    }
    late
}

/// What was lost before the first foreign call is the interpreter's: a check that reports nothing
/// keeps it out of all later ones.
pub fn set_apart_earlier_losses() {
    const OPTIONS: [&str; 2] = ["--show-leak-kinds", "--errors-for-leak-kinds"];
    const DEFAULT: &str = "definite,possible";
    for option in OPTIONS {
        bracket::change_option(&format!("{option}=none"));
    }
    bracket::leak_check_added();
    for option in OPTIONS {
        let chosen = leak_kinds().map(str::to_owned).or_else(|| valgrind::option(option));
        let value = chosen.unwrap_or_else(|| DEFAULT.to_owned());
        bracket::change_option(&format!("{option}={value}"));
    }
}

/// How many frames Valgrind keeps of a stack: 12 unless it was told otherwise.
pub fn num_callers() -> usize {
    valgrind::option("--num-callers").and_then(|value| value.parse().ok()).unwrap_or(12)
}

/// After how many different errors Valgrind stops, unless it is told not to or writes XML.
pub const ERROR_LIMIT: u64 = 1000;

/// Whether it does.
pub fn has_error_limit() -> bool {
    let is = |name, value: &str| valgrind::option(name).as_deref() == Some(value);
    !is("--error-limit", "no") && !is("--xml", "yes")
}
