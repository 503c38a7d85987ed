"""Milliseconds of create_interface for real headers: read by libclang, and from the cache.

python benches/interfaces.py [ROUNDS]

Each round is one process for each of the two, which makes its first interface: the cache is empty for the
first and full for the second. Starting Python and importing pythy is not counted. Exits with 1 if a target
is missed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SUBJECTS = (("/usr/include/zlib.h", "libz.so.1"), ("/usr/include/sqlite3.h", "libsqlite3.so.0"))
COLD_TARGET, CACHED_TARGET = 80.0, 3.0

MEASURE = """
import sys, time
import pythy
header, library = sys.argv[1:]
start = time.perf_counter()
pythy.create_interface(header, library)
print(1e3 * (time.perf_counter() - start))
"""


def milliseconds(header: str, library: str, cache: Path) -> float:
    command = [sys.executable, "-c", MEASURE, header, library]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    return float(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)


def measure(header: str, library: str, rounds: int, directory: Path) -> tuple[float, float]:
    """The medians, cold and cached."""
    cold, cached = [], []
    for number in range(rounds):
        cache = directory / f"{Path(header).stem}-{number}"
        cold.append(milliseconds(header, library, cache))
        cached.append(milliseconds(header, library, cache))
    return statistics.median(cold), statistics.median(cached)


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    missed = False
    print(f"create_interface, milliseconds, medians of {rounds} processes\n")
    print(f"{'':24} {'cold':>8} {'cached':>8}")
    with tempfile.TemporaryDirectory() as directory:
        for header, library in SUBJECTS:
            if not Path(header).exists():
                print(f"{Path(header).name:24} is not installed")
                continue
            cold, cached = measure(header, library, rounds, Path(directory))
            met = cold <= COLD_TARGET and cached <= CACHED_TARGET
            missed |= not met
            mark = "" if met else f"   missed: {COLD_TARGET:.0f} cold, {CACHED_TARGET:.0f} cached"
            print(f"{Path(header).name:24} {cold:8.1f} {cached:8.2f}{mark}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
