# ruff: noqa: E501 (what pythy says stands here as it is said)
"""Wherever Valgrind's output goes, and however it was started: what is known, and what is said of the rest."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
import pythy

pytestmark = pytest.mark.one_python

HEADER = """
    #include <stddef.h>
    int peek(const int *values, int index);
    int decide(void);
    void lose(size_t size);
    void lose_two(void);
    void *make(size_t size);
    int dig(int depth, const int *values);
    int many(const int *values);
"""
SOURCE = """
    #include <stdlib.h>
    static volatile int sink;
    int peek(const int *values, int index) { return values[index]; }
    int decide(void) {
        int *value = malloc(4);
        if (*value) sink = 1;
        if (*value == 2) sink = 2;
        free(value);
        return sink;
    }
    void lose(size_t size) { *(char *)malloc(size) = 1; }
    void lose_two(void) { void **first = malloc(8); *first = malloc(40); }
    void *make(size_t size) { return malloc(size); }
    int dig(int depth, const int *values) { return depth ? dig(depth - 1, values) + 1 : values[2]; }
    #define R10(x) x x x x x x x x x x
    int many(const int *values) { R10(R10(R10(sink = values[1];))) return sink; }
"""
HEAD = """
    import os, subprocess, sys
    import pythy
    lib = pythy.create_interface("code.h", "./code.so")
"""


@pytest.fixture(scope="module")
def directory(build):
    """A directory with the library, in which no file is in anybody's way."""
    built = build(HEADER, SOURCE)

    def fresh(path):
        for file in built.directory.iterdir():
            shutil.copy(file, path)
        return path

    return fresh


UNREAD = [
    ("error", "Unread", 2, "call", 2, None, "errors that Valgrind counted: they repeat one with the same four innermost frames, or are only in its own output"),
    ("error", "Unread", 5, "call", 5, None, "errors that Valgrind counted: they repeat one with the same four innermost frames, or are only in its own output"),
    ("leak", "Leak_DefinitelyLost", 1, "window", None, [1, 10], "24 bytes in 1 block is lost, directly or indirectly; where that was allocated is only in Valgrind's own output"),
    ("leak", "Leak_DefinitelyLost", 1, "window", 11, [11, 11], "48 bytes in 2 blocks are lost, directly or indirectly; where that was allocated is only in Valgrind's own output"),
    ("leak", "Leak_DefinitelyLost", 1, "window", None, None, "30 bytes in 1 block is lost, directly or indirectly; where that was allocated is only in Valgrind's own output: no call was made since the last check, so Python dropped the last handle"),
]  # fmt: skip
UNREAD_SCRIPT = (
    HEAD
    + """
    values = lib.new("int[2]")
    lib.peek(values, 1)
    lib.decide()
    for index in range(7):
        lib.peek(values, index)
        if index == 5:
            lib.lose(24)
    pythy.memory_report()
    lib.lose_two()
    pythy.memory_report()
    handle = lib.make(30)
    pythy.memory_report()
    del handle
    pythy.memory_report()
    import json, decimal, ssl
    pythy.memory_report().to_json("report.json")
"""
)


def found(report):
    return [
        (
            finding["category"],
            finding["kind"],
            finding["count"],
            finding["basis"],
            finding["call"] and finding["call"]["number"],
            finding["lost_between"],
            finding["what"],
        )
        for finding in report["findings"]
    ]


def run_in(directory, under_valgrind, tmp_path, script, *options, **more):
    return under_valgrind(script, *options, directory=directory(tmp_path), **more)


def note_of(what):
    return (
        f"Valgrind's log is {what}, which cannot be read back; run valgrind with --log-file=FILE or --xml=yes "
        "--xml-file=FILE; without it errors and lost blocks are only counted: what they are, and the C stacks, is in "
        "Valgrind's own output alone, where lines of pythy's tell the calls; blocks that are possibly lost are left out"
    )


def markers(output):
    return [line.partition(" pythy: ")[2] for line in output.splitlines() if line.startswith("**")]


