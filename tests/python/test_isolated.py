"""The C code in a worker: what ends it, who shares it, and what other threads and processes have of it."""

import contextlib
import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import pythy

pytestmark = pytest.mark.one_python

HEADER = """
    typedef int (*binary)(int a, int b);
    struct point { int x, y; };
    struct item { char *text; int *numbers; const char *name; };
    int add(int a, int b);
    int process(void);
    void stop(int signal);
    void leave(int code);
    int wait_for_ever(void);
    int wait_for(int milliseconds);
    int apply(binary f, int a, int b);
    void repeat(binary f);
    void hang_up(void);
    void cut_off(void);
    void crash_when_told(void);
    int write_all(const char *text);
    char *text_of(unsigned long length);
    void overrun(unsigned long length);
    void start(binary f);
    int finish(void);
    struct point *make(int x);
    int x_of(const struct point *p);
    void unmake(struct point *p);
    int sum(const struct item *item, int count);
    void fill(struct item *item, char byte);
    unsigned long length_of(const char *text);
    void *map(unsigned long size); void unmap(void *memory, unsigned long size);
    extern int counter; int bump(void);
"""

SOURCE = """
    #define _GNU_SOURCE
    #include <pthread.h>
    #include <signal.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/mman.h>
    #include <unistd.h>
    int add(int a, int b) { return a + b; }
    int process(void) { return getpid(); }
    void stop(int number) { raise(number); }
    void leave(int code) { exit(code); }
    int wait_for_ever(void) { for (;;) pause(); return 0; }
    int wait_for(int milliseconds) { usleep(milliseconds * 1000); return milliseconds; }
    int apply(binary f, int a, int b) { return f(a, b); }
    void repeat(binary f) { for (;;) f(1, 2); }
    void hang_up(void) { for (int i = 3; i < 1000; i++) close(i); for (;;) pause(); }
    int write_all(const char *text)
    { int sum = 0; for (int i = 0; i < 3; i++) sum += write(i, text, strlen(text)); return sum; }
    static sigset_t told;
    static void *crash(void *unused) { int signal; sigwait(&told, &signal); raise(SIGSEGV); return unused; }
    void crash_when_told(void) {
        pthread_t other;
        sigemptyset(&told); sigaddset(&told, SIGUSR1); pthread_sigmask(SIG_BLOCK, &told, 0);
        pthread_create(&other, 0, crash, 0); pthread_detach(other);
    }
    void cut_off(void) { for (int i = 3; i < 1000; i++) close(i); }
    char *text_of(unsigned long length)
    { char *text = malloc(length + 1); memset(text, 'x', length); text[length] = 0; return text; }
    void overrun(unsigned long length) { memset(malloc(32), 'A', length); free(malloc(100)); abort(); }
    static pthread_t thread;
    static int result;
    static void *run(void *f) { result = ((binary)f)(1, 2); return 0; }
    void start(binary f) { pthread_create(&thread, 0, run, (void *)f); }
    int finish(void) { pthread_join(thread, 0); return result; }
    struct point *make(int x) { struct point *p = calloc(1, sizeof *p); p->x = x; return p; }
    int x_of(const struct point *p) { return p->x; }
    void unmake(struct point *p) { free(p); }
    int sum(const struct item *item, int count)
    { int s = 0; for (int i = 0; i < count; i++) s += item->numbers[i]; return s; }
    void fill(struct item *item, char byte) { memset(item->text, byte, strlen(item->text)); }
    unsigned long length_of(const char *text) { return strlen(text); }
    void *map(unsigned long size)
    { return mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }
    void unmap(void *memory, unsigned long size) { munmap(memory, size); }
    int counter = 1; int bump(void) { return ++counter; }
"""


@pytest.fixture(scope="module")
def built(build):
    return build(HEADER, SOURCE)


@pytest.fixture
def isolated(built):
    """``isolated(**options)``: an interface whose C code is in a worker without Valgrind."""
    made = []

    def make(**options):
        if "worker" not in options:
            options = {"checker": "none", **options}
        lib = pythy.create_interface(built.header, built.library, backend="isolated", **options)
        made.append(lib)
        return lib

    yield make
    for lib in made:
        lib.close()


@pytest.fixture
def lib(isolated):
    return isolated()


GONE = "the worker has ended ({}), and what was in its memory is gone"


