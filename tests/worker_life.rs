//! A worker begins, belongs to one process, and ends with it.

mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pythy::worker::{Checker, Client, Launch, Watched};
use pythy::{Error, Result};
use support::{Fixture, NoHooks, compile, int, launch, memcheck, patient};

const SOURCE: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int spin(void) { puts("\nspinning"); fflush(stdout); for (volatile int i = 0;; i++); }
int add(int a, int b) { return a + b; }
const char *variable(const char *name) { return getenv(name); }
int say(const char *text) { return printf("%s\n", text); }
"#;

static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| compile("life", SOURCE));

/// This test binary once more, running this test alone, as the parent of a worker.
fn parent(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env("PYTHY_TEST_PARENT", "1");
    command
}

fn is_parent() -> bool {
    std::env::var_os("PYTHY_TEST_PARENT").is_some()
}

fn runs(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}

fn ends_with_its_parent(test: &str, checker: Checker) {
    if is_parent() {
        let fixture = Fixture::new(checker, &LIBRARY);
        println!("\nworker {}", fixture.client.pid());
        let _ = fixture.call("spin", &[]);
        return;
    }
    LazyLock::force(&LIBRARY);
    let mut parent = parent(test).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(std::result::Result::ok);
    let worker = lines.find_map(|line| Some(line.strip_prefix("worker ")?.to_owned())).unwrap();
    assert!(lines.any(|line| line == "spinning"));
    assert!(runs(&worker) && parent.try_wait().unwrap().is_none());
    parent.kill().unwrap();
    parent.wait().unwrap();
    let limit = Instant::now() + Duration::from_secs(5);
    while runs(&worker) {
        assert!(Instant::now() < limit, "worker {worker} lives on");
        std::thread::yield_now();
    }
}

#[test]
fn it_ends_when_its_parent_is_killed() {
    ends_with_its_parent("it_ends_when_its_parent_is_killed", Checker::None);
}

#[test]
fn it_ends_under_valgrind_when_its_parent_is_killed() {
    ends_with_its_parent("it_ends_under_valgrind_when_its_parent_is_killed", memcheck());
}

#[test]
fn a_forked_child_does_not_share_it() {
    const TEST: &str = "a_forked_child_does_not_share_it";
    if !is_parent() {
        assert!(parent(TEST).status().unwrap().success());
        return;
    }
    let fixture = Fixture::new(Checker::None, &LIBRARY);
    // SAFETY: the child only looks at what it has and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        Client::abandon_all();
        let told = fixture.call_again("add").to_string();
        let expected = "the worker has ended (it belongs to the process that this one was forked from), \
                        and what was in its memory is gone";
        drop(fixture);
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(told != expected)) };
    }
    let mut status = 0;
    // SAFETY: waits for the child just made.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(status, 0);
    assert_eq!(fixture.call("add", &[int(1), int(2)]).unwrap().word, 3);
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn interrupted() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
}

struct Interruptible;

impl pythy::worker::Hooks for Interruptible {
    fn callback(&mut self, call: pythy::worker::CallbackCall) -> Result<pythy::worker::CallbackResult> {
        NoHooks.callback(call)
    }

    fn interrupted(&mut self) -> Result<()> {
        interrupted()
    }
}

#[test]
fn waiting_can_be_interrupted() {
    for checker in [Checker::None, memcheck()] {
        INTERRUPTED.store(false, Ordering::Relaxed);
        let fixture = Fixture::new(checker, &LIBRARY);
        let mut request = fixture.request("spin", &[]);
        std::thread::scope(|scope| {
            let client = &fixture.client;
            let call = scope.spawn(move || {
                request.timeout = None;
                (client.call(&mut request, &mut Interruptible).unwrap_err(), Instant::now())
            });
            let since = Instant::now();
            INTERRUPTED.store(true, Ordering::Relaxed);
            let (error, ended) = call.join().unwrap();
            assert!(matches!(error, Error::Interrupted), "{error}");
            assert!(ended - since < Duration::from_secs(2));
        });
    }
}

