"""Types of reports, for pytest, `pythy run` and `pythy report`. A type is a module here, with a function
`text(report, stream)`: `stream` is the stream of sys's that it is shown on, None for a file. `pythy run`,
whose program has the terminal too, shows it on the stream that `STREAM` names, else on stdout."""

from __future__ import annotations

import errno
import os
import pkgutil
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pythy
from pythy import _native


@dataclass(frozen=True)
class Terminal:
    """Where a report is shown that goes to no file."""

    stream: str
    """The stream of sys's that it is: "stdout" or "stderr"."""
    show: Callable[[str], object]
    """Writes text there."""


def types() -> list[str]:
    """The names of all types."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def destination(text: str) -> tuple[str, Path | None]:
    """`TYPE` or `TYPE:FILE`, taken apart; ValueError for a type that there is not."""
    kind, named, file = text.partition(":")
    if kind not in types():
        *others, last = types()
        raise ValueError(f"'{kind}' is no type of report: {', '.join(others)} or {last}")
    if named and not file:
        raise ValueError(f"'{text}' names no file")
    return kind, Path(file) if file else None


def refusal(file: Path) -> str | None:
    """Why a file cannot be written; None where it probably can."""
    if file.is_dir():
        return "it is a directory"
    if not file.parent.is_dir():
        return "there is no such directory"
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        return "it may not be written"
    return None


def named_twice(files: Iterable[Path | None]) -> Path | None:
    """A file that several reports would go to; None where each has its own."""
    known: list[Path] = []
    for file in files:
        if file is None or (file.exists() and not file.is_file()):
            continue
        if file.resolve() in known:
            return file
        known.append(file.resolve())
    return None


def clear(file: Path) -> None:
    """Remove what an earlier run has left, which nobody shall take for this one's report."""
    if file.is_file() and not file.is_symlink():
        with suppress(OSError):
            file.unlink()


def stream(kind: str) -> str:
    """The stream that `pythy run` shows a report of this type on."""
    return getattr(import_module(f"{__name__}.{kind}"), "STREAM", "stdout")


def write(report: pythy.Report, kind: str, file: Path | None, terminal: Terminal) -> None:
    """Write a report of this type."""
    if file is None:
        terminal.show(text(report, kind, terminal.stream))
    else:
        file.write_text(text(report, kind, None), encoding="utf-8")


def text(report: pythy.Report, kind: str, stream: str | None) -> str:
    """A report of this type, for a stream of sys's or, None, for a file."""
    made: str = import_module(f"{__name__}.{kind}").text(report, stream)
    return made


def show_on_stdout(text: str) -> None:
    """At once, so that what goes wrong is known here, and as UTF-8, which most forms say they are."""
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    sys.stdout.flush()
    left = text.encode("utf-8", "surrogateescape")
    while left:
        left = left[os.write(sys.stdout.fileno(), left) :]


def read(file: Path) -> pythy.Report:
    """A report that was written as JSON; pythy.Error where it is none."""
    if not file.exists():
        raise pythy.Error(f"there is no report '{file}'; 'pythy run --report json:FILE' writes one")
    return _native.read_report(file)
