"""Records by value, wide numbers and kept results between C and a Python callback."""

import gc
import random

import pytest
import pythy

pytestmark = pytest.mark.usefixtures("both_backends")

SCALARS = ["char", "signed char", "unsigned short", "int", "long", "float", "double"] + 2 * ["long double"]
NESTED = "struct { short s; double d; }"


def random_scalar(generator: random.Random, scalar: str):
    if scalar == "char":
        return bytes([generator.randrange(1, 127)])
    if scalar in ("float", "double", "long double"):
        return generator.randrange(-1000, 1000) / 4
    return generator.randrange(2 ** {"signed char": 7, "unsigned short": 16, "int": 31, "long": 63}[scalar])


def random_member(generator: random.Random, name: str):
    """A member's declaration, a value for it, and what reads it back."""
    shape = generator.choice(["scalar"] * 5 + ["array", "nested", "union", "bits"])
    scalar = generator.choice(SCALARS)
    if shape == "scalar":
        return f"{scalar} {name};", random_scalar(generator, scalar), lambda value: value
    if shape == "array":
        scalar = generator.choice(["short", "float", "double"])
        values = [generator.randrange(-99, 99) for _ in range(generator.randrange(1, 4))]
        return f"{scalar} {name}[{len(values)}];", values, lambda value: value[:]
    if shape == "nested":
        value = (generator.randrange(-99, 99), generator.randrange(99) / 2)
        return f"{NESTED} {name};", value, lambda value: (value.s, value.d)
    if shape == "union":
        value = {"d": generator.randrange(-99, 99) / 8}
        return f"union {{ int i; double d; }} {name};", value, lambda value: {"d": value.d}
    return f"int {name} : 5;", generator.randrange(-16, 16), lambda value: value


def test_random_records_go_to_a_callback_and_come_back(interface):
    """Two records among up to 17 other arguments, compiled C on the other side."""
    generator = random.Random(11)
    header, source, cases = [], [], []
    for k in range(150):
        members = [random_member(generator, f"f{i}") for i in range(generator.randrange(1, 6))]
        others = [generator.choice(["int", "double", "long double"]) for _ in range(generator.randrange(18))]
        at = generator.randrange(len(others) + 1)
        header.append(f"struct s{k} {{ {' '.join(declaration for declaration, *_ in members)} }};")
        passed = [f"e{i}" for i in range(len(others))]
        passed.insert(at, "*a")
        types = list(others)
        types.insert(at, f"struct s{k}")
        other_parameters = "".join(f", {ty} e{i}" for i, ty in enumerate(others))
        prototype = (
            f"void call{k}(struct s{k} (*f)({', '.join(types)}, struct s{k}), const struct s{k} *a, "
            f"const struct s{k} *b, struct s{k} *out{other_parameters})"
        )
        header.append(f"{prototype};")
        source.append(f"{prototype} {{ *out = f({', '.join(passed)}, *b); }}")
        cases.append((members, others, at))
    lib = interface("\n".join(header), "\n".join(source))
    for k, (members, others, at) in enumerate(cases):

        def read(record, members=members):
            return [back(getattr(record, f"f{i}")) for i, (_, _, back) in enumerate(members)]

        first = lib.new(f"struct s{k}", tuple(value for _, value, _ in members))
        second = lib.new(f"struct s{k}")
        out = lib.new(f"struct s{k}")
        values = [generator.randrange(-99, 99) for _ in others]
        seen = []

        def answer(*arguments, seen=seen, at=at):
            seen.extend(arguments)
            return arguments[at]

        getattr(lib, f"call{k}")(answer, first, second, out, *values)
        assert read(first) == [value for _, value, _ in members], k
        assert read(out) == read(first), (k, header[2 * k])
        assert read(seen.pop(at)) == read(first), (k, header[2 * k])
        assert read(seen.pop()) == read(second), (k, header[2 * k])
        assert seen == values, (k, others)


HEADER = """
    struct point { int x, y; };
    struct label { const char *text; struct point at; };
    struct __attribute__((packed)) tight { char c; int i; };
    typedef struct label labeller(int k);
    int tight_by(struct tight (*f)(void));
    struct point moved(struct point (*move)(struct point p, int dx), struct point p, int dx);
    unsigned long lengths(const char *(*name)(int k), int first, int count);
    const char *kept_name(const char *(*name)(int k));
    unsigned long label_length(labeller *f, int k);
    int first_of(int *(*give)(void));
    int is_null(void *(*give)(void));
    enum colour { RED, GREEN = 5 };
    enum colour painted(enum colour (*paint)(enum colour));
    _Bool opposite(_Bool (*f)(_Bool), _Bool value);
    void each(void (*visit)(int k), int count);
    double _Complex squared(double _Complex (*f)(double _Complex), double _Complex z);
    long double halved(long double (*f)(long double), long double value);
    int chosen(int (*(*choose)(int k))(int), int k, int value);
    int wide_by(long double _Complex (*f)(void));
"""
SOURCE = """
    #include <string.h>
    int tight_by(struct tight (*f)(void)) { return f().i; }
    struct point moved(struct point (*move)(struct point p, int dx), struct point p, int dx) {
        return move(p, dx);
    }
    unsigned long lengths(const char *(*name)(int k), int first, int count) {
        const char *names[100];
        unsigned long sum = 0;
        for (int k = 0; k < count; k++) names[k] = name(first + k);
        for (int k = 0; k < count; k++) sum = sum * 10 + strlen(names[k]);
        return sum;
    }
    const char *kept_name(const char *(*name)(int k)) { return name(3); }
    unsigned long label_length(labeller *f, int k) { struct label l = f(k); return strlen(l.text) + l.at.y; }
    int first_of(int *(*give)(void)) { return give()[0]; }
    int is_null(void *(*give)(void)) { return give() == 0; }
    enum colour painted(enum colour (*paint)(enum colour)) { return paint(GREEN); }
    _Bool opposite(_Bool (*f)(_Bool), _Bool value) { return f(value); }
    void each(void (*visit)(int k), int count) { for (int k = 0; k < count; k++) visit(k); }
    double _Complex squared(double _Complex (*f)(double _Complex), double _Complex z) { return f(z); }
    long double halved(long double (*f)(long double), long double value) { return f(value); }
    int chosen(int (*(*choose)(int k))(int), int k, int value) { return choose(k)(value); }
    int wide_by(long double _Complex (*f)(void)) { return 0; }
"""


