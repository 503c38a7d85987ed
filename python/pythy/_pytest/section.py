"""What a failed test shows of its findings."""

from __future__ import annotations

import ast
import linecache
import os
from dataclasses import dataclass
from typing import Any

import pytest

from pythy._pytest import pieces

# A line and how it looks: "" plain, "source", "mark" for what was found.
Line = tuple[str, str]

# How many lines before the marked one are shown of a long function.
CONTEXT = 12


@dataclass(frozen=True)
class Crash:
    """Where and what, as pytest's short summary has it."""

    path: str
    lineno: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.lineno}: {self.message}"


class MemoryRepr:
    """In place of a traceback."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found
        self.reprcrash = Crash(*found["crash"])

    def toterminal(self, writer: Any) -> None:
        """Write it, coloured where the terminal has colours."""
        looks = {"": {}, "source": {"bold": True}, "mark": {"red": True, "bold": True}}
        for text, look in self.found["text"]:
            writer.line(text, **looks[look])

    def __str__(self) -> str:
        return plain(self.found)


def plain(found: dict[str, Any]) -> str:
    """The section without colours."""
    return "\n".join(text for text, _ in found["text"])


def found(report: pieces.Report, config: pytest.Config, test: str, when: str) -> dict[str, Any]:
    """What the report of a phase of a test takes along of its findings, as JSON may have it."""
    told = _Told(report, config, test)
    return {
        "piece": report | {"calls": [], "totals": {**report["totals"], "calls": 0}},
        "when": when,
        **told.parts(),
    }


def style(config: pytest.Config) -> str:
    """How much of a failure is wanted; without pytest's terminal (-p no:terminal) there is no such option."""
    return getattr(config.option, "tbstyle", "auto")


