//! What was called, from where: one small entry per call, everything repeated is interned.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::Location;

/// A foreign call's number: 1 for the first of the process, nested calls included.
pub type CallNumber = u64;

/// A declaration that is called, as reports show it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Declaration {
    /// The function's name in C.
    pub name: String,
    /// The declaration as C.
    pub prototype: String,
    /// Where the header has it.
    pub location: Location,
    /// The library that exports it.
    pub library: PathBuf,
    /// Whether leaks of what it allocates are told.
    pub leaks: bool,
}

/// A line of the calling program.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CallSite {
    /// The source file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The function it is in, `<module>` outside any.
    pub function: String,
}

/// Everything that calls have in common when they are made from one line, in one test, on one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Index into [`Journal::declaration`].
    pub declaration: u32,
    /// Index into [`Journal::call_site`].
    pub call_site: u32,
    /// Index into [`Journal::test`].
    pub test: Option<u32>,
    /// Index into [`Journal::thread`].
    pub thread: u32,
}

/// What a call left behind that is worth telling.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// The errors that Valgrind counted during it, those of nested calls excluded.
    pub errors: u64,
    /// Its arguments as text.
    pub arguments: Vec<String>,
    /// The memory that its arguments were to C.
    pub blocks: Vec<ArgumentBlock>,
}

/// A block that C knew by an argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArgumentBlock {
    /// The parameter's name.
    pub name: String,
    /// Where the block was.
    pub address: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// All calls so far, 4 bytes each.
#[derive(Debug, Default)]
pub struct Journal {
    declarations: Interned<Declaration>,
    call_sites: Interned<CallSite>,
    tests: Interned<String>,
    threads: Interned<String>,
    /// How many they are, also of one name.
    thread_count: usize,
    origins: Interned<Origin>,
    calls: Vec<u32>,
    /// Windows of leak checks since the beginning of which a library was loaded.
    loading: BTreeSet<(CallNumber, CallNumber)>,
    noted: BTreeMap<CallNumber, Noted>,
    /// How many calls of each origin have been noted.
    notes: HashMap<u32, u32>,
    /// Origins that have been noted so often that further calls are not told one by one.
    frequent: Interned<u32>,
    /// What Python owes to a function that frees it, by process and address; its bits are flipped, or a leak
    /// check would take it for a live pointer.
    owed: HashMap<(u32, u64), Vec<Debt>>,
}

/// A pointer that a call gave to Python, for some function to free.
#[derive(Clone, Debug)]
struct Debt {
    call: CallNumber,
    sentence: Arc<str>,
}

/// After how many calls with errors an origin is [frequent](Journal::frequent).
const FREQUENT: u32 = 10;

impl Journal {
    /// The id of a declaration.
    pub fn add_declaration(&mut self, declaration: Declaration) -> u32 {
        self.declarations.id(declaration)
    }

    /// The id of a call site.
    pub fn add_call_site(&mut self, call_site: CallSite) -> u32 {
        self.call_sites.id(call_site)
    }

    /// The id of a test.
    pub fn add_test(&mut self, test: &str) -> u32 {
        self.tests.id(test.to_owned())
    }

    /// The id of a thread that makes its first call: those of one name have one.
    pub fn add_thread(&mut self, thread: &str) -> u32 {
        self.thread_count += 1;
        self.threads.id(thread.to_owned())
    }

    /// The id of an origin.
    pub fn add_origin(&mut self, origin: Origin) -> u32 {
        self.origins.id(origin)
    }

    /// Enters a call from the origin with this id, and gives it its number.
    pub fn begin(&mut self, origin: u32) -> CallNumber {
        self.calls.push(origin);
        self.calls.len() as CallNumber
    }

    /// Forgets a call that was not made after all, if it is the last; numbers have no gaps.
    pub fn take_back_call(&mut self, call: CallNumber) {
        if self.last() == call {
            self.calls.pop();
        }
    }

