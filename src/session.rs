//! The pipeline as it runs in one process: calls are entered in the journal and bracketed, the
//! evidence is read as it appears, and a report joins the two.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::attribution::{self, Category, Evidence, Finding, Observed, Seen, Tables};
use crate::binding::{Library, Shim};
use crate::bracket::{self, Slot, Slots};
use crate::evidence::{self, Event, Format, Leaked, LogFile, LogLocation, Record, Tail};
use crate::journal::{ArgumentBlock, CallNumber, Declaration, Journal, Noted, Origin};
use crate::lane::{self, Place};
use crate::report::{self, Report, Scope, Tool};
use crate::thread::local;
use crate::trail::{self, Check, Found, Trail};
use crate::valgrind::{self, Presence};
use crate::{Error, Result, waiting};

/// When blocks that were lost are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeakCheck {
    /// After each call.
    Call,
    /// After each call in a worker, as long as that takes little time; then after several.
    Paced,
    /// When a test ends, if something tells us so; else as [`LeakCheck::Session`].
    Test,
    /// When a report is made, and at the end.
    Session,
    /// Never.
    Off,
}

/// What pythy knows of this process's foreign calls under Valgrind.
#[derive(Debug)]
pub struct Session {
    journal: Journal,
    trail: Option<Trail>,
    tables: Tables,
    log: Option<Tail>,
    /// How many records have been read from it.
    records: usize,
    notes: Vec<String>,
    observed: Vec<Observed>,
    /// The last call before the last leak check.
    checked: CallNumber,
    /// Whether some interface wants leaks to be looked for.
    leaks_wanted: bool,
    /// Where in `observed` the repeats of each frequent origin are summed up.
    sums: HashMap<u32, usize>,
    /// The last call before this process was forked off.
    inherited: CallNumber,
    /// What the last leak check has counted as lost, in all; kept where the log cannot be read.
    lost: Leaked,
    pinpoint: Option<Pinpoint>,
}

/// A place in the session's evidence from which a report may start.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    observed: usize,
    first: CallNumber,
}

/// Calls that are followed by a leak check each.
#[derive(Clone, Copy, Debug)]
pub struct Pinpoint {
    /// The first of them.
    pub first: CallNumber,
    /// How many.
    pub calls: u32,
    /// After how many losses it is enough.
    pub losses: usize,
}

impl Entered {
    /// A call that [`lane::enter`] has begun.
    #[inline(always)]
    pub fn shortly(call: CallNumber, count: u64, leaks: LeakCheck) -> Self {
        Self {
            call,
            slot: Slot::Call(call),
            frequent: false,
            count,
            outer_errors: 0,
            outermost: true,
            alone: true,
            leaks,
            overlaps: lane::overlaps(),
        }
    }
}

impl Mark {
    /// The start of the process.
    pub const START: Mark = Mark { observed: 0, first: 1 };
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
    /// Valgrind's error count before it.
    pub count: u64,
    outer_errors: u64,
    outermost: bool,
    alone: bool,
    leaks: LeakCheck,
    overlaps: u64,
}

impl Entered {
    /// Whether there may be something to tell of the call, after which Valgrind's count was this: it has erred, or a
    /// leak check follows.
    pub fn is_described(&self, count: u64) -> bool {
        (count > self.count || self.leaks == LeakCheck::Call) && !self.frequent
    }
}

/// What a call was given, for what is told of it.
#[derive(Debug, Default)]
pub struct Given {
    /// Its arguments as text.
    pub arguments: Vec<String>,
    /// The memory that its arguments were to C.
    pub blocks: Vec<ArgumentBlock>,
}

static SESSION: OnceLock<Option<Mutex<Session>>> = OnceLock::new();

