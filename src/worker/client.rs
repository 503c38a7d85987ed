//! The parent's side: a worker, and what it does when asked.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::answers::checked;
use super::call::NoCallbacks;
use super::channel::Frame;
use super::death::{Death, Ending};
use super::launch::{Launch, Launched, NUM_CALLERS};
use super::living;
use super::process::Process;
use super::protocol::{Hello, Notice, Request, Watched};
use super::root::RootNumbers;
use super::surroundings::Surroundings;
use super::turn::{Conversation, Turn};
use super::waiting::{Once, Waiting};
use crate::attribution::Tables;
use crate::bracket::Slots;
use crate::evidence::Event;
use crate::valgrind::Defaults;
use crate::{Error, Result};

/// A worker. Cheap to clone; the process ends when the last clone goes that is not an observer's.
#[derive(Debug)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
    /// Whether the worker is kept for it.
    uses: bool,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) launch: Launch,
    pub(super) main: Conversation,
    pub(super) others: Conversation,
    pub(super) process: Mutex<Process>,
    pub(super) dead: AtomicBool,
    /// Whether it ended while nothing was asked of it.
    pub(super) ended_idle: AtomicBool,
    pub(super) hello: OnceLock<Hello>,
    pub(super) notices: Mutex<Vec<Notice>>,
    pub(super) roots: Mutex<RootNumbers>,
    /// Valgrind's own suppressions that it has not been given yet; `None` before the first library.
    pub(super) defaults: Mutex<Option<Defaults>>,
    pub(super) released: AtomicBool,
    /// Whether somebody runs the callbacks of its other threads.
    pub(super) served: AtomicBool,
    /// How many calls are under way.
    pub(super) calls: AtomicUsize,
    /// How many have it who are no observers.
    pub(super) users: AtomicUsize,
    /// Whether leaks are looked for before it ends.
    pub(super) leaks_wanted: AtomicBool,
    /// Asked while waiting in requests that have no hooks of their own.
    pub(super) interrupted: fn() -> Result<()>,
    /// Of those of this process, what the worker has been told.
    pub(super) surroundings: Mutex<Surroundings>,
    /// The process that started the worker.
    pub(super) owner: u32,
    /// All descriptors that lead to it.
    pub(super) descriptors: Vec<RawFd>,
}

impl Client {
    /// Starts a worker, and does not wait for it. `interrupted` is asked while waiting for an answer,
    /// several times a second and when a signal came; an error ends the worker and the waiting.
    pub fn start(launch: &Launch, interrupted: fn() -> Result<()>) -> Result<Self> {
        // Before, so that what changes meanwhile counts as a change.
        let surroundings = Surroundings::of_this_process();
        Self::of(launch.spawn()?, launch, surroundings, interrupted)
    }

    fn of(
        launched: Launched,
        launch: &Launch,
        surroundings: Surroundings,
        interrupted: fn() -> Result<()>,
    ) -> Result<Self> {
        let descriptors = launched.descriptors();
        let (main, others) = (Conversation::new(launched.main), Conversation::new(launched.others));
        let process = Process::new(launched.child, launched.lifeline, &launched.xml, launched.log)?;
        let inner = Arc::new(Inner {
            launch: launch.clone(),
            main,
            others,
            process: Mutex::new(process),
            dead: AtomicBool::new(false),
            ended_idle: AtomicBool::new(false),
            hello: OnceLock::new(),
            notices: Mutex::default(),
            roots: Mutex::default(),
            defaults: Mutex::default(),
            released: AtomicBool::new(false),
            served: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            users: AtomicUsize::new(1),
            leaks_wanted: AtomicBool::new(false),
            interrupted,
            surroundings: Mutex::new(surroundings),
            owner: std::process::id(),
            descriptors,
        });
        living::keep_in_mind(&inner);
        Ok(Self { inner, uses: true })
    }

    /// The same worker for somebody who watches, and for whose sake it does not live.
    pub fn observer(&self) -> Self {
        Self::observing(self.inner.clone())
    }

    pub(super) fn observing(inner: Arc<Inner>) -> Self {
        Self { inner, uses: false }
    }

    /// Waits until the worker can be used. Every request does so by itself.
    pub fn ready(&self) -> Result<()> {
        self.hello().map(|_| ())
    }

    /// Whether it can be talked to.
    pub fn is_alive(&self) -> bool {
        self.inner.alive().is_ok()
    }

    /// Whether it has ended; of a worker of the process that this one was forked from nobody here can tell.
    pub fn has_ended(&self) -> bool {
        self.inner.owner == std::process::id() && self.inner.dead.load(Ordering::Acquire)
    }

