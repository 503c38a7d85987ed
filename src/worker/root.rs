//! Addresses that a worker's leak checks take for live pointers.

use std::sync::PoisonError;

use super::client::Client;
use super::protocol::Notice;

/// An address that is a root of the worker's leak checks for as long as this lives.
#[derive(Debug)]
pub struct Root {
    client: Client,
    index: u32,
}

#[derive(Debug, Default)]
pub(super) struct RootNumbers {
    free: Vec<u32>,
    next: u32,
}

impl Client {
    /// Makes an address a root of leak checks: with the next request.
    pub fn root(&self, address: usize) -> Root {
        let mut roots = self.inner.roots.lock().unwrap_or_else(PoisonError::into_inner);
        let index = roots.free.pop().unwrap_or_else(|| {
            roots.next += 1;
            roots.next - 1
        });
        drop(roots);
        self.notice(Notice::Root { index, address: address as u64 });
        Root { client: self.clone(), index }
    }
}

impl Root {
    /// The worker that it is in.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.client.notice(Notice::Root { index: self.index, address: 0 });
        self.client.inner.roots.lock().unwrap_or_else(PoisonError::into_inner).free.push(self.index);
        self.client.note_release();
    }
}
