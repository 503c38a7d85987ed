"""One HTML page that needs no other file."""

import pythy


def text(report: pythy.Report, stream: str | None) -> str:
    """With a line end."""
    return report.html()
