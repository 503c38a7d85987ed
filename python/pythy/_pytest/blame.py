"""Raises what was found as if the line of Python had raised it that made the call."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import pytest

from pythy._pytest import pieces


def raise_for(report: pieces.Report, item: pytest.Item, error: Exception) -> NoReturn:
    """By the first finding's line, where a debugger then stops, with the module's names; where no call is
    known, by the test's. Hypothesis takes failures at different lines for different ones."""
    __tracebackhide__ = True
    file, line, function = _place(report, item)
    code = compile("\n" * (line - 1) + "raise error", file, "exec").replace(
        co_name=function.rpartition(".")[2]
    )
    try:
        exec(code, _globals(file), {"error": error})
    finally:
        # Not what it was raised while handling.
        error.__context__ = error.__cause__
    raise error


def _place(report: pieces.Report, item: pytest.Item) -> tuple[str, int, str]:
    """File, line and function."""
    finding = report["findings"][0]
    call = finding["call"] or finding["allocated_by"]
    if call is None:
        path, line, name = item.reportinfo()
        return str(path), (line or 0) + 1, name
    site = report["call_sites"][call["call_site"] - 1]
    return site["file"], max(site["line"], 1), site["function"]


def _globals(file: str) -> dict[str, Any]:
    """The names of the module of this file."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        if names.get("__file__") == file:
            return names
    return {}
