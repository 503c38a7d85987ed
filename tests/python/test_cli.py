"""The command `pythy`: what it prints, writes and returns."""

import ast
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import pythy
from pythy.cli.inspect import table

TESTS = Path(__file__).parents[1]
HEADER = TESTS / "fixtures" / "cli.h"


def pythy_command(*arguments, cwd=None, **environment):
    """Run `python -m pythy`; its output is in a pipe."""
    package = str(Path(pythy.__file__).parent.parent)
    search = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    variables = {**os.environ, "PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.run(
        [sys.executable, "-m", "pythy", *map(str, arguments)],
        cwd=cwd,
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
    )


def expect(name: str, text: str) -> None:
    """Hold `text` to tests/expectations/NAME; UPDATE=1 writes it."""
    path = TESTS / "expectations" / name
    if os.environ.get("UPDATE"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def directory(tmp_path_factory, cc):
    """The fixture header and its library, the module cli, and the stub that the command writes for it."""
    directory = tmp_path_factory.mktemp("cli")
    shutil.copy(HEADER, directory)
    (directory / "cli.py").write_text(MODULE.format(header="cli.h", library="./libcli.so"))
    cc(HEADER.with_suffix(".c"), directory / "libcli.so")
    ran = pythy_command("stubs", "cli.h", "./libcli.so", "-o", "cli.pyi", cwd=directory)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    return directory


# What is bound, and what is not and why.


def test_inspect_shows_whole_lines_in_a_pipe(directory):
    ran = pythy_command("inspect", "cli.h", "./libcli.so", cwd=directory, COLUMNS="")
    assert (ran.returncode, ran.stderr) == (0, "")
    expect("cli_inspect.txt", ran.stdout.replace(str(directory), "/directory"))


@pytest.mark.parametrize("width", [80, 200])
def test_inspect_wraps_lines_to_the_terminal(directory, width):
    ran = pythy_command("inspect", "cli.h", "./libcli.so", "--json", cwd=directory)
    description = json.loads(ran.stdout.replace(str(directory), "/directory"))
    lines = list(table(description, everything=False, width=width))
    assert max(map(len, lines)) <= width
    expect(f"cli_inspect_{width}.txt", "\n".join(lines) + "\n")


def test_inspect_follows_the_columns_that_it_is_told(directory):
    ran = pythy_command("inspect", "cli.h", "./libcli.so", cwd=directory, COLUMNS="60")
    assert max(map(len, ran.stdout.replace(str(directory), "").splitlines())) <= 60


@pytest.fixture
def including(tmp_path, build):
    """A header that includes another, needs a macro and a directory, and a library with half of it."""
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "other.h").write_text("NUMBER half(NUMBER value);\nNUMBER gone(void);\n")
    built = build(
        """
        #ifdef NUMBER
        #include <other.h>
        #else
        int half(int value);
        #define NUMBER int
        #endif
        NUMBER twice(NUMBER value);
        """,
        "int half(int value) { return value / 2; }\nint twice(int value) { return 2 * value; }\n",
        directory=tmp_path,
    )
    return built.directory


def test_what_included_headers_declare_is_counted_and_shown_when_asked_for(including):
    options = ["-D", "NUMBER=int", "-I", "include"]
    ran = pythy_command("inspect", *options, "code.h", "./code.so", cwd=including)
    assert ran.stdout == (
        "bound\n"
        "  other.h:1  int half(int value)\n"
        "  code.h:7   int twice(int value)\n"
        "\n"
        "2 bound, 0 skipped (and 1 of included headers: --all)\n"
    )
    ran = pythy_command("inspect", *options, "--all", "code.h", "./code.so", cwd=including)
    # A long path is on a line of its own.
    assert " ".join(ran.stdout.split()).endswith(
        f"skipped other.h:2 int gone(void): it is not exported by {including}/code.so 2 bound, 1 skipped"
    )


def test_files_may_stand_before_and_after_options(including):
    ran = pythy_command("inspect", "include/other.h", "-D", "NUMBER=int", "./code.so", cwd=including)
    assert ran.stdout.splitlines()[-1] == "1 bound, 1 skipped"
    ran = pythy_command(
        "inspect", "code.h", "include/other.h", "-DNUMBER=int", "-Iinclude", "./code.so", cwd=including
    )
    assert ran.stdout.splitlines()[-1] == "2 bound, 1 skipped"


