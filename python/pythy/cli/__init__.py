"""The command `pythy`.

A command is a module: its docstring is the help text, `add_arguments` declares what it takes, `run`
does it and returns the exit code. One line in COMMANDS registers it.
"""

import argparse
import os
import sys
from collections.abc import Sequence

import pythy
from pythy.cli import doctor, inspect, report, run, stubs, suppressions

COMMANDS = (run, report, inspect, stubs, suppressions, doctor)

# Exit code for usage and unusable input files; argparse has the same.
UNUSABLE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; returns its exit code."""
    parser = _parser()
    # Files may stand before and after options, which argparse by itself does not allow here.
    parsed, rest = parser.parse_known_args(arguments)
    unknown = [argument for argument in rest if argument.startswith("-")]
    if unknown or (rest and not hasattr(parsed, "files")):
        parsed.parser.error(f"unrecognized arguments: {' '.join(unknown or rest)}")
    if rest:
        parsed.files.extend(rest)
    try:
        code: int = parsed.run(parsed)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read our output has enough; nothing may be written at exit either.
        _drop_output()
        return 0
    except pythy.Error as error:
        print(f"pythy: {error}", file=sys.stderr)
        return UNUSABLE
    except OSError as error:
        what = f"'{error.filename}' cannot be used" if error.filename else "the output cannot be written"
        print(f"pythy: {what}: {error.strerror or error}", file=sys.stderr)
        _drop_output()
        return UNUSABLE


def _drop_output() -> None:
    """What is still to be written, at exit too, goes nowhere."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pythy", description="Test C code from Python.")
    parser.add_argument("--version", action="version", version=f"pythy {pythy.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        summary, _, description = (command.__doc__ or "").partition("\n\n")
        sub = commands.add_parser(
            command.__name__.rpartition(".")[2],
            help=summary,
            description=f"{summary}\n\n{description}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(sub)
        sub.set_defaults(run=command.run, parser=sub)
    return parser
