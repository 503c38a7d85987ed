//! What a worker under Valgrind does about leaks beside looking for them.

use super::launch::LEAK_KINDS;
use crate::{bracket, valgrind};

/// `--xml=yes` implies a full check at the end, of all that was checked before: there is to be none.
pub fn leave_out_last_check() {
    bracket::change_option("--leak-check=no");
}

/// What has been lost until here was lost by no call: the loader itself does so. A check that reports nothing
/// keeps it out of all later ones.
pub fn set_apart() {
    let wanted = LEAK_KINDS.map(|usual| {
        let (name, value) = usual.split_once('=').unwrap_or((usual, ""));
        let chosen = valgrind::option(name).unwrap_or_else(|| value.to_owned());
        (name, chosen)
    });
    for (name, _) in &wanted {
        bracket::change_option(&format!("{name}=none"));
    }
    bracket::leak_check_added();
    for (name, value) in &wanted {
        bracket::change_option(&format!("{name}={value}"));
    }
}
