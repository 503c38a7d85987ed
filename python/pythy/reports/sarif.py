"""SARIF 2.1.0, for code scanning and editors."""

import pythy


def text(report: pythy.Report, stream: str | None) -> str:
    """With a line end."""
    return report.sarif()
