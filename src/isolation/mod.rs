//! The pipeline where C code runs in workers: calls are entered in one journal for all of them, each worker's
//! evidence is read as its calls end, and a report joins them.

mod pace;
mod stream;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::attribution::{self, Category, Evidence, Finding, Observed, Seen, Tables};
use crate::binding::{Library, Shim};
use crate::bracket::{Slot, Slots};
use crate::journal::{ArgumentBlock, CallNumber, Declaration, Journal, Noted, Origin};
use crate::report::{self, Report, Scope, Tool};
use crate::session::LeakCheck;
use crate::worker::{Client, Death, Returned};

use stream::{Open, Stream, ended};

/// What pythy knows of this process's calls of functions in workers.
#[derive(Debug, Default)]
pub struct Isolation {
    journal: Journal,
    streams: Vec<Stream>,
    libraries: Vec<String>,
    notes: Vec<String>,
    /// Whether the workers of some interface run under Valgrind.
    checked: bool,
    /// The last call that was made by the process that this one was forked from.
    before: CallNumber,
}

/// A place from which a report may start.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Of each worker, how much had been seen.
    observed: Vec<usize>,
    first: CallNumber,
}

impl Mark {
    /// The start of the process.
    pub const START: Self = Self { observed: Vec::new(), first: 1 };
}

/// A call that is being made.
#[must_use = "the call must be left again"]
#[derive(Debug)]
pub struct Entered {
    /// Its number.
    pub call: CallNumber,
    /// The slots that it goes through.
    pub slot: Slot,
    /// Whether it is of an origin that errs so often that its calls are only summed up.
    pub frequent: bool,
    /// Whether leaks are to be looked for right after it.
    pub leak_check: bool,
    stream: usize,
}

impl Entered {
    /// Whether a call that gave this is to be described.
    pub fn is_described(&self, returned: &Returned) -> bool {
        (returned.errors > 0 || returned.leaks > 0) && !self.frequent
    }
}

static ISOLATION: OnceLock<Mutex<Isolation>> = OnceLock::new();

/// Whether each call is told by itself, however often its origin errs.
static APART: AtomicBool = AtomicBool::new(false);

/// Has each call told by itself from now on, however often its origin errs, or no longer.
pub fn tell_apart(enabled: bool) {
    APART.store(enabled, Ordering::Relaxed);
}

/// What is known of workers, from the first interface that has one.
pub fn begin() -> MutexGuard<'static, Isolation> {
    ISOLATION.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same; `None` where there was no such interface.
pub fn current() -> Option<MutexGuard<'static, Isolation>> {
    ISOLATION.get().map(|isolation| isolation.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The same unless somebody has it now.
pub fn current_if_free() -> Option<MutexGuard<'static, Isolation>> {
    ISOLATION.get()?.try_lock().ok()
}

impl Isolation {
    /// The journal, to add declarations, call sites, tests and threads.
    pub fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// Whether the workers of some interface run under Valgrind.
    pub fn has_checker(&self) -> bool {
        self.checked
    }

    /// Notes whether those of one do.
    pub fn note_checker(&mut self, checked: bool) {
        self.checked |= checked;
    }

    /// In the child after a fork: what has been seen so far is the parent's.
    pub fn start_over(&mut self) {
        for stream in &mut self.streams {
            stream.client = None;
            stream.observed.clear();
        }
        self.notes.clear();
        self.before = self.journal.last();
    }

    /// Makes a library, with what was compiled for it, one whose stacks are looked at.
    pub fn add_library(&mut self, library: &Library) {
        for path in [library.path()].into_iter().chain(library.shim().and_then(Shim::path)) {
            self.add_file(path);
        }
    }

    fn add_file(&mut self, path: &Path) {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = path.display().to_string();
        if !self.libraries.contains(&name) {
            self.libraries.push(name);
        }
    }

    /// Takes what a worker has done wrong while it loaded a library: that is not for the next call.
    pub fn note_load(&mut self, client: &Client) -> crate::Result<()> {
        let index = self.stream(client)?;
        self.streams[index].take_load(&mut self.notes);
        Ok(())
    }

