"""Print the suppressions that come with pythy, for a Valgrind that you start yourself.

    valgrind --suppressions=$(pythy suppressions --path) python script.py

They are about speed: blocks of the interpreter's own, which pythy never reports, and which Valgrind need not
describe. pythy loads them by itself when it makes its first interface, so nobody has to name them; it helps
where Valgrind checks for leaks before that, or without pythy.
"""

import argparse
import sys
from pathlib import Path

import pythy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `pythy suppressions` takes."""
    parser.add_argument("--path", action="store_true", help="print the path of the file with them instead")


def run(arguments: argparse.Namespace) -> int:
    """Print the file, or where it is."""
    path = Path(pythy.__file__).with_name("valgrind-supp") / "interpreter.supp"
    if not path.is_file():
        print(f"pythy: '{path}' is missing; install pythy anew", file=sys.stderr)
        return 2
    if arguments.path:
        print(path)
    else:
        sys.stdout.write(path.read_text(encoding="utf-8"))
    return 0
