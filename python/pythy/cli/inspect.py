"""Show what is bound, what is skipped and why.

Functions that can be called are listed with their prototypes, functions that the headers declare
and that cannot be called with the reason, then variables, constants, enums, records and typedefs.
"""

import argparse
import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from pythy.cli import sources

# A place and what is there.
Row = tuple[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `pythy inspect` takes."""
    sources.add_arguments(parser)
    parser.add_argument(
        "--all", action="store_true", help="show what included headers declare and the library lacks too"
    )
    parser.add_argument("--json", action="store_true", help="print everything that is known, as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    description = sources.describe(arguments)
    if arguments.json:
        print(json.dumps(description, indent=2))
    else:
        # Lines are whole in a pipe: other programs cut them as they like.
        wrapped = sys.stdout.isatty() or os.environ.get("COLUMNS")
        width = shutil.get_terminal_size().columns if wrapped else None
        for line in table(description, everything=arguments.all, width=width):
            print(line)
    return 0


def table(description: dict[str, Any], *, everything: bool, width: int | None) -> Iterator[str]:
    """The lines of the table, wrapped to `width` columns."""
    skipped = [row for row in description["skipped"] if everything or row["in_given_header"]]
    functions: dict[str, list[dict[str, Any]]] = {}
    for row in description["functions"]:
        functions.setdefault(row["c_name"], []).append(row)
    for title, rows in (
        ("bound", map(_function, functions.values())),
        ("skipped", map(_skipped, skipped)),
        ("classes", map(_class, description["classes"])),
        ("variables", map(_variable, description["globals"])),
        ("constants", ((_place(row), f"{row['name']} = {row['value']}") for row in description["constants"])),
        ("enums", map(_enumeration, description["enumerations"])),
        ("records", map(_record, description["records"])),
        (
            "typedefs",
            ((_place(row), f"{row['name']} = {row['spelling']}") for row in description["typedefs"]),
        ),
    ):
        yield from _section(title, list(rows), width)
    hidden = len(description["skipped"]) - len(skipped)
    summary = f"{len(functions)} bound, {len(skipped)} skipped"
    yield f"{summary} (and {hidden} of included headers: --all)" if hidden else summary


def _section(title: str, rows: list[Row], width: int | None) -> Iterable[str]:
    if not rows:
        return
    yield title
    places = max(len(place) for place, _ in rows)
    for place, text in rows:
        first, rest = f"  {place:<{places}}  ", " " * (places + 6)
        if width is None:
            yield first + text
        else:
            yield from textwrap.wrap(
                text,
                max(width, places + 24),
                initial_indent=first,
                subsequent_indent=rest,
                break_long_words=False,
                break_on_hyphens=False,
            )
    yield ""


def _place(row: dict[str, Any]) -> str:
    return f"{os.path.basename(row['file'])}:{row['line']}"


def _function(names: list[dict[str, Any]]) -> Row:
    row = names[0]
    # The names in Python are told where there are others.
    renamed = not re.search(rf"\b{row['name']}\(", row["prototype"])
    others = [each["name"] for each in (names if renamed else names[1:])]
    name = f" as {', '.join(others)}" if others else ""
    note = " (compiled from the header)" if row["compiled"] else ""
    return _place(row), f"{row['prototype']}{name}{note}"


def _skipped(row: dict[str, Any]) -> Row:
    return _place(row), f"{row['prototype'] or row['name']}: {row['reason']}"


def _class(row: dict[str, Any]) -> Row:
    # What is called, with what it takes; what is read; what ends it.
    init = f"({_names(row['init']['parameters'])})" if row["init"] else ""
    methods = [f"{one['name']}({_names(one['parameters'][1:])})" for one in row["methods"]]
    properties = [one["name"] for one in row["properties"]]
    members = ", ".join([*properties, *methods, *(["close()"] if row["closable"] else [])])
    return _place(row), f"{row['name']}{init}: {members or 'no methods'}"


def _names(parameters: list[dict[str, Any]]) -> str:
    return ", ".join(each["name"] for each in parameters)


def _variable(row: dict[str, Any]) -> Row:
    return _place(row), f"{row['name']}: {row['spelling']}"


def _enumeration(row: dict[str, Any]) -> Row:
    members = ", ".join(f"{member['name']} = {member['value']}" for member in row["members"])
    name = row["c_name"] if row["name"] else "enum"
    return _place(row), f"{name}: {members}"


def _record(row: dict[str, Any]) -> Row:
    if row["size"] is None:
        return _place(row), f"{row['c_name']}: declared, not defined"
    fields = ", ".join(field["name"] for field in row["fields"])
    return _place(row), f"{row['c_name']}: {row['size']} bytes, {fields or 'no fields'}"
