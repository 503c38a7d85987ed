//! Which kind a sentence of the text log stands for. XML says the kind itself.

use super::{Kind, Leaked, loss};

/// The kind that a text log's sentence stands for, and the figures of a loss record; `None` where
/// the sentence is not one of a record, such as a warning.
pub(super) fn kind_of(sentence: &str) -> Option<(Kind, Option<Leaked>)> {
    if let Some((kind, leaked)) = loss::parse(sentence) {
        return Some((kind, Some(leaked)));
    }
    let begins = |start| sentence.starts_with(start);
    let ends = |end| sentence.ends_with(end);
    let kind = match () {
        () if begins("Invalid read of size ") => Kind::InvalidRead,
        () if begins("Invalid write of size ") => Kind::InvalidWrite,
        () if begins("Jump to the invalid address ") => Kind::InvalidJump,
        () if begins("Conditional jump or move depends on uninitialised value") => Kind::UninitCondition,
        () if begins("Use of uninitialised value of size ") => Kind::UninitValue,
        () if begins("Syscall param ") => Kind::SyscallParam,
        () if ends(" found during client check request") => Kind::ClientCheck,
        () if begins("Invalid free() ") => Kind::InvalidFree,
        // "Mismatched free() / delete / delete []", and since 3.22 "Mismatched new[]/delete[] size value: 8".
        () if begins("Mismatched ") && sentence.contains(" size value: ") => {
            Kind::MismatchedAllocateDeallocateSize
        }
        () if begins("Mismatched ") && sentence.contains(" alloc value: ") => {
            Kind::MismatchedAllocateDeallocateAlignment
        }
        () if begins("Mismatched free() ") => Kind::MismatchedFree,
        () if begins("Source and destination overlap in ") => Kind::Overlap,
        () if begins("Illegal memory pool address") => Kind::InvalidMemPool,
        () if begins("Argument '") && sentence.contains(" has a fishy (possibly negative) value: ") => {
            Kind::FishyValue
        }
        () if ends(" contains unaddressable byte(s)") => Kind::CoreMemError,
        () if begins("realloc() with size 0") => Kind::ReallocSizeZero,
        () if begins("Invalid alignment value: ") => Kind::InvalidAlignment,
        () if begins("Invalid size value: ") => Kind::InvalidSizeAndAlignment,
        () if sentence.contains(" invalid size value: ") => Kind::InvalidSize,
        () if begins("File descriptor ") && sentence.contains(" already closed") => Kind::FdBadClose,
        () if begins("File descriptor ") && sentence.contains(" was never created") => Kind::FdBadUse,
        () => return None,
    };
    Some((kind, None))
}
