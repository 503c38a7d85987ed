"""pythy.testing.strategies: Hypothesis makes up the arguments that a declaration asks for."""

import gc
import subprocess
import sys

import pytest

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed")

import pythy  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from pythy.testing import strategies  # noqa: E402

pytestmark = pytest.mark.one_python

HEADER = """
    #include <stddef.h>
    #include <complex.h>
    typedef enum { RED, GREEN = 5, NONE = -1 } colour;
    struct inner { short low; unsigned char flags[3]; };
    struct point {
        int x;
        double y;
        char name[8];
        const char *label;
        char *changeable;
        struct point *next;
        unsigned bit : 1;
        struct inner inner;
        colour colour;
        union { int number; float real; } either;
        int (*call)(int);
    };
    struct narrow { unsigned bits : 3; int signed_bits : 5; };
    struct hidden;

    int paint(colour c);
    void letter(char letter);
    void tiny(signed char number);
    void huge(unsigned long long number);
    int scalars(colour c, _Bool yes, char letter, signed char s, float f, double d, unsigned long long big);
    double complexes(double _Complex z, float _Complex w, long double wide);
    size_t text(const char *read, char *written);
    int numbers(const int *ints, unsigned short *shorts, double *doubles, const float *floats,
                colour *colours, _Bool *flags);
    size_t memory(void *out, const void *in, unsigned char *bytes, const unsigned char *read_only);
    int record(const struct point *p, struct inner by_value);
    void narrow(struct narrow *n);
    int call(int (*f)(int, const char *), void (*g)(void));
    int handles(struct hidden *hidden, char **names, int (*f)(void));
    struct hidden *(*maker(void))(void);
    int make_call(struct hidden *(*make)(int));
    int printf_like(const char *format, ...);
    int nothing(void);
"""
SOURCE = """
    #include <string.h>
    int paint(colour c) { return c; }
    void letter(char letter) {}
    void tiny(signed char number) {}
    void huge(unsigned long long number) {}
    int scalars(colour c, _Bool yes, char letter, signed char s, float f, double d, unsigned long long big) {
        return c;
    }
    double complexes(double _Complex z, float _Complex w, long double wide) { return creal(z); }
    size_t text(const char *read, char *written) { return strlen(read) + strlen(written); }
    int numbers(const int *ints, unsigned short *shorts, double *doubles, const float *floats,
                colour *colours, _Bool *flags) { return 0; }
    size_t memory(void *out, const void *in, unsigned char *bytes, const unsigned char *read_only) {
        return 0;
    }
    int record(const struct point *p, struct inner by_value) { return p->x + by_value.low; }
    void narrow(struct narrow *n) {}
    int call(int (*f)(int, const char *), void (*g)(void)) { g(); return f(1, "x"); }
    int handles(struct hidden *hidden, char **names, int (*f)(void)) { return hidden || names || f; }
    struct hidden *(*maker(void))(void) { return NULL; }
    int make_call(struct hidden *(*make)(int)) { return !make(1); }
    int printf_like(const char *format, ...) { return 0; }
    int nothing(void) { return 0; }
"""


@pytest.fixture(scope="module")
def lib(build):
    built = build(HEADER, SOURCE)
    return pythy.create_interface(built.header, built.library)


# The same examples each time.
SETTINGS = settings(database=None, deadline=None, derandomize=True, max_examples=50)


def smallest(strategy, is_wanted=lambda arguments: True):
    return hypothesis.find(strategy, is_wanted, settings=settings(SETTINGS, max_examples=1000))


def test_the_smallest_arguments_are_those_that_one_reads_easily(lib):
    assert smallest(strategies(lib.scalars)) == (0, False, b"0", 0, 0.0, 0.0, 0)
    assert smallest(strategies(lib.complexes)) == (0j, 0j, 0.0)
    assert smallest(strategies(lib.text)) == (b"", bytearray(b"\0"))
    assert smallest(strategies(lib.memory)) == (bytearray(), b"", bytearray(), b"")
    assert smallest(strategies(lib.nothing)) == ()
    # What comes after the named parameters is the test's own business.
    assert smallest(strategies(lib.printf_like)) == (b"",)


