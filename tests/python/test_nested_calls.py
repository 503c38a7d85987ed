"""Errors of C that calls back into Python, which calls C again: each is told once, on its own call."""

import json

HEADER = """
    typedef int (*callback)(int);
    int outer(int before, int after, callback f);
    int bad_read(int times);
    int id(int a);
    int uninitialised(int times);
"""
SOURCE = """
    #include <stdlib.h>
    static int bad(volatile int *p) { return p[1]; }
    int bad_read(int times) {
        int *p = malloc(4), r = 0;
        while (times-- > 0) r += bad(p);
        free(p);
        return r & 0;
    }
    int outer(int before, int after, callback f) {
        int *p = malloc(4), r = 0;
        while (before-- > 0) r += bad(p);
        r += f(1);
        while (after-- > 0) r += bad(p);
        free(p);
        return r & 0;
    }
    int id(int a) { return a; }
    int uninitialised(int times) {
        volatile int *p = malloc(4);
        int r = 0;
        while (times-- > 0) if (*p) r++;
        free((void *)p);
        return r & 0;
    }
"""
# What is called, and the errors that plain Valgrind counts for the C code of each function in it.
CASES = [
    ("lib.outer(2, 0, lambda v: v)", {"outer": 2}),
    ("lib.outer(2, 0, lib.id)", {"outer": 2}),
    ("lib.outer(2, 0, lambda v: lib.id(v))", {"outer": 2}),
    ("lib.outer(1, 0, lambda v: lib.id(v))", {"outer": 1}),
    ("lib.outer(2, 1, lambda v: lib.id(v))", {"outer": 3}),
    ("lib.outer(0, 2, lambda v: lib.id(v))", {"outer": 2}),
    ("lib.outer(3, 2, lambda v: lib.uninitialised(4))", {"outer": 5, "uninitialised": 4}),
    ("lib.outer(2, 0, lambda v: lib.outer(3, 1, lambda w: lib.id(w)))", {"outer": 6}),
    ("lib.bad_read(Speaking(1))", {"bad_read": 1}),
    ("lib.bad_read(Careless(2))", {"bad_read": 2, "uninitialised": 3}),
]
SCRIPT = """
    import json
    import pythy

    lib = pythy.create_interface("code.h", "./code.so", BACKEND)

    class Speaking(int):
        def __repr__(self):
            return f"Speaking({lib.id(1)})"

    class Careless(int):
        def __repr__(self):
            return f"Careless({lib.uninitialised(3)})"

    for call in CASES:
        with pythy.watch() as report:
            eval(call)
        counts = {}
        for finding in report.findings:
            name = finding.call.declaration.name
            counts[name] = counts.get(name, 0) + finding.count
        assert sum(counts.values()) == report.totals.errors
        print(json.dumps([call, counts]))

    pythy.raise_on_finding()
    for call in ["lib.outer(1, 0, lambda v: lib.id(v))", "lib.outer(0, 0, lambda v: lib.id(v))"]:
        try:
            eval(call)
            print(json.dumps([call, "returned"]))
        except pythy.MemoryCheckError:
            print(json.dumps([call, "raised"]))
    pythy._native.tell_at_exit(False)
"""
EXPECTED = [
    *([call, counts] for call, counts in CASES),
    ["lib.outer(1, 0, lambda v: lib.id(v))", "raised"],
    ["lib.outer(0, 0, lambda v: lib.id(v))", "returned"],
]


def script(backend: str) -> str:
    return SCRIPT.replace("BACKEND", f"backend={backend!r}").replace(
        "CASES", repr([call for call, _ in CASES])
    )


def test_in_process(build, under_valgrind):
    built = build(HEADER, SOURCE)
    run = under_valgrind(script("inprocess"), "--log-file=valgrind.log", directory=built.directory)
    assert [json.loads(line) for line in run.stdout.splitlines()] == EXPECTED


def test_in_a_worker(build, natively):
    built = build(HEADER, SOURCE)
    run = natively(script("isolated"), directory=built.directory)
    assert [json.loads(line) for line in run.stdout.splitlines()] == EXPECTED


def test_errors_of_a_thread_that_calls_back_are_told_once(build, under_valgrind):
    """Those of C's own thread, while the call waits for it, and those of the call before."""
    built = build(
        "void run(void (*f)(int), int before, int inside);",
        """
        #include <pthread.h>
        #include <stdlib.h>
        static int bad(volatile int *p) { return p[1]; }
        static void (*callback)(int);
        static int errors;
        static void err(int times) { int *p = malloc(4); while (times-- > 0) bad(p); free(p); }
        static void *body(void *unused) { err(errors); callback(1); return unused; }
        void run(void (*f)(int), int before, int inside) {
            pthread_t thread;
            callback = f;
            errors = inside;
            err(before);
            pthread_create(&thread, 0, body, 0);
            pthread_join(thread, 0);
        }
        """,
    )
    script = """
        import pythy
        lib = pythy.create_interface("code.h", "./code.so")
        for before, inside in [(0, 1), (1, 0), (2, 2)]:
            with pythy.watch() as report:
                lib.run(lambda value: None, before, inside)
            errors = [finding for finding in report.findings if finding.category == "error"]
            names = {finding.call and finding.call.declaration.name for finding in errors}
            print(names, report.totals.errors)
        pythy._native.tell_at_exit(False)
    """
    run = under_valgrind(script, "--num-callers=40", "--log-file=valgrind.log", directory=built.directory)
    assert run.stdout == "{'run'} 1\n{'run'} 1\n{'run'} 4\n"
