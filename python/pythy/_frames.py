"""Functions of pythy's own that stand between a program and the C functions that it calls."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from pythy._native import step_over


def step_over_module(module: ModuleType) -> None:
    """A call that a function of this module makes is made, for reports, where the function is called."""
    own = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    step_over([code for value in own for code in _codes_of(value)])


def _codes_of(value: Any) -> Iterator[CodeType]:
    if isinstance(value, (staticmethod, classmethod)):
        yield from _codes_of(value.__func__)
    elif isinstance(value, property):
        yield from _codes_of(value.fget)
    elif isinstance(value, FunctionType):
        yield from _nested(value.__code__)
    elif isinstance(value, type):
        for member in vars(value).values():
            yield from _codes_of(member)


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)