def test_inspect_gives_all_that_it_knows_as_json(directory):
    ran = pythy_command("inspect", "--json", "cli.h", "./libcli.so", cwd=directory)
    description = json.loads(ran.stdout)
    assert description["library"] == str(directory / "libcli.so")
    assert description["functions"][0] == {
        "name": "add",
        "c_name": "add",
        "custom": False,
        "prototype": "int add(int a, int b)",
        "doc": 'Adds "two" numbers.\nA backslash: \\n',
        "parameters": [{"name": "a", "type": {"kind": "int"}}, {"name": "b", "type": {"kind": "int"}}],
        "variadic": False,
        "compiled": False,
        "result": {"kind": "int"},
        "file": "cli.h",
        "line": 54,
        "column": 1,
        "in_given_header": True,
    }
    assert [row["name"] for row in description["skipped"]] == ["forgotten", "wide", "missing"]


# Stubs.


def test_the_stub_is_the_expected_one(directory):
    expect("cli.pyi", (directory / "cli.pyi").read_text(encoding="utf-8"))


def test_the_stub_goes_to_standard_output_without_a_file(directory):
    ran = pythy_command("stubs", "cli.h", "./libcli.so", cwd=directory)
    assert ran.stdout == (directory / "cli.pyi").read_text(encoding="utf-8")


def test_text_is_str_in_a_stub_when_the_encoding_is_given(directory):
    ran = pythy_command("stubs", "--encoding", "utf-8", "cli.h", "./libcli.so", cwd=directory)
    assert "    name: _Field[str, _Iterable[_Char]]\n" in ran.stdout
    assert "def words() -> _Pointer[str | None] | None:\n" in ran.stdout


def stub_names(stub: ast.Module) -> set[str]:
    names = set()
    for node in stub.body:
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_Type_"):
                names.add(name)
            case ast.ImportFrom(module="pythy._stubs"):
                names |= {each.asname for each in node.names if each.asname == each.name}
    return names


def test_the_stub_has_the_names_of_the_module_and_no_others(directory):
    stub = ast.parse((directory / "cli.pyi").read_text(encoding="utf-8"))
    lib = pythy.create_interface(directory / "cli.h", directory / "libcli.so")
    assert stub_names(stub) == {name for name in dir(lib) if not re.fullmatch("__.*__", name)}
    for name in stub_names(stub):
        getattr(lib, name)


def test_functions_classes_and_values_of_the_module_are_as_the_stub_says(directory):
    stub = ast.parse((directory / "cli.pyi").read_text(encoding="utf-8"))
    lib = pythy.create_interface(directory / "cli.h", directory / "libcli.so")
    for node in stub.body:
        if isinstance(node, ast.FunctionDef):
            function = getattr(lib, node.name)
            parameters = [parameter.arg for parameter in node.args.posonlyargs]
            parameters += [node.args.vararg.arg] if node.args.vararg else []
            assert list(inspect.signature(function).parameters) == parameters
            assert inspect.getdoc(function) == ast.get_docstring(node)
        elif isinstance(node, ast.ClassDef):
            cls = getattr(lib, node.name)
            base = node.bases[0].id
            assert cls.__bases__ == ({"_Fields": pythy.Record}.get(base) or lib.colour.__bases__[0],)
            assert cls.__doc__ == (ast.get_docstring(node) or cls.__doc__)
    fields = {"name", "point", "corners", "list", "number", "filled", "hidden", "bytes", "data", "text"}
    fields |= {"class_", "pointer", "whole", "part", "nested", "measure"}
    assert {name for name in dir(lib.shape()) if not name.startswith("__")} == fields


def test_ruff_has_nothing_to_say_about_stubs(directory):
    pytest.importorskip("ruff", reason="ruff is not installed here")
    run = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "cli.pyi"]
    ran = subprocess.run(run, cwd=directory, stdout=subprocess.PIPE, text=True)
    assert (ran.returncode, ran.stdout) == (0, "All checks passed!\n")