def is_there(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


# What ends a worker.


@pytest.mark.parametrize(
    ("use", "says", "later"),
    [
        (lambda lib: lib.stop(signal.SIGSEGV), "the C code ended the worker: SIGSEGV", "by SIGSEGV"),
        (lambda lib: lib.stop(signal.SIGABRT), "the C code ended the worker: SIGABRT", "by SIGABRT"),
        (
            lambda lib: lib.stop(signal.SIGTERM),
            "the worker was ended, from outside or by the C code: SIGTERM",
            "by SIGTERM",
        ),
        (lambda lib: lib.leave(3), "the C code ended the worker: it called exit(3)", "by exit(3)"),
        (
            lambda lib: lib.apply(lambda a, b: lib.leave(4), 1, 2),
            "the C code ended the worker: it called exit(4)",
            "by exit(4)",
        ),
    ],
    ids=["SIGSEGV", "SIGABRT", "SIGTERM", "exit", "in a callback"],
)
def test_a_crash_is_an_exception_and_the_next_call_has_a_fresh_worker(lib, use, says, later):
    point, made, number = lib.new("struct point", x=1), lib.make(7), lib.ref("int", 1)
    buffer = lib.buffer(point)
    lib.counter = 40
    with pytest.raises(pythy.WorkerCrashed) as caught:
        use(lib)
    assert str(caught.value).startswith(says)
    assert lib.add(1, 2) == 3
    assert lib.bump() == 2
    gone = GONE.format(later)
    uses = {
        gone: [
            lambda: point.x,
            lambda: setattr(point, "x", 2),
            lambda: made[0].x,
            lambda: number.value,
            lambda: lib.new("struct point", point),
            lambda: lib.buffer(made, 8),
        ],
        "x_of() argument 1 'p' (const struct point *)"
        " was in the memory of a worker that has ended, and is gone": [
            lambda: lib.x_of(point),
            lambda: lib.x_of(made),
        ],
    }
    for message, those in uses.items():
        for one in those:
            with pytest.raises(pythy.Error) as raised:
                one()
            assert str(raised.value) == message
    # A copy of what was there stays.
    assert bytes(buffer) == b"\1\0\0\0\0\0\0\0"
    assert lib.x_of(lib.make(9)) == 9


KILLED = (
    "the worker was ended between two calls, from outside or by a thread that C code left running: SIGKILL"
)


@pytest.mark.parametrize(
    "use", [lambda lib, _: lib.add(1, 2), lambda _, point: point.x], ids=["call", "memory"]
)
def test_no_call_is_blamed_for_the_end_of_an_idle_worker(isolated, use):
    with pythy.worker(checker="none") as worker, pythy.watch() as report:
        lib = isolated(worker=worker)
        point = lib.make(1)
        process = worker.pid
        os.kill(process, signal.SIGKILL)
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        with pytest.raises(pythy.WorkerCrashed) as caught:
            use(lib, point)
        assert str(caught.value) == KILLED
        assert (caught.value.signal, caught.value.exit_code, caught.value.finding) == (
            signal.SIGKILL,
            None,
            None,
        )
        assert lib.add(1, 2) == 3
    assert (report.findings, report.totals.calls) == ([], 2)


def test_a_crash_of_a_thread_of_cs_is_that_of_the_call_that_runs_meanwhile(lib):
    with pytest.raises(pythy.WorkerCrashed) as caught:
        lib.apply(lambda a, b: wait_for_end(lib), 1, 2)
    assert (caught.value.signal, caught.value.finding.kind) == (signal.SIGSEGV, "SIGSEGV")
    assert caught.value.finding.call.declaration.name == "apply"


def wait_for_end(lib):
    """The answer of a callback during which another thread of C's crashes."""
    process = lib.process()
    lib.crash_when_told()
    os.kill(process, signal.SIGUSR1)
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    return 1


def test_an_end_by_a_thread_of_cs_between_two_calls_is_told_by_the_last_one(isolated):
    with pythy.worker(checker="none") as worker, pythy.watch() as report:
        lib = isolated(worker=worker)
        process = worker.pid
        lib.crash_when_told()
        os.kill(process, signal.SIGUSR1)
        os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        with pytest.raises(pythy.WorkerCrashed, match="the worker was ended between two calls"):
            lib.add(1, 2)
    (crash,) = report.findings
    assert (crash.kind, crash.basis, crash.call.declaration.name) == ("SIGSEGV", "window", "crash_when_told")


def test_an_owned_pointer_of_a_dead_worker_frees_nothing(lib, monkeypatch):
    raised = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: raised.append(args.exc_value))
    owned = lib.own(lib.make(1), lib.unmake)
    with pytest.raises(pythy.WorkerCrashed):
        lib.stop(signal.SIGKILL)
    del owned
    gc.collect()
    assert raised == []
    assert lib.add(1, 2) == 3


def test_the_end_of_a_with_block_does_not_hide_the_crash_in_it(lib):
    with pytest.raises(pythy.WorkerCrashed), lib.own(lib.make(1), lib.unmake) as owned:
        lib.stop(signal.SIGABRT)
    assert not owned
    owned.release()


