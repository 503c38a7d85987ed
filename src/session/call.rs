//! One call, from its beginning to its end.

use super::{LeakCheck, Session};
use crate::attribution::{Evidence, Observed, Seen};
use crate::bracket::{self, Slot, Slots};
use crate::journal::{ArgumentBlock, CallNumber, Noted};
use crate::lane;
use crate::thread::local;
use crate::valgrind::{self, Presence};
use crate::waiting;

/// A call that is being made.
#[must_use = "the call must be left again"]
#[derive(Debug)]
pub struct Entered {
    /// Its number.
    pub call: CallNumber,
    /// The slots that it goes through.
    pub slot: Slot,
    /// Whether it is of an origin that errs so often that its calls are only summed up.
    pub frequent: bool,
    /// Valgrind's error count before it.
    pub count: u64,
    outer_errors: u64,
    outer_early: u64,
    outer_call: CallNumber,
    outermost: bool,
    alone: bool,
    leaks: LeakCheck,
    overlaps: u64,
}

/// What a call was given, for what is told of it.
#[derive(Debug, Default)]
pub struct Given {
    /// Its arguments as text.
    pub arguments: Vec<String>,
    /// The memory that its arguments were to C.
    pub blocks: Vec<ArgumentBlock>,
}

impl Entered {
    /// A call that [`lane::enter`] has begun.
    #[inline(always)]
    pub fn shortly(call: CallNumber, count: u64, leaks: LeakCheck) -> Self {
        Self {
            call,
            slot: Slot::Call(call),
            frequent: false,
            count,
            outer_errors: 0,
            outer_early: 0,
            outer_call: 0,
            outermost: true,
            alone: true,
            leaks,
            overlaps: lane::overlaps(),
        }
    }
}

impl Entered {
    /// Whether a leak check follows it.
    pub fn is_checked(&self) -> bool {
        self.leaks == LeakCheck::Call
    }

    /// Whether there may be something to tell of the call, after which Valgrind's count was this: it has erred, or a
    /// leak check follows.
    pub fn is_described(&self, count: u64) -> bool {
        (count > self.count || self.is_checked()) && !self.frequent
    }
}

/// Valgrind's count and the errors of nested calls, as they were when a callback went into Python.
#[derive(Clone, Copy, Debug)]
pub struct Outside {
    count: u64,
    nested: u64,
}

/// A callback goes into Python: what goes wrong in there is not the calling function's doing. Needs no GIL.
pub fn enter_python() -> Option<Outside> {
    (valgrind::running() == Presence::Valgrind)
        .then(|| Outside { count: bracket::count_errors(), nested: local(|local| local.nested_errors.get()) })
}

/// The callback is back in C.
pub fn leave_python(outside: Option<Outside>) {
    if let Some(Outside { count, nested }) = outside {
        let nested = nested + bracket::count_errors() - count;
        local(|local| local.nested_errors.set(nested));
    }
}

/// The records of what the function that calls back has done wrong so far are read, before those of calls nested in
/// it come. The GIL is held.
pub fn read_caller(outside: Option<&Outside>) {
    if outside.is_some()
        && bracket::count_errors() != lane::counted()
        && let Some(call) = call_of_this_thread()
        && let Some(mut session) = super::current()
    {
        // As far as that is sure without its slots.
        let alone = lane::outermost() == 1;
        let read = session.read(if alone { Seen::During(call) } else { Seen::Outside });
        local(|local| local.read_early.set(local.read_early.get() + read));
    }
}

/// The records of Python's own errors in a callback are read, which are not the calling function's. The GIL is held.
pub fn read_python(outside: Option<&Outside>) {
    if outside.is_some()
        && bracket::count_errors() != lane::counted()
        && call_of_this_thread().is_some()
        && let Some(mut session) = super::current()
    {
        session.read(Seen::Outside);
    }
}

/// The innermost call of this thread; none on a thread of C's own, whose errors are for the call that waits for it.
fn call_of_this_thread() -> Option<CallNumber> {
    local(|local| (local.depth.get() > 0).then(|| local.call.get()))
}

/// Runs Python code between a call's end and [`Session::leave`], which may make calls itself.
pub fn aside<T>(run: impl FnOnce() -> T) -> T {
    let outside = enter_python();
    read_caller(outside.as_ref());
    let result = run();
    read_python(outside.as_ref());
    if let Some(Outside { nested, .. }) = outside {
        local(|local| local.nested_errors.set(nested));
    }
    result
}

