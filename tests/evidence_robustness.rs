//! The readers take whatever comes: in any pieces, cut off anywhere, and damaged.

use std::fs;
use std::path::PathBuf;

use pythy::evidence::{Event, TextReader, XmlReader};

/// Either reader.
#[derive(Clone)]
enum Reader {
    Xml(XmlReader),
    Text(TextReader),
}

impl Reader {
    fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        match self {
            Reader::Xml(reader) => reader.feed(bytes),
            Reader::Text(reader) => reader.feed(bytes),
        }
    }

    fn finish(&mut self) -> Vec<Event> {
        match self {
            Reader::Xml(reader) => reader.finish(),
            Reader::Text(reader) => reader.finish(),
        }
    }

    fn all(mut self, bytes: &[u8], piece: usize) -> Vec<Event> {
        let mut events: Vec<Event> = bytes.chunks(piece).flat_map(|piece| self.feed(piece)).collect();
        events.extend(self.finish());
        events
    }
}

/// Every recording, with a reader for it.
fn fixtures() -> Vec<(String, Vec<u8>, Reader)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/valgrind");
    let mut fixtures: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let extension = path.extension()?.to_str()?;
            if !["xml", "log"].contains(&extension) {
                return None;
            }
            let bytes = fs::read(&path).unwrap();
            let reader = match extension {
                "xml" => Reader::Xml(XmlReader::new()),
                _ => Reader::Text(TextReader::new(pid(&bytes))),
            };
            Some((path.file_name()?.to_string_lossy().into_owned(), bytes, reader))
        })
        .collect();
    fixtures.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(fixtures.len() >= 16);
    fixtures
}

fn pid(log: &[u8]) -> u32 {
    let text = String::from_utf8_lossy(log);
    text.trim_start_matches('=').split("==").next().unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn pieces_of_any_size_give_the_same_events() {
    for (name, bytes, reader) in fixtures() {
        let whole = reader.clone().all(&bytes, usize::MAX);
        assert!(whole.len() >= 3, "{name}");
        for piece in [1, 7, 1000] {
            assert_eq!(reader.clone().all(&bytes, piece), whole, "{name} by {piece}");
        }
    }
}

#[test]
fn cut_off_anywhere_what_came_before_stands() {
    for (name, bytes, reader) in fixtures() {
        let whole = reader.clone().all(&bytes, usize::MAX);
        let mut reader = reader;
        let mut seen = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let events = reader.feed(&[*byte]);
            assert_eq!(events, whole[seen..seen + events.len()], "{name} at {at}");
            seen += events.len();

            // What is incomplete gives nothing, or a part of the very event that was to come.
            let rest = reader.clone().finish();
            assert!(rest.len() <= 1, "{name} at {at}: {rest:?}");
            if let Some(cut_off) = rest.first() {
                assert_is_part(cut_off, &whole[seen], &format!("{name} at {at}"));
            }
        }
    }
}

fn assert_is_part(part: &Event, whole: &Event, place: &str) {
    let (part, whole) = match (part, whole) {
        (Event::Record(part), Event::Record(whole)) => (part, whole),
        (Event::Repeated { record: part, .. }, Event::Repeated { record: whole, .. }) => (part, whole),
        (Event::FatalSignal(part), Event::FatalSignal(whole)) => {
            return assert_eq!(part.signo, whole.signo, "{place}");
        }
        _ => panic!("{place}: {part:?} for {whole:?}"),
    };
    assert_eq!(part.kind, whole.kind, "{place}");
    assert!(part.stacks.len() <= whole.stacks.len(), "{place}");
    for (part, whole) in part.stacks.iter().zip(&whole.stacks) {
        assert_eq!(part.label, whole.label, "{place}");
        assert!(part.frames.len() <= whole.frames.len(), "{place}");
        for (part, whole) in part.frames.iter().zip(&whole.frames) {
            assert!(part.ip == whole.ip, "{place}: {:x} for {:x}", part.ip, whole.ip);
        }
    }
}

#[test]
fn damage_is_survived_and_repeatable() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for (name, bytes, reader) in fixtures() {
        for _ in 0..20 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random.below(8) {
                random.damage(&mut damaged);
            }
            let whole = reader.clone().all(&damaged, usize::MAX);
            assert_eq!(reader.clone().all(&damaged, 1 + random.below(50)), whole, "{name}");
        }
    }
}

