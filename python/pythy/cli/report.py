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

UNUSABLE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `pythy report` takes."""
    parser.add_argument("report", metavar="RUN.json", help="the report")
    parser.add_argument(
        "--format", choices=reports.types(), default="term", help="the form (default: term, the table)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write to this file instead of stdout")


def run(arguments: argparse.Namespace) -> int:
    """Print the report, or write it."""
    source, output = Path(arguments.report), arguments.output and Path(arguments.output)
    report = reports.read(source)
    if output is not None and output.exists() and output.samefile(source):
        print(f"pythy: the report cannot go to '{output}': it is read from there", file=sys.stderr)
        return UNUSABLE
    stream = reports.Terminal("stdout", reports.show_on_stdout)
    reports.write(report, arguments.format, output, stream)
    return 0
