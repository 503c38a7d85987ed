//! Calls in a worker, under Valgrind and without it.

mod support;

use std::path::PathBuf;
use std::sync::LazyLock;

use pythy::binding::{Eightbyte, Loader, RecordClass, Scalar};
use pythy::call::Memory;
use pythy::worker::{Argument, CallRequest, Checker, Copy, CopyOf, ResultKind, Returned};
use support::{Fixture, NoHooks, compile, int, memcheck};

const SOURCE: &str = r#"
#include <complex.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
int add(int a, int b) { return a + b; }
long digits(int a, long b, short c, char d, unsigned e, int f, int g, int h) {
    return (((((((a * 10L + b) * 10 + c) * 10 + d) * 10 + e) * 10 + f) * 10 + g) * 10) + h;
}
double scale(double x, int by, float z) { return x * by + z; }
float narrow(float x) { return x / 2; }
int set_errno(int e) { int before = errno; errno = e; return before; }
void fill(char *out, int n) { memset(out, 'x', n); }
int same(const char *a, const char *b) { return a == b; }
int sum(const unsigned char *bytes, int n) { int sum = 0; while (n--) sum += *bytes++; return sum; }
void invert(unsigned char *bytes, int n) { while (n--) { *bytes = ~*bytes; bytes++; } }
const char *greet(int yes) { return yes ? "hello" : 0; }
char *open_ended(void) { char *text = malloc(4); memset(text, 'x', 4); return text; }
struct pair { int a; double b; };
struct large { long items[4]; };
struct pair swap(struct pair p, int by) { struct pair q = { (int)p.b * by, p.a }; return q; }
struct large shift(struct large l) { struct large m = {{ l.items[3], l.items[0], l.items[1], l.items[2] }}; return m; }
long double halve(long double x) { return x / 2; }
double complex turn(double complex z) { return z * I; }
int total(int count, ...) {
    va_list list; double sum = 0;
    va_start(list, count);
    while (count--) sum += va_arg(list, double);
    va_end(list);
    return (int)sum;
}
int lose(int n) { return malloc(n) ? n : 0; }
char *lose_text(void) { char *text = malloc(3); strcpy(text, "ab"); return text; }
void *make(int n) { return malloc(n); }
int half_done(char *out) { out[0] = 1; return 0; }
int undefined(void) { int *memory = malloc(4), value = *memory; free(memory); return value; }
"#;

fn in_copy(index: u32) -> Argument {
    Argument::Copy { index, offset: 0 }
}

fn fixtures() -> impl Iterator<Item = Fixture> {
    static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| compile("calls", SOURCE));
    [Checker::None, memcheck()].into_iter().map(|checker| Fixture::new(checker, &LIBRARY))
}

fn under_valgrind() -> Fixture {
    fixtures().nth(1).unwrap()
}

impl Fixture {
    fn result(&self, name: &str, arguments: &[Argument], result: ResultKind) -> Returned {
        self.client.call(&mut CallRequest { result, ..self.request(name, arguments) }, &mut NoHooks).unwrap()
    }

    fn checked(&self, name: &str, arguments: &[Argument], result: ResultKind) -> Returned {
        let request = self.request(name, arguments);
        self.client.call(&mut CallRequest { result, leak_check: true, ..request }, &mut NoHooks).unwrap()
    }
}

#[test]
fn words_travel_in_registers_and_on_the_stack() {
    for fixture in fixtures() {
        assert_eq!(fixture.call("add", &[int(2), int(-5)]).unwrap().word as i64, -3);
        let eight: Vec<_> = (1..=8).map(int).collect();
        assert_eq!(fixture.result("digits", &eight, ResultKind::Word(Scalar::I64)).word, 12_345_678);
        let arguments =
            [Argument::Float(2.5_f64.to_bits()), int(4), Argument::Float(u64::from(0.25_f32.to_bits()))];
        let result = fixture.result("scale", &arguments, ResultKind::Word(Scalar::F64));
        assert_eq!(f64::from_bits(result.word), 10.25);
        let one = [Argument::Float(u64::from(1.0_f32.to_bits()))];
        let result = fixture.result("narrow", &one, ResultKind::Word(Scalar::F32));
        assert_eq!(f32::from_bits(result.word as u32), 0.5);
        let doubles = [int(3), Argument::Float(1.5_f64.to_bits()), Argument::Float(2.5_f64.to_bits())];
        let doubles = [&doubles[..], &[Argument::Float(4.0_f64.to_bits())]].concat();
        assert_eq!(fixture.call("total", &doubles).unwrap().word, 8);
    }
}

