"""What pythy says of itself at the start of a run."""

from __future__ import annotations

import platform
from typing import Any

import pytest

import pythy
from pythy import launch


def lines(config: pytest.Config, mode: str) -> list[str]:
    """The mode and Valgrind's version, and what had better be otherwise."""
    said = [f"pythy {pythy.__version__}: {mode}, Valgrind {pythy.valgrind_version() or 'not found'}"]
    if mode == "inprocess" and not launch.is_elf(launch.sys.executable):
        said.append(f"pythy: {launch.sys.executable} is a script; Valgrind would run its shell")
    return said


def tool(mode: str) -> dict[str, Any]:
    """What made the report."""
    return {
        "pythy": pythy.__version__,
        "valgrind": pythy.valgrind_version(),
        "checker": "memcheck",
        "python": platform.python_version(),
        "mode": mode,
    }
