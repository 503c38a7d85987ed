"""The suite of benches/planted.py, 60 tests of 20 calls with 5 errors and 5 leaks, by each way to test it.

    python benches/suites.py

Beside each way's seconds, on the clock and of processor time, for one run of the whole of pytest, is what it
tells; where others use the machine, the ratios of processor time are the ones to look at. pytest-valgrind
0.2.0, which works with pytest 9, knows nothing of foreign calls: its suite calls by ctypes. Its best options
are a leak check per test of definite losses only, and Valgrind's log, which it shows; its manual asks for
PYTHONMALLOC=malloc, with which CPython 3.11.7 has errors of its own in every test. All ways have those
plugins of pytest only that they need.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import planted

PLUGIN = Path(__file__).parent.parent / "build/pytest-valgrind"
VALGRIND = ["valgrind", "--log-file=valgrind.log"]
DEFINITE = ["--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]
THEIRS = ["-p", "pytest_valgrind.plugin", "--valgrind", "--valgrind-log=valgrind.log"]
OURS = ["-p", "pythy.pytest_plugin"]
XDIST = ["-p", "xdist", "-n", "2"]

# What it is, how the suite calls, PYTHONMALLOC, Valgrind's words, pytest's words.
WAYS = {
    "no Valgrind, pythy": ("pythy", "pymalloc", [], []),
    "no Valgrind, ctypes": ("ctypes", "pymalloc", [], []),
    "pytest-valgrind 0.2.0": ("ctypes", "pymalloc", [*VALGRIND, *DEFINITE], THEIRS),
    "pytest --pythy=isolated": ("pythy", "pymalloc", [], [*OURS, "--pythy=isolated"]),
    "pytest --pythy=isolated -n 2": ("pythy", "pymalloc", [], [*OURS, "--pythy=isolated", *XDIST]),
    "pytest --pythy=inprocess": ("pythy", "pymalloc", [], [*OURS, "--pythy=inprocess"]),
    "pytest --pythy=inprocess -n 2": ("pythy", "pymalloc", [], [*OURS, "--pythy=inprocess", *XDIST]),
    "valgrind --num-callers=40 python -m pytest": (
        "pythy",
        "pymalloc",
        [*VALGRIND, "--num-callers=40"],
        OURS,
    ),
    "pytest-valgrind 0.2.0, PYTHONMALLOC=malloc": ("ctypes", "malloc", [*VALGRIND, *DEFINITE], THEIRS),
}
BASE = "pytest-valgrind 0.2.0"


@dataclass(frozen=True)
class Measured:
    """What one run took, and what it told."""

    seconds: float
    processor: float
    told: str


def measure(binding: str, allocator: str, valgrind: list[str], words: list[str]) -> Measured:
    """Run the suite once."""
    environment = {
        **os.environ,
        "PYTHONMALLOC": allocator,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PLUGIN), os.environ.get("PYTHONPATH")])),
    }
    environment.pop("DEBUGINFOD_URLS", None)
    with tempfile.TemporaryDirectory() as directory:
        planted.write(Path(directory), binding)
        pytest = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", *words]
        start, used = time.perf_counter(), processor_time()
        ran = subprocess.run(
            [*valgrind, *pytest], cwd=directory, env=environment, capture_output=True, text=True
        )
        seconds = time.perf_counter() - start
        return Measured(seconds, processor_time() - used, told(ran.stdout, ran.stderr))


def processor_time() -> float:
    """What all processes have used that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def told(stdout: str, stderr: str) -> str:
    """pytest's last line, and pythy's."""
    lines = [line.strip("= ") for line in stdout.splitlines()]
    last = [line for line in lines if re.search(r"\d+ \w+.* in [\d.]+s", line)]
    ours = [line.removeprefix("pythy: ") for line in lines if re.match(r"pythy: .* findings? in ", line)]
    outcome = [line.partition(" in ")[0] for line in last[-1:]]
    return "; ".join(outcome + ours[-1:]) or f"no result: {stderr.strip().splitlines()[-1:]}"


def main() -> int:
    if not PLUGIN.is_dir():
        print("pytest-valgrind is not there: tools/setup.sh bench")
        return 2
    defects = f"{len(planted.ERRORS)} with an error, {len(planted.LEAKS)} with a leak"
    print(f"{planted.TESTS} tests of 20 calls, {defects}; seconds, of which a processor's, and times as fast")
    measured: dict[str, Measured] = {}
    for what, way in WAYS.items():
        this = measured[what] = measure(*way)
        base = measured.get(BASE)
        ratios = f"{base.seconds / this.seconds:5.1f} {base.processor / this.processor:5.1f}" if base else ""
        print(f"  {what:44} {this.seconds:6.1f} {this.processor:6.1f}  {ratios:11}  {this.told}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
