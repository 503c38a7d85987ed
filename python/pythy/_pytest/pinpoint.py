"""A test that leaks is run once more with a leak check after each call: so the losing calls are found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from pythy import _native
from pythy._pytest import doctests, options, pieces, section

# A check takes 0.1 to 0.5 seconds: a test that calls more often keeps what is known of it.
MOST_CALLS = 500


@dataclass(frozen=True)
class Leaking:
    """A phase of a test, with leaks of which the losing call is not exact."""

    item: pytest.Item
    when: str
    report: pieces.Report
    first_call: int
    """The number of the phase's first call."""

    def vague(self) -> list[dict[str, Any]]:
        """These leaks."""
        return [finding for finding in self.report["findings"] if _is_vague(finding)]

    def skipped(self) -> int:
        """How many calls of the phase come before the first that can have lost one of them."""
        numbers = [(finding["allocated_by"] or {"number": 0})["number"] for finding in self.vague()]
        return max(min(numbers) - self.first_call, 0)


class Pinpoint:
    """The tests that are to be run once more, after all the others."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.noted: dict[str, dict[str, Leaking]] = {}
        self.running = False
        self.results: list[dict[str, Any]] = []

    def note(self, item: pytest.Item, when: str, report: pieces.Report, first_call: int) -> None:
        """Keep a phase if it is of this kind."""
        leaking = Leaking(item, when, report, first_call)
        if leaking.vague():
            self.noted.setdefault(item.nodeid, {})[when] = leaking

    def begin(self, item: pytest.Item, when: str) -> None:
        """A phase of the second run begins."""
        leaking = self.noted[item.nodeid].get(when)
        if leaking is not None:
            first = _native.calls() + 1 + leaking.skipped()
            _native.check_each_call(first, MOST_CALLS, len(leaking.vague()))

    def run(self) -> None:
        """Run them; what they report now is used for this alone."""
        self.running = True
        items = [next(iter(phases.values())).item for phases in self.noted.values()]
        if not items:
            return
        what = "a leaking test" if len(items) == 1 else f"{len(items)} leaking tests"
        self._progress(f"pythy: running {what} once more, with checks after calls")
        for item, nextitem in zip(items, [*items[1:], None], strict=True):
            self._run_again(item, nextitem)

    def _run_again(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        mark = _native.mark()
        try:
            with self._unlogged():
                runtestprotocol(item, log=False, nextitem=nextitem)
        finally:
            _native.check_each_call(0, 0, 0)
        news = _native.news(mark)
        if news is None:
            return
        again = doctests.placed(json.loads(news.json()), item)
        for when, leaking in self.noted[item.nodeid].items():
            found = section.found(_match(leaking.report, again), self.config, item.nodeid, when)
            self.results.append({"nodeid": item.nodeid, "when": when, "found": found})

    @contextmanager
    def _unlogged(self) -> Iterator[None]:
        """Nobody is told of reports: subtests send theirs themselves."""
        # The very list: the hooks of a test's directory are made of it.
        told = self.config.pluginmanager.hook.pytest_runtest_logreport._hookimpls
        everybody = told[:]
        told.clear()
        try:
            yield
        finally:
            told[:] = everybody

    def _progress(self, text: str) -> None:
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None and options.verbosity(self.config) >= 0:
            terminal.ensure_newline()
            terminal.write_line(text)


def _is_vague(finding: dict[str, Any]) -> bool:
    return finding["category"] == "leak" and finding["basis"] == "window"


def _match(report: pieces.Report, again: pieces.Report) -> pieces.Report:
    """The first run's report, with the losing calls of those leaks that the second run has too: allocated at
    the same line, by the same function, of the same size."""
    joined = pieces.join([], [report, again], report["tool"])
    count = len(report["findings"])
    first, second = joined["findings"][:count], joined["findings"][count:]
    rest = [finding for finding in second if finding["category"] == "leak" and finding["basis"] == "call"]
    for finding in first:
        if not _is_vague(finding):
            continue
        same = next((other for other in rest if _key(other) == _key(finding)), None)
        if same is not None:
            rest.remove(same)
            finding |= {"basis": "call", "call": same["call"], "allocated_by": same["allocated_by"]}
    return joined | {"findings": first}


def _key(finding: dict[str, Any]) -> tuple[Any, ...]:
    allocated = finding["allocated_by"]
    place = allocated and (allocated["declaration"], allocated["call_site"], allocated["test"])
    return finding["kind"], place, finding["leaked"]["bytes"], finding["leaked"]["blocks"]
