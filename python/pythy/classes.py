"""The base of the classes that ``$ class`` makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from pythy._native import Error, Pointer


class Object:
    """A C object, by its address. Objects are equal when their addresses are."""

    _interface: ClassVar[Any]
    _free: ClassVar[Callable[[Pointer], Any] | None] = None
    _live: ClassVar[WeakValueDictionary[int, Object]]
    _pointer: Pointer
    _closed = False

    def __init__(self) -> None:
        raise TypeError(f"{type(self).__name__} has no init function: C functions return its instances")

    @property
    def ptr(self) -> Pointer:
        """The pointer to the C object."""
        if self._closed:
            raise Error(f"this {type(self).__name__} has been closed")
        return self._pointer

    def _adopt(self, pointer: Pointer, owned: bool) -> None:
        """Becomes the object at a pointer; an owned one is freed with this instance."""
        cls = type(self)
        owned = owned and cls._free is not None
        self._pointer = cls._interface.own(pointer, cls._free) if owned else pointer
        # With its bits flipped: a leak check must not take the number for a live pointer.
        cls._live[~int(pointer)] = self

    def _give_up(self) -> Pointer:
        """The pointer, for who frees it from now on."""
        pointer = self.ptr.disown()
        self._forget()
        return pointer

    def _close(self) -> None:
        if not self._closed:
            self._forget()
            self._pointer.release()

    def _forget(self) -> None:
        self._live.pop(~int(self._pointer), None)
        self._closed = True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Object):
            return NotImplemented
        return self._pointer == other._pointer and self._closed == other._closed

    def __hash__(self) -> int:
        return hash(self._pointer)

    def __repr__(self) -> str:
        where = "closed" if self._closed else f"at {int(self._pointer):#x}"
        return f"<{type(self).__name__} {where}>"


class Closable(Object):
    """A C object that is freed: by close(), at the end of a ``with`` block, or when it is dropped."""

    def close(self) -> None:
        """Frees the C object, now. Doing it twice is no error."""
        self._close()

    def __enter__(self):
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()
