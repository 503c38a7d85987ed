//! One call in the worker.

use std::cell::Cell;
use std::ffi::c_void;

use super::channel::{Broken, Frame, Parts, Talk};
use super::closures::Thunk;
use super::fork;
use super::protocol::{Argument, Call, Copied, Message, Reply, ResultKind, Returned, numbered_slot};
use super::serve::Worker;
use crate::binding::{Passing, Scalar, Wide};
use crate::bracket::{self, Slot};
use crate::call::{self, Arguments, Block, errno};

/// A call that can be made.
pub struct Invocation {
    frame: call::Frame,
    slot: Slot,
    errno: i32,
    result: ResultKind,
    /// Where a record goes.
    record: Option<Block>,
    copies: Vec<(Block, bool)>,
    check_results: bool,
    outputs: Vec<(u64, u64)>,
    /// Whether what has been lost is looked for after it.
    pub leak_check: bool,
    /// Why it cannot be made.
    failure: Option<Failure>,
    // Function pointers for the time of the call.
    _thunks: Vec<Thunk>,
}

enum Failure {
    NoMemory(u64),
    Refused(String),
}

thread_local! {
    /// Errors of the calls nested in the one that runs on this thread.
    static NESTED: Cell<u64> = const { Cell::new(0) };
}

/// Valgrind's count and the errors of nested calls, when a callback went to the parent.
pub struct Outside {
    count: u64,
    nested: u64,
}

/// A callback goes to the parent: what goes wrong until it is back is not the calling function's doing.
pub fn enter_parent(worker: &Worker) -> Outside {
    Outside { count: worker.count(), nested: NESTED.get() }
}

/// The callback is back in C.
pub fn leave_parent(worker: &Worker, outside: Outside) {
    NESTED.set(outside.nested + worker.count() - outside.count);
}

impl Invocation {
    /// Reads what follows the head of a call, and makes what it needs.
    pub fn read(worker: &'static Worker, call: Call, parts: &mut Parts<'_>) -> Talk<Self> {
        let mut failure = None;
        let copies = read_copies(call.copies, parts, &mut failure)?;
        let (mut arguments, mut thunks) = (Arguments::default(), Vec::new());
        let record = match &call.result {
            ResultKind::Record(class) => {
                let block = Block::zeroed(class.size);
                match &block {
                    None => failure = Some(Failure::NoMemory(class.size as u64)),
                    Some(block) if class.returned_in_memory() => {
                        arguments.push_integer(block.address() as u64);
                    }
                    Some(_) => {}
                }
                block
            }
            _ => None,
        };
        for _ in 0..call.arguments {
            match parts.take()? {
                Argument::Integer(word) => _ = arguments.push_integer(word),
                Argument::Float(word) => arguments.push_float(word),
                Argument::Value(class) => {
                    let bytes = parts.bytes(class.size)?;
                    arguments.push_record(&class, bytes);
                }
                Argument::ValueAt(class, address) => {
                    // SAFETY: the parent says that such a record lies there.
                    let bytes = unsafe { std::slice::from_raw_parts(address as *const u8, class.size) };
                    arguments.push_record(&class, bytes);
                }
                Argument::Copy { index, offset } => {
                    let block = copies.get(index as usize).map(|(block, _)| block.address() as u64 + offset);
                    let none = || Broken::Nonsense(format!("copy {index} of {}", copies.len()));
                    arguments.push_integer(match (block, &failure) {
                        (Some(address), _) => address,
                        (None, Some(_)) => 0,
                        (None, None) => return Err(none()),
                    });
                }
                Argument::Callback { id, signature } => match worker.thunk(id, signature) {
                    Ok(thunk) => {
                        arguments.push_integer(thunk.address() as u64);
                        thunks.push(thunk);
                    }
                    Err(why) => failure = Some(Failure::Refused(why)),
                },
            }
        }
        let mut outputs = Vec::new();
        for _ in 0..call.outputs {
            outputs.push(parts.take()?);
        }
        if !bracket::HAS_SLOTS {
            let why = "the worker calls functions on x86-64 Linux only; use backend='inprocess'";
            failure = Some(Failure::Refused(why.to_owned()));
        }
        let passing = match &call.result {
            ResultKind::Word(scalar) => Passing::Scalar(*scalar),
            ResultKind::Text => Passing::Scalar(Scalar::Pointer),
            ResultKind::Record(class) | ResultKind::Wide(class) => Passing::Record(class.clone()),
        };
        Ok(Self {
            frame: arguments.frame(call.function as *const c_void, &passing),
            slot: numbered_slot(call.slot),
            errno: call.errno,
            result: call.result,
            record,
            copies,
            check_results: call.check_results,
            outputs,
            leak_check: call.leak_check,
            failure,
            _thunks: thunks,
        })
    }
}

fn read_copies(count: u32, parts: &mut Parts<'_>, failure: &mut Option<Failure>) -> Talk<Vec<(Block, bool)>> {
    let mut copies = Vec::new();
    for _ in 0..count {
        let Copied { writable, data } = parts.take()?;
        let mut filled = Ok(());
        let block = Block::to_fill(data.size() as usize, &mut |memory| filled = parts.fill(data, memory));
        filled?;
        match block {
            Some(block) => copies.push((block, writable)),
            None => *failure = Some(Failure::NoMemory(data.size())),
        }
    }
    Ok(copies)
}

