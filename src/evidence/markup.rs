//! Where one piece of XML ends and the next begins, in bytes that come in pieces of any size.

use super::MAX_PIECE;

/// Cuts a stream into pieces of one markup (a tag, a CDATA section) with the text before it. What
/// belongs to one piece depends on the stream alone, not on how it was cut for feeding.
#[derive(Clone, Debug, Default)]
pub(super) struct Markup {
    buffer: Vec<u8>,
    /// How much of the buffer has been given out.
    taken: usize,
}

/// What can be said about the bytes at hand.
enum Piece {
    Complete(usize),
    /// More than [`MAX_PIECE`]: to be skipped.
    Overlong(usize),
    Incomplete,
}

impl Markup {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete piece.
    pub(super) fn next(&mut self) -> Option<String> {
        loop {
            let rest = &self.buffer[self.taken..];
            match piece(rest) {
                Piece::Complete(len) => {
                    let piece = String::from_utf8_lossy(&rest[..len]).into_owned();
                    self.taken += len;
                    return Some(piece);
                }
                Piece::Overlong(len) => self.taken += len,
                Piece::Incomplete => return None,
            }
        }
    }
}

/// Holds the suppressions of `--gen-suppressions`, and in them the only `<` and `>` that are no markup.
const CDATA: &[u8] = b"<![CDATA[";

/// How long the first piece of `bytes` is.
fn piece(bytes: &[u8]) -> Piece {
    let window = &bytes[..bytes.len().min(MAX_PIECE)];
    let undecided = if bytes.len() < MAX_PIECE { Piece::Incomplete } else { Piece::Overlong(MAX_PIECE) };
    let Some(open) = find(window, b"<") else { return undecided };
    let markup = &window[open..];
    if markup.starts_with(CDATA) {
        return match find(markup, b"]]>") {
            Some(at) => Piece::Complete(open + at + 3),
            None => undecided,
        };
    }
    if CDATA.starts_with(markup) {
        return undecided;
    }
    match markup[1..].iter().position(|byte| matches!(byte, b'>' | b'<')) {
        Some(at) if markup[1 + at] == b'>' => Piece::Complete(open + at + 2),
        // A tag has no '<' in it: this one was cut off, or was none.
        Some(at) => Piece::Overlong(open + at + 1),
        None => undecided,
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