/// The session of this process; `None` natively, where calls are not recorded.
pub fn current() -> Option<MutexGuard<'static, Session>> {
    let session = SESSION
        .get_or_init(|| (valgrind::running() == Presence::Valgrind).then(|| Mutex::new(Session::start())));
    let mut session = session.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
    let forked = valgrind::take_forked();
    if forked {
        waiting::unshare();
    }
    session.take_waiting();
    if forked {
        session.start_over();
    }
    Some(session)
}

/// Before the process forks: calls that wait would be told of by both, and from now on the same log may have records
/// of both.
extern "C" fn before_fork() {
    lane::open(false);
    let Some(session) = SESSION.get().and_then(Option::as_ref) else { return };
    if let Ok(mut session) = session.try_lock() {
        session.take_waiting();
    }
}

/// The session, where an interface has begun one: beginning one takes a leak check.
pub fn started() -> Option<MutexGuard<'static, Session>> {
    SESSION.get().and_then(|_| current())
}

static LEAK_KINDS: OnceLock<String> = OnceLock::new();

/// Says which kinds of leaks are told, as `--show-leak-kinds` has it, in place of Valgrind's own choice. Only
/// the first choice counts, and only before the session begins; tells whether this one does.
pub fn choose_leak_kinds(kinds: String) -> bool {
    SESSION.get().is_none() && LEAK_KINDS.set(kinds).is_ok()
}

/// The kinds of leaks that were chosen to be told.
pub fn leak_kinds() -> Option<&'static str> {
    LEAK_KINDS.get().map(String::as_str)
}

/// Valgrind's count and the errors of nested calls, as they were when a callback went into Python.
#[derive(Clone, Copy, Debug)]
pub struct Outside {
    count: u64,
    nested: u64,
}

/// A callback goes into Python: what goes wrong in there is not the calling function's doing.
pub fn enter_python() -> Option<Outside> {
    (valgrind::running() == Presence::Valgrind)
        .then(|| Outside { count: bracket::count_errors(), nested: local(|local| local.nested_errors.get()) })
}

/// The callback is back in C.
pub fn leave_python(outside: Option<Outside>) {
    if let Some(Outside { count, nested }) = outside {
        let nested = nested + bracket::count_errors() - count;
        local(|local| local.nested_errors.set(nested));
    }
}

/// What a report says where nothing could be recorded.
pub fn report_without_session(tool: Tool) -> Report {
    let notes = match valgrind::running() {
        Presence::ValgrindWithoutRequests => vec![WITHOUT_REQUESTS.to_owned()],
        Presence::Native if valgrind::left_behind() => vec![left_behind()],
        Presence::Native | Presence::Valgrind => Vec::new(),
    };
    report::build(tool, notes, None, &[])
}

/// What a build without Valgrind's headers has to say under Valgrind.
pub const WITHOUT_REQUESTS: &str = "this pythy was built without Valgrind's headers and cannot ask Valgrind \
    anything: no call is checked; install Valgrind's headers (Debian: package valgrind) and reinstall pythy";

/// What a Python has to say that Valgrind did not follow into.
fn left_behind() -> String {
    let interpreter = std::fs::read_link("/proc/self/exe").unwrap_or_else(|_| "python".into());
    format!(
        "Valgrind ran a script that starts Python (such as pyenv's), and did not follow into Python itself: \
         nothing was checked; run 'valgrind {}'",
        interpreter.display()
    )
}

/// Why errors may be missing that a text log would have had.
const LIMIT: &str = "Valgrind reports and counts no errors beyond 1000 different ones: what came after \
    that is missing here; run it with --error-limit=no";

/// Where the records of two processes cannot be told apart.
const OF_A_FORK: &str = "some errors may be those of a process that was forked off, as both wrote into one XML at \
    a time; run Valgrind with --log-file=FILE instead of XML, or with --child-silent-after-fork=yes";

