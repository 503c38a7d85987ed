"""Run a program, and report what Valgrind finds in the C code that it calls.

    pythy run script.py args...
    pythy run -m pytest tests

The program runs as it would by itself, under Valgrind with the options that pythy needs, or with
--mode isolated natively, where only the libraries that it uses run under Valgrind. The exit code
is the program's own; 99 when the program succeeded and there are findings; 3 without a usable Valgrind; 2
when a report cannot be written, and the program did not fail.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

import pythy
from pythy import _native, launch, reports
from pythy._pytest import pieces

FINDINGS = 99
NO_VALGRIND = 3
UNUSABLE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `pythy run` takes."""
    parser.add_argument(
        "--mode",
        choices=("isolated", "inprocess"),
        default="inprocess",
        help="what runs under Valgrind: inprocess, all of Python (default); isolated, the libraries alone",
    )
    parser.add_argument(
        "--report",
        metavar="TYPE[:FILE]",
        action="append",
        type=destination,
        help=f"{', '.join(reports.types())}; without a file the table goes to stderr (default), others to "
        "stdout; may be given several times",
    )
    parser.add_argument(
        "--suppressions",
        metavar="FILE",
        action="append",
        default=[],
        help="a file of suppressions for Valgrind; may be given several times",
    )
    parser.add_argument(
        "--gen-suppressions",
        metavar="FILE",
        help="write an entry for each finding into this file, to be given as --suppressions",
    )
    parser.add_argument(
        "-m",
        dest="module",
        metavar="MODULE",
        nargs=argparse.REMAINDER,
        help="run a module, as python -m does",
    )
    parser.add_argument("program", metavar="script.py args...", nargs=argparse.REMAINDER)


