//! Where an interface finds its worker: the one that runs, or a new one when that has ended.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{CallbackSignature, Checker, Client, Launch};
use crate::Result;
use crate::binding::{Handle, Loaded, Loader, SymbolAt};

/// The workers of one or several interfaces, one after the other.
#[derive(Debug)]
pub struct Station {
    launch: Launch,
    interrupted: fn() -> Result<()>,
    working: Mutex<Working>,
}

#[derive(Debug, Default)]
struct Working {
    client: Option<Client>,
    /// Function types that the worker knows.
    defined: HashSet<u32>,
    /// How many workers there have been.
    count: u64,
    /// Nobody gets a worker any more.
    closed: bool,
}

impl Station {
    /// Starts the first worker, without waiting for it.
    pub fn start(launch: Launch, interrupted: fn() -> Result<()>) -> Result<Arc<Self>> {
        let station = Arc::new(Self { launch, interrupted, working: Mutex::default() });
        station.client()?;
        Ok(station)
    }

    fn working(&self) -> MutexGuard<'_, Working> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker that runs; a new one, if the last one has ended.
    pub fn client(&self) -> Result<Client> {
        let mut working = self.working();
        if let Some(client) = &working.client
            && (client.is_alive() || working.closed)
        {
            return Ok(client.clone());
        }
        let client = Client::start(&self.launch, self.interrupted)?;
        let count = working.count + 1;
        *working = Working { client: Some(client.clone()), defined: HashSet::new(), count, closed: false };
        Ok(client)
    }

    /// Whether the workers run under Valgrind.
    pub fn has_checker(&self) -> bool {
        self.launch.checker != Checker::None
    }

    /// The worker, if one runs.
    pub fn running(&self) -> Option<Client> {
        self.latest().filter(Client::is_alive)
    }

    /// The last worker, be it that it has ended.
    pub fn latest(&self) -> Option<Client> {
        self.working().client.clone()
    }

    /// Makes sure that the worker knows a function type, under this number.
    pub fn define(&self, client: &Client, id: u32, signature: &CallbackSignature) -> Result<()> {
        // Another thread may have started the next one meanwhile.
        let is_its = |working: &Working| working.client.as_ref().is_some_and(|known| known.is(client));
        {
            let working = self.working();
            if is_its(&working) && working.defined.contains(&id) {
                return Ok(());
            }
        }
        client.define(id, signature)?;
        let mut working = self.working();
        if is_its(&working) {
            working.defined.insert(id);
        }
        Ok(())
    }

    /// Ends the worker as a program ends; there will be no other.
    pub fn close(&self) {
        let client = {
            let mut working = self.working();
            working.closed = true;
            working.client.clone()
        };
        if let Some(client) = client {
            client.close();
        }
    }

    /// There will be no other worker after this one.
    pub fn retire(&self) {
        self.working().closed = true;
    }

    /// Whether its last worker may end: no call is under way.
    pub fn is_due(&self) -> bool {
        let working = self.working();
        working.closed
            && working.client.as_ref().is_some_and(|client| client.is_alive() && !client.is_calling())
    }

    /// To be called in the child after a fork: the worker stays the parent's.
    pub fn abandon(&self) {
        // Nobody else can hold the lock: the child has this one thread, and it holds Python's.
        if let Ok(mut working) = self.working.try_lock()
            && let Some(client) = working.client.take()
        {
            // It is not this process's to end.
            std::mem::forget(client);
        }
    }
}

impl Loader for Station {
    fn life(&self) -> Result<u64> {
        self.client()?;
        Ok(self.working().count)
    }

    fn ready(&self) -> Result<()> {
        self.client()?.ready()
    }

    fn load(&self, library: &Path) -> Result<Loaded> {
        self.client()?.load(library)
    }

    fn symbol(&self, library: Handle, name: &str) -> Result<Option<usize>> {
        self.client()?.symbol(library, name)
    }

    fn pointer_at(&self, address: usize) -> Result<usize> {
        self.client()?.pointer_at(address)
    }

    fn symbol_at(&self, address: usize) -> Result<Option<SymbolAt>> {
        self.client()?.symbol_at(address)
    }

    /// Libraries go with their worker.
    fn unload(&self, _library: Handle) {}
}
