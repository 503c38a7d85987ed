"""The same suite of tests under Valgrind: with pythy, and with pytest-valgrind 0.2.0.

    python benches/suites.py [TESTS] [CALLS]

TESTS tests (default 20) of CALLS calls each (default 50), of which each fifth test leaks a block. What each
way tells of these leaks is in the table beside its seconds. pytest-valgrind, which works with pytest 9, knows
nothing of foreign calls: its suite calls by ctypes, and errors of the interpreter's own fail a test (CPython
3.11.7 has some in every test with PYTHONMALLOC=malloc, which its manual asks for). pythy's plugin for pytest
is not there yet: its suite calls by pythy, once with a single leak check at the end, and once with
`pythy.watch()` around each test, which is what pytest-valgrind does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLUGIN = Path(__file__).parent.parent / "build/pytest-valgrind"
SOURCE = """
#include <stdlib.h>
int add(int a, int b) { return a + b; }
void lose(unsigned long size) { *(volatile char *)malloc(size) = 1; }
"""
SUITE = """
import pytest

@pytest.mark.parametrize("number", range({tests}))
def test_adding(lib, number):
    for index in range({calls}):
        assert lib.add(index, number) == index + number
    if number % 5 == 4:
        lib.lose(100 + number)
"""
BY_CTYPES = """
import ctypes, pytest

@pytest.fixture(scope="session")
def lib():
    lib = ctypes.CDLL("./sums.so")
    lib.lose.argtypes = [ctypes.c_ulong]
    return lib
"""
BY_PYTHY = """
import pytest, pythy

@pytest.fixture(scope="session")
def lib():
    return pythy.create_interface("sums.h", "./sums.so")
"""
EACH = """
@pytest.fixture(autouse=True)
def watched(lib):
    with pythy.watch():
        yield
"""
VALGRIND = ["valgrind", "--log-file=valgrind.log"]
SLOTS = ["--num-callers=40", "--leak-resolution=high"]
DEFINITE = ["--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]
OURS = ["-p", "no:valgrind"]
THEIRS = (BY_CTYPES, [*VALGRIND, *DEFINITE], ["--valgrind", "--valgrind-log=valgrind.log"])

# What it is, PYTHONMALLOC, the conftest, Valgrind's words, pytest's words.
WAYS = {
    "no Valgrind, ctypes": ("pymalloc", BY_CTYPES, [], OURS),
    "Valgrind alone, ctypes, no leak check": ("malloc", BY_CTYPES, VALGRIND, OURS),
    "pytest-valgrind 0.2.0, ctypes, a leak check per test": ("pymalloc", *THEIRS),
    "pytest-valgrind 0.2.0, ctypes, per test, malloc": ("malloc", *THEIRS),
    "pythy, one leak check at the end": ("pymalloc", BY_PYTHY, [*VALGRIND, *SLOTS], OURS),
    "pythy, a leak check per test": ("pymalloc", BY_PYTHY + EACH, [*VALGRIND, *SLOTS], OURS),
    "pythy, a leak check per test, malloc": ("malloc", BY_PYTHY + EACH, [*VALGRIND, *SLOTS], OURS),
}


def measure(directory: Path, allocator: str, conftest: str, valgrind: list[str], words: list[str]):
    """Seconds, and what was told of the leaks."""
    (directory / "conftest.py").write_text(conftest)
    environment = {**os.environ, "PYTHONMALLOC": allocator, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("DEBUGINFOD_URLS", None)
    if "--valgrind" in words:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PLUGIN), os.environ.get("PYTHONPATH")]))
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words, "test_suite.py"]
    start = time.perf_counter()
    ran = subprocess.run([*valgrind, *pytest], cwd=directory, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    return seconds, told(ran.stdout, ran.stderr)


def told(stdout: str, stderr: str) -> str:
    summary = re.findall(r"^pythy: .*", stderr, re.MULTILINE)
    if summary:
        return summary[-1].removeprefix("pythy: ").partition(" (Valgrind")[0]
    lines = [line.strip("= ") for line in stdout.splitlines() if re.search(r"\d+ \w+.* in [\d.]+s", line)]
    return lines[-1] if lines else f"no result: {stderr.strip().splitlines()[-1:]}"


def main() -> int:
    tests, calls = (int(word) for word in (sys.argv[1:] + ["20", "50"][len(sys.argv) - 1 :]))
    if not PLUGIN.is_dir():
        print("pytest-valgrind is not there: tools/setup.sh bench")
        return 2
    print(f"{tests} tests of {calls} calls, {tests // 5} of which lose a block each; seconds of one run")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "sums.h").write_text("int add(int a, int b);\nvoid lose(unsigned long size);\n")
        (directory / "sums.c").write_text(SOURCE)
        (directory / "test_suite.py").write_text(SUITE.format(tests=tests, calls=calls))
        compile_c = ["cc", "-g", "-O1", "-shared", "-fPIC", "-o", "sums.so", "sums.c"]
        subprocess.run(compile_c, cwd=directory, check=True)
        for what, way in WAYS.items():
            seconds, result = measure(directory, *way)
            print(f"  {what:54} {seconds:7.1f} s  {result}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
