"""What is told of C code that runs in a worker under Valgrind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import pythy

pytestmark = pytest.mark.one_python

HEADER = """
    void fill(char *text, int length, char letter);
    void *keep(int size);
    void lose(int size);
    int crash(const int *p);
    void quit(int code);
    int each(int count, int (*f)(int));
    int spin(void);
    int undecided(void);
    void nap(int milliseconds);
    int fill_by(void (*fill)(unsigned char *block, int size), int size);
"""
SOURCE = """
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>
    void fill(char *text, int length, char letter) { memset(text, letter, length); text[length] = 0; }
    void *keep(int size) { return malloc(size); }
    void lose(int size) { *(char *)malloc(size) = 1; }
    int crash(const int *p) { return *p; }
    void quit(int code) { exit(code); }
    int each(int count, int (*f)(int)) { int sum = 0; while (count--) sum += f(count); return sum; }
    int spin(void) { volatile int on = 1; while (on) {} return 0; }
    void nap(int milliseconds) { usleep(milliseconds * 1000); }
    int fill_by(void (*fill)(unsigned char *block, int size), int size) {
        unsigned char *block = malloc(size);
        int count = 0;
        fill(block, size);
        for (int i = 0; i < size; i++)
            if (block[i])
                count++;
        free(block);
        return count;
    }
    int undecided(void) {
        int *value = malloc(sizeof *value), result = *value ? 1 : 2;
        free(value);
        return result;
    }
"""
SCRIPT = """
import pythy
lib = pythy.create_interface("code.h", "./code.so", leak_check="call")
line = bytearray(10)
lib.fill(line, 10, "-")
lib.lose(24)
kept = lib.keep(7)
del kept
lib.each(3, lambda i: lib.undecided())
print(line.decode())
"""


@pytest.fixture(scope="module")
def built(build):
    return build(HEADER, SOURCE)


@pytest.fixture(scope="module")
def ran(built):
    (built.directory / "script.py").write_text(SCRIPT.lstrip())
    command = [
        sys.executable,
        "-m",
        "pythy",
        "run",
        "--mode",
        "isolated",
        "--report",
        "json:r.json",
        "script.py",
    ]
    ran = subprocess.run(command, cwd=built.directory, capture_output=True, text=True)
    return ran, json.loads((built.directory / "r.json").read_text())


def test_the_program_runs_as_ever_and_findings_are_its_exit_code(ran):
    process, _ = ran
    assert (process.returncode, process.stdout, process.stderr) == (99, "----------\n", "")


def test_each_finding_is_on_its_call(ran, validate):
    _, report = ran
    validate(report)
    assert (report["tool"]["mode"], report["tool"]["checker"]) == ("isolated", "memcheck")
    lines = {site["id"]: site["line"] for site in report["call_sites"]}
    names = {declaration["id"]: declaration["name"] for declaration in report["declarations"]}

    def end(call):
        return call and (names[call["declaration"]], lines[call["call_site"]])

    told = [
        (finding["kind"], finding["count"], end(finding["call"]), end(finding["allocated_by"]))
        for finding in report["findings"]
    ]
    assert told == [
        ("InvalidWrite", 1, ("fill", 4), None),
        ("Leak_DefinitelyLost", 1, ("lose", 5), ("lose", 5)),
        ("Leak_DefinitelyLost", 1, None, ("keep", 6)),
        ("UninitCondition", 3, ("undecided", 8), None),
    ]
    assert {finding["basis"] for finding in report["findings"][:2]} == {"call"}
    assert report["totals"] == {
        "calls": 7,
        "errors": 4,
        "leaked_bytes": 31,
        "leaked_blocks": 2,
        "crashes": 0,
    }


def test_blocks_are_named_by_their_arguments(ran):
    _, report = ran
    addresses = [stack["label"] for stack in report["findings"][0]["stacks"]]
    assert any(
        label and label.endswith("is 1 byte after argument 'text' (10 bytes) of fill()")
        for label in addresses
    )
    assert report["findings"][2]["what"] == (
        "7 bytes in 1 block is definitely lost: no call was made since the last check,"
        " so Python dropped the last handle"
    )


def test_a_crash_is_an_exception_with_its_finding_and_what_was_known_stays(built):
    lib = pythy.create_interface(built.header, built.library, backend="isolated", checker="memcheck")
    before = pythy.memory_report().totals
    with pytest.raises(pythy.WorkerCrashed) as crashed:
        lib.each(1, lambda i: lib.crash(None))
    error = crashed.value
    assert (error.signal, error.exit_code) == (signal.SIGSEGV, None)
    assert (error.finding.category, error.finding.kind, error.finding.basis) == ("crash", "SIGSEGV", "call")
    assert error.finding.call.declaration.name == "crash"
    assert [frame.function for frame in error.finding.stacks[0].frames] == ["crash"]
    with pytest.raises(pythy.WorkerCrashed, match=r"it called exit\(3\)") as left:
        lib.quit(3)
    assert (left.value.signal, left.value.exit_code, left.value.finding.kind) == (None, 3, "exit")
    with pytest.raises(TimeoutError, match=r"the call took longer than 0\.5 s; the worker has been ended"):
        lib.spin(timeout=0.5)
    assert lib.undecided() in (1, 2)
    after = pythy.memory_report().totals
    assert after.crashes - before.crashes == 3
    lib.close()


def test_valgrinds_own_suppressions_hold_for_what_is_loaded(tmp_path, cc):
    """Its file forgives zlib's deflate() what other libraries are not forgiven."""
    directory = tmp_path / "lib"
    directory.mkdir()
    (directory / "z.h").write_text("int deflate(void);")
    (directory / "z.c").write_text("""
        #include <stdlib.h>
        __attribute__((noinline)) static int decide(const int *value) { return *value ? 1 : 2; }
        int deflate(void) {
            int *value = malloc(sizeof *value), result = decide(value);
            free(value);
            return result;
        }
    """)
    told = {}
    for name in ["libz.so.1.2.99", "libother.so.1.2.99"]:
        cc(directory / "z.c", directory / name)
        lib = pythy.create_interface(directory / "z.h", directory / name, backend="isolated")
        with pythy.watch() as report:
            lib.deflate()
        lib.close()
        told[name] = [finding.kind for finding in report.findings]
    assert told == {"libz.so.1.2.99": [], "libother.so.1.2.99": ["UninitCondition"]}


