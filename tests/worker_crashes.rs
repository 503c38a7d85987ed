//! However C code ends the worker, the parent knows how, keeps what was reported, and nothing is left behind.

mod support;

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use pythy::Error;
use pythy::evidence::Event;
use pythy::worker::{CallRequest, Checker, Client, Death, Ending};
use support::{Fixture, NoHooks, compile, int, launch, memcheck, patient};

const SOURCE: &str = r#"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>
static volatile int zero;
int segv(void) { *(volatile int *)8 = 1; return 0; }
int bus(void) {
    FILE *file = tmpfile();
    volatile char *page = mmap(0, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
    return page[0];
}
int fpe(void) { return 7 / zero; }
int ill(void) { __asm__ volatile("ud2"); return 0; }
int abrt(void) { abort(); }
int deep(int n) { volatile char local[1024]; local[0] = n; return deep(n + 1) + local[0]; }
int leave(int code) { exit(code); }
int leave_at_once(int code) { _exit(code); }
int spoil(void) {
    char *first = malloc(16), *second = malloc(16);
    memset(first, 0, 16 + 1024 + 64); // the redzone, and the size behind it
    free(first);
    free(second);
    // Freed blocks wait until there are so many of them.
    for (int i = 0; i < 200; i++) free(malloc(1 << 19));
    return 0;
}
int spin(void) { for (;;) zero = zero; }
int write_after(char *p, int n) { p[n] = 1; return n; }
int child_stays(void) { pid_t child = fork(); if (child == 0) { sleep(1000); } return child; }
int fork_and_return(void) { return fork(); }
int crash_with_child(void) { if (fork() == 0) { sleep(3); _exit(0); } abort(); }
"#;

fn fixture(checker: Checker) -> Fixture {
    static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| compile("crashes", SOURCE));
    Fixture::new(checker, &LIBRARY)
}

/// Calls a function that ends a worker; how it ended.
fn crash(checker: Checker, function: &str, argument: i64) -> (Death, Error, Vec<Event>) {
    let fixture = fixture(checker);
    let error = fixture.call(function, &[int(argument)]).unwrap_err();
    let death = fixture.client.death().unwrap();
    let later = fixture.call_again(function);
    assert!(matches!(later, Error::WorkerGone { .. }), "{later}");
    (death, error, fixture.client.events().unwrap())
}

/// Under Valgrind and without, a signal ends the worker in this function.
fn signal(function: &str, signal: i32, name: &str) {
    for checker in [Checker::None, memcheck()] {
        let watched = checker != Checker::None;
        let (death, error, events) = crash(checker, function, 0);
        assert_eq!(death, Death::Signal(signal), "{function}");
        assert_eq!(error.to_string(), format!("the C code ended the worker: {name}"));
        let fatal = events.iter().find_map(|event| match event {
            Event::FatalSignal(fatal) => Some(fatal),
            _ => None,
        });
        assert_eq!(fatal.map(|fatal| fatal.name.as_str()), watched.then_some(name), "{function}");
        let named = |fatal: &pythy::evidence::FatalSignal| {
            fatal.stack.frames.iter().any(|frame| frame.function.as_deref() == Some(function))
        };
        assert_eq!(fatal.map(named), watched.then_some(true), "{fatal:?}");
    }
}

#[test]
fn a_wild_pointer_is_sigsegv() {
    signal("segv", libc::SIGSEGV, "SIGSEGV");
}

#[test]
fn memory_that_its_file_does_not_have_is_sigbus() {
    signal("bus", libc::SIGBUS, "SIGBUS");
}

#[test]
fn a_division_by_zero_is_sigfpe() {
    signal("fpe", libc::SIGFPE, "SIGFPE");
}

#[test]
fn an_illegal_instruction_is_sigill() {
    signal("ill", libc::SIGILL, "SIGILL");
}

#[test]
fn abort_is_sigabrt() {
    signal("abrt", libc::SIGABRT, "SIGABRT");
}

