"""JSON, in the form "pythy-report/1"."""

from pathlib import Path

import pythy
from pythy.reports import Terminal


def write(report: pythy.Report, file: Path | None, terminal: Terminal) -> None:
    """With a line end."""
    if file is None:
        terminal.show(report.json())
    else:
        report.to_json(file)
