//! Calls in a worker, under Valgrind and without it.

mod support;

use pythy::worker::{CallRequest, Checker, Copy, CopyOf, ResultKind};
use support::{Fixture, NoHooks, compile, int, memcheck};

const SOURCE: &str = r#"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
int add(int a, int b) { return a + b; }
double scale(double x, int by) { return x * by; }
int set_errno(int e) { int before = errno; errno = e; return before; }
void fill(char *out, int n) { memset(out, 'x', n); }
int same(const char *a, const char *b) { return a == b; }
char *greet(void) { return "hello"; }
void *make(int n) { return malloc(n); }
int lose(int n) { malloc(n); return n; }
"#;

#[test]
fn first() {
    let library = compile("calls", SOURCE);
    for checker in [Checker::None, memcheck()] {
        let watched = checker != Checker::None;
        let fixture = Fixture::new(checker, &library);
        assert_eq!(fixture.call("add", &[int(2), int(-5)]).unwrap().word as i64, -3);
        let mut buffer = [0; 4];
        let mut copies = [Copy { memory: CopyOf::InOut(&mut buffer), address: 0 }];
        let returned =
            fixture.call_with("fill", &[pythy::worker::Argument::Copy(0), int(5)], &mut copies).unwrap();
        assert_eq!(buffer, *b"xxxx");
        assert_eq!(returned.errors, u64::from(watched));
        let mut request = fixture.request("greet", &[]);
        request.result = ResultKind::Text;
        let returned = fixture.client.call(&mut request, &mut NoHooks).unwrap();
        assert_eq!(returned.text.as_deref(), Some(&b"hello"[..]));
        let arguments = [int(10)];
        let mut request = CallRequest { leak_check: true, ..fixture.request("lose", &arguments) };
        let returned = fixture.client.call(&mut request, &mut NoHooks).unwrap();
        assert_eq!(returned.leaks, u64::from(watched));
        for record in fixture.records() {
            println!("{:?} {:?}", record.kind, record.what);
            for f in &record.stacks[0].frames {
                println!("   {:?} {:?}", f.function, f.object);
            }
        }
        fixture.client.close();
        println!("{:?}", fixture.client.death());
    }
}