def test_what_an_interface_has_lost_is_told_when_it_is_dropped(built, natively):
    """A last look for leaks, as close() has it: also of blocks that Python had until then."""
    report = natively(
        f"""
        import gc, pythy
        options = {{"backend": "isolated", "checker": "memcheck"}}
        for leak_check, size in (("session", 24), ("call", 25), ("off", 26)):
            lib = pythy.create_interface(
                {str(built.header)!r}, {str(built.library)!r}, leak_check=leak_check, **options
            )
            kept = lib.keep(size)
            lib.lose(size + 10)
            del kept, lib
            gc.collect()
        pythy.memory_report().to_json("report.json")
        pythy._native.tell_at_exit(False)
        """
    ).json()
    names = {declaration["id"]: declaration["name"] for declaration in report["declarations"]}
    told = {
        finding["leaked"]["bytes"]: (names[finding["allocated_by"]["declaration"]], finding["lost_between"])
        for finding in report["findings"]
    }
    assert told == {24: ("keep", [1, 2]), 34: ("lose", [1, 2]), 25: ("keep", None), 35: ("lose", [4, 4])}


def test_a_call_that_waited_for_another_threads_is_the_one_that_lost_its_block(built, natively):
    """Nor does a report wait for a thread that is in C code without letting Python go on."""
    run = natively(
        f"""
        import threading, time, pythy
        lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r}, backend="isolated")

        def begin(function, *arguments):
            before = pythy._native.calls()
            thread = threading.Thread(target=function, args=arguments)
            thread.start()
            while pythy._native.calls() == before:
                pass
            return thread

        lib.nap(1)
        napping = begin(lib.nap, 500)
        lib.lose(24)
        napping.join()
        pythy.memory_report().to_json("report.json")
        ticks, over = 0, threading.Event()

        def tick():
            global ticks
            while not over.wait(0.01):
                ticks += 1

        threading.Thread(target=tick).start()
        napping = begin(lib.nap, 1500)
        began = time.monotonic()
        pythy.memory_report()
        took = time.monotonic() - began
        over.set()
        napping.join()
        print(took < 0.5 or ticks > 10)
        pythy._native.tell_at_exit(False)
        """
    )
    assert (run.stdout, run.stderr) == ("True\n", "")
    (finding,) = run.json()["findings"]
    assert (finding["call"]["number"], finding["leaked"]["bytes"]) == (3, 24)


