"""Static functions of the given headers: their code is in no library, so it is compiled."""

import array
import inspect
import os
import shutil
import textwrap
import time
from pathlib import Path

import pytest
import pythy

pytestmark = pytest.mark.usefixtures("both_backends")

HEADER = """
    #include <stdarg.h>
    #include "other.h"

    struct pair { int x, y; };
    typedef int (*operation)(int);
    int add(int a, int b);
    extern int calls;

    /** Twice the value. */
    static inline int twice(int value)
    {
        calls++;
        return add(value, value);
    }

    #define doubled twice
    static inline struct pair swapped(struct pair p) { struct pair q = {p.y, p.x}; return q; }
    static inline double mean(const double *values, int count)
    {
        double sum = 0;
        for (int i = 0; i < count; i++)
            sum += values[i];
        return sum / count;
    }
    static inline int sum(int count, ...)
    {
        va_list rest;
        int sum = 0;
        va_start(rest, count);
        while (count--)
            sum += va_arg(rest, int);
        va_end(rest);
        return sum;
    }
    static int apply(operation operation, int value) { return operation(value); }
    static inline __attribute__((always_inline)) unsigned char low(unsigned value) { return value; }
    static inline const char *name(void) { return "static"; }
    static inline int both(void) { return 1; }
    int defined_nowhere(void);
    static inline int calls_nowhere(void) { return defined_nowhere(); }
    static inline void takes_vector(__attribute__((vector_size(16))) int value) { }
    static int bodiless(int value);

    inline int plain(int value) { return value + calls; }
    int declared(int value);
    inline int declared(int value) { return value + 2; }
    extern inline int external(int value) { return value + 3; }
    inline int without_code(int value);
"""
OTHER = """
#pragma once
static inline int in_other(void) { return 3; }
inline int inline_in_other(void) { return 4; }
"""
SOURCE = """
    int calls;
    int add(int a, int b) { return a + b; }
    int both(void) { return 2; }
"""


def build_apart(directory, header, source, cc, *flags):
    """A library whose source does not include its header."""
    (directory / "code.h").write_text(textwrap.dedent(header))
    (directory / "code.c").write_text(textwrap.dedent(source))
    return cc(directory / "code.c", directory / "code.so", *flags)


@pytest.fixture(scope="module")
def directory(tmp_path_factory, cc):
    directory = tmp_path_factory.mktemp("static")
    (directory / "other.h").write_text(OTHER)
    build_apart(directory, HEADER, SOURCE, cc)
    return directory


@pytest.fixture(scope="module")
def lib(directory, both_backends):
    return pythy.create_interface(directory / "code.h", directory / "code.so")


def reason(lib, name):
    with pytest.raises(pythy.SymbolError) as raised:
        getattr(lib, name)
    return str(raised.value).split(f"'{name}' is declared, but ")[1]


def test_they_are_called_like_any_other_function(lib):
    assert lib.twice(21) == 42
    swapped = lib.swapped(lib.new("struct pair", x=1, y=2))
    assert (swapped.x, swapped.y) == (2, 1)
    assert lib.mean(array.array("d", [1, 2, 6]), 3) == 3.0
    assert lib.sum(3, 1, 2, 3) == 6
    assert lib.apply(lambda value: value + 1, 4) == 5
    assert lib.low(0x1FF) == 0xFF
    assert lib.name() == b"static"
    with pytest.raises(
        pythy.ArgumentError, match=r"^twice\(\) argument 1 'value' \(int\) must be an int, not str$"
    ):
        lib.twice("x")


def test_so_are_functions_that_are_inline_and_not_static(lib):
    lib.calls = 0
    assert (lib.plain(1), lib.declared(1), lib.external(1)) == (1, 3, 4)
    assert reason(lib, "inline_in_other") == (
        "it is inline: its code is in a header that was not given; give this one too to have it compiled"
    )
    begin = f"it is inline: its code is in the header, and '{shutil.which('cc')}' cannot compile it: "
    assert reason(lib, "without_code") == begin + "undefined symbol: without_code"


def test_they_have_the_headers_documentation(lib):
    assert inspect.getdoc(lib.twice) == "Twice the value."
    assert str(inspect.signature(lib.twice)) == "(value, /)"
    assert "twice" in dir(lib)


