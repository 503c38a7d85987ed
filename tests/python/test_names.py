"""What is in dir(lib) beside functions: records are classes, typedefs are types, names do not clash."""

import gc
import types
from unittest import mock

import pytest
import pythy

pytestmark = pytest.mark.usefixtures("both_backends")

HEADER = """
    #include "other.h"
    /** A place. */
    typedef struct point { int x, y; } point_t;
    struct box { struct point corners[2]; const struct point fixed; struct { int deep; } inner; };
    typedef struct { int a; } untagged;
    typedef unsigned long size;
    typedef int pair[2];
    typedef int row[];
    typedef int (*compare)(int a, int b);
    typedef int comparing(int a, int b);
    typedef struct handle *handle;
    enum paint { RED, from };
    struct stat { int mode; };
    enum kind { KIND };
    #define kind 3
    int stat(struct stat *out);
    struct lost { int found; };
    int lost(int);
    struct reached *reach(void);
    struct box boxed(int x);
    struct point *first(struct box *box);
    int call(compare compare, handle handle);
    extern int class;
    extern int absent;
"""
OTHER = """
    struct reached { enum depth { SHALLOW, DEEP } depth; struct further *next; };
    struct further { int far; };
    struct apart { int x; };
    typedef int distance;
    enum elsewhere { NOWHERE };
    #define AFAR 7
"""
SOURCE = """
    int class = 4;
    int stat(struct stat *out) { return out->mode; }
    struct reached *reach(void) { static struct reached one = {DEEP, 0}; return &one; }
    struct box boxed(int x) { struct box box = {{{x, 1}, {x, 2}}, {x, 3}, {x}}; return box; }
    struct point *first(struct box *box) { return box->corners; }
    int call(compare compare, handle handle) { return compare(1, 2) + !handle; }
"""


@pytest.fixture(scope="module")
def lib(tmp_path_factory, build, both_backends):
    directory = tmp_path_factory.mktemp("names")
    (directory / "other.h").write_text(OTHER)
    built = build(HEADER, SOURCE, directory=directory)
    return pythy.create_interface(built.header, built.library)


def test_dir_has_the_names_of_the_given_headers_and_what_bound_functions_reach(lib):
    assert [name for name in dir(lib) if not name.startswith("__")] == [
        *("DEEP", "KIND", "RED", "SHALLOW"),
        *("box", "boxed", "buffer", "call", "callback", "cast", "class_", "close", "compare", "comparing"),
        *("depth", "enum_kind", "first", "from_", "from_handle", "further", "handle", "kind", "new"),
        *("new_handle", "own", "paint", "pair"),
        *("point", "point_t", "reach", "reached", "ref", "row", "size", "sizeof", "stat"),
        "struct_handle",
        *("struct_lost", "struct_stat", "untagged"),
    ]
    for name in dir(lib):
        getattr(lib, name)


def test_other_names_of_included_headers_are_there_when_they_are_asked_for(lib):
    assert lib.AFAR == 7
    assert lib.apart(x=1).x == 1
    assert lib.sizeof(lib.distance) == 4
    assert lib.NOWHERE is lib.elsewhere.NOWHERE


def test_a_record_is_a_class_of_its_own(lib):
    assert lib.point.__bases__ == (pythy.Record,)
    assert (lib.point.__name__, lib.point.__module__, lib.point.__doc__) == ("point", "code", "A place.")
    assert repr(lib.point) == "<class 'code.point'>"
    assert lib.point_t is lib.point
    assert repr(lib.point(x=1)) == "<struct point x=1 y=0>"
    assert type(lib.untagged(a=2)) is lib.untagged


def test_every_record_is_an_instance_of_its_class_wherever_it_comes_from(lib):
    box = lib.boxed(5)
    assert type(box) is lib.box
    assert type(box.corners[0]) is type(box.fixed) is type(lib.new("struct point")) is lib.point
    assert type(lib.first(box)[0]) is type(lib.ref("struct point")) is lib.point
    assert type(box.inner) is pythy.Record
    assert not isinstance(box, lib.point)
    match box.corners[1]:
        case lib.point(x=x, y=y):
            assert (x, y) == (5, 2)


