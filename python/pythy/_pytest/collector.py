"""In the process that the user looks at: findings are collected, shown at the end, and written as reports."""

from __future__ import annotations

from typing import Any

import pytest

from pythy import _native, reports
from pythy._pytest import header, pieces, section, summary
from pythy._pytest.options import Options


class Collector:
    """What all tests and workers have reported."""

    def __init__(self, config: pytest.Config, options: Options, mode: str) -> None:
        self.config = config
        self.mode = mode
        try:
            self.destinations = [reports.destination(text) for text in options.reports]
        except ValueError as error:
            raise pytest.UsageError(f"--pythy-report: {error}") from None
        self.gen_suppressions = options.gen_suppressions
        self.found: list[tuple[str, dict[str, Any]]] = []
        self.outside: list[dict[str, Any]] = []
        self.sessions: list[pieces.Report] = []
        self.by_phase: dict[tuple[str, str], dict[str, Any]] = {}

    # What comes in.

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = getattr(report, "pythy", None)
        if found is None or report.outcome == "rerun":
            return
        if isinstance(report.longrepr, str) and found["fails"]:
            # From a worker of pytest-xdist, which sends text.
            report.longrepr = section.MemoryRepr(found)  # type: ignore[assignment]
        self.outside += found["outside"]
        self.found.append((report.nodeid, found))
        self.by_phase[report.nodeid, found["when"]] = found

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport):
        found = getattr(report, "pythy", None)
        if found is None or not found["fails"] or not report.failed:
            return None
        category = "failed" if report.when == "call" else "error"
        return category, "M", ("MEMORY", {"red": True, "bold": True})

    def take(self, leftover: dict[str, Any]) -> None:
        """What a process that ran tests has to say at its end."""
        self.outside += leftover["outside"]
        if leftover["session"] is not None:
            self.sessions.append(leftover["session"])
        for pinpointed in leftover["pinpointed"]:
            found = self.by_phase.get((pinpointed["nodeid"], pinpointed["when"]))
            if found is not None:
                # In place: the report that is shown has it too.
                found.update(pinpointed["found"])

    # What goes out.

    def pytest_report_header(self) -> list[str]:
        return header.lines(self.config, self.mode)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        good = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        if self.outside and session.exitstatus in good:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        report = self.report()
        shown = summary.Summary(terminalreporter, report)
        shown.write(self.outside, [line for _, found in self.found for line in found["allowed"]])
        whole = _native.report_from_json(pieces.text(report))
        for kind, file in self.destinations:
            reports.write(whole, kind, file, terminalreporter.write)
        if self.gen_suppressions is not None:
            self.gen_suppressions.write_text(whole.suppressions())

    def report(self) -> pieces.Report:
        """Everything as one report."""
        found = [found["piece"] for _, found in self.found] + [part["piece"] for part in self.outside]
        return pieces.join(self.sessions, found, header.tool(self.mode))