def test_a_macro_for_one_is_that_one(lib):
    assert lib.doubled(21) == 42
    assert (lib.doubled.__name__, inspect.getdoc(lib.doubled)) == ("doubled", "Twice the value.")


def test_what_they_use_is_the_librarys_own(lib):
    before = lib.calls
    lib.twice(1)
    assert lib.calls == before + 1


def test_what_the_library_exports_is_taken_from_there(lib):
    assert lib.both() == 2


def test_one_that_cannot_be_had_does_not_take_the_others_along(lib):
    cc = shutil.which("cc")
    begin = f"it is static: its code is in the header, and '{cc}' cannot compile it: "
    assert reason(lib, "calls_nowhere") == begin + "undefined symbol: defined_nowhere"
    assert reason(lib, "bodiless") == begin + "undefined symbol: bodiless"
    assert reason(lib, "takes_vector").startswith("it takes ")


def test_those_of_headers_that_were_not_given_are_left_out(lib, directory):
    assert reason(lib, "in_other") == (
        "it is static: its code is in a header that was not given; give this one too to have it compiled"
    )
    both = pythy.create_interface([directory / "code.h", directory / "other.h"], directory / "code.so")
    assert both.in_other() == 3


def test_after_close_they_are_gone_too(directory):
    lib = pythy.create_interface(directory / "code.h", directory / "code.so")
    twice = lib.twice
    lib.close()
    with pytest.raises(pythy.Error, match=r"^twice\(\) was called after its interface was closed$"):
        twice(1)


TABLES = """
    struct colour { const char *name; unsigned char red, green, blue; };
    typedef int (*operation)(int a, int b);
    int add(int a, int b);
    /** Small primes. */
    static const int primes[] = {2, 3, 5, 7};
    static const double grid[2][2] = {{1, 2}, {3, 4}};
    static const char *const days[] = {"Mon", "Tue"};
    static const char *months[] = {"Jan", "Feb", "Mar"};
    static const struct colour colours[] = {{"red", 255, 0, 0}, {"blue", 0, 0, 255}};
    static const struct colour black = {"black"};
    static const operation operations[] = {add};
    static const unsigned char bytes[4] = {1, 2};
    static int counter = 3;
    static const int limit = 9;
    static inline int prime(int index) { return primes[index]; }
"""


@pytest.fixture(scope="module")
def tables(tmp_path_factory, cc, both_backends):
    directory = tmp_path_factory.mktemp("tables")
    build_apart(directory, TABLES, "int add(int a, int b) { return a + b; }", cc)
    return pythy.create_interface(directory / "code.h", directory / "code.so")


def test_tables_are_attributes(tables):
    assert tables.primes[:] == [2, 3, 5, 7]
    assert [row[:] for row in tables.grid] == [[1.0, 2.0], [3.0, 4.0]]
    assert (tables.days[:], tables.months[:]) == ([b"Mon", b"Tue"], [b"Jan", b"Feb", b"Mar"])
    assert [(c.name, c.red, c.blue) for c in tables.colours] == [(b"red", 255, 0), (b"blue", 0, 255)]
    assert (tables.black.name, tables.black.green) == (b"black", 0)
    assert tables.operations[0](2, 3) == 5
    assert bytes(tables.buffer(tables.bytes)) == b"\1\2\0\0"
    assert (tables.limit, tables.prime(3), "primes" in dir(tables)) == (9, 7, True)


def test_tables_cannot_be_written(tables):
    for write in (
        lambda: tables.primes.__setitem__(0, 1),
        lambda: setattr(tables, "primes", [1]),
        lambda: setattr(tables.black, "red", 1),
    ):
        with pytest.raises(pythy.ArgumentError, match="const"):
            write()
    assert tables.buffer(tables.primes).readonly


def test_a_static_variable_is_no_table(tables):
    assert reason(tables, "counter") == (
        "it is static: its value is in the header, "
        "where each file that includes it has its own, the library too"
    )


