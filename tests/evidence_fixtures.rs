//! What Valgrind really wrote, and what is read of it. The recordings' README tells how they were made.

use std::fs;
use std::path::PathBuf;

use pythy::evidence::{Event, Record, TextReader, XmlReader};

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/valgrind").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn xml(bytes: &[u8]) -> Vec<Event> {
    let mut reader = XmlReader::new();
    let mut events = reader.feed(bytes);
    events.extend(reader.finish());
    events
}

/// The process that a recorded text log is about.
fn pid(bytes: &[u8]) -> u32 {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().find(|line| line.starts_with("==")).expect("a line of Valgrind's");
    let number = line.trim_start_matches('=').split("==").next().unwrap();
    number.rsplit(' ').next().unwrap().parse().expect("a process number")
}

fn text(bytes: &[u8]) -> Vec<Event> {
    let mut reader = TextReader::new(pid(bytes));
    let mut events = reader.feed(bytes);
    events.extend(reader.finish());
    events
}

fn records(events: &[Event]) -> Vec<&Record> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Record(record) => Some(record),
            _ => None,
        })
        .collect()
}

/// A record in a line: the kind, the thread, and the innermost functions of its stacks.
fn line(record: &Record) -> String {
    let stacks: Vec<String> = record
        .stacks
        .iter()
        .map(|stack| {
            let functions: Vec<&str> =
                stack.frames.iter().take(2).map(|frame| frame.function.as_deref().unwrap_or("???")).collect();
            functions.join("<")
        })
        .collect();
    format!("{} {} {}", record.kind, record.thread.unwrap_or(0), stacks.join(" | "))
}

#[test]
fn every_kind_in_both_formats() {
    for name in ["kinds", "origins", "segv", "abort", "jump"] {
        let xml = xml(&fixture(&format!("3.19-{name}.xml")));
        let text = text(&fixture(&format!("3.19-{name}.log")));
        let lines = |events: &[Event]| records(events).into_iter().map(line).collect::<Vec<_>>();
        println!("{:#?}", lines(&xml));
        assert_eq!(lines(&xml), lines(&text));
    }
}
