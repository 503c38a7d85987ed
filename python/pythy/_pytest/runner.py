"""In the process that runs the tests: each phase of a test is watched, and fails with what is found in it."""

from __future__ import annotations

import faulthandler
import os
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

import pythy
from pythy import MemoryCheckError, _native
from pythy._pytest import blame, doctests, examples, fixtures, header, mode, pieces, section
from pythy._pytest.collector import Collector
from pythy._pytest.markers import Allowances
from pythy._pytest.options import Options
from pythy._pytest.phases import Phase, frozen
from pythy._pytest.pinpoint import Pinpoint
from pythy._pytest.scopes import Scopes

# What a debugger cannot show.
GONE = "The test has ended by now: a debugger shows this line, and not the test's variables."

# What a phase leaves for its report.
FOUND = pytest.StashKey[dict[str, Any]]()
PHASE = pytest.StashKey[Phase]()


class Found(MemoryCheckError):
    """The end of a phase, or of an example of Hypothesis's, in which Valgrind has found something."""


class Runner:
    """The hooks around tests."""

    def __init__(
        self, config: pytest.Config, options: Options, mode: str, collector: Collector | None
    ) -> None:
        self.config = config
        self.mode = mode
        self.options = options
        self.collector = collector
        self.scopes = Scopes()
        # In a worker leaks are looked for after each call anyway.
        self.pinpoint = Pinpoint(config) if options.pinpoint and mode == "inprocess" else None
        # Not what another run in this process has done.
        self.start = _native.mark()
        self.first_call = _native.calls() + 1
        self.outside: list[dict[str, Any]] = []
        self.session_report: pieces.Report | None = None
        self.between = Phase(None)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        # An interface of a conftest.py is made before pytest enables it; create_interface says why not to.
        if self.mode == "inprocess" and "PYTHY_TRAIL" in os.environ:
            faulthandler.disable()

    # The test and its phases.

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item):
        self._note_outside(f"before {item.nodeid}")
        self.first_call = _native.calls() + 1
        return (yield from self._phase(item, "setup"))

    @pytest.hookimpl(tryfirst=True, specname="pytest_runtest_setup")
    def pytest_runtest_setup_of_marked(self, item: pytest.Item) -> None:
        """In a worker of pytest-xdist, of which an error of usage would be an internal one."""
        try:
            Allowances.of(item)
        except pytest.UsageError as error:
            pytest.fail(str(error), pytrace=False)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item):
        if not examples.has_examples(item):
            return (yield from self._phase(item, "call"))
        examples.without_deadline(item, slow=self.mode == "inprocess")
        # An example is one of hundreds from the same line.
        _native.tell_calls_apart(True)
        try:
            with examples.watched(item, lambda: self._example(item)):
                return (yield from self._phase(item, "call"))
        finally:
            _native.tell_calls_apart(False)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item):
        return (yield from self._phase(item, "teardown"))

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any):
        with self.scopes.running(fixturedef, request):
            return (yield)

    def pytest_fixture_post_finalizer(self) -> None:
        self.scopes.finished()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]):
        report: pytest.TestReport = yield
        if self.outside:
            # With the next report there is, as this process may die.
            report.pythy_outside, self.outside = self.outside, []  # type: ignore[attr-defined]
        found = item.stash.get(FOUND, None)
        if found is None:
            return report
        del item.stash[FOUND]
        error = None if call.excinfo is None else call.excinfo.value
        raised = _is_made_of(error, MemoryCheckError)
        found["fails"] = raised and report.failed
        # The same object in both: what is found out about it later is shown.
        report.pythy = found  # type: ignore[attr-defined]
        if found["text"]:
            self._show(item, call, report, found)
        for told in found["headlines"]:
            item.user_properties.append(("pythy", told))
            report.user_properties.append(("pythy", told))
        return report

    def _show(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, found: dict[str, Any]
    ) -> None:
        """Has the report of a phase show what was found: instead of a traceback of ours, or beside it."""
        error = None if call.excinfo is None else call.excinfo.value
        if report.failed and _is_made_of(error, Found):
            found["text"] += [(line, "") for line in examples.notes(error)]
            if self.config.getoption("usepdb", False):
                found["text"].append((GONE, ""))
            report.longrepr = section.MemoryRepr(found)  # type: ignore[assignment]
        elif report.failed and section.style(self.config) == "line" and _is_ours(error):
            # Its message is as long as the section.
            report.longrepr = section.MemoryRepr(found | {"crash": _crash(call)})  # type: ignore[assignment]
        else:
            if report.failed and _is_unexpected_success(item, error):
                # The failure that was expected.
                report.outcome, report.longrepr, report.wasxfail = "skipped", None, ""
            report.sections.append(("pythy", section.plain(found)))

    def _phase(self, item: pytest.Item, when: str):
        __tracebackhide__ = True
        phase = item.stash[PHASE] = Phase(item.nodeid)
        self.scopes.test = item.nodeid
        if self.pinpoint is not None and self.pinpoint.running:
            self.pinpoint.begin(item, when)
        try:
            result = yield
        except (KeyboardInterrupt, SystemExit, pytest.exit.Exception):
            phase.end(check=False)
            raise
        except BaseException as error:
            report = self._end(item, when, phase, error)
            # Who skips a test does not know what has been found in it.
            if report is not None and isinstance(error, pytest.skip.Exception):
                self._fail(item, report, error)
            raise
        report = self._end(item, when, phase)
        if report is not None:
            self._fail(item, report)
        return result

    def _fail(self, item: pytest.Item, report: pieces.Report, cause: BaseException | None = None) -> NoReturn:
        """Raises for what was found in a phase."""
        __tracebackhide__ = True
        error = Found(item.stash[FOUND]["message"])
        error.__cause__ = cause
        blame.raise_for(report, item, error)

    def _end(
        self, item: pytest.Item, when: str, phase: Phase, error: BaseException | None = None
    ) -> pieces.Report | None:
        """Keeps what was found for the phase's report; returns that which it fails by, if there is any."""
        called = phase.called() if when != "teardown" else _native.calls() >= self.first_call
        report = phase.end(check=called and self.options.checks_phases())
        report = pieces.joined([*phase.kept, *map(examples.attached, examples.leaves(error)), report])
        self.between = Phase(None)
        if report is None or (self.pinpoint is not None and self.pinpoint.running):
            return None
        own, of_fixtures, allowed = self._sifted(item, doctests.placed(report, item))
        if not own["findings"] and not of_fixtures and not allowed:
            return None
        if self.pinpoint is not None and not examples.has_examples(item):
            self.pinpoint.note(item, when, own, phase.first_call)
        item.stash[FOUND] = found = section.found(own, self.config, item.nodeid, when)
        found |= {"outside": of_fixtures, "allowed": allowed}
        return own if own["findings"] else None

    def _sifted(self, item: pytest.Item, report: pieces.Report):
        """What counts of a report, what is others', and what is allowed."""
        own, of_fixtures = self.scopes.split(report)
        if item.get_closest_marker("no_pythy"):
            own = pieces.without_findings(own)
        own, allowed = Allowances.of(item).apply(own)
        return own, of_fixtures, allowed

    @contextmanager
    def _example(self, item: pytest.Item):
        """Around one example of Hypothesis's: it fails with what is found in it."""
        phase = item.stash[PHASE]
        phase.move()
        try:
            yield
        except (KeyboardInterrupt, SystemExit, pytest.exit.Exception):
            raise
        except BaseException as error:
            if not examples.is_unusable(error):
                self._keep(phase, error)
                raise
            self._fail_example(item, phase)
            raise
        self._fail_example(item, phase)

    def _fail_example(self, item: pytest.Item, phase: Phase) -> None:
        """Raises for what was found in the example."""
        # Where Python runs under Valgrind a leak check would take longer than the example.
        report = phase.report(check=self.mode == "isolated" and self.options.checks_phases(), collect=False)
        if report is None:
            return
        own, _, _ = self._sifted(item, report)
        if own["findings"]:
            phase.move()
            told = section.found(own, self.config, item.nodeid, "call")
            error = Found(told["message"])
            examples.attach(error, report)
            blame.raise_for(own, item, error)

    def _keep(self, phase: Phase, error: BaseException) -> None:
        """Keeps what was found in an example that ends with an exception: with that, or with the test."""
        report = phase.report(check=False)
        if report is None:
            return
        phase.move()
        if examples.is_control(error):
            # One will do of those that Hypothesis cannot go on with.
            phase.kept = phase.kept or [report]
        else:
            examples.attach(error, report)

    def report_so_far(self, item: pytest.Item) -> pythy.Report:
        """What the test's phase that runs has so far."""
        report = item.stash[PHASE].report(check=self.options.checks_phases())
        if report is None:
            return fixtures.empty(header.tool(self.mode))
        own, _ = self.scopes.split(report)
        return _native.report_from_json(pieces.text(pieces.join([own], [own], own["tool"])))

    # What no test has done.

    def _note_outside(self, where: str, check: bool = False) -> None:
        report = self.between.end(check=check)
        if report is not None and report["findings"]:
            self.outside.append({"where": where, "piece": report})
        self.between = Phase(None)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items if not mode.is_worker() else ():
            Allowances.of(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self):
        result = yield
        check = self.options.checks_phases() and self.between.called()
        self._note_outside("while tests were collected", check=check)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session):
        try:
            # Garbage is collected after each test: what is there before the first is looked at once.
            with frozen():
                result = yield
        except session.Failed:
            # By -x or --maxfail.
            self._pinpoint()
            raise
        self._pinpoint()
        return result

    def _pinpoint(self) -> None:
        if self.pinpoint is not None:
            self._note_outside("after the last test")
            self.session_report = pieces.of_session(self.start)
            self.pinpoint.run()
            self.between = Phase(None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._note_outside("after the last test", check=self.options.leak_check != "off")
        leftover = {
            "outside": self.outside,
            # Not the calls of tests that ran twice.
            "session": self.session_report or pieces.of_session(self.start),
            "pinpointed": [] if self.pinpoint is None else self.pinpoint.results,
        }
        if self.collector is not None:
            self.collector.take(leftover)
        else:
            self.config.workeroutput["pythy"] = leftover  # type: ignore[attr-defined]

    @pytest.hookimpl(trylast=True, specname="pytest_sessionfinish")
    def pytest_sessionfinish_after_all(self) -> None:
        """Others may still have used the interfaces; what destructors do at the very end, none tells."""
        told = len(self.outside)
        _native.end_workers_since(self.start)
        self._note_outside("when the workers ended")
        if self.collector is not None:
            self.collector.add_outside(self.outside[told:])


def _is_made_of(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Whether it is such an exception, or a group of nothing else."""
    return error is not None and all(isinstance(leaf, kind) for leaf in examples.leaves(error))


def _is_ours(error: BaseException | None) -> bool:
    """Whether its message tells what was found."""
    return isinstance(error, (MemoryCheckError, pythy.WorkerCrashed))


def _crash(call: pytest.CallInfo[None]) -> list[Any]:
    """Where a phase has ended, and the first line of why."""
    assert call.excinfo is not None
    last = call.excinfo.traceback[-1]
    return [str(last.path), last.lineno + 1, call.excinfo.exconly().partition("\n")[0]]


def _is_unexpected_success(item: pytest.Item, error: BaseException | None) -> bool:
    """Whether the test is one of unittest's that is expected to fail, and did not by itself."""
    function, case = getattr(item, "obj", None), getattr(item, "cls", None)
    expected = any(getattr(it, "__unittest_expecting_failure__", False) for it in (function, case))
    return expected and isinstance(error, pytest.fail.Exception) and error.msg == "Unexpected success"
