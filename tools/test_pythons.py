"""Run the Python tests in .venv, then the same ones on every other CPython of the machine.

    .venv/bin/python tools/test_pythons.py [PYTEST ARGUMENT]...

All but the first run have one wheel, built once with build isolation as a user's pip would. The
other interpreters run side by side, one more than there are cores (JOBS overrides); their output is in
build/logs and is shown when it failed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import interpreters

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "logs"
# pytest says so when it found no test at all: a selection with -k may name the packaging tests only.
NO_TESTS = 5


def build_wheel() -> Path:
    """The wheel of this tree, built in isolation; cargo has done the work already."""
    directory = BUILD / "wheel"
    for old in directory.glob("*.whl"):
        old.unlink()
    run = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", directory, ROOT]
    subprocess.run(run, check=True)
    return next(directory.glob("pythy-*.whl"))


def test_here(wheel: Path, arguments: list[str]) -> tuple[int, str]:
    """Run all tests in this environment, shown as they go."""
    # Side by side, a file at a time: pytest-xdist is in the development group.
    jobs = os.environ.get("JOBS") or str(os.cpu_count() or 1)
    share = ["-n", jobs, "--dist", "loadscope"]
    command = [sys.executable, "-m", "pytest", "tests/python", "tests/packaging", *share, *arguments]
    environment = {**os.environ, "PYTHY_WHEEL": str(wheel)}
    lines = []
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return running.returncode, closing_line(lines)


def test_elsewhere(interpreter: dict, wheel: Path, arguments: list[str]) -> tuple[int, str]:
    """Install the wheel in an environment of the interpreter's own and run the tests there."""
    name = version(interpreter)
    venv, log = BUILD / "venvs" / name, LOGS / f"pytest-{name}.log"
    python = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    tests = ["-m", "pytest", "tests/python", "-p", "no:cacheprovider", "-m", "not one_python", *arguments]
    steps = [
        [interpreter["path"], "-m", "venv", "--without-pip", venv],
        [*pip, "--group", f"{ROOT / 'pyproject.toml'}:test"],
        [*pip, "--force-reinstall", "--no-deps", wheel],
        [*pip, wheel],
        [python, *tests],
    ]
    # A pre-release has no wheels of NumPy and the like: what needs them is skipped there.
    if not interpreter["final"]:
        steps[1] = [*pip, "pytest"]
    with log.open("w+") as output:
        for step in steps:
            ran = subprocess.run(step, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
            if ran.returncode:
                break
        output.seek(0)
        return ran.returncode, closing_line(output.readlines())


def closing_line(lines: list[str]) -> str:
    """pytest's last word, or whatever came last. pythy's own report may stand behind pytest's."""
    said = [line.strip("= \n") for line in lines if line.strip()]
    counts = [line for line in said if re.search(r"\b\d+ (passed|failed|errors?)\b.* in [\d.]+s", line)]
    return next(reversed(counts or said), "no output")


def version(interpreter: dict) -> str:
    return "{}.{}".format(*interpreter["version"][:2])


def main(arguments: list[str]) -> int:
    LOGS.mkdir(parents=True, exist_ok=True)
    summary = LOGS / "summary.txt"
    summary.unlink(missing_ok=True)
    wheel = build_wheel()
    started = time.monotonic()
    here = interpreters.ask(sys.executable)
    results = [(here, *test_here(wheel, arguments))]
    others = [one for one in interpreters.one_per_minor() if version(one) != version(here)]
    # One more than there are cores, so that none is idle while the last one ends.
    jobs = int(os.environ.get("JOBS") or (os.cpu_count() or 1) + 1)
    with ThreadPoolExecutor(jobs) as pool:
        closing = pool.map(lambda one: test_elsewhere(one, wheel, arguments), others)
        for one, (code, line) in zip(others, closing, strict=True):
            results.append((one, code, line))
            if code not in (0, NO_TESTS):
                print(f"\n--- Python {version(one)} ---")
                print((LOGS / f"pytest-{version(one)}.log").read_text())
    report = [f"Python {version(one)}: {line}" for one, _, line in results]
    report.append(f"Python tests took {time.monotonic() - started:.0f} s")
    summary.write_text("\n".join(report) + "\n")
    print("\n" + summary.read_text(), end="")
    codes = [results[0][1], *(code for _, code, _ in results[1:] if code != NO_TESTS)]
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