GOOD = """
import array
from collections.abc import Callable

import cli
import pythy

total: int = cli.add(1, cli.LIMIT)
place = cli.point(x=1)
place.y = 3
further: cli.point = cli.moved(place, 2)
again: cli.point_t = cli.new(cli.point, x=4)
other = cli.ref(cli.handle)
store = cli.store_open("path", other)
if store is not None:
    with cli.own(store, cli.store_close) as owned:
        opened: int = cli.store(owned) + store[0].open
with cli.own(cli.store_open("path", None), cli.store_close) as at_once:
    opened_too: int = at_once[0].open
second: pythy.Pointer[cli.struct_store] | None = other.value
count = cli.ref(cli.size, 3)
size: int = count.value + cli.sizeof(cli.shape) + cli.sizeof("int")

numbers = array.array("d", [1.0, 2.0])
mean: float = cli.sum(numbers, len(numbers)) + cli.sum(None, 0) + cli.sum(cli.ref("double"), 1)
text = bytearray(10)
grown: int = cli.grow(memoryview(text), len(text), "x") + cli.grow(text, 1, b"y") + cli.grow(text, 1, 3)
turned: complex = cli.turned(bytes(16), cli.new("int[2]"))


@cli.callback(cli.compare)
def order(left: pythy.Pointer[int] | None, right: pythy.Pointer[int] | None) -> int:
    return 0 if left == right else 1


cli.sort(text, 10, 1, order)
cli.sort(text, 10, 1, lambda left, right: 0 if left == right else 1)
mixed: cli.paint | int = cli.mix(cli.RED, cli.colour.GREEN) + cli.mix(7, cli.from_)
flag: bool = cli.lambda_(True, cli.ref("int"), None)
length: int = cli.format(text, b"%d %s", 1, "two", 3.0, text, None)

drawn = cli.shape(name="box", filled=1, data=text)
drawn.corners = [place, further]
drawn.name = b"circle"
drawn.text = "a text"
drawn.hidden = 1
drawn.point = {"x": 1, "y": 2}
drawn.corners = [(5, 6), further, {"x": 7}]
drawn.nested = (8,)
fixed: int = cli.shape({"name": b"n"}, number=4, corners=[(1, 2)]).number
shaped: cli.shape = cli.new(cli.shape, ("box", (1, 2)), filled=1)
name: bytes = drawn.name
label: bytes | None = drawn.text
inner: cli.point = drawn.corners[0]
middle: int = drawn.point.x + drawn.corners[1].y + drawn.number
inners: list[cli.point] = drawn.corners[1:]
drawn.measure = lambda one, two: 0 if one == two else 1
measured = drawn.measure
assert measured is not None
equal: int = measured(place, further)
measure_again: object = cli.cast(measured, "int (*)(const struct point *, const struct point *)")
kept = cli.new_handle(object)
handed: type = cli.from_handle(kept)
anonymous: int = drawn.nested.inner


def each(current: pythy.Pointer[cli.shape] | None, data: object) -> None:
    if current is not None:
        assert (current[0].name, data) == (b"circle", None)


cli.visit(drawn, each, None)
cli.counter += 1
version: bytes = cli.VERSION
scale: float = cli.SCALE * cli.ratio
flags: int = cli.FLAGS + cli.origin.x + cli.new_() + cli.MOST + cli.plus(1, 2)
assert cli.doubled(4) + cli.twofold(1) == 10
everybody: pythy.Pointer[cli.struct_store] = cli.EVERYBODY
nobody: None = cli.NOBODY
secret: pythy.Pointer[cli.struct_secret] | None = cli.secret
motto: bytes = cli.motto
primes: list[int] = cli.primes[:2]
assert (motto, primes, len(cli.primes)) == (b"be brief", [2, 3], 3)


def change() -> None:
    cli.primes = (7, 11, 13)
    cli.origin = {"x": 5}


change()
changed: list[int] = [cli.origin.x, cli.origin.y, *cli.primes[:]]
assert changed == [5, 2, 7, 11, 13]
words = cli.words()
word: bytes | None = words[0] if words else None
buffer: memoryview = cli.buffer(place)
cast: pythy.Pointer[cli.point] | None = cli.cast(place, "struct point *")
function: Callable[[int, int], int] = cli.add
closed: bool = cli.close()
"""