def test_a_program_that_ends_with_owned_pointers_ends_well(built, natively):
    """What they point to has gone with the worker, before Python drops them."""
    run = natively(f"""
        import pythy
        lib = pythy.create_interface(
            {str(built.header)!r}, {str(built.library)!r}, backend="isolated", checker="none"
        )
        owned = lib.own(lib.make(7), lib.unmake)
        print(owned.x)
    """)
    assert (run.stdout, run.stderr, run.returncode) == ("7\n", "", 0)


def test_c_code_that_hangs_up_and_goes_on_is_ended(lib):
    with pytest.raises(pythy.Error) as caught:
        lib.hang_up()
    assert str(caught.value) == GONE.format("it made no sense any more: it hung up and went on")
    assert lib.add(1, 2) == 3


def test_what_c_prints_where_the_program_has_closed_its_streams_goes_nowhere(built, natively):
    run = natively(
        f"""
        import os, pythy
        error = os.dup(2)
        for stream in range(3):
            os.close(stream)
        header, library = {str(built.header)!r}, {str(built.library)!r}
        lib = pythy.create_interface(header, library, backend="isolated", checker="none")
        os.write(error, b"%d %d" % (lib.write_all("text"), lib.add(1, 2)))
        lib.close()
        os._exit(0)
        """
    )
    assert (run.stdout, run.stderr) == ("", "12 3")


def test_c_code_that_closes_all_descriptors_is_told_so(lib):
    with pytest.raises(pythy.Error) as caught:
        lib.cut_off()
    assert str(caught.value) == GONE.format("it made no sense any more: C code has closed its descriptors")
    assert lib.add(1, 2) == 3


def test_c_code_that_overruns_the_heap_ends_the_worker(lib):
    """It does not leave it waiting for a lock of its own that has been overwritten."""
    with pytest.raises(pythy.WorkerCrashed):
        lib.overrun(5000, timeout=30)
    assert lib.add(1, 2) == 3


def test_a_long_text_is_as_long_as_it_is(lib):
    assert len(lib.text_of(260 << 20)) == 260 << 20


def test_a_timeout_ends_the_call_and_the_worker(isolated):
    lib = isolated(timeout=0.2)
    began = time.monotonic()
    with pytest.raises(TimeoutError) as caught:
        lib.wait_for_ever()
    assert str(caught.value) == "the call took longer than 0.2 s; the worker has been ended"
    assert time.monotonic() - began < 5
    assert lib.wait_for(1) == 1
    assert lib.wait_for(400, timeout=60) == 400
    assert lib.wait_for(1, timeout=sys.maxsize) == 1
    with pytest.raises(TimeoutError):
        lib.wait_for(60_000, timeout=None)


def test_c_code_that_calls_back_for_ever_is_ended_too(lib):
    with pytest.raises(TimeoutError):
        lib.repeat(lambda a, b: 1, timeout=0.5)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        lib.repeat(lambda a, b: 1)
    assert lib.add(1, 2) == 3


def test_a_timeout_is_for_one_call_too(lib):
    point = lib.new("struct point")
    with pytest.raises(TimeoutError) as caught:
        lib.wait_for_ever(timeout=0.1)
    assert str(caught.value) == "the call took longer than 0.1 s; the worker has been ended"
    with pytest.raises(pythy.Error) as raised:
        point.x  # noqa: B018
    assert str(raised.value) == GONE.format("a call took too long")
    assert lib.add(1, 2, timeout=60) == 3


def test_the_time_that_python_takes_in_a_callback_does_not_count(lib):
    assert lib.apply(lambda a, b: time.sleep(0.6) or a + b, 1, 2, timeout=0.5) == 3


@pytest.mark.parametrize(
    ("value", "raises", "says"),
    [
        (0, ValueError, "timeout is a positive number of seconds, not 0"),
        (-1, ValueError, "timeout is a positive number of seconds, not -1"),
        ("1", TypeError, "timeout is a number of seconds or None, not str"),
    ],
)
def test_a_timeout_is_a_positive_number(isolated, lib, value, raises, says):
    for use in (lambda: isolated(timeout=value), lambda: lib.add(1, 2, timeout=value)):
        with pytest.raises(raises) as caught:
            use()
        assert str(caught.value) == says


def test_ctrl_c_returns_at_once_and_ends_the_worker(lib):
    process = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    point = lib.new("struct point")
    process.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        lib.wait_for_ever()
    assert time.monotonic() - began < 5
    with pytest.raises(pythy.Error) as raised:
        point.x  # noqa: B018
    assert str(raised.value) == GONE.format("it was interrupted")
    assert lib.add(1, 2) == 3


