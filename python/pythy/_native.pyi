"""What the extension module has; the package ``pythy`` exports all of it that is public."""

from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from signal import Signals
from types import CodeType, ModuleType, TracebackType
from typing import Any, Generic, Literal, NoReturn, SupportsIndex, TypeAlias, final, overload

from typing_extensions import Self, TypeVar

from pythy.findings import CallTotal, Finding, Totals

_Path = str | PathLike[str]
_Type: TypeAlias = str | CType[Any] | type[Record]
# What reading gives: of a pointer its target, of a ref its value, of an array its elements.
_T = TypeVar("_T", default=Any)
_P = TypeVar("_P", bound=Pointer[Any])

__version__: str

class Error(Exception):
    """The base of all exceptions of pythy's own."""

class HeaderError(Error):
    """A header that is missing or that clang cannot parse."""

class BindingError(Error):
    """A library that cannot be loaded, or that lacks what is asked of it."""

class SymbolError(BindingError, AttributeError):
    """A name that the header declares and that cannot be used, with the reason."""

class ArgumentError(Error, TypeError):
    """An argument of a C function that has the wrong type, number or shape."""

class WorkerCrashed(Error):
    """The C code ended its worker process."""

    signal: Signals | None
    """What ended it; None if it was no signal."""
    exit_code: int | None
    """The code that it called exit() with."""
    finding: Finding | None
    """What is known of it; None where no call brought it about."""
    report: Report | None
    """What was found during the call."""

class ValgrindError(Error):
    """Valgrind is missing, unusable, or leaves a question open."""

class MemoryCheckError(Error):
    """Valgrind has a finding for this very call."""

    report: Report
    """What was found."""

@final
class Interface:
    """What stands behind a module that ``create_interface`` returns; its methods are in the module."""

    def close(self) -> bool:
        """Closes the interface; tells whether the library has a destructor, which runs then."""
    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
    @property
    def decodes(self) -> bool:
        """Whether text comes as str."""
    @property
    def library(self) -> Path | None:
        """The path of the library."""
    @property
    def own_names(self) -> set[str]:
        """The names of pythy's own functions in the module."""
    def function(
        self, name: str, another: str | None = None, as_pointer: bool = False
    ) -> Callable[..., Any] | None:
        """The builtin of a function, a hidden one too, or another one of that function."""
    def address(self, name: str) -> int | None:
        """The address of a function that the library exports."""
    def hide(self, names: dict[str, str]) -> None:
        """Takes functions out of the module; each name has what is said to who asks for it."""
    def owner(self, pointer: Pointer) -> Pointer | None:
        """The pointer that frees what this one points to, if there is one: it or another."""
    def alike(self, one: Pointer, other: Pointer) -> bool:
        """Whether two pointers are of one type."""
    def bytes_at(self, pointer: Pointer, size: int | None = None) -> bytes:
        """The bytes at a pointer: so many, or those up to the first NUL."""
    def ref(self, type_name: _Type, value: Any = None, /, **fields: Any) -> Any:
        """A C value in memory of its own, for parameters through which C hands something back."""
    def new(self, type_name: _Type, value: Any = None, /, **fields: Any) -> Any:
        """Zeroed C memory for a value of any type that C code may keep."""
    def sizeof(self, what: _Type | Ref | Record | Array) -> int:
        """The size of a C type, or of what a Python object of pythy's stands for, in bytes."""
    def cast(self, value: Any, type_name: _Type) -> Pointer | Value | None:
        """The same address as a pointer of another type."""
    def own(self, pointer: _P, free: Callable[[_P], Any]) -> _P:
        """A pointer that frees what it points to, with the function given."""
    def own_as_declared(self, pointer: _P, free: Callable[[_P], Any]) -> _P:
        """The same for what a header's `$ cleanup` has freed."""
    def buffer(self, what: Pointer | Ref | Record | Array, size: int | None = None) -> memoryview:
        """The memory of what pythy has a handle for, as a memoryview of bytes."""
    def callback(self, type_name: _Type) -> Callable[[Callable[..., Any]], Callback]:
        """A decorator that makes a callable a C function pointer of the type given."""
    def new_handle(self, object: object) -> Pointer:
        """A ``void *`` that stands for a Python object, which lives as long as this pointer does."""
    def from_handle(self, pointer: Pointer) -> Any:
        """The object that new_handle() made this pointer for."""
    def listed(self) -> set[str]:
        """The names of the module that are made at their first use."""
    def assign(self, name: str, value: Any) -> bool:
        """Stores into a C variable; tells whether there is one of that name. Refuses what would hide C's."""
    def check_deletion(self, name: str) -> None:
        """Refuses to delete what is the library's."""
    def missing(self, name: str) -> Any:
        """What the module says to a name that it does not have."""

@final
class CType(Generic[_T]):
    """A C type: what the name of a typedef stands for."""

    @property
    def __name__(self) -> str: ...