    /// What is told of a worker that ended while it loaded this library.
    pub fn fail_load(&mut self, client: &Client, library: &Path, tool: Tool) -> crate::Result<Report> {
        self.add_file(library);
        let before = Mark { observed: self.seen(), first: self.journal.last() + 1 };
        let index = self.stream(client)?;
        let stream = &mut self.streams[index];
        self.checked |= stream.watched;
        let told = stream.read_last(Seen::Outside, None, &mut self.notes);
        if !told && let Some((kind, what)) = client.death().as_ref().and_then(ended) {
            stream.observed.push(Observed { evidence: Evidence::Ended { kind, what }, seen: Seen::Outside });
        }
        Ok(self.report_without_check(&before, tool))
    }

    /// The id of a declaration in the journal.
    pub fn add_declaration(&mut self, declaration: Declaration) -> u32 {
        self.journal.add_declaration(declaration)
    }

    /// Begins a call in this worker. What Python has let go of since the last one is looked at before it,
    /// if a leak check follows it.
    pub fn enter(&mut self, origin: Origin, client: &Client, leaks: LeakCheck) -> crate::Result<Entered> {
        let index = self.stream(client)?;
        self.streams[index].catch_up(&mut self.notes);
        let each = self.streams[index].watched && matches!(leaks, LeakCheck::Call | LeakCheck::Paced);
        if leaks != LeakCheck::Off && !self.streams[index].leaks_wanted {
            self.streams[index].leaks_wanted = true;
            if self.streams[index].watched {
                client.want_leaks();
            }
        }
        let stream = &mut self.streams[index];
        let due = stream.pace.is_due() || leaks == LeakCheck::Call;
        // Not inside another call: that may just then have a pointer where no leak check sees it.
        let leak_check = each && due && stream.open.is_empty();
        if leak_check && stream.unchecked.is_none() && client.take_released() {
            self.check(index);
        }
        let origin = self.journal.add_origin(origin);
        let call = self.journal.begin(origin);
        let frequent = self.journal.frequent(call).filter(|_| !APART.load(Ordering::Relaxed));
        let shared = frequent.map(u64::from).filter(|index| *index < Slots::SHARED);
        let stream = &mut self.streams[index];
        stream.open.push(Open { call, read: 0, risen: 0 });
        stream.unchecked.get_or_insert(call);
        stream.latest = call;
        let slot = shared.map_or(Slot::Call(call), Slot::Shared);
        Ok(Entered { call, slot, frequent: shared.is_some(), leak_check, stream: index })
    }

    /// Ends a call; tells whether there is news of it: errors of its own, or lost blocks. One that
    /// [there is something to tell](Entered::is_described) of is to be described then.
    pub fn leave(&mut self, entered: &Entered, returned: &Returned) -> bool {
        let stream = &mut self.streams[entered.stream];
        let seen = Seen::During(entered.call);
        // Calls nested in it may have lost what is found.
        let checked = entered.leak_check.then(|| stream.end_window(stream.latest));
        let (early, risen) = stream.end_call(entered.call).map_or((0, 0), |open| (open.read, open.risen));
        let risen = risen + stream.risen(returned.count);
        let read = early + stream.read(returned.count, seen, checked, &mut self.notes);
        // What a call of another thread has read is told already.
        let repeats = returned.errors.min(risen).saturating_sub(read);
        if repeats > 0 {
            self.count(entered, repeats);
        }
        returned.errors > 0 || returned.leaks > 0
    }

    /// A call calls back, with Valgrind's count at this.
    pub fn call_back(&mut self, entered: &Entered, count: u64) {
        self.streams[entered.stream].read_caller(entered.call, count, &mut self.notes);
    }

    /// Notes what a call was given that has erred, or lost something.
    pub fn describe(&mut self, entered: &Entered, errors: u64, given: (Vec<String>, Vec<ArgumentBlock>)) {
        let (arguments, blocks) = given;
        self.journal.note(entered.call, Noted { errors, arguments, blocks });
    }

    /// Notes how long the leak check after a call took, in microseconds.
    pub fn note_pace(&mut self, entered: &Entered, micros: u32) {
        if entered.leak_check {
            self.streams[entered.stream].pace.note(micros);
        }
    }

    /// Ends a call that the worker was never asked for.
    pub fn withdraw(&mut self, entered: &Entered) {
        self.streams[entered.stream].end_call(entered.call);
        self.journal.take_back_call(entered.call);
        let stream = &mut self.streams[entered.stream];
        stream.latest = stream.latest.min(self.journal.last());
    }

