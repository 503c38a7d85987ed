"""Dicts, tuples and lists as the values of records and arrays."""

import gc

import pytest
import pythy

pytestmark = pytest.mark.usefixtures("both_backends")

HEADER = """
    struct point { int x, y; };
    struct shape {
        const char *name;
        struct point corners[2];
        unsigned filled : 1;
        struct { int a; union { int i; struct { short low, high; }; }; int b; } in;
        char tag[4];
        int *data;
        int (*area)(int);
    };
    union number { int i; float f; };
    struct fixed { const int id; int value; };
    int area_of(const struct shape *shape, int k);
    const char *name_of(const struct shape *shape);
"""
SOURCE = """
    int area_of(const struct shape *shape, int k) { return shape->area(k); }
    const char *name_of(const struct shape *shape) { return shape->name; }
"""


@pytest.fixture
def lib(interface):
    return interface(HEADER, SOURCE)


def corners(shape):
    return [(corner.x, corner.y) for corner in shape.corners]


def test_dicts_and_tuples_nest(lib):
    shape = lib.new("struct shape", name=b"x", corners=[{"x": 1, "y": 2}, (3, 4)], filled=True)
    assert (shape.name, corners(shape), shape.filled) == (b"x", [(1, 2), (3, 4)], 1)
    same = lib.new("struct shape", {"name": "x", "corners": ((1, 2), [3, 4])}, filled=1)
    assert (same.name, corners(same), same.filled) == (b"x", [(1, 2), (3, 4)], 1)
    assert corners(lib.new("struct shape", (None, [(5,)]))) == [(5, 0), (0, 0)]
    assert lib.new("struct point[2]", [{"y": 1}, (2, 3)])[1].x == 2


def test_a_tuple_has_one_value_for_each_union(lib):
    """As in C: a union takes the value of its first member."""
    shape = lib.new("struct shape", ("n", [], 0, (1, 0x20003, 4), "tag"))
    nested = shape["in"]
    assert (nested.a, nested.i, nested.b, shape.tag) == (1, 0x20003, 4, b"tag")
    assert (nested.low, nested.high) == (3, 2)
    assert lib.new("union number", (5,)).i == 5
    assert lib.new("union number", {"f": 1.5}).f == 1.5


def test_assignment_takes_them_too_and_leaves_the_rest(lib):
    shape = lib.new("struct shape", corners=[(1, 2), (3, 4)])
    shape.corners[0] = {"y": 8}
    shape.corners[1] = (9,)
    assert corners(shape) == [(1, 8), (9, 4)]
    shape.corners = [lib.new("struct point", (5, 6))]
    assert corners(shape) == [(5, 6), (9, 4)]
    lib.cast(shape, "struct shape *").corners[1] = {"x": 0}
    assert corners(shape) == [(5, 6), (0, 4)]


def test_callables_and_text_in_them_are_kept(lib):
    shape = lib.new("struct shape", {"area": lambda k: k * k, "name": "n" * 1000})
    copy = lib.new("struct shape[1]", [shape])
    del shape
    gc.collect()
    assert (lib.area_of(copy, 7), lib.name_of(copy)) == (49, b"n" * 1000)


def test_an_array_without_a_length_takes_that_of_its_value(lib):
    assert lib.new("int[]", [1, 2, 3])[:] == [1, 2, 3]
    assert lib.sizeof(lib.new("char[]", b"text")) == 5
    assert lib.sizeof(lib.new("char[]", "é")) == 3
    assert len(lib.new("struct point[]", [(1, 2), (3, 4)])) == 2


def test_bytes_of_any_kind_fill_the_rest_of_an_array_with_zeros(lib):
    shape = lib.new("struct shape")
    for value in (b"x", "x", bytearray(b"x"), memoryview(b"x"), memoryview(b"x.")[::2]):
        shape.tag = b"long"
        shape.tag = value
        assert shape.tag == b"x"
    shape.tag = b"long"
    shape.tag = [b"L"]
    assert shape.tag == b"Long"


def test_const_is_initialised_once(lib):
    fixed = lib.new("struct fixed", id=5, value=6)
    fixed.value = 7
    with pytest.raises(pythy.ArgumentError, match=r"^struct fixed\.id is const: it cannot be written$"):
        fixed.id = 6
    assert (fixed.id, fixed.value, lib.new("const int", 5).value) == (5, 7, 5)


def test_what_does_not_fit_is_told_with_its_path(lib):
    new = lib.new
    for wrong, exception, says in [
        (
            lambda: new("struct shape", corners=[(1, 2), {"z": 1}]),
            pythy.ArgumentError,
            "struct shape.corners[1]: 'struct point' has no field 'z'",
        ),
        (lambda: new("struct shape", z=1), pythy.ArgumentError, "'struct shape' has no field 'z'"),
        (lambda: new("int", z=1), pythy.ArgumentError, "'int' has no field 'z'"),
        (
            lambda: new("struct shape", corners=[(1, "x")]),
            pythy.ArgumentError,
            "struct shape.corners[0].y (int) must be an int, not str",
        ),
        (
            lambda: new("struct point[2]", [{}, {"y": 2**31}]),
            OverflowError,
            "the value[1].y (int): 2147483648 is out of range: it takes -2147483648 to 2147483647",
        ),
        (
            lambda: new("struct point", (1, 2, 3)),
            pythy.ArgumentError,
            "struct point: 3 items for the 2 fields of 'struct point'",
        ),
        (
            lambda: new("union number", (1, 2)),
            pythy.ArgumentError,
            "union number: 2 items for the 1 field of 'union number'",
        ),
        (
            lambda: new("struct shape", corners=[(), (), ()]),
            pythy.ArgumentError,
            "struct shape.corners: 3 items do not fit 2",
        ),
        (
            lambda: new("struct shape", tag=b"12345"),
            pythy.ArgumentError,
            "struct shape.tag: 5 bytes do not fit 4",
        ),
        (
            lambda: new("struct shape", corners=5),
            pythy.ArgumentError,
            "struct shape.corners takes a sequence of 'struct point', not int",
        ),
        (
            lambda: new("struct shape", corners={"x": 1}),
            pythy.ArgumentError,
            "struct shape.corners takes a sequence of 'struct point', not dict",
        ),
        (
            lambda: new("struct point", 5),
            pythy.ArgumentError,
            "struct point takes a 'struct point', a dict or a tuple, not int",
        ),
        (
            lambda: new("struct point", {1: 2}),
            pythy.ArgumentError,
            "struct point: the keys of a dict are the names of fields, not int",
        ),
        (
            lambda: new("struct shape", filled=2),
            OverflowError,
            "struct shape.filled: 2 does not fit a bit-field of 1 bits: it takes 0 to 1",
        ),
        (
            lambda: new("int[]", 5),
            pythy.ArgumentError,
            "an array without a length takes that of its value, and int has none",
        ),
        (
            lambda: new("struct shape", tag="a\0b"),
            pythy.ArgumentError,
            "struct shape.tag must not be a str with a NUL character inside: C would see the text end there",
        ),
    ]:
        with pytest.raises(exception) as caught:
            wrong()
        assert (type(caught.value), str(caught.value)) == (exception, says)