def test_a_class_makes_what_new_makes(lib):
    one = lib.point(x=1, y=2)
    other = lib.point(one, y=3)
    assert (one.x, one.y, other.x, other.y) == (1, 2, 1, 3)
    assert (lib.sizeof(lib.point), lib.new(lib.point, one).y) == (8, 2)


def test_a_class_may_be_derived_from(lib):
    class Point(lib.point):
        def sum(self):
            return self.x + self.y

    point = Point(x=1, y=2)
    assert (point.sum(), isinstance(point, lib.point)) == (3, True)
    assert lib.box(corners=[point]).corners[0].y == 2


def test_a_misspelt_name_is_told_with_the_nearest(lib):
    with pytest.raises(AttributeError) as name:
        _ = lib.untaged
    assert str(name.value).endswith("has no attribute 'untaged'; did you mean 'untagged'?")
    with pytest.raises(AttributeError) as field:
        _ = lib.box().corner
    assert str(field.value) == "'struct box' has no field 'corner'; did you mean 'corners'?"
    with pytest.raises(pythy.ArgumentError) as given:
        lib.box(iner=1)
    assert str(given.value) == "'struct box' has no field 'iner'; did you mean 'inner'?"
    # What Python itself asks for, as pydoc does, is nobody's mistake.
    with pytest.raises(AttributeError) as own:
        _ = lib._reach
    assert str(own.value).endswith("has no attribute '_reach'")


def test_what_a_class_cannot_make(lib):
    with pytest.raises(pythy.ArgumentError) as missing:
        lib.point(z=1)
    assert str(missing.value) == "'struct point' has no field 'z'"
    with pytest.raises(TypeError) as opaque:
        lib.struct_handle()
    assert str(opaque.value) == ("'struct handle' has no size: 'struct handle' is only declared, not defined")
    with pytest.raises(TypeError) as base:
        pythy.Record()
    assert str(base.value) == (
        'pythy.Record has no fields of its own: make records with lib.new("struct name")'
    )
    with pytest.raises(AttributeError):
        lib.point().z = 1


def test_a_typedef_stands_for_its_type_wherever_a_name_does(lib):
    assert (repr(lib.size), lib.size.__name__) == ("<pythy.CType 'size'>", "size")
    assert lib.ref(lib.size, 7).value == 7
    assert list(lib.new(lib.pair, [1, 2])) == [1, 2]
    assert (lib.sizeof(lib.size), lib.sizeof(lib.pair)) == (8, 8)
    assert list(lib.new(lib.row, [1, 2, 3])) == [1, 2, 3]
    assert lib.call(lib.callback(lib.comparing)(lambda a, b: a - b), None) == 0
    assert repr(lib.cast(16, lib.handle)) == "<pythy.Pointer 'struct handle *' at 0x10>"
    assert lib.call(lib.callback(lib.compare)(lambda a, b: a + b), None) == 4
    for call in (lambda: lib.new(7), lambda: lib.cast(None, int), lambda: lib.callback(lib.paint)):
        with pytest.raises(TypeError, match="a C type is wanted here: its name as a str, or an object"):
            call()
    with pytest.raises(TypeError) as none:
        lib.callback(lib.size)
    assert str(none.value) == "'unsigned long' is no function pointer type"


def test_where_names_meet_functions_have_them_and_tags_keep_their_kind(lib):
    assert lib.stat(lib.struct_stat(mode=5)) == 5
    assert (lib.kind, lib.enum_kind.KIND) == (3, lib.KIND)
    assert lib.struct_lost(found=1).found == 1
    with pytest.raises(pythy.SymbolError, match="'lost' is declared, but it is not exported by"):
        lib.lost(1)


def test_keywords_have_an_underscore(lib):
    assert (lib.class_, lib.from_, lib.paint.from_) == (4, 1, lib.from_)
    lib.class_ = 9
    assert lib.class_ == 9
    lib.class_ = 4


