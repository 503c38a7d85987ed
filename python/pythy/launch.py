"""Start a Python program under Valgrind, with the options that pythy needs."""

import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pythy
from pythy import _native

# Sent to us alone, and meant for the program.
PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

OPTIONS = (
    "--tool=memcheck",
    # The call's slots lie below all frames of the C code.
    "--num-callers=40",
    "--leak-resolution=high",
    # pythy looks for leaks itself; the interpreter's own would take Valgrind a minute to describe.
    "--leak-check=no",
    "--error-limit=no",
    # What is written a little beyond a block is found, and does not end Valgrind.
    "--redzone-size=128",
    "--trace-children=no",
    "--child-silent-after-fork=yes",
    "--xml=yes",
)

AT_ONCE = "exit() in C, or by os._exit(): Python did not come to its end"


@dataclass(frozen=True)
class Ended:
    """How a program under Valgrind has ended."""

    process: int
    code: int
    """As subprocess has it: less than 0 for a signal."""
    started: bool
    said: str
    """What Valgrind itself had to say."""
    left: pythy.Report | None
    """The report on a program that did not come to its end, where it made an interface."""

    def gave_up(self) -> str | None:
        """What Valgrind said where it has ended the program itself, as for suppressions it cannot read."""
        words = [re.sub(r"^==\d+==\s*", "", line) for line in self.said.splitlines()]
        fatal = next((at for at, line in enumerate(words) if line.startswith("FATAL: ")), None)
        if self.code != 1 or fatal is None:
            return None
        told = itertools.takewhile(lambda line: line and line != "exiting now.", words[fatal:])
        return " ".join(told).removeprefix("FATAL: ")


def find_valgrind() -> tuple[str | None, str]:
    """The Valgrind on PATH, or None and what is wrong."""
    try:
        return str(_native.find_valgrind()), ""
    except pythy.ValgrindError as error:
        return None, str(error)


def interpreter() -> str:
    """This very interpreter, never a script that starts it: Valgrind would run the script's shell."""
    return sys.executable if is_elf(sys.executable) else os.path.realpath("/proc/self/exe")


def is_elf(program: str) -> bool:
    """Whether this is a program of the machine's, and no script."""
    with open(program, "rb") as file:
        return file.read(4) == b"\x7fELF"


def run(
    valgrind: str,
    program: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    is_over: Callable[[int], bool],
    options: Sequence[str] = (),
) -> Ended:
    """Run a program of Python's under Valgrind until it ends.

    `directory` is for what is known of it if it does not come to its end; `is_over` tells whether its
    process has.
    """
    # Without names, so that nothing is left behind however this ends; not closed on exec.
    xml, log = os.memfd_create("pythy-xml", 0), os.memfd_create("pythy-log", 0)
    trail = directory / "trail"
    trail.mkdir()
    variables = {**os.environ, "PYTHY_TRAIL": str(trail), **environment}
    # Debug information from the network takes minutes.
    variables.pop("DEBUGINFOD_URLS", None)
    command = [valgrind, *OPTIONS, *options, f"--xml-fd={xml}", f"--log-fd={log}", interpreter(), *program]
    try:
        with subprocess.Popen(command, env=variables, pass_fds=(xml, log)) as running, passing_on(running):
            code = wait(running)
        os.lseek(log, 0, os.SEEK_SET)
        return Ended(
            process=running.pid,
            code=code,
            started=os.fstat(xml).st_size > 0,
            said=os.read(log, 1 << 16).decode(errors="replace").strip(),
            left=None
            if code >= 0 and is_over(running.pid)
            else _native.crash_report(trail, f"/proc/self/fd/{xml}"),
        )
    finally:
        os.close(xml)
        os.close(log)


def run_natively(program: Sequence[str], environment: Mapping[str, str]) -> tuple[int, int]:
    """Run a program of Python's, whose workers run under Valgrind; returns its process and its exit code."""
    command = [interpreter(), *program]
    with subprocess.Popen(command, env={**os.environ, **environment}) as running, passing_on(running):
        return running.pid, wait(running)


def wait(running: subprocess.Popen[bytes]) -> int:
    """The exit code. The terminal sends Ctrl-C to the program too, which decides what to do."""
    while True:
        try:
            return running.wait()
        except KeyboardInterrupt:
            continue


@contextmanager
def passing_on(running: subprocess.Popen[bytes]) -> Iterator[None]:
    """Hands signals that we are sent to the program."""

    def pass_on(number: int, _frame: object) -> None:
        running.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
