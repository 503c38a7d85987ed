"""Directives in comments: what each does, with its target named and with the next declaration as target."""

import inspect
import time
import types
from types import SimpleNamespace

import pytest
import pythy

pytestmark = pytest.mark.one_python

BACKENDS = [{"backend": "inprocess"}, {"backend": "isolated", "checker": "none"}]


@pytest.fixture(params=BACKENDS, ids=["inprocess", "isolated"])
def load(request, interface):
    """``load(header, source, **options)``: the module, in each backend."""

    def make(header, source, **options):
        return interface(header, source, **{**request.param, **options})

    return make


TEXTS_SOURCE = """
    #include <stdlib.h>
    #include <string.h>
    int add(int a, int b) { return a + b; }
    char *greet(const char *name) { return strcat(strcpy(malloc(strlen(name) + 4), "Hi "), name); }
    int freed;
    void free_text(char *text) { freed++; free(text); }
    const unsigned char *pixels(int rows, int *columns) {
        *columns = 3;
        return (const unsigned char *)"a\\0b\\0c\\0d";
    }
    void fill(short *out, int size) { for (int i = 0; i < size; i++) out[i] = i; }
"""


def test_define_replaces_text_in_what_follows_of_its_file(build):
    built = build("int add(int a, int b);", TEXTS_SOURCE)
    header = built.directory / "strange.h"
    header.write_text(
        "int add(int a, int b);\n"
        "/* $ define number -> int */\n"
        "// $ define EXPORT ->\n"
        '#include "included.h"\n'
        "EXPORT number add(number first, number second); // number\n"
    )
    (built.directory / "included.h").write_text("typedef long number;\n")
    lib = pythy.create_interface(header, built.library)
    assert lib.add(1, 2) == 3
    assert lib.sizeof("number") == 8
    with pytest.raises(OverflowError):
        lib.add(2**31, 0)


def test_define_reaches_into_included_headers_of_ones_own(build):
    built = build("int add(int a, int b);", TEXTS_SOURCE)
    (built.directory / "main.h").write_text('#include "strange.h"\n')
    (built.directory / "strange.h").write_text("// $ define number -> int\nnumber add(number a, number b);\n")
    lib = pythy.create_interface(built.directory / "main.h", built.library)
    assert lib.add(1, 2) == 3


@pytest.mark.parametrize("directive", ["// $ func_alias add plus\n", "// Adds.\n// $ func_alias plus\n"])
def test_func_alias_names_a_function(load, directive):
    lib = load(directive + "int add(int a, int b);", TEXTS_SOURCE)
    assert (lib.plus(1, 2), lib.add(1, 2)) == (3, 3)
    assert lib.plus.__name__ == "plus"
    assert str(inspect.signature(lib.plus)) == "(a, b, /)"
    assert "plus" in dir(lib)


def test_func_alias_takes_prefixes_off(load):
    lib = load(
        "// $ func_alias num_* *_of_numbers\nint num_add(int a, int b);\nint num_sub(int a, int b);",
        "int num_add(int a, int b) { return a + b; }\nint num_sub(int a, int b) { return a - b; }",
    )
    assert (lib.add_of_numbers(5, 3), lib.sub_of_numbers(5, 3)) == (8, 2)


@pytest.mark.parametrize("directives", ["// $ private free_text\n", "/* $ private */\n"])
def test_private_functions_are_not_in_the_module(load, directives):
    lib = load(f"int add(int a, int b);\n{directives}void free_text(char *text);", TEXTS_SOURCE)
    assert lib.add(1, 2) == 3
    assert not hasattr(lib, "free_text")
    assert "free_text" not in dir(lib)
    with pytest.raises(pythy.SymbolError, match=r"code.h:3: 'free_text' is declared, but it is private$"):
        lib.free_text(None)


def test_private_takes_functions_out_of_a_module_of_ones_own(build):
    built = build("int add(int a, int b);\n// $ private\nvoid free_text(char *text);", TEXTS_SOURCE)
    module = pythy.create_interface(built.header, built.library, types.ModuleType("mine"))
    assert module.add(1, 2) == 3
    assert not hasattr(module, "free_text")


