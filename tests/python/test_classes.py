"""Classes that directives make of functions: by the type of the first parameter, or by its name."""

import copy
import gc
import inspect
import pickle
import pydoc
import sys

import pytest
import pythy

BACKENDS = [
    {"backend": "inprocess"},
    # What a worker does hangs little on the version of Python.
    pytest.param({"backend": "isolated", "checker": "none"}, marks=pytest.mark.one_python),
]

HEADER = """
    // $ class rectangle
    // $ class box Crate

    /** A rectangle, its sides parallel to the axes. */
    struct rectangle { int width, height; };
    struct box;
    extern int alive;

    /** A rectangle of this size.
     * $ init rectangle */
    struct rectangle *rectangle_new(int width, int height);
    // $ cleanup rectangle
    void rectangle_free(struct rectangle *rectangle);
    // $ func_alias rectangle_* *
    /** Its area. */
    int rectangle_area(const struct rectangle *self);
    // $ property width
    int rectangle_get_width(const struct rectangle *self);
    void rectangle_set_width(struct rectangle *self, int width);
    /** How high it is.
     * $ property */
    int rectangle_get_height(const struct rectangle *self);
    /** The larger of two. */
    struct rectangle *rectangle_larger(struct rectangle *one, struct rectangle *other);
    struct rectangle *rectangle_copy(const struct rectangle *self);
    const struct rectangle *unit(void);
    int total(const struct rectangle *rectangles, int count, void *user);
    // $ private
    void rectangle_secret(struct rectangle *self);

    struct box *box_around(struct rectangle *bottom);
    struct rectangle *box_bottom(struct box *self);
"""
SOURCE = """
    #include <stdlib.h>
    int alive;
    struct box { struct rectangle *bottom; };
    static const struct rectangle one = {1, 1};
    struct rectangle *rectangle_new(int width, int height) {
        if (width < 0) return NULL;
        struct rectangle *r = malloc(sizeof *r);
        *r = (struct rectangle){width, height};
        alive++;
        return r;
    }
    void rectangle_free(struct rectangle *r) { alive--; free(r); }
    int rectangle_area(const struct rectangle *r) { return r->width * r->height; }
    int rectangle_get_width(const struct rectangle *r) { return r->width; }
    void rectangle_set_width(struct rectangle *r, int width) { r->width = width; }
    int rectangle_get_height(const struct rectangle *r) { return r->height; }
    struct rectangle *rectangle_larger(struct rectangle *a, struct rectangle *b) {
        return rectangle_area(a) >= rectangle_area(b) ? a : b;
    }
    struct rectangle *rectangle_copy(const struct rectangle *r) { return rectangle_new(r->width, r->height); }
    const struct rectangle *unit(void) { return &one; }
    int total(const struct rectangle *rectangles, int count, void *user) {
        return rectangle_area(rectangles) * count + (user == rectangles);
    }
    void rectangle_secret(struct rectangle *r) {}
    struct box *box_around(struct rectangle *bottom) {
        struct box *box = malloc(sizeof *box);
        box->bottom = bottom;
        return box;
    }
    struct rectangle *box_bottom(struct box *box) { return box->bottom; }
"""


@pytest.fixture(params=BACKENDS, ids=["inprocess", "isolated"])
def lib(request, build):
    built = build(HEADER, SOURCE)
    lib = pythy.create_interface(built.header, built.library, **request.param)
    yield lib
    gc.collect()
    lib.close()


def test_functions_with_the_type_as_first_parameter_are_methods(lib):
    rectangle = lib.Rectangle(2, 5)
    assert rectangle.area() == 10
    assert lib.rectangle_area(rectangle) == 10
    assert lib.rectangle_area(rectangle.ptr) == 10
    assert rectangle.ptr.height == 5
    assert type(rectangle).__name__ == "Rectangle"
    assert not hasattr(lib, "area")


def test_a_property_is_made_of_get_and_set(lib):
    rectangle = lib.Rectangle(2, 5)
    rectangle.width = 3
    assert (rectangle.width, rectangle.height, rectangle.area()) == (3, 5, 15)
    with pytest.raises(AttributeError):
        rectangle.height = 4
    assert lib.Rectangle.height.__doc__ == "How high it is."


