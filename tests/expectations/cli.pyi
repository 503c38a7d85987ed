# ruff: noqa: PYI042
"""cli.h with ./libcli.so, as pythy gives them."""

import builtins as _builtins
from collections.abc import Callable as _Callable
from collections.abc import Iterable as _Iterable
from enum import IntEnum as _IntEnum
from typing import Any as _Any
from typing import Final as _Final
from typing import TypeAlias as _TypeAlias

from pythy import Array as _Array
from pythy import CType as _CType
from pythy import Pointer as _Pointer
from pythy import Record as _Record
from pythy._stubs import Address as _Address
from pythy._stubs import Arrays as _Arrays
from pythy._stubs import Char as _Char
from pythy._stubs import Field as _Field
from pythy._stubs import Fields as _Fields
from pythy._stubs import Function as _Function
from pythy._stubs import Handle as _Handle
from pythy._stubs import Initial as _Initial
from pythy._stubs import Items as _Items
from pythy._stubs import Memory as _Memory
from pythy._stubs import Text as _Text
from pythy._stubs import Variadic as _Variadic
from pythy._stubs import buffer as buffer
from pythy._stubs import callback as callback
from pythy._stubs import cast as cast
from pythy._stubs import close as close
from pythy._stubs import from_handle as from_handle
from pythy._stubs import new as new
from pythy._stubs import new_handle as new_handle
from pythy._stubs import own as own
from pythy._stubs import ref as ref
from pythy._stubs import sizeof as sizeof

_Type_point: _TypeAlias = point

class colour(_IntEnum):
    """A paint."""

    RED = 0
    GREEN = 5
    """Like grass."""
    from_ = 6
    """a keyword of Python's"""

RED: _Final[colour]
GREEN: _Final[colour]
from_: _Final[colour]

LIMIT: _Final[_IntEnum]

class struct_store(_Fields):
    open: int
    def __init__(
        self,
        value: _Initial[struct_store] | None = ...,
        /,
        *,
        open: int = ...,
    ) -> None: ...

class point(_Fields):
    """A place."""

    x: int
    y: int
    def __init__(
        self,
        value: _Initial[_Type_point] | None = ...,
        /,
        *,
        x: int = ...,
        y: int = ...,
    ) -> None: ...

class shape(_Fields):
    name: _Field[_builtins.bytes, _Iterable[_Char]]
    point: _Field[_Type_point, _Initial[_Type_point]]
    """Where its corners are."""
    corners: _Field[_Array[_Type_point], _Iterable[_Initial[_Type_point]]]
    list: _Field[_Pointer[shape_list] | None, _Address[shape_list]]
    @property
    def number(self) -> int: ...
    filled: int
    hidden: _Field[bool, bool | int]
    bytes: float
    data: _Field[_Pointer[int] | None, _Items[int]]
    text: _Field[_builtins.bytes | None, _Text]
    class_: colour | int
    whole: int
    part: float
    nested: _Field[_Record, _Initial[_Record]]
    measure: _Field[_Pointer[_Callable[[_Pointer[_Type_point] | None, _Pointer[_Type_point] | None], int]] | None, _Function[_Callable[[_Pointer[_Type_point] | None, _Pointer[_Type_point] | None], int]]]
    def __init__(
        self,
        value: _Initial[shape] | None = ...,
        /,
        *,
        name: _Iterable[_Char] = ...,
        point: _Initial[_Type_point] = ...,
        corners: _Iterable[_Initial[_Type_point]] = ...,
        list: _Address[shape_list] = ...,
        number: int = ...,
        filled: int = ...,
        hidden: bool | int = ...,
        bytes: float = ...,
        data: _Items[int] = ...,
        text: _Text = ...,
        class_: colour | int = ...,
        whole: int = ...,
        part: float = ...,
        nested: _Initial[_Record] = ...,
        measure: _Function[_Callable[[_Pointer[_Type_point] | None, _Pointer[_Type_point] | None], int]] = ...,
    ) -> None: ...

class shape_list(_Fields): ...

class struct_secret(_Fields): ...

size: _Final[_CType[int]]
handle: _Final[_CType[_Pointer[struct_store] | None]]
paint: _TypeAlias = colour
point_t: _TypeAlias = point
compare: _Final[_CType[_Pointer[_Callable[[_Pointer[_Any] | None, _Pointer[_Any] | None], int]] | None]]

MOST: _Final[int]
VERSION: _Final[_builtins.bytes]
SCALE: _Final[float]
FLAGS: _Final[int]
NOBODY: _Final[None]
EVERYBODY: _Final[_Pointer[struct_store]]

counter: int

ratio: _Final[float]

origin: point | _Any

secret: _Pointer[struct_secret] | None | _Any

motto: _Final[_builtins.bytes]

primes: _Array[int] | _Any

def add(a: int, b: int, /) -> int:
    """Adds "two" numbers.
    A backslash: \\n
    """

def moved(by: point, arg2: int, /) -> point:
    """struct point moved(struct point by, int)"""

def store_open(
    path: _Text,
    other: _Handle[_Pointer[struct_store] | None],
    /,
) -> _Pointer[struct_store] | None:
    """handle store_open(const char *path, handle *other)"""

def store_close(store: _Address[struct_store], /) -> None:
    """void store_close(handle store)"""

def sort(
    items: _Memory,
    count: int,
    width: int,
    order: _Function[_Callable[[_Pointer[_Any] | None, _Pointer[_Any] | None], int]],
    /,
) -> None:
    """void sort(void *items, size count, size width, compare order)"""

def sum(values: _Items[float], count: int, /) -> float:
    """double sum(const double *values, size count)"""

def grow(data: _Items[int], length: int, fill: _Char, /) -> int:
    """int grow(unsigned char *data, size length, char fill)"""

def mix(one: colour | int, other: colour | int, /) -> colour | int:
    """enum colour mix(paint one, enum colour other)"""

def lambda_(
    flag: bool | int,
    out: _Items[int],
    names: _Handle[_builtins.bytes | None],
    /,
) -> bool:
    """_Bool lambda(_Bool flag, int *out, char **names)"""

def format(out: _Text, format: _Text, /, *args: _Variadic) -> int:
    """int format(char *out, const char *format, ...)"""

def visit(
    start: _Address[shape],
    each: _Function[_Callable[[_Pointer[shape] | None, _Pointer[_Any] | None], object]],
    data: _Memory,
    /,
) -> None:
    """void visit(shape *start, void (*each)(shape *, void *), void *data)"""

def store(store: _Address[struct_store], /) -> int:
    """int store(struct store *store)"""

def new_() -> int:
    """int new(void)"""

def turned(numbers: _Items[complex], matrix: _Arrays[_Array[int]], /) -> complex:
    """_Complex double turned(const _Complex double *numbers, int (*matrix)[2])"""

def words() -> _Pointer[_builtins.bytes | None] | None:
    """const char *const *words(void)"""

def doubled(value: int, /) -> int:
    """int doubled(int value)"""

def plus(a: int, b: int, /) -> int:
    """Adds "two" numbers.
    A backslash: \\n
    """

def twofold(value: int, /) -> int:
    """int doubled(int value)"""