    /// Whether both are the same worker.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.inner.process().pid()
    }

    /// Whether it runs under Valgrind, and answers for it.
    pub fn watched(&self) -> Result<Watched> {
        Ok(self.hello()?.watched)
    }

    /// What addresses mean in the worker; the libraries are the caller's to add.
    pub fn tables(&self) -> Result<Tables> {
        let hello = self.hello()?;
        Ok(Tables {
            slots: hello.slots.map(|(outer, inner)| Slots::at(outer, inner)),
            own_object: hello.own_object.clone(),
            libraries: Vec::new(),
            loaded: Vec::new(),
            num_callers: NUM_CALLERS,
        })
    }

    /// Valgrind's error count when the worker was ready.
    pub fn first_count(&self) -> Result<u64> {
        Ok(self.hello()?.count)
    }

    /// What the surroundings of this process are now, if the worker does not know. No other thread changes them now.
    pub fn surroundings_to_follow(&self) -> Option<Surroundings> {
        self.inner.surroundings().changed()
    }

    /// Has leaks looked for before the worker ends, should everybody drop it.
    pub fn want_leaks(&self) {
        self.inner.leaks_wanted.store(true, Ordering::Relaxed);
    }

    /// Python has let go of memory of the worker's.
    pub fn note_release(&self) {
        self.inner.released.store(true, Ordering::Relaxed);
    }

    /// Whether Python has let go of memory since this was asked last.
    pub fn take_released(&self) -> bool {
        self.inner.released.swap(false, Ordering::Relaxed)
    }

    /// Looks for blocks that were lost since the last check; Valgrind's error count after it.
    pub fn leak_check(&self) -> Result<u64> {
        self.plain(Request::LeakCheck, checked)
    }

    /// The same, unless another thread has the worker: `None`. It cannot be interrupted.
    pub fn leak_check_at_once(&self) -> Result<Option<u64>> {
        let mut patient = NoCallbacks(|| Ok(()));
        self.check_turn()?;
        self.ready_by(&mut patient)?;
        let Some(mut turn) = self.conversation().turn_at_once() else { return Ok(None) };
        let mut waiting = Waiting::new(self, &mut patient, None);
        let write = |frame: &mut Frame<'_>| frame.put(&Request::LeakCheck);
        let answer = self.exchange_in(&mut turn, &mut waiting, write, checked);
        answer.unwrap_or_else(|broken| Err(self.give_up(broken))).map(Some)
    }

    /// Waits until no other thread has the worker, but not long; whether that is so.
    pub fn is_free_soon(&self) -> bool {
        self.conversation().is_free_soon()
    }

    /// What Valgrind has reported since this was asked last.
    pub fn events(&self) -> Result<Vec<Event>> {
        self.inner.process().events()
    }

    /// How it ended; `None` while it runs.
    pub fn death(&self) -> Option<Death> {
        self.inner.process().death().cloned()
    }

    /// How it ended, if that was while nothing was asked of it.
    pub fn idle_death(&self) -> Option<Death> {
        self.death().filter(|_| self.inner.ended_idle.load(Ordering::Acquire))
    }

    /// Ends the worker as a program ends: buffers are written, destructors run.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Ends the worker at once.
    pub fn kill(&self) {
        self.inner.bury(Some(Ending::Closed));
    }

    /// Nobody has it any more: looks for leaks at last, if somebody wanted that, and ends it.
    fn leave(&self) {
        if self.inner.alive().is_err() {
            return;
        }
        if self.inner.leaks_wanted.load(Ordering::Relaxed) && self.inner.hello.get().is_some() {
            // Should it fail, then the worker is at its end anyway.
            let _ = self.leak_check_at_once();
        }
        self.inner.close();
    }

    pub(super) fn hello(&self) -> Result<&Hello> {
        if self.inner.hello.get().is_none() {
            self.ready_by(&mut self.no_callbacks())?;
        }
        self.inner.hello.get().ok_or_else(|| Error::WorkerGone { why: "it never began".to_owned() })
    }
}

impl Clone for Client {
    fn clone(&self) -> Self {
        self.inner.users.fetch_add(usize::from(self.uses), Ordering::Relaxed);
        Self { inner: self.inner.clone(), uses: self.uses }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if self.uses && self.inner.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.leave();
        }
    }
}

impl Inner {
    pub(super) fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn surroundings(&self) -> MutexGuard<'_, Surroundings> {
        self.surroundings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn notices(&self) -> MutexGuard<'_, Vec<Notice>> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That it can be talked to.
    pub(super) fn alive(&self) -> Result<()> {
        if self.owner != std::process::id() {
            let why = "it belongs to the process that this one was forked from";
            return Err(Error::WorkerGone { why: why.to_owned() });
        }
        if !self.dead.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(self
            .process()
            .death()
            .map_or_else(|| Error::WorkerGone { why: "it ended".to_owned() }, Death::later))
    }

    /// Waits for its end, or brings it about.
    pub(super) fn bury(&self, ending: Option<Ending>) -> Death {
        let death = {
            let mut process = self.process();
            self.dead.store(true, Ordering::Release);
            process.end(ending)
        };
        self.hang_up();
        death
    }

    pub(super) fn hang_up(&self) {
        self.main.hang_up();
        self.others.hang_up();
    }

    /// Ends it in its own way if it is idle, else at once.
    pub(super) fn close(&self) {
        if self.alive().is_err() {
            return;
        }
        let quit = |mut turn: Turn<'_>| {
            let channel = turn.channel()?;
            let mut frame = channel.begin();
            frame.put(&Vec::<Notice>::new()).ok()?;
            frame.put(&Request::Quit).ok()?;
            channel.send(&mut Once).ok()
        };
        let asked = self.hello.get().and_then(|_| self.main.turn_at_once()).and_then(quit);
        {
            let mut process = self.process();
            self.dead.store(true, Ordering::Release);
            let overdue = asked.is_some() && !process.wait();
            process.end(Some(if overdue { Ending::Overdue } else { Ending::Closed }));
        }
        self.hang_up();
    }
}

#[cfg(any(test, fuzzing))]
#[path = "hostile.rs"]
pub mod hostile;