    /// What is told of the end of a worker between two calls.
    pub fn report_on_idle_end(&mut self, tool: Tool) -> Report {
        let before = Mark { observed: self.seen(), first: self.journal.last() + 1 };
        self.report_without_check(&before, tool)
    }

    /// Of each worker, how much has been seen.
    fn seen(&self) -> Vec<usize> {
        self.streams.iter().map(|stream| stream.observed.len()).collect()
    }

    /// Ends a call that did not return: its worker ended, or was ended. Whether it is this call that tells of that.
    pub fn fail(
        &mut self,
        entered: &Entered,
        death: Option<&Death>,
        given: (Vec<String>, Vec<ArgumentBlock>),
    ) -> bool {
        let (arguments, blocks) = given;
        let stream = &mut self.streams[entered.stream];
        stream.end_call(entered.call);
        self.journal.note(entered.call, Noted { errors: 0, arguments, blocks });
        let Some(death) = death else { return false };
        if stream.client.is_none() {
            // A call around this one, or inside it, has told of it.
            return false;
        }
        let told = stream.read_last(Seen::During(entered.call), None, &mut self.notes);
        if !told && let Some((kind, what)) = ended(death) {
            let evidence = Evidence::Ended { kind, what };
            stream.observed.push(Observed { evidence, seen: Seen::During(entered.call) });
        }
        true
    }

    /// Keeps repeats of errors, in one sum for each frequent origin.
    fn count(&mut self, entered: &Entered, count: u64) {
        let seen = if entered.frequent { Seen::Among(entered.call) } else { Seen::During(entered.call) };
        let origin = self.journal.origin_id(entered.call);
        let stream = &mut self.streams[entered.stream];
        let summed = entered.frequent && stream.observed.len() > stream.marked;
        if let (true, Some(Observed { evidence: Evidence::Counted(sum), seen: Seen::Among(last) })) =
            (summed, stream.observed.last_mut())
            && self.journal.origin_id(*last) == origin
        {
            *sum = sum.saturating_add(count);
            *last = entered.call;
            return;
        }
        stream.observed.push(Observed { evidence: Evidence::Counted(count), seen });
    }

    /// What is known of the worker; from now on, if that is nothing yet.
    fn stream(&mut self, client: &Client) -> crate::Result<usize> {
        let known = |stream: &Stream| stream.client.as_ref().is_some_and(|known| known.is(client));
        if let Some(index) = self.streams.iter().rposition(known) {
            return Ok(index);
        }
        self.streams.push(Stream::of(client)?);
        Ok(self.streams.len() - 1)
    }

    /// Looks for blocks that the worker has lost since the last time. Gives the worker if it is in a call of
    /// another thread's, which must not be waited for here.
    fn check(&mut self, index: usize) -> Option<Client> {
        let stream = &mut self.streams[index];
        let client = stream.client.clone().filter(Client::is_alive)?;
        if !stream.leaks_wanted || !stream.watched {
            return None;
        }
        match client.leak_check_at_once() {
            Ok(Some(count)) => {
                let window = stream.end_window(stream.latest);
                stream.read(count, Seen::Outside, Some(window), &mut self.notes);
                None
            }
            Ok(None) => Some(client),
            Err(error) => {
                self.notes.push(format!("leaks could not be looked for at last: {error}"));
                None
            }
        }
    }

    /// Takes what was reported between two calls, and what workers have left that ended then.
    fn gather(&mut self) {
        for stream in &mut self.streams {
            let has_ended = stream.client.as_ref().is_some_and(Client::has_ended);
            stream.catch_up(&mut self.notes);
            if has_ended && stream.open.is_empty() {
                let window = stream.end_window(stream.latest);
                let death = stream.client.as_ref().and_then(Client::idle_death);
                let told = stream.read_last(Seen::Outside, Some(window), &mut self.notes);
                let untold = death.filter(|death| !told && death.is_by_c());
                if let Some((kind, what)) = untold.as_ref().and_then(ended) {
                    let evidence = Evidence::Ended { kind, what };
                    stream.observed.push(Observed { evidence, seen: Seen::LeakCheck(window.0, window.1) });
                }
            }
        }
    }