def destination(text: str) -> tuple[str, Path | None]:
    """`TYPE` or `TYPE:FILE`, taken apart."""
    try:
        return reports.destination(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def refusal(arguments: argparse.Namespace) -> str | None:
    """Why the program is not run: said now, as it may take hours."""
    if not arguments.module and not Path(arguments.program[0]).exists():
        return f"there is no script '{arguments.program[0]}'"
    files = [file for _, file in arguments.report or () if file is not None]
    outputs = [("report", file) for file in files]
    if arguments.gen_suppressions is not None:
        outputs.append(("suppressions", Path(arguments.gen_suppressions)))
    for what, file in outputs:
        if (wrong := reports.refusal(file)) is not None:
            return f"the {what} cannot go to '{file}': {wrong}"
    if (twice := reports.named_twice(files)) is not None:
        return f"two reports cannot go to one file, '{twice}'"
    for file in arguments.suppressions:
        if not Path(file).is_file():
            return f"there is no file of suppressions '{file}'"
    # What is there is removed before the program runs.
    read = [Path(file) for file in [*arguments.program[:1], *arguments.suppressions]]
    for what, file in outputs:
        if file.exists() and any(one.exists() and file.samefile(one) for one in read):
            return f"the {what} cannot go to '{file}': it is read from there"
    return None


def run(arguments: argparse.Namespace) -> int:
    """Run the program and write the reports; returns the exit code."""
    program = ["-m", *arguments.module] if arguments.module else arguments.program
    if not program or (arguments.module is not None and arguments.program):
        arguments.parser.error("give a script, or -m and a module")
    if (why := refusal(arguments)) is not None:
        print(f"pythy: {why}", file=sys.stderr)
        return UNUSABLE
    valgrind, wrong = launch.find_valgrind()
    if valgrind is None:
        print(f"pythy: {wrong}", file=sys.stderr)
        return NO_VALGRIND
    for _, file in arguments.report or ():
        if file is not None:
            reports.clear(file)
    with tempfile.TemporaryDirectory(prefix="pythy-") as directory:
        suppressions = [str(Path(file).absolute()) for file in arguments.suppressions]
        if arguments.mode == "isolated":
            code, report = run_isolated(suppressions, program, Path(directory))
        else:
            options = [f"--suppressions={file}" for file in suppressions]
            code, report = run_under_valgrind(valgrind, options, program, Path(directory))
    if report is None:
        return code
    written = write_all(report, arguments.report or [("term", None)])
    if arguments.gen_suppressions:
        try:
            Path(arguments.gen_suppressions).write_text(report.suppressions())
        except OSError as error:
            where = f"'{arguments.gen_suppressions}': {os.strerror(error.errno or 0)}"
            print(f"pythy: the suppressions cannot go to {where}", file=sys.stderr)
            written = False
    if code == 0 and not written:
        return UNUSABLE
    return code if code != 0 or report.ok else FINDINGS


def run_isolated(
    suppressions: list[str], program: list[str], directory: Path
) -> tuple[int, pythy.Report | None]:
    """The program's exit code and its report; None where it never made an interface."""
    environment = {
        "PYTHY_BACKEND": "isolated",
        "PYTHY_SUPPRESSIONS": os.pathsep.join(suppressions),
        "PYTHY_RUN_REPORT": str(directory / "report-%p.json"),
    }
    process, code = launch.run_natively(program, environment)
    own = directory / f"report-{process}.json"
    reports = sorted(directory.glob("report-*.json"), key=lambda file: file != own)
    if code < 0:
        print(f"pythy: the program was ended by {signal.Signals(-code).name}", file=sys.stderr)
        code = 128 - code
        if not reports:
            print(
                "pythy: no report, because the program made no isolated interface or did not come to its end",
                file=sys.stderr,
            )
    elif not reports:
        print("pythy: no report, because the program made no isolated interface", file=sys.stderr)
    return code, together(reports, directory)


def together(reports: list[Path], directory: Path) -> pythy.Report | None:
    """One report of those of all processes: the program and what it has forked off; None for none."""
    if len(reports) < 2:
        return _native.read_report(reports[0]) if reports else None
    parts = [json.loads(report.read_text()) for report in reports]
    # One that has called nothing knows of no checker.
    tool = max((part["tool"] for part in parts), key=lambda tool: tool["valgrind"] is not None)
    joined = directory / "joined.json"
    joined.write_text(pieces.text(pieces.join(parts, parts, tool)))
    return _native.read_report(joined)


def run_under_valgrind(
    valgrind: str, suppressions: list[str], program: list[str], directory: Path
) -> tuple[int, pythy.Report | None]:
    """The program's exit code and its report; None where it never used pythy."""
    # %p is the process: programs that this one starts have the variable too.
    report = directory / "report-%p.json"
    environment = {"PYTHY_RUN_REPORT": str(report)}

    def told(process: int) -> Path:
        return directory / f"report-{process}.json"

    ended = launch.run(
        valgrind, program, directory, environment, lambda process: told(process).exists(), suppressions
    )
    code = ended.code
    if code < 0:
        print(f"pythy: the program was ended by {signal.Signals(-code).name}", file=sys.stderr)
        code = 128 - code
    if told(ended.process).exists():
        return code, _native.read_report(told(ended.process))
    if ended.code < 0:
        return code, ended.left
    if ended.left is not None and ended.gave_up() is None:
        print(f"pythy: the program was ended by {launch.AT_ONCE}", file=sys.stderr)
        return code, ended.left
    if not ended.started:
        print(f"pythy: Valgrind did not start the program: {ended.said}", file=sys.stderr)
        return NO_VALGRIND, None
    if (why := ended.gave_up()) is not None:
        print(f"pythy: Valgrind gave up: {why}", file=sys.stderr)
        return NO_VALGRIND, None
    print("pythy: no report, because the program made no interface", file=sys.stderr)
    return code, None


def write_all(report: pythy.Report, destinations: list[tuple[str, Path | None]]) -> bool:
    """Write the reports, each whatever becomes of the others; tells whether all are there."""
    missing, shown = False, False
    for kind, file in destinations:
        stream = reports.stream(kind)
        try:
            reports.write(report, kind, file, reports.Terminal(stream, SHOW[stream]))
            shown |= kind == "term" and file is None
        except BrokenPipeError:
            # Whoever read it has enough.
            shown = True
        except OSError as error:
            where = f"'{file}'" if file else {"stdout": "standard output", "stderr": "standard error"}[stream]
            print(f"pythy: the report cannot go to {where}: {os.strerror(error.errno or 0)}", file=sys.stderr)
            missing = True
    if missing and not shown:
        # What Valgrind has found is not made a second time.
        sys.stderr.write(report.table("stderr"))
    return not missing


def show_on_stderr(text: str) -> None:
    """As messages are."""
    sys.stderr.write(text)


SHOW = {"stdout": reports.show_on_stdout, "stderr": show_on_stderr}
