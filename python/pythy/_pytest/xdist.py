"""Under pytest-xdist the workers run the tests: in process, each of them under a Valgrind of its own."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pythy import _native, launch
from pythy._pytest import options, pieces
from pythy._pytest.collector import Collector


class Workers:
    """The hooks of the process that has workers."""

    def __init__(self, config: pytest.Config, mode: str, collector: Collector | None) -> None:
        # What was found out here they need not find out.
        config.option.pythy = mode
        self.mode = mode
        self.collector = collector
        self.directory: Path | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config, specs: list[Any]) -> None:
        if self.mode != "inprocess":
            return
        valgrind, wrong = launch.find_valgrind()
        if valgrind is None:
            raise pytest.UsageError(f"--pythy=inprocess: {wrong}")
        if options.verbosity(config) >= 0:
            terminal = config.pluginmanager.get_plugin("terminalreporter")
            if terminal is not None:
                what = "a worker" if len(specs) == 1 else f"{len(specs)} workers"
                terminal.write_line(f"pythy: starting {what} under Valgrind ...")
        self.directory = Path(tempfile.mkdtemp(prefix="pythy-"))
        for number, spec in enumerate(specs):
            if spec.popen and not spec.python:
                trail = self.directory / str(number)
                trail.mkdir()
                logs = [f"--xml-file={trail}/%p.xml", f"--log-file={trail}/%p.log"]
                spec.python = shlex.join([valgrind, *launch.OPTIONS, *logs, launch.interpreter()])
                spec.env["PYTHY_TRAIL"] = str(trail)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        if self.collector is None:
            return
        leftover = getattr(node, "workeroutput", {}).get("pythy")
        if leftover is not None:
            self.collector.take(leftover, node.gateway.id)
        elif error:
            self.collector.lose(node, self._crash(node))

    def _crash(self, node: Any) -> pieces.Report | None:
        """What a worker that C code has ended has left behind, beside what its tests have reported."""
        if self.directory is None or "PYTHY_TRAIL" not in node.gateway.spec.env:
            return None
        trail = Path(node.gateway.spec.env["PYTHY_TRAIL"])
        log = next(trail.glob("*.xml"), None)
        report = None if log is None else _native.crash_report(trail, log)
        # The worker that takes its place leaves its own.
        for file in trail.iterdir():
            file.unlink()
        return None if report is None else json.loads(report.json())

    def pytest_unconfigure(self) -> None:
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