    /// Looks for blocks that were lost since the last time, in every worker. Gives those that are in a call of
    /// another thread's: they are to be waited for, without the lock, and asked again.
    #[must_use]
    pub fn check_leaks(&mut self) -> Vec<Client> {
        self.gather();
        (0..self.streams.len()).filter_map(|index| self.check(index)).collect()
    }

    /// The same, in those where a block can have been lost since: by a call, or because Python has let go of
    /// one.
    pub fn check_leaks_if_due(&mut self) {
        self.gather();
        for index in 0..self.streams.len() {
            let stream = &self.streams[index];
            let released = stream.client.as_ref().is_some_and(Client::take_released);
            if released || stream.unchecked.is_some() {
                self.check(index);
            }
        }
    }

    /// Looks for leaks in a worker that is about to end, and lets go of it.
    pub fn finish(&mut self, client: &Client, close: impl FnOnce()) {
        let known = |stream: &Stream| stream.client.as_ref().is_some_and(|known| known.is(client));
        let Some(index) = self.streams.iter().rposition(known) else { return close() };
        if self.check(index).is_some() {
            let why = "leaks could not be looked for at last: another thread's call was under way";
            self.notes.push(why.to_owned());
        }
        close();
        self.streams[index].read_last(Seen::Outside, None, &mut self.notes);
    }

    /// A place from which a later report may start, without looking for leaks.
    pub fn here(&mut self) -> Mark {
        self.gather();
        let mark = |stream: &mut Stream| {
            stream.marked = stream.observed.len();
            stream.marked
        };
        Mark { observed: self.streams.iter_mut().map(mark).collect(), first: self.journal.last() + 1 }
    }

    /// The workers that run, and have loaded nothing before the mark.
    pub fn begun_since(&self, mark: &Mark) -> Vec<Client> {
        let new = self.streams.iter().skip(mark.observed.len());
        new.filter_map(|stream| stream.client.clone()).filter(Client::is_alive).collect()
    }

    /// Whether anything has been seen since the mark.
    pub fn has_news(&mut self, since: &Mark) -> bool {
        self.gather();
        let before = |index| since.observed.get(index).copied().unwrap_or(0);
        self.streams.iter().enumerate().any(|(index, stream)| stream.observed.len() > before(index))
    }

    /// Everything that has been seen since the mark.
    pub fn report_without_check(&mut self, since: &Mark, tool: Tool) -> Report {
        self.gather();
        let scope = Scope { first: since.first.max(self.before + 1), last: self.journal.last() };
        report::build(tool, self.notes.clone(), Some((&self.journal, scope)), &self.findings(since))
    }

    /// What is known of one call that has just ended.
    pub fn report_on(&self, entered: &Entered, tool: Tool) -> Report {
        let mut findings = self.findings(&Mark::START);
        let window = self.streams[entered.stream].window.filter(|_| entered.leak_check);
        let site = self.journal.origin_id(entered.call);
        findings.retain(|finding| {
            let erred = finding.occurrences.iter().any(|(call, _)| *call == entered.call);
            let summed = || finding.call.and_then(|call| self.journal.origin_id(call)) == site;
            match finding.category {
                Category::Error => erred || entered.frequent && summed(),
                Category::Crash => finding.call == Some(entered.call),
                Category::Leak => window.is_some() && finding.lost_between == window,
            }
        });
        let scope = Scope { first: entered.call, last: self.journal.last() };
        report::build(tool, self.notes.clone(), Some((&self.journal, scope)), &findings)
    }

    fn findings(&self, since: &Mark) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (index, stream) in self.streams.iter().enumerate() {
            let tables = Tables { libraries: self.libraries.clone(), ..stream.tables.clone() };
            let since = since.observed.get(index).copied().unwrap_or(0).min(stream.observed.len());
            findings.extend(attribution::attribute(&self.journal, &stream.observed, since, &tables));
        }
        findings.retain(|finding| {
            let allocating = finding.allocated_by.and_then(|call| self.journal.origin(call));
            allocating.is_none_or(|origin| self.journal.declaration(origin.declaration).leaks)
        });
        findings.sort_by_key(|finding| finding.call.or(finding.allocated_by).unwrap_or(CallNumber::MAX));
        findings
    }
}
