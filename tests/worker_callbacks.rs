//! Function pointers that lead back to the parent, and several threads on either side.

mod support;

use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::mpsc;

use pythy::binding::{Eightbyte, Passing, RecordClass, Scalar};
use pythy::call::Memory;
use pythy::worker::{
    Argument, CallRequest, CallbackCall, CallbackResult, CallbackSignature, Checker, Client, Hooks,
    ResultKind,
};
use pythy::{Error, Result};
use support::{Fixture, NoHooks, compile, int, memcheck};

const SOURCE: &str = r#"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
typedef int (*binary)(int, int);
int apply(binary f, int a, int b) { return f(a, b) + 1; }
int add(int a, int b) { return a + b; }
static binary kept;
void keep(binary f) { kept = f; }
int use(int a, int b) { return kept(a, b); }
int read_beyond(void) { char *p = malloc(4); int c = p[4]; free(p); return 0; }
int err_and_apply(binary f) { read_beyond(); f(0, 0); return read_beyond(); }
struct pair { int a; double b; };
typedef struct pair (*changer)(struct pair, float, const char *);
double change(changer f) { struct pair p = { 3, 1.5 }, q = f(p, 0.5f, "text"); return q.a + q.b; }
int errno_of(binary f) { errno = 5; f(0, 0); return errno; }
static void *run(void *f) { return (void *)(long)((binary)f)(20, 3); }
int on_a_thread(binary f) {
    pthread_t thread; void *result;
    pthread_create(&thread, 0, run, f);
    pthread_join(thread, &result);
    return (int)(long)result;
}
"#;

const BINARY: u32 = 0;
const CHANGER: u32 = 1;

fn pair() -> RecordClass {
    let eightbytes = Some(vec![Eightbyte::Integer, Eightbyte::Sse]);
    RecordClass { size: 16, align: 8, eightbytes, x87: 0 }
}

fn fixtures() -> impl Iterator<Item = Fixture> {
    static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| compile("callbacks", SOURCE));
    [Checker::None, memcheck()].into_iter().map(|checker| {
        let fixture = Fixture::new(checker, &LIBRARY);
        let int = || Passing::Scalar(Scalar::I32);
        let binary = CallbackSignature { parameters: vec![int(), int()], result: int() };
        fixture.client.define(BINARY, &binary).unwrap();
        let scalar = Passing::Scalar;
        let parameters = vec![Passing::Record(pair()), scalar(Scalar::F32), scalar(Scalar::Pointer)];
        let changer = CallbackSignature { parameters, result: Passing::Record(pair()) };
        fixture.client.define(CHANGER, &changer).unwrap();
        fixture
    })
}

/// Hooks made of a function.
struct Run<F>(F);

impl<F: FnMut(CallbackCall) -> Result<CallbackResult>> Hooks for Run<F> {
    fn callback(&mut self, call: CallbackCall) -> Result<CallbackResult> {
        (self.0)(call)
    }

    fn interrupted(&mut self) -> Result<()> {
        Ok(())
    }
}

fn ints(call: &CallbackCall) -> Vec<i32> {
    call.arguments.iter().map(|bytes| i32::from_ne_bytes(bytes[..].try_into().unwrap())).collect()
}

fn gives(value: i64) -> Result<CallbackResult> {
    Ok(CallbackResult { bytes: value.to_ne_bytes().to_vec(), errno: 0 })
}

fn callback(id: u64) -> Argument {
    Argument::Callback { id, signature: BINARY }
}

#[test]
fn a_callback_of_the_call_gets_arguments_and_gives_a_result() {
    for fixture in fixtures() {
        let mut seen = Vec::new();
        let mut hooks = Run(|call: CallbackCall| {
            seen.push((call.id, ints(&call)));
            gives(-7)
        });
        let arguments = [callback(42), int(2), int(-3)];
        let returned = fixture.client.call(&mut fixture.request("apply", &arguments), &mut hooks).unwrap();
        assert_eq!((returned.word as i64, returned.errors), (-6, 0));
        assert_eq!(seen, [(42, vec![2, -3])]);
    }
}

