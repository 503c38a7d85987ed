"""The fixtures pythy_interface and pythy_report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import pythy
from pythy import _native
from pythy._pytest import pieces


def interfaces() -> Iterator[Callable[..., ModuleType]]:
    """A factory of interfaces, which are closed afterwards."""
    made = []

    def make(*arguments: Any, **options: Any) -> ModuleType:
        made.append(pythy.create_interface(*arguments, **options))
        return made[-1]

    yield make
    for interface in made:
        interface.close()


def report(request: pytest.FixtureRequest) -> Callable[[], pythy.Report]:
    """A function that makes the report on this test so far; without findings where nothing is checked."""

    def make() -> pythy.Report:
        runner = request.config.pluginmanager.get_plugin("pythy-runner")
        if runner is None:
            return pythy.memory_report()
        return runner.report_so_far(request.node)

    return make


def empty(tool: dict[str, Any]) -> pythy.Report:
    """A report with nothing in it."""
    return _native.report_from_json(pieces.text(pieces.join([], [], tool)))