def test_functions_that_return_the_type_return_instances(lib):
    small, large = lib.Rectangle(1, 2), lib.Rectangle(3, 4)
    assert small.larger(large) is large
    copy = large.copy()
    assert isinstance(copy, lib.Rectangle)
    assert copy != large
    assert (copy.area(), lib.alive) == (12, 3)
    del copy
    assert lib.alive == 2


def test_what_c_keeps_for_itself_is_not_freed(lib):
    unit = lib.unit()
    assert (type(unit), unit.area()) == (lib.Rectangle, 1)
    del unit
    assert lib.alive == 0


def test_objects_are_equal_by_address(lib):
    rectangle = lib.Rectangle(2, 5)
    crate = lib.box_around(rectangle)
    assert type(crate) is lib.Crate
    assert crate.box_bottom() is rectangle
    assert lib.unit() == lib.unit()
    assert hash(lib.unit()) == hash(lib.unit())
    assert rectangle != lib.unit()
    assert rectangle != int(rectangle.ptr)
    lib.cast(crate.ptr, "char *")


def test_instances_go_where_their_pointers_go(lib):
    rectangle = lib.Rectangle(2, 5)
    assert lib.total(rectangle, 2, rectangle) == 21
    assert lib.total(rectangle.ptr, 2, None) == 20
    with pytest.raises(pythy.ArgumentError):
        lib.rectangle_larger(rectangle, lib.box_around(rectangle))


def test_the_object_is_freed_once_however_it_ends(lib):
    with lib.Rectangle(2, 5) as rectangle:
        assert lib.alive == 1
    assert lib.alive == 0
    rectangle.close()
    assert lib.alive == 0
    rectangle = lib.Rectangle(2, 5)
    del rectangle
    assert lib.alive == 0
    rectangle = lib.Rectangle(2, 5)
    rectangle.free()
    assert lib.alive == 0
    del rectangle
    rectangle = lib.Rectangle(2, 5)
    lib.rectangle_free(rectangle)
    assert lib.alive == 0
    with pytest.raises(pythy.Error, match=r"^this Rectangle has been closed$"):
        rectangle.area()
    assert repr(rectangle) == "<Rectangle closed>"


def test_closing_the_interface_first_is_no_error(lib, capfd):
    rectangle = lib.Rectangle(2, 5)
    lib.close()
    del rectangle
    assert capfd.readouterr().err == ""


def test_an_init_that_returns_null_is_an_error(lib):
    with pytest.raises(MemoryError, match=r"^rectangle_new\(\) returned NULL$"):
        lib.Rectangle(-1, 0)
    with pytest.raises(pythy.ArgumentError, match=r"^rectangle_new\(\) takes 2 arguments, but 1 was given: "):
        lib.Rectangle(1)


def test_a_class_without_init_has_instances_only_from_c(lib):
    with pytest.raises(TypeError, match=r"^Crate has no init function: C functions return its instances$"):
        lib.Crate()


def test_private_functions_are_no_methods(lib):
    assert not hasattr(lib.Rectangle, "secret")
    assert not hasattr(lib, "rectangle_secret")


def test_help_shows_the_methods_with_their_documentation(lib):
    text = pydoc.plain(pydoc.render_doc(lib.Rectangle))
    for line in [
        "area(self, /)",
        "Its area.",
        "__init__(self, width, height, /)",
        "A rectangle of this size.",
    ]:
        assert line in text
    assert str(inspect.signature(lib.Rectangle)) == "(width, height, /)"
    assert repr(lib.Rectangle(1, 1)).startswith("<Rectangle at 0x")


def test_python_classes_can_derive_from_them(lib):
    class Square(lib.Rectangle):
        def __init__(self, side):
            super().__init__(side, side)

    square = Square(4)
    assert square.area() == 16
    assert isinstance(square, lib.Rectangle)
    del square
    assert lib.alive == 0