MARKERS = [
    "2 errors in call 2, decide() at script.py:7",
    *(f"1 error in call {call}, peek() at script.py:9" for call in (5, 6, 7, 8, 10)),
    "24 bytes in 1 block lost in calls 1 to 10",
    "48 bytes in 2 blocks lost in call 11",
    "30 bytes in 1 block lost after call 12",
]


@pytest.mark.parametrize("allocator", ["pymalloc", "malloc"])
def test_what_goes_into_a_pipe_is_counted_call_by_call(
    directory, under_valgrind, tmp_path, validate, allocator
):
    run = run_in(directory, under_valgrind, tmp_path, UNREAD_SCRIPT, env={"PYTHONMALLOC": allocator})
    report = run.json()
    validate(report)
    assert found(report) == UNREAD
    assert report["totals"] == {
        "calls": 12, "errors": 7, "leaked_bytes": 102, "leaked_blocks": 4, "crashes": 0,
    }  # fmt: skip
    assert report["notes"] == [note_of("a pipe")]
    assert [line.replace(f"{tmp_path}/", "") for line in markers(run.stderr)] == MARKERS
    # Each marker stands below what it is about.
    first = run.stderr.index("2 errors in call 2")
    assert run.stderr.count(": decide (code.c:", 0, first) == 2
    assert "(which call is not known)" in run.stderr


def test_what_goes_to_a_terminal_is_counted_call_by_call(directory, under_valgrind, tmp_path):
    controller, terminal = os.openpty()
    output = []

    def read():
        # Fails when the last program has closed the terminal.
        with contextlib.suppress(OSError):
            while piece := os.read(controller, 4096):
                output.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    run = run_in(directory, under_valgrind, tmp_path, UNREAD_SCRIPT, "-q", stderr=terminal, check=False)
    os.close(terminal)
    reader.join()
    os.close(controller)
    report = run.json()
    assert found(report) == UNREAD
    assert report["notes"] == [note_of("the terminal")]
    assert b"pythy: 2 errors in call 2, decide()" in b"".join(output)


def test_with_a_check_at_each_call_counted_losses_have_their_call(directory, under_valgrind, tmp_path):
    script = (
        HEAD.replace('.so")', '.so", leak_check="call")')
        + """
    lib.peek(lib.new("int[2]"), 1)
    lib.lose(24)
    lib.lose_two()
    pythy.memory_report().to_json("report.json")
    """
    )
    report = run_in(directory, under_valgrind, tmp_path, script, "-q").json()
    assert [(f["call"]["number"], f["lost_between"], f["leaked"]["bytes"]) for f in report["findings"]] == [
        (2, [2, 2], 24),
        (3, [3, 3], 48),
    ]


CHILD = (
    HEAD.replace('.so")', '.so", defines={"NOT_IN_THE_CACHE": os.getpid()})')
    + """
    values = lib.new("int[2]")
    if sys.argv[1:]:
        lib.lose(10)
        lib.peek(values, 3)
        pythy.memory_report().to_json("child.json")
    else:
        lib.peek(values, 2)
        subprocess.run([sys.executable, __file__, "child"], check=True)
        lib.lose(20)
        pythy.memory_report().to_json("report.json")
"""
)


@pytest.mark.parametrize(
    "log", [["--log-file=log.%p"], ["--xml=yes", "--xml-file=log.%p"]], ids=["text", "xml"]
)
def test_programs_that_valgrind_follows_have_reports_of_their_own(directory, under_valgrind, tmp_path, log):
    run = run_in(directory, under_valgrind, tmp_path, CHILD, "--trace-children=yes", "--num-callers=40", *log)
    assert kinds(run.json()) == [("InvalidRead", 1), ("Leak_DefinitelyLost", 2)]
    assert kinds(run.json("child.json")) == [("InvalidRead", 2), ("Leak_DefinitelyLost", 1)]
    # Valgrind has not followed into the reader of headers.
    logs = [path.read_text() for path in tmp_path.glob("log.*")]
    assert sum("script.py" in log for log in logs) >= 2
    assert not any("pythy-worker" in log for log in logs)