impl Session {
    /// Begins a call. Errors since the last call are somebody else's and are set apart, and so is, for a
    /// call that a leak check follows, what Python has let go of.
    #[inline]
    pub fn enter(&mut self, origin: u32, leaks: LeakCheck) -> Entered {
        let leaks = self.wanted(leaks);
        let (outermost, outer_errors, outer_early) = local(|local| {
            let depth = local.depth.get();
            local.depth.set(depth + 1);
            (depth == 0, local.nested_errors.replace(0), local.read_early.replace(0))
        });
        if leaks == LeakCheck::Call && outermost && lane::outermost() == 0 && bracket::take_released() {
            self.check_leaks();
        }
        let count = bracket::count_errors();
        if count != lane::counted() || valgrind::has_forked() {
            self.read(Seen::Outside);
        }
        if outermost {
            lane::begin_outermost();
        }
        let call = self.journal.begin(origin);
        waiting::current().clear(call);
        if self.trail.is_some() {
            self.follow(|trail, journal| trail.add_call(journal, call));
        }
        // Repeats of calls that overlap cannot be counted, so each of them keeps a stack of its own.
        let shared = self.journal.frequent(call).filter(|_| self.journal.threads() < 2).map(u64::from);
        let shared = shared.filter(|index| *index < Slots::SHARED);
        Entered {
            call,
            slot: shared.map_or(Slot::Call(call), Slot::Shared),
            frequent: shared.is_some(),
            count,
            outer_errors,
            outer_early,
            outer_call: local(|local| local.call.replace(call)),
            outermost,
            alone: lane::outermost() == 1,
            leaks,
            overlaps: lane::overlaps(),
        }
    }

    /// Ends a call after which Valgrind's count was `count`; tells whether there is news of it: errors of
    /// its own, or a leak check that followed it and has seen something. What it was given is told of a call
    /// whose count has risen, or that has lost something.
    #[inline]
    pub fn leave(&mut self, entered: &Entered, count: u64, mut given: Option<Given>) -> bool {
        let errors = count - entered.count;
        let (own, early) = local(|local| {
            let own = errors.saturating_sub(local.nested_errors.get());
            local.nested_errors.set(if entered.outermost { 0 } else { entered.outer_errors + errors });
            local.depth.set(local.depth.get() - 1);
            local.call.set(entered.outer_call);
            let outer_early = if entered.outermost { 0 } else { entered.outer_early };
            (own, local.read_early.replace(outer_early))
        });
        if entered.outermost {
            lane::end_outermost();
        }
        let news = own > 0 || count != lane::counted();
        if !news && entered.leaks != LeakCheck::Call {
            return false;
        }
        let alone = entered.alone && entered.overlaps == lane::overlaps();
        if news {
            self.take_errors(entered, (own, early), alone, &mut given);
        }
        if !(entered.leaks == LeakCheck::Call && entered.outermost && alone) {
            return own > 0;
        }
        let before = self.observed.len();
        self.check_leaks();
        self.count_losses(self.observed.len() - before);
        let lost = self.observed.len() > before;
        if lost && let Some(given) = given {
            self.note(entered, 0, given);
        }
        own > 0 || lost
    }

    #[cold]
    #[inline(never)]
    fn take_errors(
        &mut self,
        entered: &Entered,
        (own, early): (u64, u64),
        alone: bool,
        given: &mut Option<Given>,
    ) {
        let seen = if alone { Seen::During(entered.call) } else { Seen::Outside };
        let read = early + self.read(seen);
        if own > 0 && alone {
            if self.log.is_none() && !entered.frequent {
                bracket::print_line(&self.erred(entered.call, own));
            }
            if own > read {
                self.count(entered, own - read, seen);
            }
            if !entered.frequent {
                self.note(entered, own, given.take().unwrap_or_default());
                if let Some(origin) = self.journal.origin_id(entered.call)
                    && self.journal.is_frequent(origin)
                {
                    lane::set_frequent(origin);
                }
            }
        }
    }

    /// Keeps what a call was given that has erred, or lost something.
    fn note(&mut self, entered: &Entered, errors: u64, Given { arguments, blocks }: Given) {
        let noted = Noted { errors, arguments, blocks };
        self.follow(|trail, _| trail.add_noted(entered.call, &noted));
        self.journal.note(entered.call, noted);
    }

    /// A line for Valgrind's output, beside what nobody else can read.
    fn erred(&self, call: CallNumber, errors: u64) -> String {
        let place = self.journal.origin(call).map(|origin| {
            let site = self.journal.call_site(origin.call_site);
            format!(
                ", {}() at {}:{}",
                self.journal.declaration(origin.declaration).name,
                site.file,
                site.line
            )
        });
        let plural = if errors == 1 { "" } else { "s" };
        format!("pythy: {errors} error{plural} in call {call}{}", place.unwrap_or_default())
    }

    /// Keeps repeats of errors, in one sum for each frequent origin.
    fn count(&mut self, entered: &Entered, count: u64, seen: Seen) {
        let Some(origin) = self.journal.origin_id(entered.call).filter(|_| entered.frequent) else {
            self.observed.push(Observed { evidence: Evidence::Counted(count), seen });
            return;
        };
        let seen = Seen::Among(entered.call);
        let sum = self.sums.get(&origin).and_then(|index| self.observed.get_mut(*index));
        match sum {
            Some(Observed { evidence: Evidence::Counted(sum), seen: last }) => {
                *sum += count;
                *last = seen;
            }
            _ => {
                self.sums.insert(origin, self.observed.len());
                self.observed.push(Observed { evidence: Evidence::Counted(count), seen });
            }
        }
    }
}