/// The log, if it can be read; else a note that says what is not known for want of it.
fn open_log(notes: &mut Vec<String>) -> Option<Tail> {
    let why = match evidence::locate().records {
        LogLocation::File(file) => match Tail::open(&file) {
            Ok(log) => return Some(log),
            Err(error) => error.to_string(),
        },
        LogLocation::Unreadable { why } => why,
    };
    notes.push(format!(
        "{why}; without it errors and lost blocks are only counted: what they are, and the C stacks, is in \
         Valgrind's own output alone, where lines of pythy's tell the calls; blocks that are possibly lost are left out"
    ));
    None
}

impl Session {
    fn start() -> Self {
        let mut notes = Vec::new();
        let log = open_log(&mut notes);
        valgrind::note_forks(before_fork);
        let slots = Slots::of_this_process();
        if slots.is_none() {
            notes.push(
                "calls have no slots on this processor: findings are known by their window only".to_owned(),
            );
        }
        let own_object = bracket::own_object();
        if let Err(error) = load_suppressions(own_object.as_deref()) {
            notes.push(format!("pythy's suppressions cannot be loaded ({error}): leak checks take longer"));
        }
        keep_freed_blocks();
        set_apart_earlier_losses();
        let tables = Tables { slots, own_object, libraries: Vec::new(), num_callers: num_callers() };
        let trail = std::env::var_os(TRAIL).and_then(|directory| {
            let started = Trail::start(Path::new(&directory), &tables);
            started.map_err(|error| notes.push(no_trail(&error))).ok()
        });
        lane::set_counted(bracket::count_errors());
        Self {
            journal: Journal::default(),
            trail,
            tables,
            log,
            records: 0,
            notes,
            observed: Vec::new(),
            checked: 0,
            leaks_wanted: false,
            sums: HashMap::new(),
            inherited: 0,
            lost: count_lost(),
            pinpoint: None,
        }
    }

    /// In a process that was forked off: what has been seen so far is the parent's, and the log too.
    fn start_over(&mut self) {
        self.notes.clear();
        self.log = open_log(&mut self.notes);
        // Its files are the parent's.
        self.trail = None;
        self.observed.clear();
        self.sums.clear();
        self.inherited = self.journal.last();
        lane::set_outermost(local(|local| local.depth.get()).min(1));
        if let Some(log) = &mut self.log
            && let Err(error) = log.poll()
        {
            self.notes.push(error.to_string());
            self.log = None;
        }
        lane::set_counted(bracket::count_errors());
    }

    /// Makes known which origin calls from this place have, and gives its id.
    pub fn set_origin_at(&mut self, place: &Place, origin: Origin) -> u32 {
        let id = self.journal.add_origin(origin);
        lane::set_origin_at(place, origin.thread, id, self.journal.is_frequent(id));
        self.open_lane();
        id
    }

    /// Lets calls go the short way where nothing has to be done for each of them.
    fn open_lane(&self) {
        let plain = self.pinpoint.is_none() && self.tables.slots.is_some() && !valgrind::has_forked();
        lane::open(plain && self.journal.threads() == 1);
    }

    /// Enters the calls that have gone the short way.
    fn take_waiting(&mut self) {
        let waiting = waiting::current();
        if waiting.count() == 0 {
            return;
        }
        let first = self.journal.last() + 1;
        self.journal.begin_all(waiting.origins());
        self.follow(|trail, _| trail.add_calls(first, waiting.origins()));
        waiting.clear(self.journal.last());
    }

    /// The journal, to add declarations, call sites, tests and threads.
    pub fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// Makes a library, with what was compiled for it, one whose stacks are looked at.
    pub fn add_library(&mut self, library: &Library) {
        for path in [library.path()].into_iter().chain(library.shim().and_then(Shim::path)) {
            let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            let name = path.display().to_string();
            if !self.tables.libraries.contains(&name) {
                self.follow(|trail, _| trail.add_library(&name));
                self.tables.libraries.push(name);
            }
        }
    }

    /// The id of a declaration in the journal.
    pub fn add_declaration(&mut self, declaration: Declaration) -> u32 {
        self.leaks_wanted |= declaration.leaks;
        self.journal.add_declaration(declaration)
    }

