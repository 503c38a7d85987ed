"""GitHub's workflow commands: annotations at the lines of Python."""

import pythy


def text(report: pythy.Report, stream: str | None) -> str:
    """The runner reads them from a step's output."""
    return report.github()
