//! What sort of defect a record is, in Valgrind's own words.

use std::fmt;

use serde::{Serialize, Serializer};

/// Defines [`Kind`], with each variant spelled as Valgrind's XML spells it.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// The kind of a record: a variant for each word that Memcheck writes in `<kind>`, up to
        /// Valgrind 3.26, and [`Kind::Other`] for what newer versions and other tools write.
        ///
        /// See <https://sourceware.org/git/?p=valgrind.git;a=blob;f=docs/internals/xml-output-protocol4.txt>,
        /// and `…-protocol5.txt` and `…-protocol6.txt` beside it.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[allow(non_camel_case_types)]
        pub enum Kind {
            $($(#[doc = $doc])* $name,)*
            /// A word that is none of the above.
            Other(String),
        }

        impl Kind {
            /// Every kind that has a name here.
            pub const KNOWN: &[Kind] = &[$(Kind::$name,)*];

            /// Valgrind's own word: `InvalidRead`.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Kind::$name => stringify!($name),)*
                    Kind::Other(word) => word,
                }
            }

            /// What such a record is about, as a sentence; `None` for what has no name here.
            pub fn description(&self) -> Option<&'static str> {
                match self {
                    $(Kind::$name => Some(concat!($($doc),*).trim_ascii_start()),)*
                    Kind::Other(_) => None,
                }
            }
        }

        impl From<&str> for Kind {
            fn from(word: &str) -> Kind {
                match word {
                    $(stringify!($name) => Kind::$name,)*
                    other => Kind::Other(other.to_owned()),
                }
            }
        }
    };
}

kinds! {
    /// A read out of bounds, or of freed memory.
    InvalidRead,
    /// A write out of bounds, or to freed memory.
    InvalidWrite,
    /// A jump to an address that holds no code.
    InvalidJump,
    /// A decision that hangs on uninitialised data.
    UninitCondition,
    /// An address or a similar value that was never initialised.
    UninitValue,
    /// A system call given uninitialised or unaddressable data.
    SyscallParam,
    /// A client request that checks memory found it uninitialised or unaddressable.
    ClientCheck,
    /// `free` of what is no live block.
    InvalidFree,
    /// `free` of what `new` allocated, and the like.
    MismatchedFree,
    /// Source and destination of a copy overlap.
    Overlap,
    /// An address that belongs to no memory pool.
    InvalidMemPool,
    /// A size that is probably a negative number.
    FishyValue,
    /// Data of a signal handler that is not addressable.
    CoreMemError,
    /// `realloc` with size 0 (Valgrind 3.21).
    ReallocSizeZero,
    /// An alignment that is no power of two (Valgrind 3.22).
    InvalidAlignment,
    /// A size that its function does not allow (Valgrind 3.22).
    InvalidSize,
    /// Size and alignment that do not go together (Valgrind 3.22).
    InvalidSizeAndAlignment,
    /// A sized `delete` with another size than the block's (Valgrind 3.22).
    MismatchedAllocateDeallocateSize,
    /// An aligned `delete` with another alignment than the block's (Valgrind 3.22).
    MismatchedAllocateDeallocateAlignment,
    /// A file descriptor closed a second time (protocol 5, `--track-fds`).
    FdBadClose,
    /// A file descriptor still open at exit (protocol 5, `--track-fds`).
    FdNotClosed,
    /// A file descriptor used that is not open (protocol 5, `--track-fds`).
    FdBadUse,
    /// A block to which no pointer is left.
    Leak_DefinitelyLost,
    /// A block to which only lost blocks point.
    Leak_IndirectlyLost,
    /// A block to whose inside alone a pointer is left.
    Leak_PossiblyLost,
    /// A block that could still have been freed.
    Leak_StillReachable,
}

impl Kind {
    /// Whether it is a loss record. Every kind is asked: a new one wants a decision here.
    pub fn is_leak(&self) -> bool {
        match self {
            Kind::Leak_DefinitelyLost
            | Kind::Leak_IndirectlyLost
            | Kind::Leak_PossiblyLost
            | Kind::Leak_StillReachable => true,
            Kind::InvalidRead
            | Kind::InvalidWrite
            | Kind::InvalidJump
            | Kind::UninitCondition
            | Kind::UninitValue
            | Kind::SyscallParam
            | Kind::ClientCheck
            | Kind::InvalidFree
            | Kind::MismatchedFree
            | Kind::Overlap
            | Kind::InvalidMemPool
            | Kind::FishyValue
            | Kind::CoreMemError
            | Kind::ReallocSizeZero
            | Kind::InvalidAlignment
            | Kind::InvalidSize
            | Kind::InvalidSizeAndAlignment
            | Kind::MismatchedAllocateDeallocateSize
            | Kind::MismatchedAllocateDeallocateAlignment
            | Kind::FdBadClose
            | Kind::FdNotClosed
            | Kind::FdBadUse => false,
            Kind::Other(word) => word.starts_with("Leak_"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
