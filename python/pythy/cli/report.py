"""Show a report that was written as JSON, or give it another form.

    pythy report run.json
    pythy report run.json --format html -o run.html

`pythy run --report json:FILE`, `pytest --pythy-report=json:FILE` and `report.to_json(FILE)` write such
reports. Paths are shown relative to the working directory.
"""

import argparse
import sys
from pathlib import Path

from pythy import reports


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `pythy report` takes."""
    parser.add_argument("report", metavar="RUN.json", help="the report")
    parser.add_argument(
        "--format", choices=reports.types(), default="term", help="the form (default: term, the table)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write to this file instead of stdout")


def run(arguments: argparse.Namespace) -> int:
    """Print the report, or write it."""
    report = reports.read(Path(arguments.report))
    if arguments.output is None:
        sys.stdout.write(reports.text(report, arguments.format, "stdout"))
    else:
        Path(arguments.output).write_text(reports.text(report, arguments.format, None), encoding="utf-8")
    return 0
