"""What the markers of a test let pass."""

from __future__ import annotations

import signal
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import pytest

from pythy import _native

KINDS = {
    "Leak_DefinitelyLost": "definite",
    "Leak_IndirectlyLost": "indirect",
    "Leak_PossiblyLost": "possible",
    "Leak_StillReachable": "reachable",
}

# How many kinds a message lists.
MOST_NAMED = 8

# How a process ends that C code has ended.
CRASHES = (*signal.Signals.__members__, "exit", "timeout", "valgrind", "nonsense", "unknown")


@dataclass(frozen=True)
class AllowedLeak:
    """One marker pythy_allow_leak."""

    kinds: tuple[str, ...] | None = None
    function: str | None = None
    max_bytes: int | None = None
    reason: str | None = None

    def fits(self, finding: dict[str, Any], report: dict[str, Any]) -> bool:
        """Whether this leak is meant, whatever its size."""
        if finding["category"] != "leak":
            return False
        names = (finding["kind"], KINDS.get(finding["kind"], ""))
        of_kind = self.kinds is None or any(fnmatchcase(name, kind) for name in names for kind in self.kinds)
        return of_kind and _is_in(finding, report, self.function)


@dataclass(frozen=True)
class KnownError:
    """One marker pythy_known_error."""

    kind: str | None = None
    function: str | None = None
    reason: str | None = None

    def fits(self, finding: dict[str, Any], report: dict[str, Any]) -> bool:
        """Whether this error is meant; leaks and crashes are by their kinds alone."""
        if self.kind is None:
            of_kind = finding["category"] == "error"
        else:
            of_kind = fnmatchcase(finding["kind"], self.kind)
        return of_kind and _is_in(finding, report, self.function)


@dataclass(frozen=True)
class Allowances:
    """All such markers of one test."""

    leaks: tuple[AllowedLeak, ...]
    errors: tuple[KnownError, ...]

    @classmethod
    def of(cls, item: pytest.Item) -> Allowances:
        """Raises UsageError for a marker with arguments that there are not."""
        leaks = [_leak(item, mark) for mark in item.iter_markers("pythy_allow_leak")]
        errors = [_error(item, mark) for mark in item.iter_markers("pythy_known_error")]
        return cls(tuple(leaks), tuple(errors))

    def apply(self, report: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The report without what is allowed, and what that was, one line each."""
        allowed: list[tuple[dict[str, Any], str | None]] = []
        for mark in self.errors:
            allowed += [(f, mark.reason) for f in report["findings"] if mark.fits(f, report)]
        # What is allowed without a limit counts for no other's.
        for leak in sorted(self.leaks, key=lambda leak: leak.max_bytes is not None):
            known = {finding["id"] for finding, _ in allowed}
            others = [finding for finding in report["findings"] if finding["id"] not in known]
            fitting = [finding for finding in others if leak.fits(finding, report)]
            size = sum(f["leaked"]["bytes"] + f["leaked"]["indirect_bytes"] for f in fitting)
            if leak.max_bytes is None or size <= leak.max_bytes:
                allowed += [(finding, leak.reason) for finding in fitting]
        ids = {finding["id"] for finding, _ in allowed}
        left = [finding for finding in report["findings"] if finding["id"] not in ids]
        told = [f"{f['kind']}: {f['what']}" + (f" ({reason})" if reason else "") for f, reason in allowed]
        return report | {"findings": left}, told


def _leak(item: pytest.Item, mark: pytest.Mark) -> AllowedLeak:
    made: AllowedLeak = _made(AllowedLeak, item, mark)
    kinds: Any = made.kinds
    if isinstance(kinds, str):
        kinds = [kind.strip() for kind in kinds.split(",")]
    elif not isinstance(kinds, Collection | None):
        raise _wrong(item, mark, f"kinds must be names, not {kinds!r}")
    _check_kinds(item, mark, "leak", kinds or (), [*KINDS.values(), *KINDS])
    _check_type(item, mark, "function", made.function, str)
    _check_type(item, mark, "max_bytes", made.max_bytes, int)
    return AllowedLeak(tuple(kinds) if kinds else None, made.function, made.max_bytes, made.reason)


def _error(item: pytest.Item, mark: pytest.Mark) -> KnownError:
    made: KnownError = _made(KnownError, item, mark)
    _check_kinds(item, mark, "error", [] if made.kind is None else [made.kind], [*_native.kinds(), *CRASHES])
    _check_type(item, mark, "function", made.function, str)
    return made


def _made(kind: type[Any], item: pytest.Item, mark: pytest.Mark) -> Any:
    try:
        return kind(*mark.args, **mark.kwargs)
    except TypeError as error:
        raise _wrong(item, mark, str(error).replace(f"{kind.__name__}.__init__() ", "")) from None


def _check_kinds(
    item: pytest.Item, mark: pytest.Mark, what: str, wanted: Iterable[Any], known: Sequence[str]
) -> None:
    """A name that fits nothing would let nothing pass, and nobody would know."""
    for kind in wanted:
        if not isinstance(kind, str) or not any(fnmatchcase(name, kind) for name in known):
            near = get_close_matches(str(kind), known, n=1, cutoff=0.5)
            which = f"did you mean '{near[0]}'?" if near else ", ".join(known[:MOST_NAMED])
            raise _wrong(item, mark, f"'{kind}' is no kind of {what}: {which}")


def _check_type(item: pytest.Item, mark: pytest.Mark, name: str, value: Any, kind: type[Any]) -> None:
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        what = {str: "a name", int: "a number"}[kind]
        raise _wrong(item, mark, f"{name} must be {what}, not {value!r}")


def _wrong(item: pytest.Item, mark: pytest.Mark, what: str) -> pytest.UsageError:
    return pytest.UsageError(f"{item.nodeid}: {mark.name}: {what}")


def _is_in(finding: dict[str, Any], report: dict[str, Any], function: str | None) -> bool:
    """Whether the declaration, or a C function on the first stack, has this name; * and ? as in the shell."""
    if function is None:
        return True
    names = {frame["function"] for stack in finding["stacks"][:1] for frame in stack["frames"]}
    for call in (finding["call"], finding["allocated_by"]):
        if call is not None:
            names.add(report["declarations"][call["declaration"] - 1]["name"])
    return any(fnmatchcase(name, function) for name in names if name)