@pytest.mark.parametrize("options", BACKENDS, ids=["inprocess", "isolated"])
def test_methods_by_the_name_of_an_argument_of_any_type(build, options):
    built = build(
        """
        // $ class counter
        // $ init counter counter_new
        void *counter_new(int start);
        int counter_next(void *counter);
        int counter_of(void *other);
        // $ cleanup counter
        void counter_drop(void *counter);
        """,
        """
        #include <stdlib.h>
        void *counter_new(int start) { int *c = malloc(sizeof *c); *c = start; return c; }
        int counter_next(void *counter) { return ++*(int *)counter; }
        int counter_of(void *other) { return *(int *)other; }
        void counter_drop(void *counter) { free(counter); }
        """,
    )
    lib = pythy.create_interface(built.header, built.library, **options)
    counter = lib.Counter(5)
    assert (counter.counter_next(), counter.counter_next()) == (6, 7)
    assert not hasattr(counter, "counter_of")
    assert lib.counter_of(counter) == 7
    counter.close()


def test_wrappers_choose_by_class(build):
    built = build(
        """
        // $ class box
        // $ wrapper loud @*
        // $ wrapper quiet @#
        struct box { int width; };
        int box_width(struct box *box);
        int width(void);
        """,
        "int box_width(struct box *box) { return box->width; }\nint width(void) { return 1; }",
    )
    seen = []

    class Wrappers:
        @staticmethod
        def loud(function):
            seen.append(("loud", function.c_name, function.cls.c_name, function.cls.py_name))

        @staticmethod
        def quiet(function):
            seen.append(("quiet", function.c_name, function.cls))

    lib = pythy.create_interface(built.header, built.library, wrapper_modules=[Wrappers])
    assert sorted(seen) == [("loud", "box_width", "box", "Box"), ("quiet", "width", None)]
    assert lib.box_width(lib.new("struct box", width=3)) == 3


def test_objects_that_are_never_closed_are_leaks(build, natively):
    """Valgrind tells the call that made an object which nobody has freed; what is dropped is freed."""
    built = build(HEADER, SOURCE)
    script = """
        import pythy
        lib = pythy.create_interface("code.h", "code.so", backend="isolated")
        with pythy.watch() as report:
            rectangle = lib.Rectangle(2, 5)
            del rectangle
            pointer = lib.Rectangle(3, 5).ptr.disown()
            del pointer
        for finding in report.findings:
            print(finding.kind, finding.allocated_by.declaration.name, finding.leaked.bytes)
    """
    run = natively(script, directory=built.directory)
    assert run.stdout == "Leak_DefinitelyLost rectangle_new 8\n"


def test_the_class_has_the_documentation_of_its_record(lib):
    assert lib.Rectangle.__doc__ == "A rectangle, its sides parallel to the axes."
    assert lib.Crate.__doc__ is None


def test_freeing_by_the_pointer_closes_the_instance(lib):
    rectangle = lib.Rectangle(2, 5)
    lib.rectangle_free(rectangle.ptr)
    with pytest.raises(pythy.Error, match=r"^this Rectangle has been closed$"):
        rectangle.area()
    assert (repr(rectangle), lib.alive) == ("<Rectangle closed>", 0)
    rectangle = lib.Rectangle(2, 5)
    rectangle.ptr.release()
    assert (repr(rectangle), lib.alive) == ("<Rectangle closed>", 0)
    rectangle.close()
    assert lib.alive == 0


def test_a_call_that_is_refused_closes_nothing(lib):
    rectangle = lib.Rectangle(2, 5)
    crate = lib.box_around(rectangle)
    with pytest.raises(pythy.ArgumentError):
        lib.rectangle_free(crate)
    with pytest.raises(pythy.ArgumentError):
        lib.rectangle_free(rectangle, 1)
    assert (rectangle.area(), crate.box_bottom(), lib.alive) == (10, rectangle, 1)


def test_what_was_lent_before_it_is_given_is_freed_once(lib):
    first = lib.Rectangle(1, 1)
    plain = first.ptr.disown()
    again = lib.rectangle_larger(plain, plain)
    assert again is first
    assert lib.alive == 1
    lib.rectangle_free(plain)
    assert lib.alive == 0


