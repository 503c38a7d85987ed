//! What parent and worker say to each other.
//!
//! A frame is a length (four bytes, the lowest first) and so many bytes: messages in postcard, one after
//! the other, and raw bytes where a message says so. The conversation is strictly nested: the parent
//! asks and the worker answers, but a call may call back first, and then it is the worker that waits for
//! an answer, and serves the parent's requests until it comes.

use serde::{Deserialize, Serialize};

use crate::binding::{RecordClass, Scalar};
use crate::bracket::{Slot, Slots};

/// The first bytes of the first frame each way, before the version.
pub const MAGIC: [u8; 8] = *b"pythy\0\r\n";

/// What both must agree on; the build's fingerprint comes on top.
pub const VERSION: u32 = 1;

/// The build: parent and worker come from the same sources, or do not talk.
pub const FINGERPRINT: &str = env!("PYTHY_FINGERPRINT");

/// The exit code of a worker that cannot talk any more, since C code has closed its descriptors.
pub const CUT_OFF: u8 = 121;

/// The longest frame that anybody sends or takes.
pub const MAX_FRAME: usize = 1 << 18;

/// As many arguments as a call may have: the frame has them all, but for copies.
pub const MAX_ARGUMENTS: usize = 1 << 12;

/// Data that would make a frame longer than this travel in the shared file.
pub const INLINE: usize = 1 << 10;

/// The worker's first words.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    /// [`FINGERPRINT`]
    pub fingerprint: String,
    /// Its process.
    pub pid: u32,
    /// Where its slots begin, outer and inner.
    pub slots: Option<(u64, u64)>,
    /// Its own file, as Valgrind names it.
    pub own_object: Option<String>,
    /// Under what it runs.
    pub watched: Watched,
    /// Valgrind's error count.
    pub count: u64,
}

/// Under what a worker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Watched {
    /// Natively.
    No,
    /// Under Valgrind.
    Yes,
    /// Under Valgrind, which this build cannot ask anything.
    Mutely,
}

/// What the parent says ahead of a request. Nobody answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// This entry of the table of roots holds that address from now on; 0: none.
    Root {
        /// The entry.
        index: u32,
        /// The address.
        address: u64,
    },
    /// Frees a block.
    Free(u64),
    /// A callback is gone.
    DropCallback(u64),
    /// A library is not used any more.
    Unload(u64),
}

/// What the parent asks for, after a list of [`Notice`]s. Where bytes follow, it is said so.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Loads a library: a path, or a name that the loader knows. -> [`Reply::Loaded`], [`Reply::Refused`]
    Load(Vec<u8>),
    /// Where a symbol of a library's is. -> [`Reply::Address`], 0 for nowhere
    Symbol {
        /// The library.
        library: u64,
        /// The symbol's name.
        name: String,
    },
    /// The symbol that begins at an address. -> [`Reply::Symbol`]
    SymbolAt(u64),
    /// A block of zeros. -> [`Reply::Address`], [`Reply::NoMemory`]
    Allocate(u64),
    /// -> [`Reply::Data`]
    Read {
        /// From where.
        address: u64,
        /// How many bytes.
        size: u64,
    },
    /// The same of memory that may be gone. -> [`Reply::Data`], [`Reply::Refused`]
    Peek {
        /// From where.
        address: u64,
        /// How many bytes.
        size: u64,
    },
    /// Data follow. -> [`Reply::Done`]
    Write {
        /// To where.
        address: u64,
        /// The data.
        data: Data,
    },
    /// The bytes up to the NUL. -> [`Reply::Data`]
    Text(u64),
    /// A function type that callbacks may have from now on. -> [`Reply::Done`], [`Reply::Refused`]
    Define {
        /// Its number.
        id: u32,
        /// Its parameters and its result.
        signature: CallbackSignature,
    },
    /// A function pointer. -> [`Reply::Address`], [`Reply::Refused`]
    MakeCallback {
        /// What the worker calls it when it is called.
        id: u64,
        /// Its type.
        signature: u32,
    },
    /// Has Valgrind read suppressions, as in a file of them. -> [`Reply::Done`], [`Reply::Refused`]
    Suppress(String),
    /// Data follow: a list of [`Change`](super::surroundings::Change)s that Python has made to its own surroundings.
    /// -> [`Reply::Followed`], [`Reply::Refused`]
    Follow(Data),
    /// Looks for what has been lost since the last time. -> [`Reply::Checked`]
    LeakCheck,
    /// Calls a function: then follow the copies ([`Data`] each), the arguments ([`Argument`] each) and the
    /// outputs (address and size). -> [`Reply::Returned`], [`Reply::NoMemory`]
    Call(Call),
    /// A callback is over: as many bytes of its result follow. Only where one waits for it. No answer.
    Result {
        /// What C finds in `errno`.
        errno: i32,
        /// How many bytes; none for nothing, or where it raised: then C gets zeros.
        size: u32,
    },
    /// Nothing but the notices before it. No answer.
    Nothing,
    /// Ends the worker as a program ends. No answer.
    Quit,
}

/// Bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Data {
    /// So many follow, after a byte that says how many to skip before them: memory that Valgrind would take
    /// for pointers of ours otherwise, as it looks at aligned words, lies at odd addresses.
    Inline(u64),
    /// In the shared file.
    Shared {
        /// Where.
        offset: u64,
        /// How many.
        size: u64,
    },
}

impl Data {
    /// How many bytes.
    pub fn size(self) -> u64 {
        let (Self::Inline(size) | Self::Shared { size, .. }) = self;
        size
    }
}

/// The head of a call.
#[derive(Debug, Serialize, Deserialize)]
pub struct Call {
    /// The function's address.
    pub function: u64,
    /// Its slot, see [`slot_number`].
    pub slot: u64,
    /// What it finds in `errno`.
    pub errno: i32,
    /// How its result is taken.
    pub result: ResultKind,
    /// Whether Valgrind is to look at what it returned and left in the outputs.
    pub check_results: bool,
    /// Whether what has been lost is looked for after it.
    pub leak_check: bool,
    /// How many blocks are made for it.
    pub copies: u32,
    /// How many arguments it has.
    pub arguments: u32,
    /// How many outputs are looked at.
    pub outputs: u32,
}

/// How a result is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResultKind {
    /// As a word.
    Word(Scalar),
    /// As a word that is a pointer to text, which is read as part of the call.
    Text,
    /// A record: in a new block, whose address is the word.
    Record(RecordClass),
    /// A wide number: its bytes.
    Wide(RecordClass),
}

/// One argument of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Argument {
    /// An integer or a pointer.
    Integer(u64),
    /// The bits of a `double`, or of a `float` in the low half.
    Float(u64),
    /// A record or wide number by value: as many bytes as its class says follow.
    Value(RecordClass),
    /// A record by value that lies in the worker's memory.
    ValueAt(RecordClass, u64),
    /// An address in a copy.
    Copy {
        /// Which one.
        index: u32,
        /// How far into it.
        offset: u64,
    },
    /// A function pointer for the time of the call.
    Callback {
        /// What the worker calls it when it is called.
        id: u64,
        /// Its type.
        signature: u32,
    },
}

/// The copy of an argument: before the call its data follow, if it has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Whether it is sent back.
    pub writable: bool,
    /// What is in it.
    pub data: Data,
}

/// What callbacks of one function type take and give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackSignature {
    /// The parameters.
    pub parameters: Vec<crate::binding::Passing>,
    /// The result.
    pub result: crate::binding::Passing,
}

/// What the worker sends after its first words.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// The answer to the innermost request.
    Reply(Reply),
    /// A function pointer made here is called: the data of each argument follow, its size before each.
    Callback(Callback),
    /// It cannot go on: why.
    Failed(String),
}

/// A function pointer is called.
#[derive(Debug, Serialize, Deserialize)]
pub struct Callback {
    /// What the parent calls it.
    pub id: u64,
    /// `errno` in C.
    pub errno: i32,
    /// Valgrind's error count.
    pub count: u64,
    /// How many arguments follow.
    pub arguments: u32,
}

/// The worker's answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// It cannot be done: why.
    Refused(String),
    /// There is no memory of this size.
    NoMemory(u64),
    /// A library is loaded.
    Loaded {
        /// What to call it.
        library: u64,
        /// Where it lies.
        path: Vec<u8>,
        /// What the addresses in its symbol table count from.
        base: u64,
    },
    /// A symbol: its name and its library's path.
    Symbol(Option<(String, Vec<u8>)>),
    /// An address.
    Address(u64),
    /// Data follow.
    Data(Data),
    /// Valgrind's error count after a leak check.
    Checked {
        /// How many there are now.
        count: u64,
    },
    /// A call is over: then follow its wide result (32 bytes, where it has one), text ([`Data`]), for each copy
    /// its address and, where it is writable, [`Data`], and at last [`After`].
    Returned(Returned),
    /// Device and inode of the directory that the worker is in now.
    Followed(Option<(u64, u64)>),
}

/// The head of what a call gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// The result as a word.
    pub word: u64,
    /// `errno` after it.
    pub errno: i32,
    /// Errors counted during it, without those of calls nested in it.
    pub errors: u64,
    /// Whether text follows.
    pub text: bool,
}

/// What is known last of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// Loss records that a leak check after it has counted.
    pub leaks: u64,
    /// Valgrind's error count now.
    pub count: u64,
    /// How long the leak check took, in microseconds.
    pub micros: u32,
}

/// A slot as a number.
pub fn slot_number(slot: Slot) -> u64 {
    match slot {
        Slot::Call(number) => number % Slots::CYCLE,
        Slot::Shared(index) => Slots::CYCLE + index % Slots::SHARED,
    }
}

/// The slot that a number stands for.
pub fn numbered_slot(number: u64) -> Slot {
    if number < Slots::CYCLE { Slot::Call(number) } else { Slot::Shared(number - Slots::CYCLE) }
}
