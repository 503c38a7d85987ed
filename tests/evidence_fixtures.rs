//! What Valgrind wrote, and what is read of it. The recordings' README tells how they were made.

use std::fs;
use std::path::PathBuf;

use pythy::evidence::{
    ErrorCount, Event, FatalSignal, Frame, Kind, Leaked, Record, Stack, SuppressionCount, TextReader,
    XmlReader, monitor_output,
};

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/valgrind").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn xml(name: &str) -> Vec<Event> {
    let mut reader = XmlReader::new();
    let mut events = reader.feed(&fixture(name));
    events.extend(reader.finish());
    events
}

fn text(name: &str) -> Vec<Event> {
    let bytes = fixture(name);
    let mut reader = TextReader::new(pid(&bytes));
    let mut events = reader.feed(&bytes);
    events.extend(reader.finish());
    events
}

/// The process that a recorded text log is about.
fn pid(bytes: &[u8]) -> u32 {
    let text = String::from_utf8_lossy(bytes);
    let number = text.trim_start_matches('=').split("==").next().unwrap();
    number.rsplit(' ').next().unwrap().parse().expect("a log that begins with Valgrind's line")
}

fn records(events: &[Event]) -> Vec<&Record> {
    events
        .iter()
        .filter_map(|event| if let Event::Record(record) = event { Some(record) } else { None })
        .collect()
}

fn fatal_signal(events: &[Event]) -> FatalSignal {
    let signal =
        |event: &Event| if let Event::FatalSignal(signal) = event { Some(signal.clone()) } else { None };
    events.iter().find_map(signal).expect("a fatal signal")
}

/// The record of that kind whose stacks have that function.
fn record(events: &[Event], kind: Kind, function: &str) -> Record {
    let mut found = records(events).into_iter().filter(|record| {
        record.kind == kind
            && record.stacks[0].frames.iter().any(|frame| frame.function.as_deref() == Some(function))
    });
    found.next().unwrap_or_else(|| panic!("no {kind} in {function}")).clone()
}

/// A record in a line: the kind, the thread, the sentence, and each stack's innermost functions.
fn line(record: &Record) -> String {
    let mut line =
        format!("{} {} {}", record.kind, record.thread.unwrap_or(0), without_addresses(&record.what));
    for stack in &record.stacks {
        let function = |frame: &Frame| frame.function.clone().unwrap_or("???".to_owned());
        let functions: Vec<String> = stack.frames.iter().take(2).map(function).collect();
        let label = stack.label.as_deref().unwrap_or("at");
        line += &format!(" | {}: {}", without_addresses(label), functions.join(" < "));
    }
    line
}

/// Addresses on the stack differ from run to run.
fn without_addresses(text: &str) -> String {
    let mut parts = text.split("0x");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "0x…" + part.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
}

fn frame(ip: u64, function: &str, place: Option<(&str, u32)>, object: Option<&str>) -> Frame {
    Frame {
        ip,
        function: Some(function.to_owned()),
        file: place.map(|(file, _)| file.to_owned()),
        line: place.map(|(_, line)| line),
        object: object.map(str::to_owned),
    }
}

const MEMCHECK: &str = "/usr/libexec/valgrind/vgpreload_memcheck-amd64-linux.so";
const DRIVER: &str = "/tmp/driver/driver";

const VERSIONS: [&str; 3] = ["3.19", "3.24", "3.27.1"];