#[test]
fn no_result_is_zero() {
    for fixture in fixtures() {
        let mut hooks = Run(|_| Ok(CallbackResult::default()));
        let arguments = [callback(1), int(2), int(3)];
        let returned = fixture.client.call(&mut fixture.request("apply", &arguments), &mut hooks).unwrap();
        assert_eq!(returned.word, 1);
    }
}

#[test]
fn a_callback_that_is_kept_works_until_it_is_dropped() {
    for fixture in fixtures() {
        let address = fixture.client.make_callback(9, BINARY).unwrap();
        fixture.call("keep", &[int(address as i64)]).unwrap();
        let mut hooks = Run(|call: CallbackCall| gives(i64::from(call.id as i32 * ints(&call)[0])));
        let arguments = [int(5), int(0)];
        let returned = fixture.client.call(&mut fixture.request("use", &arguments), &mut hooks).unwrap();
        assert_eq!(returned.word, 45);
        fixture.client.drop_callback(9);
        assert_eq!(fixture.call("add", &[int(1), int(1)]).unwrap().word, 2);
    }
}

#[test]
fn records_and_text_reach_a_callback() {
    for fixture in fixtures() {
        let client = fixture.client.clone();
        let mut hooks = Run(|call: CallbackCall| {
            let [pair, float, text] = &call.arguments[..] else { panic!() };
            assert_eq!((&pair[..4], &pair[8..]), (&3_i32.to_ne_bytes()[..], &1.5_f64.to_ne_bytes()[..]));
            assert_eq!(float[..], 0.5_f32.to_ne_bytes());
            let text = usize::from_ne_bytes(text[..].try_into().unwrap());
            assert_eq!(client.text(text).unwrap(), b"text");
            let mut bytes = vec![0; 16];
            bytes[..4].copy_from_slice(&40_i32.to_ne_bytes());
            bytes[8..].copy_from_slice(&2.25_f64.to_ne_bytes());
            Ok(CallbackResult { bytes, errno: 0 })
        });
        let arguments = [Argument::Callback { id: 1, signature: CHANGER }];
        let result = ResultKind::Word(Scalar::F64);
        let mut request = CallRequest { result, ..fixture.request("change", &arguments) };
        let returned = fixture.client.call(&mut request, &mut hooks).unwrap();
        assert_eq!(f64::from_bits(returned.word), 42.25);
    }
}

#[test]
fn errno_goes_through_a_callback() {
    for fixture in fixtures() {
        let mut hooks = Run(|call: CallbackCall| Ok(CallbackResult { bytes: vec![], errno: call.errno + 1 }));
        let arguments = [callback(1)];
        let returned = fixture.client.call(&mut fixture.request("errno_of", &arguments), &mut hooks).unwrap();
        assert_eq!(returned.word, 6);
    }
}

#[test]
fn errors_of_a_nested_call_are_its_own() {
    let fixture = fixtures().nth(1).unwrap();
    let mut nested = Vec::new();
    let before = fixture.call("add", &[int(0), int(0)]).unwrap().count;
    let mut hooks = Run(|call: CallbackCall| {
        assert_eq!(call.count, before + 1);
        for _ in 0..3 {
            nested.push(fixture.call("read_beyond", &[]).unwrap().errors);
        }
        gives(0)
    });
    let arguments = [callback(1)];
    let returned =
        fixture.client.call(&mut fixture.request("err_and_apply", &arguments), &mut hooks).unwrap();
    assert_eq!((returned.errors, returned.count), (2, before + 5));
    assert_eq!(nested, [1, 1, 1]);
}

