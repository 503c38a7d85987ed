"""What a report holds, as objects: the JSON report's names, with ids resolved to what they stand for.

Every object can be read by attribute, ``finding.kind``, and by key, ``finding["kind"]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class _Item:
    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None


@dataclass(frozen=True)
class Declaration(_Item):
    """A function as its header declares it."""

    id: int
    name: str
    prototype: str
    file: str
    line: int
    column: int
    library: str


@dataclass(frozen=True)
class CallSite(_Item):
    """A line of Python that calls."""

    id: int
    file: str
    line: int
    function: str
    source: str | None


@dataclass(frozen=True)
class Call(_Item):
    """One foreign call. ``arguments`` is empty where they were not kept."""

    number: int
    declaration: Declaration
    call_site: CallSite
    test: str | None
    thread: str
    arguments: list[str]


@dataclass(frozen=True)
class Leaked(_Item):
    """What was lost, directly and on top of that indirectly; None where the number is not known."""

    bytes: int
    blocks: int
    indirect_bytes: int
    indirect_blocks: int | None


@dataclass(frozen=True)
class Frame(_Item):
    """One frame of C; ``ip`` is ``0x`` and hexadecimal digits."""

    ip: str
    function: str | None
    file: str | None
    line: int | None
    object: str | None


@dataclass(frozen=True)
class Stack(_Item):
    """Frames, innermost first, under Valgrind's sentence about them."""

    label: str | None
    frames: list[Frame]


@dataclass(frozen=True)
class Finding(_Item):
    """One thing that Valgrind reported, with the call it belongs to."""

    id: int
    category: str
    kind: str
    what: str
    count: int
    basis: str
    call: Call | None
    allocated_by: Call | None
    lost_between: tuple[int, int] | None
    leaked: Leaked | None
    stacks: list[Stack]


@dataclass(frozen=True)
class CallTotal(_Item):
    """One call with something to tell, or (``number`` is None) the sum of a call site's other calls."""

    number: int | None
    count: int
    declaration: Declaration
    call_site: CallSite
    test: str | None
    errors: int
    leaked_bytes: int
    leaked_blocks: int


@dataclass(frozen=True)
class Totals(_Item):
    """Sums; ``calls`` is None where calls are not counted, that is natively."""

    calls: int | None
    errors: int
    leaked_bytes: int
    leaked_blocks: int
    crashes: int


class _Resolver:
    def __init__(self, report: dict[str, Any]) -> None:
        self.report = report
        self.declarations = {item["id"]: Declaration(**item) for item in report["declarations"]}
        self.call_sites = {item["id"]: CallSite(**item) for item in report["call_sites"]}

    def _place(self, item: dict[str, Any]) -> dict[str, Any]:
        return item | {
            "declaration": self.declarations[item["declaration"]],
            "call_site": self.call_sites[item["call_site"]],
        }

    def _call(self, item: dict[str, Any] | None) -> Call | None:
        return None if item is None else Call(**self._place(item))

    def _finding(self, item: dict[str, Any]) -> Finding:
        between, leaked = item["lost_between"], item["leaked"]
        stacks = [Stack(s["label"], [Frame(**frame) for frame in s["frames"]]) for s in item["stacks"]]
        resolved = {
            "call": self._call(item["call"]),
            "allocated_by": self._call(item["allocated_by"]),
            "lost_between": None if between is None else (between[0], between[1]),
            "leaked": None if leaked is None else Leaked(**leaked),
            "stacks": stacks,
        }
        return Finding(**(item | resolved))

    def findings(self) -> list[Finding]:
        return [self._finding(item) for item in self.report["findings"]]

    def calls(self) -> list[CallTotal]:
        return [CallTotal(**self._place(item)) for item in self.report["calls"]]

    def totals(self) -> Totals:
        return Totals(**self.report["totals"])


def part(report: dict[str, Any], name: str) -> Any:
    """The findings, calls or totals of a report in its JSON form."""
    return getattr(_Resolver(report), name)()
