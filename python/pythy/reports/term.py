"""The table of pythy's, with all C stacks."""

from pathlib import Path

import pythy
from pythy.reports import Terminal

# Beside the program's own output.
STREAM = "stderr"


def write(report: pythy.Report, file: Path | None, terminal: Terminal) -> None:
    """As wide as the terminal is, or as long as its lines are in a file."""
    if file is None:
        terminal.show(report.table(terminal.stream))
    else:
        file.write_text(str(report), encoding="utf-8")