#[test]
fn every_kind_that_memcheck_knows() {
    let expected = [
        "InvalidWrite 1 Invalid write of size 1 | at: invalid_write < main | Address 0x… is 0 bytes after a block of size 16 alloc'd: malloc < invalid_write",
        "InvalidRead 1 Invalid read of size 4 | at: invalid_read < main | Address 0x… is 4 bytes inside a block of size 8 free'd: free < invalid_read | Block was alloc'd at: malloc < invalid_read",
        "InvalidRead 1 Invalid read of size 1 | at: read_of_nowhere < main | Address 0x… is 24 bytes after a block of size 16 in arena \"client\": ",
        "UninitCondition 1 Conditional jump or move depends on uninitialised value(s) | at: uninit_condition < main",
        "UninitValue 1 Use of uninitialised value of size 8 | at: uninit_value < main",
        "SyscallParam 1 Syscall param write(buf) points to uninitialised byte(s) | at: write < syscall_param | Address 0x… is 0 bytes inside a block of size 8 alloc'd: malloc < syscall_param",
        "SyscallParam 1 Syscall param write(buf) points to unaddressable byte(s) | at: write < syscall_unaddressable | Address 0x… is 0 bytes after a block of size 4 alloc'd: calloc < syscall_unaddressable",
        "SyscallParam 1 Syscall param close(fd) contains uninitialised byte(s) | at: close < syscall_register",
        "ClientCheck 1 Uninitialised byte(s) found during client check request | at: client_check < main | Address 0x… is 0 bytes inside a block of size 4 alloc'd: malloc < client_check",
        "ClientCheck 1 Unaddressable byte(s) found during client check request | at: client_check < main | Address 0x… is 0 bytes after a block of size 4 alloc'd: malloc < client_check",
        "InvalidFree 1 Invalid free() / delete / delete[] / realloc() | at: free < invalid_free | Address 0x… is 0 bytes inside a block of size 4 free'd: free < invalid_free | Block was alloc'd at: malloc < invalid_free",
        "InvalidFree 1 Invalid free() / delete / delete[] / realloc() | at: free < free_of_the_stack | Address 0x… is on thread 1's stack:  | in frame #1, created by free_of_the_stack (driver.c:30): ",
        "MismatchedFree 1 Mismatched free() / delete / delete [] | at: free < mismatched_free | Address 0x… is 0 bytes inside a block of size 12 alloc'd: operator new[](unsigned long) < mismatched_free",
        "Overlap 1 Source and destination overlap in strcpy(0x…, 0x…) | at: strcpy < overlap",
        "Overlap 1 Source and destination overlap in strncpy(0x…, 0x…, 6) | at: strncpy < overlap_of_size",
        "FishyValue 1 Argument 'size' of function malloc has a fishy (possibly negative) value: -1 | at: malloc < fishy_value",
        "InvalidMemPool 1 Illegal memory pool address | at: mempool < main | Address 0x… is not stack'd, malloc'd or (recently) free'd: ",
        "InvalidWrite 2 Invalid write of size 1 | at: invalid_write < threaded | Address 0x… is 0 bytes after a block of size 16 alloc'd: malloc < invalid_write",
        "UninitCondition 1 Conditional jump or move depends on uninitialised value(s) | at: uninit_condition < main",
        "InvalidWrite 1 Invalid write of size 1 | at: invalid_write < main | Address 0x… is 0 bytes after a block of size 16 alloc'd: malloc < invalid_write",
        "Leak_StillReachable 1 7 bytes in 1 blocks are still reachable in loss record 1 of 5 | at: malloc < leak_reachable",
        "Leak_DefinitelyLost 1 24 bytes in 1 blocks are definitely lost in loss record 2 of 5 | at: malloc < leak_definite",
        "Leak_IndirectlyLost 1 40 bytes in 1 blocks are indirectly lost in loss record 3 of 5 | at: malloc < leak_indirect",
        "Leak_DefinitelyLost 1 48 (8 direct, 40 indirect) bytes in 1 blocks are definitely lost in loss record 4 of 5 | at: malloc < leak_indirect",
        "Leak_PossiblyLost 1 100 bytes in 1 blocks are possibly lost in loss record 5 of 5 | at: malloc < leak_possible",
    ];
    let lines = |events: &[Event]| records(events).into_iter().map(line).collect::<Vec<_>>();
    for version in VERSIONS {
        assert_eq!(lines(&xml(&format!("{version}-kinds.xml"))), expected, "{version}");
        assert_eq!(lines(&text(&format!("{version}-kinds.log"))), expected, "{version}");
    }
    let errors =
        |lines: Vec<String>| lines.into_iter().filter(|line| !line.starts_with("Leak_")).collect::<Vec<_>>();
    assert_eq!(errors(lines(&text("3.19-mixed.log"))), expected[..20]);
    assert_eq!(errors(lines(&text("3.19-list.log"))), expected[..20]);
}

