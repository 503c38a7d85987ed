"""JSON, in the form "pythy-report/1"."""

from collections.abc import Callable
from pathlib import Path

import pythy


def write(report: pythy.Report, file: Path | None, show: Callable[[str], object]) -> None:
    """With a line end."""
    if file is None:
        show(report.json())
    else:
        report.to_json(file)