# Each line with the kind of error that mypy and pyright have for it.
BAD = """
import cli

cli.add("1", 2)  # arg-type reportArgumentType
cli.add(1)  # call-arg reportCallIssue
cli.add(a=1, b=2)  # call-arg reportCallIssue
text: str = cli.VERSION  # assignment reportAssignmentType
cli.store_close(cli.point())  # arg-type reportArgumentType
cli.moved(None, 1)  # arg-type reportArgumentType
cli.point(z=1)  # call-arg reportCallIssue
cli.point().z = 1  # attr-defined reportAttributeAccessIssue
print(cli.point().z)  # attr-defined reportAttributeAccessIssue
cli.shape().number = 3  # misc reportAttributeAccessIssue
cli.sort(b"", 0, 1, lambda one: 0)  # arg-type reportArgumentType
cli.store_open("path", None).open  # union-attr reportOptionalMemberAccess
cli.nothing()  # attr-defined reportAttributeAccessIssue
cli.forgotten(1)  # attr-defined reportAttributeAccessIssue
cli.grow("text", 4, "x")  # arg-type reportArgumentType
cli.shape().point = 3  # assignment reportAttributeAccessIssue
cli.shape(point=3)  # arg-type reportArgumentType
assert (words := cli.words()) is not None
words(3)  # misc reportCallIssue
cli.from_handle(3)  # arg-type reportArgumentType
cli.new(cli.point).x = "1"  # assignment reportAttributeAccessIssue
print(cli.origin.z)  # union-attr reportAttributeAccessIssue
print(cli.primes.x)  # union-attr reportAttributeAccessIssue
cli.add(1, 2)
"""

ZLIB = """
import zlib_h

data = bytearray(100)
packed: int = zlib_h.compressBound(len(data))
length = zlib_h.ref("uLong", 100)
code: int = zlib_h.compress(data, length, b"text", 4)
stream = zlib_h.z_stream(next_in=bytearray(b"text"), avail_in=4)
done: bool = zlib_h.deflateInit_(stream, -1, zlib_h.ZLIB_VERSION, zlib_h.sizeof(stream)) == zlib_h.Z_OK
message: bytes | None = stream.msg
file = zlib_h.gzopen("file", "rb")
if file:
    zlib_h.gzclose(file)
"""

SQLITE = """
import sqlite3_h

import pythy

out = sqlite3_h.ref("sqlite3 *")
code: int = sqlite3_h.sqlite3_open(":memory:", out)
database: pythy.Pointer[sqlite3_h.sqlite3] | None = out.value


def row(
    data: pythy.Pointer[object] | None,
    count: int,
    values: pythy.Pointer[bytes | None] | None,
    names: pythy.Pointer[bytes | None] | None,
) -> int:
    assert values is not None
    return 0 if values[0] == b"1" else 1


if database is not None:
    sqlite3_h.sqlite3_exec(database, b"select 1", row, None, None)
    message: bytes | None = sqlite3_h.sqlite3_errmsg(database)
    sqlite3_h.sqlite3_close(database)
"""

# How a module has the names that its stub describes.
MODULE = """
import sys

import pythy

pythy.create_interface("{header}", "{library}", module=sys.modules[__name__])
"""

LIBRARIES = {
    "zlib_h": ("/usr/include/zlib.h", "libz.so.1", ZLIB),
    "sqlite3_h": ("/usr/include/sqlite3.h", "libsqlite3.so.0", SQLITE),
}


def mypy(directory: Path, *files: str) -> list[tuple[str, int, str]]:
    """What mypy --strict finds: file, line, kind."""
    pytest.importorskip("mypy", reason="mypy is not installed here")
    environment = {**os.environ, "MYPYPATH": str(Path(pythy.__file__).parent.parent)}
    command = [sys.executable, "-m", "mypy", "--strict", "--hide-error-context", "--cache-dir", os.devnull]
    ran = subprocess.run(
        [*command, *files], cwd=directory, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert ran.returncode in (0, 1), ran.stdout
    errors = re.findall(r"^(.+?):(\d+): error: .*\[([\w-]+)\]$", ran.stdout, re.MULTILINE)
    assert len(errors) == ran.stdout.count(" error: "), ran.stdout
    return [(file, int(line), kind) for file, line, kind in errors]


def pyright(directory: Path, *files: str) -> list[tuple[str, int, str]]:
    """What pyright's strict mode finds: file, line, kind."""
    pytest.importorskip("basedpyright", reason="basedpyright is not installed here")
    package = str(Path(pythy.__file__).parent.parent)
    config = {"typeCheckingMode": "strict", "extraPaths": [package]}
    (directory / "pyrightconfig.json").write_text(json.dumps(config))
    ran = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--outputjson", *files],
        cwd=directory,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1, each["rule"])
        for each in json.loads(ran.stdout)["generalDiagnostics"]
    ]