#[test]
fn text_and_xml_of_one_program_agree() {
    let lines = |events: &[Event]| records(events).into_iter().map(line).collect::<Vec<_>>();
    for version in VERSIONS {
        for name in ["kinds", "origins", "segv", "abort", "jump"] {
            assert_eq!(
                lines(&text(&format!("{version}-{name}.log"))),
                lines(&xml(&format!("{version}-{name}.xml"))),
                "{version} {name}"
            );
        }
    }
}

#[test]
fn a_record_in_full() {
    let mut expected = Record {
        unique: Some(0),
        kind: Kind::InvalidWrite,
        what: "Invalid write of size 1".to_owned(),
        thread: Some(1),
        leaked: None,
        stacks: vec![
            Stack {
                label: None,
                frames: vec![
                    frame(0x109477, "invalid_write", Some(("/tmp/driver/driver.c", 19)), Some(DRIVER)),
                    frame(0x109ACF, "main", Some(("/tmp/driver/driver.c", 57)), Some(DRIVER)),
                ],
            },
            Stack {
                label: Some("Address 0x4d6ecd0 is 0 bytes after a block of size 16 alloc'd".to_owned()),
                frames: vec![
                    frame(0x48417B4, "malloc", None, Some(MEMCHECK)),
                    frame(0x10946A, "invalid_write", Some(("/tmp/driver/driver.c", 19)), Some(DRIVER)),
                    frame(0x109ACF, "main", Some(("/tmp/driver/driver.c", 57)), Some(DRIVER)),
                ],
            },
        ],
    };
    assert_eq!(record(&xml("3.19-kinds.xml"), Kind::InvalidWrite, "invalid_write"), expected);

    // A text log has no numbers, no directories, and either the line or the object.
    expected.unique = None;
    for frame in expected.stacks.iter_mut().flat_map(|stack| &mut stack.frames) {
        if frame.line.is_some() {
            frame.file = Some("driver.c".to_owned());
            frame.object = None;
        }
    }
    assert_eq!(record(&text("3.19-kinds.log"), Kind::InvalidWrite, "invalid_write"), expected);
}

#[test]
fn an_origin_is_a_stack_with_its_label() {
    for events in [xml("3.19-origins.xml"), text("3.19-origins.log")] {
        let uninitialised = record(&events, Kind::UninitCondition, "uninit_condition");
        let origin = &uninitialised.stacks[1];
        assert_eq!(origin.label.as_deref(), Some("Uninitialised value was created by a heap allocation"));
        assert_eq!(origin.frames[0].function.as_deref(), Some("malloc"));
        assert_eq!(uninitialised.stacks.len(), 2);

        // An address and an origin: both are kept, in Valgrind's order.
        let written = record(&events, Kind::SyscallParam, "syscall_param");
        let labels: Vec<_> =
            written.stacks.iter().map(|stack| stack.label.as_deref().unwrap_or("")).collect();
        assert!(labels[1].ends_with("is 0 bytes inside a block of size 8 alloc'd"), "{labels:?}");
        assert_eq!(labels[2], "Uninitialised value was created by a heap allocation");
    }
}

