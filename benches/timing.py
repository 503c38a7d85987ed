"""Nanoseconds per call of several callables, measured side by side.

The machine may be noisy and its clock may drift, so every round measures every subject once, in turn, and
each subject's fastest round counts. The cost of the empty loop is measured likewise and taken off.
"""

from __future__ import annotations

import gc
import itertools
import math
import time
from collections.abc import Callable, Iterable

# A sample takes about this long: many time slices would let others in, few calls would show the clock.
SAMPLE_SECONDS = 0.002


class Subject:
    """A call to be measured: a function and its arguments."""

    def __init__(self, function: Callable | None = None, *arguments: object) -> None:
        self.function, self.arguments = function, arguments
        self.loop = compiled_loop(function, arguments)
        self.count = 1000
        self.fastest = math.inf

    def calibrate(self) -> None:
        """Find how many calls make a sample, and let the interpreter specialise the loop."""
        while (elapsed := self.loop(self.count)) < SAMPLE_SECONDS:
            self.count = int(self.count * min(10, 1.2 * SAMPLE_SECONDS / max(elapsed, 1e-9))) + 1

    def sample(self) -> None:
        self.fastest = min(self.fastest, self.loop(self.count) / self.count * 1e9)


def compiled_loop(function: Callable | None, arguments: Iterable[object]) -> Callable[[int], float]:
    """A loop of its own for each subject, since CPython specialises each call site."""
    names = {f"a{position}": argument for position, argument in enumerate(arguments)}
    body = f"f({', '.join(names)})" if function else "pass"
    parameters = ", ".join(["count", "f=f", *(f"{name}={name}" for name in names)])
    source = (
        f"def loop({parameters}):\n"
        "    turns = repeat(None, count)\n"
        "    start = clock()\n"
        f"    for _ in turns: {body}\n"
        "    return clock() - start\n"
    )
    scope = {"f": function, "repeat": itertools.repeat, "clock": time.perf_counter, **names}
    exec(source, scope)
    return scope["loop"]


def measure(subjects: Iterable[Subject], rounds: int) -> float:
    """Fill in each subject's `fastest`, net of the empty loop, whose cost is returned."""
    empty = Subject()
    subjects = list(subjects)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for subject in [empty, *subjects]:
            subject.calibrate()
        for _ in range(rounds):
            for subject in [empty, *subjects]:
                subject.sample()
    finally:
        if collecting:
            gc.enable()
    for subject in subjects:
        subject.fastest -= empty.fastest
    return empty.fastest


def geometric_mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.exp(sum(map(math.log, values)) / len(values))