#[test]
fn noise_is_no_event() {
    let mut random = Random(42);
    for _ in 0..50 {
        let noise: Vec<u8> = (0..2000).map(|_| b"<>&;=* /!?[]-\n1x\xff"[random.below(17)]).collect();
        for reader in [Reader::Xml(XmlReader::new()), Reader::Text(TextReader::new(1))] {
            let whole = reader.clone().all(&noise, usize::MAX);
            assert!(whole.iter().all(|event| matches!(event, Event::ClientMessage(_))), "{whole:?}");
            assert_eq!(reader.all(&noise, 3), whole);
        }
    }
}

#[test]
fn after_a_line_or_tag_without_end_reading_goes_on() {
    let endless = vec![b'x'; 3 << 20];
    let record = "==1== Invalid read of size 4\n==1==    at 0x1: f (a.c:1)\n==1== \n";
    let text = [&endless[..], b"==1== Invalid read of size 1\n", record.as_bytes()].concat();
    assert_eq!(Reader::Text(TextReader::new(1)).all(&text, 1 << 18).len(), 1);

    let record = "<error><kind>InvalidRead</kind><what>Invalid read of size 4</what></error>";
    for opening in ["", "<", "<![CDATA[", "&"] {
        let xml = [opening.as_bytes(), &endless, b">", record.as_bytes()].concat();
        assert_eq!(Reader::Xml(XmlReader::new()).all(&xml, 1 << 18).len(), 1, "{opening}");
    }
}

#[test]
fn a_record_without_end_is_cut() {
    let frames = "==1==    at 0x1: f (a.c:1)\n".repeat(20_000);
    let text = format!("==1== Invalid read of size 4\n{frames}==1== \n");
    let events = Reader::Text(TextReader::new(1)).all(text.as_bytes(), 1 << 16);
    let Event::Record(record) = &events[0] else { panic!("{events:?}") };
    assert_eq!(record.stacks[0].frames.len(), 4096);

    let frames = "<frame><ip>0x1</ip><fn>f</fn></frame>".repeat(20_000);
    let xml = format!(
        "<error><kind>InvalidRead</kind><stack>{frames}</stack></error><status><state>FINISHED</state></status>"
    );
    let events = Reader::Xml(XmlReader::new()).all(xml.as_bytes(), 1 << 16);
    let Event::Record(record) = &events[0] else { panic!("{events:?}") };
    assert_eq!(record.stacks[0].frames.len(), 4096);
    assert_eq!(events[1], Event::Finished);
}

#[test]
fn other_output_in_the_xml_is_passed_over() {
    let xml = "<html>&nbsp; a < b <p>\n<status><state>FINISHED</state></status></html>\n\
               <error><kind>InvalidRead</kind><what>a &lt;&#98;&gt; &amp; c</what></error>";
    let events = Reader::Xml(XmlReader::new()).all(xml.as_bytes(), usize::MAX);
    assert_eq!(events[0], Event::Finished);
    let Event::Record(record) = &events[1] else { panic!("{events:?}") };
    assert_eq!(record.what, "a <b> & c");
}

#[test]
fn records_go_on_after_the_end_that_a_fork_wrote() {
    let record = |number| {
        format!(
            "<error><unique>0x{number:x}</unique><tid>1</tid><kind>InvalidRead</kind><what>Invalid read of size 4</what></error>\n"
        )
    };
    let xml = format!(
        "<valgrindoutput>\n{}<status><state>FINISHED</state></status></valgrindoutput>\n{}</valgrindoutput>",
        record(0),
        record(1)
    );
    let events = Reader::Xml(XmlReader::new()).all(xml.as_bytes(), usize::MAX);
    let numbers: Vec<_> = events
        .iter()
        .filter_map(|event| if let Event::Record(record) = event { record.unique } else { None })
        .collect();
    assert_eq!(numbers, [0, 1]);
}

/// A small generator of numbers, always the same.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// Flips a byte, removes some, or repeats some.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let end = (at + self.below(200)).min(bytes.len());
        match self.below(3) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => drop(bytes.drain(at..end)),
            _ => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
}