#[test]
fn leaks_have_direct_and_indirect_bytes() {
    for events in [xml("3.19-kinds.xml"), text("3.19-kinds.log")] {
        let leaked = |bytes, indirect_bytes| Some(Leaked::new(bytes, 1, indirect_bytes));
        assert_eq!(record(&events, Kind::Leak_DefinitelyLost, "leak_definite").leaked, leaked(24, 0));
        assert_eq!(record(&events, Kind::Leak_DefinitelyLost, "leak_indirect").leaked, leaked(8, 40));
        assert_eq!(record(&events, Kind::Leak_IndirectlyLost, "leak_indirect").leaked, leaked(40, 0));
        assert_eq!(record(&events, Kind::Leak_PossiblyLost, "leak_possible").leaked, leaked(100, 0));
        assert_eq!(record(&events, Kind::Leak_StillReachable, "leak_reachable").leaked, leaked(7, 0));
        assert!(records(&events).iter().all(|record| record.is_leak() == record.leaked.is_some()));
    }
}

#[test]
fn a_fatal_signal_is_kept_with_its_stack() {
    let crash = FatalSignal {
        thread: Some(1),
        signo: 11,
        name: "SIGSEGV".to_owned(),
        event: Some("Access not within mapped region".to_owned()),
        address: Some(8),
        stack: Stack {
            label: None,
            frames: vec![
                frame(0x109A36, "crash", Some(("/tmp/driver/driver.c", 48)), Some(DRIVER)),
                frame(0x109B98, "main", Some(("/tmp/driver/driver.c", 65)), Some(DRIVER)),
            ],
        },
    };
    assert_eq!(fatal_signal(&xml("3.19-segv.xml")), crash);

    let crash = fatal_signal(&text("3.19-segv.log"));
    assert_eq!((crash.signo, crash.name.as_str(), crash.thread), (11, "SIGSEGV", None));
    assert_eq!(crash.event.as_deref(), Some("Access not within mapped region"));
    assert_eq!(crash.address, Some(8));
    assert_eq!(crash.stack.frames[0], frame(0x109A36, "crash", Some(("driver.c", 48)), None));
    assert_eq!(crash.stack.frames.len(), 2);

    for events in [xml("3.19-abort.xml"), text("3.19-abort.log")] {
        let abort = fatal_signal(&events);
        assert_eq!(
            (abort.signo, abort.name.as_str(), abort.event, abort.address),
            (6, "SIGABRT", None, None)
        );
        assert_eq!(abort.stack.frames.last().unwrap().function.as_deref(), Some("main"));
    }
}

#[test]
fn messages_of_the_program_stand_where_they_were_written() {
    for events in [xml("3.19-kinds.xml"), text("3.19-kinds.log")] {
        let at = events.iter().position(|event| matches!(event, Event::ClientMessage(_))).unwrap();
        assert_eq!(events[at], Event::ClientMessage("a message with <angles> & \"quotes\"".to_owned()));
        assert_eq!(events[at + 1], Event::ClientMessage("a message with a stack".to_owned()));
        assert_eq!(records(&events[..at]).len(), 17);
        assert_eq!(records(&events[at..at + 3])[0].thread, Some(2));
    }
}

#[test]
fn counts_at_the_exit() {
    let events = xml("3.19-kinds.xml");
    let number = record(&events, Kind::InvalidWrite, "threaded").unique.unwrap();
    let last = records(&events).iter().filter(|record| !record.is_leak()).count() as u64 - 1;
    let counts = events.iter().find_map(|event| match event {
        Event::ErrorCounts(counts) if !counts.is_empty() => Some(counts),
        _ => None,
    });
    let counts = counts.expect("counts");
    assert!(counts.contains(&ErrorCount { unique: number, count: 1 }));
    assert!(counts.contains(&ErrorCount { unique: last, count: 3 }), "three in one loop: {counts:?}");
    assert_eq!(events.iter().filter(|event| **event == Event::Finished).count(), 1);
}