    /// Begins a call. Errors since the last call are somebody else's and are set apart, and so is, for a
    /// call that a leak check follows, what Python has let go of.
    #[inline]
    pub fn enter(&mut self, origin: u32, leaks: LeakCheck) -> Entered {
        let leaks = self.wanted(leaks);
        let (outermost, outer_errors) = local(|local| {
            let depth = local.depth.get();
            local.depth.set(depth + 1);
            (depth == 0, local.nested_errors.replace(0))
        });
        if leaks == LeakCheck::Call && outermost && lane::outermost() == 0 && bracket::take_released() {
            self.check_leaks();
        }
        let count = bracket::count_errors();
        if count != lane::counted() || valgrind::has_forked() {
            self.read(Seen::Outside);
        }
        if outermost {
            lane::begin_outermost();
        }
        let call = self.journal.begin(origin);
        waiting::current().clear(call);
        if self.trail.is_some() {
            self.follow(|trail, journal| trail.add_call(journal, call));
        }
        // Repeats of calls that overlap cannot be counted, so each of them keeps a stack of its own.
        let shared = self.journal.frequent(call).filter(|_| self.journal.threads() < 2).map(u64::from);
        let shared = shared.filter(|index| *index < Slots::SHARED);
        Entered {
            call,
            slot: shared.map_or(Slot::Call(call), Slot::Shared),
            frequent: shared.is_some(),
            count,
            outer_errors,
            outermost,
            alone: lane::outermost() == 1,
            leaks,
            overlaps: lane::overlaps(),
        }
    }

    /// Ends a call after which Valgrind's count was `count`; tells whether there is news of it: errors of
    /// its own, or a leak check that followed it and has seen something. What it was given is told of a call
    /// whose count has risen, or that has lost something.
    #[inline]
    pub fn leave(&mut self, entered: &Entered, count: u64, mut given: Option<Given>) -> bool {
        let errors = count - entered.count;
        let own = local(|local| {
            let own = errors.saturating_sub(local.nested_errors.get());
            local.nested_errors.set(if entered.outermost { 0 } else { entered.outer_errors + errors });
            local.depth.set(local.depth.get() - 1);
            own
        });
        if entered.outermost {
            lane::end_outermost();
        }
        let news = own > 0 || count != lane::counted();
        if !news && entered.leaks != LeakCheck::Call {
            return false;
        }
        let alone = entered.alone && entered.overlaps == lane::overlaps();
        if news {
            self.take_errors(entered, own, alone, &mut given);
        }
        if !(entered.leaks == LeakCheck::Call && entered.outermost && alone) {
            return own > 0;
        }
        let before = self.observed.len();
        self.check_leaks();
        self.count_losses(self.observed.len() - before);
        let lost = self.observed.len() > before;
        if lost && let Some(given) = given {
            self.note(entered, 0, given);
        }
        own > 0 || lost
    }

    /// Writes the trail, if there is one.
    fn follow(&mut self, write: impl FnOnce(&mut Trail, &Journal) -> io::Result<()>) {
        let Some(trail) = &mut self.trail else { return };
        if let Err(error) = write(trail, &self.journal) {
            self.notes.push(no_trail(&error));
            self.trail = None;
        }
    }

    #[cold]
    fn take_errors(&mut self, entered: &Entered, own: u64, alone: bool, given: &mut Option<Given>) {
        let seen = if alone { Seen::During(entered.call) } else { Seen::Outside };
        let read = self.read(seen);
        if own > 0 && alone {
            if self.log.is_none() && !entered.frequent {
                bracket::print_line(&self.erred(entered.call, own));
            }
            if own > read {
                self.count(entered, own - read, seen);
            }
            if !entered.frequent {
                self.note(entered, own, given.take().unwrap_or_default());
                if let Some(origin) = self.journal.origin_id(entered.call)
                    && self.journal.is_frequent(origin)
                {
                    lane::set_frequent(origin);
                }
            }
        }
    }

