//! How the worker looks for what C has lost.

use super::launch::LEAK_KINDS;
use crate::{bracket, valgrind};

/// The leak checks of a worker that runs under Valgrind.
pub struct LeakChecks(());

impl LeakChecks {
    pub fn new() -> Self {
        // `--xml=yes` implies a full check at the end, of all that was checked before.
        bracket::change_option("--leak-check=no");
        Self(())
    }

    /// Reports what has been lost since the last check.
    #[inline(always)]
    pub fn make(&self) {
        bracket::leak_check_added();
    }

    /// What has been lost until here was lost by no call: the loader itself does so. A check that reports nothing
    /// keeps it out of all later ones.
    pub fn set_apart_losses(&self) {
        let wanted = LEAK_KINDS.map(|usual| {
            let (name, value) = usual.split_once('=').unwrap_or((usual, ""));
            let chosen = valgrind::option(name).unwrap_or_else(|| value.to_owned());
            (name, chosen)
        });
        for (name, _) in &wanted {
            bracket::change_option(&format!("{name}=none"));
        }
        self.make();
        for (name, value) in &wanted {
            bracket::change_option(&format!("{name}={value}"));
        }
    }
}
