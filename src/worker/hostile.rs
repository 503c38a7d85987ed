//! A worker that sends what it wants. The corpus is `tests/fixtures/frames`: in each file the bodies of frames in
//! hexadecimal, one a line; after `raw` bytes without a length before them; `hello` is the first words of a good worker.
//!
//! The tests below try it with changes drawn at random, `make fuzz` with what libFuzzer finds to reach more of the code.

use std::fs::File;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::binding::{Handle, Loader};
use crate::bracket::Slot;
use crate::call::Memory;
use crate::worker::call::{CallRequest, CallbackCall, CallbackResult, Hooks};
use crate::worker::channel::{Channel, nameless_file, sockets};
use crate::worker::launch::Checker;
use crate::worker::protocol::{Argument, FINGERPRINT, MAGIC, ResultKind, VERSION};
use crate::worker::shared::Shared;
use crate::worker::{Copy, CopyOf};

/// How much the shared file holds, and how much it claims to.
const SHARED: usize = 1 << 16;
const CLAIMED: u64 = 1 << 40;

/// The first words of a good worker.
pub fn hello() -> Vec<u8> {
    let hello = Hello {
        fingerprint: FINGERPRINT.to_owned(),
        pid: 1,
        slots: Some((0x1000, 0x2000)),
        own_object: None,
        watched: Watched::No,
        count: 0,
    };
    framed(&[&MAGIC[..], &VERSION.to_le_bytes(), &postcard::to_stdvec(&hello).unwrap()].concat())
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_le_bytes(), body].concat()
}

/// What a file of the corpus stands for.
fn stream(text: &str) -> Vec<u8> {
    let hex = |text: &str| -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let frames = lines.filter(|line| !line.is_empty()).map(|line| match line.strip_prefix("raw ") {
        Some(bytes) => hex(bytes),
        None if line == "hello" => hello(),
        None => framed(&hex(line)),
    });
    frames.flatten().collect()
}

/// The corpus's names and streams.
pub fn corpus() -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/frames");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut corpus: Vec<_> = files
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, stream(&std::fs::read_to_string(&path).unwrap()))
        })
        .collect();
    corpus.sort();
    corpus
}

/// A client whose worker has sent these bytes and has ended.
fn client(bytes: &[u8]) -> Client {
    let child = Command::new("/bin/true").stdin(Stdio::null()).spawn().unwrap();
    let channel = || {
        let (here, there) = sockets().unwrap();
        let shared = nameless_file("hostile").unwrap();
        shared.write_all_at(&[1; SHARED], 0).unwrap();
        shared.set_len(CLAIMED).unwrap();
        (Channel::new(here, Shared::by_calls(shared)), UnixStream::from(there))
    };
    let ((main, mut worker), (others, _)) = (channel(), channel());
    worker.write_all(bytes).unwrap();
    worker.shutdown(Shutdown::Write).unwrap();
    // Its end stays open, so that what the parent sends is not refused.
    LISTENING.with_borrow_mut(|listening| *listening = Some(worker));
    let (_, lifeline) = sockets().unwrap();
    let (xml, log): (File, File) = (nameless_file("xml").unwrap(), nameless_file("log").unwrap());
    let launch = Launch { worker: "/bin/true".into(), checker: Checker::None };
    let launched = Launched { child, main, others, lifeline, xml, log };
    Client::of(launched, &launch, Surroundings::default(), || Ok(())).unwrap()
}

thread_local! {
    static LISTENING: std::cell::RefCell<Option<UnixStream>> = const { std::cell::RefCell::new(None) };
}

struct Echo;

impl Hooks for Echo {
    fn callback(&mut self, call: CallbackCall) -> Result<CallbackResult> {
        Ok(CallbackResult { bytes: call.arguments.concat(), errno: call.errno })
    }