    /// Keeps what a call was given that has erred, or lost something.
    fn note(&mut self, entered: &Entered, errors: u64, Given { arguments, blocks }: Given) {
        let noted = Noted { errors, arguments, blocks };
        self.follow(|trail, _| trail.add_noted(entered.call, &noted));
        self.journal.note(entered.call, noted);
    }

    /// A line for Valgrind's output, beside what nobody else can read.
    fn erred(&self, call: CallNumber, errors: u64) -> String {
        let place = self.journal.origin(call).map(|origin| {
            let site = self.journal.call_site(origin.call_site);
            format!(
                ", {}() at {}:{}",
                self.journal.declaration(origin.declaration).name,
                site.file,
                site.line
            )
        });
        let plural = if errors == 1 { "" } else { "s" };
        format!("pythy: {errors} error{plural} in call {call}{}", place.unwrap_or_default())
    }

    /// Keeps repeats of errors, in one sum for each frequent origin.
    fn count(&mut self, entered: &Entered, count: u64, seen: Seen) {
        let Some(origin) = self.journal.origin_id(entered.call).filter(|_| entered.frequent) else {
            self.observed.push(Observed { evidence: Evidence::Counted(count), seen });
            return;
        };
        let seen = Seen::Among(entered.call);
        let sum = self.sums.get(&origin).and_then(|index| self.observed.get_mut(*index));
        match sum {
            Some(Observed { evidence: Evidence::Counted(sum), seen: last }) => {
                *sum += count;
                *last = seen;
            }
            _ => {
                self.sums.insert(origin, self.observed.len());
                self.observed.push(Observed { evidence: Evidence::Counted(count), seen });
            }
        }
    }

    /// Looks for blocks that were lost since the last check.
    pub fn check_leaks(&mut self) {
        if !self.leaks_wanted {
            return;
        }
        self.read(Seen::Outside);
        let (before, first) = (self.observed.len(), self.records);
        bracket::leak_check_added();
        let calls = (self.checked + 1, self.journal.last());
        let seen = Seen::LeakCheck(calls.0, calls.1);
        self.read(seen);
        let lost = count_lost();
        let more = lost.less(std::mem::replace(&mut self.lost, lost));
        let check = Check { calls, records: first..self.records, lost: (more.bytes, more.blocks) };
        self.follow(|trail, _| trail.add_check(check));
        if self.log.is_none() {
            self.keep_lost(more, seen);
        } else if self.observed.len() > before {
            self.observed.push(Observed { evidence: Evidence::Checked(more), seen });
        }
        self.checked = self.journal.last();
    }

    /// Keeps how much was lost since the last check, by which nobody can read what it was.
    fn keep_lost(&mut self, leaked: Leaked, seen: Seen) {
        let (first, last) = (self.checked + 1, self.journal.last());
        // Where no call was made and nothing was let go of, it was the interpreter.
        let possible = bracket::take_released() || first <= last;
        if leaked == Leaked::NONE || !possible {
            return;
        }
        let calls = if first < last { format!("calls {first} to {last}") } else { format!("call {last}") };
        let when = if first > last { format!("after {calls}") } else { format!("in {calls}") };
        let Leaked { bytes, blocks, .. } = leaked;
        let plural = if blocks == 1 { "" } else { "s" };
        bracket::print_line(&format!("pythy: {bytes} bytes in {blocks} block{plural} lost {when}"));
        self.observed.push(Observed { evidence: Evidence::Lost(leaked), seen });
    }

    /// Has calls followed by a leak check each, whatever their interfaces ask for; `None` ends that.
    pub fn pinpoint(&mut self, which: Option<Pinpoint>) {
        self.pinpoint = which;
        self.open_lane();
    }

