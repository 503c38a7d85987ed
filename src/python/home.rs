//! The process in which C runs and its values lie: this one, or a worker's.

use std::sync::Arc;

use super::gil::without_gil;
use super::mirror;
use super::plan::Failure;
use crate::Result;
use crate::bracket;
use crate::call::{Here, Memory};
use crate::worker::{self, Client, Station};

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

    /// Whether stacks of it are kept under Valgrind in this process.
    pub fn are_checked(&self) -> bool {
        matches!(self, Self::Here(Home::Checked))
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

    /// Whether both are the same process.
    pub fn is(&self, other: &Self) -> bool {
        match (self.client(), other.client()) {
            (Some(one), Some(other)) => one.is(other),
            (None, None) => true,
            _ => false,
        }
    }

    /// Why an address there is none in another process.
    pub fn failure(&self) -> Failure {
        match self.client() {
            Some(client) if client.has_ended() => Failure::Gone,
            _ => Failure::Elsewhere,
        }
    }

    /// The number of its process; 0 for this one.
    pub fn process(&self) -> u32 {
        self.client().map_or(0, Client::pid)
    }

    /// Copies what lies at an address. The GIL is held, here and in what follows.
    pub fn read(&self, address: usize, into: &mut [u8]) -> Result<()> {
        let Some(client) = self.client() else { return Here.read(address, into) };
        mirror::send(client)?;
        without_gil(|| client.read(address, into))
    }

    /// Copies bytes to an address.
    pub fn write(&self, address: usize, bytes: &[u8]) -> Result<()> {
        let Some(client) = self.client() else { return Here.write(address, bytes) };
        mirror::send(client)?;
        without_gil(|| client.write(address, bytes))?;
        mirror::fetch(client)
    }

    /// The bytes up to the first NUL.
    pub fn text(&self, address: usize) -> Result<Vec<u8>> {
        let Some(client) = self.client() else { return Here.text(address) };
        mirror::send(client)?;
        without_gil(|| client.text(address))
    }

    /// Zeroed memory; `None` where there is none.
    pub fn allocate(&self, size: usize) -> Result<Option<usize>> {
        match self {
            Self::There(client) => without_gil(|| client.allocate(size)),
            Self::Native | Self::Checked => Here.allocate(size),
        }
    }

    /// Gives back what `allocate` gave.
    pub fn free(&self, address: usize) {
        match self {
            Self::There(client) => client.free(address),
            Self::Native | Self::Checked => Here.free(address),
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
