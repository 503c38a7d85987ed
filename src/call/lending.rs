//! Memory that arguments lend to C for one call, of which it gets copies.

/// Memory that C gets a copy of.
#[derive(Clone, Copy, Debug)]
pub struct Lent {
    /// Where it lies.
    pub address: *mut u8,
    /// Its size in bytes.
    pub length: usize,
    /// Whether C may write into it.
    pub writable: bool,
    /// The index of the argument, the first of several with this memory.
    pub argument: usize,
}

impl Lent {
    /// The bytes.
    ///
    /// # Safety
    /// The memory stays where it is, for as long as they are used.
    pub unsafe fn bytes(&self) -> &[u8] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: as the caller vouches.
        unsafe { std::slice::from_raw_parts(self.address, self.length) }
    }

    /// Stores what C has made of it, no more than there is room for.
    ///
    /// # Safety
    /// The memory is still there, and may be written to unless there are no bytes.
    pub unsafe fn fill(&self, left: &[u8]) {
        // SAFETY: as the caller vouches; both are of one size, or nothing is stored.
        unsafe { self.address.copy_from_nonoverlapping(left.as_ptr(), left.len().min(self.length)) };
    }

    fn end(&self) -> usize {
        self.address as usize + self.length
    }

    /// Whether both have some byte, or are the same.
    fn shares_with(&self, other: &Self) -> bool {
        let same = self.address == other.address && self.length == other.length;
        same || (self.address as usize) < other.end() && (other.address as usize) < self.end()
    }
}

/// All that the arguments of one call lend. Memory that overlaps becomes one copy, or what C writes to it by one
/// argument would not be seen by the other.
#[derive(Debug, Default)]
pub struct Lending {
    /// Each by itself, or what has been merged.
    pub lent: Vec<Lent>,
    /// For each that was added: which of `lent` has it, and where in that it begins.
    places: Vec<(usize, usize)>,
}

impl Lending {
    /// Adds memory; its number.
    pub fn add(&mut self, argument: usize, (address, length, writable): (*mut u8, usize, bool)) -> usize {
        self.lent.push(Lent { address, length, writable, argument });
        self.places.push((self.lent.len() - 1, 0));
        self.places.len() - 1
    }

    /// Merges what overlaps, once all has been added.
    pub fn merge(&mut self) {
        if self.lent.len() < 2 {
            return;
        }
        let mut order: Vec<usize> = (0..self.lent.len()).collect();
        order.sort_by_key(|index| (self.lent[*index].address, self.lent[*index].length));
        let mut merged: Vec<Lent> = Vec::new();
        for index in order {
            let lent = self.lent[index];
            match merged.last_mut().filter(|last| last.shares_with(&lent)) {
                Some(last) => {
                    last.length = last.end().max(lent.end()) - last.address as usize;
                    last.writable |= lent.writable;
                    last.argument = last.argument.min(lent.argument);
                }
                None => merged.push(lent),
            }
            if let Some(last) = merged.last() {
                self.places[index] = (merged.len() - 1, lent.address as usize - last.address as usize);
            }
        }
        self.lent = merged;
    }

    /// Where what has this number is: the index of the merged memory, and how far into it.
    pub fn place(&self, number: usize) -> (usize, usize) {
        self.places[number]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Address, length, whether it is writable, and the argument.
    type Stretch = (usize, usize, bool, usize);

    fn merged(memory: &[(usize, usize, bool)]) -> (Vec<Stretch>, Vec<(usize, usize)>) {
        let mut lending = Lending::default();
        for (argument, (address, length, writable)) in memory.iter().enumerate() {
            lending.add(argument, (*address as *mut u8, *length, *writable));
        }
        lending.merge();
        let lent = lending.lent.iter();
        let lent = lent.map(|lent| (lent.address as usize, lent.length, lent.writable, lent.argument));
        (lent.collect(), (0..memory.len()).map(|number| lending.place(number)).collect())
    }

    #[test]
    fn the_same_memory_is_one_copy() {
        let expected = (vec![(100, 8, true, 0)], vec![(0, 0), (0, 0)]);
        assert_eq!(merged(&[(100, 8, false), (100, 8, true)]), expected);
        assert_eq!(merged(&[(100, 0, true), (100, 0, true)]).0.len(), 1);
    }

    #[test]
    fn memory_that_overlaps_is_one_copy() {
        let expected = (vec![(100, 16, true, 0)], vec![(0, 8), (0, 0), (0, 4)]);
        assert_eq!(merged(&[(108, 8, false), (100, 6, true), (104, 6, false)]), expected);
    }

    #[test]
    fn neighbours_are_copies_of_their_own() {
        let expected = (vec![(100, 8, true, 1), (108, 8, false, 0)], vec![(1, 0), (0, 0)]);
        assert_eq!(merged(&[(108, 8, false), (100, 8, true)]), expected);
    }
}
