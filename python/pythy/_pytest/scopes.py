"""Fixtures that live longer than one test: what they allocate is not the doing of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pythy import _native


class Scopes:
    """Names the fixture, in place of the test, as the one that calls while it is set up or torn down."""

    def __init__(self) -> None:
        self.test: str | None = None
        self.labels: set[str] = set()

    @contextmanager
    def running(self, fixturedef: Any, request: Any) -> Iterator[None]:
        """While this fixture is set up."""
        if fixturedef.scope == "function":
            yield
            return
        label = f"{fixturedef.scope} fixture '{fixturedef.argname}'"
        if request.node.nodeid:
            label = f"{label} of {request.node.nodeid}"
        self.labels.add(label)
        outer, self.test = self.test, label
        _native.set_test(label)
        try:
            yield
        finally:
            self.test = outer
            _native.set_test(outer)
            # Finalizers run in reverse order: this one before the fixture's own, that one after.
            fixturedef.addfinalizer(lambda: _native.set_test(label))

    def finished(self) -> None:
        """A fixture has been torn down."""
        _native.set_test(self.test)

    def split(self, report: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The report without the leaks of such fixtures' blocks, and these, fixture by fixture."""
        others: dict[str, list[dict[str, Any]]] = {}
        own = []
        for finding in report["findings"]:
            allocated = finding["allocated_by"]
            label = allocated["test"] if allocated is not None else None
            if label in self.labels:
                others.setdefault(label, []).append(finding)
            else:
                own.append(finding)
        of_fixtures = [
            {"where": label, "piece": report | {"findings": findings}} for label, findings in others.items()
        ]
        return report | {"findings": own}, of_fixtures
