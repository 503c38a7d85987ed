//! Where Valgrind's log is, tried with the Valgrind of this machine: this test program runs itself
//! under it, looks for the log from inside, makes a defect, and reads it from the log.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pythy::evidence::{Event, Kind, LogLocation, Tail, locate};
use pythy::valgrind::{self, Presence};

/// Where the program under Valgrind writes what it found.
const ANSWER: &str = "PYTHY_TEST_ANSWER";
/// Whether it forks first, and looks from the child.
const FORK: &str = "PYTHY_TEST_FORK";

/// A directory for one test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("pythy-location-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// This program under Valgrind, to run [`inside`]. Its own output goes nowhere.
fn under_valgrind(place: &Place, options: &[&str]) -> Command {
    let valgrind = valgrind::find().expect("these tests need Valgrind");
    let mut command = Command::new(valgrind.path);
    command
        .args(options)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "inside", "--ignored", "--test-threads=1"])
        .env(ANSWER, place.join("answer"))
        .env_remove("VALGRIND_OPTS")
        .env_remove("DEBUGINFOD_URLS")
        .current_dir(&place.0)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Runs it, and gives what it found.
fn answer(mut command: Command, place: &Place) -> Vec<String> {
    let status = command.status().unwrap();
    drop(command);
    assert!(status.success(), "{status}");
    fs::read_to_string(place.join("answer")).unwrap().lines().map(str::to_owned).collect()
}

/// Not a test: what the others run under Valgrind.
#[test]
#[ignore = "runs under Valgrind, started by the other tests"]
fn inside() {
    let Some(answer) = std::env::var_os(ANSWER) else { return };
    if std::env::var_os(FORK).is_some() {
        // SAFETY: the child goes on with this thread alone, which holds no lock, and ends in _exit.
        match unsafe { libc::fork() } {
            0 => {
                look(Path::new(&answer));
                // SAFETY: ends the child without running what belongs to the parent.
                unsafe { libc::_exit(0) }
            }
            child => {
                // SAFETY: waits for the child just made.
                unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            }
        }
    } else {
        look(Path::new(&answer));
    }
}

/// Writes what can be found from here: presence, the two logs, and the defects read back.
fn look(answer: &Path) {
    let mut file = File::create(answer).unwrap();
    let logs = locate();
    writeln!(file, "{:?}", valgrind::running()).unwrap();
    // What a build without Valgrind's headers goes by.
    assert!(fs::read_to_string("/proc/self/maps").unwrap().contains("/vgpreload_"));
    for location in [&logs.records, &logs.text] {
        match location {
            LogLocation::File(log) => writeln!(file, "{:?}", log.format).unwrap(),
            LogLocation::Unreadable { why } => writeln!(file, "{why}").unwrap(),
        }
    }
    if let LogLocation::File(log) = &logs.records {
        let mut tail = Tail::open(log).unwrap();
        let before = tail.poll().unwrap();
        assert!(!before.iter().any(is_defect), "{before:?}");
        defect();
        let after = tail.poll().unwrap();
        writeln!(file, "{}", after.iter().filter(|event| is_defect(event)).count()).unwrap();
        assert_eq!(tail.poll().unwrap(), []);
    }
}

/// Writes one byte behind a block.
#[inline(never)]
fn defect() {
    // SAFETY: not at all: the write is out of bounds, but it stays inside Memcheck's red zone, and
    // this runs nowhere but under Memcheck.
    unsafe {
        let block = libc::malloc(16).cast::<u8>();
        block.add(16).write_volatile(1);
        libc::free(block.cast());
    }
}

fn is_defect(event: &Event) -> bool {
    let Event::Record(record) = event else { return false };
    // What is inlined into `defect` comes before it.
    let mut functions = record.stacks[0].frames.iter().filter_map(|frame| frame.function.as_deref());
    record.kind == Kind::InvalidWrite
        && functions.any(|name| name.contains("defect"))
        && record.stacks[1].label.as_deref().is_some_and(|label| label.contains("after a block of size 16"))
}

/// A descriptor that the program under Valgrind gets with the same number.
fn hand_down(command: &mut Command, descriptor: OwnedFd) {
    // SAFETY: between fork and exec, only fcntl is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(move || match libc::fcntl(descriptor.as_raw_fd(), libc::F_SETFD, 0) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        })
    };
}

fn memfd() -> OwnedFd {
    // SAFETY: the name is a C string; the new descriptor is owned by what is returned.
    unsafe {
        let number = libc::memfd_create(c"evidence".as_ptr(), libc::MFD_CLOEXEC);
        assert!(number >= 0);
        OwnedFd::from_raw_fd(number)
    }
}

#[test]
fn a_text_log_in_a_file() {
    let place = Place::new("text");
    let command = under_valgrind(&place, &["--log-file=log"]);
    assert_eq!(answer(command, &place), ["Valgrind", "Text", "Text", "1"]);
}

#[test]
fn a_text_log_that_is_still_empty() {
    let place = Place::new("quiet");
    let command = under_valgrind(&place, &["-q", "--log-file=log"]);
    assert_eq!(answer(command, &place), ["Valgrind", "Text", "Text", "1"]);
}