@pytest.mark.parametrize("directive", ["$ len pixels rows * *columns + 1", "$ len rows * *columns + ONE"])
def test_len_of_a_result_makes_it_bytes(load, directive):
    lib = load(
        f"""
        #define ONE 1
        /** A picture.
         * {directive}
         */
        const unsigned char *pixels(int rows, int *columns);
        """,
        TEXTS_SOURCE,
    )
    columns = lib.ref("int")
    assert lib.pixels(2, columns) == b"a\0b\0c\0d"
    assert lib.pixels(1, columns) == b"a\0b\0"
    assert lib.pixels.__doc__ == "A picture."
    with pytest.raises(pythy.ArgumentError, match=r"^pixels\(\): the length that its directive gives is -5$"):
        lib.pixels(-2, columns)


def test_len_of_a_text_may_have_zeros_in_it(load):
    lib = load(
        "// $ len size\nchar *raw(int size);",
        'char *raw(int size) { return size ? "ab\\0cd" : (char *)0; }',
    )
    assert lib.raw(5) == b"ab\0cd"
    assert lib.raw(0) is None


@pytest.mark.parametrize("directive", ["$ len fill.out size", "$ len out size"])
def test_len_of_an_argument_refuses_a_smaller_buffer(load, directive):
    lib = load(f"// {directive}\nvoid fill(short *out, int size);", TEXTS_SOURCE)
    out = bytearray(6)
    lib.fill(out, 3)
    assert out == b"\0\0\1\0\2\0"
    numbers = lib.new("short[3]")
    lib.fill(numbers, 3)
    assert numbers[:] == [0, 1, 2]
    for small in bytearray(7), lib.new("short[3]"):
        with pytest.raises(pythy.ArgumentError) as caught:
            lib.fill(small, 4)
        room = 7 if isinstance(small, bytearray) else 6
        assert str(caught.value) == f"fill() argument 1 'out' (short *) must have 8 bytes, not {room}"


@pytest.mark.parametrize("directive", ["$ cleanup char* free_text", "$ cleanup char *"])
def test_text_that_is_the_callers_is_freed(load, directive):
    lib = load(
        f"""
        char *greet(const char *name);
        extern int freed;
        // {directive}
        void free_text(char *text);
        """,
        TEXTS_SOURCE,
    )
    assert lib.greet("you") == b"Hi you"
    assert lib.freed == 1


def test_text_that_is_freed_is_decoded_as_ever(load):
    lib = load(
        "char *greet(const char *name);\n// $ cleanup char*\nvoid free_text(char *text);",
        TEXTS_SOURCE,
        encoding="utf-8",
    )
    assert lib.greet("you") == "Hi you"


def test_what_a_function_returns_frees_itself(load):
    lib = load(
        """
        struct box { int width; };
        struct box *box_new(int width);
        struct box *box_self(struct box *box);
        const struct box *box_seen(const struct box *box);
        // $ cleanup struct box *
        void box_free(struct box *box);
        extern int alive;
        """,
        """
        #include <stdlib.h>
        int alive;
        struct box *box_new(int width) { struct box *b = malloc(4); b->width = width; alive++; return b; }
        struct box *box_self(struct box *box) { return box; }
        const struct box *box_seen(const struct box *box) { return box; }
        void box_free(struct box *box) { alive--; free(box); }
        """,
    )
    box = lib.box_new(3)
    assert (lib.alive, box.width) == (1, 3)
    assert lib.box_self(box) is box
    assert lib.box_seen(box).width == 3
    del box
    assert lib.alive == 0
    with lib.box_new(4) as box:
        assert lib.alive == 1
    assert lib.alive == 0
    box = lib.box_new(5)
    lib.box_free(box)
    assert lib.alive == 0
    del box
    assert lib.alive == 0


@pytest.mark.parametrize("directive", ["$ wrapper twice add", "$ wrapper twice"])
def test_a_wrapper_wraps_what_it_names_or_the_next_declaration(load, directive):
    lib = load(
        f"int fill(short *out, int size);\n// {directive}\nint add(int a, int b);",
        TEXTS_SOURCE.replace("void fill", "int fill").replace("out[i] = i; }", "out[i] = i; return 1; }"),
        wrapper_modules=SimpleNamespace(twice=twice),
    )
    assert lib.add(1, 2) == 6
    assert lib.fill(bytearray(2), 1) == 1


def twice(function):
    inner = function.py_func
    function.py_func = lambda *args: 2 * inner(*args)


