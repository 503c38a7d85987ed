"""The phases of a test, as pythy's journal and Valgrind see them."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pythy import _native


@contextmanager
def frozen() -> Iterator[None]:
    """What is there before it is no garbage inside of it: so collecting takes a fraction of the time, which
    under Valgrind is half a second."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class Phase:
    """A stretch of the run: what happens in it is told when it ends."""

    def __init__(self, test: str | None) -> None:
        _native.set_test(test)
        self.first_call = _native.calls() + 1
        self.kept: list[dict[str, Any]] = []
        """What was found in it before its mark."""
        self._mark = _native.mark()

    def move(self) -> None:
        """From now on it tells of what happens from now on."""
        self._mark = _native.mark()

    def called(self) -> bool:
        """Whether C has been called in this phase."""
        return _native.calls() >= self.first_call

    def report(self, check: bool, collect: bool = True) -> dict[str, Any] | None:
        """What has been found so far, after a leak check where one is due; None for nothing."""
        if check:
            if collect:
                gc.collect()
            _native.check_leaks()
        report = _native.news(self._mark)
        return None if report is None else json.loads(report.json())

    def end(self, check: bool) -> dict[str, Any] | None:
        """The same, and nobody's calls come next."""
        try:
            return self.report(check)
        finally:
            _native.set_test(None)
