"""Print the suppressions that come with pythy, or an entry for each finding of a report.

    valgrind --suppressions=$(pythy suppressions --path) python script.py
    pythy suppressions --gen report.json > mine.supp

Those that come with pythy are about speed: blocks of the interpreter's own, which pythy never reports, and
which Valgrind need not describe. pythy loads them by itself when it makes its first interface, so nobody has
to name them; it helps where Valgrind checks for leaks before that, or without pythy.

Entries for findings go into a file of yours, for `pythy run --suppressions mine.supp`: say in it why, and
delete those of defects that are to be mended.
"""

import argparse
import sys
from pathlib import Path

import pythy
from pythy import reports


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `pythy suppressions` takes."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--path", action="store_true", help="print the path of the file with them instead")
    choice.add_argument(
        "--gen", metavar="REPORT.json", help="print an entry for each finding of this report instead"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the file, or where it is, or entries for findings."""
    if arguments.gen is not None:
        return entries(Path(arguments.gen))
    path = Path(pythy.__file__).with_name("valgrind-supp") / "interpreter.supp"
    if not path.is_file():
        print(f"pythy: '{path}' is missing; install pythy anew", file=sys.stderr)
        return 2
    if arguments.path:
        print(path)
    else:
        sys.stdout.write(path.read_text(encoding="utf-8"))
    return 0


def entries(report: Path) -> int:
    """Print an entry for each finding of a written report."""
    sys.stdout.write(reports.read(report).suppressions())
    return 0