#[test]
fn it_says_under_what_it_runs() {
    let client = |checker| Client::start(&launch(checker), patient).unwrap();
    let native = client(Checker::None);
    assert_eq!((native.watched().unwrap(), native.first_count().unwrap()), (Watched::No, 0));
    let watched = client(memcheck());
    assert_eq!((watched.watched().unwrap(), watched.first_count().unwrap()), (Watched::Yes, 0));
    let tables = watched.tables().unwrap();
    assert_eq!(tables.num_callers, 40);
    let own = std::fs::canonicalize(env!("CARGO_BIN_EXE_pythy-worker")).unwrap();
    assert_eq!(tables.own_object.as_deref(), own.to_str());
    assert!(tables.slots.is_some());
}

#[test]
fn the_environment_is_the_parents_and_valgrind_asks_no_debug_servers() {
    const TEST: &str = "the_environment_is_the_parents_and_valgrind_asks_no_debug_servers";
    if !is_parent() {
        let mut parent = parent(TEST);
        parent.env("DEBUGINFOD_URLS", "http://127.0.0.1:9/").env("PYTHY_TEST_WORD", "väl");
        assert!(parent.status().unwrap().success());
        return;
    }
    for checker in [Checker::None, memcheck()] {
        let fixture = Fixture::new(checker, &LIBRARY);
        for (name, value) in [
            ("DEBUGINFOD_URLS", Some("http://127.0.0.1:9/")),
            ("PYTHY_TEST_WORD", Some("väl")),
            ("PYTHY_DEBUGINFOD_URLS", None),
        ] {
            let mut name = name.as_bytes().to_vec();
            name.push(0);
            let mut copies = [pythy::worker::Copy { memory: pythy::worker::CopyOf::In(&name), address: 0 }];
            let mut returned = fixture.call_for_text("variable", &mut copies);
            assert_eq!(returned.take().as_deref(), value.map(str::as_bytes));
        }
    }
}

#[test]
fn what_c_code_prints_is_there_when_the_worker_is_closed() {
    const TEST: &str = "what_c_code_prints_is_there_when_the_worker_is_closed";
    if !is_parent() {
        let output = parent(TEST).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("first words\n") && text.contains("more words\n"), "{text}");
        return;
    }
    let fixture = Fixture::new(Checker::None, &LIBRARY);
    let first = pythy::worker::Argument::Copy { index: 0, offset: 0 };
    for text in [&b"first words\0"[..], b"more words\0"] {
        let text = pythy::worker::Copy { memory: pythy::worker::CopyOf::In(text), address: 0 };
        fixture.call_with("say", std::slice::from_ref(&first), &mut [text]).unwrap();
    }
    fixture.client.close();
}

fn start_error(worker: &Path, checker: Checker) -> String {
    let launch = Launch { worker: worker.to_owned(), checker };
    match Client::start(&launch, patient).and_then(|client| client.ready()) {
        Ok(()) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_no_worker_is_said_to_be_none() {
    assert_eq!(
        start_error(Path::new("/nowhere/pythy-worker"), Checker::None),
        "the worker '/nowhere/pythy-worker' cannot be started: it does not exist; reinstall pythy"
    );
    assert_eq!(
        start_error(Path::new("/bin/false"), Checker::None),
        "the worker '/bin/false' cannot be started: it ended by exit(1); see its standard error"
    );
    let options = vec!["--no-such-option".to_owned()];
    let Checker::Memcheck { valgrind, .. } = memcheck() else { panic!() };
    let worker = env!("CARGO_BIN_EXE_pythy-worker");
    assert_eq!(
        start_error(Path::new(worker), Checker::Memcheck { valgrind, options }),
        format!("the worker '{worker}' cannot be started: it ended by exit(1); see its standard error")
    );
}
