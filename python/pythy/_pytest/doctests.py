"""Examples in docstrings: Python knows them as `<doctest name[3]>`, the user by their place in the file."""

from __future__ import annotations

import linecache
import re
from typing import Any

import pytest

from pythy._pytest import pieces


def placed(report: pieces.Report, item: pytest.Item) -> pieces.Report:
    """The report of a test, with the lines of its examples as they are in the file."""
    examples = getattr(getattr(item, "dtest", None), "examples", None)
    if examples is None:
        return report
    return report | {"call_sites": [_placed(site, item.dtest) for site in report["call_sites"]]}  # type: ignore[attr-defined]


def _placed(site: dict[str, Any], test: Any) -> dict[str, Any]:
    number = re.fullmatch(rf"<doctest {re.escape(test.name)}\[(\d+)\]>", site["file"])
    if number is None or test.filename is None or test.lineno is None:
        return site
    line = test.lineno + test.examples[int(number[1])].lineno + site["line"]
    source = linecache.getline(test.filename, line).strip() or None
    return site | {"file": test.filename, "line": line, "function": test.name, "source": source}
