//! Arguments as a worker gets them.

use crate::call::Lending;
use crate::worker::Argument;

/// The arguments as the worker gets them.
#[derive(Default)]
pub struct Arguments {
    pub list: Vec<Argument>,
    pub values: Vec<u8>,
    pub lending: Lending,
    pub outputs: Vec<(usize, usize)>,
}

impl Arguments {
    /// Adds memory of a Python object.
    pub fn lend(&mut self, argument: usize, memory: (*mut u8, usize, bool)) {
        let number = self.lending.add(argument, memory);
        self.list.push(Argument::Copy { index: number as u32, offset: 0 });
    }

    /// Makes one copy of what overlaps, once all arguments are there.
    pub fn merge(&mut self) {
        self.lending.merge();
        for argument in &mut self.list {
            if let Argument::Copy { index, offset } = argument {
                let place = self.lending.place(*index as usize);
                (*index, *offset) = (place.0 as u32, place.1 as u64);
            }
        }
    }
}