CHECKERS = [mypy, pyright]


@pytest.mark.one_python
@pytest.mark.parametrize("check", CHECKERS)
def test_a_client_of_the_stub_is_without_fault(directory, check):
    (directory / "good.py").write_text(GOOD)
    assert check(directory, "good.py", "cli.pyi") == []


@pytest.mark.one_python
@pytest.mark.parametrize("check", CHECKERS)
def test_each_fault_of_a_client_is_found_where_it_is(directory, check):
    (directory / "bad.py").write_text(BAD)
    expected = {}
    for number, line in enumerate(BAD.splitlines(), 1):
        if "  # " in line:
            expected[number] = line.split("  # ")[1].split()[CHECKERS.index(check)]
    found: dict[int, set[str]] = {}
    for _, line, kind in check(directory, "bad.py"):
        found.setdefault(line, set()).add(kind)
    assert found.keys() == expected.keys()
    for line, kind in expected.items():
        assert kind in found[line], line


def test_the_client_does_at_run_time_what_the_checkers_believe(directory, natively):
    natively(GOOD, directory)


@pytest.mark.one_python
@pytest.mark.parametrize("name", LIBRARIES)
def test_stubs_of_installed_libraries_satisfy_their_clients(tmp_path, natively, name):
    header, library, client = LIBRARIES[name]
    if not Path(header).is_file():
        pytest.skip(f"{header} is not installed")
    ran = pythy_command("stubs", header, library, "-o", f"{name}.pyi", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    (tmp_path / f"{name}.py").write_text(MODULE.format(header=header, library=library))
    (tmp_path / "client.py").write_text(client)
    natively(client, tmp_path)
    stub = ast.parse((tmp_path / f"{name}.pyi").read_text(encoding="utf-8"))
    lib = pythy.create_interface(header, library)
    assert stub_names(stub) == {each for each in dir(lib) if not re.fullmatch("__.*__", each)}
    assert mypy(tmp_path, "client.py", f"{name}.pyi") == []
    assert pyright(tmp_path, "client.py", f"{name}.pyi") == []


# What directives make.

DIRECTED = """
    // $ class crate
    // $ class Lid
    // $ class counter
    // $ func_alias crate_* *
    // $ wrapper decode_string_rtn crate_name
    // $ wrapper twice crate_weight
    /** What things are in. */
    struct crate { int width, property; };
    typedef struct { int size; } Lid;
    /** A crate of this size.
     * $ init crate */
    struct crate *crate_new(int width, int height);
    // $ cleanup crate
    void crate_free(struct crate *crate);
    /** How wide it is.
     * $ property */
    int crate_get_width(const struct crate *crate);
    void crate_set_width(struct crate *crate, int width);
    /** Its name. */
    const char *crate_name(const struct crate *crate);
    int crate_weight(const struct crate *crate);
    /** Its content. $ is what it costs.
     * $ len size */
    const unsigned char *crate_bytes(const struct crate *crate, int size);
    struct crate *crate_larger(struct crate *crate, struct crate *other);
    int crate_print(struct crate *crate, const char *format, ...);
    Lid *lid_of(struct crate *crate);
    struct crate *Lid_crate(Lid *lid);
    int counter_next(void *counter);
    void *counter_new(void);
    // $ private
    void secret(void);
    int crate_count(void);
"""
DIRECTED_SOURCE = """
    #include <stdlib.h>
    static Lid lid;
    static struct crate *last;
    struct crate *crate_new(int width, int height) { last = malloc(8); last->width = width; return last; }
    void crate_free(struct crate *crate) { free(crate); }
    int crate_get_width(const struct crate *crate) { return crate->width; }
    void crate_set_width(struct crate *crate, int width) { crate->width = width; }
    const char *crate_name(const struct crate *crate) { return "crate"; }
    int crate_weight(const struct crate *crate) { return 2; }
    const unsigned char *crate_bytes(const struct crate *crate, int size) { return (void *)"abc"; }
    struct crate *crate_larger(struct crate *crate, struct crate *other) { return crate; }
    int crate_print(struct crate *crate, const char *format, ...) { return 1; }
    Lid *lid_of(struct crate *crate) { return &lid; }
    struct crate *Lid_crate(Lid *lid) { return last; }
    int counter_next(void *counter) { return ++*(int *)counter; }
    void *counter_new(void) { return calloc(1, 4); }
    void secret(void) {}
    int crate_count(void) { return 1; }
"""
DIRECTED_MODULE = """
import sys
from types import SimpleNamespace

import pythy


def twice(function):
    inner = function.py_func
    function.py_func = lambda *args: 2 * inner(*args)


wrappers = SimpleNamespace(twice=twice)
pythy.create_interface("directed.h", "./libdirected.so", sys.modules[__name__], wrappers)
"""
DIRECTED_GOOD = """
import directed

import pythy

with directed.Crate(2, 5) as crate:
    crate.width = crate.width + 1
    width: int = crate.get_width() + directed.crate_get_width(crate) + directed.crate_get_width(crate.ptr)
    name: str | None = crate.name()
    content: bytes | None = directed.crate_bytes(crate, 3)
    larger: directed.Crate | None = crate.larger(crate.ptr)
    pointer: pythy.Pointer[directed.crate] = crate.ptr
    inside: int = crate.ptr[0].width
    heavy: object = crate.weight() + directed.crate_weight(crate)
    lid = directed.lid_of(crate)
    assert isinstance(lid, directed.Lid)
    again: directed.Crate | None = lid.Lid_crate()
    printed: int = crate.print("%d", 1) + directed.count() + directed.crate_count()
    assert (again, larger, content, name) == (crate, crate, b"abc", "crate")
    counted: int = directed.counter_next(directed.counter_new())
    field: int = directed.crate(width=3, property=4).property
crate.close()
"""
# Each line with the kind of error that mypy and pyright have for it.
DIRECTED_BAD = """
import directed

crate = directed.Crate(1, 2)
directed.Crate("1", 2)  # arg-type reportArgumentType
directed.Crate(1)  # call-arg reportCallIssue
crate.width = "3"  # assignment reportAttributeAccessIssue
crate.height  # attr-defined reportAttributeAccessIssue
crate.larger(directed.lid_of(crate))  # arg-type reportArgumentType
crate.close(1)  # call-arg reportCallIssue
directed.secret()  # attr-defined reportAttributeAccessIssue
directed.crate_larger(crate, crate).width  # union-attr reportOptionalMemberAccess
"""


@pytest.fixture(scope="module")
def directed(tmp_path_factory, build):
    """A header with directives, its library, the module directed, and the stub that is written for it."""
    built = build(DIRECTED, DIRECTED_SOURCE, name="directed")
    # Beside directed.so, which Python would take for the module.
    built.library.rename(built.directory / "libdirected.so")
    (built.directory / "directed.py").write_text(DIRECTED_MODULE)
    ran = pythy_command("stubs", "directed.h", "./libdirected.so", "-o", "directed.pyi", cwd=built.directory)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    return built.directory


def test_inspect_shows_classes_and_other_names(directed):
    ran = pythy_command("inspect", "directed.h", "./libdirected.so", cwd=directed, COLUMNS="")
    text = ran.stdout.split("skipped\n")[0]
    assert "  directed.h:33  int crate_count(void) as crate_count, count\n" not in text
    assert "  directed.h:33  int crate_count(void) as count\n" in text
    assert ran.stdout.split("skipped\n")[1].startswith(
        "  directed.h:32  void secret(void): it is private\n"
        "\n"
        "classes\n"
        "  directed.h:1  Crate(width, height): width, free(), get_width(), set_width(width), name(), "
        "weight(), bytes(size), larger(other), print(format), lid_of(), close()\n"
        "  directed.h:2  Lid: Lid_crate()\n"
        "  directed.h:3  Counter: counter_next()\n"
    )
    assert ran.stdout.endswith("\n14 bound, 1 skipped\n")


def test_the_stub_has_the_names_that_directives_make(directed, natively):
    stub = ast.parse((directed / "directed.pyi").read_text(encoding="utf-8"))
    names = {name for name in stub_names(stub) if not name.startswith("_Record_")}
    script = """
        import directed
        own = ("pythy", "sys", "SimpleNamespace", "twice", "wrappers")
        print(*(name for name in dir(directed) if name[:2] != "__" and name not in own))
        for cls in directed.Crate, directed.Lid, directed.Counter:
            print(*(name for name in vars(cls) if name[0] != "_"))
    """
    run = natively(script, directed)
    module, *classes = (set(line.split()) for line in run.stdout.splitlines())
    assert module == names
    for node in stub.body:
        if isinstance(node, ast.ClassDef) and node.name in ("Crate", "Lid", "Counter"):
            members = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
            assert members - {"__init__", "ptr"} == classes.pop(0)


@pytest.mark.one_python
def test_a_client_of_a_stub_with_classes_is_without_fault_and_does_what_it_says(directed, natively):
    (directed / "good.py").write_text(DIRECTED_GOOD)
    for check in CHECKERS:
        assert check(directed, "good.py", "directed.pyi") == []
    natively(DIRECTED_GOOD, directed)


@pytest.mark.one_python
@pytest.mark.parametrize("check", CHECKERS)
def test_each_fault_of_a_client_of_classes_is_found_where_it_is(directed, check):
    (directed / "bad.py").write_text(DIRECTED_BAD)
    expected = {
        number: line.split("  # ")[1].split()[CHECKERS.index(check)]
        for number, line in enumerate(DIRECTED_BAD.splitlines(), 1)
        if "  # " in line
    }
    found = {(line, kind) for _, line, kind in check(directed, "bad.py")}
    assert set(expected.items()) <= found
    assert {line for line, _ in found} == set(expected)


# Use and misuse.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["inspect", "missing.h", "./libcli.so"],
            "pythy: header file 'missing.h' does not exist, nor is it in",
        ),
        (["stubs", "cli.h", "./none.so"], "pythy: library './none.so' does not exist; give a path"),
        (
            ["stubs", "cli.h", "./libcli.so", "-o", "no/lib.pyi"],
            "pythy: the stub cannot go to 'no/lib.pyi': there is no such directory",
        ),
        (
            ["stubs", "cli.h", "./libcli.so", "-o", "."],
            "pythy: the stub cannot go to '.': it is a directory",
        ),
        (
            ["stubs", "cli.h", "./libcli.so", "-o", "/dev/full"],
            "pythy: the stub cannot go to '/dev/full': No space left on device",
        ),
        (
            ["suppressions", "--gen", "no.json"],
            "pythy: there is no report 'no.json'; 'pythy run --report json:FILE' writes one",
        ),
        (
            ["inspect", "./libcli.so", "cli.h"],
            "pythy: './libcli.so' is a library, not a header file; headers come first, the library last",
        ),
        (["inspect", "cli.h"], "pythy inspect: error: a header and a library are needed: HEADER... LIBRARY"),
        (
            ["inspect", "cli.h", "./libcli.so", "--nope"],
            "pythy inspect: error: unrecognized arguments: --nope",
        ),
        (["doctor", "cli.h"], "pythy doctor: error: unrecognized arguments: cli.h"),
        (["nothing"], "pythy: error: argument COMMAND: invalid choice: 'nothing'"),
        ([], "pythy: error: the following arguments are required: COMMAND"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_with_exit_code_2(directory, arguments, message):
    ran = pythy_command(*arguments, cwd=directory)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


def test_output_that_cannot_be_written_is_told(directory):
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "pythy", "inspect", "cli.h", "./libcli.so"],
            cwd=directory,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    message = "pythy: the output cannot be written: No space left on device\n"
    assert (ran.returncode, ran.stderr) == (2, message)