@final
class Pointer(Generic[_T]):
    """A C pointer with its type, as C code returned it. Never NULL: that is ``None``."""

    def __call__(self: Pointer[Callable[..., Any]], *arguments: Any) -> Any: ...
    def __int__(self) -> int: ...
    def __iter__(self) -> NoReturn: ...
    def __bool__(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __getattr__(self, name: str) -> Any: ...
    def __setattr__(self, name: str, value: Any) -> None: ...
    def __delattr__(self, name: str) -> None: ...
    @overload
    def __getitem__(self, index: SupportsIndex) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> list[_T]: ...
    def __setitem__(self, index: SupportsIndex, value: Any) -> None: ...
    def __delitem__(self, index: int) -> None: ...
    def __enter__(self) -> Pointer[_T]: ...
    def __exit__(
        self,
        exception_type: type[BaseException] | None = None,
        exception: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> Literal[False]: ...
    def release(self) -> None:
        """Frees what lib.own(pointer, free) owns, now. Doing it twice is no error."""
    def disown(self) -> Pointer[_T]:
        """Gives up ownership: a pointer to the same that frees nothing."""

@final
class Ref(Generic[_T]):
    """One C value in memory of its own, for parameters through which C hands something back."""

    @property
    def value(self) -> _T:
        """The value, converted as results are."""
    @value.setter
    def value(self, value: Any) -> None: ...
    @property
    def pointer(self) -> Pointer | None:
        """The stored pointer itself, to free or to own it; None for NULL."""

class Record:
    """A C struct or union: its fields are attributes, read and written in the record's own memory."""

    def __init__(self, value: Any = None, /, **fields: Any) -> None: ...
    def __getattr__(self, name: str) -> Any: ...
    def __setattr__(self, name: str, value: Any) -> None: ...
    def __delattr__(self, name: str) -> None: ...
    def __getitem__(self, name: str) -> Any: ...
    def __iter__(self) -> NoReturn: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: object, /) -> Self: ...
    def pointer(self, field: str) -> Pointer | None:
        """The pointer that a pointer field holds, unconverted; None for NULL."""

@final
class Value(Generic[_T]):
    """A value of a C type, for the arguments after ``...``, which have no type of their own:"""

    @property
    def value(self) -> _T:
        """The value in Python."""

@final
class Array(Generic[_T]):
    """A C array: indexed, sliced, iterated and assigned like a list of fixed length."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: SupportsIndex) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> list[_T]: ...
    def __iter__(self) -> Iterator[_T]: ...
    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None: ...
    def __delitem__(self, index: int) -> None: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: object, /) -> Self: ...

@final
class Callback:
    """A function pointer that runs a Python callable, for as long as this object lives."""

    def __call__(self, *arguments: Any) -> Any: ...

@final
class Report:
    """Findings and calls of a stretch of the program."""

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
    @property
    def findings(self) -> list[Finding]:
        """What was found, in order of first occurrence."""
    @property
    def calls(self) -> list[CallTotal]:
        """Calls with something to tell, then totals of the rest."""
    @property
    def totals(self) -> Totals:
        """Sums: calls, errors, leaked_bytes, leaked_blocks, crashes."""
    @property
    def notes(self) -> list[str]:
        """What could not be known, one sentence each."""
    def json(self) -> str:
        """The report as JSON text, in the form "pythy-report/1"."""
    def to_json(self, path: _Path) -> None:
        """Writes the report as JSON, in the form "pythy-report/1"."""
    def html(self) -> str:
        """The report as one HTML page that needs no other file."""
    def to_html(self, path: _Path) -> None:
        """Writes the report as one HTML page that needs no other file."""
    def sarif(self) -> str:
        """The report as SARIF 2.1.0, for code scanning and editors."""
    def to_sarif(self, path: _Path) -> None:
        """Writes the report as SARIF 2.1.0, for code scanning and editors."""
    def github(self) -> str:
        """The report as GitHub's workflow commands, which show findings at their lines of Python."""
    def junit(self) -> str:
        """The report as JUnit's XML, a test case for each line that calls C."""
    def suppressions(self) -> str:
        """Valgrind suppressions, an entry for each finding, each with the call it comes from."""
    def table(self, stream: str | None = None) -> str:
        """The table, as wide as this stream of sys's is; without one, as long as its lines are."""

@final
class Watch:
    """A ``with`` block whose calls a report is about."""

    def __enter__(self) -> Report: ...
    def __exit__(
        self,
        exception_type: type[BaseException] | None = None,
        exception: BaseException | None = None,
        traceback: TracebackType | None = None,
        /,
    ) -> Literal[False]: ...

def create_interface(
    header_files: _Path | list[_Path] | tuple[_Path, ...],
    library_file: _Path,
    module: ModuleType | None = None,
    wrapper_modules: Any = None,
    *,
    backend: Literal["inprocess", "isolated"] | None = None,
    checker: Literal["memcheck", "none"] | None = None,
    include_dirs: _Path | list[_Path] | tuple[_Path, ...] = ...,
    defines: dict[str, Any] = ...,
    clang_args: list[str] | tuple[str, ...] = ...,
    encoding: Literal["utf-8"] | None = None,
    gil: Literal["release", "hold"] = "release",
    leak_check: Literal["call", "test", "session", "off"] | None = None,
    check_results: bool = False,
    timeout: float | None = None,
    worker: Worker | None = None,
) -> ModuleType:
    """Reads C headers and a shared library, and returns a module with the library's functions."""

@final
class Worker:
    """A worker process for several interfaces: ``create_interface(..., worker=worker)``."""

    @property
    def pid(self) -> int | None:
        """The number of the process; None where none is running."""
    def close(self) -> None:
        """Ends the worker. Doing it twice is no error."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Literal[False]: ...

def worker(*, checker: Literal["memcheck", "none"] | None = None) -> Worker:
    """Starts a worker process that several interfaces can share."""

def abandon_workers() -> None:
    """In the child after a fork: the workers stay the parent's."""

def end_workers() -> None:
    """At the end of the program: ends the workers as programs end."""

def end_workers_at_once() -> None:
    """The same in a process that is about to end at once."""

def end_by_second(number: int) -> None:
    """Has a second signal of this number, which Python handles, end the process at once."""

def errno() -> int:
    """C's errno as the last foreign call of this thread left it."""

def set_errno(value: int, /) -> None:
    """Gives errno a value for the next foreign call of this thread."""

def describe(
    header_files: _Path | list[_Path] | tuple[_Path, ...],
    library_file: _Path,
    *,
    include_dirs: _Path | list[_Path] | tuple[_Path, ...] | None = None,
    defines: dict[str, Any] | None = None,
    clang_args: list[str] | tuple[str, ...] | None = None,
    encoding: str | None = None,
) -> str:
    """What create_interface would make of these headers and this library, as JSON."""

def parameters(function: object) -> list[tuple[str, CType[Any]]] | None:
    """The types of a function's parameters, each with its spelling in the header."""

def outline(ctype: CType[Any]) -> dict[str, Any]:
    """What a type is, one level of it: `kind`, and what there is to say of that kind."""

def make(ctype: CType[Any], value: Any | None = None) -> Any:
    """Zeroed C memory for a value of a type, with this value."""

def memory_report() -> Report:
    """A report about everything so far in this process. Runs a leak check."""

def watch() -> Watch:
    """A context manager whose report is about the foreign calls made inside it."""

def raise_on_finding(enabled: bool = True, /) -> None:
    """Makes every foreign call with a finding raise MemoryCheckError."""

def running_under_valgrind() -> bool:
    """Whether this process runs under Valgrind."""

def find_valgrind() -> Path:
    """The path of the Valgrind that is installed; ValgrindError where there is none that can be used."""

def valgrind_version() -> str | None:
    """The version of the Valgrind on PATH, "3.19.0"; None where there is none."""

def read_report(path: _Path) -> Report:
    """The report that to_json() has written into this file."""

def crash_report(trail: _Path, log: _Path) -> Report | None:
    """The report on a process that crashed, from the trail in this directory and Valgrind's XML."""

def left_behind() -> bool:
    """Whether this process runs natively because Valgrind did not follow a script into it."""

def tell_at_exit(enabled: bool, /) -> None:
    """Says whether report_at_exit() has something to do: not where others tell all."""

def report_at_exit() -> None:
    """The table on stderr at the end of a process whose C code ran under Valgrind."""

@final
class Mark:
    """A place from which news are told."""

def set_defaults(
    *,
    backend: Literal["inprocess", "isolated"] | None = None,
    leak_check: Literal["call", "test", "session", "off"] | None = None,
) -> None:
    """Chooses the backend and leak_check of interfaces whose makers do not."""

def set_test(name: str | None) -> None:
    """Names the test that makes the calls from now on; None for none."""

def step_over(codes: list[CodeType]) -> None:
    """Makes these code objects, of pythy's own functions, no places where calls are made."""

def calls() -> int:
    """How many foreign calls there have been."""

def mark() -> Mark:
    """The place up to which everything has been seen."""

def news(since: Mark) -> Report | None:
    """A report about what has been seen since the mark, without a leak check; None where that is nothing."""

def session_report(since: Mark) -> Report | None:
    """A report about this process since the mark, without a leak check; None where no interface was made."""

def kinds() -> list[str]:
    """The names of what can be found: "InvalidRead", "Leak_DefinitelyLost"."""

def check_leaks() -> None:
    """Looks for lost blocks, if one can have been lost since that was done last."""

def end_workers_since(since: Mark) -> None:
    """Ends the workers that have loaded something since the mark, as programs end."""

def check_each_call(first: int, calls: int, losses: int) -> None:
    """Has calls from this number on followed by a leak check each."""

def tell_calls_apart(enabled: bool) -> None:
    """Has each call in a worker told by itself, however often calls from its line err."""

def choose_leak_kinds(kinds: str) -> bool:
    """Says which kinds of leaks are told."""

def load_suppressions(path: _Path) -> None:
    """Has the Valgrind that runs this process, or that of the workers to come, read a file"""

def report_from_json(json: str) -> Report:
    """The report that this JSON is."""
