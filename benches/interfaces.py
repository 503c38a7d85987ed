"""Milliseconds of create_interface for real headers: read by libclang, and from the cache.

    python benches/interfaces.py [--rounds N] [--check]

Each round is one process for each of the two, which makes its first interface and then others of the same
header: the cache is empty for the first process and full for the second. Starting Python and importing pythy
is not counted. `--check` makes a missed target an exit code of 1.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SUBJECTS = (("/usr/include/zlib.h", "libz.so.1"), ("/usr/include/sqlite3.h", "libsqlite3.so.0"))
COLD_TARGET, CACHED_TARGET = 80.0, 3.0

# How many interfaces a process makes.
COUNT = 6

MEASURE = """
import sys, time
import pythy
header, library, count = sys.argv[1:]
for _ in range(int(count)):
    start = time.perf_counter()
    lib = pythy.create_interface(header, library)
    print(1e3 * (time.perf_counter() - start))
"""


def milliseconds(header: str, library: str, cache: Path) -> list[float]:
    """Of each interface that one process makes."""
    command = [sys.executable, "-c", MEASURE, header, library, str(COUNT)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    ran = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return [float(line) for line in ran.stdout.split()]


def measure(header: str, library: str, rounds: int, directory: Path) -> tuple[float, float, float]:
    """The medians: cold, from the cache as the process's first interface, and as a later one."""
    cold, first, later = [], [], []
    for number in range(rounds):
        cache = directory / f"{Path(header).stem}-{number}"
        cold.append(milliseconds(header, library, cache)[0])
        cached = milliseconds(header, library, cache)
        first.append(cached[0])
        later += cached[1:]
    return statistics.median(cold), statistics.median(first), statistics.median(later)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="processes of each kind (%(default)s)")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    options = parser.parse_args()
    missed = False
    print(f"create_interface, milliseconds, medians of {options.rounds} processes;")
    print("in brackets: how many times as long it takes without the cache\n")
    print(f"{'':12} {'cold':>8} {'cached, first':>18} {'cached, later':>18}")
    with tempfile.TemporaryDirectory() as directory:
        for header, library in SUBJECTS:
            name = Path(header).name
            if not Path(header).exists():
                print(f"{name:12} is not installed")
                continue
            cold, first, later = measure(header, library, options.rounds, Path(directory))
            met = cold <= COLD_TARGET and first <= CACHED_TARGET
            missed |= not met
            cells = [f"{cold:8.1f}", *(f"{one:9.2f} ({cold / one:5.1f}x)" for one in (first, later))]
            print(f"{name:12} {cells[0]} {cells[1]:>18} {cells[2]:>18}  {'met' if met else 'MISSED'}")
    print(
        f"\ntargets: cold <= {COLD_TARGET:.0f}; from the cache, first in its process, <= {CACHED_TARGET:.0f}"
    )
    return int(options.check and missed)


if __name__ == "__main__":
    sys.exit(main())