def test_a_signal_whose_handler_raises_nothing_disturbs_no_call(lib, monkeypatch):
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert lib.wait_for(500) == 500
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


def test_a_signal_handler_that_calls_the_busy_worker_is_refused(lib):
    said = []

    def handle(number, frame):
        try:
            lib.add(1, 2)
        except pythy.Error as error:
            said.append(str(error))

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert lib.wait_for(1000, timeout=60) == 1000
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert said == [BUSY]


BUSY = "a signal handler cannot use a worker that is in the middle of a call"


def test_a_signal_handler_may_come_while_a_worker_is_started_anew(built, natively):
    """It calls the very function that waits."""
    run = natively(f"""
        import signal, pythy
        lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r}, backend="isolated")
        said = set()

        def handle(number, frame):
            try:
                said.add(lib.add(1, 2))
            except pythy.Error as error:
                said.add(str(error))

        signal.signal(signal.SIGALRM, handle)
        try:
            lib.stop(signal.SIGKILL)
        except pythy.WorkerCrashed:
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        print(lib.add(1, 2))
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(said <= {{3, {BUSY!r}}}, {BUSY!r} in said)
        pythy._native.tell_at_exit(False)
    """)
    assert (run.stdout, run.stderr) == ("3\nTrue True\n", "")


def test_python_goes_on_while_a_worker_starts_and_ctrl_c_ends_that(built, natively):
    """The signal comes from a thread, which Python has to let run."""
    run = natively(f"""
        import os, signal, threading, pythy
        started = []

        def interrupt():
            started.append(len(interfaces))
            os.kill(os.getpid(), signal.SIGINT)

        interfaces, timer = [], threading.Timer(0.02, interrupt)
        try:
            timer.start()
            while not started:
                interfaces.append(pythy.create_interface(
                    {str(built.header)!r}, {str(built.library)!r}, backend="isolated"
                ))
            while True:
                pass
        except KeyboardInterrupt:
            print("interrupted")
        timer.join()
        pythy._native.tell_at_exit(False)
    """)
    assert (run.stdout, run.stderr) == ("interrupted\n", "")


def test_close_ends_the_worker(lib):
    point, made, add = lib.new("struct point", x=1), lib.make(2), lib.add
    lib.close()
    gone = GONE.format("it was closed")
    said = {
        "add() was called after its interface was closed": lambda: add(1, 2),
        "a 'struct point' in C's memory was used after its interface was closed": lambda: made[0],
        gone: lambda: point.x,
        "a 'int' in C's memory was used after its interface was closed": lambda: made.x,
        "the variable 'counter' was used after its interface was closed": lambda: lib.counter,
    }
    for message, use in said.items():
        with pytest.raises(pythy.Error) as caught:
            use()
        assert str(caught.value) == message


def test_a_worker_that_does_not_start_is_told(built, tmp_path, monkeypatch):
    worker = tmp_path / "bin" / "pythy-worker"
    monkeypatch.setattr(pythy, "__file__", str(tmp_path / "__init__.py"))

    def start():
        with pytest.raises(pythy.Error) as caught:
            pythy.create_interface(built.header, built.library, backend="isolated", checker="none")
        return str(caught.value)

    assert start() == f"the worker '{worker}' cannot be started: it does not exist; reinstall pythy"
    worker.parent.mkdir()
    worker.write_text("#!/bin/sh\nexit 3\n")
    worker.chmod(0o755)
    assert start() == f"the worker '{worker}' cannot be started: it ended by exit(3); see its standard error"


def test_a_worker_without_memory_says_so(isolated):
    with pythy.worker(checker="none") as worker:
        lib = isolated(worker=worker)
        assert lib.add(1, 2) == 3
        resource.prlimit(worker.pid, resource.RLIMIT_AS, (1 << 28, 1 << 28))
        with pytest.raises(MemoryError) as caught:
            lib.length_of(bytearray(1 << 28))
        assert str(caught.value) == f"the worker has no memory for {1 << 28} bytes"
        with pytest.raises(MemoryError) as caught:
            lib.new(f"char[{1 << 28}]")
        assert str(caught.value) == f"no memory for a 'char [{1 << 28}]' of {1 << 28} bytes"
        assert lib.add(1, 2) == 3


# Who keeps a worker.


@pytest.fixture
def started(built):
    """``started()``: an interface that nobody else has, and its worker's process."""

    def start():
        lib = pythy.create_interface(built.header, built.library, backend="isolated", checker="none")
        return lib, lib.process()

    return start


def test_a_worker_ends_when_nobody_has_its_interface_any_more(started):
    lib, process = started()
    add = lib.add
    del lib
    gc.collect()
    assert (add(1, 2), is_there(process)) == (3, True)
    del add
    gc.collect()
    assert not is_there(process)


