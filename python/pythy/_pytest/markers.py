"""What the markers of a test let pass."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pytest

KINDS = {
    "Leak_DefinitelyLost": "definite",
    "Leak_IndirectlyLost": "indirect",
    "Leak_PossiblyLost": "possible",
    "Leak_StillReachable": "reachable",
}


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
        kind = KINDS.get(finding["kind"], finding["kind"])
        return (self.kinds is None or kind in self.kinds) and _is_in(finding, report, self.function)


@dataclass(frozen=True)
class KnownError:
    """One marker pythy_known_error."""

    kind: str | None = None
    function: str | None = None
    reason: str | None = None

    def fits(self, finding: dict[str, Any], report: dict[str, Any]) -> bool:
        """Whether this error is meant."""
        same_kind = self.kind is None or self.kind == finding["kind"]
        return finding["category"] == "error" and same_kind and _is_in(finding, report, self.function)


@dataclass(frozen=True)
class Allowances:
    """All such markers of one test."""

    leaks: tuple[AllowedLeak, ...]
    errors: tuple[KnownError, ...]

    @classmethod
    def of(cls, item: pytest.Item) -> Allowances:
        """Raises UsageError for a marker with arguments that there are not."""
        leaks = [_leak(item, mark) for mark in item.iter_markers("pythy_allow_leak")]
        errors = [_made(KnownError, item, mark) for mark in item.iter_markers("pythy_known_error")]
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
    kinds = mark.kwargs.get("kinds")
    if isinstance(kinds, str):
        kinds = [kind.strip() for kind in kinds.split(",")]
    unknown = [kind for kind in kinds or () if kind not in KINDS.values()]
    if unknown:
        wrong = f"'{unknown[0]}' is no kind of leak: {', '.join(KINDS.values())}"
        raise pytest.UsageError(f"{item.nodeid}: pythy_allow_leak: {wrong}")
    made = _made(AllowedLeak, item, mark)
    return AllowedLeak(tuple(kinds) if kinds else None, made.function, made.max_bytes, made.reason)


def _made(kind: type[Any], item: pytest.Item, mark: pytest.Mark) -> Any:
    try:
        return kind(*mark.args, **mark.kwargs)
    except TypeError as error:
        wrong = str(error).replace(f"{kind.__name__}.__init__() ", "")
        raise pytest.UsageError(f"{item.nodeid}: {mark.name}: {wrong}") from None


def _is_in(finding: dict[str, Any], report: dict[str, Any], function: str | None) -> bool:
    """Whether the declaration, or a C function on the first stack, has this name; * and ? as in the shell."""
    if function is None:
        return True
    names = {frame["function"] for stack in finding["stacks"][:1] for frame in stack["frames"]}
    for call in (finding["call"], finding["allocated_by"]):
        if call is not None:
            names.add(report["declarations"][call["declaration"] - 1]["name"])
    return any(fnmatchcase(name, function) for name in names if name)
