"""Types of reports. A type is a module here, with a function `write(report, file, show)`: `file` is where the
report goes, None for the terminal, which `show` writes text to."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pythy


def types() -> list[str]:
    """The names of all types."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def destination(text: str) -> tuple[str, Path | None]:
    """`TYPE` or `TYPE:FILE`, taken apart; ValueError for a type that there is not."""
    kind, _, file = text.partition(":")
    if kind not in types():
        raise ValueError(f"'{kind}' is no type of report: {' or '.join(types())}")
    if file and not Path(file).parent.is_dir():
        raise ValueError(f"the report cannot go to '{file}': there is no such directory")
    return kind, Path(file) if file else None


def write(report: pythy.Report, kind: str, file: Path | None, show: Callable[[str], object]) -> None:
    """Write a report of this type."""
    import_module(f"{__name__}.{kind}").write(report, file, show)
