//! Where an address is, as seen from the argument that gave C the block.

use super::join::{Join, plural};
use crate::evidence::Stack;
use crate::journal::{ArgumentBlock, CallNumber};

impl Join<'_> {
    /// `1 byte after argument 'out' (16 bytes) of fill()`.
    pub(super) fn argument_label(&self, stack: &Stack, call: Option<CallNumber>) -> Option<String> {
        let (address, position) = position(stack.label.as_deref()?)?;
        let call = call?;
        let fits = |block: &&ArgumentBlock| match position {
            Position::After(distance) => block.address + block.size + distance == address,
            Position::Before(distance) => block.address.checked_sub(distance) == Some(address),
            Position::Inside(distance) => block.address + distance == address,
        };
        let block = self.journal.noted(call)?.blocks.iter().find(fits)?;
        let (distance, side) = match position {
            Position::After(distance) => (distance + 1, "after"),
            Position::Before(distance) => (distance, "before"),
            Position::Inside(distance) => (distance, "inside"),
        };
        let function = &self.journal.declaration(self.journal.origin(call)?.declaration).name;
        let (distance, size) = (plural(distance, "byte"), plural(block.size, "byte"));
        let name = &block.name;
        Some(format!("Address {address:#x} is {distance} {side} argument '{name}' ({size}) of {function}()"))
    }
}

/// Where an address lies, in bytes from the nearer end of a block, or from its start.
#[derive(Clone, Copy)]
enum Position {
    After(u64),
    Before(u64),
    Inside(u64),
}

/// The figures of Valgrind's `Address 0x4a9 is 1,024 bytes after a block of size 16 alloc'd`.
fn position(label: &str) -> Option<(u64, Position)> {
    let (address, rest) = label.strip_prefix("Address 0x")?.split_once(" is ")?;
    let (distance, side) = rest.split_once(" bytes ")?;
    let distance = distance.replace(',', "").parse().ok()?;
    let position = match side.split(' ').next()? {
        "after" => Position::After(distance),
        "before" => Position::Before(distance),
        "inside" => Position::Inside(distance),
        _ => return None,
    };
    Some((u64::from_str_radix(address, 16).ok()?, position))
}
