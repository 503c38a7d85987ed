//! A worker as that which calls functions, and calls back.

use std::sync::atomic::Ordering;

use super::answers::{address, done, unexpected};
use super::call::{CallRequest, Hooks, Returned};
use super::channel::{Broken, Frame, Parts, Talk};
use super::client::Client;
use super::protocol::{CallbackSignature, Notice, Reply, Request};
use super::surroundings::Surroundings;
use super::turn::Turn;
use super::waiting::Waiting;
use crate::{Error, Result};

impl Client {
    /// Calls a function.
    pub fn call(&self, call: &mut CallRequest<'_, '_>, hooks: &mut dyn Hooks) -> Result<Returned> {
        self.attempt(call, None, hooks).1
    }

    /// Calls a function, after the worker has followed into these surroundings, and tells whether it was asked for the
    /// call at all: it may have ended while another thread had it.
    pub fn attempt(
        &self,
        call: &mut CallRequest<'_, '_>,
        surroundings: Option<Surroundings>,
        hooks: &mut dyn Hooks,
    ) -> (bool, Result<Returned>) {
        let timeout = call.timeout;
        let call = std::cell::RefCell::new(call);
        let asked = std::cell::Cell::new(false);
        let write = |frame: &mut Frame<'_>| {
            asked.set(true);
            call.borrow().write(frame)
        };
        let read = |reply, parts: &mut Parts<'_>| match reply {
            Reply::Returned(head) => call.borrow_mut().read(head, parts).map(Ok),
            Reply::NoMemory(size) => Ok(Err(Error::WorkerMemory { size })),
            other => unexpected(&other),
        };
        self.inner.calls.fetch_add(1, Ordering::AcqRel);
        let returned = self.ready_by(hooks).and_then(|()| {
            let mut waiting = Waiting::new(self, hooks, timeout);
            let answer = self.in_turn(&mut waiting, |turn, waiting| {
                if let Some(surroundings) = surroundings {
                    let followed = self.follow(turn, waiting, surroundings);
                    let followed = followed.map_err(|broken| {
                        // The call's end, not one that it waited for and has nothing to do with.
                        asked.set(true);
                        match broken {
                            Broken::Closed if !turn.is_in_callback() => Broken::GoneBefore,
                            broken => broken,
                        }
                    });
                    if let Err(refused) = followed? {
                        return Ok(Err(refused));
                    }
                }
                self.exchange_in(turn, waiting, write, read)
            });
            answer.unwrap_or_else(|broken| Err(self.give_up(broken)))
        });
        self.inner.calls.fetch_sub(1, Ordering::AcqRel);
        let idle = matches!(returned, Err(Error::WorkerCrashed { idle: true, .. }));
        (asked.get() && !idle, returned)
    }

    /// Has the worker follow this process into other surroundings.
    fn follow(
        &self,
        turn: &mut Turn<'_>,
        waiting: &mut Waiting<'_>,
        surroundings: Surroundings,
    ) -> Talk<Result<()>> {
        let changes = self.inner.surroundings().changes(&surroundings);
        if changes.is_empty() {
            *self.inner.surroundings() = surroundings;
            return Ok(Ok(()));
        }
        let changes = postcard::to_stdvec(&changes).map_err(|error| Broken::Nonsense(error.to_string()))?;
        let write = |frame: &mut Frame<'_>| {
            let data = frame.room_for(changes.len());
            frame.put(&Request::Follow(data))?;
            frame.data(data, &changes)
        };
        let followed = self.exchange_in(turn, waiting, write, |reply, _| match reply {
            Reply::Followed(directory) => Ok(Ok(directory)),
            other => unexpected(&other),
        })?;
        // Another thread may have gone elsewhere meanwhile.
        Ok(followed.map(|directory| *self.inner.surroundings() = surroundings.in_directory(directory)))
    }

    /// Whether a call is under way.
    pub fn is_calling(&self) -> bool {
        self.inner.calls.load(Ordering::Acquire) > 0
    }

    /// Makes a function type one that callbacks may have, under a number of the caller's, small and new.
    pub fn define(&self, id: u32, signature: &CallbackSignature) -> Result<()> {
        let request = Request::Define { id, signature: signature.clone() };
        self.plain(request, |reply, _| done(&reply))
    }

    /// A function pointer for C code to keep; when it is called, `id` says which.
    pub fn make_callback(&self, id: u64, signature: u32) -> Result<usize> {
        self.plain(Request::MakeCallback { id, signature }, address)
    }

    /// Frees what [`Client::make_callback`] made: with the next request.
    pub fn drop_callback(&self, id: u64) {
        self.notice(Notice::DropCallback(id));
    }

    /// Whether somebody has still to begin to [`Client::serve_callbacks`]; asked once.
    pub fn begin_serving(&self) -> bool {
        !self.inner.served.swap(true, Ordering::Relaxed)
    }

    /// Runs the callbacks that come on other threads than the one that calls are made on, until the worker
    /// ends. To be called on a thread of its own.
    pub fn serve_callbacks(&self, hooks: &mut dyn Hooks) -> Result<()> {
        let mut waiting = Waiting::new(self, hooks, None);
        let served = self.serve_others(&mut waiting);
        served.map_err(|broken| self.give_up(broken))
    }
}
