"""Types of reports, for pytest and for `pythy run`. A type is a module here, with a function
`write(report, file, terminal)`: `file` is where the report goes, None for the terminal. `pythy run`, whose
program has the terminal too, shows it on the stream that `STREAM` names, else on stdout."""

from __future__ import annotations

import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pythy


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
    kind, _, file = text.partition(":")
    if kind not in types():
        *others, last = types()
        raise ValueError(f"'{kind}' is no type of report: {', '.join(others)} or {last}")
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


def stream(kind: str) -> str:
    """The stream that `pythy run` shows a report of this type on."""
    return getattr(import_module(f"{__name__}.{kind}"), "STREAM", "stdout")


def write(report: pythy.Report, kind: str, file: Path | None, terminal: Terminal) -> None:
    """Write a report of this type."""
    import_module(f"{__name__}.{kind}").write(report, file, terminal)