#[test]
fn what_monitor_commands_say() {
    // GIVEN the text log beside an XML, with v.info last_error and v.info all_errors in it
    let log = fixture("3.19-monitor-xml.log");
    let pid = pid(&log);

    // WHEN it is read
    let events = monitor_output(&log, pid);

    // THEN there is the last error, its thread unknown, and each error with its count
    let last: Vec<String> = records(&events).into_iter().map(line).collect();
    assert_eq!(
        last,
        [
            "InvalidWrite 0 Invalid write of size 1 | at: invalid_write < main | Address 0x… is 0 bytes after a block of size 16 alloc'd: malloc < invalid_write"
        ]
    );
    let repeated: Vec<(u64, &Record)> = events
        .iter()
        .filter_map(
            |event| if let Event::Repeated { count, record } = event { Some((*count, record)) } else { None },
        )
        .collect();
    assert_eq!(repeated.len(), 20);
    assert_eq!(repeated.iter().map(|(count, _)| count).sum::<u64>(), 22);
    assert_eq!(repeated[19].0, 3);
    assert_eq!(line(repeated[19].1).replace(" 1 ", " 0 "), last[0].replace(" 1 ", " 0 "));
    assert_eq!(repeated[1].1.thread, Some(2));
}

#[test]
fn a_list_at_the_end_is_no_news() {
    // `-s` prints the records of a run a second time.
    let events = text("3.19-list.log");
    let repeated = events.iter().filter(|event| matches!(event, Event::Repeated { .. })).count();
    assert_eq!((records(&events).iter().filter(|record| !record.is_leak()).count(), repeated), (20, 20));
}

#[test]
fn protocol_5_has_errors_of_descriptors() {
    let events = xml("protocol5-adapted.xml");
    let lines: Vec<String> = records(&events).into_iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "FdBadClose 1 File descriptor 3: /tmp/driver/a & b is already closed | at: close < close_twice | Previously closed: close_twice",
            "FdNotClosed 1 Open file descriptor 4: /dev/null | at: main",
        ]
    );
}

/// As Valgrind 3.24 writes them, in protocol 5, and 3.27.1, in protocol 6; the first tells of inherited ones too.
#[test]
fn recorded_errors_of_descriptors() {
    for (version, inherited) in [("3.24", 2), ("3.27.1", 0)] {
        let events = xml(&format!("{version}-descriptors.xml"));
        let lines: Vec<String> = records(&events).into_iter().map(line).collect();
        let open: Vec<_> = lines.iter().filter(|line| line.starts_with("FdNotClosed")).collect();
        assert_eq!(open.len(), 1 + inherited, "{version}");
        assert_eq!(open[0], "FdNotClosed 1 Open file descriptor 3: /dev/null | at: open < main", "{version}");
        assert_eq!(lines.len(), 25 + open.len(), "{version}");
    }
}

#[test]
fn protocol_6_has_summaries_and_kinds_to_come() {
    let events = xml("protocol6-adapted.xml");
    let kinds: Vec<String> = records(&events).iter().map(|record| record.kind.to_string()).collect();
    assert_eq!(kinds, ["ReallocSizeZero", "AKindOfTheFuture", "Leak_DefinitelyLost"]);
    assert_eq!(records(&events)[1].kind, Kind::Other("AKindOfTheFuture".to_owned()));
    assert_eq!(
        records(&events)[2].leaked,
        Some(Leaked { bytes: 16, blocks: 2, indirect_bytes: 80, indirect_blocks: None })
    );
    assert_eq!(
        events[events.len() - 2..],
        [
            Event::ErrorCounts(vec![ErrorCount { unique: 0, count: 2 }]),
            Event::SuppressionCounts(vec![SuppressionCount { name: "dl_init <glibc>".to_owned(), count: 7 }]),
        ]
    );
}

#[test]
fn a_kind_is_written_as_valgrind_writes_it() {
    for kind in Kind::KNOWN {
        assert_eq!(&Kind::from(kind.as_str()), kind);
        assert_eq!(kind.is_leak(), kind.as_str().starts_with("Leak_"));
    }
    assert_eq!(serde_json::to_string(&Kind::Leak_PossiblyLost).unwrap(), "\"Leak_PossiblyLost\"");
}
