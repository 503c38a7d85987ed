"""Under pytest-xdist the workers run the tests: in process, each of them under a Valgrind of its own."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from typing import Any

import pytest

from pythy import launch
from pythy._pytest.collector import Collector


class Workers:
    """The hooks of the process that has workers."""

    def __init__(self, config: pytest.Config, mode: str, collector: Collector | None) -> None:
        # What was found out here they need not find out.
        config.option.pythy = mode
        self.mode = mode
        self.collector = collector
        self.directory: str | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config, specs: list[Any]) -> None:
        if self.mode != "inprocess":
            return
        valgrind, wrong = launch.find_valgrind()
        if valgrind is None:
            raise pytest.UsageError(f"--pythy=inprocess: {wrong}")
        if config.option.verbose >= 0:
            terminal = config.pluginmanager.get_plugin("terminalreporter")
            if terminal is not None:
                terminal.write_line(f"pythy: starting {len(specs)} workers under Valgrind ...")
        self.directory = tempfile.mkdtemp(prefix="pythy-")
        logs = [f"--xml-file={self.directory}/%p.xml", f"--log-file={self.directory}/%p.log"]
        command = shlex.join([valgrind, *launch.OPTIONS, *logs, launch.interpreter()])
        for spec in specs:
            if spec.popen and not spec.python:
                spec.python = command

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        leftover = getattr(node, "workeroutput", {}).get("pythy")
        if leftover is not None and self.collector is not None:
            self.collector.take(leftover)

    def pytest_unconfigure(self) -> None:
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