def test_a_reader_that_goes_away_is_no_failure(directory):
    pipe = f"{sys.executable} -m pythy stubs cli.h ./libcli.so | head -1"
    package = str(Path(pythy.__file__).parent.parent)
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", pipe],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": package},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_help_of_a_command_is_its_docstring():
    ran = pythy_command("inspect", "--help", COLUMNS="80")
    assert ran.stdout.startswith("usage: pythy inspect [options] HEADER... LIBRARY\n\nShow what is bound,")
    listed = pythy_command("--help", COLUMNS="80").stdout
    commands = [
        importlib.import_module(f"pythy.cli.{name}")
        for name in ("run", "inspect", "stubs", "suppressions", "doctor")
    ]
    for command in commands:
        assert command.__doc__.splitlines()[0] in " ".join(listed.split())


def test_the_version_is_the_package_s():
    assert pythy_command("--version").stdout == f"pythy {pythy.__version__}\n"


def test_importing_the_package_does_not_import_the_command(natively):
    run = natively(
        "import sys, pythy; print([name for name in sys.modules if name in ('argparse', 'pythy.cli')])"
    )
    assert run.stdout == "[]\n"


# The doctor.


def test_the_doctor_tells_what_is_there():
    ran = pythy_command("doctor", PATH=os.defpath)
    lines = ran.stdout.splitlines()
    assert [line[6:].split(":")[0] for line in lines] == [
        "Valgrind",
        "Python",
        "libclang",
        "worker",
        "C headers",
    ]
    assert lines[3] == f"ok    worker: pythy-worker {pythy.__version__}"
    assert lines[2].startswith("ok    libclang: /")
    if pythy.valgrind_version() is not None:
        assert lines[0].startswith(f"ok    Valgrind: {pythy.valgrind_version()} (/")