def test_a_table_in_a_header_that_was_not_given_or_without_a_compiler_is_told(tmp_path, cc, natively):
    header = '#include "other.h"\nint add(int a, int b);\nstatic const int here[] = {1};\n'
    build_apart(tmp_path, header, ADD, cc)
    (tmp_path / "other.h").write_text("static const int table[] = {1};\n")
    script = """
        import pythy

        lib = pythy.create_interface("code.h", "./code.so")
        for name in ("table", "here"):
            try:
                getattr(lib, name)
            except pythy.SymbolError as error:
                print(error)
    """
    run = natively(script, directory=tmp_path, env={"PATH": "", "CC": ""})
    assert run.stdout == (
        "other.h:1: 'table' is declared, but it is static: its value is in the header, "
        "which was not given; give this one too to have a table in it compiled\n"
        "code.h:3: 'here' is declared, but it is static: its value is in the header, "
        "and no C compiler (cc, gcc, clang) was found to compile it\n"
    )


SIMPLE = """
    int add(int a, int b);
    static inline int twice(int value) { return add(value, value); }
"""
ADD = "int add(int a, int b) { return a + b; }"

ASK = """
    import pythy

    lib = pythy.create_interface("code.h", "./code.so")
    print(lib.add(1, 2))
    try:
        print(lib.twice(2))
    except pythy.SymbolError as error:
        print(error)
"""


@pytest.fixture
def simple(tmp_path, cc):
    build_apart(tmp_path, SIMPLE, ADD, cc)
    return tmp_path


def fake_compiler(directory, text):
    path = directory / "fake-cc"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_without_a_compiler_the_reason_says_so(simple, natively):
    run = natively(ASK, directory=simple, env={"PATH": "", "CC": ""})
    assert run.stdout == (
        "3\ncode.h:3: 'twice' is declared, but it is static: its code is in the header, "
        "and no C compiler (cc, gcc, clang) was found to compile it\n"
    )
    run = natively(ASK, directory=simple, env={"CC": "missing-cc -O2"})
    assert run.stdout == (
        "3\ncode.h:3: 'twice' is declared, but it is static: its code is in the header, "
        "and the C compiler 'missing-cc', which CC names, was not found\n"
    )


def test_a_compiler_that_refuses_is_quoted(simple, natively):
    compiler = fake_compiler(
        simple, "echo 'warning: so so' >&2; echo 'code.h:3:1: error: made up' >&2; exit 1"
    )
    run = natively(ASK, directory=simple, env={"CC": compiler})
    assert run.stdout == (
        "3\ncode.h:3: 'twice' is declared, but it is static: its code is in the header, "
        f"and '{compiler}' cannot compile it: code.h:3:1: error: made up\n"
    )


def settle(directory):
    """Wait until a change there can be told from the next one by its time: until then nothing is cached."""
    (directory / "script.py").touch()
    while time.time() - directory.stat().st_ctime < 0.1:
        time.sleep(0.01)


def test_they_are_compiled_once(simple, natively):
    compiler = fake_compiler(simple, 'echo run >> runs; exec cc "$@"')
    settle(simple)
    for _ in range(3):
        assert natively(ASK, directory=simple, env={"CC": compiler}).stdout == "3\n4\n"
    assert (simple / "runs").read_text() == "run\n"
    header = simple / "code.h"
    header.write_text(header.read_text().replace("add(value, value)", "add(value, 10)"))
    assert natively(ASK, directory=simple, env={"CC": compiler}).stdout == "3\n12\n"
    assert (simple / "runs").read_text() == "run\nrun\n"


def test_without_a_cache_they_are_compiled_each_time_and_nothing_is_left(simple, natively, tmp_path):
    compiler = fake_compiler(simple, 'echo run >> runs; exec cc "$@"')
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env = {"CC": compiler, "XDG_CACHE_HOME": "/dev/null", "TMPDIR": str(temporary)}
    for _ in range(2):
        assert natively(ASK, directory=simple, env=env).stdout == "3\n4\n"
    assert (simple / "runs").read_text() == "run\nrun\n"
    assert list(temporary.iterdir()) == []


def test_options_for_the_header_are_the_compilers_too(tmp_path, cc):
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "factor.h").write_text("#define FACTOR 5\n")
    header = """
        #include <factor.h>
        int add(int a, int b);
        static inline int scaled(int value) { return FACTOR * OFFSET * value + ADDED; }
    """
    build_apart(tmp_path, header, ADD, cc)
    lib = pythy.create_interface(
        tmp_path / "code.h",
        tmp_path / "code.so",
        include_dirs=[tmp_path / "include"],
        defines={"OFFSET": 2},
        clang_args=["-DADDED=7"],
    )
    assert lib.scaled(3) == 37