def test_numbers_fill_the_range_of_their_type(lib):
    assert smallest(strategies(lib.huge), lambda arguments: arguments[0] >= 2**63) == (2**63,)
    assert smallest(strategies(lib.tiny), lambda arguments: arguments[0] < -64) == (-65,)
    assert smallest(strategies(lib.letter), lambda arguments: arguments[0] >= b"\x80") == (b"\x80",)

    @SETTINGS
    @given(strategies(lib.scalars), strategies(lib.complexes))
    def check(arguments, complexes):
        assert lib.scalars(*arguments) == arguments[0]
        lib.complexes(*complexes)

    check()


def test_an_enum_is_one_of_its_members(lib):
    seen = set()

    @SETTINGS
    @given(strategies(lib.paint))
    def check(arguments):
        seen.add(arguments[0])

    check()
    assert seen == {lib.colour.RED, lib.colour.GREEN, lib.colour.NONE}
    assert {type(one) for one in seen} == {lib.colour}


def test_text_has_no_nul_inside_and_text_that_c_writes_ends_with_one(lib):
    read, written = smallest(
        strategies(lib.text), lambda arguments: len(arguments[0]) > 1 and len(arguments[1]) > 2
    )
    assert (read, written) == (b"00", bytearray(b"00\0"))

    @SETTINGS
    @given(strategies(lib.text))
    def check(arguments):
        read, written = arguments
        assert lib.text(read, written) == len(read) + len(written) - 1

    check()


def test_pointers_to_numbers_are_arrays_of_them(lib):
    ints, shorts, doubles, floats, colours, flags = smallest(
        strategies(lib.numbers), lambda arguments: all(len(one) > 1 for one in arguments)
    )
    assert [(one.typecode, one.tolist()) for one in (ints, shorts, doubles, floats, colours, flags)] == [
        ("i", [0, 0]),
        ("H", [0, 0]),
        ("d", [0.0, 0.0]),
        ("f", [0.0, 0.0]),
        ("i", [0, 0]),
        ("B", [0, 0]),
    ]


def test_records_have_their_fields_and_are_new_each_time(lib):
    point, inner = smallest(strategies(lib.record), lambda arguments: arguments[0].x > 6)
    assert (point.x, point.y, point.name, point.label, point.colour) == (7, 0.0, b"", b"", lib.colour.RED)
    # What only C can fill stays NULL.
    assert (point.changeable, point.next, point.call) == (None, None, None)
    assert (point.bit, point.either.number, list(point.inner.flags)) == (0, 0, [0, 0, 0])
    assert (inner.low, list(inner.flags)) == (0, [0, 0, 0])
    narrow = smallest(strategies(lib.narrow), lambda arguments: arguments[0].bits > 3)
    assert (narrow[0].bits, narrow[0].signed_bits) == (4, 0)
    narrow = smallest(strategies(lib.narrow), lambda arguments: arguments[0].signed_bits < -8)
    assert (narrow[0].bits, narrow[0].signed_bits) == (0, -9)
    seen = []

    @SETTINGS
    @given(strategies(lib.record))
    def check(arguments):
        assert not any(arguments[0] is one for one in seen)
        seen.append(arguments[0])
        low = arguments[1].low
        arguments[0].x = 1
        assert lib.record(*arguments) == 1 + low

    check()


def test_callbacks_return_what_their_type_says(lib):
    @SETTINGS
    @given(strategies(lib.call))
    def check(arguments):
        assert -(2**31) <= lib.call(*arguments) < 2**31

    check()