def test_an_instance_can_be_made_anew(lib):
    rectangle = lib.Rectangle(1, 1)
    rectangle.__init__(2, 5)
    assert (rectangle.area(), lib.alive) == (10, 1)
    rectangle.close()
    rectangle.__init__(3, 5)
    assert (rectangle.area(), lib.alive) == (15, 1)
    assert lib.rectangle_larger(rectangle, rectangle) is rectangle


def test_a_with_statement_wants_an_open_object(lib):
    rectangle = lib.Rectangle(1, 1)
    rectangle.close()
    with pytest.raises(pythy.Error, match=r"^this Rectangle has been closed$"), rectangle:
        pass


def test_the_object_is_freed_when_the_block_raises(lib):
    with pytest.raises(ZeroDivisionError), lib.Rectangle(1, 1):
        raise ZeroDivisionError
    assert lib.alive == 0


def test_closed_objects_are_equal_only_to_themselves(lib):
    one, other = lib.Rectangle(1, 1), lib.Rectangle(1, 1)
    assert one != other
    one.close()
    other.close()
    assert one == one
    assert one != other
    assert len({one, other}) == 2


def test_c_objects_cannot_be_copied_or_pickled(lib):
    rectangle = lib.Rectangle(1, 1)
    for duplicate in copy.copy, copy.deepcopy, pickle.dumps:
        with pytest.raises(TypeError, match=r"^a Rectangle is a C object: it cannot be copied or pickled$"):
            duplicate(rectangle)


def test_an_init_that_is_not_called_is_told(lib):
    class Square(lib.Rectangle):
        def __init__(self, side):
            self.side = side

    square = Square(2)
    assert repr(square) == "<Square without C object>"
    with pytest.raises(pythy.Error) as caught:
        square.area()
    assert str(caught.value) == "this Square has no C object: its __init__() has not called that of its base"
    assert square == square
    assert square != lib.Rectangle(1, 1)
    square.close()


def test_methods_may_have_the_names_of_what_every_instance_has(build):
    built = build(
        """
        // $ class box
        // $ func_alias box_* *
        // $ cleanup box box_free
        struct box { int width; };
        // $ init box
        struct box *box_new(int width);
        void box_free(struct box *box);
        int box_ptr(struct box *box);
        int box_close(struct box *box);
        int box___len__(const struct box *box);
        extern int freed;
        """,
        """
        #include <stdlib.h>
        int freed;
        struct box *box_new(int width) { struct box *b = malloc(sizeof *b); b->width = width; return b; }
        void box_free(struct box *box) { freed++; free(box); }
        int box_ptr(struct box *box) { return box->width + 1; }
        int box_close(struct box *box) { return box->width + 2; }
        int box___len__(const struct box *box) { return box->width; }
        """,
    )
    lib = pythy.create_interface(built.header, built.library)
    box = lib.Box(3)
    assert (box.ptr(), box.close(), len(box), lib.box_ptr(box)) == (4, 5, 3, 4)
    with box:
        assert lib.freed == 0
    assert lib.freed == 1


def test_typedefs_of_anonymous_structs_and_of_pointers_are_classes(build):
    built = build(
        """
        // $ class Point
        // $ class handle
        typedef struct { int x; } Point;
        struct hidden;
        typedef struct hidden *handle;
        Point *point_new(int x);
        int point_x(const Point *point);
        handle handle_open(void);
        int handle_number(handle handle);
        """,
        """
        #include <stdlib.h>
        Point *point_new(int x) { Point *p = malloc(sizeof *p); p->x = x; return p; }
        int point_x(const Point *point) { return point->x; }
        handle handle_open(void) { return malloc(1); }
        int handle_number(handle handle) { return handle != 0; }
        """,
    )
    lib = pythy.create_interface(built.header, built.library)
    assert lib.point_new(4).point_x() == 4
    assert isinstance(lib.point_new(4), lib.Point)
    assert lib.handle_open().handle_number() == 1
    assert type(lib.handle_open()) is lib.Handle