#[test]
fn calls_nest_as_deep_as_they_like() {
    fn nest(fixture: &Fixture, depth: i64) -> i64 {
        let mut hooks = Run(|call: CallbackCall| {
            let left = i64::from(ints(&call)[0]);
            gives(if left == 0 { 100 } else { nest(fixture, left - 1) })
        });
        let arguments = [callback(1), int(depth), int(0)];
        fixture.client.call(&mut fixture.request("apply", &arguments), &mut hooks).unwrap().word as i32 as i64
    }
    for fixture in fixtures() {
        assert_eq!(nest(&fixture, 20), 121);
    }
}

#[test]
fn a_callback_on_another_thread_is_served_by_another_thread() {
    for fixture in fixtures() {
        let client = fixture.client.clone();
        let add = fixture.address("add");
        let served = std::thread::spawn(move || {
            let calls = client.clone();
            let mut hooks = Run(|call: CallbackCall| {
                let [a, b] = ints(&call)[..] else { panic!() };
                let arguments = [int(a.into()), int(b.into())];
                let mut request = request(add, &arguments);
                gives(calls.call(&mut request, &mut NoHooks)?.word as i64 * 2)
            });
            client.serve_callbacks(&mut hooks)
        });
        let returned = fixture.client.call(&mut fixture.request("on_a_thread", &[callback(1)]), &mut NoHooks);
        assert_eq!(returned.unwrap().word, 46);
        fixture.client.close();
        assert!(matches!(served.join().unwrap(), Err(Error::WorkerGone { .. })));
    }
}

fn request(function: usize, arguments: &[Argument]) -> CallRequest<'_, 'static> {
    support::request(function, pythy::bracket::Slot::Call(1), arguments, &mut [])
}

#[test]
fn threads_share_a_worker_and_are_never_mixed() {
    for fixture in fixtures() {
        let add = fixture.address("add");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let client: &Client = &fixture.client;
                scope.spawn(move || {
                    for round in 0..50 {
                        let arguments = [int(thread * 1000), int(round)];
                        let returned = client.call(&mut request(add, &arguments), &mut NoHooks).unwrap();
                        assert_eq!(returned.word as i64, thread * 1000 + round);
                    }
                });
            }
        });
    }
}

#[test]
fn another_thread_is_served_while_a_callback_runs() {
    for fixture in fixtures() {
        let (apply, add) = (fixture.address("apply"), fixture.address("add"));
        let client = &fixture.client;
        std::thread::scope(|scope| {
            let (begun, has_begun) = mpsc::channel();
            let (end, may_end) = mpsc::channel();
            let outer = scope.spawn(move || {
                let mut hooks = Run(|_| {
                    begun.send(()).unwrap();
                    may_end.recv().unwrap();
                    gives(10)
                });
                client.call(&mut request(apply, &[callback(1), int(0), int(0)]), &mut hooks).unwrap().word
            });
            has_begun.recv().unwrap();
            let arguments = [int(1), int(2)];
            assert_eq!(client.call(&mut request(add, &arguments), &mut NoHooks).unwrap().word, 3);
            // The outer callback ends while an inner one is open: its answer waits.
            let mut hooks = Run(|_| {
                end.send(()).unwrap();
                std::thread::yield_now();
                gives(20)
            });
            let inner = client.call(&mut request(apply, &[callback(2), int(0), int(0)]), &mut hooks).unwrap();
            assert_eq!((inner.word, outer.join().unwrap()), (21, 11));
        });
    }
}

#[test]
fn an_error_of_the_hooks_ends_the_worker() {
    for fixture in fixtures() {
        let mut hooks = Run(|_| Err(Error::Interrupted));
        let error =
            fixture.client.call(&mut fixture.request("apply", &[callback(1)]), &mut hooks).unwrap_err();
        assert_eq!(error.to_string(), "interrupted; the worker has been ended");
        assert_eq!(
            fixture.call_again("add").to_string(),
            "the worker has ended (it was interrupted), and what was in its memory is gone"
        );
    }
}