def test_enumerators_that_enum_keeps_for_itself_have_an_underscore(interface):
    lib = interface(
        "enum e { mro = 1, _name_, __x__, _e__y, _, __, _z, name, value, real }; enum e same(enum e e);",
        "enum e same(enum e e) { return e; }",
    )
    names = ["mro_", "_name__", "__x___", "_e__y__", "_", "__", "_z", "name", "value", "real"]
    assert [member.name for member in lib.e] == names
    assert [member.value for member in lib.e] == list(range(1, 11))
    assert lib.mro is lib.e.mro_
    assert lib.same(2) is lib._name_ is lib.e._name__
    assert lib.same(4) is lib._e__y
    assert [name for name in dir(lib) if not hasattr(lib, name)] == []


def test_a_variable_that_the_library_lacks_is_named_with_the_reason(lib):
    assert "absent" not in dir(lib)
    with pytest.raises(pythy.SymbolError, match="'absent' is declared, but it is not exported by"):
        _ = lib.absent


def test_fields_that_are_keywords_have_an_underscore_too(interface):
    lib = interface(
        "struct s { int from, x; }; int f(struct s *s);", "int f(struct s *s) { return s->from; }"
    )
    one = lib.s(from_=3)
    assert (one.from_, one["from"], lib.f(one), dir(one)[-3:]) == (3, 3, 3, ["from_", "pointer", "x"])


def test_a_class_outlives_its_interface_without_keeping_it(interface):
    lib = interface("struct s { int x; }; int f(struct s *s);", "int f(struct s *s) { return s->x; }")
    cls = lib.s
    assert cls(x=1).x == 1
    del lib
    gc.collect()
    with pytest.raises(pythy.Error) as gone:
        cls()
    assert str(gone.value) == "the interface of the type 'struct s' is gone"


def test_the_generic_classes_can_be_named_in_annotations(lib):
    assert repr(pythy.Pointer[lib.point]) == "pythy.Pointer[code.point]"
    assert [str(cls[int]) for cls in (pythy.Ref, pythy.Array, pythy.CType)] == [
        "pythy.Ref[int]",
        "pythy.Array[int]",
        "pythy.CType[int]",
    ]


def test_a_function_may_be_replaced_and_comes_back(build, monkeypatch):
    """As pytest and unittest.mock do it, whether it has been called before or not."""
    built = build("int one(void); int two(void);", "int one(void) { return 1; } int two(void) { return 2; }")
    lib = pythy.create_interface(built.header, built.library)
    for name, value in {"one": 1, "two": 2}.items():
        with monkeypatch.context() as patch:
            patch.setattr(lib, name, lambda: 7)
            assert getattr(lib, name)() == 7
        assert getattr(lib, name)() == value
    fresh = pythy.create_interface(built.header, built.library)
    with mock.patch.object(fresh, "one", return_value=7):
        assert fresh.one() == 7
    assert fresh.one() == 1
    fresh.two = two = lambda: 8
    assert fresh.two is two
    del fresh.two
    assert fresh.two() == 2


def test_a_module_of_ones_own_may_have_a_getattr_of_its_own(build):
    built = build("enum { LIMIT = 9 };\nint one(void);", "int one(void) { return 1; }")
    module = types.ModuleType("mine")

    def getattr_of_module(name):
        if name == "made_up":
            return 7
        raise AttributeError(name)

    module.__getattr__ = getattr_of_module
    pythy.create_interface(built.header, built.library, module=module)
    assert (module.made_up, module.LIMIT, module.one()) == (7, 9, 1)
    with pytest.raises(AttributeError, match="nothing"):
        module.nothing  # noqa: B018


def test_names_of_ones_own_begin_with_an_underscore_or_live_in_ones_own_module(build):
    built = build("int one(void);", "int one(void) { return 1; }")
    lib = pythy.create_interface(built.header, built.library)
    lib._mine = 5
    assert lib._mine == 5
    del lib._mine
    assert not hasattr(lib, "_mine")
    module = types.ModuleType("mine")
    pythy.create_interface(built.header, built.library, module=module)
    module.anything = 5
    module.one = 6
    assert (module.anything, module.one) == (5, 6)
    del module.anything
