//! Attribution on what a run of pythy left behind, without Valgrind and Python: the trail (calls and slot
//! addresses) and Valgrind's stream, recorded as the README of the fixtures tells.

use std::fs;
use std::path::PathBuf;

use pythy::attribution::{Basis, Category, Evidence, Finding, Observed, Seen, attribute};
use pythy::evidence::{Event, TextReader, XmlReader};
use pythy::report::Tool;
use pythy::trail::{self, Found};

/// A directory with the trail of a recording, gone when it is dropped.
struct Place(PathBuf);

impl Place {
    fn of(name: &str, test: &str) -> Place {
        let path = std::env::temp_dir().join(format!("pythy-recorded-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        for file in ["names", "calls"] {
            fs::write(path.join(file), fixture(&format!("{name}.{file}"))).unwrap();
        }
        Place(path)
    }

    fn trail(&self) -> Found {
        trail::read(&self.0).unwrap().expect("a trail")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/valgrind/calls").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn xml(bytes: &[u8]) -> Vec<Event> {
    let mut reader = XmlReader::new();
    let mut events = reader.feed(bytes);
    events.extend(reader.finish());
    events
}

fn text(bytes: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(bytes);
    let pid = text.trim_start_matches('=').split("==").next().unwrap().parse().unwrap();
    let mut reader = TextReader::new(pid);
    let mut events = reader.feed(bytes);
    events.extend(reader.finish());
    events
}

/// What a session makes of the stream if it looks at it once, with the leak check after the last call.
fn observed(events: Vec<Event>, found: &Found) -> Vec<Observed> {
    let check = Seen::LeakCheck(1, found.journal.last());
    let one = |event| match event {
        Event::Record(record) if record.is_leak() => {
            Some(Observed { evidence: Evidence::Record(record), seen: check })
        }
        Event::Record(record) => Some(Observed { evidence: Evidence::Record(record), seen: Seen::Outside }),
        Event::FatalSignal(signal) => {
            Some(Observed { evidence: Evidence::Crash(signal), seen: Seen::Outside })
        }
        _ => None,
    };
    events.into_iter().filter_map(one).collect()
}

fn findings(events: Vec<Event>, found: &Found) -> Vec<Finding> {
    attribute(&found.journal, &observed(events, found), 0, &found.tables)
}

/// Kind, how often, the calls that are known of it, bytes lost, and the C functions from the inside.
fn line(finding: &Finding, found: &Found) -> String {
    let call = finding.allocated_by.or(finding.call).unwrap_or(0);
    let origin = found.journal.origin(call).unwrap();
    let declaration = &found.journal.declaration(origin.declaration).name;
    let line = found.journal.call_site(origin.call_site).line;
    let functions: Vec<_> =
        finding.stacks[0].frames.iter().filter_map(|frame| frame.function.as_deref()).collect();
    let lost = finding.leaked.map(|leaked| format!(" {}+{} bytes", leaked.bytes, leaked.indirect_bytes));
    format!(
        "{} x{} call {call} {declaration}() line {line}{} at {}",
        finding.kind,
        finding.count,
        lost.unwrap_or_default(),
        functions.join(" < ")
    )
}

fn lines(findings: &[Finding], found: &Found) -> Vec<String> {
    findings.iter().map(|finding| line(finding, found)).collect()
}

const ERRORS: [&str; 5] = [
    "InvalidRead x2 call 4 peek() line 9 at peek",
    "UninitCondition x1 call 6 decide() line 10 at decide",
    "UninitCondition x1 call 12 decide() line 15 at decide",
    "InvalidRead x2 call 19 peek() line 17 at peek",
    "InvalidRead x1 call 18 twice() line 17 at twice",
];
const LEAKS: [&str; 3] = [
    "Leak_DefinitelyLost x1 call 10 lose() line 13 13+0 bytes at malloc < deep < deep < deep < deep < deep < deep < lose",
    "Leak_DefinitelyLost x1 call 14 lose() line 13 17+0 bytes at malloc < deep < deep < deep < deep < deep < deep < lose",
    "Leak_DefinitelyLost x1 call 17 lose_list() line 16 8+40 bytes at malloc < lose_list",
];

/// Of Valgrind 3.19, 3.24 and 3.27.1; XML of protocols 4, 5 (3.24 with descriptors) and 6 (3.27.1).
const RECORDED: [&str; 8] = [
    "3.19-xml",
    "3.19-text",
    "3.24-xml",
    "3.24-text",
    "3.24-descriptors",
    "3.27.1-xml",
    "3.27.1-text",
    "3.27.1-descriptors",
];

#[test]
fn each_record_of_a_recorded_run_is_on_its_call() {
    for name in RECORDED {
        let events = match name.ends_with("text") {
            true => text(&fixture(&format!("{name}.log"))),
            false => xml(&fixture(&format!("{name}.xml"))),
        };
        let place = Place::of(name, name);
        let found = place.trail();
        let findings = findings(events, &found);
        assert_eq!(lines(&findings, &found), [&ERRORS[..], &LEAKS[..]].concat(), "{name}");
        assert!(findings[..5].iter().all(|finding| finding.basis == Basis::Call));
        assert!(findings[5..].iter().all(|finding| finding.lost_between == Some((1, 20))));
    }
}

/// What newer Valgrinds write differs in what is around the records; composed from the recording.
#[test]
fn newer_protocols_say_the_same() {
    let place = Place::of("3.19-xml", "newer");
    let found = place.trail();
    for name in ["protocol5-composed.xml", "protocol6-composed.xml"] {
        let bytes = fixture(name);
        let findings = findings(xml(&bytes), &found);
        assert_eq!(
            lines(&findings, &found),
            [
                ERRORS[0],
                "FdBadClose x1 call 6 decide() line 10 at close < decide",
                "Leak_DefinitelyLost x1 call 17 lose_list() line 16 8+40 bytes at malloc < lose_list",
            ],
            "{name}"
        );
    }
}

#[test]
fn a_recorded_crash_is_on_its_call() {
    let place = Place::of("3.19-crash", "crash");
    let found = place.trail();
    let findings = findings(xml(&fixture("3.19-crash.xml")), &found);
    let crash = findings.iter().find(|finding| finding.category == Category::Crash).unwrap();
    assert_eq!((crash.kind.as_str(), crash.call, crash.basis), ("SIGABRT", Some(21), Basis::Call));
    let innermost = crash.stacks[0].frames.last().unwrap();
    assert_eq!(innermost.function.as_deref(), Some("stop"));

    // The same from the files, as `pythy run` has them after the end.
    let log = place.0.join("log");
    fs::write(&log, fixture("3.19-crash.xml")).unwrap();
    let tool = Tool {
        pythy: "0.1.0".into(),
        valgrind: Some("3.19.0".into()),
        checker: "memcheck".into(),
        python: None,
        mode: "inprocess".into(),
    };
    let report = pythy::session::report_on_crash(&place.0, &log, tool).unwrap().unwrap();
    let kinds: Vec<_> = report.findings.iter().map(|finding| finding.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "InvalidRead",
            "UninitCondition",
            "UninitCondition",
            "InvalidRead",
            "InvalidRead",
            "InvalidRead",
            "SIGABRT",
            "Leak_DefinitelyLost",
            "Leak_DefinitelyLost",
            "Leak_DefinitelyLost"
        ]
    );
    // What Valgrind looks for after a signal that ends the program.
    let lost: Vec<_> = report.findings[7..]
        .iter()
        .map(|finding| (finding.allocated_by.as_ref().unwrap().number, finding.lost_between))
        .collect();
    assert_eq!(lost, [(10, Some((1, 21))), (14, Some((1, 21))), (17, Some((1, 21)))]);
    assert_eq!(report.notes[0], "the program crashed: repeats of errors are not counted");
    assert_eq!(report.findings[6].call.as_ref().unwrap().number, 21);
    assert_eq!(report.totals.crashes, 1);
}

/// Every finding's kind and calls, one by one.
fn told(events: Vec<Event>, found: &Found) -> Vec<(String, Option<u64>)> {
    let mut told = Vec::new();
    for finding in findings(events, found) {
        let kind = finding.kind.to_string();
        match finding.occurrences.is_empty() {
            true => told.push((kind, finding.allocated_by.or(finding.call))),
            false => {
                let calls = finding.occurrences.iter().map(|(call, _)| Some(*call));
                told.extend(calls.map(|call| (kind.clone(), call)));
            }
        }
    }
    told
}

/// Wherever a stream ends, it gives the findings of the whole one up to there, and of the record that is cut
/// perhaps one more, with a part of its stack, which may be too little to know its call.
#[test]
fn a_stream_cut_off_anywhere_gives_the_findings_up_to_there() {
    for (name, file, count) in [("3.19-xml", "3.19-xml.xml", 10), ("3.19-crash", "3.19-crash.xml", 12)] {
        let place = Place::of(name, &format!("cut-{name}"));
        let found = place.trail();
        let bytes = fixture(file);
        let whole = told(xml(&bytes), &found);
        assert_eq!(whole.len(), count, "{name}: {whole:?}");
        let (mut reader, mut events, mut before) = (XmlReader::new(), Vec::new(), 0);
        let mut last_rest = Vec::new();
        for (at, byte) in bytes.iter().enumerate() {
            let new = reader.feed(&[*byte]);
            let rest = reader.clone().finish();
            if new.is_empty() && rest == last_rest {
                continue;
            }
            events.extend(new);
            let cut = told([&events[..], &rest[..]].concat(), &found);
            let (right, other): (Vec<_>, Vec<_>) = cut.into_iter().partition(|one| whole.contains(one));
            assert!(right.len() >= before, "{name} cut at {at}: {right:?}");
            assert!(other.len() <= rest.len(), "{name} cut at {at}: {other:?}");
            before = told(events.clone(), &found).len();
            last_rest = rest;
        }
        assert_eq!(before, whole.len(), "{name}");
    }
}
