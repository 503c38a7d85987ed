//! How long somebody waits for an answer of a worker's.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::call::Hooks;
use super::channel::{Broken, Patience, Talk};
use super::client::Client;
use crate::Error;

thread_local! {
    /// The worker whose answer this thread waits for while it asks whether to go on: its `Inner`'s address.
    pub(super) static ASKING: Cell<usize> = const { Cell::new(0) };
}

/// How long somebody waits for an answer.
pub(super) struct Waiting<'a> {
    client: &'a Client,
    pub(super) hooks: &'a mut dyn Hooks,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    /// Whether it has the turn.
    talks: bool,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(client: &'a Client, hooks: &'a mut dyn Hooks, timeout: Option<Duration>) -> Self {
        Self { client, hooks, timeout, deadline: None, talks: false }
    }

    /// From now on time counts, and nobody else talks.
    pub(super) fn begin(&mut self) {
        self.talks = true;
        self.deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    }

    /// That there is time left.
    pub(super) fn in_time(&self) -> Talk<()> {
        if let (Some(timeout), Some(deadline)) = (self.timeout, self.deadline)
            && Instant::now() >= deadline
        {
            let late = Error::WorkerTimeout { seconds: timeout.as_secs_f64() };
            return Err(Broken::Stopped(Box::new(late)));
        }
        Ok(())
    }

    /// Time that does not count.
    pub(super) fn extend(&mut self, by: Duration) {
        self.deadline = self.deadline.and_then(|deadline| deadline.checked_add(by));
    }
}

impl Patience for Waiting<'_> {
    fn go_on(&mut self) -> Talk<()> {
        let stopped = |error| Broken::Stopped(Box::new(error));
        self.client.inner.alive().map_err(stopped)?;
        let outer = if self.talks { ASKING.replace(self.client.address()) } else { ASKING.get() };
        let interrupted = self.hooks.interrupted();
        ASKING.set(outer);
        interrupted.map_err(stopped)?;
        self.in_time()?;
        // A process that C code has forked off may hold the socket open after the worker's end.
        if self.client.inner.process().has_ended() { Err(Broken::Closed) } else { Ok(()) }
    }

    fn rest(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

/// Does not wait.
pub(super) struct Once;

impl Patience for Once {
    fn go_on(&mut self) -> Talk<()> {
        Err(Broken::Closed)
    }
}
