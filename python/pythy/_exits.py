"""What a process tells that ends by os._exit(), as forked ones do, or by SIGTERM."""

import functools
import os
import signal
import sys
import threading

from pythy import _native

_end_at_once = os._exit


@functools.wraps(os._exit)
def _tell_and_end(status: int) -> None:
    try:
        _tell()
    finally:
        _end_at_once(status)


def _tell_and_stop(number: int, _frame: object) -> None:
    try:
        _tell()
    finally:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def _tell() -> None:
    try:
        _native.end_workers_at_once()
    except BaseException:
        # Whoever ends a process so does not expect anything of it.
        sys.excepthook(*sys.exc_info())


def begin() -> None:
    """From the first worker on: of the processes that are forked off, and of one that `pythy run` runs."""
    os.register_at_fork(after_in_child=_take_over)
    if "PYTHY_RUN_REPORT" in os.environ:
        _take_over()
        of_main = threading.current_thread() is threading.main_thread()
        # A program that takes it itself comes to its own end.
        if of_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _tell_and_stop)
            # Code that does not let Python handle the first.
            _native.end_by_second(signal.SIGTERM)


def _take_over() -> None:
    os._exit = _tell_and_end  # type: ignore[assignment]