def test_pointers_are_not_null_unless_that_is_said(lib):
    assert smallest(strategies(lib.text, null=True)) == (None, None)
    assert smallest(strategies(lib.text, null=["written"])) == (b"", None)
    # What nothing can be made for but NULL.
    assert smallest(strategies(lib.handles, null=True)) == (None, None, None)

    @SETTINGS
    @given(strategies(lib.text))
    def check(arguments):
        assert None not in arguments

    check()


def test_arguments_can_have_strategies_of_ones_own(lib):
    assert smallest(strategies(lib.text, read=st.just("given"))) == ("given", bytearray(b"\0"))


def test_text_is_str_where_the_interface_has_an_encoding(build):
    built = build(HEADER, SOURCE)
    lib = pythy.create_interface(built.header, built.library, encoding="utf-8")
    assert smallest(strategies(lib.text), lambda arguments: len(arguments[0]) > 1) == ("00", bytearray(b"\0"))
    wide = smallest(strategies(lib.text), lambda arguments: len(arguments[1]) > 3 and arguments[1][0] > 127)
    assert bytes(wide[1]).decode().endswith("\0")
    lib.close()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda lib: strategies(lib.handles),
            "strategies() cannot make argument 'hidden' (struct hidden *) of handles() (only C code makes "
            "such): give a strategy, strategies(lib.handles, hidden=...)",
        ),
        (
            lambda lib: strategies(lib.handles, null=["hidden"]),
            "strategies() cannot make argument 'names' (char **) of handles() (only C code makes such): "
            "give a strategy, strategies(lib.handles, names=...)",
        ),
        (
            lambda lib: strategies(lib.make_call),
            "strategies() cannot make argument 'make' (struct hidden *(*)(int)) of make_call() (nothing to "
            "make its result of): give a strategy, strategies(lib.make_call, make=...)",
        ),
        (
            lambda lib: strategies(len),
            "strategies() takes a C function of an interface, such as lib.add, not 'len' (nor one that a "
            "directive of the header has changed)",
        ),
        (
            lambda lib: strategies(lib.new),
            "strategies() takes a C function of an interface, such as lib.add, not 'new' (nor one that a "
            "directive of the header has changed)",
        ),
        (
            lambda lib: strategies(lib.text, size=st.none()),
            "text() has no argument 'size': it has read, written",
        ),
        (lambda lib: strategies(lib.nothing, null=["x"]), "nothing() has no argument 'x': it has none"),
        (
            lambda lib: strategies(lib.text, read=b"x"),
            "'read' must be a strategy, such as st.just(b'x'), not bytes",
        ),
        (
            lambda lib: strategies(lib.text, null=3),
            'null must be True, False or a list of names, such as null=["text"], not 3',
        ),
        (
            lambda lib: strategies(lib.text, null="written"),
            "null must be True, False or a list of names, such as null=[\"written\"], not 'written'",
        ),
        (
            lambda lib: strategies(lib.scalars, null=["s"]),
            "argument 's' (signed char) of scalars() is no pointer, so it cannot be NULL: "
            "leave it out of null",
        ),
    ],
)
def test_what_cannot_be_says_what_to_do(lib, ask, message):
    with pytest.raises(TypeError) as refused:
        ask(lib)
    assert str(refused.value) == message


def test_a_function_whose_module_is_gone_has_its_strategies(build):
    built = build("int both(int a, int b);", "int both(int a, int b) { return a & b; }")
    both = pythy.create_interface(built.header, built.library).both
    gc.collect()
    seen = []
    given(strategies(both))(lambda arguments: seen.append((*arguments, both(*arguments))))()
    assert all(a & b == result for a, b, result in seen)
    assert seen


def test_without_hypothesis_it_says_what_to_install():
    script = "import sys; sys.modules['hypothesis'] = None\nimport pythy\nimport pythy.testing"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ran.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: pythy.testing needs Hypothesis, which is not installed: pip install hypothesis"
    )


def test_nothing_else_of_pythys_imports_hypothesis():
    script = "import sys, pythy; pythy.create_interface; print('hypothesis' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ran.stdout == "False\n"