#[test]
fn errno_goes_in_and_comes_out() {
    for fixture in fixtures() {
        let arguments = [int(11)];
        let mut request = CallRequest { errno: 7, ..fixture.request("set_errno", &arguments) };
        let returned = fixture.client.call(&mut request, &mut NoHooks).unwrap();
        assert_eq!((returned.word, returned.errno), (7, 11));
    }
}

#[test]
fn a_copy_is_of_exactly_its_size_and_comes_back() {
    for fixture in fixtures() {
        let mut buffer = [0; 4];
        let mut copies = [Copy { memory: CopyOf::InOut(&mut buffer), address: 0 }];
        let returned = fixture.call_with("fill", &[in_copy(0), int(4)], &mut copies).unwrap();
        assert_eq!((returned.errors, copies[0].address != 0), (0, true));
        assert_eq!(buffer, *b"xxxx");
    }
    let fixture = under_valgrind();
    let mut buffer = [0; 4];
    let mut copies = [Copy { memory: CopyOf::InOut(&mut buffer), address: 0 }];
    let before = fixture.call("add", &[int(1), int(1)]).unwrap().count;
    let returned = fixture.call_with("fill", &[in_copy(0), int(5)], &mut copies).unwrap();
    let address = copies[0].address;
    assert_eq!((returned.errors, returned.count), (1, before + 1));
    let [record] = &fixture.records()[..] else { panic!() };
    assert_eq!(record.what, "Invalid write of size 1");
    let label = format!("Address 0x{:x} is 0 bytes after a block of size 4 alloc'd", address + 4);
    assert_eq!(record.stacks[1].label.as_deref(), Some(label.as_str()));
}

#[test]
fn the_same_copy_has_one_address_and_two_have_two() {
    for fixture in fixtures() {
        let copy = || Copy { memory: CopyOf::In(b"abc"), address: 0 };
        let twice = [in_copy(0), in_copy(0)];
        assert_eq!(fixture.call_with("same", &twice, &mut [copy()]).unwrap().word, 1);
        let two = [in_copy(0), in_copy(1)];
        assert_eq!(fixture.call_with("same", &two, &mut [copy(), copy()]).unwrap().word, 0);
    }
}

#[test]
fn data_of_every_size_arrive_and_come_back() {
    for fixture in fixtures() {
        for size in [0, 1, 63, 4096, 800, 1024, 1025, 1 << 16, (1 << 20) + 3, 100] {
            let mut bytes: Vec<u8> = (0..size).map(|index| (index * 7 + index / 251) as u8).collect();
            let inverted: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
            let expected = bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            let mut copies = [Copy { memory: CopyOf::In(&bytes), address: 0 }];
            let arguments = [in_copy(0), int(size as i64)];
            assert_eq!(fixture.call_with("sum", &arguments, &mut copies).unwrap().word, expected);
            let mut other = bytes.clone();
            let mut copies = [
                Copy { memory: CopyOf::In(&other.clone()), address: 0 },
                Copy { memory: CopyOf::InOut(&mut bytes), address: 0 },
                Copy { memory: CopyOf::InOut(&mut other), address: 0 },
            ];
            let arguments = [in_copy(1), int(size as i64)];
            fixture.call_with("invert", &arguments, &mut copies).unwrap();
            assert!(bytes == inverted, "{size}");
            assert!(other.iter().zip(&inverted).all(|(one, two)| *one == !two), "{size}");
        }
    }
}

#[test]
fn memory_of_the_worker_is_read_and_written() {
    for fixture in fixtures() {
        let memory: &dyn Memory = &fixture.client;
        let address = memory.allocate(100_000).unwrap().unwrap();
        let mut bytes = vec![1; 100_000];
        memory.read(address, &mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 0));
        let text: Vec<u8> = (0..99_999).map(|index| b'a' + (index % 26) as u8).collect();
        memory.write(address, &text).unwrap();
        memory.write(address + 5, b"X").unwrap();
        assert_eq!(memory.text(address).unwrap().len(), 99_999);
        assert_eq!(&memory.text(address).unwrap()[..7], b"abcdeXg");
        memory.free(address);
        assert_eq!(memory.allocate(1 << 60).unwrap(), None);
        assert_eq!(fixture.call("add", &[int(1), int(2)]).unwrap().errors, 0);
    }
}