def kinds(report):
    return sorted((finding["kind"], finding["call"]["number"]) for finding in report["findings"])


FORK = (
    HEAD
    + """
    values = lib.new("int[2]")
    lib.peek(values, 2)
    child = os.fork()
    if child == 0:
        lib.peek(values, 3)
        lib.lose(10)
        pythy.memory_report().to_json("child.json")
        os._exit(0)
    os.waitpid(child, 0)
    lib.decide()
    pythy.memory_report().to_json("report.json")
"""
)


def test_a_forks_records_are_its_own(directory, under_valgrind, tmp_path):
    run = run_in(directory, under_valgrind, tmp_path, FORK, "--num-callers=40", "--log-file=log")
    report, child = run.json(), run.json("child.json")
    assert kinds(report) == [("InvalidRead", 1), ("UninitCondition", 2), ("UninitCondition", 2)]
    assert report["totals"]["calls"] == 2
    assert kinds(child) == [("InvalidRead", 2), ("Leak_DefinitelyLost", 3)]
    assert child["totals"] == {
        "calls": 2, "errors": 1, "leaked_bytes": 10, "leaked_blocks": 1, "crashes": 0,
    }  # fmt: skip
    assert (report["notes"], child["notes"]) == ([], [])


def test_a_forks_records_in_its_parents_xml_are_not_the_parents(directory, under_valgrind, tmp_path):
    run = run_in(directory, under_valgrind, tmp_path, FORK, "--num-callers=40", "--xml=yes", "--xml-file=log")
    report, child = run.json(), run.json("child.json")
    assert kinds(report) == [("InvalidRead", 1), ("UninitCondition", 2), ("UninitCondition", 2)]
    assert report["notes"] == []
    assert [(f["kind"], f["call"] and f["call"]["number"], f["count"]) for f in child["findings"]] == [
        ("Unread", 2, 1),
        ("Leak_DefinitelyLost", None, 1),
    ]
    [note] = child["notes"]
    assert re.match(
        r"Valgrind's XML is about process \d+, of which this process \d+ is a fork; it does not say", note
    )


SHORT = (
    HEAD
    + """
    values = lib.new("int[2]")
    lib.peek(values, 2)
    lib.lose(10)
    lib.dig(20, values)
    pythy.memory_report().to_json("report.json")
"""
)


@pytest.mark.parametrize("place", ["VALGRIND_OPTS", ".valgrindrc"])
def test_options_count_wherever_they_stand(directory, under_valgrind, tmp_path, place):
    options = "--log-file=log --num-callers=40 --show-leak-kinds=possible --errors-for-leak-kinds=none"
    env = {"VALGRIND_OPTS": options} if place == "VALGRIND_OPTS" else {}
    if place == ".valgrindrc":
        (tmp_path / place).write_text(options.replace(" ", "\n") + "\n")
    report = run_in(directory, under_valgrind, tmp_path, SHORT, env=env).json()
    # The leak is one that the options leave out.
    assert [(f["kind"], f["basis"]) for f in report["findings"]] == [
        ("InvalidRead", "call"),
        ("InvalidRead", "call"),
    ]
    assert report["notes"] == []


def test_stacks_that_are_cut_short_are_told(directory, under_valgrind, tmp_path):
    report = run_in(directory, under_valgrind, tmp_path, SHORT, "--log-file=log").json()
    known = [(f["kind"], f["basis"], f["call"]["number"]) for f in report["findings"]]
    assert known == [
        ("InvalidRead", "call", 1),
        ("InvalidRead", "window", 3),
        ("Leak_DefinitelyLost", "window", 2),
    ]
    assert report["notes"] == [
        "Valgrind cut 1 stack of C code short after 12 frames, so that its call is not known exactly, or not at "
        "all; run it with --num-callers=40"
    ]


