//! What a call hands over between C and Python that a `$ cleanup` is about, so that a leak can say who has not
//! freed it.

use std::sync::Arc;

use pyo3::prelude::*;

use super::home::Home;
use super::pointer::Pointer;
use super::reference::Ref;
use crate::journal::{CallNumber, Journal};
use crate::model::{Cleanup, Function};

/// What a function hands over.
pub struct Ownership {
    /// What is said of its result when nobody frees it.
    result: Option<Arc<str>>,
    /// The parameters through which it stores such pointers, and what is said of these.
    outs: Vec<(usize, Arc<str>)>,
    /// Whether it frees what its argument points to.
    frees: bool,
}

impl Ownership {
    /// What the directives say of a function.
    pub fn of(function: &Function, cleanups: &[Cleanup]) -> Option<Box<Self>> {
        let name = &function.name;
        let free = cleanups.iter().find(|cleanup| cleanup.results.contains(name));
        let result = free.map(|Cleanup { function: free, .. }| {
            format!("returned by {name}(), never passed to {free}()").into()
        });
        let outs = cleanups.iter().flat_map(|Cleanup { function: free, outs, .. }| {
            outs.iter().filter(|(function, _)| function == name).map(move |(_, index)| {
                let parameter = function.parameters.get(*index).and_then(|one| one.name.as_deref());
                let parameter = parameter.unwrap_or_default();
                (*index, format!("stored in '{parameter}' by {name}(), never passed to {free}()").into())
            })
        });
        let outs: Vec<_> = outs.collect();
        let frees = cleanups.iter().any(|cleanup| cleanup.function == *name);
        (result.is_some() || !outs.is_empty() || frees).then(|| Box::new(Self { result, outs, frees }))
    }

    /// The address that it is given to free.
    pub fn freed(&self, first: Option<&Bound<'_, PyAny>>) -> Option<u64> {
        let pointer = first.filter(|_| self.frees)?.cast::<Pointer>().ok()?;
        pointer.get().address().map(|address| address as u64)
    }

    /// Notes what the call has returned, and what it has stored where these arguments point to.
    pub fn note(
        &self,
        (call, word, home): (CallNumber, u64, &Home),
        argument: impl Fn(usize) -> Option<u64>,
        journal: &mut Journal,
    ) {
        let returned = self.result.iter().map(|sentence| (word, sentence));
        let stored = self.outs.iter().filter_map(|(index, sentence)| Some((argument(*index)?, sentence)));
        for (address, sentence) in returned.chain(stored).filter(|(address, _)| *address != 0) {
            journal.hand_over((home.process(), address), call, sentence);
        }
    }

    /// Whether it stores pointers.
    pub fn stores(&self) -> bool {
        !self.outs.is_empty()
    }
}

/// The pointer that lies in what `lib.ref` made.
pub fn stored(argument: &Bound<'_, PyAny>) -> Option<u64> {
    argument.cast::<Ref>().ok()?.get().place().pointer_here()
}