    /// When to look for leaks at the call that begins now.
    fn wanted(&mut self, leaks: LeakCheck) -> LeakCheck {
        let outermost = || local(|local| local.depth.get()) == 0;
        let Some(pinpoint) = self.pinpoint.filter(|_| leaks != LeakCheck::Off && outermost()) else {
            return leaks;
        };
        if self.journal.last() + 1 < pinpoint.first {
            return leaks;
        }
        if self.checked < self.journal.last() {
            // What is lost already is not this call's doing.
            self.check_leaks();
        }
        let calls = pinpoint.calls.saturating_sub(1);
        self.pinpoint = (calls > 0).then_some(Pinpoint { calls, ..pinpoint });
        self.open_lane();
        LeakCheck::Call
    }

    fn count_losses(&mut self, losses: usize) {
        let Some(pinpoint) = self.pinpoint else { return };
        let left = pinpoint.losses.saturating_sub(losses);
        self.pinpoint = (left > 0).then_some(Pinpoint { losses: left, ..pinpoint });
        self.open_lane();
    }

    /// Looks for lost blocks if a block can have been lost since the last check: by a call, or because Python
    /// has let go of one.
    pub fn check_leaks_if_due(&mut self) {
        let released = bracket::take_released();
        if released || self.checked < self.journal.last() {
            self.check_leaks();
        }
    }

    /// A place from which a later report may start; what is lost before it is found before it.
    pub fn mark(&mut self) -> Mark {
        self.check_leaks();
        self.here()
    }

    /// A place from which a later report may start, without a leak check.
    pub fn here(&mut self) -> Mark {
        self.read_news();
        self.sums.clear();
        Mark { observed: self.observed.len(), first: self.journal.last() + 1 }
    }

    /// Everything that has been seen since the mark, a leak check included.
    pub fn report(&mut self, since: Mark, tool: Tool) -> Report {
        self.check_leaks();
        self.report_without_check(since, tool)
    }

    /// What has been seen since the mark, without a further leak check; `None` where that is nothing.
    pub fn news(&mut self, since: Mark, tool: Tool) -> Option<Report> {
        self.read_news();
        (self.observed.len() > since.observed).then(|| self.report_without_check(since, tool))
    }

    fn read_news(&mut self) {
        if bracket::count_errors() != lane::counted() || valgrind::has_forked() {
            self.read(Seen::Outside);
        }
    }

    /// What has been seen since the mark, be it nothing, without a further leak check.
    pub fn report_without_check(&self, since: Mark, tool: Tool) -> Report {
        let findings = self.findings(since.observed.min(self.observed.len()));
        let mut notes = self.notes.clone();
        let cut =
            attribution::cut_short(self.observed.get(since.observed..).unwrap_or_default(), &self.tables);
        if cut > 0 {
            let (stacks, calls) = match cut {
                1 => ("1 stack".to_owned(), "its call is"),
                _ => (format!("{cut} stacks"), "their calls are"),
            };
            notes.push(format!(
                "Valgrind cut {stacks} of C code short after {} frames, so that {calls} not known exactly, or not \
                 at all; run it with --num-callers=40",
                self.tables.num_callers
            ));
        }
        if self.log.is_none() && bracket::count_errors() >= ERROR_LIMIT && has_error_limit() {
            notes.push(LIMIT.to_owned());
        }
        let scope = Scope { first: since.first.max(self.inherited + 1), last: self.journal.last() };
        report::build(tool, notes, Some((&self.journal, scope)), &findings)
    }

    /// What is known of one call that has just ended, without a further leak check.
    pub fn report_on(&mut self, entered: &Entered, tool: Tool) -> Report {
        let site = self.journal.origin_id(entered.call);
        let of_this_call = |finding: &Finding| {
            let erred = finding.occurrences.iter().any(|(call, _)| *call == entered.call);
            let summed = || finding.call.and_then(|call| self.journal.origin_id(call)) == site;
            match finding.category {
                Category::Error => erred || entered.frequent && summed(),
                _ => finding.lost_between == Some((entered.call, self.journal.last())),
            }
        };
        let mut findings = self.findings(0);
        findings.retain(of_this_call);
        let scope = Scope { first: entered.call, last: self.journal.last() };
        report::build(tool, self.notes.clone(), Some((&self.journal, scope)), &findings)
    }