def test_wrapper_update_may_come_before_its_wrapper(build):
    built = build("int add(int a, int b);", TEXTS_SOURCE)
    (built.directory / "update.h").write_text("// $ wrapper_update twice !add\n")
    (built.directory / "wrapper.h").write_text("// $ wrapper twice *\nint add(int a, int b);\n")
    headers = [built.directory / "update.h", built.directory / "wrapper.h"]
    wrappers = [SimpleNamespace(twice=twice)]
    lib = pythy.create_interface(headers, built.library, wrapper_modules=wrappers)
    assert lib.add(1, 2) == 3
    lib = pythy.create_interface(headers[1], built.library, wrapper_modules=wrappers)
    assert lib.add(1, 2) == 6


def test_wrapped_functions_keep_their_face(load):
    lib = load("// $ wrapper encode_string_args *\n// Adds.\nint add(int first, int second);", TEXTS_SOURCE)
    assert inspect.isfunction(lib.add)
    assert (lib.add.__name__, lib.add.__doc__, lib.add.__module__) == ("add", "Adds.", "code")
    assert str(inspect.signature(lib.add)) == "(first, second, /)"
    with pytest.raises(
        pythy.ArgumentError, match=r"^add\(\) argument 2 'second' \(int\) must be an int, not list$"
    ):
        lib.add(1, [])


def test_directives_are_no_documentation_and_others_comments_stay(load):
    lib = load(
        """
        // Adds two.
        /* $ func_alias plus */
        int add(int a, int b);
        """,
        TEXTS_SOURCE,
    )
    assert lib.plus.__doc__ == "Adds two."


def test_what_looks_like_a_directive_and_is_none(load):
    lib = load(
        """
        /* $Id: code.h 1.2 $
         * It costs $ 12; $HOME is at home.
         * Text before $ private does not count. */
        #if 0
        // $ nonsense
        #endif
        #define TEXT "// $ nonsense"
        int add(int a, int b);
        """,
        TEXTS_SOURCE,
    )
    assert lib.add(1, 2) == 3
    assert lib.TEXT == b"// $ nonsense"


def test_the_systems_headers_have_no_directives(build, tmp_path):
    (tmp_path / "spoken.h").write_text("/* $ make install */\n")
    built = build("int add(int a, int b);", TEXTS_SOURCE)
    (built.directory / "main.h").write_text("#include <spoken.h>\nint add(int a, int b);\n")
    lib = pythy.create_interface(
        built.directory / "main.h", built.library, clang_args=["-isystem", str(tmp_path)]
    )
    assert lib.add(1, 2) == 3
    with pytest.raises(pythy.HeaderError, match=r"spoken.h:1: there is no directive 'make'$"):
        pythy.create_interface(built.directory / "main.h", built.library, include_dirs=[tmp_path])


def test_directives_come_from_the_cache_too(build):
    built = build("// $ func_alias add plus\nint add(int a, int b);", TEXTS_SOURCE)
    time.sleep(0.05)  # What changed so lately is not kept.
    for _ in range(2):
        assert pythy.create_interface(built.header, built.library).plus(1, 2) == 3
    built.header.write_text("// $ func_alias add sum\nint add(int a, int b);\n")
    lib = pythy.create_interface(built.header, built.library)
    assert lib.sum(1, 2) == 3
    assert not hasattr(lib, "plus")


def test_a_name_of_pythys_own_cannot_be_taken(build):
    built = build("// $ func_alias add close\nint add(int a, int b);", TEXTS_SOURCE)
    with pytest.raises(pythy.HeaderError) as caught:
        pythy.create_interface(built.header, built.library)
    assert str(caught.value) == (
        f"{built.header}:1: 'close' is one of pythy's own functions, add() cannot have its name"
    )


def test_a_name_that_goes_without_saying_is_taken_too(build):
    header = """
        // $ func_alias plus add
        int interface_add(int a, int b);
        int plus(int a, int b);
    """
    source = "int interface_add(int a, int b) { return a + b; } int plus(int a, int b) { return a + b; }"
    built = build(header, source)
    with pytest.raises(pythy.HeaderError) as caught:
        pythy.create_interface(built.header, built.library)
    assert str(caught.value) == (
        f"{built.header}:1: 'add' is the name of interface_add() already, plus() cannot have its name"
    )
