"""GitHub's workflow commands: annotations at the lines of Python."""

import pythy


def text(report: pythy.Report, stream: str | None) -> str:
    """The runner reads them from a step's output."""
    # A command begins its line, and what the program has written last may have no line end.
    return report.github() if stream is None else f"\n{report.github()}"
