"""pytest, started natively, is started anew under Valgrind with everything else unchanged."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from pythy import Report, launch, reports, valgrind_version
from pythy._pytest import mode, options


def under_valgrind(config: pytest.Config) -> NoReturn:
    """Run the same command under Valgrind and end with its exit code."""
    _refuse_what_cannot_be()
    valgrind, wrong = launch.find_valgrind()
    if valgrind is None:
        raise pytest.UsageError(f"--pythy=inprocess: {wrong}")
    if options.verbosity(config) >= 0:
        print(f"pythy: starting pytest under Valgrind {valgrind_version()} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="pythy-") as directory:
        over = Path(directory) / "over"
        environment = {mode.RESTARTED: str(over)}
        ended = launch.run(valgrind, sys.orig_argv[1:], Path(directory), environment, lambda _: over.exists())
    code = _code(ended)
    if ended.left is not None:
        _tell_of_crash(config, ended.left)
    raise SystemExit(code)


def _refuse_what_cannot_be() -> None:
    if mode.RESTARTED in os.environ:
        raise pytest.UsageError("--pythy=inprocess: pytest was started under Valgrind and does not run there")
    if _inside_a_test():
        raise pytest.UsageError("--pythy=inprocess: a pytest inside a test cannot be started anew")


def _inside_a_test() -> bool:
    """Whether the test that runs is one of this very process, which must not be run again."""
    return any("_pytest.runner" in frame.f_globals.get("__name__", "") for frame in _frames())


def _frames():
    frame = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def _tell_of_crash(config: pytest.Config, report: Report) -> None:
    """What pytest itself would have written at its end."""
    sys.stderr.write(report.table("stderr"))
    for text in config.known_args_namespace.pythy_report or config.getini("pythy_report") or ():
        kind, file = reports.destination(text)
        if kind == "term" and file is None:
            continue
        try:
            reports.write(report, kind, file, reports.Terminal("stdout", reports.show_on_stdout))
        except OSError as error:
            print(f"pythy: the report cannot be written: {error}", file=sys.stderr)


def _code(ended: launch.Ended) -> int:
    if ended.code < 0:
        print(f"pythy: pytest was ended by {signal.Signals(-ended.code).name}", file=sys.stderr)
        return 128 - ended.code
    if not ended.started:
        print(f"pythy: Valgrind did not start pytest: {ended.said}", file=sys.stderr)
        return int(pytest.ExitCode.INTERNAL_ERROR)
    if (why := ended.gave_up()) is not None:
        print(f"pythy: Valgrind gave up: {why}", file=sys.stderr)
        return int(pytest.ExitCode.INTERNAL_ERROR)
    if ended.left is not None:
        print(f"pythy: pytest was ended by {launch.AT_ONCE}; what follows is what was found", file=sys.stderr)
        return ended.code or int(pytest.ExitCode.INTERRUPTED)
    return ended.code