#[test]
fn a_stack_overflow_is_sigsegv() {
    signal("deep", libc::SIGSEGV, "SIGSEGV");
}

#[test]
fn exit_tells_its_code() {
    for checker in [Checker::None, memcheck()] {
        for function in ["leave", "leave_at_once"] {
            let (death, error, _) = crash(checker.clone(), function, 3);
            assert_eq!(death, Death::Exit(3));
            assert_eq!(error.to_string(), "the C code ended the worker: it called exit(3)");
        }
    }
}

#[test]
fn what_makes_valgrind_give_up_is_told_in_its_words() {
    let (death, error, _) = crash(memcheck(), "spoil", 0);
    let Death::Valgrind(words) = death else { panic!("{death:?}") };
    assert!(words.contains("Heap block lo/hi size mismatch: lo = 2096, hi = 0. This is probably"), "{words}");
    assert!(error.to_string().starts_with("the C code ended the worker: Valgrind gave up: "), "{error}");
}

#[test]
fn a_call_that_takes_too_long_is_ended() {
    for checker in [Checker::None, memcheck()] {
        let fixture = fixture(checker);
        let timeout = Some(Duration::from_millis(300));
        let started = Instant::now();
        let mut request = CallRequest { timeout, ..fixture.request("spin", &[]) };
        let error = fixture.client.call(&mut request, &mut NoHooks).unwrap_err();
        assert_eq!(error.to_string(), "the call took longer than 0.3 s; the worker has been ended");
        assert!(started.elapsed() > Duration::from_millis(300));
        assert_eq!(fixture.client.death(), Some(Death::Ended(Ending::Timeout)));
    }
}

#[test]
fn what_was_reported_before_a_crash_is_kept() {
    let fixture = fixture(memcheck());
    let memory = pythy::call::Memory::allocate(&fixture.client, 8).unwrap().unwrap();
    let returned = fixture.call("write_after", &[int(memory as i64), int(8)]).unwrap();
    assert_eq!(returned.errors, 1);
    fixture.call("abrt", &[]).unwrap_err();
    let kinds: Vec<_> = fixture.records().iter().map(|record| format!("{:?}", record.kind)).collect();
    assert_eq!(kinds, ["InvalidWrite"]);
}

#[test]
fn a_process_that_c_code_forked_off_does_not_hide_the_end() {
    let fixture = fixture(Checker::None);
    let started = Instant::now();
    let error = fixture.call("crash_with_child", &[]).unwrap_err();
    assert_eq!(error.to_string(), "the C code ended the worker: SIGABRT");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn a_forked_copy_of_the_worker_does_not_answer() {
    for checker in [Checker::None, memcheck()] {
        let fixture = fixture(checker);
        let child = fixture.call("fork_and_return", &[]).unwrap();
        assert!(child.word as i32 > 0, "{child:?}");
        assert_eq!(
            fixture.call("leave", &[int(7)]).unwrap_err().to_string(),
            "the C code ended the worker: it called exit(7)"
        );
    }
}

/// Descriptors and children of this process.
fn left_behind() -> (usize, String) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap();
    (descriptors, children)
}

#[test]
fn nothing_is_left_behind() {
    // In a process of its own: other tests open files at the same time.
    if std::env::var_os("PYTHY_TEST_ALONE").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "nothing_is_left_behind", "--test-threads=1"])
            .env("PYTHY_TEST_ALONE", "1")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let library = compile("left", SOURCE);
    let before = left_behind();
    for (function, checker) in [
        ("segv", Checker::None),
        ("leave", Checker::None),
        ("abrt", memcheck()),
        ("spin", Checker::None),
        ("deep", Checker::None),
    ] {
        let fixture = Fixture::new(checker, &library);
        let timeout = Some(Duration::from_millis(200));
        let mut request = CallRequest { timeout, ..fixture.request(function, &[]) };
        fixture.client.call(&mut request, &mut NoHooks).unwrap_err();
    }
    let idle = Client::start(&launch(memcheck()), patient).unwrap();
    drop(idle);
    assert_eq!(left_behind(), before);
}
