//! Where a function is that runs in a worker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::gil::without_gil;
use crate::binding::Library;
use crate::worker::{Client, Station};
use crate::{Error, Result};

/// Where a function is that runs in a worker.
pub struct There {
    pub(super) station: Arc<Station>,
    library: Arc<Library>,
    function: Function,
    /// Its address in the worker that it was called in last.
    known: Mutex<Option<(Client, usize)>>,
    /// How long a call may take.
    pub(super) timeout: Option<Duration>,
}

/// Which function it is.
pub enum Function {
    /// An exported one, by its symbol.
    Exported(String),
    /// A static one, by its name.
    Static(String),
    /// What a function pointer points to, in the one worker that has it.
    At(Client, usize),
}

impl There {
    /// A function of this library.
    pub fn new(
        station: &Arc<Station>,
        library: &Arc<Library>,
        function: Function,
        timeout: Option<Duration>,
    ) -> Self {
        let (station, library) = (station.clone(), library.clone());
        Self { station, library, function, known: Mutex::new(None), timeout }
    }

    /// The worker, a new one if the last has ended, and the function's address there.
    pub(super) fn find(&self) -> Result<(Client, usize)> {
        if let Function::At(client, address) = &self.function {
            return Ok((client.clone(), *address));
        }
        let client = self.station.client()?;
        if let Some((worker, address)) = &*self.known()
            && worker.is(&client)
        {
            return Ok((client, *address));
        }
        // Not under the lock: a signal handler may call this very function meanwhile, or another thread.
        let address = without_gil(|| {
            client.ready()?;
            Ok::<_, Error>(match &self.function {
                Function::Exported(symbol) => self.library.address(symbol)?,
                Function::Static(name) => self.library.shim().and_then(|shim| shim.address(name)?.ok()),
                Function::At(..) => None,
            })
        })?;
        let missing = || Error::WorkerRefused {
            message: format!(
                "the new worker does not find the function in {}",
                self.library.path().display()
            ),
        };
        let address = address.ok_or_else(missing)? as usize;
        *self.known() = Some((client.clone(), address));
        Ok((client, address))
    }

    /// Its address in that worker; `None` where it is another one's.
    pub fn address_in(&self, client: &Client) -> Result<Option<usize>> {
        let (worker, address) = self.find()?;
        Ok(worker.is(client).then_some(address))
    }

    fn known(&self) -> MutexGuard<'_, Option<(Client, usize)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
