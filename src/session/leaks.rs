//! When lost blocks are looked for, and what the checks find.

use std::sync::OnceLock;

use super::{SESSION, Session};
use crate::attribution::{Evidence, Observed, Seen};
use crate::bracket;
use crate::evidence::Leaked;
use crate::journal::CallNumber;
use crate::thread::local;
use crate::trail::Check;

/// When blocks that were lost are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeakCheck {
    /// After each call.
    Call,
    /// After each call in a worker, as long as that takes little time; then after several.
    Paced,
    /// When a test ends, if something tells us so; else as [`LeakCheck::Session`].
    Test,
    /// When a report is made, and at the end.
    Session,
    /// Never.
    Off,
}

/// Calls that are followed by a leak check each.
#[derive(Clone, Copy, Debug)]
pub struct Pinpoint {
    /// The first of them.
    pub first: CallNumber,
    /// How many.
    pub calls: u32,
    /// After how many losses it is enough.
    pub losses: usize,
}

static LEAK_KINDS: OnceLock<String> = OnceLock::new();

/// Says which kinds of leaks are told, as `--show-leak-kinds` has it, in place of Valgrind's own choice. Only
/// the first choice counts, and only before the session begins; tells whether this one does.
pub fn choose_leak_kinds(kinds: String) -> bool {
    SESSION.get().is_none() && LEAK_KINDS.set(kinds).is_ok()
}

/// The kinds of leaks that were chosen to be told.
pub fn leak_kinds() -> Option<&'static str> {
    LEAK_KINDS.get().map(String::as_str)
}

impl Session {
    /// Looks for blocks that were lost since the last check. Like all that runs before it in its frame and in those around,
    /// [`Session::read`] is never inlined: an address that it leaves in a word of that frame, of which later a byte is
    /// written, would be one in the block that was lost, if that is the neighbour.
    #[inline(never)]
    pub fn check_leaks(&mut self) {
        if !self.leaks_wanted {
            return;
        }
        self.read(Seen::Outside);
        let (before, first) = (self.observed.len(), self.records);
        bracket::leak_check_added();
        let calls = (self.checked + 1, self.journal.last());
        if std::mem::take(&mut self.loaded) {
            self.journal.note_loading(calls);
        }
        let seen = Seen::LeakCheck(calls.0, calls.1);
        self.read(seen);
        let lost = count_lost();
        let more = lost.less(std::mem::replace(&mut self.lost, lost));
        let check = Check { calls, records: first..self.records, lost: (more.bytes, more.blocks) };
        self.follow(|trail, _| trail.add_check(check));
        if self.log.is_none() {
            self.keep_lost(more, seen);
        } else if self.observed.len() > before {
            self.observed.push(Observed { evidence: Evidence::Checked(more), seen });
        }
        self.checked = self.journal.last();
    }

    /// Keeps how much was lost since the last check, by which nobody can read what it was.
    fn keep_lost(&mut self, leaked: Leaked, seen: Seen) {
        let (first, last) = (self.checked + 1, self.journal.last());
        // Where no call was made and nothing was let go of, it was the interpreter.
        let possible = bracket::take_released() || first <= last;
        if leaked == Leaked::NONE || !possible {
            return;
        }
        let calls = if first < last { format!("calls {first} to {last}") } else { format!("call {last}") };
        let when = if first > last { format!("after {calls}") } else { format!("in {calls}") };
        let Leaked { bytes, blocks, .. } = leaked;
        let plural = if blocks == 1 { "" } else { "s" };
        bracket::print_line(&format!("pythy: {bytes} bytes in {blocks} block{plural} lost {when}"));
        self.observed.push(Observed { evidence: Evidence::Lost(leaked), seen });
    }

    /// Has calls followed by a leak check each, whatever their interfaces ask for; `None` ends that.
    pub fn pinpoint(&mut self, which: Option<Pinpoint>) {
        self.pinpoint = which;
        self.open_lane();
    }

    /// When to look for leaks at the call that begins now.
    pub(super) fn wanted(&mut self, leaks: LeakCheck) -> LeakCheck {
        let outermost = || local(|local| local.depth.get()) == 0;
        let Some(pinpoint) = self.pinpoint.filter(|_| leaks != LeakCheck::Off && outermost()) else {
            return leaks;
        };
        if self.journal.last() + 1 < pinpoint.first {
            return leaks;
        }
        if self.checked < self.journal.last() {
            // What is lost already is not this call's doing.
            self.check_leaks();
        }
        let calls = pinpoint.calls.saturating_sub(1);
        self.pinpoint = (calls > 0).then_some(Pinpoint { calls, ..pinpoint });
        self.open_lane();
        LeakCheck::Call
    }

    pub(super) fn count_losses(&mut self, losses: usize) {
        let Some(pinpoint) = self.pinpoint else { return };
        let left = pinpoint.losses.saturating_sub(losses);
        self.pinpoint = (left > 0).then_some(Pinpoint { losses: left, ..pinpoint });
        self.open_lane();
    }

    /// Looks for lost blocks if a block can have been lost since the last check: by a call, or because Python
    /// has let go of one.
    pub fn check_leaks_if_due(&mut self) {
        let released = bracket::take_released();
        if released || self.checked < self.journal.last() {
            self.check_leaks();
        }
    }
}

/// What the last leak check has found lost, directly or indirectly: Valgrind counts no more exactly.
pub fn count_lost() -> Leaked {
    Leaked::new(bracket::count_leaks(), bracket::count_leak_blocks(), 0)
}
