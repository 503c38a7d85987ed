"""What a process tells that ends by os._exit(), as forked ones do; else it would take its findings along."""

import functools
import os
import sys

from pythy import _native

_end_at_once = os._exit


@functools.wraps(os._exit)
def _tell_and_end(status: int) -> None:
    try:
        _native.end_workers_at_once()
    except BaseException:
        # Whoever ends a process so does not expect anything of it.
        sys.excepthook(*sys.exc_info())
    finally:
        _end_at_once(status)


def begin() -> None:
    """From the first worker on: of the processes that are forked off, and of one that `pythy run` runs."""
    os.register_at_fork(after_in_child=_take_over)
    if "PYTHY_RUN_REPORT" in os.environ:
        _take_over()


def _take_over() -> None:
    os._exit = _tell_and_end  # type: ignore[assignment]
