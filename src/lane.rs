//! The part of the session that every call under Valgrind touches, laid out so that a call of which there is
//! nothing to tell needs no lock and no search: it finds its origin in a table, leaves it in a list, and compares
//! Valgrind's count.
//!
//! Whoever uses this holds the GIL, which is the lock. The atomics are there so that it is safe Rust, and are relaxed
//! throughout: to the processor these are plain loads and stores.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};

use crate::bracket;
use crate::journal::CallNumber;
use crate::thread::{Local, local};
use crate::waiting;

/// How many places' origins are found without a search.
const PLACES: usize = 1024;
/// Marks an origin whose calls are not to go the short way.
const FREQUENT: u32 = 1 << 31;

/// Where in a program a call is made: what the caller knows at once, and without asking Python for names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address of the code, which is no other code's as long as the process lives; 0 for none.
    pub code: usize,
    /// The instruction in it.
    pub instruction: i32,
    /// The id of the declaration that is called.
    pub declaration: u32,
}

impl Place {
    #[inline(always)]
    fn index(&self) -> usize {
        let mixed = (self.code >> 4) ^ self.instruction as usize ^ (self.declaration as usize) << 5;
        (mixed ^ mixed >> 10) % PLACES
    }

    #[inline(always)]
    fn in_code(&self) -> u64 {
        u64::from(self.instruction as u32) << 32 | u64::from(self.declaration)
    }
}

/// What is known of a place.
struct Known {
    code: AtomicUsize,
    in_code: AtomicU64,
    thread: AtomicU32,
    origin: AtomicU32,
}

impl Known {
    const fn nothing() -> Self {
        Self {
            code: AtomicUsize::new(usize::MAX),
            in_code: AtomicU64::new(0),
            thread: AtomicU32::new(0),
            origin: AtomicU32::new(0),
        }
    }

    /// 0 where this is the place.
    #[inline(always)]
    fn differs_from(&self, place: &Place) -> u64 {
        (self.code.load(Relaxed) ^ place.code) as u64 | self.in_code.load(Relaxed) ^ place.in_code()
    }
}

/// Valgrind's error count when its log was last read.
static COUNTED: AtomicU64 = AtomicU64::new(0);
/// The outermost calls that run, on all threads.
static OUTERMOST: AtomicU32 = AtomicU32::new(0);
/// How often an outermost call has begun while another ran.
static OVERLAPS: AtomicU64 = AtomicU64::new(0);
/// Whether calls may go the short way at all.
static OPEN: AtomicBool = AtomicBool::new(false);
static ORIGINS: [Known; PLACES] = [const { Known::nothing() }; PLACES];
/// Valgrind's error count when its log was last read.
pub fn counted() -> u64 {
    COUNTED.load(Relaxed)
}

/// Sets [`counted`], and gives what it was.
pub fn set_counted(count: u64) -> u64 {
    let before = COUNTED.load(Relaxed);
    COUNTED.store(count, Relaxed);
    before
}

/// An outermost call begins.
pub fn begin_outermost() {
    let others = OUTERMOST.load(Relaxed);
    OUTERMOST.store(others + 1, Relaxed);
    if others > 0 {
        OVERLAPS.store(OVERLAPS.load(Relaxed) + 1, Relaxed);
    }
}

/// An outermost call ends.
pub fn end_outermost() {
    OUTERMOST.store(OUTERMOST.load(Relaxed) - 1, Relaxed);
}

/// The outermost calls that run, on all threads.
pub fn outermost() -> u32 {
    OUTERMOST.load(Relaxed)
}

/// In a process that was forked off only this thread's calls run.
pub fn set_outermost(calls: u32) {
    OUTERMOST.store(calls, Relaxed);
}

/// How often an outermost call has begun while another ran.
pub fn overlaps() -> u64 {
    OVERLAPS.load(Relaxed)
}

/// Says whether calls may go the short way.
pub fn open(open: bool) {
    OPEN.store(open, Relaxed);
}

/// The id of the origin of calls from this place on this thread, if it is among the latest that were made known.
pub fn origin_at(place: &Place, thread: u32) -> Option<u32> {
    let known = &ORIGINS[place.index()];
    let same = known.differs_from(place) == 0 && known.thread.load(Relaxed) == thread;
    same.then(|| known.origin.load(Relaxed) & !FREQUENT)
}

/// Makes known which origin calls from this place on this thread, which is the caller's, have, and whether it is a
/// frequent one.
pub fn set_origin_at(place: &Place, thread: u32, origin: u32, frequent: bool) {
    local(|local| local.has_called.set(true));
    let known = &ORIGINS[place.index()];
    known.code.store(place.code, Relaxed);
    known.in_code.store(place.in_code(), Relaxed);
    known.thread.store(thread, Relaxed);
    known.origin.store(if frequent { origin | FREQUENT } else { origin }, Relaxed);
}

/// Another test runs, so that calls from the same places have other origins.
pub fn forget_origins() {
    ORIGINS.iter().for_each(|known| known.code.store(usize::MAX, Relaxed));
}

/// Calls of this origin go the short way no more.
pub fn set_frequent(origin: u32) {
    let same = |known: &&Known| known.origin.load(Relaxed) == origin;
    ORIGINS.iter().filter(same).for_each(|known| known.origin.store(origin | FREQUENT, Relaxed));
}

/// Begins a call the short way: its number and Valgrind's count. `None` if there may be more to do: the call is not a plain
/// one, is nested in another, or from a place that is not known, or Valgrind has counted something since the last call.
#[inline(always)]
pub fn enter(place: &Place, plain: bool) -> Option<(CallNumber, u64)> {
    let known = &ORIGINS[place.index()];
    let origin = known.origin.load(Relaxed);
    local(|local: &Local| {
        // One condition, since Memcheck looks at what each depends on.
        let other = known.differs_from(place)
            | u64::from(origin & FREQUENT)
            | u64::from(!plain)
            | u64::from(!OPEN.load(Relaxed))
            | u64::from(!local.has_called.get())
            | u64::from(local.depth.get());
        if other != 0 {
            return None;
        }
        let count = bracket::count_errors();
        if count != COUNTED.load(Relaxed) {
            return None;
        }
        let call = waiting::current().add(origin)?;
        local.depth.set(1);
        local.call.set(call);
        // Nobody else's runs, as there is one thread alone.
        OUTERMOST.store(1, Relaxed);
        Some((call, count))
    })
}

/// Ends a call that [`enter`] began, and of which there is nothing to tell.
#[inline(always)]
pub fn leave() {
    local(|local| local.depth.set(0));
    end_outermost();
}