def test_a_process_that_was_forked_off_has_a_report_of_its_own(built, natively):
    """And takes nothing of what Valgrind tells its parent."""
    run = natively(
        f"""
        import os, pythy
        lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r}, backend="isolated")
        lib.lose(24)
        with pythy.watch():
            child = os.fork()
            lib.lose(30 if child else 40)
            if child:
                os.waitpid(child, 0)
        report = pythy.memory_report()
        lost = [(finding.leaked.bytes, finding.call.number) for finding in report.findings]
        print(lost, report.totals.calls)
        pythy._native.tell_at_exit(False)
        """
    )
    assert (run.stdout, run.stderr) == ("[(40, 2)] 1\n[(24, 1), (30, 2)] 2\n", "")


# What is in the buffers of a process that ends by os._exit() is not written.
BUFFERED = {"PYTHONUNBUFFERED": ""}
ENDS = {
    "os._exit": """
        if os.fork() == 0:
            print("not yet written", end="")
            lib.lose(40)
            os._exit(0)
        os.wait()
    """,
    "multiprocessing": """
        import multiprocessing
        child = multiprocessing.get_context("fork").Process(target=lib.lose, args=(40,))
        child.start()
        child.join()
    """,
}


@pytest.mark.parametrize("end", ENDS)
def test_a_process_that_was_forked_off_tells_at_its_end_however_it_ends(built, natively, end):
    run = natively(
        f"import os, pythy\n"
        f"lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r}, backend='isolated')\n"
        + textwrap.dedent(ENDS[end])
        + "print('done')\n",
        env=BUFFERED,
    )
    assert run.stdout == "done\n"
    assert run.stderr.count("40 bytes in 1 block is definitely lost") == 2
    assert "\npythy: 1 finding in 1 call, 40 bytes leaked in 1 block (Valgrind " in run.stderr


@pytest.mark.parametrize("end", ENDS)
def test_pythy_run_tells_what_forked_processes_found(built, tmp_path, end):
    (tmp_path / "script.py").write_text(
        f"import os, pythy\nlib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r})\n"
        + textwrap.dedent(ENDS[end])
        + "lib.lose(24)\nos._exit(0)\n"
    )
    command = [sys.executable, "-m", "pythy", "run", "--mode", "isolated", "--report", "json", "script.py"]
    environment = {**os.environ, **BUFFERED}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    report = json.loads(run.stdout)
    assert [finding["leaked"]["bytes"] for finding in report["findings"]] == [24, 40]
    assert (report["totals"]["calls"], report["tool"]["checker"]) == (2, "memcheck")
    assert (run.returncode, run.stderr) == (99, "")


