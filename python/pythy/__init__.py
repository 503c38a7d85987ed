"""Test C code from Python.

create_interface("add.h", "add.so") turns a C header and a shared library into a module. Under
Valgrind every call of its functions is watched: memory_report() and watch() tell which call, at
which line, of which declaration, read out of bounds, used uninitialised memory or leaked.
"""

import atexit as _atexit

from pythy import _module as _module
from pythy import _native
from pythy._native import (
    ArgumentError,
    Array,
    BindingError,
    Callback,
    CType,
    Error,
    HeaderError,
    MemoryCheckError,
    Pointer,
    Record,
    Ref,
    Report,
    SymbolError,
    ValgrindError,
    Worker,
    WorkerCrashed,
    __version__,
    create_interface,
    errno,
    memory_report,
    raise_on_finding,
    running_under_valgrind,
    set_errno,
    valgrind_version,
    watch,
    worker,
)

__all__ = [
    "ArgumentError",
    "Array",
    "BindingError",
    "CType",
    "Callback",
    "Error",
    "HeaderError",
    "MemoryCheckError",
    "Pointer",
    "Record",
    "Ref",
    "Report",
    "SymbolError",
    "ValgrindError",
    "Worker",
    "WorkerCrashed",
    "__version__",
    "create_interface",
    "errno",
    "memory_report",
    "raise_on_finding",
    "running_under_valgrind",
    "set_errno",
    "valgrind_version",
    "watch",
    "worker",
]

if running_under_valgrind() or _native.left_behind():
    _atexit.register(_native.report_at_exit)


def __getattr__(name: str):
    # What few programs need: each import takes as long as a header from the cache.
    if name in ("backend", "classes", "sockapi", "variable", "wrappers"):
        import importlib

        return importlib.import_module(f"pythy.{name}")
    raise AttributeError(f"module 'pythy' has no attribute {name!r}")