    fn findings(&self, since: usize) -> Vec<Finding> {
        let findings = attribution::attribute(&self.journal, &self.observed, since, &self.tables);
        wanted(findings, &self.journal)
    }

    /// Takes what the log has gained; returns how many errors (not loss records) that was.
    fn read(&mut self, seen: Seen) -> u64 {
        let before = lane::set_counted(bracket::count_errors());
        let Some(log) = &mut self.log else { return 0 };
        let events = match log.poll() {
            Ok(events) => events,
            Err(error) => {
                self.notes.push(format!("{error}; what Valgrind reported after that is missing here"));
                self.log = None;
                return 0;
            }
        };
        if events.contains(&Event::LimitReached) {
            self.notes.push(LIMIT.to_owned());
        }
        let mut records: Vec<_> = events.into_iter().filter_map(record).collect();
        self.records += records.len();
        let errors = records.iter().filter(|record| !record.is_leak()).count() as u64;
        let risen = bracket::count_errors().saturating_sub(before);
        if errors > risen && valgrind::has_forked() {
            // A fork writes into the same XML, where it has no number of its own.
            if risen == 0 {
                records.retain(Record::is_leak);
            } else {
                self.notes.push(OF_A_FORK.to_owned());
            }
        }
        for record in records {
            // Later repeats may be of this one.
            self.sums.clear();
            self.observed.push(Observed { evidence: Evidence::Record(record), seen });
        }
        errors
    }
}

/// The environment variable that names the directory of the trail.
const TRAIL: &str = "PYTHY_TRAIL";

fn no_trail(error: &io::Error) -> String {
    format!("the calls cannot be written down ({error}): should the program crash, its report is lost")
}

/// What is known of a process that crashed, from its trail and Valgrind's XML; `None` where it had no session.
pub fn report_on_crash(trail: &Path, log: &Path, tool: Tool) -> Result<Option<Report>> {
    let unreadable = |source| Error::Log { path: trail.to_owned(), source };
    let Some(Found { journal, tables, checks }) = trail::read(trail).map_err(unreadable)? else {
        return Ok(None);
    };
    let log = LogFile { path: log.to_owned(), format: Format::Xml, pid: 0 };
    let events = Tail::open(&log)?.finish()?;
    let signalled = events.iter().any(|event| matches!(event, Event::FatalSignal(_)));
    let (first, last) = (checks.last().map_or(0, |check| check.calls.1) + 1, journal.last());
    let observed = observed(events, &checks, (first, last));
    let findings = wanted(attribution::attribute(&journal, &observed, 0, &tables), &journal);
    let unknown = match (signalled, first) {
        // Valgrind has looked for them then.
        (true, _) => "",
        (false, 1) => "leaks were not looked for, and ",
        (false, _) => "leaks were not looked for at last, and ",
    };
    let notes = vec![format!("the program crashed: {unknown}repeats of errors are not counted")];
    let scope = Scope { first: 1, last };
    Ok(Some(report::build(tool, notes, Some((&journal, scope)), &findings)))
}

