//! A call as the parent has it.

use std::time::Duration;

use super::channel::{Broken, Frame, Parts, Talk};
use super::protocol::{
    After, Argument, Call, Callback, Copied, Data, Request, ResultKind, Returned as Head, slot_number,
};
use crate::bracket::Slot;
use crate::{Error, Result};

/// A function to call, and what with.
#[derive(Debug)]
pub struct CallRequest<'a, 'm> {
    /// Its address.
    pub function: usize,
    /// The slot that it is called through.
    pub slot: Slot,
    /// What it finds in `errno`.
    pub errno: i32,
    /// How its result is taken.
    pub result: ResultKind,
    /// Memory that it gets copies of.
    pub copies: &'a mut [Copy<'m>],
    /// Its arguments, a hidden pointer to the result not among them. Bytes of a [`Argument::Value`] are in
    /// `values`, one after the other.
    pub arguments: &'a [Argument],
    /// See `arguments`.
    pub values: &'a [u8],
    /// Whether Valgrind is to look at what it returns and leaves in copies that are writable, and in `outputs`.
    pub check_results: bool,
    /// Address and size of the worker's memory that it is to fill.
    pub outputs: &'a [(usize, usize)],
    /// Whether what has been lost is looked for after it.
    pub leak_check: bool,
    /// How long it may take.
    pub timeout: Option<Duration>,
}

/// Memory for a call, of which the worker has a copy of exactly its size.
#[derive(Debug)]
pub struct Copy<'a> {
    /// The memory.
    pub memory: CopyOf<'a>,
    /// Where the copy lay, once the call is over.
    pub address: usize,
}

/// The memory that a copy is made of.
#[derive(Debug)]
pub enum CopyOf<'a> {
    /// C gets it.
    In(&'a [u8]),
    /// C gets it, and what C makes of it comes back.
    InOut(&'a mut [u8]),
    /// The same, and what comes back does not overwrite what C was given.
    Apart {
        /// What C gets.
        given: &'a [u8],
        /// Where what C makes of it goes: as many bytes.
        left: &'a mut [u8],
    },
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Returned {
    /// The result as a word; of a record its address, in a block that is the caller's.
    pub word: u64,
    /// A wide number's bytes.
    pub wide: [u8; 32],
    /// The text that the result points to; `None` for NULL, and where no text was wanted.
    pub text: Option<Vec<u8>>,
    /// `errno` after it.
    pub errno: i32,
    /// Valgrind's errors during it, without those of calls nested in it.
    pub errors: u64,
    /// Loss records of the leak check after it.
    pub leaks: u64,
    /// Valgrind's error count now. If it is the one known before, its stream has not grown.
    pub count: u64,
    /// How long the leak check took, in microseconds.
    pub micros: u32,
}

/// A function pointer that the worker has made is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackCall {
    /// Which.
    pub id: u64,
    /// `errno` in C.
    pub errno: i32,
    /// Valgrind's error count now.
    pub count: u64,
    /// The bytes of each argument.
    pub arguments: Vec<Vec<u8>>,
}

/// What a callback gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallbackResult {
    /// The result: a scalar's word, a record's bytes; none for nothing, or where it raised: then C gets zeros.
    pub bytes: Vec<u8>,
    /// What C finds in `errno`.
    pub errno: i32,
}

/// What happens in this process while a call runs there.
pub trait Hooks {
    /// A function pointer is called. An error ends the worker.
    fn callback(&mut self, call: CallbackCall) -> Result<CallbackResult>;

    /// Asked when a signal came, and several times a second. An error ends the worker.
    fn interrupted(&mut self) -> Result<()>;
}

/// For requests during which no callback comes.
pub(super) struct NoCallbacks(pub fn() -> Result<()>);

impl Hooks for NoCallbacks {
    fn callback(&mut self, _call: CallbackCall) -> Result<CallbackResult> {
        Err(Error::WorkerNonsense { message: "a callback when nothing is called".to_owned() })
    }

    fn interrupted(&mut self) -> Result<()> {
        (self.0)()
    }
}

impl CopyOf<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::In(bytes) => bytes,
            Self::InOut(bytes) => bytes,
            Self::Apart { given, .. } => given,
        }
    }
}

impl CallRequest<'_, '_> {
    pub(super) fn write(&self, frame: &mut Frame<'_>) -> Talk<()> {
        frame.put(&Request::Call(Call {
            function: self.function as u64,
            slot: slot_number(self.slot),
            errno: self.errno,
            result: self.result.clone(),
            check_results: self.check_results,
            leak_check: self.leak_check,
            copies: self.copies.len() as u32,
            arguments: self.arguments.len() as u32,
            outputs: self.outputs.len() as u32,
        }))?;
        for copy in self.copies.iter() {
            let bytes = copy.memory.bytes();
            let data = frame.room_for(bytes.len());
            frame.put(&Copied { writable: !matches!(copy.memory, CopyOf::In(_)), data })?;
            frame.data(data, bytes)?;
        }
        let mut values = self.values;
        for argument in self.arguments {
            frame.put(argument)?;
            if let Argument::Value(class) = argument {
                let Some((value, rest)) = values.split_at_checked(class.size) else {
                    return Err(Broken::Nonsense("a record by value that is too short".to_owned()));
                };
                frame.bytes(value);
                values = rest;
            }
        }
        for (address, size) in self.outputs {
            frame.put(&(*address as u64, *size as u64))?;
        }
        Ok(())
    }

    pub(super) fn read(&mut self, head: Head, parts: &mut Parts<'_>) -> Talk<Returned> {
        let mut wide = [0; 32];
        if let ResultKind::Wide(_) = self.result {
            wide.copy_from_slice(parts.bytes(32)?);
        }
        let text = match head.text {
            true => {
                let data: Data = parts.take()?;
                Some(parts.data_of_any_size(data)?)
            }
            false => None,
        };
        for copy in self.copies.iter_mut() {
            copy.address = parts.take::<u64>()? as usize;
            if let CopyOf::InOut(left) | CopyOf::Apart { left, .. } = &mut copy.memory {
                let data: Data = parts.take()?;
                parts.data(data, left)?;
            }
        }
        let Head { word, errno, errors, text: _ } = head;
        let After { leaks, count, micros } = parts.take()?;
        Ok(Returned { word, wide, text, errno, errors, leaks, count, micros })
    }
}

impl CallbackCall {
    pub(super) fn read(head: &Callback, mut parts: Parts<'_>) -> Talk<Self> {
        let mut arguments = Vec::new();
        for _ in 0..head.arguments {
            let data: Data = parts.take()?;
            arguments.push(parts.data_of_any_size(data)?);
        }
        parts.end()?;
        Ok(Self { id: head.id, errno: head.errno, count: head.count, arguments })
    }
}