@pytest.fixture
def lib(interface):
    return interface(HEADER, SOURCE)


def test_a_record_is_given_as_record_dict_or_tuple(lib):
    start = lib.new("struct point", (1, 2))
    for move in (
        lambda p, dx: lib.new("struct point", x=p.x + dx, y=p.y),
        lambda p, dx: {"x": p.x + dx, "y": p.y},
        lambda p, dx: (p.x + dx, p.y),
    ):
        result = lib.moved(move, start, 10)
        assert (result.x, result.y, start.x) == (11, 2, 1)
    with pytest.raises(pythy.ArgumentError) as caught:
        lib.moved(lambda p, dx: {"z": 1}, start, 1)
    assert str(caught.value) == "a callback's result: 'struct point' has no field 'z'"


def test_a_record_that_a_callback_got_is_its_own(lib):
    got = []
    lib.moved(lambda p, dx: got.append(p) or p, lib.new("struct point", (7, 8)), 1)
    gc.collect()
    assert (got[0].x, got[0].y) == (7, 8)


def test_text_lives_as_long_as_the_foreign_call(lib):
    """C looks at 9 results of one callback when it has all of them."""
    assert lib.lengths(lambda k: b"x" * k + bytes(0), 1, 9) == 123456789
    assert lib.lengths(lambda k: "é" * k, 1, 4) == 2468


def test_what_a_kept_callback_gave_lives_until_its_next_call(lib):
    @lib.callback("const char *(*)(int)")
    def name(k):
        return bytes([64 + k]) * 1000

    assert lib.kept_name(name) == b"C" * 1000
    gc.collect()
    assert lib.lengths(name, 1, 1) == 1000


def test_text_inside_a_record_is_kept_too(lib):
    @lib.callback("labeller")
    def label(k):
        return {"text": "x" * k, "at": (0, 7)}

    assert lib.label_length(label, 5) == 12
    assert lib.label_length(lambda k: ("ab" * k, {"y": 1}), 2) == 5


def test_pointers_are_given_as_anything_that_is_one(lib):
    assert lib.first_of(lambda: lib.new("int[2]", [5, 6])) == 5
    assert lib.first_of(lambda: lib.ref("int", 8)) == 8
    kept = lib.ref("int", 9)
    assert lib.first_of(lambda: lib.cast(kept, "int *")) == 9
    assert lib.is_null(lambda: None) == 1
    assert lib.is_null(lambda: bytearray(1)) == 0


def test_enums_bools_and_nothing(lib):
    assert lib.painted(lambda colour: lib.RED if colour is lib.GREEN else lib.GREEN) is lib.RED
    assert [lib.opposite(lambda value: not value, value) for value in (True, False)] == [False, True]
    # What a void function returns is nobody's, as with any C compiler.
    seen = []
    lib.each(lambda k: seen.append(k) or k, 3)
    assert seen == [0, 1, 2]


def test_wide_numbers(lib):
    assert lib.squared(lambda z: z * z, 1 + 2j) == -3 + 4j
    assert lib.halved(lambda value: value / 2, 5.0) == 2.5


def test_a_callback_may_give_a_callable(lib):
    assert lib.chosen(lambda k: lambda value: value * k, 6, 7) == 42


def test_what_libffi_cannot_express_is_refused_when_the_callback_is_made(lib):
    with pytest.raises(pythy.ArgumentError) as caught:
        lib.tight_by(lambda: None)
    assert str(caught.value) == (
        "a callback of type 'struct tight (*)(void)' cannot be made: it has a record by value whose fields "
        "are not aligned"
    )
    with pytest.raises(pythy.ArgumentError) as caught:
        lib.callback("int (*)(const char *, ...)")(print)
    assert str(caught.value) == ("a callback of type 'int (*)(char *, ...)' cannot be made: it is variadic")
    with pytest.raises(pythy.ArgumentError) as caught:
        lib.wide_by(lambda: 1j)
    assert str(caught.value) == (
        "a callback of type 'long double _Complex (*)(void)' cannot be made: it has a 'long double _Complex' "
        "as its result, which libffi cannot return"
    )
