"""What programs that were written for pythy 0.0.1 rely on, in both of its modes."""

import ctypes
import inspect
import pydoc
import types
from types import SimpleNamespace

import pytest
import pythy

pytestmark = pytest.mark.one_python

FUNCS = """
    // Adds 2 integers
    int interface_add(int x, int y);

    // Finds the length of a string
    int interface_get_len(char* string);

    // Concatenates 2 strings
    char* interface_concatenate(char* s1, char* s2);
"""
FUNCS_SOURCE = """
    #include <stdlib.h>
    #include <string.h>
    static char *str_rtn = NULL;
    int interface_add(int x, int y) { return x + y; }
    int interface_get_len(char *string) { return strlen(string); }
    char *interface_concatenate(char *s1, char *s2) {
        str_rtn = realloc(str_rtn, strlen(s1) + strlen(s2) + 1);
        return strcat(strcpy(str_rtn, s1), s2);
    }
    __attribute__((destructor)) void destructor(void) { free(str_rtn); str_rtn = NULL; }
"""
CLASSES = """
    // $ class rectangle
    // $ init rectangle interface_init_rectangle

    // $ class box
    // $ init box interface_init_box

    // $ define struct rectangle* -> void*
    // $ define struct box* -> void*

    struct rectangle {
        int length;
        int width;
    };

    struct box {
        int length;
        int width;
        int height;
    };

    // Creates a new rectangle structure
    struct rectangle* interface_init_rectangle(int length, int width);

    // Gets the area of a rectangle
    int interface_get_area(struct rectangle* rectangle);

    // Gets a string description of a rectangle
    char* interface_get_rect_description(struct rectangle* rectangle);

    // Clean up a rectangle structure.
    void interface_clean_up_rectangle(struct rectangle* rectangle);

    // Creates a new box structure
    struct box* interface_init_box(int length, int width, int height);

    // Gets the volume of a box
    int interface_get_volume(struct box* box);

    // Clean up a box structure.
    void interface_clean_up_box(struct box* box);
"""
CLASSES_SOURCE = """
    #include <stdio.h>
    #include <stdlib.h>
    static char *str_rtn = NULL;
    struct rectangle *interface_init_rectangle(int length, int width) {
        struct rectangle *r = malloc(sizeof *r);
        r->length = length;
        r->width = width;
        return r;
    }
    int interface_get_area(struct rectangle *r) { return r->length * r->width; }
    char *interface_get_rect_description(struct rectangle *r) {
        if (!str_rtn) str_rtn = malloc(128);
        snprintf(str_rtn, 128, "This is a %dx%d rectangle!", r->length, r->width);
        return str_rtn;
    }
    void interface_clean_up_rectangle(struct rectangle *r) { free(r); }
    struct box *interface_init_box(int length, int width, int height) {
        struct box *b = malloc(sizeof *b);
        *b = (struct box){length, width, height};
        return b;
    }
    int interface_get_volume(struct box *b) { return b->length * b->width * b->height; }
    void interface_clean_up_box(struct box *b) { free(b); }
    __attribute__((destructor)) void destructor(void) { free(str_rtn); str_rtn = NULL; }
"""


@pytest.fixture(params=["ctypes", "sockapi"])
def mode(request, monkeypatch):
    monkeypatch.setattr(pythy.backend, "default_mode", None)
    pythy.backend.set_mode(request.param)
    return request.param


@pytest.fixture
def load(build, mode):
    """``load(directives)``: the functions above, with directives before them."""

    def make(directives="", **options):
        built = build(directives + FUNCS, FUNCS_SOURCE, "funcs")
        return pythy.create_interface(str(built.header), str(built.library), **options)

    return make


def double_rtn(function):
    inner = function.py_func
    function.py_func = lambda *args: 2 * inner(*args)


def increment_args(function):
    inner = function.py_func
    function.py_func = lambda *args: inner(*(arg + 1 for arg in args))


WRAPPERS = SimpleNamespace(double_rtn=double_rtn, increment_args=increment_args)


def test_functions_lose_their_prefix_and_text_is_bytes(load):
    lib = load()
    assert lib.add(1, 2) == 3
    assert lib.get_len(b"hello") == 5
    assert lib.concatenate(b"hel", b"lo!") == b"hello!"
    assert lib.interface_add(1, 2) == 3
    assert lib.close() is True


def test_a_library_without_a_destructor_says_so_at_close(build):
    built = build("int add(int a, int b);", "int add(int a, int b) { return a + b; }")
    assert pythy.create_interface(built.header, built.library).close() is False


def test_a_destructor_that_unloading_does_not_run_is_called_once(build, natively):
    built = build(
        "int zero(void);",
        """
        #include <stdio.h>
        int zero(void) { return 0; }
        void destructor(void) { puts("destroyed"); fflush(stdout); }
        """,
    )
    script = """
        import pythy
        lib = pythy.create_interface("code.h", "./code.so")
        print(lib.close(), lib.close(), flush=True)
    """
    assert natively(script, directory=built.directory).stdout == "destroyed\nTrue False\n"