def test_a_worker_lives_as_long_as_something_in_its_memory_is_held(started):
    lib, process = started()
    held = {
        "new": lib.new("struct point", x=7),
        "made": lib.make(8),
        "field": lib.new("struct item", text=b"text"),
        "view": lib.buffer(lib.make(9), 8),
        "callback": lib.callback("binary")(lambda a, b: a),
    }
    del lib
    gc.collect()
    assert (held["new"].x, held["made"].x, held["field"].text, held["view"][0]) == (7, 8, b"text", 9)
    for name in list(held):
        assert is_there(process), name
        del held[name]
        gc.collect()
    assert not is_there(process)


def test_an_interface_that_refers_to_itself_goes_with_its_worker(started):
    def tie(lib):
        kept = lib.callback("binary")(lambda a, b: lib.add(a, b))
        assert lib.apply(kept, 1, 2) == 3
        lib.__dict__["kept"], lib.__dict__["itself"] = kept, lib

    lib, process = started()
    tie(lib)
    del lib
    gc.collect()
    assert not is_there(process)


def test_a_shared_worker_ends_with_its_last_interface(built):
    worker = pythy.worker(checker="none")
    lib = pythy.create_interface(built.header, built.library, worker=worker)
    process = worker.pid
    del worker
    gc.collect()
    assert lib.process() == process
    del lib
    gc.collect()
    assert not is_there(process)


def test_what_keeps_a_dead_worker_keeps_no_descriptor(lib):
    lib.add(1, 2)
    before, points = len(os.listdir("/proc/self/fd")), []
    for _ in range(5):
        points.append(lib.new("struct point", x=1))
        with pytest.raises(pythy.WorkerCrashed):
            lib.stop(signal.SIGSEGV)
    assert lib.add(1, 2) == 3
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_library_that_is_replaced_is_called_where_the_new_one_has_its_functions(tmp_path, cc):
    header, source, library = (tmp_path / name for name in ("code.h", "code.c", "code.so"))
    header.write_text("int number(void); int gone(void); void stop(void); extern int counter;\n")
    ends = "void stop(void) { abort(); }\n"

    def build(text):
        source.write_text("#include <stdlib.h>\n" + text)
        cc(source, library)

    build("int counter = 5; int gone(void) { return 0; } int number(void) { return 1; }" + ends)
    lib = pythy.create_interface(header, library, backend="isolated", checker="none")
    assert (lib.number(), lib.gone(), lib.counter) == (1, 0, 5)
    # Another layout, so that nothing is where it was.
    build(
        ends + "int pad[100] = {1}, counter = 6; int twice(int n) { return 2 * n; }"
        "int number(void) { return twice(21); }"
    )
    assert lib.number() == 1
    for _ in range(2):
        with pytest.raises(pythy.WorkerCrashed):
            lib.stop()
        assert (lib.number(), lib.counter) == (42, 6)
    with pytest.raises(pythy.Error) as caught:
        lib.gone()
    assert str(caught.value) == f"the new worker does not find the function in {library}"
    lib.close()


# Several interfaces.


def test_interfaces_have_a_worker_each(isolated):
    one, other = isolated(), isolated()
    one.counter = 10
    assert (one.bump(), other.bump()) == (11, 2)
    with pytest.raises(pythy.Error) as caught:
        other.x_of(one.make(1))
    assert str(caught.value) == (
        "x_of() argument 1 'p' (const struct point *)"
        " is in the memory of another process: each worker has its own"
    )


def test_a_worker_can_be_shared(isolated):
    with pythy.worker(checker="none") as worker:
        one, other = isolated(worker=worker), isolated(worker=worker)
        process = worker.pid
        assert is_there(process)
        assert repr(worker) == f"<pythy.Worker of process {process}>"
        one.counter = 10
        assert other.bump() == 11
        assert other.x_of(one.make(7)) == 7
        callback = one.callback("binary")(lambda a, b: a - b)
        assert other.apply(callback, 7, 3) == 4
        one.close()
        assert other.x_of(other.make(8)) == 8
    assert not is_there(process)
    assert worker.pid is None
    assert repr(worker) == "<pythy.Worker that has ended>"
    worker.close()