@contextlib.contextmanager
def running(built, directory, *lines):
    """A program under `pythy run`, in a session of its own, that has come to HERE.

    And a list that has its exit code and what it says on stderr, once it has ended.
    """
    create = f"lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r})"
    (directory / "script.py").write_text("\n".join(["import pythy, time", create, *lines]) + "\n")
    run = [sys.executable, "-m", "pythy", "run", "--mode", "isolated", "--report", "json:r.json", "script.py"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(run, cwd=directory, start_new_session=True, **pipes) as program:
        assert program.stdout.readline() == "here\n"
        ended = []
        yield program, ended
        _, stderr = program.communicate(timeout=300)
        ended += [program.returncode, stderr]


HERE = "print('here', flush=True)"
STOPPED = "pythy: the program was ended by SIGTERM\n"


@pytest.mark.parametrize(
    "then", ["time.sleep(600)", "lib.each(1, lambda i: time.sleep(600))"], ids=["idle", "in a call"]
)
def test_pythy_run_tells_what_a_program_found_that_is_stopped(built, tmp_path, then):
    with running(built, tmp_path, "lib.lose(24)", HERE, then) as (program, ended):
        program.send_signal(signal.SIGTERM)
    report = json.loads((tmp_path / "r.json").read_text())
    assert [finding["leaked"]["bytes"] for finding in report["findings"]] == [24]
    assert ended == [143, STOPPED]


def test_a_second_signal_ends_a_program_that_cannot_handle_the_first(built, tmp_path):
    # No bytecode runs after "here", at which Python would handle a signal.
    imports = "import functools, itertools, os"
    busy = r"all(itertools.chain(map(functools.partial(os.write, 1), [b'here\n']), itertools.repeat(True)))"
    with running(built, tmp_path, imports, busy) as (program, ended):
        program.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            # A second one within a second would be the first again.
            program.wait(timeout=2.5)
        program.send_signal(signal.SIGTERM)
    why = "pythy: no report, because the program made no isolated interface or did not come to its end\n"
    assert ended == [143, STOPPED + why]


@pytest.mark.parametrize("then", ["time.sleep(600)", "lib.nap(600_000)"], ids=["idle", "in a call"])
def test_a_signal_to_all_processes_of_a_group_is_the_programs(built, tmp_path, then):
    with running(built, tmp_path, "kept = lib.keep(24)", "del kept", HERE, then) as (program, ended):
        os.killpg(program.pid, signal.SIGTERM)
    assert ended == [143, STOPPED]
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["totals"]["crashes"] == 0
    if then.startswith("time"):
        assert [finding["leaked"]["bytes"] for finding in report["findings"]] == [24]
        assert report["notes"] == []


def test_a_program_whose_interface_is_not_called_is_not_said_to_be_unchecked(built, natively):
    run = natively(
        f"""
        import pythy
        pythy.create_interface({str(built.header)!r}, {str(built.library)!r}, backend="isolated")
        print(pythy.memory_report())
        """
    )
    assert run.stdout.startswith("pythy: no findings in 0 calls (Valgrind ")


def test_a_program_that_ignores_its_childrens_ends_has_valgrind_too(built, natively):
    run = natively(
        f"""
        import signal, pythy
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r}, backend="isolated")
        with pythy.watch() as report:
            lib.lose(24)
        print([finding.kind for finding in report.findings])
        pythy._native.tell_at_exit(False)
        """
    )
    assert run.stdout == "['Leak_DefinitelyLost']\n"


CRASH_LATER = """
    #include <pthread.h>
    static int *nowhere;
    static void *run(void *unused) { return (void *)(long)*nowhere; }
    void begin(void) { pthread_t thread; pthread_create(&thread, 0, run, 0); pthread_detach(thread); }
    int add(int a, int b) { return a + b; }
"""


def test_a_crash_between_two_calls_is_on_the_last_one_before_it(build):
    built = build("void begin(void); int add(int a, int b);", CRASH_LATER)
    with pythy.worker() as worker, pythy.watch() as report:
        lib = pythy.create_interface(built.header, built.library, worker=worker)
        assert lib.add(1, 2) == 3
        process = worker.pid
        # It may be quicker than the answer.
        with contextlib.suppress(pythy.WorkerCrashed, ChildProcessError):
            lib.begin()
            os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(pythy.WorkerCrashed):
            lib.add(1, 2)
        assert lib.add(1, 2) == 3
    (crash,) = [finding for finding in report.findings if finding.category == "crash"]
    assert (crash.kind, crash.call.declaration.name) == ("SIGSEGV", "begin")


def test_leaks_of_calls_inside_each_other_are_raised_by_the_outer_one(built):
    lib = pythy.create_interface(built.header, built.library, backend="isolated")
    pythy.raise_on_finding(True)
    try:
        with pytest.raises(pythy.MemoryCheckError) as caught:
            lib.each(2, lambda _: lib.lose(24) or 0)
        with pytest.raises(pythy.MemoryCheckError, match="7 bytes in 1 block is definitely lost"):
            lib.lose(7)
        lib.each(1, lambda _: 0)
    finally:
        pythy.raise_on_finding(False)
        lib.close()
    told = [(finding.call.declaration.name, finding.leaked.bytes) for finding in caught.value.report.findings]
    assert told == [("lose", 24), ("lose", 24)]


def test_an_argument_may_call_c_when_it_is_shown(built, natively):
    """A call that errs is told with its arguments, and their repr() may be any code."""
    run = natively(
        f"""
        import pythy
        lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r}, backend="isolated")

        class Length(int):
            def __repr__(self):
                return f"Length({{lib.each(2, lambda i: i)}})"

        lib.fill(bytearray(4), Length(4), "x")
        (finding,) = pythy.memory_report().findings
        print(finding.call.arguments)
        pythy._native.tell_at_exit(False)
        """
    )
    assert run.stdout == """["bytearray(b'\\\\x00\\\\x00\\\\x00\\\\x00')", 'Length(1)', "'x'"]\n"""


def test_a_suite_with_only_the_library_under_valgrind(built, pytester):
    pytester.makepyfile(
        f"""
        import pytest, pythy

        @pytest.fixture(scope="module")
        def lib():
            return pythy.create_interface({str(built.header)!r}, {str(built.library)!r})

        def test_well(lib): assert lib.each(2, lambda i: i) == 1
        def test_over(lib): lib.fill(bytearray(4), 4, "x")
        def test_lost(lib): lib.lose(11)
        def test_crash(lib): lib.crash(None)
        def test_after(lib): assert lib.each(2, lambda i: i) == 1
        """
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"COLUMNS": "200", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    plugin = ["-p", "pythy.pytest_plugin", "--pythy=isolated", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *plugin]
    ran = subprocess.run(command, cwd=pytester.path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 1
    lines = ran.stdout.splitlines()
    assert next(line for line in lines if "%]" in line).split()[1] == ".MMF."
    assert "MEMORY" in next(line for line in lines if "::test_over" in line and line.startswith("MEMORY"))
    assert any(line.startswith("MEMORY") and "::test_lost - Leak_DefinitelyLost" in line for line in lines)
    assert any(line.startswith("FAILED") and "::test_crash - pythy.WorkerCrashed" in line for line in lines)
    assert "pythy: 4 findings in 5 calls, 2 errors, 11 bytes leaked in 1 block, 1 crash" in ran.stdout
    assert ran.stderr == ""


def test_zeros_that_python_writes_into_fresh_memory_of_c_are_defined(built):
    lib = pythy.create_interface(built.header, built.library, backend="isolated")

    def fill(block, size):
        lib.buffer(block, size)[:] = b"\0\0\1\0\2\0\0\0"

    with pythy.watch() as report:
        assert lib.fill_by(fill, 8) == 2
    assert [finding.what for finding in report.findings] == []


THREADED = """
    #include <pthread.h>
    #include <stdlib.h>
    #include <unistd.h>
    static pthread_t thread;
    static void *body(void *unused) {
        usleep(100000);
        char *p = malloc(10);
        p[10] = 1;
        free(p);
        return unused;
    }
    void start(void) { pthread_create(&thread, 0, body, 0); }
    void finish(void) { pthread_join(thread, 0); }
    int nothing(void) { return 0; }
    long to(int descriptor) { return write(descriptor, "XX", 2); }
"""


def test_what_a_thread_does_between_two_calls_is_no_later_call_s(build):
    header = "void start(void);\nvoid finish(void);\nint nothing(void);\nlong to(int descriptor);\n"
    built = build(header, THREADED)
    lib = pythy.create_interface(built.header, built.library, backend="isolated", leak_check="off")
    with pythy.watch() as report:
        lib.start()
        time.sleep(3)
        lib.nothing()
        lib.finish()
    assert [(f.kind, f.basis, f.call) for f in report.findings] == [("InvalidWrite", "function", None)]


def test_a_descriptor_of_python_s_is_none_of_the_worker_s(build):
    built = build("long to(int descriptor);\n", THREADED)
    lib = pythy.create_interface(built.header, built.library, backend="isolated", checker="none")
    assert [lib.to(number) for number in range(3, 12)] == [-1] * 9


def test_what_the_loader_says_of_a_preload_that_is_not_there_switches_no_checker_off(built, natively):
    run = natively(
        f"""
        import pythy
        lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r}, backend="isolated")
        lib.lose(24)
        print(pythy.memory_report().totals.leaked_bytes)
        """,
        env={"LD_PRELOAD": "/missing/preload.so"},
    )
    assert run.stdout == "24\n"


def test_a_valgrind_that_does_not_run_is_an_error_and_not_native_calls(built, natively, tmp_path):
    broken = tmp_path / "valgrind"
    broken.write_text("#!/bin/sh\necho no tool\nexit 1\n")
    broken.chmod(0o755)
    run = natively(
        f"""
        import pythy
        files = {str(built.header)!r}, {str(built.library)!r}
        try:
            pythy.create_interface(*files, backend="isolated")
        except pythy.ValgrindError as error:
            print(error)
        print(pythy.create_interface(*files, backend="isolated", checker="none").fill_by(lambda *_: None, 0))
        """,
        env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
    )
    assert run.stdout == (
        f"'{broken}' cannot be used: '--version' gave exit status: 1: 'no tool'; "
        "install Valgrind anew, or put a working one first on PATH\n0\n"
    )