def test_an_object_of_a_worker_that_has_crashed_is_not_taken_for_another(build, monkeypatch):
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    built = build(
        HEADER + "void crash(void);",
        SOURCE + "void crash(void) { *(volatile int *)0 = 1; }",
    )
    lib = pythy.create_interface(built.header, built.library, backend="isolated", checker="none")
    old, unit = lib.Rectangle(2, 5), lib.unit()
    with pytest.raises(pythy.WorkerCrashed):
        lib.crash()
    with pytest.raises(pythy.Error):
        old.area()
    assert lib.unit() is not unit
    assert (lib.unit().area(), lib.Rectangle(1, 2).area()) == (1, 2)
    del old, unit
    gc.collect()
    assert unraisable == []
    lib.close()


CALLS = """
    import pythy
    lib = pythy.create_interface("code.h", "code.so"{options})
    pythy.raise_on_finding(False)
    with pythy.watch() as report:
        one = lib.Rectangle(2, 5)
        one.broken()
        lib.rectangle_broken(one)
        one.broken_too
        del one
    for finding in report.findings:
        print(finding.kind, finding.count, finding.call.call_site.line, finding.call.call_site.function)
"""


@pytest.mark.parametrize("options", ["", ', backend="isolated"'], ids=["inprocess", "isolated"])
def test_findings_name_the_line_that_calls_the_method(build, natively, under_valgrind, options):
    built = build(
        HEADER
        + """
        int rectangle_broken(const struct rectangle *self);
        // $ property
        int rectangle_get_broken_too(const struct rectangle *self);
        """,
        SOURCE.replace("alive--; free(r);", "alive--; r[1].width = 0; free(r);")
        + """
        int rectangle_broken(const struct rectangle *r) { return r[1].width; }
        int rectangle_get_broken_too(const struct rectangle *r) { return r[1].height; }
        """,
    )
    script = CALLS.replace("{options}", options)
    if options:
        run = natively(script, directory=built.directory)
    else:
        arguments = ["--num-callers=40", "--log-file=valgrind.log"]
        run = under_valgrind(script, *arguments, directory=built.directory)
    assert run.stdout.splitlines() == [
        "InvalidRead 1 6 <module>",
        "InvalidRead 1 7 <module>",
        "InvalidRead 1 8 <module>",
        "InvalidWrite 1 9 <module>",
    ]


@pytest.mark.parametrize("options", BACKENDS, ids=["inprocess", "isolated"])
def test_an_object_at_the_address_of_another_keeps_it_and_frees_nothing(build, options):
    built = build(
        """
        // $ class base
        // $ class derived
        struct base { int kind; };
        struct derived { struct base base; };
        // $ init derived
        struct derived *derived_new(int kind);
        // $ cleanup derived
        void derived_free(struct derived *derived);
        struct base *derived_base(struct derived *derived);
        int base_kind(const struct base *base);
        // $ cleanup base
        void base_free(struct base *base);
        int derived_make(int kind, struct derived **out);
        extern int alive;
        """,
        """
        #include <stdlib.h>
        int alive;
        struct derived *derived_new(int kind) {
            struct derived *d = malloc(sizeof *d);
            d->base.kind = kind;
            alive++;
            return d;
        }
        void derived_free(struct derived *d) { alive--; free(d); }
        struct base *derived_base(struct derived *d) { return &d->base; }
        int base_kind(const struct base *b) { return b->kind; }
        void base_free(struct base *b) { abort(); }
        int derived_make(int kind, struct derived **out) { *out = derived_new(kind); return 0; }
        """,
    )
    lib = pythy.create_interface(built.header, built.library, **options)
    derived = lib.Derived(3)
    base = derived.derived_base()
    assert (type(base), base == derived) == (lib.Base, True)
    del derived
    assert (lib.alive, base.base_kind()) == (1, 3)
    del base
    assert lib.alive == 0
    out = lib.ref("struct derived *")
    lib.derived_make(4, out)
    base = lib.derived_base(out.value)
    del out
    assert (lib.alive, base.base_kind()) == (1, 4)
    base.close()
    del base
    assert lib.alive == 0
    lib.close()