class _Told:
    def __init__(self, report: pieces.Report, config: pytest.Config, test: str) -> None:
        self.report = report
        self.test = test
        self.directory = str(config.invocation_params.dir)
        self.style = style(config)

    def parts(self) -> dict[str, Any]:
        """The text, its lines for summaries, and the message of the whole."""
        findings = self.report["findings"]
        headlines = [self.headline(finding) for finding in findings]
        more = f" and {len(findings) - 1} more" if len(findings) > 1 else ""
        path, line = self.place(findings[0]) if findings else ("", 0)
        message = f"{_title(findings[0])}{more}" if findings else ""
        text: list[Line] = []
        for first, *others in self.alike(findings):
            # pytest adds the place.
            text += [self.title(first)] if self.style == "line" else [("", ""), *self.lines(first)]
            text += [(f"  and {len(others)} more like it, by the same line", "")] if others else []
        return {"text": text, "headlines": headlines, "message": message, "crash": [path, line, message]}

    def alike(self, findings: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """Findings of one kind that the same line of Python and the same lines of C have, as in a loop."""
        groups: dict[Any, list[dict[str, Any]]] = {}
        for finding in findings:
            call = finding["call"] or finding["allocated_by"]
            frames = finding["stacks"][0]["frames"] if finding["stacks"] else []
            lines = tuple((frame["function"], frame["file"], frame["line"]) for frame in frames)
            place = call and (call["call_site"], call["declaration"], call["test"])
            groups.setdefault((finding["kind"], place, lines), []).append(finding)
        return list(groups.values())

    def place(self, finding: dict[str, Any]) -> tuple[str, int]:
        """The Python line that a finding is shown at."""
        call = finding["call"] or finding["allocated_by"]
        if call is None:
            return _file(self.test), 0
        site = self.site(call)
        return self.path(site["file"]), site["line"]

    def headline(self, finding: dict[str, Any]) -> str:
        """One line: kind, what, which declaration, where."""
        call = finding["call"] or finding["allocated_by"]
        if call is None:
            return _title(finding)
        path, line = self.place(finding)
        return f"{_title(finding)}: {self.declaration(call)['name']}() called at {path}:{line}"

    def lines(self, finding: dict[str, Any]) -> list[Line]:
        """The section about one finding."""
        call = finding["call"] or finding["allocated_by"]
        lines: list[Line] = []
        if call is not None:
            lines += self.source(call)
        lines += [self.title(finding), ("", "")]
        if call is not None:
            lines += [(text, "") for text in self.where(call, finding)]
        lines += [(text, "") for text in self.stacks(finding, call)]
        if finding["category"] == "leak":
            lines += [(text, "") for text in self.lost(finding)]
        return lines

    def title(self, finding: dict[str, Any]) -> Line:
        """The line that is marked."""
        count = f" ({finding['count']} times)" if finding["count"] > 1 else ""
        return f"M       {_title(finding)}{count}", "mark"

    def source(self, call: dict[str, Any]) -> list[Line]:
        """The lines of the Python function up to the call, which is marked."""
        site = self.site(call)
        last = linecache.getline(site["file"], site["line"]).rstrip()
        if not last:
            return []
        first = site["line"]
        if self.style in ("auto", "long"):
            first = max(_start(site["file"], site["line"]), first - CONTEXT)
        lines = [linecache.getline(site["file"], number).rstrip() for number in range(first, site["line"])]
        shown = [(f"    {line}" if line else "", "source") for line in lines]
        return [*shown, (f">   {last}", "source")]

    def where(self, call: dict[str, Any], finding: dict[str, Any]) -> list[str]:
        """Python's line, the arguments where they are known, the header's line."""
        site, declaration = self.site(call), self.declaration(call)
        by = f" [{call['test']}]" if call["test"] not in (None, self.test) else ""
        lines = [f"{self.path(site['file'])}:{site['line']}: in {site['function']}{by}"]
        if call["arguments"]:
            lines.append(f"    {declaration['name']}({', '.join(call['arguments'])})")
        return [*lines, self.prototype(declaration)]

    def stacks(self, finding: dict[str, Any], call: dict[str, Any] | None) -> list[str]:
        """The C stacks; what is below them is Python's, in one line."""
        lines = [self.allocated(finding)] if finding["category"] == "leak" else []
        for number, stack in enumerate(finding["stacks"]):
            lines += [f"  {stack['label']}"] if stack["label"] else []
            words = ["at", *["by"] * len(stack["frames"])]
            lines += [
                f"    {word} {self.frame(frame)}" for word, frame in zip(words, stack["frames"], strict=False)
            ]
            caller = finding["allocated_by"] if finding["category"] == "leak" else call
            if number == 0 and stack["frames"] and caller is not None:
                site = self.site(caller)
                lines.append(f"    by Python ({self.path(site['file'])}:{site['line']})")
        return lines

    def allocated(self, finding: dict[str, Any]) -> str:
        """Over the stack of the allocation."""
        lost_by, allocated = finding["call"], finding["allocated_by"]
        if lost_by is None or allocated is None or allocated["number"] == lost_by["number"]:
            return "  allocated here:"
        declaration = self.declaration(allocated)
        header = f"{self.path(declaration['file'])}:{declaration['line']}"
        return f"  lost by this call; allocated by {declaration['name']}() ({header}) here:"

    def lost(self, finding: dict[str, Any]) -> list[str]:
        """The other end of a leak: which call lost the block."""
        call, allocated = finding["call"], finding["allocated_by"]
        if call is not None and finding["basis"] == "call":
            same = allocated is not None and allocated["number"] == call["number"]
            return ["  lost by the same call"] if same else []
        if finding["lost_between"] is None:
            return []
        first, last = finding["lost_between"]
        return [f"  lost during calls {first} to {last}" if first != last else f"  lost during call {first}"]

    def prototype(self, declaration: dict[str, Any]) -> str:
        return f"{self.path(declaration['file'])}:{declaration['line']}: {declaration['prototype']}"

    def frame(self, frame: dict[str, Any]) -> str:
        function = frame["function"] or "???"
        if frame["file"]:
            line = f":{frame['line']}" if frame["line"] else ""
            return f"{function} ({self.path(frame['file'])}{line})"
        return f"{function} (in {self.path(frame['object'])})" if frame["object"] else function

    def path(self, path: str) -> str:
        """Relative to where pytest was started, if it is below."""
        inside = path.startswith(self.directory.rstrip(os.sep) + os.sep)
        return os.path.relpath(path, self.directory) if inside else path

    def site(self, call: dict[str, Any]) -> dict[str, Any]:
        return self.report["call_sites"][call["call_site"] - 1]

    def declaration(self, call: dict[str, Any]) -> dict[str, Any]:
        return self.report["declarations"][call["declaration"] - 1]


def _file(test: str) -> str:
    """The file of a test, by the test's id."""
    return test.partition("::")[0]


def _title(finding: dict[str, Any]) -> str:
    """A crash says its kind itself."""
    kind, what = finding["kind"], finding["what"]
    return what if what.startswith(kind) else f"{kind}: {what}"


def _start(file: str, line: int) -> int:
    """The first line of the innermost function around this one; the line itself outside of any."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return line
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    around = [node for node in ast.walk(tree) if isinstance(node, functions)]
    starts = [node.lineno for node in around if node.lineno <= line <= (node.end_lineno or 0)]
    return max(starts, default=line)
