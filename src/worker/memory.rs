//! A worker as the memory that C's values lie in.

use super::answers::{address, done, unexpected};
use super::call::{Hooks, NoCallbacks};
use super::channel::Frame;
use super::client::Client;
use super::protocol::{Notice, Reply, Request};
use crate::Result;
use crate::call::Memory;

impl Memory for Client {
    fn read(&self, address: usize, into: &mut [u8]) -> Result<()> {
        let request = Request::Read { address: address as u64, size: into.len() as u64 };
        self.plain(request, |reply, parts| match reply {
            Reply::Data(data) => parts.data(data, into).map(Ok),
            other => unexpected(&other),
        })
    }

    fn write(&self, address: usize, bytes: &[u8]) -> Result<()> {
        self.write_by(&mut self.no_callbacks(), address, bytes)
    }

    fn text(&self, address: usize) -> Result<Vec<u8>> {
        self.plain(Request::Text(address as u64), |reply, parts| match reply {
            Reply::Data(data) => parts.data_of_any_size(data).map(Ok),
            other => unexpected(&other),
        })
    }

    fn allocate(&self, size: usize) -> Result<Option<usize>> {
        self.plain(Request::Allocate(size as u64), |reply, parts| match reply {
            Reply::NoMemory(_) => Ok(Ok(None)),
            reply => Ok(address(reply, parts)?.map(Some)),
        })
    }

    /// With the next request.
    fn free(&self, address: usize) {
        self.notice(Notice::Free(address as u64));
        self.note_release();
    }
}

impl Client {
    /// Copies what lies at an address, if there is memory; whether there is. Valgrind does not know of it.
    pub fn peek(&self, address: usize, into: &mut [u8]) -> Result<bool> {
        let request = Request::Peek { address: address as u64, size: into.len() as u64 };
        self.plain(request, |reply, parts| match reply {
            Reply::Data(data) => parts.data(data, into).map(|()| Ok(true)),
            Reply::Refused(_) => Ok(Ok(false)),
            other => unexpected(&other),
        })
    }

    /// [`Memory::write`] where nothing can be done with an interruption: it stays for later.
    pub fn write_at_all_events(&self, address: usize, bytes: &[u8]) -> Result<()> {
        self.write_by(&mut NoCallbacks(|| Ok(())), address, bytes)
    }

    fn write_by(&self, hooks: &mut dyn Hooks, address: usize, bytes: &[u8]) -> Result<()> {
        let write = |frame: &mut Frame<'_>| {
            let data = frame.room_for(bytes.len());
            frame.put(&Request::Write { address: address as u64, data })?;
            frame.data(data, bytes)
        };
        self.converse(hooks, None, write, |reply, _| done(&reply))
    }
}
