//! The pipeline as it runs in one process: calls are entered in the journal and bracketed, the
//! evidence is read as it appears, and a report joins the two.

mod call;
mod crash;
mod leaks;
mod options;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::attribution::{self, Category, Evidence, Finding, Observed, Seen, Tables};
use crate::binding::{Library, Shim};
use crate::bracket::{self, Slots};
use crate::evidence::{self, Event, Leaked, LogLocation, Record, Tail};
use crate::journal::{CallNumber, Declaration, Journal, Origin};
use crate::lane::{self, Place};
use crate::report::{self, Report, Scope, Tool};
use crate::thread::local;
use crate::trail::Trail;
use crate::valgrind::{self, Presence, heap};
use crate::waiting;

pub use call::{Entered, Given, Outside, aside, enter_python, leave_python, read_caller, read_python};
pub use crash::report_on_crash;
pub use leaks::{LeakCheck, Pinpoint, choose_leak_kinds, leak_kinds};

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
    /// Whether a library was loaded since the last leak check.
    loaded: bool,
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

impl Mark {
    /// The start of the process.
    pub const START: Mark = Mark { observed: 0, first: 1 };
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

/// Whether somebody wants to tell of a crash of this process.
pub fn is_followed() -> bool {
    std::env::var_os(TRAIL).is_some()
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

/// As many frames as Valgrind keeps at most.
const MOST_CALLERS: usize = 500;

/// What it costs that blocks lie at low addresses.
fn low_heap(why: &str) -> String {
    format!(
        "{why}, so that blocks lie where numbers and bytecode look like their addresses: of a thousand that are \
         lost, a few may be missed, or told as possibly lost"
    )
}

/// Where the records of two processes cannot be told apart.
const OF_A_FORK: &str = "some errors may be those of a process that was forked off, as both wrote into one XML at \
    a time; run Valgrind with --log-file=FILE instead of XML, or with --child-silent-after-fork=yes";

/// What is to be said where Valgrind runs another tool than Memcheck.
fn other_tool() -> String {
    let tool = valgrind::option("--tool").map(|tool| format!(", {tool},")).unwrap_or_default();
    format!(
        "Valgrind runs another tool{tool} than Memcheck: no access, uninitialised value or leak is checked; run it \
         without --tool"
    )
}

/// The log, if it can be read; else a note that says what is not known for want of it.
fn open_log(notes: &mut Vec<String>) -> Option<Tail> {
    if !bracket::is_memcheck() {
        notes.push(other_tool());
    }
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
        if let Err(error) = options::load_suppressions(own_object.as_deref()) {
            notes.push(format!("pythy's suppressions cannot be loaded ({error}): leak checks take longer"));
        }
        let freed_late = options::keep_freed_blocks();
        match heap::move_up() {
            Ok(below) if freed_late => below.free(),
            // Freed, it would soon be used again.
            Ok(_) => {}
            Err(why) => notes.push(low_heap(why)),
        }
        options::set_apart_earlier_losses();
        let tables = Tables {
            slots,
            own_object,
            libraries: Vec::new(),
            loaded: Vec::new(),
            num_callers: options::num_callers(),
        };
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
            loaded: false,
            sums: HashMap::new(),
            inherited: 0,
            lost: leaks::count_lost(),
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

    /// Whether somebody tells of a crash of this process, from its trail and Valgrind's log.
    pub fn crashes_are_told(&self) -> bool {
        self.trail.is_some()
    }

    /// The id of a thread that makes its first call.
    pub fn add_thread(&mut self, name: &str) -> u32 {
        let id = self.journal.add_thread(name);
        self.open_lane();
        id
    }

    /// The journal, to add declarations, call sites, tests and threads.
    pub fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// Names a library that is about to be loaded: its constructors may crash.
    pub fn expect_library(&mut self, path: &Path) {
        if let Ok(path) = path.canonicalize() {
            self.follow(|trail, _| trail.add_library(&path.display().to_string()));
        }
    }

    /// Notes that a library was loaded while this ran: its constructors may have lost something.
    pub fn note_load(&mut self) {
        self.loaded = true;
    }

    /// Looks for what has been lost so far, and tells none of it: no call has been made yet.
    pub fn set_apart_losses(&mut self) {
        options::set_apart_earlier_losses();
        self.lost = leaks::count_lost();
    }

    /// Makes a library, with what was compiled for it, one whose stacks are looked at.
    pub fn add_library(&mut self, library: &Library) {
        for path in [library.path()].into_iter().chain(library.shim().and_then(Shim::path)) {
            let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            let name = path.display().to_string();
            if !self.tables.libraries.contains(&name) {
                self.follow(|trail, _| trail.add_library(&name));
                self.tables.loaded.extend(valgrind::addresses_of(&name));
                self.tables.libraries.push(name);
            }
        }
        // What its constructors have done wrong is not for the next call.
        if bracket::count_errors() > 0 {
            self.read(Seen::Outside);
        }
    }

    /// The id of a declaration in the journal.
    pub fn add_declaration(&mut self, declaration: Declaration) -> u32 {
        self.leaks_wanted |= declaration.leaks;
        self.journal.add_declaration(declaration)
    }

    /// Writes the trail, if there is one.
    fn follow(&mut self, write: impl FnOnce(&mut Trail, &Journal) -> io::Result<()>) {
        let Some(trail) = &mut self.trail else { return };
        if let Err(error) = write(trail, &self.journal) {
            self.notes.push(no_trail(&error));
            self.trail = None;
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
        notes.extend(heap::released().map(low_heap));
        let cut =
            attribution::cut_short(self.observed.get(since.observed..).unwrap_or_default(), &self.tables);
        if cut > 0 {
            let (stacks, calls) = match cut {
                1 => ("1 stack".to_owned(), "its call is"),
                _ => (format!("{cut} stacks"), "their calls are"),
            };
            notes.push(format!(
                "Valgrind cut {stacks} of C code short after {} frames, so that {calls} not known exactly, or not \
                 at all; run it with --num-callers={}",
                self.tables.num_callers,
                if self.tables.num_callers < 40 { 40 } else { MOST_CALLERS },
            ));
        }
        if self.log.is_none() && bracket::count_errors() >= options::ERROR_LIMIT && options::has_error_limit()
        {
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
    #[inline(never)]
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

/// Leaks of what a function allocates whose interface wants none told are left out.
fn wanted(mut findings: Vec<Finding>, journal: &Journal) -> Vec<Finding> {
    findings.retain(|finding| {
        let allocating = finding.allocated_by.and_then(|call| journal.origin(call));
        allocating.is_none_or(|origin| journal.declaration(origin.declaration).leaks)
    });
    findings
}

fn record(event: Event) -> Option<Record> {
    match event {
        Event::Record(record) => Some(record),
        _ => None,
    }
}
