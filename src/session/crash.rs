//! What a process has left that crashed.

use std::path::Path;

use super::wanted;
use crate::attribution::{self, Category, Evidence, Observed, Seen};
use crate::evidence::{Event, FatalSignal, Format, Frame, LogFile, Tail};
use crate::journal::CallNumber;
use crate::report::{self, Report, Scope, Tool};
use crate::trail::{self, Check, Found};
use crate::{Error, Result};

/// What is known of a process that crashed, from its trail and Valgrind's XML; `None` where it had no session.
pub fn report_on_crash(trail: &Path, log: &Path, tool: Tool) -> Result<Option<Report>> {
    let unreadable = |source| Error::Log { path: trail.to_owned(), source };
    let Some(Found { journal, tables, checks }) = trail::read(trail).map_err(unreadable)? else {
        return Ok(None);
    };
    let log = LogFile { path: log.to_owned(), format: Format::Xml, pid: 0 };
    let events = Tail::open(&log)?.finish()?;
    let signal = events.iter().find_map(|event| match event {
        Event::FatalSignal(signal) => Some(signal.clone()),
        _ => None,
    });
    let (first, last) = (checks.last().map_or(0, |check| check.calls.1) + 1, journal.last());
    let observed = observed(events, &checks, (first, last));
    let findings = wanted(attribution::attribute(&journal, &observed, 0, &tables), &journal);
    let unknown = match (signal.is_some(), first) {
        // Valgrind has looked for them then.
        (true, _) => "",
        (false, 1) => "leaks were not looked for, and ",
        (false, _) => "leaks were not looked for at last, and ",
    };
    let how = if signal.is_some() { "crashed" } else { "was ended" };
    let mut notes = vec![format!("the program {how}: {unknown}repeats of errors are not counted")];
    if !findings.iter().any(|finding| finding.category == Category::Crash) {
        notes.extend(signal.as_ref().filter(|signal| CRASHES.contains(&signal.name.as_str())).map(elsewhere));
    }
    let scope = Scope { first: 1, last };
    Ok(Some(report::build(tool, notes, Some((&journal, scope)), &findings)))
}

/// The signals that a program brings on itself.
const CRASHES: [&str; 7] = ["SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS"];

/// A crash that is of no call.
fn elsewhere(signal: &FatalSignal) -> String {
    const SHOWN: usize = 5;
    let frame = |frame: &Frame| {
        let unknown =
            || frame.object.as_ref().map_or_else(|| "???".to_owned(), |object| format!("({object})"));
        match (&frame.function, &frame.file, frame.line) {
            (Some(function), Some(file), Some(line)) => format!("{function} ({file}:{line})"),
            (Some(function), ..) => function.clone(),
            (None, ..) => unknown(),
        }
    };
    let frames: Vec<_> = signal.stack.frames.iter().take(SHOWN).map(frame).collect();
    format!("it crashed by {} in no known call of the library's, at {}", signal.name, frames.join(", by "))
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