def test_stacks_before_a_callback_that_are_cut_short_are_of_the_call(build, under_valgrind, tmp_path):
    built = build(
        "int deep(int depth, const int *values, int (*f)(int)); int id(int a);",
        """
        static int dig(int depth, const int *values) {
            return depth ? dig(depth - 1, values) + 1 : values[2];
        }
        int deep(int depth, const int *values, int (*f)(int)) { return dig(depth, values) * 0 + f(1) + f(2); }
        int id(int a) { return a; }
        """,
    )
    script = """
        import pythy
        lib = pythy.create_interface("code.h", "./code.so")
        values = lib.new("int[2]")
        lib.id(7)
        lib.deep(20, values, lambda a: lib.id(a))
        pythy.memory_report().to_json("report.json")
        pythy._native.tell_at_exit(False)
    """
    report = under_valgrind(script, "--log-file=log", directory=built.directory).json()
    (finding,) = report["findings"]
    assert (finding["kind"], finding["basis"], finding["call"]["number"]) == ("InvalidRead", "window", 2)


@pytest.mark.parametrize("tool", ["none", "callgrind"])
def test_another_tool_than_memcheck_is_told(directory, under_valgrind, tmp_path, tool):
    options = [f"--tool={tool}", "--log-file=log"]
    report = run_in(directory, under_valgrind, tmp_path, SHORT, *options).json()
    assert (report["findings"], report["totals"]["calls"]) == ([], 3)
    assert report["notes"] == [
        f"Valgrind runs another tool, {tool}, than Memcheck: no access, uninitialised value or leak is checked; run "
        "it without --tool"
    ]


MANY = (
    HEAD
    + """
    lib.many(lib.new("int[1]"))
    lib.peek(lib.new("int[2]"), 2)
    pythy.memory_report().to_json("report.json")
"""
)
LIMIT = (
    "Valgrind reports and counts no errors beyond 1000 different ones: what came after that is missing here; "
    "run it with --error-limit=no"
)


@pytest.mark.parametrize(
    ("options", "errors", "notes"),
    [
        (["--log-file=log"], 1000, [LIMIT]),
        ([], 1000, [note_of("a pipe"), LIMIT]),
        (["--log-file=log", "--error-limit=no"], 1001, []),
        # XML has ten lines for a frame, and Valgrind takes its time for each.
        (["--xml=yes", "--xml-file=log", "--num-callers=5"], 1001, []),
    ],
    ids=["text", "pipe", "text-unlimited", "xml"],
)
def test_valgrinds_limit_of_errors_is_told(directory, under_valgrind, tmp_path, options, errors, notes):
    report = run_in(directory, under_valgrind, tmp_path, MANY, "-q", *options).json()
    assert (report["totals"]["errors"], report["notes"]) == (errors, notes)


def test_a_script_in_pythons_place_is_told(directory, tmp_path):
    """As pyenv's are: Valgrind runs the shell, and Python is run natively."""
    directory(tmp_path)
    (tmp_path / "script.py").write_text(textwrap.dedent(HEAD) + "print(lib.decide() < 3)\n")
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "python").chmod(0o755)
    env = {**os.environ, "PYTHONPATH": str(Path(pythy.__file__).parent.parent)}
    ran = subprocess.run(
        ["valgrind", "-q", "./python", "script.py"], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    real = os.path.realpath(sys.executable)
    assert ran.stdout == "True\n"
    assert ran.stderr.splitlines()[-2:] == [
        "note: Valgrind ran a script that starts Python (such as pyenv's), and did not follow into Python itself: "
        f"nothing was checked; run 'valgrind {real}'",
        "pythy: the C code ran natively, its memory was not checked; run Python under Valgrind for that",
    ]


def test_a_native_child_of_a_program_under_valgrind_says_nothing(directory, under_valgrind, tmp_path):
    script = (
        HEAD
        + """
    if sys.argv[1:]:
        print(lib.decide() < 3, pythy.memory_report().notes)
    else:
        ran = subprocess.run([sys.executable, __file__, "child"], capture_output=True, text=True)
        print((ran.stdout, ran.stderr))
    """
    )
    run = run_in(directory, under_valgrind, tmp_path, script, "-q", "--log-file=log")
    assert run.stdout == "('True []\\n', '')\n"
