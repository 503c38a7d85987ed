//! A worker's first words, and how it is told that there is none.

use std::time::Duration;

use super::call::Hooks;
use super::channel::{Broken, Talk};
use super::client::Client;
use super::death::Ending;
use super::exchange::channel;
use super::protocol::{FINGERPRINT, Hello, MAGIC, VERSION};
use super::waiting::Waiting;
use crate::{Error, Result};

/// How long a worker may take to start.
const START: Duration = Duration::from_secs(60);

impl Client {
    pub(super) fn ready_by(&self, hooks: &mut dyn Hooks) -> Result<()> {
        self.inner.alive()?;
        if self.inner.hello.get().is_some() {
            return Ok(());
        }
        self.check_turn()?;
        let mut waiting = Waiting::new(self, hooks, Some(START));
        match self.shake_hands(&mut waiting) {
            Ok(answer) => answer,
            Err(Broken::Stopped(error)) => Err(self.give_up(Broken::Stopped(error))),
            Err(broken) => Err(self.not_started(broken)),
        }
    }

    pub(super) fn shake_hands(&self, waiting: &mut Waiting<'_>) -> Talk<Result<()>> {
        let mut turn = self.inner.main.turn(waiting)?;
        if self.inner.hello.get().is_some() {
            return Ok(Ok(()));
        }
        waiting.begin();
        let channel = channel(&mut turn)?;
        let mut frame = channel.begin();
        frame.bytes(&MAGIC);
        frame.bytes(&VERSION.to_le_bytes());
        frame.put(&FINGERPRINT)?;
        channel.send(waiting)?;
        let mut parts = channel.receive(waiting)?;
        if parts.bytes(MAGIC.len())? != MAGIC {
            return Err(Broken::Nonsense("it does not say that it is a worker".to_owned()));
        }
        let version = parts.bytes(size_of_val(&VERSION))?.try_into().map_or(0, u32::from_le_bytes);
        if version != VERSION {
            return Ok(Err(self.other_build(format!("it speaks protocol {version}, not {VERSION}"))));
        }
        let hello: Hello = parts.take()?;
        parts.end()?;
        if hello.fingerprint != FINGERPRINT {
            return Ok(Err(self.other_build(format!("{}, not {FINGERPRINT}", hello.fingerprint))));
        }
        let _ = self.inner.hello.set(hello);
        Ok(Ok(()))
    }

    pub(super) fn other_build(&self, message: String) -> Error {
        self.inner.bury(Some(Ending::Nonsense(message.clone())));
        Error::WorkerBuild { path: self.inner.launch.worker.clone(), message }
    }

    pub(super) fn not_started(&self, broken: Broken) -> Error {
        let death = match broken {
            Broken::Closed | Broken::GoneBefore => self.inner.bury(None),
            Broken::Nonsense(message) => self.inner.bury(Some(Ending::Nonsense(message))),
            Broken::System(error) => self.inner.bury(Some(Ending::Nonsense(error.to_string()))),
            Broken::Stopped(error) => return *error,
        };
        let process = self.inner.process();
        let said = match process.said().trim() {
            "" => "see its standard error",
            said => said,
        };
        let message = format!("it ended {death}; {said}");
        Error::WorkerStart { path: self.inner.launch.worker.clone(), message }
    }
}
