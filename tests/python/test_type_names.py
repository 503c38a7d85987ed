"""Every type of C by its name."""

import pytest
import pythy

pytestmark = pytest.mark.usefixtures("both_backends")

HEADER = """
    #include <stddef.h>
    struct point { int x, y; };
    union number { int i; float f; };
    enum colour { RED, GREEN };
    typedef struct point place;
    typedef int (*compare)(const void *, const void *);
    typedef int compare_function(const void *, const void *);
    void sort(int *v, size_t n, compare_function *f);
    int apply_all(int (*functions[4])(int), int value);
    int sum_rows(int (*rows)[3], int count);
    void (*outer(int k))(double);
"""
SOURCE = """
    #include <stdlib.h>
    void sort(int *v, size_t n, compare_function *f) { qsort(v, n, sizeof *v, f); }
    int apply_all(int (*functions[4])(int), int value) {
        for (int k = 0; k < 4; k++) value = functions[k](value);
        return value;
    }
    int sum_rows(int (*rows)[3], int count) {
        int sum = 0;
        for (int k = 0; k < count; k++) sum += rows[k][0] + rows[k][1] * 10 + rows[k][2] * 100;
        return sum;
    }
    static double last;
    static void set(double value) { last = value; }
    void (*outer(int k))(double) { return k ? set : 0; }
"""


@pytest.fixture
def lib(interface):
    return interface(HEADER, SOURCE)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("int", 4),
        ("unsigned long long int", 8),
        ("long double", 16),
        ("double _Complex", 16),
        ("_Complex float", 8),
        ("struct point", 8),
        ("place[3]", 24),
        ("union number", 4),
        ("enum colour", 4),
        ("const char *const", 8),
        ("int (*)(const void *, const void *)", 8),
        ("void (*(*)(int))(double)", 8),
        ("int (*[4])(int)", 32),
        ("int (*)[3]", 8),
        ("int [2][3]", 24),
        ("compare_function *", 8),
        ("compare[2]", 16),
        ("struct point volatile", 8),
        ("int(*)(int v[], char *restrict s, ...)", 8),
        ("char[010]", 8),
        ("char[0x1F]", 31),
        ("char[0B11]", 3),
        ("char[12UL]", 12),
        ("char[0]", 0),
    ],
)
def test_sizes(lib, name, size):
    assert lib.sizeof(name) == size


def test_a_name_is_the_same_type_as_the_headers(lib):
    values = lib.new("int[3]", [3, 1, 2])
    for name in ("compare", "compare_function", "compare_function *", "int (*)(const void *, const void *)"):

        @lib.callback(name)
        def ascending(a, b):
            return lib.cast(a, "const int *")[0] - lib.cast(b, "const int *")[0]

        values[:] = [3, 1, 2]
        lib.sort(values, 3, ascending)
        assert values[:] == [1, 2, 3]
    table = lib.new("int (*[4])(int)", [lambda value, k=k: value * 10 + k for k in range(4)])
    assert lib.apply_all(table, 0) == 123
    rows = lib.new("int[2][3]", [[1, 2, 3], [4, 5, 6]])
    assert lib.sum_rows(rows, 2) == 975
    assert lib.sum_rows(lib.cast(rows, "int (*)[3]"), 1) == 321
    assert lib.outer(1) == lib.cast(lib.outer(1), "void (*)(double)")


def test_a_function_pointer_is_not_the_pointer_to_one(lib):
    pointer = lib.cast(1, "int (**)(const void *, const void *)")
    with pytest.raises(pythy.ArgumentError) as caught:
        lib.sort(None, 0, pointer)
    assert str(caught.value) == (
        "sort() argument 3 'f' (compare_function *) must not be a pointer of type 'int (**)(void *, void *)'"
    )
    assert repr(lib.cast(16, "int (*)[3]")) == "<pythy.Pointer 'int (*)[3]' at 0x10>"


def test_writing_through_const_is_refused(lib):
    points = lib.new("struct point[2]", [(1, 2), (3, 4)])
    numbers = lib.new("int[2]", [1, 2])
    for write, says in [
        (
            lambda: setattr(lib.cast(points, "const struct point *"), "x", 0),
            "struct point.x is in a const record",
        ),
        (lambda: setattr(lib.cast(points, "place const*")[1], "x", 0), "struct point.x is in a const record"),
        (lambda: lib.cast(numbers, "const int *").__setitem__(0, 1), "'int *' item 0 is const"),
        (lambda: setattr(lib.new("const int", 1), "value", 2), "the value is const"),
        (lambda: lib.new("const int[2]", [1, 2]).__setitem__(0, 1), "'int [2]' item 0 is const"),
        (lambda: setattr(lib.new("const place[1]")[0], "x", 0), "struct point.x is in a const record"),
    ]:
        with pytest.raises(pythy.ArgumentError) as caught:
            write()
        assert str(caught.value) == f"{says}: it cannot be written"
    assert (points[0].x, points[1].x, numbers[:]) == (1, 3, [1, 2])
    # The pointer is const, what it points to is not; and the order of asking makes no difference.
    lib.cast(numbers, "int *const")[0] = 7
    lib.cast(numbers, "int *")[1] = 8
    assert numbers[:] == [7, 8]


def test_the_buffer_of_const_memory_is_read_only(lib):
    assert lib.buffer(lib.new("const int[2]", [1, 2])).readonly
    assert lib.buffer(lib.cast(lib.new("int[2]"), "const int *"), 8).readonly
    assert not lib.buffer(lib.new("int[2]", [1, 2])).readonly


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("struct pont", "'struct pont' is not a type of code.h; did you mean 'struct point'?"),
        ("const point *", "'point' is not a type of code.h; did you mean 'struct point'?"),
        ("struct number", "'struct number' is not a type of code.h; did you mean 'union number'?"),
        ("enum color *", "'enum color' is not a type of code.h; did you mean 'enum colour'?"),
        ("int (*)(compar)", "'compar' is not a type of code.h; did you mean 'compare'?"),
        ("quux", "'quux' is not a type of code.h"),
        ("int (*)(int", "'int (*)(int' is no C type: ',' or ')' expected at its end"),
        ("int [x]", "'int [x]' is no C type: a length or ']' expected at column 6, not 'x'"),
        ("int [08]", "'int [08]' is no C type: a length or ']' expected at column 6, not '08'"),
        ("compare_function[2]", "'compare_function[2]' is no C type: there is no array of functions"),
    ],
)
def test_a_bad_name_says_what_is_wrong_and_where(lib, name, says):
    for ask in (lib.new, lib.ref, lib.sizeof, lib.callback, lambda name: lib.cast(None, name)):
        with pytest.raises(pythy.ArgumentError) as caught:
            ask(name)
        assert str(caught.value) == says
