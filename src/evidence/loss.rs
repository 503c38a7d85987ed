//! The sentence of a loss record.

use super::{Kind, Leaked};

/// The kind and the figures in `48 (8 direct, 40 indirect) bytes in 1 blocks are definitely lost
/// in loss record 4 of 5`; `None` for any other sentence.
///
/// A check that reports changes alone says by how much each figure grew, `16 (+16) bytes in 2
/// (+1) blocks`: the figures are the totals, the growth is left to the sentence.
pub(super) fn parse(sentence: &str) -> Option<(Kind, Leaked)> {
    let (amount, rest) = sentence.split_once(" bytes in ")?;
    let (blocks, rest) = rest.split_once(" blocks are ")?;
    // Valgrind 3.24 and 3.27 tell so that nothing was lost there before.
    let (how, _) = rest.split_once(" in loss record ").or_else(|| rest.split_once(" in new loss record "))?;
    let kind = match how {
        "definitely lost" => Kind::Leak_DefinitelyLost,
        "indirectly lost" => Kind::Leak_IndirectlyLost,
        "possibly lost" => Kind::Leak_PossiblyLost,
        "still reachable" => Kind::Leak_StillReachable,
        _ => return None,
    };
    let (bytes, indirect_bytes) = match amount.strip_suffix(" indirect)") {
        Some(amount) => {
            let (amount, indirect) = amount.split_once(" direct, ")?;
            // The direct figure follows the last parenthesis that is not a growth: `(8` or `(8 (+8)`.
            let direct = amount.rsplit('(').find(|part| !part.starts_with(['+', '-']))?;
            (number(direct)?, number(indirect)?)
        }
        None => (number(amount)?, 0),
    };
    Some((kind, Leaked::new(bytes, number(blocks)?, indirect_bytes)))
}

/// The number at the start of `72,704 (+16)`, with or without commas.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = text.split_once(' ').map_or(text, |(digits, _)| digits);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    digits.chars().filter(|&c| c != ',').collect::<String>().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaked(bytes: u64, blocks: u64, indirect_bytes: u64) -> Leaked {
        let indirect_blocks = if indirect_bytes > 0 { None } else { Some(0) };
        Leaked { bytes, blocks, indirect_bytes, indirect_blocks }
    }

    #[test]
    fn every_way_a_loss_record_is_worded() {
        for (sentence, kind, figures) in [
            (
                "7 bytes in 1 blocks are still reachable in loss record 1 of 5",
                Kind::Leak_StillReachable,
                leaked(7, 1, 0),
            ),
            (
                "72,704 bytes in 1,000 blocks are possibly lost in loss record 1,002 of 2,000",
                Kind::Leak_PossiblyLost,
                leaked(72_704, 1_000, 0),
            ),
            (
                "48 (8 direct, 40 indirect) bytes in 1 blocks are definitely lost in loss record 4 of 5",
                Kind::Leak_DefinitelyLost,
                leaked(8, 1, 40),
            ),
            (
                "32 (+32) bytes in 2 (+2) blocks are indirectly lost in new loss record 4 of 5",
                Kind::Leak_IndirectlyLost,
                leaked(32, 2, 0),
            ),
            (
                "96 (+48) (16 (+8) direct, 80 (+40) indirect) bytes in 2 (+1) blocks are definitely lost in loss record 1 of 1",
                Kind::Leak_DefinitelyLost,
                leaked(16, 2, 80),
            ),
        ] {
            assert_eq!(parse(sentence), Some((kind, figures)), "{sentence}");
        }
    }

    #[test]
    fn other_sentences_are_none() {
        for sentence in [
            "",
            "Invalid read of size 4",
            "bytes in 1 blocks are definitely lost in loss record 1 of 1",
            "x (y direct, z indirect) bytes in 1 blocks are definitely lost in loss record 1 of 1",
            "99999999999999999999999 bytes in 1 blocks are definitely lost in loss record 1 of 1",
            "    in use at exit: 179 bytes in 5 blocks",
        ] {
            assert_eq!(parse(sentence), None, "{sentence}");
        }
    }
}
