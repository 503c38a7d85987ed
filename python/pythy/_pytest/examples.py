"""Hypothesis runs a test on many examples. Each is watched by itself: what is found in one fails it, so that
it shrinks."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def has_examples(item: pytest.Item) -> bool:
    """Whether Hypothesis makes up the arguments of this test."""
    return hasattr(getattr(_function(item), "hypothesis", None), "inner_test")


@contextmanager
def watched(item: pytest.Item, watch: Callable[[], Any]) -> Iterator[None]:
    """Has each example run inside of `watch()`, a context manager."""
    handle = _function(item).hypothesis
    inner = handle.inner_test

    @functools.wraps(inner)
    def example(*arguments: Any, **keywords: Any) -> Any:
        with watch():
            return inner(*arguments, **keywords)

    @functools.wraps(inner)
    async def awaited_example(*arguments: Any, **keywords: Any) -> Any:
        with watch():
            return await inner(*arguments, **keywords)

    handle.inner_test = awaited_example if inspect.iscoroutinefunction(inner) else example
    try:
        yield
    finally:
        handle.inner_test = inner


def without_deadline(item: pytest.Item, slow: bool) -> None:
    """Under Valgrind time tells nothing; a worker that starts anew takes longer than Hypothesis waits. Where
    all of Python is `slow`, so is the making of examples."""
    function = _function(item)
    settings = getattr(function, "_hypothesis_internal_use_settings", None)
    health_check = getattr(sys.modules.get("hypothesis"), "HealthCheck", None)
    if settings is None or health_check is None:
        return
    ignored = [*settings.suppress_health_check, *([health_check.too_slow] if slow else [])]
    changed = type(settings)(settings, deadline=None, suppress_health_check=ignored)
    function._hypothesis_internal_use_settings = changed


def is_unusable(error: BaseException) -> bool:
    """Whether the test has said assume() of something that is not so."""
    return is_control(error) and type(error).__name__ == "UnsatisfiedAssumption"


def is_control(error: BaseException) -> bool:
    """Whether Hypothesis ends the example with it, because it cannot be used."""
    return type(error).__module__.partition(".")[0] == "hypothesis"


def attach(error: BaseException, report: dict[str, Any]) -> None:
    """Has the exception that ends an example carry what was found there."""
    error.pythy_found = report  # type: ignore[attr-defined]


def attached(error: BaseException) -> dict[str, Any] | None:
    """What an exception carries."""
    return getattr(error, "pythy_found", None)


def leaves(error: BaseException | None) -> list[BaseException]:
    """The exceptions of a group, as Hypothesis raises for several failures; else the exception itself."""
    if error is None:
        return []
    parts = getattr(error, "exceptions", None)
    if not isinstance(parts, (list, tuple)):
        return [error]
    return [leaf for part in parts for leaf in leaves(part)]


def notes(error: BaseException | None) -> list[str]:
    """What Hypothesis says of the examples that failed, line by line."""
    if error is None:
        return []
    parts = getattr(error, "exceptions", ())
    # A group's message says why it is one.
    said = [str(getattr(error, "message", ""))] if parts else []
    lines = [line for note in [*said, *getattr(error, "__notes__", ())] for line in note.splitlines()]
    return [line for part in parts for line in notes(part)] + lines


def _function(item: pytest.Item) -> Any:
    found = getattr(item, "obj", None)
    return getattr(found, "__func__", found)
