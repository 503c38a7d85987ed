"""Hypothesis strategies for the arguments of C functions.

    from hypothesis import given
    from pythy.testing import strategies

    @given(strategies(lib.count_words))
    def test_counting(arguments):
        lib.count_words(*arguments)

It needs Hypothesis, which no other part of pythy does.
"""

from __future__ import annotations

import inspect
from array import array
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from pythy import _native

try:
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    if error.name != "hypothesis":
        raise
    message = "pythy.testing needs Hypothesis, which is not installed: pip install hypothesis"
    raise ModuleNotFoundError(message, name="hypothesis") from None

__all__ = ["strategies"]

# Type codes of array.array by the size of an item: the signed ones, the unsigned ones.
_CODES = {1: "bB", 2: "hH", 4: "iI", 8: "qQ"}


def strategies(
    function: Callable[..., Any],
    /,
    *,
    null: bool | Collection[str] = False,
    **given: st.SearchStrategy[Any],
) -> st.SearchStrategy[tuple[Any, ...]]:
    """A strategy for the tuple of a C function's arguments, made from its declaration.

    A declaration does not tell which arguments belong together: give strategies of your own for those
    that do, by the parameters' names: ``strategies(lib.fill, length=st.integers(0, 16))``. ``null`` says
    which pointers may also be None: all of them, or those of these names.
    """
    types = _native.parameters(function)
    if types is None:
        named = getattr(function, "__name__", type(function).__name__)
        raise TypeError(
            f"strategies() takes a C function of an interface, such as lib.add, not {named!r} (nor one that "
            "a directive of the header has changed)"
        )
    _check_null(null)
    names = [
        name for name, parameter in inspect.signature(function).parameters.items() if _is_fixed(parameter)
    ]
    _check_names(function, names, given, () if isinstance(null, bool) else null)
    made = []
    for name, (spelling, ctype) in zip(names, types, strict=True):
        if name in given:
            made.append(given[name])
            continue
        where = f"argument {name!r} ({spelling}) of {function.__name__}()"
        may_be_null = null if isinstance(null, bool) else name in null
        argument = _Argument(where, f"lib.{function.__name__}, {name}=...", may_be_null)
        made.append(argument.of(ctype, must_be_pointer=may_be_null and null is not True))
    return st.tuples(*made)


def _is_fixed(parameter: inspect.Parameter) -> bool:
    return parameter.kind is inspect.Parameter.POSITIONAL_ONLY


def _check_null(null: Any) -> None:
    names = isinstance(null, Collection) and not isinstance(null, (str, bytes))
    if not isinstance(null, bool) and not (names and all(isinstance(name, str) for name in null)):
        example = f'["{null}"]' if isinstance(null, str) and null else '["text"]'
        raise TypeError(f"null must be True, False or a list of names, such as null={example}, not {null!r}")


def _check_names(
    function: Callable[..., Any], names: list[str], given: dict[str, Any], null: Collection[str]
) -> None:
    for name in [*given, *null]:
        if name not in names:
            there = f"it has {', '.join(names)}" if names else "it has none"
            raise TypeError(f"{function.__name__}() has no argument {name!r}: {there}")
    for name, strategy in given.items():
        if not isinstance(strategy, st.SearchStrategy):
            given_type = type(strategy).__name__
            raise TypeError(f"{name!r} must be a strategy, such as st.just({strategy!r}), not {given_type}")


