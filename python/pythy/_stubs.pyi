"""What the stubs that `pythy stubs` writes are made of.

For type checkers alone: there is no such module at run time.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar, overload

from typing_extensions import Buffer

from pythy import Array, Callback, CType, Pointer, Record, Ref, Value

_T = TypeVar("_T")
_Get = TypeVar("_Get")
_Set = TypeVar("_Set")
_Record = TypeVar("_Record", bound=Record)
_Function = TypeVar("_Function", bound=Callable[..., Any])

# What a function takes for each kind of parameter.
Char: TypeAlias = bytes | str | int
Handle: TypeAlias = Pointer[_T] | Ref[_T] | Array[_T] | None
Address: TypeAlias = _T | Pointer[_T] | Ref[_T] | Array[_T] | None
Items: TypeAlias = Buffer | Pointer[_T] | Ref[_T] | Array[_T] | None
Arrays: TypeAlias = Buffer | _T | Pointer[_T] | Ref[_T] | Array[_T] | None
Text: TypeAlias = str | Buffer | Pointer[bytes] | Ref[bytes] | Array[bytes] | None
Memory: TypeAlias = Buffer | Record | Pointer[Any] | Ref[Any] | Array[Any] | None
# What a record may be set to: a dict by name, a tuple or a list by position.
Initial: TypeAlias = _Record | dict[str, Any] | tuple[Any, ...] | list[Any]
Function: TypeAlias = _Function | Callback | Pointer[Any] | None
Variadic: TypeAlias = (
    int | float | str | Buffer | Callback | Record | Pointer[Any] | Ref[Any] | Array[Any] | Value[Any] | None
)

class Fields(Record):
    """A record whose fields are known: it has no others."""

    __getattr__: None  # type: ignore[misc, assignment]
    __setattr__: None  # type: ignore[misc, assignment]

class Field(Generic[_Get, _Set]):
    """A field of a record that takes more than it gives."""

    def __get__(self, record: Record, owner: Any = None, /) -> _Get: ...
    def __set__(self, record: Record, value: _Set, /) -> None: ...

# The methods of every interface.
@overload
def new(type_name: type[_Record], value: Initial[_Record] | None = None, /, **fields: Any) -> _Record:
    """Zeroed C memory for a value of any type that C code may keep."""

@overload
def new(type_name: CType[Array[_T]], value: Any = None, /) -> Array[_T]: ...  # type: ignore[overload-overlap]
@overload
def new(type_name: CType[_T], value: Any = None, /) -> Ref[_T]: ...
@overload
def new(type_name: str, value: Any = None, /, **fields: Any) -> Any: ...
@overload
def ref(type_name: type[_Record], value: Initial[_Record] | None = None, /, **fields: Any) -> _Record:
    """A C value in memory of its own, for parameters through which C hands something back."""

@overload
def ref(type_name: CType[Array[_T]], value: Any = None, /) -> Array[_T]: ...  # type: ignore[overload-overlap]
@overload
def ref(type_name: CType[_T], value: Any = None, /) -> Ref[_T]: ...
@overload
def ref(type_name: str, value: Any = None, /, **fields: Any) -> Any: ...
@overload
def cast(value: int, type_name: CType[int]) -> Value[int]:  # type: ignore[overload-overlap]
    """The same address as a pointer of another type."""

@overload
def cast(value: float, type_name: CType[float]) -> Value[float]: ...  # type: ignore[overload-overlap]
@overload
def cast(value: complex, type_name: CType[complex]) -> Value[complex]: ...  # type: ignore[overload-overlap]
@overload
def cast(value: Address[Any] | Callback | int, type_name: CType[_T]) -> _T: ...
@overload
def cast(value: Any, type_name: str) -> Any: ...
def sizeof(what: str | CType[Any] | type[Record] | Record | Ref[Any] | Array[Any]) -> int:
    """The size of a C type, or of what a Python object of pythy's stands for, in bytes."""

# What C returns may be None, and own() raises then.
def own(pointer: Pointer[_T] | None, free: Callable[[Pointer[_T]], Any]) -> Pointer[_T]:
    """A pointer that frees what it points to, with the function given."""

def buffer(what: Pointer[Any] | Ref[Any] | Record | Array[Any], size: int | None = None) -> memoryview:
    """The memory of what pythy has a handle for, as a memoryview of bytes."""

@overload
def callback(type_name: CType[Pointer[_Function] | None]) -> Callable[[_Function], Callback]:
    """A decorator that makes a callable a C function pointer of the type given."""

@overload
def callback(type_name: str) -> Callable[[Callable[..., Any]], Callback]: ...
def new_handle(object: object) -> Pointer[Any]:
    """A ``void *`` that stands for a Python object, which lives as long as this pointer does."""

def from_handle(pointer: Pointer[Any]) -> Any:
    """The object that new_handle() made this pointer for."""

def close() -> bool:
    """Closes the interface: its functions raise from then on, and the library is unloaded."""