    /// Enters calls from the origins with these ids, in this order.
    pub fn begin_all(&mut self, origins: impl Iterator<Item = u32>) {
        self.calls.extend(origins);
    }

    /// Keeps what a call left behind.
    pub fn note(&mut self, call: CallNumber, noted: Noted) {
        let erred = noted.errors > 0;
        self.noted.insert(call, noted);
        if erred && let Some(origin) = self.origin_id(call) {
            let notes = self.notes.entry(origin).or_default();
            *notes += 1;
            if *notes == FREQUENT {
                self.frequent.id(origin);
            }
        }
    }

    /// The index of the call's origin among the frequent ones: those with so many calls to note that
    /// further ones are only summed up.
    pub fn frequent(&self, call: CallNumber) -> Option<u32> {
        if self.frequent.items.is_empty() {
            return None;
        }
        self.frequent.ids.get(&self.origin_id(call)?).copied()
    }

    /// Whether this origin is among the frequent ones.
    pub fn is_frequent(&self, origin: u32) -> bool {
        self.frequent.ids.contains_key(&origin)
    }

    /// The latest call, up to `last`, of the frequent origin with this index.
    pub fn latest_of_frequent(&self, index: u32, last: CallNumber) -> Option<CallNumber> {
        let origin = self.frequent.items.get(index as usize)?;
        let calls = self.calls.get(..usize::try_from(last).ok()?.min(self.calls.len()))?;
        calls.iter().rposition(|other| other == origin).map(|position| position as CallNumber + 1)
    }

    /// Notes that a leak check with this window finds what constructors have lost, too.
    pub fn note_loading(&mut self, window: (CallNumber, CallNumber)) {
        self.loading.insert(window);
    }

    /// Whether that is such a window.
    pub fn is_loading(&self, window: (CallNumber, CallNumber)) -> bool {
        self.loading.contains(&window)
    }

    /// The number of the last call; 0 before the first.
    pub fn last(&self) -> CallNumber {
        self.calls.len() as CallNumber
    }

    /// Where a call came from; `None` for a number that was not given out.
    pub fn origin(&self, call: CallNumber) -> Option<Origin> {
        self.origin_id(call).map(|id| *self.origins.get(id))
    }

    /// The number of the call's origin: equal for calls from one line, in one test, on one thread.
    pub fn origin_id(&self, call: CallNumber) -> Option<u32> {
        let index = usize::try_from(call.checked_sub(1)?).ok()?;
        self.calls.get(index).copied()
    }

    /// What a call left behind.
    pub fn noted(&self, call: CallNumber) -> Option<&Noted> {
        self.noted.get(&call)
    }

    /// A call has given Python a pointer that is to be freed; `sentence` says by what it was given, and by which
    /// function it has not been freed.
    pub fn hand_over(&mut self, (process, address): (u32, u64), call: CallNumber, sentence: &Arc<str>) {
        let debts = self.owed.entry((process, !address)).or_default();
        // What comes again is the same block, or a new one at its address: the first and the last call will do.
        debts.truncate(1);
        debts.push(Debt { call, sentence: sentence.clone() });
    }

    /// The function that frees it has been given this pointer.
    pub fn take_back(&mut self, process: u32, address: u64) {
        self.owed.remove(&(process, !address));
    }

    /// The calls whose pointers have not been given back, and what is said of each.
    pub fn owed(&self) -> HashMap<CallNumber, Vec<Arc<str>>> {
        let mut owed: HashMap<CallNumber, Vec<Arc<str>>> = HashMap::new();
        for Debt { call, sentence } in self.owed.values().flatten() {
            owed.entry(*call).or_default().push(sentence.clone());
        }
        owed.values_mut().for_each(|sentences| sentences.sort());
        owed
    }

    /// A declaration by its id.
    pub fn declaration(&self, id: u32) -> &Declaration {
        self.declarations.get(id)
    }

