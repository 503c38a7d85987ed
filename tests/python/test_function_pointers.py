"""C function pointers that Python calls."""

import gc
import weakref

import pytest
import pythy

pytestmark = pytest.mark.usefixtures("both_backends")

HEADER = """
    struct point { int x, y; };
    typedef int (*binary)(int a, int b);
    typedef int binary_function(int a, int b);
    typedef struct machine {
        binary apply;
        struct point (*move)(struct point p, int dx);
        int (*format)(char *out, unsigned long size, const char *format, ...);
        const char *(*name)(void);
        void (*table[2])(int *counter);
    } machine;
    extern const machine the_machine;
    extern binary_function *chosen;
    int add(int a, int b);
    binary get_op(int which);
    int apply(binary f, int a, int b);
    binary keep(binary f);
"""
SOURCE = """
    #include <stdio.h>
    int add(int a, int b) { return a + b; }
    static int sub(int a, int b) { return a - b; }
    static struct point move(struct point p, int dx) { p.x += dx; return p; }
    static const char *name(void) { return "machine"; }
    static void up(int *counter) { ++*counter; }
    static void down(int *counter) { --*counter; }
    const machine the_machine = { sub, move, snprintf, name, { up, down } };
    binary_function *chosen = sub;
    binary get_op(int which) { return which == 0 ? 0 : which == 1 ? add : sub; }
    int apply(binary f, int a, int b) { return f(a, b); }
    binary keep(binary f) { return f; }
"""


@pytest.fixture(params=["release", "hold"])
def lib(request, interface):
    return interface(HEADER, SOURCE, gil=request.param)


def test_a_result_a_field_and_a_variable_are_called(lib):
    assert lib.get_op(1)(2, 3) == 5
    assert lib.get_op(2)(2, 3) == -1
    assert lib.get_op(0) is None
    machine = lib.the_machine
    assert machine.apply(7, 3) == 4
    assert machine.name() == b"machine"
    assert lib.chosen(9, 4) == 5


def test_records_variable_arguments_and_arrays_of_functions(lib):
    machine = lib.the_machine
    moved = machine.move(lib.new("struct point", (1, 2)), 10)
    assert (moved.x, moved.y) == (11, 2)
    out = bytearray(20)
    assert machine.format(out, 20, b"%d-%s", 5, "text") == 6
    assert bytes(out[:6]) == b"5-text"
    counter = lib.ref("int", 5)
    for function in machine.table:
        function(counter)
    machine.table[0](counter)
    assert counter.value == 6


def test_a_cast_address_is_called(lib):
    address = int(lib.get_op(1))
    assert lib.cast(address, "int (*)(int, int)")(20, 22) == 42
    assert lib.cast(lib.cast(lib.get_op(2), "void *"), "binary")(1, 2) == -1
    assert lib.cast(lib.get_op(2), "binary_function *")(1, 2) == -1


def test_a_python_callback_is_called_through_c(lib):
    @lib.callback("binary_function")
    def times(a, b):
        return a * b

    def fail(a, b):
        raise KeyError(a)

    assert lib.keep(times)(6, 7) == 42
    assert lib.cast(times, "binary")(6, 8) == 48
    failing = lib.callback("binary")(fail)
    with pytest.raises(KeyError, match="5"):
        lib.cast(failing, "binary")(5, 6)


def test_a_function_pointer_serves_as_a_callback_and_frees_what_is_owned(lib):
    assert lib.apply(lib.get_op(1), 2, 3) == 5
    record = lib.new("machine", apply=lib.get_op(1))
    assert record.apply(2, 3) == 5
    freed = []
    free = lib.callback("void (*)(void *)")(freed.append)
    owned = lib.own(lib.cast(1234, "void *"), lib.cast(free, "void (*)(void *)"))
    owned.release()
    assert [int(pointer) for pointer in freed] == [1234]


def test_a_function_of_the_library_is_itself_where_c_wants_a_pointer(lib):
    assert lib.keep(lib.add) == lib.get_op(1)
    assert lib.apply(lib.add, 2, 3) == 5
    assert lib.new("machine", apply=lib.add).apply == lib.get_op(1)
    assert lib.cast(lib.add, "binary") == lib.get_op(1)
    out = bytearray(40)
    size = lib.the_machine.format(out, 40, b"%p", lib.add)
    assert int(out[:size], 16) == int(lib.get_op(1))


def test_a_function_of_another_type_is_called_by_python(lib):
    with pytest.raises(pythy.ArgumentError) as caught:
        lib.apply(lib.get_op, 2, 3)
    assert str(caught.value) == "get_op() takes 1 argument, but 2 were given: binary get_op(int which)"


def test_wrong_arguments_are_told_by_position(lib):
    function = lib.get_op(1)
    for wrong, exception, says in [
        (lambda: function(1), pythy.ArgumentError, "takes 2 arguments, but 1 was given"),
        (lambda: function(a=1), pythy.ArgumentError, "takes no keyword arguments"),
        (lambda: function(1, "2"), pythy.ArgumentError, "argument 2 (int) must be an int, not str"),
        (
            lambda: function(2**31, 1),
            OverflowError,
            "argument 1 (int): 2147483648 is out of range: it takes -2147483648 to 2147483647",
        ),
    ]:
        with pytest.raises(exception) as caught:
            wrong()
        assert str(caught.value) == f"'int (*)(int, int)' {says}"


def test_other_pointers_are_not_called(lib):
    with pytest.raises(pythy.ArgumentError) as caught:
        lib.cast(1234, "struct point *")(1)
    assert str(caught.value) == (
        "a 'struct point *' cannot be called; "
        'lib.cast(pointer, "int (*)(int)") makes a function pointer of it'
    )


def test_a_closed_interface_calls_nothing(lib):
    function = lib.get_op(1)
    assert function(1, 2) == 3
    lib.close()
    with pytest.raises(pythy.Error) as caught:
        function(1, 2)
    assert str(caught.value) == "a 'int (*)(int, int)' was called after its interface was closed"


def test_a_pointer_that_outlives_its_module_is_called_still(interface):
    lib = interface(HEADER, SOURCE)
    function, module = lib.get_op(1), weakref.ref(lib)
    del lib
    gc.collect()
    assert module() is None
    assert function(1, 2) == 3
