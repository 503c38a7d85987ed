"""`pythy run`: a program under Valgrind, started natively."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import pythy
from pythy.reports import refusal

pytestmark = pytest.mark.one_python

HEADER = """
    #include <stddef.h>
    int peek(const int *values, int index);
    void lose(size_t size);
    void stop(void);
    int deep(int frames);
"""
SOURCE = """
    #include <stdlib.h>
    int peek(const int *values, int index) { return values[index]; }
    void lose(size_t size) { *(char *)malloc(size) = 1; }
    void stop(void) { abort(); }
    int deep(int frames) { volatile char room[4096]; room[0] = 1; return deep(frames + 1) + room[0]; }
"""


@pytest.fixture(scope="module")
def built(build):
    return build(HEADER, SOURCE)


@pytest.fixture
def pythy_run(tmp_path, built):
    """``pythy_run(script, *options, arguments=())``: the finished `pythy run` of a script."""
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed (Debian, Ubuntu: apt-get install valgrind)")

    def run(script: str, *options: str, arguments=(), **more):
        return subprocess.run(
            command(tmp_path, built, script, *options, arguments=arguments),
            cwd=tmp_path,
            **{"env": environment(), **more},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def command(directory: Path, built, script: str, *options: str, arguments=()) -> list[str]:
    head = f"""
        import sys, pythy
        lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r})
    """
    path = directory / "program.py"
    path.write_text(textwrap.dedent(head).lstrip("\n") + textwrap.dedent(script).lstrip("\n"))
    return [sys.executable, "-m", "pythy", "run", *options, str(path), *arguments]


def environment() -> dict[str, str]:
    package = str(Path(pythy.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": package, "PYTHONDONTWRITEBYTECODE": "1"}


def test_a_program_without_findings_runs_as_by_itself(pythy_run):
    script = """
        print(lib.peek(lib.new("int[2]", [7, 8]), int(sys.argv[1])), sys.argv[1:], __name__, sys.stdin.read())
        sys.exit(int(sys.argv[2]))
    """
    for code in (0, 5):
        ran = pythy_run(script, arguments=["1", str(code), "--report", "-m"], input="typed")
        assert ran.stdout == f"8 ['1', '{code}', '--report', '-m'] __main__ typed\n"
        assert ran.stderr == f"pythy: no findings in 1 call (Valgrind {pythy.valgrind_version()})\n"
        assert ran.returncode == code


def test_findings_make_the_exit_code_99_of_a_program_that_succeeds(pythy_run, tmp_path, validate):
    script = """
        lib.peek(lib.new("int[2]"), 2)
        lib.lose(10)
        sys.exit(int(sys.argv[1]))
    """
    options = ["--report", "json:report.json", "--report", "term:report.txt"]
    ran = pythy_run(script, *options, arguments=["0"])
    assert (ran.returncode, ran.stdout, ran.stderr) == (99, "", "")
    report = json.loads((tmp_path / "report.json").read_text())
    validate(report)
    found = [(f["kind"], f["call"]["number"]) for f in report["findings"]]
    assert found == [("InvalidRead", 1), ("Leak_DefinitelyLost", 2)]
    assert [site["line"] for site in report["call_sites"]] == [3, 4]
    assert [site["source"] for site in report["call_sites"]] == [
        'lib.peek(lib.new("int[2]"), 2)',
        "lib.lose(10)",
    ]
    table = (tmp_path / "report.txt").read_text()
    assert "1 byte after argument 'values' (8 bytes) of peek()" in table
    assert "pythy: 2 findings in 2 calls, 1 error, 10 bytes leaked in 1 block" in table
    assert pythy_run(script, "--report", "json", arguments=["3"]).returncode == 3


def test_a_report_that_cannot_go_anywhere_is_told_before_the_program_runs(pythy_run, tmp_path):
    (tmp_path / "directory").mkdir()
    for file, why in [
        ("directory", "it is a directory"),
        ("nowhere/report.json", "there is no such directory"),
        ("program.py/report.json", "there is no such directory"),
    ]:
        ran = pythy_run("print('ran')", "--report", f"json:{file}")
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr == f"pythy: the report cannot go to '{file}': {why}\n"


def test_a_report_on_stdout_comes_behind_what_the_program_has_printed(tmp_path, built):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed (Debian, Ubuntu: apt-get install valgrind)")
    options = ["--mode", "isolated", "--report", "json"]
    run = command(tmp_path, built, "lib.lose(10)\nprint('done')", *options)
    with (tmp_path / "output").open("w") as output:
        ran = subprocess.run(run, cwd=tmp_path, env=environment(), stdout=output, timeout=300)
    assert ran.returncode == 99
    first, report = (tmp_path / "output").read_text().split("\n", 1)
    assert first == "done"
    assert json.loads(report)["totals"]["leaked_bytes"] == 10


def test_a_report_in_a_place_that_may_not_be_written_is_refused(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((path, mode)))
    assert refusal(tmp_path / "report.json") == "it may not be written"
    assert asked == [(tmp_path, os.W_OK)]


@pytest.mark.parametrize(("kind", "own", "code"), [("json", 0, 2), ("term", 0, 2), ("json", 5, 5)])
def test_a_report_that_cannot_be_written_loses_nothing(pythy_run, tmp_path, kind, own, code):
    script = f"""
        lib.lose(10)
        print("done")
        sys.exit({own})
    """
    ran = pythy_run(script, "--report", f"{kind}:/dev/full", "--report", "json:report.json")
    assert (ran.returncode, ran.stdout) == (code, "done\n")
    said, table = ran.stderr.split("\n", 1)
    assert said == "pythy: the report cannot go to '/dev/full': No space left on device"
    assert "pythy: 1 finding in 1 call, 10 bytes leaked in 1 block" in table
    assert len(json.loads((tmp_path / "report.json").read_text())["findings"]) == 1


def test_a_module_runs_as_python_m_does(pythy_run, tmp_path, built):
    pythy_run("")
    (tmp_path / "module_to_run.py").write_text(
        (tmp_path / "program.py").read_text() + "print(__name__, sys.argv[1:])\n"
    )
    run = [sys.executable, "-m", "pythy", "run", "-m", "module_to_run", "--report", "x"]
    ran = subprocess.run(run, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300)
    assert (ran.returncode, ran.stdout) == (0, "__main__ ['--report', 'x']\n")


@pytest.mark.parametrize(
    ("call", "kind", "line"),
    [("lib.peek(None, 0)", "SIGSEGV", 4), ("lib.stop()", "SIGABRT", 4), ("lib.deep(0)", "SIGSEGV", 4)],
)
def test_a_crash_is_told_with_its_call_and_what_came_before(pythy_run, tmp_path, built, call, kind, line):
    ran = pythy_run(f"lib.peek(lib.new('int[2]'), 2)\n{call}\n", "--report", "json:report.json")
    assert ran.returncode == 128 + signal.Signals[kind]
    assert ran.stderr == f"pythy: the program was ended by {kind}\n"
    report = json.loads((tmp_path / "report.json").read_text())
    first, last = report["findings"][0], report["findings"][-1]
    assert (first["kind"], first["call"]["number"]) == ("InvalidRead", 1)
    assert (last["category"], last["kind"]) == ("crash", kind)
    site = report["call_sites"][last["call"]["call_site"] - 1]
    assert (site["line"], site["source"], last["call"]["number"]) == (line, call, 2)
    declaration = report["declarations"][last["call"]["declaration"] - 1]
    assert (declaration["name"], declaration["file"]) == (call[4 : call.index("(")], str(built.header))
    assert report["totals"]["crashes"] == 1


def test_a_crash_after_thousands_of_calls_is_on_its_own(pythy_run, tmp_path, built):
    # Some of these have been written down, the others wait for it.
    ran = pythy_run(
        "lib.lose(10)\n"
        "for index in range(2500):\n    lib.peek(lib.new('int[2]'), index == 2499 and 1 << 30)\n",
        "--report",
        "json:report.json",
    )
    assert ran.returncode == 128 + signal.SIGSEGV
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["totals"]["calls"] == 2501
    *_, crash, leak = report["findings"]
    assert (crash["kind"], crash["call"]["number"]) == ("SIGSEGV", 2501)
    assert report["call_sites"][crash["call"]["call_site"] - 1]["line"] == 5
    # What was lost before, no matter how long ago.
    assert (leak["allocated_by"]["number"], leak["leaked"]["bytes"]) == (1, 10)


def test_faulthandler_does_not_stand_before_the_c_code(pythy_run, tmp_path):
    """Of its own signal Valgrind would show its own stack."""
    ran = pythy_run(
        "import faulthandler\nassert not faulthandler.is_enabled()\nlib.stop()\n",
        "--report",
        "json:report.json",
        env={**environment(), "PYTHONFAULTHANDLER": "1"},
    )
    assert ran.returncode == 128 + signal.SIGABRT
    assert ran.stderr == "pythy: the program was ended by SIGABRT\n"
    (crash,) = json.loads((tmp_path / "report.json").read_text())["findings"]
    functions = [frame["function"] for frame in crash["stacks"][0]["frames"]]
    assert (crash["kind"], functions[-2:]) == ("SIGABRT", ["abort", "stop"])


def test_a_crash_of_something_else_is_told_as_such(pythy_run):
    ran = pythy_run("import ctypes\nctypes.string_at(0)\n")
    assert ran.returncode == 128 + signal.SIGSEGV
    where = r"note: it crashed by SIGSEGV in no known call of the library's, at \S*strlen\S*, by "
    assert re.search(where, ran.stderr)
    assert "pythy: no findings in 0 calls" in ran.stderr


def test_suppressions_that_valgrind_cannot_read_are_told(pythy_run, tmp_path):
    (tmp_path / "bad.supp").write_text("{\n   name\n   Memcheck:Leak\n   fun:foo\n")
    ran = pythy_run("print('not reached')\n", "--suppressions", "bad.supp")
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr == (
        f'pythy: Valgrind gave up: in suppressions file "{tmp_path}/bad.supp" near line 4: '
        "unexpected end-of-file (when reading stack trace)\n"
    )


def test_a_callback_that_is_gone_crashes_in_the_call_that_ran_it(tmp_path, build):
    header = "typedef int (*hook)(int); void keep(hook f); int use(int n);"
    built = build(
        header, "static hook kept; void keep(hook f) { kept = f; } int use(int n) { return kept(n); }"
    )
    script = "lib.keep(lambda n: n)\nlib.use(1)\n"
    run = command(tmp_path, built, script, "--report", "json:report.json")
    ran = subprocess.run(run, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300)
    assert ran.returncode > 128, ran.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    last = report["findings"][-1]
    assert (last["category"], last["call"]["number"]) == ("crash", 2)
    assert report["call_sites"][last["call"]["call_site"] - 1]["source"] == "lib.use(1)"


def test_a_program_stopped_from_outside_has_not_crashed(tmp_path, built):
    script = """
        import signal, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
        open("ready", "w").close()
        time.sleep(60)
    """
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed (Debian, Ubuntu: apt-get install valgrind)")
    for stop, code in ((signal.SIGTERM, 7), (signal.SIGUSR1, 128 + signal.SIGUSR1)):
        (tmp_path / "ready").unlink(missing_ok=True)
        with subprocess.Popen(
            command(tmp_path, built, script),
            cwd=tmp_path,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        ) as running:
            deadline = time.monotonic() + 120
            while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            running.send_signal(stop)
            _, stderr = running.communicate(timeout=120)
        assert running.returncode == code
        assert "crash" not in stderr.replace("the program crashed", "")


def test_what_cannot_be_run(pythy_run, tmp_path, built):
    def refused(*words: str, env: dict[str, str] | None = None):
        run = [sys.executable, "-m", "pythy", "run", *words]
        ran = subprocess.run(
            run, cwd=tmp_path, env=env or environment(), capture_output=True, text=True, timeout=60
        )
        return ran.returncode, ran.stderr.splitlines()[-1]

    assert refused("missing.py") == (2, "pythy: there is no script 'missing.py'")
    assert refused() == (2, "pythy run: error: give a script, or -m and a module")
    assert refused("--report", "xml", "x.py") == (
        2,
        "pythy run: error: argument --report: "
        "'xml' is no type of report: github, html, json, junit, sarif or term",
    )
    (tmp_path / "plain.py").write_text("print(1)\n")
    assert refused("--report", "json:nowhere/report.json", "plain.py") == (
        2,
        "pythy: the report cannot go to 'nowhere/report.json': there is no such directory",
    )
    assert refused("plain.py") == (
        0,
        "pythy: no report, because the program made no interface",
    )
    without = {**environment(), "PATH": str(tmp_path)}
    assert refused("plain.py", env=without) == (
        3,
        "pythy: valgrind is not on PATH; install it (Debian, Ubuntu: 'apt-get install valgrind')",
    )


def test_what_was_found_before_c_ends_the_program_is_told(pythy_run, tmp_path, build):
    built = build(
        "void overrun(void);\nvoid quit(int code);\n",
        """
        #include <stdlib.h>
        void overrun(void) { char *volatile p = malloc(3); p[3] = 0; free(p); }
        void quit(int code) { exit(code); }
        """,
    )
    (tmp_path / "q.py").write_text(
        f"import pythy\nlib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r})\n"
        "lib.overrun()\nlib.quit(0)\n"
    )
    run = [sys.executable, "-m", "pythy", "run", "q.py"]
    ran = subprocess.run(run, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120)
    assert ran.returncode == 99
    lines = ran.stderr.splitlines()
    ended = "pythy: the program was ended by exit() in C, or by os._exit(): Python did not come to its end"
    assert lines[0] == ended
    assert lines[-1].startswith("pythy: 1 finding in 2 calls, 1 error")


def test_an_interrupted_program_ends_as_without_pythy(tmp_path):
    (tmp_path / "k.py").write_text("import pythy\nraise KeyboardInterrupt\n")
    run = [sys.executable, "-m", "pythy", "run", "k.py"]
    ran = subprocess.run(run, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120)
    assert ran.returncode == 130