#[test]
fn standard_error_in_a_file_with_other_things_in_it() {
    let place = Place::new("stderr");
    let mut log = File::create(place.join("log")).unwrap();
    writeln!(log, "==1== of another time\n<?xml version=\"1.0\"?>").unwrap();
    let mut command = under_valgrind(&place, &["--time-stamp=yes"]);
    command.stderr(log);
    assert_eq!(answer(command, &place), ["Valgrind", "Text", "Text", "1"]);
}

#[test]
fn xml_in_a_file_and_the_text_log_in_another() {
    let place = Place::new("xml");
    let command = under_valgrind(&place, &["--xml=yes", "--xml-file=log.xml", "--log-file=log"]);
    assert_eq!(answer(command, &place), ["Valgrind", "Xml", "Text", "1"]);
}

#[test]
fn xml_and_text_in_memory() {
    let place = Place::new("memfd");
    let (xml, log) = (memfd(), memfd());
    let options = [format!("--xml-fd={}", xml.as_raw_fd()), format!("--log-fd={}", log.as_raw_fd())];
    let mut command = under_valgrind(&place, &["--xml=yes", &options[0], &options[1]]);
    hand_down(&mut command, xml);
    hand_down(&mut command, log);
    assert_eq!(answer(command, &place), ["Valgrind", "Xml", "Text", "1"]);
}

#[test]
fn xml_in_a_file_and_the_text_log_in_a_pipe() {
    let place = Place::new("xml-pipe");
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = under_valgrind(&place, &["-q", "--xml=yes", "--xml-file=log.xml"]);
    command.stderr(writer);
    assert_eq!(
        answer(command, &place),
        [
            "Valgrind",
            "Xml",
            "Valgrind's log is a pipe, which cannot be read back; \
             run valgrind with --log-file=FILE or --xml=yes --xml-file=FILE",
            "1"
        ]
    );
    reader.read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn xml_that_cannot_be_read_is_not_looked_for_in_the_text_log() {
    let place = Place::new("xml-null");
    let command = under_valgrind(&place, &["--xml=yes", "--xml-file=/dev/null", "--log-file=log"]);
    assert_eq!(
        answer(command, &place),
        [
            "Valgrind",
            "Valgrind's XML is /dev/null, which cannot be read back; \
             run valgrind with --log-file=FILE or --xml=yes --xml-file=FILE",
            "Text"
        ]
    );
}

#[test]
fn a_pipe_cannot_be_read_back() {
    let place = Place::new("pipe");
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = under_valgrind(&place, &["-q"]);
    command.stderr(writer);
    let why = "Valgrind's log is a pipe, which cannot be read back; \
               run valgrind with --log-file=FILE or --xml=yes --xml-file=FILE";
    assert_eq!(answer(command, &place), ["Valgrind", why, why]);
    reader.read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_terminal_cannot_be_read_back() {
    let place = Place::new("terminal");
    let (mut controller, mut terminal) = (0, 0);
    // SAFETY: openpty writes the two numbers; the other pointers may be null.
    let result = unsafe {
        libc::openpty(
            &mut controller,
            &mut terminal,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    };
    assert_eq!(result, 0);
    // SAFETY: both descriptors are new and owned by nothing else.
    let (controller, terminal) =
        unsafe { (OwnedFd::from_raw_fd(controller), OwnedFd::from_raw_fd(terminal)) };
    let mut command = under_valgrind(&place, &["-q"]);
    command.stderr(terminal);
    let why = "Valgrind's log is the terminal, which cannot be read back; \
               run valgrind with --log-file=FILE or --xml=yes --xml-file=FILE";
    assert_eq!(answer(command, &place), ["Valgrind", why, why]);
    assert!(controller.as_raw_fd() >= 0);
}

#[test]
fn a_fork_is_told_that_the_xml_is_not_its_own() {
    let place = Place::new("fork-xml");
    let mut command = under_valgrind(&place, &["--xml=yes", "--xml-file=log.xml", "--log-file=log"]);
    command.env(FORK, "1");
    let answer = answer(command, &place);
    assert!(answer[1].starts_with("Valgrind's XML is about process "), "{answer:?}");
    assert_eq!(answer[2], "Text");
}

#[test]
fn a_fork_reads_its_own_lines_of_the_text_log() {
    let place = Place::new("fork-text");
    let mut command = under_valgrind(&place, &["--log-file=log"]);
    command.env(FORK, "1");
    assert_eq!(answer(command, &place), ["Valgrind", "Text", "Text", "1"]);
}

#[test]
fn without_valgrind_there_is_no_log() {
    assert_eq!(valgrind::running(), Presence::Native);
    let why = "Valgrind's log is not among the descriptors of this process; \
               run valgrind with --log-file=FILE or --xml=yes --xml-file=FILE";
    assert_eq!(locate().records, LogLocation::Unreadable { why: why.to_owned() });
    assert_eq!(locate().text_log(), None);
}
