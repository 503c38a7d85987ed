use super::Kind;

/// One thing Valgrind reported: an error or a loss record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Valgrind's number of this record, which [`super::ErrorCount`] refers to; `None` in a text log.
    pub unique: Option<u64>,
    /// The kind, in Valgrind's own words: `InvalidRead`, `Leak_DefinitelyLost`.
    pub kind: Kind,
    /// Valgrind's sentence: `Invalid write of size 1`.
    pub what: String,
    /// Valgrind's thread number, from 1. A text log names the thread only where it changes, so
    /// records of [`super::monitor_output`] read on their own may not tell: `None`.
    pub thread: Option<u32>,
    /// What was lost, in loss records only.
    pub leaked: Option<Leaked>,
    /// The stack where it happened, then those of blocks and origins with their labels.
    pub stacks: Vec<Stack>,
}

impl Record {
    /// Whether this is a loss record.
    pub fn is_leak(&self) -> bool {
        self.kind.is_leak()
    }
}

/// The figures of a loss record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaked {
    /// Bytes lost directly.
    pub bytes: u64,
    /// Blocks in this record.
    pub blocks: u64,
    /// Bytes reachable only through these blocks.
    pub indirect_bytes: u64,
    /// Blocks reachable only through these, but those of 0 bytes; `None` where it is not known, as Valgrind
    /// does not print it.
    pub indirect_blocks: Option<u64>,
}

impl Leaked {
    /// What is known of so many bytes and blocks: that nothing more was lost with them, or that it was.
    pub fn new(bytes: u64, blocks: u64, indirect_bytes: u64) -> Self {
        Self { bytes, blocks, indirect_bytes, indirect_blocks: (indirect_bytes == 0).then_some(0) }
    }

    /// Nothing.
    pub const NONE: Self = Self { bytes: 0, blocks: 0, indirect_bytes: 0, indirect_blocks: Some(0) };

    /// What is left of a loss without another.
    pub fn less(self, other: Self) -> Self {
        let indirect_blocks = self.indirect_blocks.zip(other.indirect_blocks);
        let rest = Self::new(
            self.bytes.saturating_sub(other.bytes),
            self.blocks.saturating_sub(other.blocks),
            self.indirect_bytes.saturating_sub(other.indirect_bytes),
        );
        let indirect_blocks = indirect_blocks.map(|(one, other)| one.saturating_sub(other));
        Self { indirect_blocks: rest.indirect_blocks.or(indirect_blocks), ..rest }
    }
}

/// One stack of a [`Record`], innermost frame first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Valgrind's sentence over it: `Address 0x4a9 is 0 bytes after a block of size 16 alloc'd`;
    /// `None` for the first stack, whose sentence is the record's.
    pub label: Option<String>,
    /// The frames, innermost first; none where Valgrind knew nothing of an address.
    pub frames: Vec<Frame>,
}

/// One frame of a [`Stack`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The instruction's address; in callers the return address minus 1 (XML), as Valgrind prints it.
    pub ip: u64,
    /// The function, without its offset.
    pub function: Option<String>,
    /// The source file: with its directory where Valgrind's XML has one.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The executable or library.
    pub object: Option<String>,
}
