"""The end of a run on the terminal: a table by declaration, and the totals."""

from __future__ import annotations

import os
from typing import Any

from pythy._pytest import pieces
from pythy._pytest.outside import Outside

HEADINGS = ("declaration", "errors", "leaked", "header")


class Summary:
    """Writes to pytest's terminal."""

    def __init__(self, terminal: Any, report: pieces.Report) -> None:
        self.terminal = terminal
        self.report = report
        self.directory = str(terminal.config.invocation_params.dir)
        self.verbosity = terminal.verbosity

    def write(self, outside: Outside, allowed: list[str]) -> None:
        """The table, what no test is to blame for, and one line for all."""
        findings = self.report["findings"]
        if not findings and not allowed and not self.report["notes"] and self.verbosity < 0:
            return
        if self.verbosity >= 0:
            self.terminal.section("memory", sep="=", yellow=not findings, red=bool(findings))
            self._table(findings)
        # The run fails for it, and no test tells why.
        for part in outside:
            self._outside(part, outside)
        if self.verbosity >= 0:
            for line in allowed if self.verbosity > 0 else ():
                self.terminal.line(f"allowed: {line}")
            for note in self.report["notes"]:
                self.terminal.line(f"note: {note}")
        self.terminal.line(self.totals(len(allowed)))

    def _table(self, findings: list[dict[str, Any]]) -> None:
        rows: dict[int, list[int]] = {}
        for finding in findings:
            call = finding["call"] or finding["allocated_by"]
            if call is None:
                continue
            row = rows.setdefault(call["declaration"], [0, 0, 0])
            leaked = finding["leaked"]
            if leaked is None:
                row[0] += finding["count"]
            else:
                row[1] += leaked["bytes"] + leaked["indirect_bytes"]
                row[2] += leaked["blocks"] + (leaked["indirect_blocks"] or 0)
        if not rows:
            return
        table = [HEADINGS]
        for declaration, (errors, size, blocks) in rows.items():
            it = self.report["declarations"][declaration - 1]
            lost = f"{_plural(size, 'byte')} in {_plural(blocks, 'block')}" if blocks else "-"
            table.append((it["prototype"], str(errors or "-"), lost, f"{self.path(it['file'])}:{it['line']}"))
        widths = [max(len(row[column]) for row in table) for column in range(3)]
        for row in table:
            cells = [text.ljust(width) for text, width in zip(row[:3], widths, strict=True)]
            self.terminal.line("  ".join([*cells, row[3]]))

    def _outside(self, part: dict[str, Any], outside: Outside) -> None:
        for finding in part["piece"]["findings"]:
            call = finding["call"] or finding["allocated_by"]
            place = ""
            if call is not None:
                site = part["piece"]["call_sites"][call["call_site"] - 1]
                name = part["piece"]["declarations"][call["declaration"] - 1]["name"]
                # A test that has not ended, as by pytest.exit().
                by = f" [{call['test']}]" if call["test"] not in (None, part["where"]) else ""
                place = f": {name}() at {self.path(site['file'])}:{site['line']}{by}"
            elif frame := _of_source(finding):
                place = f": in {frame['function']} ({self.path(frame['file'])}:{frame['line']})"
            workers = outside.workers(finding, part)
            shared = f" (in {workers} workers)" if workers > 1 else ""
            told = f"{part['where']}: {finding['kind']}: {finding['what']}{place}{shared}"
            self.terminal.line(f"no test: {told}", red=True)

    def totals(self, allowed: int) -> str:
        """`pythy: 2 findings in 7 calls, 1 error, 6 bytes leaked in 1 block (Valgrind 3.19.0)`."""
        totals, count = self.report["totals"], len(self.report["findings"])
        parts = [
            f"{_plural(count, 'finding') if count else 'no findings'} in {_plural(totals['calls'], 'call')}"
        ]
        if totals["errors"]:
            parts.append(_plural(totals["errors"], "error"))
        if totals["leaked_blocks"]:
            leaked = f"{_plural(totals['leaked_bytes'], 'byte')} leaked in"
            parts.append(f"{leaked} {_plural(totals['leaked_blocks'], 'block')}")
        if totals["crashes"]:
            parts.append(_plural(totals["crashes"], "crash", "crashes"))
        if allowed:
            parts.append(f"{allowed} allowed")
        return f"pythy: {', '.join(parts)} (Valgrind {self.report['tool']['valgrind']})"

    def path(self, path: str) -> str:
        inside = path.startswith(self.directory.rstrip(os.sep) + os.sep)
        return os.path.relpath(path, self.directory) if inside else path


def _of_source(finding: dict[str, Any]) -> dict[str, Any] | None:
    """The innermost frame of a line of code, such as a constructor's; not of Valgrind's own malloc."""
    frames = finding["stacks"][0]["frames"] if finding["stacks"] else []
    known = (frame for frame in frames if frame["file"] and frame["function"])
    return next((frame for frame in known if "vg_replace_" not in frame["file"]), None)


def _plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
