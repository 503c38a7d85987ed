"""Headers and a library as arguments, and what pythy makes of them."""

import argparse
import json
from typing import Any

from pythy import _native
from pythy.cli import directed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare HEADER... LIBRARY and how the headers are to be read."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="one or more headers, then the library")
    parser.add_argument(
        "-I", "--include-dir", action="append", default=[], metavar="DIR", help="look for headers here too"
    )
    parser.add_argument(
        "-D", "--define", action="append", default=[], metavar="NAME[=VALUE]", help="define a macro"
    )
    parser.add_argument(
        "--encoding", choices=["utf-8"], help="char * results are str, as create_interface(encoding=) has it"
    )
    parser.usage = f"pythy {parser.prog.rpartition(' ')[2]} [options] HEADER... LIBRARY"


def describe(arguments: argparse.Namespace) -> dict[str, Any]:
    """What create_interface would make of them."""
    *headers, library = arguments.files
    if not headers:
        arguments.parser.error("a header and a library are needed: HEADER... LIBRARY")
    described = _native.describe(
        headers,
        library,
        include_dirs=arguments.include_dir,
        defines=dict(_define(definition) for definition in arguments.define),
        encoding=arguments.encoding,
    )
    return directed.apply(json.loads(described))


def _define(definition: str) -> tuple[str, str | None]:
    name, equals, value = definition.partition("=")
    return name, value if equals else None