def test_the_doctor_says_what_to_do(tmp_path):
    shim = tmp_path / "python"
    shim.write_text("#!/bin/sh\n")
    shim.chmod(0o755)
    ran = pythy_command("doctor", PATH=str(tmp_path), LIBCLANG_PATH=str(tmp_path))
    assert ran.returncode == 3
    valgrind, python, libclang, *_ = ran.stdout.splitlines()
    missing = "valgrind is not on PATH; install it (Debian, Ubuntu: 'apt-get install valgrind')"
    assert valgrind == f"FAIL  Valgrind: {missing}"
    instead = f"so write 'valgrind {sys.executable}', or use 'pythy run'"
    assert python == f"warn  Python: {shim} is a script: Valgrind would run its shell, {instead}"
    assert libclang.startswith(f"FAIL  libclang: {tmp_path}/libclang.so cannot be loaded (")


def test_an_interpreter_behind_a_script_is_no_failure(tmp_path):
    shim = tmp_path / "python3"
    shim.write_text("#!/bin/sh\n")
    shim.chmod(0o755)
    both = f"{tmp_path}{os.pathsep}{os.defpath}"
    without, within = (pythy_command("doctor", PATH=path) for path in (os.defpath, both))
    assert within.returncode == without.returncode
    assert [line[:4] for line in within.stdout.splitlines()][1] == "warn"


