"""Write type stubs (.pyi) for an interface.

Name the file after the module that calls create_interface("lib.h", "./lib.so",
module=sys.modules[__name__]): then editors, mypy and pyright know what `import lib` has.
"""

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any

from pythy import reports
from pythy.cli import sources
from pythy.cli.annotations import Annotations

# The exit code for a file that cannot be written.
UNUSABLE = 2
# Longer signatures have one line per parameter.
WIDTH = 88
# Aliases have C's names; ruff wants to hear of it only where it would complain.
LINT = "# ruff: noqa: PYI042"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `pythy stubs` takes."""
    sources.add_arguments(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write; standard output otherwise")


def run(arguments: argparse.Namespace) -> int:
    """Write the stub."""
    output = arguments.output
    if output is not None and (why := reports.refusal(Path(output))) is not None:
        print(f"pythy: the stub cannot go to '{output}': {why}", file=sys.stderr)
        return UNUSABLE
    description = sources.describe(arguments)
    stub = render(description, arguments.files[:-1], arguments.files[-1])
    if output is None:
        sys.stdout.write(stub)
        return 0
    try:
        Path(output).write_text(stub, encoding="utf-8")
    except OSError as error:
        print(f"pythy: the stub cannot go to '{output}': {os.strerror(error.errno or 0)}", file=sys.stderr)
        return UNUSABLE
    return 0


def render(description: dict[str, Any], headers: list[str], library: str) -> str:
    """The text of the stub."""
    annotations = Annotations(description)
    blocks = [
        *_enumerations(description, annotations),
        *(_record(row, annotations) for row in description["records"]),
        *(_object(row, annotations) for row in description["classes"]),
        [_typedef(row, annotations) for row in description["typedefs"]],
        [f"{row['name']}: {annotations.constant(row['type'])}" for row in description["constants"]],
        *_globals(description, annotations),
        *(_function(row, annotations) for row in description["functions"]),
    ]
    body = "\n\n".join("\n".join(block) for block in blocks if block)
    text = f"{', '.join(headers)} with {library}, as pythy gives them."
    aliases = [row["name"] for row in description["typedefs"] if row["alias"] is not None]
    lint = [LINT] if any(re.match("_?[a-z0-9]", name) for name in aliases) else []
    head = [*lint, *_docstring(text, ""), "", *annotations.imports(description["own_names"])]
    return "\n".join(head) + "\n\n" + body + "\n"


def _enumerations(description: dict[str, Any], annotations: Annotations) -> list[list[str]]:
    blocks: list[list[str]] = []
    for row in description["enumerations"]:
        if row["name"] is not None:
            members: list[str] = []
            for member in row["members"]:
                members += [f"    {member['name']} = {member['value']}", *_doc(member["doc"])]
            base = annotations.name("IntEnum")
            blocks.append(_class(row["name"], base, row["doc"], members))
        names = [member["global"] for member in row["members"] if member["global"] is not None]
        ty = annotations.class_name(row["name"]) if row["name"] else annotations.name("IntEnum")
        blocks.append([f"{name}: {annotations.name('Final')}[{ty}]" for name in names])
    return blocks


def _record(row: dict[str, Any], annotations: Annotations) -> list[str]:
    lines: list[str] = []
    # `pointer` is a method of every record: record["pointer"] is the field.
    fields = [field for field in row["fields"] if field["name"] != "pointer"]
    for field in fields:
        if field["is_const"]:
            result = annotations.read(field["type"], inside=True)
            lines += [f"    @{annotations.builtin('property')}"]
            signature = f"    def {field['name']}(self) -> {result}:"
            doc = _docstring(field["doc"], "        ") if field["doc"] else None
            lines += [signature, *doc] if doc else [f"{signature} ..."]
        else:
            lines += [f"    {field['name']}: {annotations.field(field['type'])}", *_doc(field["doc"])]
    if row["size"] is not None:
        lines += _constructor(row, fields, annotations)
    return _class(row["name"], annotations.name("Fields"), row["doc"], lines)


def _constructor(row: dict[str, Any], fields: list[dict[str, Any]], annotations: Annotations) -> list[str]:
    names = {field["name"] for field in fields}
    this, value = (_free(name, names) for name in ("self", "value"))
    own = annotations.initial({"kind": "record", "name": row["name"]}, inside=True)
    parameters = [this, f"{value}: {own} | None = ...", "/"]
    if fields:
        parameters.append("*")
    parameters += [f"{field['name']}: {annotations.stored(field['type'])} = ..." for field in fields]
    return _signature("    ", "__init__", parameters, "None", " ...")


def _object(row: dict[str, Any], annotations: Annotations) -> list[str]:
    """A class of objects that the header's directives make."""
    lines: list[str] = []
    if row["init"]:
        lines += _method({**row["init"], "result": {"kind": "void"}}, row["init"]["parameters"], annotations)
    names = {each["name"] for kind in ("methods", "properties") for each in row[kind]}
    if row["record"] is not None and "ptr" not in names:
        target = annotations.class_name(row["record"], inside=True)
        result = f"{annotations.name('Pointer')}[{target}]"
        lines += _property("ptr", result, "The pointer to the C object.", annotations)
    for each in row["properties"]:
        getter, setter = each["getter"], each["setter"]
        result = annotations.read(getter["result"], inside=True) if getter else annotations.name("Any")
        lines += _property(each["name"], result, (getter or setter)["doc"], annotations)
        if setter:
            value = annotations.taken(setter["parameters"][1]["type"], inside=True)
            lines += [
                f"    @{each['name']}.setter",
                f"    def {each['name']}(self, value: {value}, /) -> None: ...",
            ]
    for each in row["methods"]:
        lines += _method(each, each["parameters"][1:], annotations)
    base = annotations.name("Closable" if row["closable"] else "Object")
    return _class(row["name"], base, row["doc"], lines)


