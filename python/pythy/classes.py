"""The base of the classes that ``$ class`` makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn
from weakref import WeakValueDictionary

from pythy._native import Error, Pointer

if TYPE_CHECKING:
    from typing_extensions import Self


class Object:
    """A C object, by its address. Objects are equal when their addresses are."""

    # Methods that a header names take precedence over what is below; nothing of pythy's relies on `ptr`.
    _interface: ClassVar[Any]
    _free: ClassVar[Callable[[Pointer], Any] | None] = None
    _live: ClassVar[WeakValueDictionary[int, Object]]
    _pointer: Pointer | None = None
    # Who frees what it points to, if that is somebody else: alive as long as this is used.
    _owner: Pointer | None = None
    # Its key among those that live.
    _key: int | None = None
    _closed = False

    def __init__(self) -> None:
        raise TypeError(f"{type(self).__name__} has no init function: C functions return its instances")

    @property
    def ptr(self) -> Pointer:
        """The pointer to the C object."""
        return pointer_of(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Object):
            return NotImplemented
        if _is_gone(self) or _is_gone(other):
            return self is other
        return self._pointer == other._pointer

    def __hash__(self) -> int:
        return hash(self._pointer)

    def __repr__(self) -> str:
        if self._pointer is None:
            return f"<{type(self).__name__} without C object>"
        where = "closed" if _is_gone(self) else f"at {int(self._pointer):#x}"
        return f"<{type(self).__name__} {where}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is a C object: it cannot be copied or pickled")


class Closable(Object):
    """A C object that is freed: by close(), at the end of a ``with`` block, or when it is dropped."""

    def close(self) -> None:
        """Frees the C object, now. Doing it twice is no error."""
        _close(self)

    def __enter__(self) -> Self:
        pointer_of(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _close(self)


def pointer_of(instance: Object) -> Pointer:
    """Where the C object is."""
    name = type(instance).__name__
    if instance._pointer is None:
        raise Error(f"this {name} has no C object: its __init__() has not called that of its base")
    if _is_gone(instance):
        raise Error(f"this {name} has been closed")
    return instance._pointer


def adopt(instance: Object, pointer: Pointer, owned: bool) -> None:
    """Makes it the object at a pointer; an owned one is freed with this instance."""
    cls = type(instance)
    forget(instance)
    instance._pointer, instance._closed = pointer, False
    instance._owner = owner = cls._interface.owner(pointer)
    if owner is not None and cls._interface.alike(owner, pointer):
        instance._pointer = owner
    elif owned:
        own(instance)
    # With its bits flipped: a leak check must not take the number for a live pointer.
    instance._key = ~int(pointer)
    cls._live[instance._key] = instance


def own(instance: Object) -> None:
    """Lets the instance free its C object, unless somebody else does."""
    cls, pointer = type(instance), instance._pointer
    if pointer is not None and cls._free is not None and cls._interface.owner(pointer) is None:
        instance._pointer = cls._interface.own_as_declared(pointer, cls._free)


def instance_at(cls: type[Object], pointer: Pointer) -> Object | None:
    """The instance at a pointer, if there is one."""
    known = cls._live.get(~int(pointer))
    # After a crash, the new worker may have something else at an address of the old one's.
    return known if known is not None and not _is_gone(known) and known._pointer == pointer else None


def forget(instance: Object) -> None:
    """The instance stands for no C object any more."""
    if instance._key is not None and instance._live.get(instance._key) is instance:
        del instance._live[instance._key]
    instance._closed = True


def _close(instance: Object) -> None:
    forget(instance)
    if instance._pointer is not None:
        instance._pointer.release()


def _is_gone(instance: Object) -> bool:
    # A pointer that has been released is false.
    return instance._closed or not instance._pointer
