//! The conversation with a worker: requests, the callbacks that come meanwhile, and answers.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::call::{CallbackCall, CallbackResult, Hooks, NoCallbacks};
use super::channel::{Broken, Channel, Frame, Parts, Talk};
use super::client::Client;
use super::death::Ending;
use super::protocol::{Message, Notice, Reply, Request};
use super::turn::{Conversation, Turn};
use super::waiting::{ASKING, Waiting};
use crate::{Error, Result};

/// How many notices go into one frame.
const NOTICES: usize = 1 << 13;

thread_local! {
    /// The worker for one of whose other threads a callback runs on this thread: its `Inner`'s address.
    static SERVED: Cell<usize> = const { Cell::new(0) };
}

impl Client {
    pub(super) fn no_callbacks(&self) -> NoCallbacks {
        NoCallbacks(self.inner.interrupted)
    }

    pub(super) fn plain<T>(
        &self,
        request: Request,
        read: impl FnOnce(Reply, &mut Parts<'_>) -> Talk<Result<T>>,
    ) -> Result<T> {
        self.converse(&mut self.no_callbacks(), None, |frame| frame.put(&request), read)
    }

    pub(super) fn notice(&self, notice: Notice) {
        self.inner.notices().push(notice);
    }

    /// Asks something, serves the callbacks that come, and reads the answer.
    pub(super) fn converse<T>(
        &self,
        hooks: &mut dyn Hooks,
        timeout: Option<Duration>,
        write: impl FnOnce(&mut Frame<'_>) -> Talk<()>,
        read: impl FnOnce(Reply, &mut Parts<'_>) -> Talk<Result<T>>,
    ) -> Result<T> {
        self.ready_by(hooks)?;
        let mut waiting = Waiting::new(self, hooks, timeout);
        let answer = self.exchange(&mut waiting, write, read);
        answer.unwrap_or_else(|broken| Err(self.give_up(broken)))
    }

    pub(super) fn exchange<T>(
        &self,
        waiting: &mut Waiting<'_>,
        write: impl FnOnce(&mut Frame<'_>) -> Talk<()>,
        read: impl FnOnce(Reply, &mut Parts<'_>) -> Talk<Result<T>>,
    ) -> Talk<Result<T>> {
        self.in_turn(waiting, |turn, waiting| self.exchange_in(turn, waiting, write, read))
    }

    /// Does all this while no other thread has the worker.
    pub(super) fn in_turn<T>(
        &self,
        waiting: &mut Waiting<'_>,
        exchange: impl FnOnce(&mut Turn<'_>, &mut Waiting<'_>) -> Talk<Result<T>>,
    ) -> Talk<Result<T>> {
        if let Err(refused) = self.check_turn() {
            return Ok(Err(refused));
        }
        let mut turn = self.conversation().turn(waiting)?;
        let answer = exchange(&mut turn, waiting);
        // Before the turn is given back, or the next would ask a worker that is about to be ended.
        Ok(answer.unwrap_or_else(|broken| Err(self.give_up(broken))))
    }

    /// That this thread does not itself wait for an answer, in the middle of which a signal came.
    pub(super) fn check_turn(&self) -> Result<()> {
        if ASKING.get() != self.address() {
            return Ok(());
        }
        let message = "a signal handler cannot use a worker that is in the middle of a call";
        Err(Error::WorkerRefused { message: message.to_owned() })
    }

    pub(super) fn exchange_in<T>(
        &self,
        turn: &mut Turn<'_>,
        waiting: &mut Waiting<'_>,
        write: impl FnOnce(&mut Frame<'_>) -> Talk<()>,
        read: impl FnOnce(Reply, &mut Parts<'_>) -> Talk<Result<T>>,
    ) -> Talk<Result<T>> {
        waiting.begin();
        self.send(turn, waiting, write).map_err(|broken| match broken {
            Broken::Closed if !turn.is_in_callback() => Broken::GoneBefore,
            broken => broken,
        })?;
        loop {
            let mut parts = channel(turn)?.receive(waiting)?;
            match parts.take()? {
                Message::Reply(reply) => {
                    let answer = read(reply, &mut parts)?;
                    parts.end()?;
                    return Ok(answer);
                }
                Message::Callback(head) => {
                    let call = CallbackCall::read(&head, parts)?;
                    self.call_back(turn, waiting, call)?;
                    // C code may call back so fast that there is never anything to wait for.
                    waiting.in_time()?;
                }
                Message::Failed(why) => return Err(Broken::Nonsense(why)),
            }
        }
    }

    /// Runs a callback without the turn, and sends its result.
    pub(super) fn call_back(
        &self,
        turn: &mut Turn<'_>,
        waiting: &mut Waiting<'_>,
        call: CallbackCall,
    ) -> Talk<()> {
        let number = turn.open_callback();
        let since = Instant::now();
        let result = waiting.hooks.callback(call);
        waiting.extend(since.elapsed());
        turn.close_callback(number, waiting)?;
        let CallbackResult { bytes, errno } = result.map_err(|error| Broken::Stopped(Box::new(error)))?;
        self.send(turn, waiting, |frame| {
            frame.put(&Request::Result { errno, size: bytes.len() as u32 })?;
            frame.bytes(&bytes);
            Ok(())
        })
    }

    /// Sends the notices that have come together, and a request.
    pub(super) fn send(
        &self,
        turn: &mut Turn<'_>,
        waiting: &mut Waiting<'_>,
        write: impl FnOnce(&mut Frame<'_>) -> Talk<()>,
    ) -> Talk<()> {
        let channel = channel(turn)?;
        channel.shrink()?;
        let mut notices = std::mem::take(&mut *self.inner.notices());
        while notices.len() > NOTICES {
            let later = notices.split_off(NOTICES);
            let mut frame = channel.begin();
            frame.put(&notices)?;
            frame.put(&Request::Nothing)?;
            channel.send(waiting)?;
            notices = later;
        }
        let mut frame = channel.begin();
        frame.put(&notices)?;
        write(&mut frame)?;
        channel.send(waiting)
    }

    pub(super) fn serve_others(&self, waiting: &mut Waiting<'_>) -> Talk<()> {
        let mut turn = self.inner.others.turn(waiting)?;
        loop {
            let mut parts = channel(&mut turn)?.receive(waiting)?;
            let Message::Callback(head) = parts.take()? else {
                return Err(Broken::Nonsense("an answer that nobody has asked for".to_owned()));
            };
            let call = CallbackCall::read(&head, parts)?;
            let outer = SERVED.replace(self.address());
            let served = self.call_back(&mut turn, waiting, call);
            SERVED.set(outer);
            served?;
        }
    }

    /// The conversation that this thread has: the main one, but in a callback on another thread of C's.
    pub(super) fn conversation(&self) -> &Conversation {
        if SERVED.get() == self.address() { &self.inner.others } else { &self.inner.main }
    }

    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.inner) as usize
    }

    /// Ends the worker whose conversation is broken, and says what happened.
    pub(super) fn give_up(&self, broken: Broken) -> Error {
        match broken {
            Broken::Closed => self.inner.bury(None).error(),
            Broken::GoneBefore => {
                self.inner.ended_idle.store(true, Ordering::Release);
                self.inner.bury(None).error_while_idle()
            }
            Broken::Nonsense(message) => {
                self.inner.bury(Some(Ending::Nonsense(message.clone())));
                Error::WorkerNonsense { message }
            }
            Broken::System(error) => {
                let message = error.to_string();
                self.inner.bury(Some(Ending::Nonsense(message.clone())));
                Error::WorkerNonsense { message }
            }
            Broken::Stopped(error) => {
                let ending = match *error {
                    Error::WorkerTimeout { .. } => Ending::Timeout,
                    Error::WorkerGone { .. } => return *error,
                    Error::WorkerNonsense { ref message } => Ending::Nonsense(message.clone()),
                    _ => Ending::Interrupted,
                };
                self.inner.bury(Some(ending));
                *error
            }
        }
    }
}

pub(super) fn channel<'a>(turn: &'a mut Turn<'_>) -> Talk<&'a mut Channel> {
    turn.channel().ok_or_else(|| Broken::Nonsense("nobody has the turn".to_owned()))
}
