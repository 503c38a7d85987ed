"""Check what pythy needs on this machine, and say what to do where it is missing.

A line is ok, FAIL (pythy does not work without it) or warn (pythy works; you should know of it).
"""

import argparse
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pythy
from pythy import launch

# The exit code for a Valgrind that is missing or unusable.
NO_VALGRIND = 3

OK, WARN, FAIL = "ok", "warn", "FAIL"

# Whether something is as it must be, what it is, and how it is or what to do.
Check = tuple[str, str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`pythy doctor` takes nothing."""


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each check; returns 0 when nothing fails."""
    found = valgrind()
    others = [interpreter(), libclang(), worker(), headers()]
    for state, what, said in (found, *others):
        print(f"{state:4}  {what}: {said}")
    if found[0] == FAIL:
        return NO_VALGRIND
    return 1 if any(state == FAIL for state, _, _ in others) else 0


def valgrind() -> Check:
    """The first Valgrind on PATH."""
    path, wrong = launch.find_valgrind()
    if path is None:
        return FAIL, "Valgrind", wrong
    return OK, "Valgrind", f"{pythy.valgrind_version()} ({path})"


def interpreter() -> Check:
    """What `valgrind python` would run."""
    version = sys.version.split()[0]
    for name in ("python", "python3"):
        path = shutil.which(name)
        if path is not None and not _is_elf(Path(path)):
            # No failure: without Valgrind nobody cares, and `pythy run` starts the interpreter itself.
            advice = f"so write 'valgrind {launch.interpreter()}', or use 'pythy run'"
            return WARN, "Python", f"{path} is a script: Valgrind would run its shell, {advice}"
    return OK, "Python", f"{version} ({sys.executable})"


def libclang() -> Check:
    """The libclang that headers are read with."""
    for path in _libclangs():
        try:
            ctypes.CDLL(str(path))
        except OSError as error:
            return (
                FAIL,
                "libclang",
                f"{path} cannot be loaded ({error}); pip install --force-reinstall libclang",
            )
        return OK, "libclang", str(path)
    return FAIL, "libclang", "missing; pip install 'libclang>=18.1,<19', or set LIBCLANG_PATH"


def worker() -> Check:
    """The program that reads headers under Valgrind."""
    path = Path(pythy.__file__).with_name("bin") / "pythy-worker"
    try:
        ran = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return FAIL, "worker", f"{path} does not run ({error}); install pythy anew"
    return OK, "worker", ran.stdout.strip()


def headers() -> Check:
    """The headers of the C library, which almost every other includes."""
    if Path("/usr/include/stdio.h").is_file():
        return OK, "C headers", "/usr/include"
    return FAIL, "C headers", "no /usr/include/stdio.h (Debian, Ubuntu: apt-get install libc6-dev)"


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _libclangs() -> Iterator[Path]:
    chosen = os.environ.get("LIBCLANG_PATH")
    if chosen:
        path = Path(chosen)
        yield path / "libclang.so" if path.is_dir() else path
    for directory in sys.path:
        path = Path(directory) / "clang" / "native" / "libclang.so"
        if path.is_file():
            yield path