    /// A call site by its id.
    pub fn call_site(&self, id: u32) -> &CallSite {
        self.call_sites.get(id)
    }

    /// A test by its id.
    pub fn test(&self, id: u32) -> &str {
        self.tests.get(id)
    }

    /// A thread by its id.
    pub fn thread(&self, id: u32) -> &str {
        self.threads.get(id)
    }

    /// How many threads have made calls.
    pub fn threads(&self) -> usize {
        self.thread_count
    }

    /// How often each origin called within the numbers `first..=last`.
    pub fn calls_by_origin(&self, first: CallNumber, last: CallNumber) -> Vec<(Origin, u64)> {
        let mut counts = vec![0; self.origins.items.len()];
        let range = (first.max(1) - 1) as usize..(last.min(self.last()) as usize);
        for origin in self.calls.get(range).unwrap_or_default() {
            counts[*origin as usize] += 1;
        }
        let origins = self.origins.items.iter().copied().zip(counts);
        origins.filter(|(_, count)| *count > 0).collect()
    }
}

#[derive(Debug)]
struct Interned<T> {
    items: Vec<T>,
    ids: HashMap<T, u32>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { items: Vec::new(), ids: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Interned<T> {
    fn id(&mut self, item: T) -> u32 {
        if let Some(id) = self.ids.get(&item) {
            return *id;
        }
        let id = self.items.len() as u32;
        self.items.push(item.clone());
        self.ids.insert(item, id);
        id
    }

    fn get(&self, id: u32) -> &T {
        &self.items[id as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal_with_two_sites() -> (Journal, Origin, Origin) {
        let mut journal = Journal::default();
        let declaration = journal.add_declaration(Declaration {
            name: "add".into(),
            prototype: "int add(int a, int b)".into(),
            location: Location { file: "add.h".into(), line: 3, column: 1 },
            library: "add.so".into(),
            leaks: true,
        });
        let thread = journal.add_thread("MainThread");
        let mut at = |line| {
            let site = CallSite { file: "test.py".into(), line, function: "<module>".into() };
            Origin { declaration, call_site: journal.add_call_site(site), test: None, thread }
        };
        let (first, second) = (at(1), at(2));
        (journal, first, second)
    }

    #[test]
    fn calls_are_numbered_from_one_and_remember_their_origin() {
        let (mut journal, first, second) = journal_with_two_sites();
        let ids = [first, second, first].map(|origin| journal.add_origin(origin));
        assert_eq!(journal.last(), 0);
        assert_eq!(ids.map(|id| journal.begin(id)), [1, 2, 3]);
        assert_eq!(journal.last(), 3);
        assert_eq!(journal.origin(2), Some(second));
        assert_eq!(journal.origin(0), None);
        assert_eq!(journal.origin(4), None);
    }

    #[test]
    fn what_is_owed_is_known_by_the_first_and_the_last_call_that_gave_it() {
        let mut journal = Journal::default();
        let sentence = "returned by make(), never passed to drop()".into();
        for call in [1, 2, 3] {
            journal.hand_over((0, 16), call, &sentence);
        }
        journal.hand_over((0, 32), 4, &sentence);
        journal.hand_over((7, 16), 5, &sentence);
        journal.take_back(0, 32);
        let mut calls: Vec<_> = journal.owed().into_keys().collect();
        calls.sort_unstable();
        assert_eq!(calls, [1, 3, 5]);
        journal.take_back(0, 16);
        assert_eq!(journal.owed().into_keys().collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn totals_count_only_the_calls_in_the_window() {
        let (mut journal, first, second) = journal_with_two_sites();
        for origin in [first, second, first, first] {
            let id = journal.add_origin(origin);
            journal.begin(id);
        }
        assert_eq!(journal.calls_by_origin(1, 4), [(first, 3), (second, 1)]);
        assert_eq!(journal.calls_by_origin(3, 4), [(first, 2)]);
        assert_eq!(journal.calls_by_origin(5, 4), []);
    }
}
