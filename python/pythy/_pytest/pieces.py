"""Reports in their JSON form, as they travel from the tests to the end of the run: taken apart and joined."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pythy import _native

Report = dict[str, Any]


def of_session(since: _native.Mark) -> Report | None:
    """The calls of this process since then; None where no interface was made."""
    report = _native.session_report(since)
    return None if report is None else without_findings(json.loads(report.json()))


def without_findings(report: Report) -> Report:
    """The same calls, about which there is nothing to say."""
    return report | {"findings": []}


def joined(found: Iterable[Report | None]) -> Report | None:
    """One report with the findings of all; None for none."""
    parts = [part for part in found if part is not None]
    if len(parts) < 2:
        return parts[0] if parts else None
    return join([], parts, parts[0]["tool"])


def join(sessions: Iterable[Report], found: Iterable[Report], tool: dict[str, Any]) -> Report:
    """One report: the calls of whole processes, the findings of single tests."""
    joined = _Joined(tool)
    for session in sessions:
        joined.add_calls(session)
    for piece in found:
        joined.add_findings(piece)
    return joined.report


class _Joined:
    def __init__(self, tool: dict[str, Any]) -> None:
        totals = {"calls": 0, "errors": 0, "leaked_bytes": 0, "leaked_blocks": 0, "crashes": 0}
        self.report: Report = {
            "schema": "pythy-report/1",
            "tool": tool,
            "totals": totals,
            "notes": [],
            "declarations": [],
            "call_sites": [],
            "findings": [],
            "calls": [],
        }
        self.ids: dict[tuple[str, str], int] = {}

    def add_calls(self, session: Report) -> None:
        self._add_notes(session)
        self.report["totals"]["calls"] += session["totals"]["calls"] or 0
        self.report["calls"] += [self._placed(call, session) for call in session["calls"]]

    def add_findings(self, piece: Report) -> None:
        self._add_notes(piece)
        totals = self.report["totals"]
        for finding in piece["findings"]:
            ends = {name: self._placed(finding[name], piece) for name in ("call", "allocated_by")}
            self.report["findings"].append(finding | ends | {"id": len(self.report["findings"]) + 1})
            totals["errors"] += finding["count"] if finding["category"] == "error" else 0
            totals["crashes"] += finding["count"] if finding["category"] == "crash" else 0
            leaked = finding["leaked"] or dict.fromkeys(
                ("bytes", "blocks", "indirect_bytes", "indirect_blocks"), 0
            )
            totals["leaked_bytes"] += leaked["bytes"] + leaked["indirect_bytes"]
            totals["leaked_blocks"] += leaked["blocks"] + (leaked["indirect_blocks"] or 0)

    def _add_notes(self, report: Report) -> None:
        self.report["notes"] += [note for note in report["notes"] if note not in self.report["notes"]]

    def _placed(self, call: dict[str, Any] | None, report: Report) -> dict[str, Any] | None:
        """The call with the ids of the joined report."""
        if call is None:
            return None
        declaration = report["declarations"][call["declaration"] - 1]
        call_site = report["call_sites"][call["call_site"] - 1]
        return call | {
            "declaration": self._id("declarations", declaration),
            "call_site": self._id("call_sites", call_site),
        }

    def _id(self, kind: str, item: dict[str, Any]) -> int:
        key = (kind, json.dumps(item | {"id": 0}, sort_keys=True))
        if key not in self.ids:
            self.report[kind].append(item | {"id": len(self.report[kind]) + 1})
            self.ids[key] = len(self.report[kind])
        return self.ids[key]


def text(report: Report) -> str:
    """The report as JSON."""
    return json.dumps(report)