/// What a log has told, each record as it was seen then: those of a leak check by that, and those behind a signal,
/// after which Valgrind makes one of its own, by the calls since the last.
fn observed(events: Vec<Event>, checks: &[Check], unchecked: (CallNumber, CallNumber)) -> Vec<Observed> {
    let (mut observed, mut index, mut checks) = (Vec::new(), 0, checks.iter().peekable());
    let mut otherwise = Seen::Outside;
    for event in events {
        match event {
            Event::Record(record) => {
                while checks.peek().is_some_and(|check| check.records.end <= index) {
                    observed.extend(checks.next().and_then(counted_by));
                }
                let seen = match checks.peek() {
                    Some(Check { calls: (first, last), records, .. }) if records.contains(&index) => {
                        Seen::LeakCheck(*first, *last)
                    }
                    _ => otherwise,
                };
                observed.push(Observed { evidence: Evidence::Record(record), seen });
                index += 1;
            }
            Event::FatalSignal(signal) => {
                observed.push(Observed { evidence: Evidence::Crash(signal), seen: Seen::Outside });
                otherwise = Seen::LeakCheck(unchecked.0, unchecked.1);
            }
            _ => {}
        }
    }
    observed.extend(checks.filter_map(counted_by));
    observed
}

/// What a check has counted, behind its records.
fn counted_by(check: &Check) -> Option<Observed> {
    let seen = Seen::LeakCheck(check.calls.0, check.calls.1);
    (!check.records.is_empty()).then(|| Observed { evidence: Evidence::Checked(check.lost()), seen })
}

/// Leaks of what a function allocates whose interface wants none told are left out.
fn wanted(mut findings: Vec<Finding>, journal: &Journal) -> Vec<Finding> {
    findings.retain(|finding| {
        let allocating = finding.allocated_by.and_then(|call| journal.origin(call));
        allocating.is_none_or(|origin| journal.declaration(origin.declaration).leaks)
    });
    findings
}

/// What the last leak check has found lost, directly or indirectly: Valgrind counts no more exactly.
fn count_lost() -> Leaked {
    Leaked::new(bracket::count_leaks(), bracket::count_leak_blocks(), 0)
}

/// After how many different errors Valgrind stops, unless it is told not to or writes XML.
const ERROR_LIMIT: u64 = 1000;

fn has_error_limit() -> bool {
    let is = |name, value: &str| valgrind::option(name).as_deref() == Some(value);
    !is("--error-limit", "no") && !is("--xml", "yes")
}

/// How many frames Valgrind keeps of a stack: 12 unless it was told otherwise.
fn num_callers() -> usize {
    valgrind::option("--num-callers").and_then(|value| value.parse().ok()).unwrap_or(12)
}

/// Keeps the interpreter's own blocks out of the leak checks, which would take seconds to describe them.
fn load_suppressions(own_object: Option<&str>) -> std::io::Result<()> {
    let (_file, path) = valgrind::shipped_suppressions(own_object)?;
    bracket::change_option(&format!("--suppressions={path}"));
    Ok(())
}

/// How many bytes of freed blocks Valgrind is to keep before it hands their addresses out again.
const KEPT: u64 = 256_000_000;

/// Python and pythy leave pointers to blocks that they have freed in memory that leak checks search. A block of C's
/// at such an address would never be lost, so addresses come back late, unless the user has said when.
fn keep_freed_blocks() {
    const OPTION: &str = "--freelist-vol";
    if valgrind::option(OPTION).is_none() {
        bracket::change_option(&format!("{OPTION}={KEPT}"));
    }
}

/// What was lost before the first foreign call is the interpreter's: a check that reports nothing
/// keeps it out of all later ones.
fn set_apart_earlier_losses() {
    const OPTIONS: [&str; 2] = ["--show-leak-kinds", "--errors-for-leak-kinds"];
    const DEFAULT: &str = "definite,possible";
    for option in OPTIONS {
        bracket::change_option(&format!("{option}=none"));
    }
    bracket::leak_check_added();
    for option in OPTIONS {
        let chosen = LEAK_KINDS.get().cloned().or_else(|| valgrind::option(option));
        let value = chosen.unwrap_or_else(|| DEFAULT.to_owned());
        bracket::change_option(&format!("{option}={value}"));
    }
}

fn record(event: Event) -> Option<Record> {
    match event {
        Event::Record(record) => Some(record),
        _ => None,
    }
}
