"""Where interfaces run that do not say so themselves, in the words of pythy 0.0.1."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from pythy._frames import step_over_module

_BACKENDS = {"ctypes": "inprocess", "sockapi": "isolated"}

default_mode: str | None = None
"""What set_mode() was given last."""


def set_mode(mode: str) -> None:
    """Says where the C code of interfaces made from now on runs.

    "ctypes" is this process, "sockapi" one of its own under Valgrind: there close() raises ValueError when
    Valgrind has found something.
    """
    global default_mode
    if mode not in _BACKENDS:
        raise ValueError(f"Unsupported backend mode: {mode}")
    default_mode = mode


def chosen() -> str | None:
    """The backend that the mode stands for."""
    return None if default_mode is None else _BACKENDS[default_mode]


def check_at_close(module: ModuleType) -> None:
    """Makes the module's close() raise when Valgrind has found something in its library."""
    from pythy import watch

    close, library = module.close, str(module.__interface__.library)
    watched = watch()
    report = watched.__enter__()

    def checked_close() -> bool:
        """Closes the interface. Raises ValueError when Valgrind has found something in its library."""
        if module.__interface__.closed:
            return close()
        watched.__exit__()
        close()
        found = [finding for finding in report.findings if _library_of(finding) in (library, None)]
        if found:
            count = "1 error" if len(found) == 1 else f"{len(found)} errors"
            lines = [f"{finding.kind}: {finding.what}, {_where(finding)}" for finding in found]
            raise ValueError("\n".join([f"Valgrind found {count}", *lines]))
        return True

    module.__dict__["close"] = checked_close


def _call_of(finding: Any) -> Any:
    return finding.call or finding.allocated_by


def _library_of(finding: Any) -> str | None:
    call = _call_of(finding)
    return call.declaration.library if call else None


def _where(finding: Any) -> str:
    call = _call_of(finding)
    if call is None:
        return "in no call that is known"
    site = call.call_site
    return f"called from {site.file}:{site.line}" if site else "called from an unknown line"


step_over_module(sys.modules[__name__])
