"""What watching costs: calls under Valgrind, bracketed and not, with and without a defect.

    python benches/checked.py [--rounds N] [--check]

Each figure is a ratio of two loops in processes that run in turn, by the processor time they take; the
fastest of the rounds counts. Where the stack begins differs between rounds: Memcheck takes half a
microsecond more for calls that happen to cross a boundary of 64 KiB of it.
`--check` makes a missed target an exit code of 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HEADER = """
int add(int a, int b);
int peek(const int *values, int index);
void lose(unsigned long size);
void allocate(unsigned long size);
"""
SOURCE = """
#include <stdlib.h>
int add(int a, int b) { return a + b; }
int peek(const int *values, int index) { return values[index]; }
void lose(unsigned long size) { *(char *)malloc(size) = 1; }
void allocate(unsigned long size) { volatile char *block = malloc(size); block[0] = 1; free((void *)block); }
"""
SCRIPT = """
import json, sys, time
import pythy

lib = pythy.create_interface("code.h", "./code.so", gil="hold")

def timed(function, count):
    start = time.process_time()
    function(count)
    return time.process_time() - start

def calls(count):
    for _ in range(count):
        lib.add(1, 2)

def peeks(index):
    values = lib.new("int[4]")
    def loop(count):
        for _ in range(count):
            lib.peek(values, index)
    return loop

def tests(count):
    # A hundred tests with a leak check each.
    for _ in range(100):
        with pythy.watch():
            for _ in range(count // 100):
                lib.add(1, 2)

def bound_calls(count):
    add = lib.add
    for _ in range(count):
        add(1, 2)

def allocations(count):
    for _ in range(count):
        lib.allocate(16)

def each(function):
    # The fastest of many short loops: others use this machine too.
    function(1000)
    return min(timed(function, 1000) for _ in range(30)) / 1000

times = {"call": each(calls), "bound": each(bound_calls), "alloc": each(allocations)}
times["tests"] = timed(tests, 10000)
if sys.argv[1] == "defect":
    times["good"], times["bad"] = timed(peeks(0), 100000), timed(peeks(4), 100000)
    assert sum(finding.count for finding in pythy.memory_report().findings) == 100000
print(json.dumps(times))
"""
OPTIONS = ["--num-callers=40", "--leak-resolution=high", "-q", "--log-file=log", "--error-limit=no"]

# What the ratio is of, the larger and the smaller figure, and the target, if there is one.
RATIOS = [
    ("a bracketed call / the same call unbracketed", ("bracketed", "call"), ("unbracketed", "call"), 1.2),
    ("the same, of a function bound to a name", ("bracketed", "bound"), ("unbracketed", "bound"), 1.2),
    (
        "a call that allocates: a stack of its own by its slots / none",
        ("bracketed", "alloc"),
        ("unbracketed", "alloc"),
        None,
    ),
    (
        "10,000 calls in 100 tests, each leak on its call / one leak check per test alone",
        ("bracketed", "tests"),
        ("unbracketed", "tests"),
        1.5,
    ),
    ("100,000 calls with a defect / without", ("bracketed", "bad"), ("bracketed", "good"), 3.0),
]


def run(directory: Path, bracketed: bool, padding: int) -> dict[str, float]:
    environment = {**os.environ, "PYTHY_BRACKET": "on" if bracketed else "off", "PADDING": padding * "x"}
    environment.pop("DEBUGINFOD_URLS", None)
    command = ["valgrind", *OPTIONS, sys.executable, "script.py", "defect" if bracketed else "plain"]
    ran = subprocess.run(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    )
    return json.loads(ran.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    arguments = parser.parse_args()
    best: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "code.h").write_text(HEADER)
        (directory / "code.c").write_text('#include "code.h"\n' + SOURCE)
        (directory / "script.py").write_text(SCRIPT)
        compile_c = ["cc", "-g", "-O1", "-shared", "-fPIC", "-o", "code.so", "code.c"]
        subprocess.run(compile_c, cwd=directory, check=True)
        for number in range(arguments.rounds):
            for variant in ("bracketed", "unbracketed"):
                for what, seconds in run(directory, variant == "bracketed", 4000 * number).items():
                    key = variant, what
                    best[key] = min(seconds, best.get(key, seconds))
    print(f"processor time under Valgrind, fastest of {arguments.rounds} rounds")
    for (variant, what), seconds in best.items():
        print(f"  {variant:11} {what:6} {seconds * 1e6:12.1f} µs")
    missed = False
    print("ratios")
    for what, over, under, target in RATIOS:
        ratio = best[over] / best[under]
        if target is None:
            print(f"  {what}: {ratio:.2f}")
            continue
        missed |= ratio > target
        print(f"  {what}: {ratio:.2f}  <= {target:.2f}  {'met' if ratio <= target else 'MISSED'}")
    return 1 if missed and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
