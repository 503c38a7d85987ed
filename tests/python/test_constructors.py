"""What a library does wrong while it is loaded, and when its process ends: outside of any call."""

import json
import signal
import subprocess
import sys

import pytest

HEADER = "int add(int a, int b);"
SOURCE = """#include <stdlib.h>
{}
int add(int a, int b) {{ return a + b; }}
"""
START = "__attribute__((constructor)) static void start(void) { int *p = malloc(8); p[2] = 1; free(p); }"
END = "__attribute__((destructor)) static void end(void) { int *p = malloc(4); free(p); free(p); }"
HANDLER = """static void handler(void) { int *p = malloc(8); p[3] = 1; free(p); }
__attribute__((constructor)) static void start(void) { atexit(handler); }"""
CRASH = "__attribute__((constructor)) static void start(void) { *(volatile int *)8 = 1; }"
TELL = """
import json
import signal
import subprocess
import sys
told = []
for finding in pythy.memory_report().findings:
    assert (finding.call, finding.allocated_by, finding.lost_between) == (None, None, None)
    functions = [frame.function for stack in finding.stacks for frame in stack.frames]
    assert not [function for function in functions if "pythy" in function or "Py" in function]
    frame = next(frame for frame in finding.stacks[0].frames if "code.c" in str(frame.file))
    told.append([finding.kind, finding.basis, frame.function, frame.line])
print(json.dumps(sorted(told)))
"""


@pytest.fixture
def library(build, tmp_path):
    return lambda *parts: build(HEADER, SOURCE.format("\n".join(parts)), directory=tmp_path)


def script(built, backend, *lines):
    files = f"{str(built.header)!r}, {str(built.library)!r}"
    create = f"lib = pythy.create_interface({files}, backend={backend!r})"
    return "\n".join(["import pythy", create, *lines])


@pytest.mark.parametrize("calls", [["assert lib.add(1, 2) == 3"], []], ids=["a call", "no call"])
def test_an_error_of_a_constructor_in_a_worker_is_told_and_is_no_calls(library, natively, calls):
    run = natively(script(library(START), "isolated", *calls, TELL))
    assert json.loads(run.stdout) == [["InvalidWrite", "function", "start", 3]]


@pytest.mark.parametrize("log", [["--log-file=log"], ["--xml=yes", "--xml-file=log"]], ids=["text", "xml"])
def test_the_same_in_process(library, under_valgrind, log):
    run = under_valgrind(script(library(START), "inprocess", "assert lib.add(1, 2) == 3", TELL), *log)
    assert json.loads(run.stdout) == [["InvalidWrite", "function", "start", 3]]


LOST = "__attribute__((constructor)) static void start(void) { volatile char *p = malloc(7); p = 0; }"


@pytest.mark.parametrize("backend", ["inprocess", "isolated"])
def test_what_a_constructor_loses_is_not_put_down_to_the_next_call(
    library, natively, under_valgrind, backend
):
    lines = "import pythy\npythy.memory_report()\n" + script(library(LOST), backend, "lib.add(1, 2)", TELL)
    run = under_valgrind(lines, "--log-file=log") if backend == "inprocess" else natively(lines)
    assert json.loads(run.stdout) == []


def test_what_a_call_lost_stays_its_own_when_another_library_is_loaded(build, tmp_path, under_valgrind):
    header = "void lose(int size); int same(int a);"
    source = """
        #include <stdlib.h>
        void lose(int size) { *(char *)malloc(size) = 1; }
        int same(int a) { return a; }
    """
    one, other = (build(header, source, name=name, directory=tmp_path) for name in ("one", "other"))
    lines = [
        "import pythy",
        f"one = pythy.create_interface({str(one.header)!r}, {str(one.library)!r}, leak_check='call')",
        "one.same(1), one.lose(30)",
        f"other = pythy.create_interface({str(other.header)!r}, {str(other.library)!r})",
        "(finding,) = pythy.memory_report().findings",
        "print(finding.call.number, finding.leaked.bytes)",
    ]
    # Valgrind's log is a pipe: losses are counted only.
    assert under_valgrind("\n".join(lines)).stdout == "2 30\n"


@pytest.mark.parametrize("backend", ["inprocess", "isolated"])
def test_errors_of_what_the_library_needs_are_told_too(
    build, cc, tmp_path, natively, under_valgrind, backend
):
    needed = build("", f"#include <stdlib.h>\n{START}\n", name="needed", directory=tmp_path)
    built = build(HEADER, SOURCE.format(""), directory=tmp_path)
    cc(built.source, built.library, "-Wl,--no-as-needed", str(needed.library))
    lines = script(built, backend, "lib.add(1, 2)", TELL.replace("code.c", "needed.c"))
    xml = ["--xml=yes", "--xml-file=log", "--num-callers=40"]
    run = under_valgrind(lines, *xml) if backend == "inprocess" else natively(lines)
    assert json.loads(run.stdout) == [["InvalidWrite", "function", "start", 3]]


