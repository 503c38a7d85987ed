"""JSON, in the form "pythy-report/1"."""

import pythy


def text(report: pythy.Report, stream: str | None) -> str:
    """With a line end."""
    return report.json()
