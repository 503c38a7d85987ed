"""One HTML page that needs no other file."""

import pythy


def text(report: pythy.Report, stream: str | None) -> str:
    """The same in a file and on a stream."""
    return report.html()