def test_no_compiler_runs_where_nothing_is_static(tmp_path, cc, natively):
    build_apart(tmp_path, "#include <stdlib.h>\nint add(int a, int b);\n", ADD, cc)
    compiler = fake_compiler(tmp_path, "touch ran; exit 1")
    script = 'import pythy; print(pythy.create_interface("code.h", "./code.so").add(1, 2))'
    assert natively(script, directory=tmp_path, env={"CC": compiler}).stdout == "3\n"
    assert not (tmp_path / "ran").exists()


def test_a_header_with_code_of_its_own_need_not_promise_anything(tmp_path, cc):
    build_apart(tmp_path, "static inline int three(void) { return 3; }", ADD, cc)
    lib = pythy.create_interface(tmp_path / "code.h", tmp_path / "code.so")
    assert lib.three() == 3


@pytest.mark.in_process_only("each library has a worker of its own, where no other is loaded")
def test_two_libraries_of_one_name_are_not_mixed_up(tmp_path, cc, natively):
    for version in (1, 2):
        directory = tmp_path / f"v{version}"
        directory.mkdir()
        source = f"int add(int a, int b) {{ return {version}; }}"
        build_apart(directory, SIMPLE, source, cc, "-Wl,-soname,libsame.so")
    script = """
        import pythy

        one = pythy.create_interface("v1/code.h", "v1/code.so")
        two = pythy.create_interface("v2/code.h", "v2/code.so")
        print(one.add(0, 0), one.twice(0), two.add(0, 0))
        try:
            two.twice(0)
        except pythy.SymbolError as error:
            print(str(error).split("compile it: ")[1])
    """
    run = natively(script, directory=tmp_path)
    assert run.stdout == (
        "1 1 2\n"
        f"the loader gives it another library than '{tmp_path}/v2/code.so'; is one of the same name loaded?\n"
    )


@pytest.mark.parametrize(
    ("header", "library", "check"),
    [
        ("libusb-1.0/libusb.h", "libusb-1.0.so.0", lambda lib: lib.libusb_cpu_to_le16(0x1234) == 0x1234),
        ("openssl/x509.h", "libcrypto.so.3", lambda lib: lib.ossl_check_X509_type(None) is None),
    ],
)
def test_real_headers(header, library, check):
    path = Path("/usr/include") / header
    if not path.exists():
        pytest.skip(f"{path} is not installed")
    assert check(pythy.create_interface(path, library))


@pytest.mark.in_process_only("there it is the worker that runs under Valgrind")
def test_findings_name_the_headers_line_and_declaration(tmp_path, cc, under_valgrind):
    header = """
        #include <stdlib.h>
        int add(int a, int b);
        static inline int at(const unsigned char *bytes, int index)
        {
            return add(bytes[index], 0);
        }
        static inline void lose(int size)
        {
            char *lost = malloc(size);
            lost[0] = 1;
        }
    """
    build_apart(tmp_path, header, ADD, cc)
    script = """
        import pythy

        lib = pythy.create_interface("code.h", "./code.so")
        with pythy.watch() as report:
            lib.at(bytes(8), 8)
            lib.lose(24)
        report.to_json("report.json")
    """
    for run in range(2):  # compiled, then from the cache
        options = ("--num-callers=40", "--xml=yes", f"--xml-file={tmp_path}/log.xml")
        report = under_valgrind(script, *options, directory=tmp_path).json()
        read, lost = report["findings"]
        assert (read["kind"], read["basis"]) == ("InvalidRead", "call"), run
        declarations = {declaration["id"]: declaration for declaration in report["declarations"]}
        declaration = declarations[read["call"]["declaration"]]
        assert declaration["prototype"] == "int at(const unsigned char *bytes, int index)"
        assert (declaration["file"], declaration["line"]) == ("code.h", 4)
        [frame] = read["stacks"][0]["frames"]
        assert (frame["function"], os.path.basename(frame["file"]), frame["line"]) == ("at", "code.h", 6)
        assert (lost["kind"], lost["leaked"]["bytes"]) == ("Leak_DefinitelyLost", 24)
        assert declarations[lost["allocated_by"]["declaration"]]["name"] == "lose"
