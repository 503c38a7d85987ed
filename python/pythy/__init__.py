"""Test C code from Python.

create_interface("add.h", "add.so") turns a C header and a shared library into a module. Under
Valgrind every call of its functions is watched: memory_report() and watch() tell which call, at
which line, of which declaration, read out of bounds, used uninitialised memory or leaked.
"""

import os as _os

# For type checkers alone: pytest imports this package in every run, to find the plugin, and the extension
# module is loaded when something of it is used.
TYPE_CHECKING = False
if TYPE_CHECKING:
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
        Value,
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
del TYPE_CHECKING

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
    "Value",
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

# What few programs need.
_MODULES = ("backend", "classes", "sockapi", "variable", "wrappers")


def __getattr__(name: str) -> object:
    if name == "_native":
        import pythy._native

        return pythy._native
    if name in _MODULES:
        import importlib

        return importlib.import_module(f"pythy.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _load()
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _load() -> None:
    from pythy import _module, _native  # noqa: F401

    globals().update((name, getattr(_native, name)) for name in __all__)
    if _native.running_under_valgrind() or _native.left_behind():
        import atexit

        atexit.register(_native.report_at_exit)


if "vgpreload_" in _os.environ.get("LD_PRELOAD", ""):
    # Valgrind runs us: there is a report at the end, whatever is used.
    _load()
