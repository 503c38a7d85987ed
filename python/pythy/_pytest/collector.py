"""In the process that the user looks at: findings are collected, shown at the end, and written as reports."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import pythy
from pythy import _native, reports
from pythy._pytest import header, junit, pieces, section, summary
from pythy._pytest.options import Outputs
from pythy._pytest.outside import Outside


class Collector:
    """What all tests and workers have reported."""

    def __init__(self, config: pytest.Config, mode: str) -> None:
        self.config = config
        self.mode = mode
        self.outputs = Outputs.of(config)
        self.session: pytest.Session | None = None
        self.notes: list[str] = []
        # What workers of pytest-xdist that died have left, until the test is told that they died in.
        self.crashes: dict[str, pieces.Report] = {}
        self.found: list[tuple[str, dict[str, Any]]] = []
        self.outside = Outside()
        self.sessions: list[pieces.Report] = []
        self.by_phase: dict[tuple[str, str], dict[str, Any]] = {}

    # What comes in.

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        worker = getattr(getattr(report, "node", None), "gateway", None)
        name = worker.id if worker is not None else None
        self.outside.add(getattr(report, "pythy_outside", ()), name)
        crash = self.crashes.pop(name, None) if name is not None else None
        if crash is not None:
            self._tell_crash(report, crash)
        found = getattr(report, "pythy", None)
        if found is None or report.outcome == "rerun":
            return
        if isinstance(report.longrepr, str) and found["fails"]:
            # From a worker of pytest-xdist, which sends text.
            report.longrepr = section.MemoryRepr(found)  # type: ignore[assignment]
        self.outside.add(found["outside"], name)
        self.found.append((report.nodeid, found))
        self.by_phase[report.nodeid, found["when"]] = found

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport):
        found = getattr(report, "pythy", None)
        if found is None or not found["fails"] or not report.failed:
            return None
        category = "failed" if report.when == "call" else "error"
        return category, "M", ("MEMORY", {"red": True, "bold": True})

    def take(self, leftover: dict[str, Any], worker: str | None = None) -> None:
        """What a process that ran tests has to say at its end."""
        self.outside.add(leftover["outside"], worker)
        if leftover["session"] is not None:
            self.sessions.append(leftover["session"])
        for pinpointed in leftover["pinpointed"]:
            found = self.by_phase.get((pinpointed["nodeid"], pinpointed["when"]))
            if found is not None:
                # In place: the report that is shown has it too.
                found.update(pinpointed["found"])

    def lose(self, worker: Any, crash: pieces.Report | None) -> None:
        """A worker of pytest-xdist has died: what its tests have reported is here, what it would have said at
        its end is not. The report on the test that it died in comes next."""
        lost = "its calls are not counted, and leaks of its last test are not known"
        self.notes.append(f"worker {worker.gateway.id} died: {lost}")
        if crash is not None:
            self.crashes[worker.gateway.id] = crash

    def _tell_crash(self, report: pytest.TestReport, crash: pieces.Report) -> None:
        """What the test has done that a worker died in, and has not reported of an earlier phase."""
        told = [found["piece"]["findings"] for nodeid, found in self.found if nodeid == report.nodeid]
        known = {(finding["kind"], _number(finding)) for findings in told for finding in findings}

        def is_its(finding: dict[str, Any]) -> bool:
            call = finding["call"] or finding["allocated_by"]
            its = call is not None and call["test"] == report.nodeid
            return its and (finding["kind"], _number(finding)) not in known

        own = crash | {"findings": [one for one in crash["findings"] if is_its(one)]}
        if own["findings"]:
            found = section.found(own, self.config, report.nodeid, "call")
            report.pythy = found | {"outside": [], "allowed": [], "fails": False}  # type: ignore[attr-defined]
            report.sections.append(("pythy", section.plain(found)))

    # What goes out.

    def pytest_report_header(self) -> list[str]:
        return header.lines(self.config, self.mode)

    @pytest.hookimpl(tryfirst=True, specname="pytest_sessionfinish")
    def pytest_sessionfinish_for_junit(self) -> None:
        """After the runner's, before the file is written."""
        junit.add(self.config, self.outside)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.session = session
        self.add_outside(())
        if not self.config.pluginmanager.has_plugin("terminalreporter"):
            # There will be no summary.
            self._write(self.report(), lambda text: None, partial(print, file=sys.stderr))

    def add_outside(self, parts: Iterable[dict[str, Any]]) -> None:
        """What no test has done, for which the run fails."""
        self.outside.add(parts, None)
        if self.outside:
            self._fail(pytest.ExitCode.TESTS_FAILED)

    def _fail(self, code: pytest.ExitCode) -> None:
        """Has the run end with this code, if it would end well."""
        good = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        if self.session is not None and self.session.exitstatus in good:
            self.session.exitstatus = code

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        report = self.report()
        shown = summary.Summary(terminalreporter, report)
        shown.write(self.outside, [line for _, found in self.found for line in found["allowed"]])
        self._write(report, terminalreporter.write, partial(terminalreporter.line, red=True))

    def _write(
        self, report: pieces.Report, show: Callable[[str], object], complain: Callable[[str], object]
    ) -> None:
        """Write everything that was asked for."""
        whole = _native.report_from_json(pieces.text(report))
        for what, file, write in self._outputs(whole, show):
            # What cannot be written loses nothing else.
            try:
                write()
            except OSError as error:
                why = os.strerror(error.errno or 0)
                complain(f"pythy: the {what} cannot go to '{file}': {why}")
                self._fail(pytest.ExitCode.USAGE_ERROR)

    def _outputs(
        self, whole: pythy.Report, show: Callable[[str], object]
    ) -> Iterator[tuple[str, Path | None, Callable[[], object]]]:
        """What is written: its name, where it goes to, and how."""
        shown = reports.Terminal("stdout", show)
        for kind, file in self.outputs.reports:
            yield "report", file, partial(reports.write, whole, kind, file, shown)
        if (file := self.outputs.suppressions) is not None:
            yield "suppressions", file, partial(_write_suppressions, whole, file)

    def report(self) -> pieces.Report:
        """Everything as one report."""
        found = [found["piece"] for _, found in self.found] + [part["piece"] for part in self.outside]
        report = pieces.join(self.sessions, found, header.tool(self.mode))
        return report | {"notes": [*report["notes"], *self.notes]}


def _number(finding: dict[str, Any]) -> int | None:
    """The number of the call that it is told of."""
    call = finding["call"] or finding["allocated_by"]
    return None if call is None else call["number"]


def _write_suppressions(report: pythy.Report, file: Path) -> None:
    file.write_text(report.suppressions())
