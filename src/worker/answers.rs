//! What is made of a worker's answers.

use super::channel::{Broken, Parts, Talk};
use super::protocol::Reply;
use crate::{Error, Result};

pub(super) fn unexpected<T>(reply: &Reply) -> Talk<Result<T>> {
    match reply {
        Reply::NoMemory(size) => Ok(Err(Error::WorkerMemory { size: *size })),
        Reply::Refused(message) => Ok(Err(Error::WorkerRefused { message: message.clone() })),
        other => Err(Broken::Nonsense(format!("an answer to another question: {other:?}"))),
    }
}

pub(super) fn done(reply: &Reply) -> Talk<Result<()>> {
    match reply {
        Reply::Done => Ok(Ok(())),
        other => unexpected(other),
    }
}

pub(super) fn checked(reply: Reply, _: &mut Parts<'_>) -> Talk<Result<u64>> {
    match reply {
        Reply::Checked { count } => Ok(Ok(count)),
        other => unexpected(&other),
    }
}

pub(super) fn address(reply: Reply, _: &mut Parts<'_>) -> Talk<Result<usize>> {
    match reply {
        Reply::Address(address) => Ok(Ok(address as usize)),
        other => unexpected(&other),
    }
}
