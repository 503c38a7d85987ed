"""The table of pythy's, with all C stacks."""

from collections.abc import Callable
from pathlib import Path

import pythy


def write(report: pythy.Report, file: Path | None, show: Callable[[str], object]) -> None:
    """As wide as the terminal is, or as long as its lines are in a file."""
    if file is None:
        show(report.table("stdout"))
    else:
        file.write_text(str(report), encoding="utf-8")
