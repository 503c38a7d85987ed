"""Suppressions made of findings, given to the same Valgrind again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import pythy

pytestmark = pytest.mark.one_python

HEADER = """
    #include <stddef.h>
    int peek(const int *values, int index);
    int decide(void);
    void pair(void);
    void lose(size_t size);
    void lose_list(void);
    void send(void);
    void again(void);
    void huge(void);
"""
SOURCE = """
    #include <fcntl.h>
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>
    static volatile int sink;
    static volatile size_t all = (size_t)-8, six = 6;
    int peek(const int *values, int index) { return values[index]; }
    int decide(void) { int *value = malloc(4); if (*value) sink = 1; free(value); return sink; }
    void pair(void)
    {
        char *text = calloc(32, 1);
        strcpy(text, "overlap");
        strncpy(text + 3, text, six);
        free(text);
    }
    void lose(size_t size) { *(char *)malloc(size) = 1; }
    void lose_list(void) { void **first = malloc(8); *first = malloc(40); }
    void send(void)
    {
        char *text = malloc(8);
        int null = open("/dev/null", O_WRONLY);
        sink = write(null, text, 8);
        close(null);
        free(text);
    }
    void again(void) { char *text = malloc(8); free(text); free(text); }
    void huge(void) { sink = malloc(all) != NULL; }
"""
SCRIPT = """
import pythy
lib = pythy.create_interface({header!r}, {library!r})
lib.peek(lib.new("int[2]"), 2)
lib.decide()
lib.pair()
lib.lose(10)
lib.lose_list()
lib.send()
lib.again()
lib.huge()
"""


@pytest.fixture
def pythy_run(build, tmp_path):
    built = build(HEADER, SOURCE)
    script = SCRIPT.format(header=str(built.header), library=str(built.library))
    (tmp_path / "script.py").write_text(script)

    def run(*options):
        command = [
            sys.executable,
            "-m",
            "pythy",
            "run",
            *options,
            "--report",
            "json:report.json",
            "script.py",
        ]
        env = {**os.environ, "PYTHONPATH": str(Path(pythy.__file__).parent.parent)}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)

    return run


def test_an_entry_for_each_finding_makes_it_vanish(pythy_run, tmp_path):
    # GIVEN the entries for all findings
    assert pythy_run("--gen-suppressions", "mine.supp").returncode == 99
    command = [sys.executable, "-m", "pythy", "suppressions", "--gen", "report.json"]
    env = {**os.environ, "PYTHONPATH": str(Path(pythy.__file__).parent.parent)}
    printed = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (printed.returncode, printed.stdout) == (0, (tmp_path / "mine.supp").read_text())
    findings = json.loads((tmp_path / "report.json").read_text())["findings"]
    kinds = sorted(finding["kind"] for finding in findings)
    assert kinds == [
        "FishyValue", "InvalidFree", "InvalidRead", "Leak_DefinitelyLost", "Leak_DefinitelyLost", "Overlap",
        "SyscallParam", "UninitCondition",
    ]  # fmt: skip
    entries = (tmp_path / "mine.supp").read_text()
    assert entries.count("{\n") == 8
    assert "\n   decide-UninitCondition-2\n   Memcheck:Cond\n   fun:decide\n}\n" in entries
    assert "\n   Memcheck:Leak\n   match-leak-kinds: definite\n   fun:malloc\n   fun:lose\n}\n" in entries
    assert "\n   Memcheck:Param\n   write(buf)\n   fun:write\n   fun:send\n}\n" in entries

    # WHEN they are given to the next run, beside another file
    (tmp_path / "other.supp").write_text("# nothing\n")
    ran = pythy_run("--suppressions", "other.supp", "--suppressions", "mine.supp")

    # THEN nothing is found
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads((tmp_path / "report.json").read_text())["findings"] == []


def test_files_that_are_not_there(pythy_run):
    ran = pythy_run("--suppressions", "missing.supp")
    assert (ran.returncode, ran.stderr) == (2, "pythy: there is no file of suppressions 'missing.supp'\n")
    ran = pythy_run("--gen-suppressions", "nowhere/mine.supp")
    message = "pythy: the suppressions cannot go to 'nowhere/mine.supp': there is no such directory\n"
    assert (ran.returncode, ran.stderr) == (2, message)
