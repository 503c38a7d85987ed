"""A suite of tests with planted defects: 60 tests of 20 calls each, 5 with an error and 5 with a leak.

    python benches/planted.py DIRECTORY [pythy | ctypes]

It is what the plugin's tests hold the findings to, and what the wall time of a whole suite is measured on.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TESTS = 60
ERRORS = (3, 15, 27, 39, 51)
LEAKS = (8, 20, 32, 44, 56)

HEADER = """\
#include <stddef.h>

/** Adds two numbers. */
int add(int a, int b);
/** Stores a byte. */
void put(unsigned char *bytes, int at, unsigned char value);
/** Allocates, and never frees. */
void lose(size_t size);
"""

SOURCE = """\
#include "planted.h"

#include <stdlib.h>

int add(int a, int b) { return a + b; }
void put(unsigned char *bytes, int at, unsigned char value) { bytes[at] = value; }
void lose(size_t size) { *(char *)malloc(size) = 1; }
"""

IMPORTS = {
    "pythy": """\
import pythy

lib = pythy.create_interface("planted.h", "./planted.so")
""",
    # The copy of an argument that pythy makes under Valgrind is here the test's own.
    "ctypes": """\
import ctypes

lib = ctypes.CDLL("./planted.so")
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
lib.put.argtypes = ctypes.c_void_p, ctypes.c_int, ctypes.c_ubyte
lib.lose.argtypes = (ctypes.c_size_t,)
""",
}

TEST = """

def test_{number:02}():
    for number in range(12):
        assert lib.add(number, 1) == number + 1
    {special}
    for number in range(7):
        assert lib.add(number, 2) == number + 2
"""
# The line of `special` after the one before the test.
SPECIAL = 6

BLOCKS = {"pythy": "bytearray(8)", "ctypes": "libc.malloc(8)"}


@dataclass(frozen=True)
class Planted:
    """One defect: what is to be found, in which test, at which line of Python, of which declaration."""

    kind: str
    test: str
    line: int
    declaration: str
    header_line: int


def write(directory: Path, binding: str = "pythy") -> list[Planted]:
    """Write and compile the suite; returns what is to be found in it."""
    (directory / "planted.h").write_text(HEADER)
    (directory / "planted.c").write_text(SOURCE)
    command = ["cc", "-g", "-O0", "-shared", "-fPIC", "-o", "planted.so", "planted.c"]
    subprocess.run(command, cwd=directory, check=True)
    text, planted = IMPORTS[binding], []
    for number in range(TESTS):
        line = text.count("\n") + SPECIAL
        test = f"test_planted.py::test_{number:02}"
        if number in ERRORS:
            special = f"lib.put({BLOCKS[binding]}, 8, 1)"
            planted.append(Planted("InvalidWrite", test, line, "put", 6))
        elif number in LEAKS:
            special = f"lib.lose({100 + number})"
            planted.append(Planted("Leak_DefinitelyLost", test, line, "lose", 8))
        else:
            special = "lib.add(1, 2)"
        text += TEST.format(number=number, special=special)
    (directory / "test_planted.py").write_text(text)
    return planted


if __name__ == "__main__":
    where = Path(sys.argv[1])
    where.mkdir(parents=True, exist_ok=True)
    for defect in write(where, *sys.argv[2:]):
        print(defect)