/// Makes the call and writes the answer, but for what comes last. Gives the address that the parent gets, 0 for
/// none; nothing where the call could not be made, and the answer is complete.
pub fn make(worker: &Worker, mut invocation: Invocation) -> Talk<Option<usize>> {
    if let Some(failure) = invocation.failure.take() {
        let reply = match failure {
            Failure::NoMemory(size) => Reply::NoMemory(size),
            Failure::Refused(why) => Reply::Refused(why),
        };
        worker.write(|frame| frame.put(&Message::Reply(reply)))?;
        return Ok(None);
    }
    let outer = NESTED.replace(0);
    let before = worker.count();
    let text = invocation.perform();
    let errors = worker.count() - before;
    let own = errors.saturating_sub(NESTED.get());
    NESTED.set(outer + errors);
    fork::leave_if_any("a call returned");
    let word = invocation.word(worker.watched());
    let returned = Returned { word, errno: errno::get(), errors: own, text: text.is_some() };
    worker.write(|frame| invocation.write(frame, returned, text))?;
    invocation.record.take().map(Block::into_address);
    let given = matches!(invocation.result, ResultKind::Word(Scalar::Pointer) | ResultKind::Record(_));
    Ok(Some(if given { word as usize } else { 0 }))
}

impl Invocation {
    /// Makes the call; gives the length of a text that it returned, which is read as part of it.
    fn perform(&mut self) -> Option<usize> {
        errno::set(self.errno);
        let errno = errno::Errno::restore();
        // SAFETY: the parent says that the function is there and takes these arguments.
        unsafe { bracket::dispatch(&mut self.frame, self.slot) };
        if self.check_results {
            self.check();
        }
        let length = (self.result == ResultKind::Text && self.frame.result_integer != 0).then(|| {
            through(self.slot, libc::strlen as *const c_void, [self.frame.result_integer, 0]).result_integer
                as usize
        });
        errno.keep();
        length
    }

    /// Lets Valgrind look at what C returned, and left in memory that it was to fill.
    fn check(&self) {
        let check = |request: extern "C" fn(*const c_void, usize), address: *const c_void, size: usize| {
            if size > 0 {
                through(self.slot, request as *const c_void, [address as u64, size as u64]);
            }
        };
        let scalar = match &self.result {
            ResultKind::Word(scalar) => Some(*scalar),
            ResultKind::Text => Some(Scalar::Pointer),
            ResultKind::Record(_) | ResultKind::Wide(_) => None,
        };
        if let Some(scalar) = scalar {
            let (address, size) = self.frame.raw_result(scalar);
            check(bracket::check_result, address, size);
        }
        for (block, _) in self.copies.iter().filter(|(_, writable)| *writable) {
            check(bracket::check_argument, block.address(), block.size());
        }
        for (address, size) in &self.outputs {
            check(bracket::check_argument, *address as *const c_void, *size as usize);
        }
    }

    /// The result as a word.
    fn word(&mut self, watched: bool) -> u64 {
        if watched {
            // What C left undefined is C's doing; from here on it is looked at by us.
            bracket::make_defined(&raw const self.frame.result_integer, size_of::<u64>());
            bracket::make_defined(&raw const self.frame.result_float, size_of::<u64>());
        }
        let (integer, float) = (self.frame.result_integer, self.frame.result_float);
        match &self.result {
            ResultKind::Word(scalar) => scalar.word(integer, float),
            ResultKind::Text => integer,
            ResultKind::Wide(_) => 0,
            ResultKind::Record(class) => match &mut self.record {
                None => 0,
                Some(block) => {
                    self.frame.write_result(class, block.bytes_mut());
                    block.address() as u64
                }
            },
        }
    }

    fn write(&self, frame: &mut Frame<'_>, returned: Returned, text: Option<usize>) -> Talk<()> {
        let word = returned.word;
        frame.put(&Message::Reply(Reply::Returned(returned)))?;
        if let ResultKind::Wide(class) = &self.result {
            let mut bytes = [0; Wide::LARGEST];
            self.frame.write_result(class, &mut bytes);
            frame.bytes(&bytes);
        }
        if let Some(length) = text {
            // SAFETY: C returned a string of this length.
            let bytes = unsafe { std::slice::from_raw_parts(word as *const u8, length) };
            let data = frame.room_for(length);
            frame.put(&data)?;
            frame.data(data, bytes)?;
        }
        for (block, writable) in &self.copies {
            frame.put(&(block.address() as u64))?;
            if *writable {
                let data = frame.room_for(block.size());
                frame.put(&data)?;
                frame.data(data, block.bytes())?;
            }
        }
        Ok(())
    }
}

/// Calls a function of ours on the stack of the call.
fn through(slot: Slot, function: *const c_void, words: [u64; 2]) -> call::Frame {
    let mut arguments = Arguments::default();
    words.into_iter().for_each(|word| _ = arguments.push_integer(word));
    let mut frame = arguments.frame(function, &Passing::Scalar(Scalar::Void));
    // SAFETY: the functions take a pointer, or a pointer and a size, and look only at what they are told to
    // look at.
    unsafe { bracket::dispatch(&mut frame, slot) };
    frame
}