def test_a_shared_worker_that_crashes_is_new_for_all(isolated):
    with pythy.worker(checker="none") as worker:
        one, other = isolated(worker=worker), isolated(worker=worker)
        process = worker.pid
        point = one.make(1)
        with pytest.raises(pythy.WorkerCrashed):
            other.stop(signal.SIGSEGV)
        assert one.add(1, 2) == 3
        assert other.bump() == 2
        assert worker.pid != process
        with pytest.raises(pythy.Error, match="was in the memory of a worker that has ended"):
            other.x_of(point)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"backend": "elsewhere"}, "backend must be 'inprocess' or 'isolated', not 'elsewhere'"),
        (
            {"backend": "isolated", "checker": "helgrind"},
            "checker must be 'memcheck' or 'none', not 'helgrind'",
        ),
        ({"backend": "inprocess", "checker": "none"}, "checker is for backend='isolated' only"),
        (
            {"backend": "inprocess", "timeout": 1},
            "timeout is for backend='isolated' only: only a worker can be ended",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(built, options, says):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        pythy.create_interface(built.header, built.library, **options)
    assert str(caught.value) == says


def test_options_of_a_shared_worker_are_its_own(built):
    with pythy.worker(checker="none") as worker:
        for options, says in (
            ({"checker": "none"}, "checker is the worker's own: pythy.worker(checker=...)"),
            ({"backend": "inprocess"}, "worker is for backend='isolated' only"),
        ):
            with pytest.raises(ValueError) as caught:  # noqa: PT011
                pythy.create_interface(built.header, built.library, worker=worker, **options)
            assert str(caught.value) == says


def test_the_environment_says_where_c_code_runs(built, monkeypatch):
    monkeypatch.setenv("PYTHY_BACKEND", "isolated")
    with pythy.worker(checker="none") as worker:
        lib = pythy.create_interface(built.header, built.library, worker=worker)
        with pytest.raises(pythy.WorkerCrashed):
            lib.stop(signal.SIGSEGV)
    monkeypatch.setenv("PYTHY_BACKEND", "inprocess")
    lib = pythy.create_interface(built.header, built.library)
    assert lib.add(1, 2) == 3


# Memory on both sides.


def test_a_buffer_is_as_of_the_last_call(lib):
    made = lib.make(1)
    view = lib.buffer(made, 8).cast("i")
    assert view.tolist() == [1, 0]
    view[1] = 5
    assert (made.x, made.y) == (1, 5)
    made.x = 3
    assert view.tolist() == [3, 5]
    view[0] = 4
    assert lib.x_of(made) == 4
    assert lib.apply(lambda a, b: view.__setitem__(0, 9) or lib.x_of(made), 1, 2) == 9
    lib.unmake(made)
    assert lib.add(1, 2) == 3


def test_a_buffer_of_more_memory_than_there_is_is_refused(lib):
    made = lib.make(1)
    for size in (2**62, 2**40):
        with pytest.raises(pythy.Error, match=f"^there is no memory of {size} bytes at 0x"):
            lib.buffer(made, size)
    assert lib.x_of(made) == 1


def test_a_buffer_of_memory_that_is_gone_stays_as_it_was(lib):
    memory = lib.map(1 << 20)
    view = lib.buffer(memory, 1 << 20)
    view[:4] = b"kept"
    assert lib.add(1, 2) == 3
    lib.unmap(memory, 1 << 20)
    assert lib.add(1, 2) == 3
    assert bytes(view[:4]) == b"kept"
    with pytest.raises(pythy.Error) as caught:
        lib.buffer(memory, 1 << 20)
    assert str(caught.value) == f"there is no memory of 1048576 bytes at {int(memory):#x}"


def test_a_buffer_in_a_pointer_field_changes_on_both_sides(lib):
    numbers, text = (lib.new("int[3]", [1, 2, 3]), bytearray(b"abc\0"))
    item = lib.new("struct item", text=text, numbers=numbers, name="kept")
    assert item.text == b"abc"
    text[0] = ord("x")
    assert item.text == b"xbc"
    lib.fill(item, b"z")
    assert text == b"zzz\0"
    assert (lib.sum(item, 3), item.name) == (6, b"kept")
    with pytest.raises(BufferError):
        text.append(1)
    del item
    gc.collect()
    text.append(1)


# Threads.


def test_calls_of_many_threads_are_never_mixed(lib):
    failures = []

    def work(seed):
        for i in range(200):
            if lib.add(seed, i) != seed + i or lib.apply(lambda a, b: lib.add(a, b), seed, i) != seed + i:
                failures.append((seed, i))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_callback_may_call_again_and_again(lib):
    def down(a, b):
        return b if a == 0 else lib.apply(down, a - 1, b + 1)

    assert lib.apply(down, 20, 0) == 20


def test_calls_that_wait_for_a_worker_which_another_one_ends_are_for_the_next(built, natively):
    run = natively(f"""
        import threading, pythy

        lib = pythy.create_interface(
            {str(built.header)!r}, {str(built.library)!r}, backend="isolated", checker="none"
        )

        def hang():
            try:
                lib.wait_for_ever(timeout=0.5)
            except TimeoutError:
                print("too long")

        def begin(function):
            before, thread = pythy._native.calls(), threading.Thread(target=function)
            thread.start()
            while pythy._native.calls() == before:
                pass
            return thread

        sums = []
        threads = [begin(hang), *(begin(lambda: sums.append(lib.add(1, 2))) for _ in range(3))]
        for thread in threads:
            thread.join()
        findings = pythy.memory_report().findings
        print(sums, [(finding.kind, finding.call.declaration.name) for finding in findings])
        pythy._native.tell_at_exit(False)
    """)
    assert (run.stdout, run.stderr) == ("too long\n[3, 3, 3] [('timeout', 'wait_for_ever')]\n", "")


def test_a_callback_may_hand_work_to_another_thread(lib):
    def elsewhere(a, b):
        results = []
        thread = threading.Thread(target=lambda: results.append(lib.apply(lambda c, d: c * d, a, b)))
        thread.start()
        thread.join()
        return results[0]

    assert lib.apply(elsewhere, 6, 7) == 42


def test_python_goes_on_while_a_thread_waits_for_c(lib):
    """Another thread has the GIL in the meantime, also one that waits for its turn."""
    point = lib.new("struct point", x=1)
    waiting = threading.Thread(target=lib.wait_for, args=(1500,))
    waiting.start()
    reading = threading.Thread(target=lambda: point.x)
    reading.start()
    began = time.monotonic()
    for _ in range(10):
        time.sleep(0.01)
    assert time.monotonic() - began < 1.2
    waiting.join()
    reading.join()


def test_threads_of_c_call_python_while_others_call_c(lib):
    """Such a callback runs in a thread of Python's, and may itself call the library."""
    seen = []

    @lib.callback("binary")
    def callback(a, b):
        seen.append(threading.current_thread().name)
        return lib.add(a, b) + 10

    lib.start(callback)
    assert lib.wait_for(50) == 50
    assert lib.finish() == 13
    assert [name.startswith("pythy callbacks of worker ") for name in seen] == [True]


def test_what_a_callback_on_a_thread_of_c_raises_is_unraisable(lib, monkeypatch):
    raised = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: raised.append(args.exc_value))

    @lib.callback("binary")
    def callback(a, b):
        raise KeyError("lost")

    lib.start(callback)
    assert lib.finish() == 0
    assert [repr(error) for error in raised] == ["KeyError('lost')"]