#[test]
fn text_is_read_as_part_of_the_call() {
    for fixture in fixtures() {
        let returned = fixture.result("greet", &[int(1)], ResultKind::Text);
        assert_eq!(returned.text.as_deref(), Some(&b"hello"[..]));
        assert_eq!(fixture.result("greet", &[int(0)], ResultKind::Text).text, None);
    }
    let returned = under_valgrind().result("open_ended", &[], ResultKind::Text);
    assert_eq!(&returned.text.unwrap()[..4], b"xxxx");
    assert!(returned.errors > 0);
}

fn class(size: usize, eightbytes: Option<Vec<Eightbyte>>, x87: usize) -> RecordClass {
    RecordClass { size, align: if x87 > 0 { 16 } else { 8 }, eightbytes, x87 }
}

#[test]
fn records_and_wide_numbers_go_by_value() {
    for fixture in fixtures() {
        let mut pair = [0; 16];
        pair[..4].copy_from_slice(&3_i32.to_ne_bytes());
        pair[8..].copy_from_slice(&5.0_f64.to_ne_bytes());
        let pair_class = class(16, Some(vec![Eightbyte::Integer, Eightbyte::Sse]), 0);
        let mut swapped = [0; 16];
        swapped[..4].copy_from_slice(&10_i32.to_ne_bytes());
        swapped[8..].copy_from_slice(&3.0_f64.to_ne_bytes());
        let here = fixture.client.allocate(16).unwrap().unwrap();
        fixture.client.write(here, &pair).unwrap();
        for first in [Argument::Value(pair_class.clone()), Argument::ValueAt(pair_class.clone(), here as u64)]
        {
            let arguments = [first, int(2)];
            let mut request = CallRequest {
                values: &pair,
                result: ResultKind::Record(pair_class.clone()),
                ..fixture.request("swap", &arguments)
            };
            let returned = fixture.client.call(&mut request, &mut NoHooks).unwrap();
            let mut result = [0; 16];
            fixture.client.read(returned.word as usize, &mut result).unwrap();
            assert_eq!((&result[..4], &result[8..]), (&swapped[..4], &swapped[8..]));
            fixture.client.free(returned.word as usize);
        }

        let items: Vec<u8> = [1_i64, 2, 3, 4].iter().flat_map(|item| item.to_ne_bytes()).collect();
        let arguments = [Argument::Value(class(32, None, 0))];
        let result = ResultKind::Record(class(32, None, 0));
        let mut request = CallRequest { values: &items, result, ..fixture.request("shift", &arguments) };
        let returned = fixture.client.call(&mut request, &mut NoHooks).unwrap();
        let mut result = [0; 32];
        fixture.client.read(returned.word as usize, &mut result).unwrap();
        assert_eq!(result[..8], 4_i64.to_ne_bytes());
        assert_eq!(result[8..], items[..24]);

        let mut bytes = [0; 16];
        pythy::call::wide::write(pythy::binding::Wide::LongDouble, (5.0, 0.0), &mut bytes);
        let arguments = [Argument::Value(pythy::binding::Wide::LongDouble.class())];
        let result = ResultKind::Wide(pythy::binding::Wide::LongDouble.class());
        let mut request = CallRequest { values: &bytes, result, ..fixture.request("halve", &arguments) };
        let returned = fixture.client.call(&mut request, &mut NoHooks).unwrap();
        assert_eq!(pythy::call::wide::read(pythy::binding::Wide::LongDouble, &returned.wide).0, 2.5);

        let complex = pythy::binding::Wide::ComplexDouble;
        pythy::call::wide::write(complex, (1.0, 2.0), &mut bytes);
        let arguments = [Argument::Value(complex.class())];
        let result = ResultKind::Wide(complex.class());
        let mut request = CallRequest { values: &bytes, result, ..fixture.request("turn", &arguments) };
        let returned = fixture.client.call(&mut request, &mut NoHooks).unwrap();
        assert_eq!(pythy::call::wide::read(complex, &returned.wide), (-2.0, 1.0));
    }
}

