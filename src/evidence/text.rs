//! The text log, read in pieces.

use super::line::{self, Voice};
use super::{Event, FatalSignal, Kind, Leaked, MAX_FRAMES, MAX_PIECE, Record, Stack, loss, sentence};

/// Reads a text log as it grows. Lines of other processes and of the program itself, as in a
/// `2>file` log, are ignored, and so is what Valgrind says besides records.
///
/// A text log names the thread only where it is another one than in the record before, and begins
/// in thread 1; so every record read from the log's beginning has its thread.
#[derive(Clone, Debug)]
pub struct TextReader {
    pid: u32,
    /// The last line, which has no end yet.
    unfinished: Vec<u8>,
    /// That line is too long: its end is awaited, and it is ignored.
    overlong: bool,
    thread: Option<u32>,
    /// What `3 errors in context 1 of 2:` announced of the record to come.
    repeated: Option<u64>,
    paragraph: Option<Paragraph>,
}

/// What the monitor commands `v.info last_error` ([`Event::Record`]) and `v.info all_errors`
/// ([`Event::Repeated`]) wrote into the text log of process `pid`. Where the records are in that log,
/// too, the answer of `v.info last_error` looks like a new record: read the log up to its
/// end before the command, and take what comes after it for the answer.
pub fn monitor_output(bytes: &[u8], pid: u32) -> Vec<Event> {
    let mut reader = TextReader { thread: None, ..TextReader::new(pid) };
    let mut events = reader.feed(bytes);
    events.extend(reader.finish());
    events
}

impl TextReader {
    /// A reader of what Valgrind writes about process `pid`.
    pub fn new(pid: u32) -> TextReader {
        TextReader {
            pid,
            unfinished: Vec::new(),
            overlong: false,
            thread: Some(1),
            repeated: None,
            paragraph: None,
        }
    }

    /// Takes the next bytes, and gives what they complete. A record is complete when the line
    /// after it is.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let room = MAX_PIECE - self.unfinished.len();
            self.overlong |= piece.len() > room;
            self.unfinished.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.end_line(&mut events);
            }
        }
        events
    }

    /// What the stream still gives if it ends here: a record with the lines that are complete.
    pub fn finish(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.unfinished.clear();
        self.end_paragraph(&mut events);
        events
    }

    fn end_line(&mut self, events: &mut Vec<Event>) {
        let line = std::mem::take(&mut self.unfinished);
        if std::mem::take(&mut self.overlong) {
            return;
        }
        match line::content(&String::from_utf8_lossy(&line), self.pid) {
            None => {}
            Some((Voice::Client, message)) => {
                self.end_paragraph(events);
                events.push(Event::ClientMessage(message.to_owned()));
            }
            Some((Voice::Valgrind, content)) => self.content(content, events),
        }
    }

    fn content(&mut self, content: &str, events: &mut Vec<Event>) {
        if content.trim().is_empty() {
            self.end_paragraph(events);
        } else if !content.starts_with(' ') {
            self.end_paragraph(events);
            if is_limit(content) {
                events.push(Event::LimitReached);
            }
            self.sentence(content);
        } else if let Some(paragraph) = &mut self.paragraph {
            paragraph.indented(content);
        }
    }

    /// A line that is not indented: the first of a paragraph, or one on its own.
    fn sentence(&mut self, sentence: &str) {
        if let Some(thread) = thread(sentence) {
            self.thread = Some(thread);
        } else if let Some(count) = context(sentence) {
            self.repeated = Some(count);
        } else if sentence.starts_with("Using Valgrind-") {
            self.thread = Some(1);
        } else if let Some((signo, name)) = fatal_signal(sentence) {
            self.begin(Subject::Signal { signo, name });
        } else if let Some((kind, leaked)) = sentence::kind_of(sentence) {
            let repeated = self.repeated.take();
            self.begin(Subject::Record { kind, what: sentence.to_owned(), leaked, repeated });
        }
    }

    fn begin(&mut self, subject: Subject) {
        self.paragraph = Some(Paragraph { subject, stacks: Vec::new(), room: MAX_FRAMES });
    }

    fn end_paragraph(&mut self, events: &mut Vec<Event>) {
        events.extend(self.paragraph.take().map(|paragraph| paragraph.into_event(self.thread)));
    }
}

/// A sentence, and the stacks under it.
#[derive(Clone, Debug)]
struct Paragraph {
    subject: Subject,
    stacks: Vec<Stack>,
    /// How many more lines may be kept.
    room: usize,
}

#[derive(Clone, Debug)]
enum Subject {
    Record { kind: Kind, what: String, leaked: Option<Leaked>, repeated: Option<u64> },
    Signal { signo: i32, name: String },
}

impl Paragraph {
    /// A frame of the last stack, or the label of a new one.
    fn indented(&mut self, content: &str) {
        let Some(room) = self.room.checked_sub(1) else { return };
        self.room = room;
        let frame = line::frame(content);
        if frame.is_none() || self.stacks.is_empty() {
            let label = frame.is_none().then(|| content.trim().to_owned());
            self.stacks.push(Stack { label, frames: Vec::new() });
        }
        if let (Some(frame), Some(stack)) = (frame, self.stacks.last_mut()) {
            stack.frames.push(frame);
        }
    }

    fn into_event(self, thread: Option<u32>) -> Event {
        match self.subject {
            Subject::Record { kind, what, leaked, repeated } => {
                let record = Record { unique: None, kind, what, thread, leaked, stacks: self.stacks };
                match repeated {
                    Some(count) => Event::Repeated { count, record },
                    None => Event::Record(record),
                }
            }
            Subject::Signal { signo, name } => {
                // What comes after the first stack is advice on the stack's size.
                let first =
                    self.stacks.into_iter().next().unwrap_or(Stack { label: None, frames: Vec::new() });
                let (event, address) = first.label.as_deref().map_or((None, None), event);
                let stack = Stack { label: None, frames: first.frames };
                Event::FatalSignal(FatalSignal { thread: None, signo, name, event, address, stack })
            }
        }
    }
}

/// Valgrind's last word on errors: it has a limit of different ones, and one of all.
fn is_limit(sentence: &str) -> bool {
    sentence.starts_with("More than ") && sentence.ends_with(" errors detected.  I'm not reporting any more.")
}

/// The number in `Thread 2:` and `Thread 2 worker:`.
fn thread(sentence: &str) -> Option<u32> {
    let rest = sentence.strip_prefix("Thread ")?.strip_suffix(':')?;
    rest.split(' ').next()?.parse().ok()
}

/// The count in `3 errors in context 1 of 2:`.
fn context(sentence: &str) -> Option<u64> {
    let (count, rest) = sentence.split_once(" errors in context ")?;
    rest.ends_with(':').then(|| loss::number(count))?
}

/// Number and name in `Process terminating with default action of signal 11 (SIGSEGV)`.
fn fatal_signal(sentence: &str) -> Option<(i32, String)> {
    let rest = sentence.strip_prefix("Process terminating with default action of signal ")?;
    let (signo, rest) = rest.split_once(" (")?;
    let (name, _) = rest.split_once(')')?;
    Some((signo.parse().ok()?, name.to_owned()))
}

/// Event and address in `Access not within mapped region at address 0x8`.
fn event(label: &str) -> (Option<String>, Option<u64>) {
    match label.split_once(" at address 0x") {
        Some((event, address)) => (Some(event.to_owned()), u64::from_str_radix(address, 16).ok()),
        None => (Some(label.to_owned()), None),
    }
}
