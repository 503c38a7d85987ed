"""Which mode is active: found out without loading anything of pythy's."""

from __future__ import annotations

import os

import pytest

from pythy._pytest import options

# In the environment of a pytest that we have started.
RESTARTED = "PYTHY_RESTARTED"


def of(config: pytest.Config) -> str | None:
    """ "inprocess", "isolated", or None where pythy has nothing to do."""
    wanted = _wanted(config)
    if wanted == "off" or _only_shows(config):
        return None
    if wanted == "auto":
        return "inprocess" if under_valgrind() else None
    return wanted


def is_left_open(config: pytest.Config) -> bool:
    """Whether nobody has said what is to run under Valgrind, and tests run."""
    return _wanted(config) == "auto" and not _only_shows(config)


def must_restart(config: pytest.Config) -> bool:
    """Whether Valgrind is to run this pytest and does not; pytest-xdist's workers it runs one by one."""
    needed = _wanted(config) == "inprocess" and not under_valgrind()
    return needed and not _only_shows(config) and not distributes(config) and not is_worker()


def under_valgrind() -> bool:
    """Whether Valgrind runs this process: it preloads its own libraries into what it runs."""
    return "vgpreload_" in os.environ.get("LD_PRELOAD", "")


def distributes(config: pytest.Config) -> bool:
    """Whether pytest-xdist runs the tests in processes of their own."""
    given = config.known_args_namespace
    return bool(getattr(given, "numprocesses", None) or getattr(given, "tx", None)) and not is_worker()


def is_worker() -> bool:
    """Whether this is such a process."""
    return "PYTEST_XDIST_WORKER" in os.environ


def _wanted(config: pytest.Config) -> str:
    wanted = options.value(config, "pythy")
    if wanted not in options.MODES:
        raise pytest.UsageError(f"pythy is '{wanted}', and must be one of {', '.join(options.MODES)}")
    return wanted


def _only_shows(config: pytest.Config) -> bool:
    shown = ("help", "version", "collectonly", "showfixtures", "show_fixtures_per_test", "markers")
    return any(getattr(config.known_args_namespace, name, None) for name in shown)
