"""What an active plugin consists of: who runs tests, and who collects what they report."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pythy import _native, launch
from pythy._pytest import mode
from pythy._pytest.collector import Collector
from pythy._pytest.options import Options
from pythy._pytest.runner import Runner


def activate(config: pytest.Config) -> None:
    """Register what this process needs."""
    active, options = mode.of(config), Options.of(config)
    if active == "isolated":
        _needs_valgrind()
    if over := os.environ.pop(mode.RESTARTED, None):
        config.add_cleanup(Path(over).touch)
    collector = None if mode.is_worker() else Collector(config, active)
    if collector is not None:
        # First, so that what is last to be known is known when its hooks run.
        config.pluginmanager.register(collector, "pythy-collector")
    if mode.distributes(config):
        from pythy._pytest.xdist import Workers

        config.pluginmanager.register(Workers(config, active, collector), "pythy-workers")
    else:
        _prepare(active, options)
        # For what comes after this run in the same process.
        config.add_cleanup(_native.set_defaults)
        config.pluginmanager.register(Runner(config, options, active, collector), "pythy-runner")


def _needs_valgrind() -> None:
    """Without it nothing would be found, and all tests would pass; below it no worker can be started."""
    if mode.under_valgrind():
        raise pytest.UsageError(
            "--pythy=isolated: this pytest runs under Valgrind; start it without, or say --pythy=inprocess"
        )
    valgrind, wrong = launch.find_valgrind()
    if valgrind is None:
        raise pytest.UsageError(f"--pythy=isolated: {wrong}")


def _prepare(active: str, options: Options) -> None:
    if active == "inprocess" and not _native.running_under_valgrind():
        raise pytest.UsageError("--pythy=inprocess: this worker of pytest-xdist does not run under Valgrind")
    # A check costs a worker next to nothing, and a Python under Valgrind much.
    usual = None if active == "isolated" else "test"
    _native.set_defaults(backend=active, leak_check=options.leak_check or usual)
    if options.leak_kinds:
        _native.choose_leak_kinds(options.leak_kinds)
    if options.suppressions is not None:
        _native.load_suppressions(options.suppressions)
    # What `pythy run` started it shows; else the plugin tells all.
    if "PYTHY_RUN_REPORT" not in os.environ:
        _native.tell_at_exit(False)
