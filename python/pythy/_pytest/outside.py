"""What was found where no test ran: at collection, in fixtures of a longer scope, between tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from pythy._pytest import pieces


class Outside:
    """All of it. Workers of pytest-xdist import the same modules and set up the same fixtures, so what
    several of them tell alike is one thing."""

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self._told: Counter[tuple[Any, ...]] = Counter()
        self._workers: Counter[tuple[Any, ...]] = Counter()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.parts)

    def __bool__(self) -> bool:
        return bool(self.parts)

    def add(self, parts: Iterable[dict[str, Any]], worker: str | None) -> None:
        """Parts of one process: each has `where` it was, and as `piece` a report."""
        for part in parts:
            new = [finding for finding in part["piece"]["findings"] if self._is_new(finding, part, worker)]
            if new:
                self.parts.append({"where": part["where"], "piece": part["piece"] | {"findings": new}})

    def _is_new(self, finding: dict[str, Any], part: dict[str, Any], worker: str | None) -> bool:
        """Whether no other worker has told of it, as often as this one by now."""
        key = _key(finding, part)
        self._told[(worker, *key)] += 1
        nth = (self._told[(worker, *key)], *key)
        self._workers[nth] += 1
        return self._workers[nth] == 1

    def workers(self, finding: dict[str, Any], part: dict[str, Any]) -> int:
        """How many workers have told of it."""
        return self._workers[(1, *_key(finding, part))]


def _key(finding: dict[str, Any], part: dict[str, Any]) -> tuple[Any, ...]:
    """What is the same in two workers."""
    ends = (_place(finding[end], part["piece"]) for end in ("call", "allocated_by"))
    return part["where"], finding["kind"], finding["what"], *ends


def _place(call: dict[str, Any] | None, report: pieces.Report) -> tuple[Any, ...] | None:
    if call is None:
        return None
    site = report["call_sites"][call["call_site"] - 1]
    declaration = report["declarations"][call["declaration"] - 1]
    return site["file"], site["line"], declaration["name"], declaration["file"], declaration["line"]
