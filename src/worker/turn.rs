//! Whose turn it is to talk, when several threads share a conversation.
//!
//! A thread has the turn from its request to the answer, but for the time that a callback of its call
//! runs: then others may ask, and are served inside that call. The answer to a callback waits until no
//! later callback is open.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::channel::{Broken, Channel, Patience, Talk};

/// How long one waits for the turn before asking whether to go on.
const SLICE: Duration = Duration::from_millis(50);

/// A conversation that several threads have with one thread of the worker's.
#[derive(Debug)]
pub struct Conversation {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// `None` while somebody talks, and when it is over.
    channel: Option<Channel>,
    /// How many callbacks are open.
    open: usize,
    /// Whether there is nobody to talk to any more.
    over: bool,
    /// How many threads wait for a change: where there is none, nobody need be woken.
    waiting: usize,
}

/// The turn.
#[derive(Debug)]
pub struct Turn<'a> {
    conversation: &'a Conversation,
    channel: Option<Channel>,
}

impl Conversation {
    /// A conversation of nobody yet.
    pub fn new(channel: Channel) -> Self {
        let state = State { channel: Some(channel), open: 0, over: false, waiting: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits for the turn.
    pub fn turn(&self, patience: &mut dyn Patience) -> Talk<Turn<'_>> {
        let channel = self.wait(patience, |_| true)?;
        Ok(Turn { conversation: self, channel: Some(channel) })
    }

    /// The turn, if nobody has it.
    pub fn turn_at_once(&self) -> Option<Turn<'_>> {
        let channel = self.state().channel.take()?;
        Some(Turn { conversation: self, channel: Some(channel) })
    }

    /// Waits for the turn no longer than a slice, and does not take it; whether it could be had.
    pub fn is_free_soon(&self) -> bool {
        let busy = |state: &mut State| state.channel.is_none() && !state.over;
        let mut state = self.state();
        state.waiting += 1;
        let waited = self.changed.wait_timeout_while(state, SLICE, busy);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        !waited.timed_out()
    }

    /// Hangs up: at once, or when whoever has the turn gives it back.
    pub fn hang_up(&self) {
        let mut state = self.state();
        state.over = true;
        state.channel = None;
        self.tell(state);
    }

    /// Lets go of the state, of which others may want to know.
    fn tell(&self, state: MutexGuard<'_, State>) {
        let anybody = state.waiting > 0;
        drop(state);
        if anybody {
            self.changed.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, patience: &mut dyn Patience, ready: impl Fn(&State) -> bool) -> Talk<Channel> {
        let mut state = self.state();
        loop {
            if ready(&state)
                && let Some(channel) = state.channel.take()
            {
                return Ok(channel);
            }
            if state.over {
                drop(state);
                // Who waits knows best what to say to that.
                patience.go_on()?;
                return Err(Broken::Closed);
            }
            state.waiting += 1;
            let (locked, waited) =
                self.changed.wait_timeout(state, SLICE).unwrap_or_else(PoisonError::into_inner);
            state = locked;
            state.waiting -= 1;
            if waited.timed_out() {
                drop(state);
                patience.go_on()?;
                state = self.state();
            }
        }
    }
}

impl Turn<'_> {
    /// The channel; `None` only while a callback is open.
    pub fn channel(&mut self) -> Option<&mut Channel> {
        self.channel.as_mut()
    }

    /// Whether a callback is open, and so a call under way.
    pub fn is_in_callback(&self) -> bool {
        self.conversation.state().open > 0
    }

    /// A callback begins: gives the turn away. The number is to be given back at its end.
    pub fn open_callback(&mut self) -> usize {
        let mut state = self.conversation.state();
        state.give_back(self.channel.take());
        state.open += 1;
        let number = state.open;
        self.conversation.tell(state);
        number
    }

    /// A callback ends: waits for the turn and until it is the innermost.
    pub fn close_callback(&mut self, number: usize, patience: &mut dyn Patience) -> Talk<()> {
        let taken = self.conversation.wait(patience, |state| state.open == number);
        match taken {
            Ok(channel) => self.channel = Some(channel),
            Err(broken) => {
                self.conversation.state().open -= 1;
                return Err(broken);
            }
        }
        self.conversation.state().open -= 1;
        Ok(())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.channel.is_some() {
            let mut state = self.conversation.state();
            state.give_back(self.channel.take());
            self.conversation.tell(state);
        }
    }
}

impl State {
    fn give_back(&mut self, channel: Option<Channel>) {
        if !self.over {
            self.channel = channel;
        }
    }
}
