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
        () if begins("File descriptor ") && ends(" is already closed") => Kind::FdBadClose,
        () if begins("File descriptor ") && (ends(" was closed already") || ends(" was never created")) => {
            Kind::FdBadUse
        }
        () => return None,
    };
    Some((kind, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_sentence() {
        for (sentence, kind) in [
            ("Invalid read of size 4", Kind::InvalidRead),
            ("Invalid write of size 1", Kind::InvalidWrite),
            ("Jump to the invalid address stated on the next line", Kind::InvalidJump),
            ("Conditional jump or move depends on uninitialised value(s)", Kind::UninitCondition),
            ("Use of uninitialised value of size 8", Kind::UninitValue),
            ("Syscall param write(buf) points to uninitialised byte(s)", Kind::SyscallParam),
            ("Syscall param close(fd) contains uninitialised byte(s)", Kind::SyscallParam),
            ("Uninitialised byte(s) found during client check request", Kind::ClientCheck),
            ("Unaddressable byte(s) found during client check request", Kind::ClientCheck),
            ("Invalid free() / delete / delete[] / realloc()", Kind::InvalidFree),
            ("Mismatched free() / delete / delete []", Kind::MismatchedFree),
            ("Source and destination overlap in strcpy(0x1ffe, 0x1fff)", Kind::Overlap),
            ("Illegal memory pool address", Kind::InvalidMemPool),
            (
                "Argument 'size' of function malloc has a fishy (possibly negative) value: -1",
                Kind::FishyValue,
            ),
            ("signal frame contains unaddressable byte(s)", Kind::CoreMemError),
            ("realloc() with size 0", Kind::ReallocSizeZero),
            ("Invalid alignment value: 3 (should be power of 2)", Kind::InvalidAlignment),
            (
                "Invalid size value: 0 alignment value: 16 (size should not be 0)",
                Kind::InvalidSizeAndAlignment,
            ),
            ("aligned_alloc invalid size value: 0", Kind::InvalidSize),
            ("Mismatched new[]/delete[] size value: 8", Kind::MismatchedAllocateDeallocateSize),
            (
                "Mismatched new/delete alignment alloc value: 64 dealloc value: default-aligned",
                Kind::MismatchedAllocateDeallocateAlignment,
            ),
            ("File descriptor 3: /tmp/x is already closed", Kind::FdBadClose),
            ("File descriptor 3 was never created", Kind::FdBadUse),
        ] {
            assert_eq!(kind_of(sentence), Some((kind, None)), "{sentence}");
        }
    }

    #[test]
    fn what_valgrind_says_besides_is_no_record() {
        for sentence in [
            "Memcheck, a memory error detector",
            "Warning: invalid file descriptor -1 in syscall write()",
            "Warning: set address range perms: large range [0x59c8d040, 0x7a4f4040) (undefined)",
            "HEAP SUMMARY:",
            "All heap blocks were freed -- no leaks are possible",
            "Use --track-origins=yes to see where uninitialised values come from",
            "ERROR SUMMARY: 20 errors from 18 contexts (suppressed: 0 from 0)",
        ] {
            assert_eq!(kind_of(sentence), None, "{sentence}");
        }
    }
}
