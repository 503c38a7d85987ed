"""What isolated mode costs, each figure beside what it is to be compared with.

    .venv/bin/python benches/isolated.py [--check]

The best round of several, in real time, as a worker is another process; of calls with a leak check the
quickest one. --check makes missed targets errors.
What a leak check takes hangs on how many loss records Valgrind makes of the live blocks: one for each stack
that they were allocated on. Calls have stacks of their own, as each has its number in it. Below each figure
is what the check alone takes in a small C program (held.c), under the same Valgrind with the same options.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pythy

HERE = Path(__file__).resolve()

HEADER = """
int add(int a, int b);
void fill(unsigned char *bytes, long size);
void *keep(int size);
void keep_many(int count, int size);
"""
SOURCE = """
#include <stdlib.h>
#include <string.h>
int add(int a, int b) { return a + b; }
void fill(unsigned char *bytes, long size) { bytes[0]++; bytes[size - 1]++; }
void *keep(int size) { return malloc(size); }
static void *kept[1000];
void keep_many(int count, int size) { while (count--) kept[count] = malloc(size); }
"""
SUITE = """
import pythy, pytest

@pytest.fixture(scope="module")
def lib():
    return pythy.create_interface("sums.h", "./sums.so", {options})

@pytest.mark.parametrize("test", range(200))
def test_adding(lib, test):
    for call in range(50):
        assert lib.add(test, call) == test + call
"""


def measure(run, rounds: int, calls: int) -> float:
    """Microseconds for one of so many calls, in the best of the rounds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            run()
        times.append((time.perf_counter() - start) / calls * 1e6)
    return min(times)


def quickest(run) -> float:
    """Microseconds for the quickest of many calls, as held.c has it of leak checks."""
    return measure(run, 1000, 1)


def socket_round_trip() -> float:
    """Microseconds for a byte to another thread and back, over a socket as the worker's."""
    here, there = socket.socketpair()

    def echo() -> None:
        while byte := there.recv(1):
            there.send(byte)

    thread = threading.Thread(target=echo)
    thread.start()

    def once() -> None:
        here.send(b"x")
        here.recv(1)

    took = measure(once, 5, 2000)
    here.shutdown(socket.SHUT_RDWR)
    thread.join()
    return took


def checker_options() -> list[str]:
    """Valgrind's options of the worker that runs, but for where it writes."""
    children = Path("/proc/self/task").glob("*/children")
    (worker,) = {child for file in children for child in file.read_text().split()}
    words = Path(f"/proc/{worker}/cmdline").read_text().split("\0")
    return [word for word in words if word.startswith("--") and not word.startswith(("--xml-fd", "--log-fd"))]


def in_c(options: list[str], blocks: int, stacks: bool) -> None:
    """Says what a leak check takes in a C program that holds so many blocks."""
    run = ["valgrind", *options, "--xml-file=/dev/null", "--log-file=/dev/null", "./held", str(blocks)]
    done = subprocess.run([*run, str(int(stacks))], check=True, capture_output=True, text=True)
    print(f"{'    the check alone in a C program':58} {float(done.stdout):10.2f} µs", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    check = parser.parse_args().check
    missed = []

    def show(what: str, figure: float, unit: str, target: float, most: bool = True) -> None:
        good = figure <= target if most else figure >= target
        sign = "<=" if most else ">="
        print(f"{what:58} {figure:10.2f} {unit:5} {sign} {target:g}{'' if good else '   MISSED'}", flush=True)
        if not good:
            missed.append(what)

    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        Path("sums.h").write_text(HEADER)
        Path("sums.c").write_text('#include "sums.h"' + SOURCE)
        subprocess.run(["cc", "-g", "-shared", "-fPIC", "-o", "sums.so", "sums.c"], check=True)
        held = HERE.with_name("held.c")
        subprocess.run(["cc", "-O1", "-o", "held", held], check=True)
        print(f"a byte over a socket and back: {socket_round_trip():.1f} µs")

        starts = []
        for _ in range(7):
            start = time.perf_counter()
            lib = pythy.create_interface("sums.h", "./sums.so", backend="isolated", leak_check="off")
            lib.add(1, 2)
            starts.append(time.perf_counter() - start)
            lib.close()
        show("start of a worker, to its first call", min(starts), "s", 0.6)

        lib = pythy.create_interface("sums.h", "./sums.so", backend="isolated", leak_check="off")
        add = lib.add
        show("a call", measure(lambda: add(1, 2), 7, 2000), "µs", 60)
        data = bytearray(1 << 20)
        took = measure(lambda: lib.fill(data, len(data)), 5, 20)
        show("1 MiB to C and back, MB/s", 2 * len(data) / took, "", 500, most=False)
        lib.close()

        lib = pythy.create_interface("sums.h", "./sums.so", backend="isolated", leak_check="call")
        add = lib.add
        options = checker_options()
        show("a call with a leak check, few blocks", quickest(lambda: add(1, 2)), "µs", 300)
        in_c(options, 1, stacks=False)
        lib.keep_many(1000, 16)
        took = quickest(lambda: add(1, 2))
        show("a call with a leak check, 1000 blocks of one call", took, "µs", 300)
        in_c(options, 1000, stacks=False)
        lib.close()
        lib = pythy.create_interface("sums.h", "./sums.so", backend="isolated", leak_check="call")
        add = lib.add
        kept = [lib.keep(16) for _ in range(1000)]
        took = quickest(lambda: add(1, 2))
        show(f"a call with a leak check, {len(kept)} blocks of as many calls", took, "µs", 300)
        in_c(options, 1000, stacks=True)
        del kept
        lib.close()

        def suite(options: str, before: list[str]) -> float:
            Path("test_suite.py").write_text(SUITE.format(options=options))
            pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pythy=off"]
            start = time.perf_counter()
            subprocess.run([*before, *pytest, "test_suite.py"], check=True, capture_output=True)
            return time.perf_counter() - start

        isolated = min(suite("backend='isolated', leak_check='call'", []) for _ in range(3))
        whole = suite("leak_check='off'", ["valgrind", "--num-callers=40", "--log-file=log"])
        print(f"200 tests of 50 calls: {isolated:.1f} s with leak checks, {whole:.1f} s with all of Python")
        show("how many times faster isolated is", whole / isolated, "", 4, most=False)
        os.chdir("/")
    return 1 if check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
