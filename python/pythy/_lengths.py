"""What the lengths in directives come to in a call."""

from __future__ import annotations

import operator
from typing import Any

from pythy._native import ArgumentError, Pointer, Ref


def size(row, length, args) -> int:
    """The size in bytes that an expression over the arguments gives."""
    items = _evaluate(row, length.expression, args)
    if items < 0:
        raise ArgumentError(f"{row.name}(): the length that its directive gives is {items}")
    return items * length.unit


def check_room(module, row, length, args) -> None:
    """Refuses a buffer that is smaller than the function takes it to be."""
    if length.parameter >= len(args) or args[length.parameter] is None:
        return
    room = _room(module, args[length.parameter])
    wanted = size(row, length, args)
    if room is not None and room < wanted:
        parameter = row.parameters[length.parameter]
        raise ArgumentError(
            f"{row.name}() argument {length.parameter + 1} '{parameter.name}' ({parameter.type.spelling}) "
            f"must have {wanted} bytes, not {room}"
        )


def _room(module, argument) -> int | None:
    """How many bytes there are; None where nobody can tell."""
    if isinstance(argument, str):
        return len(argument.encode()) + 1
    if isinstance(argument, (Pointer, int)) or callable(argument):
        return None
    try:
        return memoryview(argument).nbytes
    except TypeError:
        return module.sizeof(argument)


_OPERATIONS = {
    "Add": operator.add,
    "Subtract": operator.sub,
    "Multiply": operator.mul,
    # As C does it: towards zero.
    "Divide": lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
    "Remainder": lambda a, b: abs(a) % abs(b) * (1 if a >= 0 else -1),
    "ShiftLeft": lambda a, b: a << min(b, 64),
    "ShiftRight": operator.rshift,
}


def _evaluate(row, expression, args) -> int:
    ((kind, content),) = vars(expression).items()
    if kind == "Number":
        return content
    if kind == "Negative":
        return -_evaluate(row, content, args)
    if kind == "Binary":
        name, left, right = content
        left, right = _evaluate(row, left, args), _evaluate(row, right, args)
        try:
            return _OPERATIONS[name](left, right)
        except (ZeroDivisionError, ValueError) as error:
            raise ArgumentError(f"{row.name}(): the length that its directive gives: {error}") from None
    value = args[content] if content < len(args) else None
    try:
        return operator.index(_target(value) if kind == "Target" else value)
    except TypeError:
        parameter = row.parameters[content].name
        what = f"'*{parameter}'" if kind == "Target" else f"'{parameter}'"
        raise ArgumentError(f"{row.name}(): its length needs {what}, which is no whole number") from None


def _target(value: Any) -> Any:
    """What a pointer argument points to."""
    return value.value if isinstance(value, Ref) else value[0]
