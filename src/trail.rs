//! The journal on disk while it is being written: what is left of it when the program crashes.
//!
//! Three files of one directory: `names` has a line of JSON for each new thing, `calls` 4 bytes for each call in the
//! journal, `waiting` is the list of those that are not in it yet.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::attribution::Tables;
use crate::evidence::Leaked;
use crate::journal::{CallNumber, CallSite, Declaration, Journal, Noted, Origin};
use crate::waiting::{self, Waiting};

/// The files being written.
#[derive(Debug)]
pub struct Trail {
    names: File,
    calls: File,
    known_origins: usize,
}

/// A line of `names`.
#[derive(Serialize, Deserialize)]
enum Line {
    Slots { outer: u64, inner: u64, own_object: Option<String>, num_callers: usize },
    Library(String),
    Origin { declaration: Declaration, call_site: CallSite, test: Option<String>, thread: String },
    Noted(CallNumber, Noted),
    Check(Check),
}

/// A leak check that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The calls since the one before, the first and the last.
    pub calls: (CallNumber, CallNumber),
    /// Which of the records in Valgrind's log are its own, by their index.
    pub records: Range<usize>,
    /// How much more it counted as lost than the one before: bytes and blocks.
    pub lost: (u64, u64),
}

impl Check {
    /// How much more it counted as lost than the one before.
    pub fn lost(&self) -> Leaked {
        let (bytes, blocks) = self.lost;
        Leaked::new(bytes, blocks, 0)
    }
}

/// What a trail tells.
#[derive(Debug)]
pub struct Found {
    /// The calls.
    pub journal: Journal,
    /// What addresses meant in that process.
    pub tables: Tables,
    /// The leak checks, in order.
    pub checks: Vec<Check>,
}

impl Trail {
    /// Starts a trail in this directory.
    pub fn start(directory: &Path, tables: &Tables) -> io::Result<Self> {
        let names = File::create(directory.join("names"))?;
        let calls = File::create(directory.join("calls"))?;
        waiting::share(
            &File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(directory.join("waiting"))?,
        )?;
        let mut trail = Self { names, calls, known_origins: 0 };
        let (outer, inner) = tables.slots.as_ref().map_or((0, 0), |slots| slots.starts());
        let own_object = tables.own_object.clone();
        trail.line(&Line::Slots { outer, inner, own_object, num_callers: tables.num_callers })?;
        Ok(trail)
    }

    /// Notes a library under test.
    pub fn add_library(&mut self, path: &str) -> io::Result<()> {
        self.line(&Line::Library(path.to_owned()))
    }

    /// Notes a call that is about to be made.
    pub fn add_call(&mut self, journal: &Journal, call: CallNumber) -> io::Result<()> {
        let (Some(id), Some(origin)) = (journal.origin_id(call), journal.origin(call)) else { return Ok(()) };
        if id as usize >= self.known_origins {
            self.known_origins = id as usize + 1;
            let Origin { declaration, call_site, test, thread } = origin;
            self.line(&Line::Origin {
                declaration: journal.declaration(declaration).clone(),
                call_site: journal.call_site(call_site).clone(),
                test: test.map(|test| journal.test(test).to_owned()),
                thread: journal.thread(thread).to_owned(),
            })?;
        }
        self.calls.write_all_at(&id.to_le_bytes(), 4 * (call - 1))
    }

    /// Notes calls that have waited, from number `first` on, whose origins are known already.
    pub fn add_calls(&mut self, first: CallNumber, origins: impl Iterator<Item = u32>) -> io::Result<()> {
        let bytes: Vec<u8> = origins.flat_map(u32::to_le_bytes).collect();
        self.calls.write_all_at(&bytes, 4 * (first - 1))
    }

    /// Notes what is to be told of a call.
    pub fn add_noted(&mut self, call: CallNumber, noted: &Noted) -> io::Result<()> {
        self.line(&Line::Noted(call, noted.clone()))
    }

    /// Notes a leak check.
    pub fn add_check(&mut self, check: Check) -> io::Result<()> {
        self.line(&Line::Check(check))
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.names.write_all(&text)
    }
}

/// Reads the trail in this directory as far as it goes; `None` where nobody has started one.
pub fn read(directory: &Path) -> io::Result<Option<Found>> {
    let names = match std::fs::read_to_string(directory.join("names")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        names => names?,
    };
    let mut journal = Journal::default();
    let mut tables =
        Tables { slots: None, own_object: None, libraries: Vec::new(), loaded: Vec::new(), num_callers: 12 };
    let (mut origins, mut noted, mut checks) = (Vec::new(), Vec::new(), Vec::new());
    // The last line may be cut off.
    for line in names.lines().map_while(|line| serde_json::from_str(line).ok()) {
        match line {
            Line::Slots { outer, inner, own_object, num_callers } => {
                let slots = (outer != 0).then(|| crate::bracket::Slots::at(outer, inner));
                tables = Tables { slots, own_object, num_callers, ..tables };
            }
            Line::Library(path) => tables.libraries.push(path),
            Line::Origin { declaration, call_site, test, thread } => {
                let origin = Origin {
                    declaration: journal.add_declaration(declaration),
                    call_site: journal.add_call_site(call_site),
                    test: test.map(|test| journal.add_test(&test)),
                    thread: journal.add_thread(&thread),
                };
                origins.push(journal.add_origin(origin));
            }
            Line::Noted(call, told) => noted.push((call, told)),
            Line::Check(check) => checks.push(check),
        }
    }
    for id in std::fs::read(directory.join("calls"))?.chunks_exact(4) {
        let id = u32::from_le_bytes([id[0], id[1], id[2], id[3]]);
        let Some(origin) = origins.get(id as usize) else { break };
        journal.begin(*origin);
    }
    let waiting = match std::fs::read(directory.join("waiting")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        waiting => waiting?,
    };
    let (first, waiting) = Waiting::left_in(&waiting);
    for (call, id) in (first..).zip(waiting) {
        // A process may end between writing them down and taking them off the list.
        if call == journal.last() + 1
            && let Some(origin) = origins.get(id as usize)
        {
            journal.begin(*origin);
        }
    }
    for (call, told) in noted {
        journal.note(call, told);
    }
    Ok(Some(Found { journal, tables, checks }))
}
