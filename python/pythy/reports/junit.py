"""JUnit's XML, a test case for each line that calls C."""

import pythy


def text(report: pythy.Report, stream: str | None) -> str:
    """For programs; of tests, pytest's own --junitxml has the findings."""
    return report.junit()