class _Argument:
    """What one argument may be. `where` names it in messages, `instead` says how to give another strategy."""

    def __init__(self, where: str, instead: str, null: bool) -> None:
        self.where = where
        self.instead = instead
        self.null = null

    def of(self, ctype: Any, must_be_pointer: bool = False) -> st.SearchStrategy[Any]:
        """Values that the function takes for a parameter of this type."""
        outline = _native.outline(ctype)
        kind = outline["kind"]
        if must_be_pointer and kind not in ("text", "pointer", "function"):
            raise TypeError(f"{self.where} is no pointer, so it cannot be NULL: leave it out of null")
        if kind == "record":
            return _records(ctype)
        if kind not in ("text", "pointer", "function"):
            return self.must_be(_number(outline), outline)
        made = {"text": self.text, "pointer": self.pointer, "function": self.function}[kind](outline)
        if self.null:
            return st.none() if made is None else st.none() | made
        return self.must_be(made, outline)

    def must_be(self, made: st.SearchStrategy[Any] | None, outline: dict[str, Any]) -> st.SearchStrategy[Any]:
        """Refuses what nothing can be made for."""
        if made is not None:
            return made
        why = "nothing to make its result of" if outline["kind"] == "function" else "only C code makes such"
        raise TypeError(
            f"strategies() cannot make {self.where} ({why}): give a strategy, strategies({self.instead})"
        )

    def text(self, outline: dict[str, Any]) -> st.SearchStrategy[Any]:
        """C's text ends with a NUL. Where C may write to it, it is a bytearray with that NUL."""
        if outline["to_const"]:
            return _text() if outline["decode"] else _characters()
        return _writable(_text() if outline["decode"] else _characters())

    def pointer(self, outline: dict[str, Any]) -> st.SearchStrategy[Any] | None:
        """Buffers of numbers, and records; None for what only C can make."""
        to = _native.outline(outline["to"])
        if to["kind"] == "record":
            return _records(outline["to"])
        if not outline["buffers"]:
            return None
        if to["name"] == "void" or (to["size"] == 1 and to["kind"] in ("int", "char")):
            return st.binary() if outline["to_const"] else st.binary().map(bytearray)
        code = _code(to)
        items = _number(to)
        if code is None or items is None:
            return None
        return _arrays(code, items)

    def function(self, outline: dict[str, Any]) -> st.SearchStrategy[Any] | None:
        """Callables, which return what their type says."""
        result = _native.outline(outline["result"])
        is_void = result["name"] == "void"
        returns = st.none() if is_void else _number(result)
        return None if returns is None else st.functions(like=lambda *arguments: None, returns=returns)


def _number(outline: dict[str, Any]) -> st.SearchStrategy[Any] | None:
    """Numbers of a type; None for what is no number."""
    match outline["kind"]:
        case "bool":
            return st.booleans()
        case "char":
            return _latin_1(st.characters(max_codepoint=255))
        case "int":
            return st.integers(*outline["range"])
        case "enumeration" if outline["members"]:
            return st.sampled_from(outline["members"])
        case "float":
            return st.floats(width=32)
        case "double":
            return st.floats()
        case "complex":
            return st.complex_numbers(width=64 if outline["size"] == 8 else 128)
        case _:
            return None


# Composites, so that Hypothesis shows what they make and not how.


@st.composite
def _latin_1(draw: st.DrawFn, text: st.SearchStrategy[str]) -> bytes:
    return draw(text).encode("latin-1")


@st.composite
def _writable(draw: st.DrawFn, text: st.SearchStrategy[str | bytes]) -> bytearray:
    made = draw(text)
    return bytearray((made.encode() if isinstance(made, str) else made) + b"\0")


@st.composite
def _arrays(draw: st.DrawFn, code: str, items: st.SearchStrategy[Any]) -> array[Any]:
    return array(code, draw(st.lists(items)))


def _characters() -> st.SearchStrategy[bytes]:
    """Bytes without a NUL, which shrink to what can be read."""
    return _latin_1(st.text(st.characters(min_codepoint=1, max_codepoint=255)))


def _text() -> st.SearchStrategy[str]:
    """Text that UTF-8 has, without a NUL."""
    return st.text(st.characters(min_codepoint=1, codec="utf-8"))


def _code(outline: dict[str, Any]) -> str | None:
    """The type code of an array of such numbers."""
    size = outline["size"]
    match outline["kind"]:
        case "float" if size == 4:
            return "f"
        case "double" if size == 8:
            return "d"
        case "bool":
            return "B"
        case "int":
            return _CODES[size][outline["range"][0] == 0]
        case "enumeration":
            return _CODES[size][all(member >= 0 for member in outline["members"])]
        case _:
            return None


def _records(ctype: Any) -> st.SearchStrategy[Any]:
    """Records, each in memory of its own."""
    outline = _native.outline(ctype)
    return _fields(outline).map(outline["class"] or partial(_native.make, ctype))


def _fields(outline: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Values for the fields of a record; those that only C can fill stay zero."""
    fields = {name: _stored(_native.outline(ctype), bits) for name, ctype, bits in outline["fields"]}
    return st.fixed_dictionaries({name: made for name, made in fields.items() if made is not None})


def _stored(outline: dict[str, Any], bits: int | None) -> st.SearchStrategy[Any] | None:
    """What a field or an array's element may be set to; None to leave it zero."""
    match outline["kind"]:
        case "record":
            return _fields(outline)
        case "characters":
            return st.binary(max_size=outline["count"])
        case "array":
            item, count = _stored(_native.outline(outline["of"]), None), outline["count"]
            return None if item is None else st.lists(item, min_size=count, max_size=count)
        case "int" if bits is not None:
            signed = outline["range"][0] < 0
            return (
                st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)
                if signed
                else st.integers(0, (1 << bits) - 1)
            )
        case "text" if outline["to_const"]:
            return _text() if outline["decode"] else _characters()
        case _:
            return _number(outline)