def test_a_library_that_is_loaded_in_a_callback_blames_no_call(library, build, tmp_path, natively):
    other = build(
        "int same(int a); int by(int (*f)(int), int a);",
        "int same(int a) { return a; } int by(int (*f)(int), int a) { return f(a); }",
        name="other",
        directory=tmp_path / "other",
    )
    built = library(START)
    run = natively(
        f"""
        import pythy
        with pythy.worker() as worker:
            other = pythy.create_interface({str(other.header)!r}, {str(other.library)!r}, worker=worker)

            def load(number):
                global lib
                lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r}, worker=worker)
                return lib.add(number, 1)

            assert other.by(load, 1) == 2
        """
        + TELL.replace("\n", "\n        ")
    )
    assert json.loads(run.stdout) == [["InvalidWrite", "function", "start", 3]]


def test_errors_of_destructors_and_exit_handlers_are_told_when_the_worker_has_ended(library, natively):
    lines = ["lib.add(1, 2)", "assert pythy.memory_report().ok", "lib.close()", TELL]
    run = natively(script(library(END, HANDLER), "isolated", *lines))
    expected = [["InvalidFree", "function", "end", 3], ["InvalidWrite", "function", "handler", 4]]
    assert json.loads(run.stdout) == expected


def test_a_constructor_that_crashes_is_told_as_a_call_is_that_does(library, natively):
    built = library(CRASH)
    lines = script(built, "isolated").splitlines()
    run = natively(
        f"""
        {lines[0]}, json
        try:
            {lines[1]}
        except pythy.WorkerCrashed as error:
            crash, frame = error.finding, error.finding.stacks[0].frames[0]
            print(json.dumps([error.signal.name, crash.kind, crash.call, frame.function, frame.line]))
            print(str(error).splitlines()[0])
        """
    )
    crash, message = run.stdout.splitlines()
    assert json.loads(crash) == ["SIGSEGV", "SIGSEGV", None, "start", 3]
    assert message == "the C code ended the worker: SIGSEGV"
    assert "pythy: 2 findings in 0 calls, 1 error, 1 crash (Valgrind " in run.stderr


def test_the_plugin_blames_the_test_that_loads_and_the_end(plugin, build, pytester):
    build(HEADER, SOURCE.format(f"{START}\n{END}"), name="lib", directory=pytester.path)
    pytester.makepyfile(
        test_adding="""
        import pythy

        def test_adding():
            lib = pythy.create_interface("lib.h", "./lib.so")
            assert lib.add(1, 2) == 3
            globals()["kept"] = lib

        def test_again():
            assert kept.add(1, 2) == 3
        """
    )
    result = plugin("--pythy=isolated")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "no test: when the workers ended: InvalidFree: Invalid free() / delete / delete[[]] / realloc(): "
            "in end (lib.c:4)",
            "pythy: 2 findings in 2 calls, 2 errors (Valgrind *)",
            "MEMORY test_adding.py::test_adding - InvalidWrite: Invalid write of size 4",
        ]
    )


@pytest.mark.one_python
def test_a_destructor_that_never_ends_is_told(library, natively):
    endless = "#include <unistd.h>\n__attribute__((destructor)) static void end(void) { for (;;) pause(); }"
    built = library(endless)
    run = natively(script(built, "isolated", "lib.close()", "print(pythy.memory_report().notes)"))
    assert run.stdout == (
        "['a worker did not end within 10 seconds of being told to, as destructors or atexit handlers of C "
        "code took too long, and was ended; what they still had to do is missing here']\n"
    )


def pythy_run(directory, lines):
    """What `pythy run` reports of a program, in process."""
    (directory / "program.py").write_text(lines)
    command = [sys.executable, "-m", "pythy", "run", "--report", "json:report.json", "program.py"]
    ran = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=300)
    return ran.returncode, json.loads((directory / "report.json").read_text())["findings"]


@pytest.mark.one_python
def test_a_constructor_that_crashes_python_is_told_by_pythy_run(library, tmp_path):
    code, findings = pythy_run(tmp_path, script(library(CRASH), "inprocess"))
    assert code == 128 + signal.SIGSEGV
    assert [finding["kind"] for finding in findings] == ["InvalidWrite", "SIGSEGV"]
    for finding in findings:
        frame = finding["stacks"][0]["frames"][0]
        assert (finding["call"], frame["function"], frame["line"]) == (None, "start", 3)


KEPT = """static void *kept;
__attribute__((constructor)) static void start(void) { kept = malloc(9); }
int lose(void) { kept = 0; return 0; }"""


@pytest.mark.one_python
def test_under_pythy_run_a_call_may_lose_what_the_first_constructor_has_allocated(build, tmp_path):
    built = build(
        HEADER + "int lose(void);",
        SOURCE.format(f"{LOST}\n{KEPT.replace('start', 'begin')}"),
        directory=tmp_path,
    )
    code, findings = pythy_run(tmp_path, script(built, "inprocess", "lib.add(1, 2)", "lib.lose()"))
    assert code == 99
    assert [(finding["kind"], finding["leaked"]["bytes"]) for finding in findings] == [
        ("Leak_DefinitelyLost", 9)
    ]
