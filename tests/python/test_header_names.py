"""Names that a header has beside its functions and records."""

import re

import pytest
import pythy

pytestmark = pytest.mark.usefixtures("both_backends")

HEADER = """
    struct hidden;
    typedef void (*handler)(int);

    /** Adds two numbers. */
    int __number_add(int from, int class);
    extern int __number_limit;
    extern const char name[];
    extern const int primes[];
    extern struct hidden hidden;
    extern int not_there;
    extern int global;
    int is_hidden(const struct hidden *hidden);
    int runs(int count, ...);

    #define number_add __number_add
    #define number_limit __number_limit
    #define old_number_add number_add
    #define LIMIT_OF_HEADER smallest
    #define IGNORE ((handler)1)
    #define DEFAULT ((handler)0)
    #define URI (const unsigned char *)"http://example.org/"
    #define EMBEDDED "a\\0b"

    static const int smallest = -7;
    static const char title[] = "title";
    enum None { pass = 1, raise = 2 };
    struct edge { int from, in; };
"""
SOURCE = """
    #include <stdarg.h>
    struct hidden { int a; };
    int __number_add(int from, int class) { return from + class; }
    int __number_limit = 10;
    const char name[] = "a name";
    const int primes[] = {2, 3, 5, 7};
    struct hidden hidden = {1};
    int global = 3;
    int is_hidden(const struct hidden *given) { return given == &hidden; }
    int runs(int count, ...) {
        va_list arguments;
        va_start(arguments, count);
        for (int i = 0; i < count; i++) va_arg(arguments, handler)(i);
        va_end(arguments);
        return count;
    }
"""


@pytest.fixture
def lib(interface):
    return interface(HEADER, SOURCE)


def test_a_macro_for_a_function_is_that_function(lib):
    assert lib.number_add(1, 2) == lib.old_number_add(1, 2) == 3
    assert lib.number_add.__name__ == "number_add"
    assert lib.number_add.__doc__ == "Adds two numbers."


def test_a_macro_for_a_variable_is_that_variable(lib):
    lib.number_limit = 11
    assert lib.__number_limit == lib.number_limit == 11


def test_a_static_const_variable_is_a_constant(lib):
    assert (lib.smallest, lib.LIMIT_OF_HEADER, lib.title) == (-7, -7, b"title")
    assert {"smallest", "title"} <= set(dir(lib))


def test_strings_may_be_cast_and_have_a_nul_inside(lib):
    assert (lib.URI, lib.EMBEDDED) == (b"http://example.org/", b"a\0b")


def test_numbers_cast_to_pointers_are_pointers(lib):
    assert re.fullmatch(r"<pythy.Pointer '.*' at 0x1>", repr(lib.IGNORE))
    assert int(lib.IGNORE) == 1
    assert lib.DEFAULT is None


def test_names_that_python_has_taken_get_an_underscore(lib):
    assert (lib.pass_, lib.raise_, lib.None_.__name__) == (1, 2, "None")
    assert lib.pass_ is lib.None_["pass"]
    lib.global_ = 4
    assert (lib.global_, getattr(lib, "global")) == (4, 4)
    assert {"pass_", "None_", "global_"} <= set(dir(lib))
    edge = lib.new("struct edge", from_=1)
    edge.in_ = 2
    assert (edge.from_, edge["in"], repr(edge)) == (1, 2, "<struct edge from=1 in=2>")
    with pytest.raises(AttributeError, match="'struct edge' has no field 'is_'"):
        edge.is_  # noqa: B018


def test_the_library_knows_the_length_that_the_header_leaves_open(lib):
    assert lib.name == b"a name"
    assert list(lib.primes) == [2, 3, 5, 7]
    assert lib.sizeof(lib.primes) == 16


def test_a_variable_of_an_unknown_type_can_be_handed_over(lib):
    assert lib.is_hidden(lib.hidden) == 1


def test_a_variable_that_the_library_lacks_is_not_listed(lib):
    assert "not_there" not in dir(lib)
    expected = r"code\.h:10: 'not_there' is declared, but it is not exported by "
    with pytest.raises(pythy.SymbolError, match=expected):
        lib.not_there  # noqa: B018


def test_variable_arguments_may_be_callbacks(lib):
    seen = []
    kept = lib.callback("handler")(seen.append)
    assert lib.runs(2, kept, kept) == 2
    assert seen == [0, 1]
