"""JSON, in the form "pythy-report/1"."""

import pythy


def text(report: pythy.Report, stream: str | None) -> str:
    """The same in a file and on a stream."""
    return report.json()