def test_the_thread_for_callbacks_ends_with_its_worker(isolated):
    lib = isolated()
    assert lib.apply(lambda a, b: os.getpid(), 1, 2) == os.getpid()
    named = [
        thread for thread in threading.enumerate() if thread.name.startswith("pythy callbacks of worker ")
    ]
    thread = named[-1]
    assert is_there(int(thread.name.rsplit(" ", 1)[1]))
    assert thread.daemon
    lib.close()
    thread.join(20)
    assert not thread.is_alive()
    assert not is_there(int(thread.name.rsplit(" ", 1)[1]))


# Processes.


def test_a_fork_of_python_has_a_worker_of_its_own(lib):
    made = lib.make(1)
    lib.counter = 40
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = [str(lib.bump())]
            for use in (lambda: made.x, lambda: lib.x_of(made)):
                try:
                    use()
                except pythy.Error as error:
                    said.append(str(error))
            os.write(write, "\n".join(said).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read().splitlines()
    os.waitpid(child, 0)
    assert said == [
        "2",
        GONE.format("it belongs to the process that this one was forked from"),
        "x_of() argument 1 'p' (const struct point *)"
        " is in the memory of another process: each worker has its own",
    ]
    assert (lib.bump(), made.x) == (41, 1)


def test_a_fork_leaves_open_files_alone(lib, tmp_path):
    """What is the worker's is closed in the child, and nothing that has been opened since."""
    assert lib.add(1, 2) == 3
    files = [os.open(tmp_path / str(number), os.O_WRONLY | os.O_CREAT) for number in range(5)]
    child = os.fork()
    if child == 0:
        for file in files:
            os.write(file, b"written")
        os._exit(0)
    os.waitpid(child, 0)
    assert [(tmp_path / str(number)).read_text() for number in range(5)] == ["written"] * 5
    for file in files:
        os.close(file)


def test_the_worker_ends_with_python(built, tmp_path):
    """However it ends: here by SIGKILL while C code waits."""
    script = tmp_path / "script.py"
    script.write_text(
        "import pythy\n"
        "worker = pythy.worker(checker='none')\n"
        f"lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r}, worker=worker)\n"
        "print(worker.pid, flush=True)\n"
        "lib.wait_for_ever()\n"
    )
    search = str(Path(pythy.__file__).parent.parent)
    python = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": search}
    )
    process = int(python.stdout.readline())
    assert is_there(process)
    python.kill()
    python.communicate()
    until = time.monotonic() + 20
    while is_there(process) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_there(process)