def test_an_interface_is_bound_to_a_module_of_ones_own(load):
    module = types.ModuleType("func_lib")
    lib = load(module=module)
    assert lib is module
    assert module.add(1, 2) == 3
    assert module.concatenate(b"hel", b"lo!") == b"hello!"
    module.close()


def test_the_module_has_the_headers_name_and_functions_their_comments(load):
    lib = load()
    assert lib.__name__ == "funcs"
    assert lib.add.__doc__ == "Adds 2 integers"
    assert lib.add.__name__ == "add"
    assert lib.concatenate.__doc__ == "Concatenates 2 strings"
    assert str(inspect.signature(lib.add)) == "(x, y, /)"
    lib.close()


def test_a_function_has_the_name_that_the_header_gives_it(load):
    lib = load("// $ func_alias interface_concatenate cat\n")
    assert lib.cat(b"hel", b"lo!") == b"hello!"
    assert lib.cat.__name__ == "cat"
    assert not hasattr(lib, "concatenate")
    lib.close()


def test_built_in_wrappers_encode_and_decode(load):
    lib = load("// $ wrapper encode_string_args *\n// $ wrapper decode_string_rtn *\n")
    assert lib.get_len("hellö") == 6
    assert lib.concatenate("hel", "lö!") == "hellö!"
    assert lib.concatenate.__doc__ == "Concatenates 2 strings"
    assert pydoc.plain(pydoc.render_doc(lib.concatenate)).splitlines()[2:] == [
        "concatenate(s1, s2, /)",
        "    Concatenates 2 strings",
    ]
    lib.close()


def test_custom_wrappers_apply_to_the_functions_that_they_name(load):
    lib = load(
        "// $ wrapper increment_args interface_add\n// $ wrapper double_rtn interface_get_len\n",
        wrapper_modules=[WRAPPERS],
    )
    assert lib.add(3, 5) == 10
    assert lib.get_len(b"hello!") == 12
    lib.close()


def test_later_patterns_win(load):
    lib = load(
        """
        // $ wrapper increment_args * !interface_get_len !interface_concatenate
        // $ wrapper double_rtn     * !interface_add
        """,
        wrapper_modules=[WRAPPERS],
    )
    assert lib.add(17, 42) == 61
    assert lib.get_len(b"hello!") == 12
    assert lib.concatenate(b"hel", b"lo!") == b"hello!hello!"
    lib.close()


def test_wrappers_see_what_0_0_1_showed_them(load):
    seen = {}

    def look(function):
        seen.update(vars(function), text=str(function))
        function.py_name = "plus"
        function.doc = "Changed."
        function.py_params[0].name = "first"

    lib = load("// $ wrapper look interface_add\n", wrapper_modules=[SimpleNamespace(look=look)])
    assert seen["c_name"] == "interface_add"
    assert seen["py_name"] == "add"
    assert [(one.name, one.type.c_str, one.type.c_type) for one in seen["c_params"]] == [
        ("x", "int", ctypes.c_int),
        ("y", "int", ctypes.c_int),
    ]
    assert str(seen["rtn_type"]) == "int"
    assert seen["doc"] == "Adds 2 integers"
    assert seen["cls"] is None
    assert seen["text"] == "int interface_add(int x, int y) -> add(x, y)"
    assert (lib.plus(1, 2), lib.plus.__name__, lib.plus.__doc__) == (3, "plus", "Changed.")
    assert str(inspect.signature(lib.plus)) == "(first, y, /)"
    lib.close()


def test_the_first_wrapper_is_the_outermost(load):
    lib = load(
        "// $ wrapper double_rtn interface_add\n// $ wrapper plus_one interface_add\n",
        wrapper_modules=[WRAPPERS, SimpleNamespace(plus_one=plus_one)],
    )
    assert lib.add(1, 2) == 8
    lib.close()


def plus_one(function):
    inner = function.py_func
    function.py_func = lambda *args: inner(*args) + 1


@pytest.fixture
def shapes(build, mode):
    built = build(CLASSES, CLASSES_SOURCE, "classes")
    lib = pythy.create_interface(str(built.header), str(built.library))
    yield lib
    lib.close()


def test_functions_become_the_methods_of_classes(shapes):
    rectangle = shapes.Rectangle(2, 5)
    assert rectangle.get_area() == 10
    assert rectangle.get_rect_description() == b"This is a 2x5 rectangle!"
    box = shapes.Box(3, 4, 6)
    assert box.get_volume() == 72
    assert shapes.interface_get_volume(box.ptr) == 72
    box.clean_up_box()
    rectangle.clean_up_rectangle()


def test_methods_show_their_documentation(shapes):
    assert shapes.Rectangle.get_area.__doc__ == "Gets the area of a rectangle"
    assert str(inspect.signature(shapes.Rectangle.get_area)) == "(self, /)"
    assert str(inspect.signature(shapes.Rectangle)) == "(length, width, /)"
    assert shapes.Box.__init__.__doc__ == "Creates a new box structure"
    assert shapes.Rectangle.__module__ == "classes"
    text = pydoc.plain(pydoc.render_doc(shapes.Box))
    assert "get_volume(self, /)" in text
    assert "Gets the volume of a box" in text


