"""The table of pythy's, with all C stacks."""

import pythy

# Beside the program's own output.
STREAM = "stderr"


def text(report: pythy.Report, stream: str | None) -> str:
    """As wide as the terminal is, or as long as its lines are in a file."""
    return report.table(stream)