def test_a_program_that_ends_with_callbacks_in_use_ends_well(built, natively):
    """The thread that serves them is gone before Python is."""
    run = natively(f"""
        import pythy
        lib = pythy.create_interface(
            {str(built.header)!r}, {str(built.library)!r}, backend="isolated", checker="none"
        )
        kept = lib.callback("binary")(lambda a, b: a + b)
        print(lib.apply(kept, 1, 2))
    """)
    assert (run.stdout, run.stderr, run.returncode) == ("3\n", "", 0)


def test_a_program_that_does_not_wait_for_its_children_ends_well(built, natively):
    """Nobody can say then how a worker has ended; that it has, is known."""
    run = natively(f"""
        import signal, time, pythy
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        lib = pythy.create_interface(
            {str(built.header)!r}, {str(built.library)!r}, backend="isolated", checker="none"
        )
        began = time.monotonic()
        try:
            lib.stop(signal.SIGSEGV)
        except pythy.WorkerCrashed as crash:
            print(str(crash).splitlines()[0], crash.signal, crash.exit_code, crash.finding.kind)
        print(lib.add(1, 2))
        lib.close()
        print(time.monotonic() - began < 9)
        pythy._native.tell_at_exit(False)
    """)
    assert (run.stdout, run.stderr) == (
        "the C code ended the worker: nobody knows how None None unknown\n3\nTrue\n",
        "",
    )


# Under Valgrind.


@pytest.fixture(scope="module")
def checked(built):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed (Debian, Ubuntu: apt-get install valgrind)")
    lib = pythy.create_interface(built.header, built.library, backend="isolated", checker="memcheck")
    yield lib
    lib.close()


def test_all_of_it_goes_under_valgrind_too(checked):
    view = checked.buffer(checked.new("struct point", x=7, y=8)).cast("i")
    assert view.tolist() == [7, 8]
    text = bytearray(b"abc\0")
    item = checked.new("struct item", text=text, numbers=checked.new("int[2]", [1, 2]), name=b"name")
    checked.fill(item, b"z")
    assert (text, checked.sum(item, 2), item.name) == (b"zzz\0", 3, b"name")
    assert checked.apply(lambda a, b: checked.add(a, b), 1, 2) == 3
    callback = checked.callback("binary")(lambda a, b: a * b + 5)
    checked.start(callback)
    assert checked.finish() == 7


def test_crash_timeout_and_interrupt_under_valgrind(checked):
    with pytest.raises(pythy.WorkerCrashed) as caught:
        checked.stop(signal.SIGSEGV)
    assert str(caught.value).startswith("the C code ended the worker: SIGSEGV")
    with pytest.raises(TimeoutError):
        checked.wait_for_ever(timeout=0.5)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        checked.wait_for_ever()
    assert checked.add(1, 2) == 3


def test_a_thousand_crashes_leave_nothing_behind(built, natively):
    """In a process of its own, so that all that is left behind is theirs."""
    run = natively(f"""
        import gc, os, resource, signal
        from pathlib import Path
        import pythy

        signals = [signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGBUS, signal.SIGILL]
        lib = pythy.create_interface(
            {str(built.header)!r}, {str(built.library)!r}, backend="isolated", checker="none"
        )

        def crash(number):
            leaves = number % 6 == 5
            try:
                lib.leave(number % 100 + 1) if leaves else lib.stop(signals[number % 6])
                raise SystemExit(f"call {{number}} returned")
            except pythy.WorkerCrashed as error:
                expected = (None, number % 100 + 1) if leaves else (signals[number % 6], None)
                assert (error.signal, error.exit_code) == expected, error
                assert error.finding.call.declaration.name == ("leave" if leaves else "stop"), error

        def left():
            gc.collect()
            return len(os.listdir("/proc/self/fd"))

        def resident():
            return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

        for number in range(10):
            crash(number)
        before, memory = left(), resident()
        for number in range(10, 1010):
            crash(number)
        assert left() == before, (left(), before)
        # What is kept is the journal and the findings, which the report has: some kilobytes for each.
        assert resident() - memory < 40_000_000, resident() - memory
        assert lib.add(1, 2) == 3
        lib.close()
        del lib
        gc.collect()
        assert pythy.memory_report().totals.crashes == 1010
        try:
            raise SystemExit(os.waitpid(-1, os.WNOHANG))
        except ChildProcessError:
            print("nobody is left")
        pythy._native.tell_at_exit(False)
    """)
    assert (run.stdout, run.stderr) == ("nobody is left\n", "")
