"""In the report of --junitxml what no test has done has an entry of its own: servers show nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Literal

import pytest
from _pytest.junitxml import xml_key

from pythy._pytest import section


def add(config: pytest.Config, outside: Iterable[dict[str, Any]]) -> None:
    """Write an entry for each place outside of tests where something was found."""
    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    for part in outside:
        found = section.found(part["piece"], config, part["where"], "call")
        # An entry is complete when it has been torn down.
        xml.pytest_runtest_logreport(_report(part["where"], "call", "failed", found))
        xml.pytest_runtest_logreport(_report(part["where"], "teardown", "passed", found))


def _report(
    where: str, when: Literal["call", "teardown"], outcome: Literal["failed", "passed"], found: dict[str, Any]
) -> pytest.TestReport:
    # The part before the last "::" is a class to JUnit.
    nodeid = f"pythy::{where.replace('::', '.')}"
    now = time.time()
    return pytest.TestReport(
        nodeid,
        ("pythy", None, where),
        {},
        outcome,
        section.MemoryRepr(found) if outcome == "failed" else None,  # type: ignore[arg-type]
        when,
        duration=0.0,
        start=now,
        stop=now,
        user_properties=[("pythy", told) for told in found["headlines"]],
    )
