"""SARIF 2.1.0, for code scanning and editors."""

import pythy


def text(report: pythy.Report, stream: str | None) -> str:
    """The same in a file and on a stream."""
    return report.sarif()