    fn interrupted(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Everything that a parent may ask; what came of it.
fn ask_everything(client: &Client) -> Vec<std::result::Result<String, String>> {
    let mut buffer = [7; 16];
    let mut copies = [Copy { memory: CopyOf::InOut(&mut buffer), address: 0 }];
    let mut call = CallRequest {
        function: 1,
        slot: Slot::Call(1),
        errno: 0,
        result: ResultKind::Text,
        copies: &mut copies,
        arguments: &[Argument::Copy { index: 0, offset: 0 }],
        values: &[],
        check_results: false,
        outputs: &[],
        leak_check: true,
        timeout: None,
    };
    let mut read = [0; 24];
    fn told<T: std::fmt::Debug>(result: Result<T>) -> std::result::Result<String, String> {
        result.map(|answer| format!("{answer:?}")).map_err(|error| error.to_string())
    }
    let mut answers = vec![told(client.load(Path::new("lib.so")))];
    answers.push(told(client.symbol(Handle(1), "f")));
    answers.push(told(client.call(&mut call, &mut Echo)));
    answers.push(told(client.read(1, &mut read)));
    answers.push(told(client.text(1).map(|text| text.len())));
    answers.push(told(client.allocate(8)));
    answers.push(told(client.symbol_at(1)));
    answers.push(told(client.leak_check()));
    answers
}

/// What a parent's questions come to when a worker sends these bytes.
///
/// # Panics
/// If that takes long.
pub fn asked(bytes: &[u8]) -> Vec<std::result::Result<String, String>> {
    let started = Instant::now();
    let answers = ask_everything(&client(bytes));
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_makes_sense_is_understood() {
        let (_, bytes) = corpus().into_iter().find(|(name, _)| name == "good").unwrap();
        let answers: Vec<_> = asked(&bytes).into_iter().map(std::result::Result::unwrap).collect();
        assert_eq!(
            answers,
            [
                r#"Loaded { handle: Handle(5), path: "/l.so", base: 4096 }"#,
                "Some(32)",
                &format!(
                    "Returned {{ word: 9, wide: {:?}, text: Some([104, 105]), errno: 1, errors: 2, leaks: 0, count: 3, micros: 6 }}",
                    [0; 32]
                ),
                "()",
                "2",
                "Some(48)",
                r#"Some(SymbolAt { name: "f", library: "l" })"#,
                "4"
            ]
        );
    }

    #[test]
    fn nonsense_is_an_error_that_says_so() {
        const NONSENSE: &str = "the worker does not make sense any more";
        const NOT_STARTED: &str = "the worker '/bin/true' cannot be started: ";
        for (name, beginning) in [
            ("another-magic", format!("{NOT_STARTED}it ended")),
            (
                "another-version",
                "the worker '/bin/true' belongs to another build of pythy (it speaks protocol 2, not 1)"
                    .to_owned(),
            ),
            ("another-build", "the worker '/bin/true' belongs to another build of pythy (".to_owned()),
            ("silent", format!("{NOT_STARTED}it ended by exit(0)")),
            ("huge-frame", format!("{NONSENSE} (a frame of 4294967295 bytes)")),
            ("cut-off", "the C code ended the worker: it called exit(0)".to_owned()),
            (
                "answer-to-another-question",
                format!("{NONSENSE} (an answer to another question: Checked {{ count: 4 }})"),
            ),
            ("too-much", format!("{NONSENSE} (1 bytes too many)")),
            ("huge-path", format!("{NONSENSE} (no message: ")),
            ("unknown-message", format!("{NONSENSE} (no message: ")),
            ("data-beyond-the-file", format!("{NONSENSE} (data that are not in the shared file)")),
            ("text-beyond-the-file", format!("{NONSENSE} (")),
            ("another-size", format!("{NONSENSE} (15 bytes of data where 16 should be)")),
            ("endless-arguments", format!("{NONSENSE} (no message: ")),
            ("the-same-data-again", format!("{NONSENSE} (65536 bytes of data where 0 are)")),
            ("a-hole", format!("{NONSENSE} (1073741824 bytes of data where 65536 are)")),
            ("gives-up", format!("{NONSENSE} (why)")),
        ] {
            let (_, bytes) =
                corpus().into_iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}"));
            let error = asked(&bytes).into_iter().find_map(std::result::Result::err).unwrap();
            assert!(error.starts_with(&beginning), "{name}: {error}");
        }
    }

    /// xorshift64*, so that every run tries the same.
    struct Random(u64);

    impl Random {
        fn below(&mut self, n: usize) -> usize {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n.max(1)
        }

        fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
            let at = self.below(bytes.len());
            match self.below(7) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.below(256) as u8),
                2 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                3 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][self.below(5)],
                4 if !bytes.is_empty() => drop(bytes.remove(at)),
                5 => bytes.truncate(at + 4),
                _ => {
                    let from = self.below(other.len());
                    let end = from + self.below(other.len() - from);
                    bytes.splice(at..at, other[from..end].iter().copied());
                }
            }
        }
    }

    fn peak_memory() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    #[test]
    fn whatever_a_worker_sends_there_is_an_end() {
        let corpus = corpus();
        let hello = hello().len();
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let (before, mut failed) = (peak_memory(), 0);
        for round in 0..3000 {
            let mut bytes = corpus[random.below(corpus.len())].1.clone();
            let other = &corpus[random.below(corpus.len())].1;
            // Most of the time the beginning stays good, or nothing else would ever be reached.
            let kept = if round % 10 == 0 { 0 } else { hello.min(bytes.len()) };
            let mut rest = bytes.split_off(kept);
            for _ in 0..=random.below(4) {
                random.mutate(&mut rest, other);
            }
            bytes.extend(rest);
            failed += usize::from(asked(&bytes).iter().any(std::result::Result::is_err));
        }
        assert!(failed > 2000, "{failed}");
        assert!(peak_memory() - before < 300 << 10, "{} KiB more", peak_memory() - before);
    }
}
