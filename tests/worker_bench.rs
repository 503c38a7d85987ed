//! Figures, on request.

mod support;

use std::time::Instant;

use pythy::worker::{Argument, CallRequest, Checker, Copy, CopyOf};
use support::{Fixture, NoHooks, compile, int, memcheck};

#[test]
#[ignore = "a measurement"]
fn figures() {
    let library = compile(
        "bench",
        "#include <stdlib.h>\nint add(int a, int b) { return a + b; }\nvoid *keep[1000]; int blocks(int n) { for (int i = 0; i < n; i++) keep[i] = malloc(32); return n; } int touch(char *p) { p[0]++; return 0; }",
    );
    for checker in [Checker::None, memcheck()] {
        println!("{checker:?}");
        let started = Instant::now();
        let fixture = Fixture::new(checker, &library);
        println!("start {:?}", started.elapsed());
        let time = |what: &str, count: u32, run: &mut dyn FnMut()| {
            let mut best = f64::MAX;
            for _ in 0..5 {
                let started = Instant::now();
                for _ in 0..count {
                    run();
                }
                best = best.min(started.elapsed().as_secs_f64() / f64::from(count));
            }
            println!("{what} {:.1} µs", best * 1e6);
        };
        let arguments = [int(1), int(2)];
        let mut request = fixture.request("add", &arguments);
        let client = &fixture.client;
        time("add", 2000, &mut || drop(client.call(&mut request, &mut NoHooks).unwrap()));
        time("symbol_at", 2000, &mut || drop(pythy::binding::Loader::symbol_at(client, 0)));
        request.leak_check = true;
        time("add, leak check", 500, &mut || drop(client.call(&mut request, &mut NoHooks).unwrap()));
        fixture.call("blocks", &[int(1000)]).unwrap();
        time("add, leak check, 1000 blocks", 500, &mut || {
            drop(client.call(&mut request, &mut NoHooks).unwrap())
        });
        for size in [64, 4096, 65536, 1 << 20] {
            let mut buffer = vec![0_u8; size];
            let arguments = [Argument::Copy { index: 0, offset: 0 }];
            let template = fixture.request("touch", &arguments);
            time(&format!("{size} bytes in and out"), 50, &mut || {
                let mut copies = [Copy { memory: CopyOf::InOut(&mut buffer), address: 0 }];
                let mut request = CallRequest {
                    function: template.function,
                    slot: template.slot,
                    errno: 0,
                    result: template.result.clone(),
                    copies: &mut copies,
                    arguments: &arguments,
                    values: &[],
                    check_results: false,
                    outputs: &[],
                    leak_check: false,
                    timeout: None,
                };
                client.call(&mut request, &mut NoHooks).unwrap();
            });
        }
    }
}
