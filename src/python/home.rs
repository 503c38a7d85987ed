//! The process in which C runs and its values lie: this one, or a worker's.

use std::sync::Arc;

use super::station::Station;
use crate::Result;
use crate::bracket;
use crate::call::memory;
use crate::worker::{self, Client};

/// The process that an address belongs to.
#[derive(Clone)]
pub enum Home {
    /// This one, natively.
    Native,
    /// This one, under Valgrind.
    Checked,
    /// A worker, for as long as it runs.
    There(Client),
}

/// Where the values of an interface lie that are still to be made.
pub enum Homes {
    /// In this process.
    Here(Home),
    /// In the worker that there is then.
    There(Arc<Station>),
}

/// An address that leak checks take for a live pointer, as long as this lives.
pub enum Root {
    /// In this process.
    Here {
        /// The entry in the table.
        _root: bracket::Root,
    },
    /// In a worker.
    There {
        /// The entry in the worker's table.
        _root: worker::Root,
    },
}

impl Homes {
    /// The process for a new value; a new worker, if the last one has ended.
    pub fn now(&self) -> Result<Home> {
        Ok(match self {
            Self::Here(home) => home.clone(),
            Self::There(station) => Home::There(station.client()?),
        })
    }

    /// Who starts the workers.
    pub fn station(&self) -> Option<&Arc<Station>> {
        match self {
            Self::Here(_) => None,
            Self::There(station) => Some(station),
        }
    }
}

impl Home {
    /// The worker.
    pub fn client(&self) -> Option<&Client> {
        match self {
            Self::There(client) => Some(client),
            Self::Native | Self::Checked => None,
        }
    }

    /// The number of its process; 0 for this one.
    pub fn process(&self) -> u32 {
        self.client().map_or(0, Client::pid)
    }

    /// Copies what lies at an address.
    pub fn read(&self, address: usize, into: &mut [u8]) -> Result<()> {
        match self {
            Self::There(client) => client.read(address, into),
            // SAFETY: a value of C's lies there, as its type says; C code that frees the memory behind a
            // pointer breaks that as it would break any C program.
            _ => Ok(unsafe { memory::read(address, into) }),
        }
    }

    /// Copies bytes to an address.
    pub fn write(&self, address: usize, bytes: &[u8]) -> Result<()> {
        match self {
            Self::There(client) => client.write(address, bytes),
            // SAFETY: as above.
            _ => Ok(unsafe { memory::write(address, bytes) }),
        }
    }

    /// The bytes up to the first NUL.
    pub fn text(&self, address: usize) -> Result<Vec<u8>> {
        match self {
            Self::There(client) => client.text(address),
            // SAFETY: a string of C's lies there.
            _ => Ok(unsafe { memory::text(address) }),
        }
    }

    /// Zeroed memory of exactly this many bytes, from C's own allocator; `None` where there is none.
    pub fn allocate(&self, size: usize) -> Result<Option<usize>> {
        match self {
            Self::There(client) => client.allocate(size).map(Some),
            _ => Ok(memory::allocate(size)),
        }
    }

    /// Gives back what `allocate` gave; with the process, it is gone already.
    pub fn free(&self, address: usize) {
        match self {
            Self::There(client) => client.free(address),
            // SAFETY: what `allocate` gave is freed once, by whoever got it.
            _ => unsafe { memory::free(address) },
        }
    }

    /// Makes an address one that leak checks take for a live pointer, where there are any.
    #[inline]
    pub fn root(&self, address: usize) -> Option<Root> {
        match self {
            Self::Native => None,
            Self::Checked => Some(Root::Here { _root: bracket::Root::new(address) }),
            Self::There(client) => Some(Root::There { _root: client.root(address) }),
        }
    }

    /// Python has overwritten a pointer.
    pub fn note_release(&self) {
        match self {
            Self::There(client) => client.note_release(),
            _ => bracket::note_release(),
        }
    }
}