def _property(name: str, result: str, doc: str, annotations: Annotations) -> list[str]:
    head = [f"    @{annotations.builtin('property')}", f"    def {name}(self) -> {result}:"]
    return [*head, *_docstring(doc, "        ")]


def _method(row: dict[str, Any], parameters: list[dict[str, Any]], annotations: Annotations) -> list[str]:
    listed = ["self", *_parameters({**row, "parameters": parameters}, annotations, inside=True)]
    if "/" not in listed:
        listed.insert(1, "/")
    result = annotations.name("Any") if row["custom"] else annotations.read(row["result"], inside=True)
    head = _signature("    ", row["name"], listed, "None" if row["name"] == "__init__" else result, "")
    return [*head, *_docstring(row["doc"], "        ")]


def _typedef(row: dict[str, Any], annotations: Annotations) -> str:
    if row["alias"] is not None:
        return f"{row['name']}: {annotations.name('TypeAlias')} = {row['alias']}"
    ctype = f"{annotations.name('CType')}[{annotations.read(row['type'])}]"
    return f"{row['name']}: {annotations.name('Final')}[{ctype}]"


def _globals(description: dict[str, Any], annotations: Annotations) -> list[list[str]]:
    blocks: list[list[str]] = []
    for row in description["globals"]:
        ty = annotations.final(row["type"]) if row["is_const"] else annotations.variable(row["type"])
        doc = _docstring(row["doc"], "") if row["doc"] else []
        blocks.append([f"{row['name']}: {ty}", *doc])
    return blocks


def _function(row: dict[str, Any], annotations: Annotations) -> list[str]:
    parameters = _parameters(row, annotations, inside=False)
    result = annotations.name("Any") if row["custom"] else annotations.read(row["result"])
    return [*_signature("", row["name"], parameters, result, ""), *_docstring(row["doc"], "    ")]


def _parameters(row: dict[str, Any], annotations: Annotations, *, inside: bool) -> list[str]:
    if row["custom"]:
        # What a wrapper of the user's takes, nobody knows.
        return [f"*args: {annotations.name('Any')}", f"**keywords: {annotations.name('Any')}"]
    parameters = [
        f"{each['name']}: {annotations.taken(each['type'], inside=inside)}" for each in row["parameters"]
    ]
    if parameters:
        parameters.append("/")
    if row["variadic"]:
        parameters.append(f"*args: {annotations.name('Variadic')}")
    return parameters


def _signature(indent: str, name: str, parameters: list[str], result: str, end: str) -> list[str]:
    line = f"{indent}def {name}({', '.join(parameters)}) -> {result}:{end}"
    if len(line) <= WIDTH or not parameters:
        return [line]
    listed = [f"{indent}    {parameter}," for parameter in parameters]
    return [f"{indent}def {name}(", *listed, f"{indent}) -> {result}:{end}"]


def _class(name: str, base: str, doc: str | None, body: list[str]) -> list[str]:
    head = f"class {name}({base}):"
    lines = _docstring(doc, "    ") if doc else []
    if not lines and not body:
        return [f"{head} ..."]
    separator = [""] if lines and body else []
    return [head, *lines, *separator, *body]


def _doc(doc: str | None) -> list[str]:
    return _docstring(doc, "    ") if doc else []


def _docstring(text: str, indent: str) -> list[str]:
    text = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"').replace("\t", "    ")
    if text.endswith('"'):
        text = f'{text[:-1]}\\"'
    first, *rest = [line.rstrip() for line in text.splitlines()]
    if not rest:
        return [f'{indent}"""{first}"""']
    return [f'{indent}"""{first}', *(f"{indent}{line}".rstrip() for line in rest), f'{indent}"""']


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