def test_what_0_0_1_got_wrong(build, mode):
    """Many arguments, all arithmetic types, const, (void), block comments, prototypes over several lines."""
    built = build(
        """
        /* Sums
           four. */
        long interface_four(long a, unsigned long b, short c, const unsigned char d);
        double interface_six(float a, double b, float c, double d, int e, long long f);
        int interface_twelve(int a, int b, int c, int d, int e, int f,
                             int g, int h, int i, int j, int k, int l);
        unsigned interface_nothing(void);
        """,
        """
        long interface_four(long a, unsigned long b, short c, const unsigned char d) { return a + b + c + d; }
        double interface_six(float a, double b, float c, double d, int e, long long f) {
            return a + b + c + d + e + f;
        }
        int interface_twelve(int a, int b, int c, int d, int e, int f,
                             int g, int h, int i, int j, int k, int l) {
            return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f
                + 7 * g + 8 * h + 9 * i + 10 * j + 11 * k + 12 * l;
        }
        unsigned interface_nothing(void) { return 4294967295u; }
        """,
    )
    lib = pythy.create_interface(built.header, built.library)
    assert lib.four(-(2**62), 2**61, -7, 255) == -(2**62) + 2**61 + 248
    assert lib.four.__doc__ == "Sums\nfour."
    assert lib.six(0.5, 0.25, 1.5, 1e9, -3, 2**40) == 0.5 + 0.25 + 1.5 + 1e9 - 3 + 2**40
    assert lib.twelve(*range(1, 13)) == sum(number * number for number in range(1, 13))
    assert lib.nothing() == 2**32 - 1
    lib.close()


def test_several_headers_in_any_order_share_their_directives(build, mode):
    built = build("int interface_get_len(char *text);", FUNCS_SOURCE.replace('#include "code.h"', ""))
    later = built.directory / "later.h"
    later.write_text("// $ wrapper encode_string_args @#\n// $ func_alias interface_add plus\n" + FUNCS)
    for headers in [built.header, later], [later, built.header]:
        lib = pythy.create_interface(headers, built.library)
        assert (lib.get_len("hello"), lib.plus(2, 3)) == (5, 5)
        lib.close()


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"^Unsupported backend mode: telnet$"):
        pythy.backend.set_mode("telnet")


def test_sockapi_mode_is_isolated_and_close_raises_when_valgrind_found_errors(build, natively):
    built = build(
        "int interface_read(int n);",
        """
        #include <stdlib.h>
        int interface_read(int n) { int *b = calloc(4, 4), x = b[n]; free(b); return x; }
        """,
    )
    script = """
        import pythy
        pythy.backend.set_mode("sockapi")
        lib = pythy.create_interface("code.h", "code.so")
        print(lib.read(3), lib.close())
        lib = pythy.create_interface("code.h", "code.so")
        lib.read(4)
        try:
            lib.close()
        except ValueError as error:
            print(error)
        print(lib.close())
    """
    assert natively(script, directory=built.directory).stdout.splitlines() == [
        "0 True",
        "Valgrind found 1 error",
        f"InvalidRead: Invalid read of size 4, called from {built.directory}/script.py:6",
        "False",
    ]


@pytest.mark.parametrize("debug", [False, True])
def test_sessions_call_by_name_with_types_of_ctypes(build, debug):
    built = build(FUNCS, FUNCS_SOURCE)
    session = pythy.sockapi.Session(str(built.library), "localhost", debug=debug)
    add = session.make_function("interface_add", [ctypes.c_int, ctypes.c_int], ctypes.c_int)
    assert add(4, 5) == 9
    assert add(9, -16) == -7
    cat = session.make_function("interface_concatenate", [ctypes.c_char_p] * 2, ctypes.c_char_p)
    assert cat(b"Hello,", b" world!") == b"Hello, world!"
    assert session.call("interface_get_len", ctypes.c_int, [b"abc"], [ctypes.c_char_p]) == 3
    session.stop_server()
    with pytest.raises(pythy.Error):
        add(1, 2)


def test_two_sessions_need_no_port_of_their_own(build):
    built = build(FUNCS, FUNCS_SOURCE)
    one, two = (pythy.sockapi.Session(str(built.library), debug=False) for _ in range(2))
    for session in one, two:
        assert session.call("interface_add", ctypes.c_int, [1, 2], [ctypes.c_int] * 2) == 3
        session.stop_server()


def test_a_session_says_what_is_missing(build):
    with pytest.raises(FileNotFoundError, match=r"^library './nowhere.so' does not exist$"):
        pythy.sockapi.Session("./nowhere.so")
    built = build(FUNCS, FUNCS_SOURCE)
    session = pythy.sockapi.Session(str(built.library), debug=False)
    with pytest.raises(AttributeError, match=r"has no function 'interface_ad'"):
        session.make_function("interface_ad", [], None)
    session.stop_server()