# Suppressions.


def test_the_suppressions_are_printed_and_lie_in_a_file():
    text = (TESTS.parent / "valgrind-supp" / "interpreter.supp").read_text(encoding="utf-8")
    ran, where = pythy_command("suppressions"), pythy_command("suppressions", "--path")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, text, "")
    path = Path(where.stdout.removesuffix("\n"))
    assert (where.returncode, where.stderr, path.name) == (0, "", "interpreter.supp")
    assert Path(pythy.__file__).parent in path.parents
    assert path.read_text(encoding="utf-8") == text


def test_a_reports_findings_are_printed_as_suppressions(tmp_path):
    report = tmp_path / "report.json"
    with pythy.watch() as nothing:
        pass
    nothing.to_json(report)
    ran = pythy_command("suppressions", "--gen", report)
    head = "# Say above each entry why it is not to be mended, and delete those of defects that are.\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, head, "")
    report.write_text("[]")
    ran = pythy_command("suppressions", "--gen", report)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"pythy: '{report}' is no report of pythy's: ")
    ran = pythy_command("suppressions", "--gen", report, "--path")
    assert ran.stderr.endswith("error: argument --path: not allowed with argument --gen\n")


@pytest.mark.one_python
def test_valgrind_takes_the_suppressions_and_keeps_the_losses_of_c(directory, build):
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed (Debian, Ubuntu: apt-get install valgrind)")
    built = build(
        "void lose(unsigned long size);",
        "#include <stdlib.h>\nvoid lose(unsigned long size) { *(char *)malloc(size) = 1; }",
    )
    script = f"import ctypes; lib = ctypes.CDLL({str(built.library)!r}); [lib.lose(77) for _ in range(50)]"
    file = pythy_command("suppressions", "--path").stdout.strip()
    ran = subprocess.run(
        ["valgrind", "-v", "--leak-check=full", f"--suppressions={file}", sys.executable, "-c", script],
        env={**os.environ, "PYTHONMALLOC": "malloc"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    used = set(re.findall(r"used_suppression: .*(allocated-by-\S+)", ran.stderr))
    assert used & {"allocated-by-the-interpreter", "allocated-by-libpython"}
    # A stale copy of the last address or two may be left somewhere.
    assert re.search(r"blocks are definitely lost in .*\n.*: malloc .*\n.*: lose \(", ran.stderr)