#[test]
fn results_that_c_left_undefined_are_the_calls_errors_when_asked_for() {
    let fixture = under_valgrind();
    assert_eq!(fixture.call("undefined", &[]).unwrap().errors, 0);
    let mut request = CallRequest { check_results: true, ..fixture.request("undefined", &[]) };
    assert_eq!(fixture.client.call(&mut request, &mut NoHooks).unwrap().errors, 1);
    let mut buffer = [0; 4];
    let mut copies = [Copy { memory: CopyOf::InOut(&mut buffer), address: 0 }];
    assert_eq!(fixture.call_with("half_done", &[in_copy(0)], &mut copies).unwrap().errors, 0);
    assert_eq!(buffer[0], 1);
}

#[test]
fn each_leak_is_found_by_the_check_after_its_call_and_by_no_other() {
    let fixture = under_valgrind();
    for round in 1..=20 {
        assert_eq!(fixture.checked("add", &[int(1), int(2)], ResultKind::Word(Scalar::I32)).leaks, 0);
        let lost = fixture.checked("lose", &[int(round)], ResultKind::Word(Scalar::I32));
        assert_eq!((lost.leaks, lost.word), (1, round as u64), "round {round}");
        assert_eq!(fixture.checked("lose_text", &[], ResultKind::Text).leaks, 1, "round {round}");
    }
    let leaked = fixture.records().len();
    assert_eq!(leaked, 40);
}

#[test]
fn a_pointer_that_python_holds_is_not_lost() {
    let fixture = under_valgrind();
    let made = fixture.checked("make", &[int(10)], ResultKind::Word(Scalar::Pointer));
    assert_eq!(made.leaks, 0);
    let root = fixture.client.root(made.word as usize);
    for _ in 0..3 {
        assert_eq!(fixture.checked("add", &[int(1), int(2)], ResultKind::Word(Scalar::I32)).leaks, 0);
    }
    assert!(!fixture.client.take_released());
    drop(root);
    assert!(fixture.client.take_released());
    let before = fixture.call("add", &[int(1), int(2)]).unwrap().count;
    assert_eq!(fixture.client.leak_check().unwrap(), before + 1);
    // Never made a root: gone with the next request.
    assert_eq!(fixture.checked("make", &[int(10)], ResultKind::Word(Scalar::Pointer)).leaks, 0);
    assert_eq!(fixture.checked("add", &[int(1), int(2)], ResultKind::Word(Scalar::I32)).leaks, 1);
}

#[test]
fn every_record_names_its_call() {
    let fixture = under_valgrind();
    let tables = fixture.client.tables().unwrap();
    for number in [1, 4095, 4096, 123_456] {
        let slot = pythy::bracket::Slot::Call(number);
        let arguments = [int(5)];
        let mut request = CallRequest { slot, leak_check: true, ..fixture.request("lose", &arguments) };
        fixture.client.call(&mut request, &mut NoHooks).unwrap();
        let [record] = &fixture.records()[..] else { panic!() };
        let place = tables.place(&record.stacks[0]);
        assert_eq!(place, pythy::attribution::Place::InCall { slot, depth: 2 });
    }
}

#[test]
fn symbols_are_known_by_name_and_by_address() {
    for fixture in fixtures() {
        let address = fixture.address("add");
        let symbol = fixture.client.symbol_at(address).unwrap().unwrap();
        assert_eq!(symbol.name, "add");
        assert!(symbol.library.ends_with("libcalls.so"), "{symbol:?}");
        assert_eq!(fixture.client.symbol_at(address + 1).unwrap(), None);
    }
}

#[test]
fn a_library_that_cannot_be_loaded_is_refused_in_the_loaders_words() {
    let fixture = fixtures().next().unwrap();
    let error = fixture.client.load(std::path::Path::new("/nowhere/lib.so")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "library '/nowhere/lib.so' cannot be loaded: /nowhere/lib.so: cannot open shared object file: \
         No such file or directory"
    );
    assert_eq!(fixture.call("add", &[int(1), int(2)]).unwrap().word, 3);
}
