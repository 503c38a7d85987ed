"""Calls: what goes in, what comes out, and what the functions look like to Python."""

import array
import contextlib
import ctypes
import enum
import inspect
import math
import pickle
import pydoc
import resource
import sys
import threading
import types
from pathlib import Path

import pytest
import pythy

pytestmark = pytest.mark.usefixtures("both_backends")

INTEGERS = {
    "signed char": (-(2**7), 2**7 - 1),
    "unsigned char": (0, 2**8 - 1),
    "short": (-(2**15), 2**15 - 1),
    "unsigned short": (0, 2**16 - 1),
    "int": (-(2**31), 2**31 - 1),
    "unsigned int": (0, 2**32 - 1),
    "long": (-(2**63), 2**63 - 1),
    "unsigned long": (0, 2**64 - 1),
    "long long": (-(2**63), 2**63 - 1),
    "unsigned long long": (0, 2**64 - 1),
    "int8_t": (-(2**7), 2**7 - 1),
    "uint8_t": (0, 2**8 - 1),
    "int16_t": (-(2**15), 2**15 - 1),
    "uint16_t": (0, 2**16 - 1),
    "int32_t": (-(2**31), 2**31 - 1),
    "uint32_t": (0, 2**32 - 1),
    "int64_t": (-(2**63), 2**63 - 1),
    "uint64_t": (0, 2**64 - 1),
    "size_t": (0, 2**64 - 1),
    "ptrdiff_t": (-(2**63), 2**63 - 1),
    "intptr_t": (-(2**63), 2**63 - 1),
    "uintptr_t": (0, 2**64 - 1),
}


def named(c_type: str) -> str:
    return "same_" + c_type.replace(" ", "_")


def mixed(count: int) -> tuple[str, str]:
    """The prototype and body of a function that weighs ``count`` arguments, ints and floats in turn."""
    kinds = ["int", "double", "unsigned char", "float", "long"]
    parameters = ", ".join(f"{kinds[i % 5]} p{i}" for i in range(count)) or "void"
    weighed = "".join(f" + {i + 1} * (double)p{i}" for i in range(count))
    return f"double mixed{count}({parameters})", f"{{ return 0{weighed}; }}"


HEADER = """
    #include <stddef.h>
    #include <stdint.h>
    #include <stdbool.h>
""" + "".join(f"    {c_type} {named(c_type)}({c_type} value);\n" for c_type in INTEGERS)
HEADER += "".join(f"    {mixed(count)[0]};\n" for count in range(16))
HEADER += """
    typedef struct counter counter;
    enum color { RED, GREEN = 7, BLUE = -1 };

    bool negate(bool value);
    float half(float value);
    double root(double value);
    char next_letter(char letter);
    size_t length(const char *text);
    int first_byte(const char *text);
    const char *greeting(void);
    char *nothing(void);
    const char *umlaut(void);
    void upper(char *text);
    void set_bytes(unsigned char *bytes, int value, size_t count);
    int sum(const int *numbers, size_t count);
    void double_all(double *numbers, size_t count);
    void *identity(void *memory);
    counter *counter_new(void);
    counter *counter_same(counter *c);
    int counter_next(counter *c);
    enum color other(enum color value);
    int unnamed(int, const char *, double);
    int keywords(int from, int lambda, int None);
    int class(int value);
    void out(int *result, unsigned long *other, double *third, const char **text, counter **handle,
        bool *yes);
    int call_count(void);
    void wait_for_another(void);
"""

SOURCE = """
    #include <ctype.h>
    #include <math.h>
    #include <string.h>
    #include <stdlib.h>
    #include <pthread.h>
"""
SOURCE += "".join(f"    {t} {named(t)}({t} value) {{ return value; }}\n" for t in INTEGERS)
SOURCE += "".join("    {} {}\n".format(*mixed(count)) for count in range(16))
SOURCE += """
    struct counter { int count; };
    bool negate(bool value) { return !value; }
    float half(float value) { return value / 2; }
    double root(double value) { return value * value; }
    char next_letter(char letter) { return letter + 1; }
    size_t length(const char *text) { return text ? strlen(text) : 99; }
    int first_byte(const char *text) { return (unsigned char)text[0]; }
    const char *greeting(void) { return "hello"; }
    char *nothing(void) { return 0; }
    const char *umlaut(void) { return "gr\\xc3\\xbc\\xc3\\x9f"; }
    void upper(char *text) { for (; *text; text++) *text = toupper(*text); }
    void set_bytes(unsigned char *bytes, int value, size_t count) { memset(bytes, value, count); }
    int sum(const int *numbers, size_t count)
    { int total = 0; for (size_t i = 0; i < count; i++) total += numbers[i]; return total; }
    void double_all(double *numbers, size_t count) { for (size_t i = 0; i < count; i++) numbers[i] *= 2; }
    void *identity(void *memory) { return memory; }
    static counter one;
    counter *counter_new(void) { one.count = 0; return &one; }
    counter *counter_same(counter *c) { return c; }
    int counter_next(counter *c) { return c ? ++c->count : -1; }
    enum color other(enum color value) { return value == RED ? BLUE : RED; }
    int unnamed(int a, const char *b, double c) { return a + (int)strlen(b) + (int)c; }
    int keywords(int from, int lambda, int None) { return from * 100 + lambda * 10 + None; }
    int class(int value) { return value; }
    void out(int *result, unsigned long *other, double *third, const char **text, counter **handle, bool *yes)
    { *result = -5; *other = 1UL << 63; *third = 2.5; *text = "text"; *handle = &one; *yes = true; }
    static int calls;
    int call_count(void) { return ++calls; }

    static pthread_barrier_t barrier;
    __attribute__((constructor)) static void start(void) { pthread_barrier_init(&barrier, 0, 2); }
    void wait_for_another(void) { pthread_barrier_wait(&barrier); }
"""


@pytest.fixture(scope="module")
def built(build):
    return build(HEADER, SOURCE, "calls")


@pytest.fixture(scope="module", params=["release", "hold"])
def lib(built, request, both_backends):
    return pythy.create_interface(built.header, built.library, gil=request.param)


# Numbers.


@pytest.mark.parametrize("c_type", INTEGERS)
def test_an_integer_keeps_its_value_from_end_to_end_of_its_range(lib, c_type):
    same = getattr(lib, named(c_type))
    low, high = INTEGERS[c_type]
    for value in (low, low + 1, 0, 1, high - 1, high):
        assert same(value) == value
        assert type(same(value)) is int
    for value in (low - 1, high + 1):
        with pytest.raises(OverflowError):
            same(value)


def test_what_has_an_index_is_an_integer(lib):
    class Five:
        def __index__(self):
            return 5

    class Color(enum.IntEnum):
        GREEN = 7

    for same in lib.same_int, lib.same_unsigned_long, lib.same_signed_char, lib.same_long_long:
        assert (same(Five()), same(Color.GREEN), same(True)) == (5, 7, 1)


def test_bool_is_bool(lib):
    assert (lib.negate(True), lib.negate(False), lib.negate(0), lib.negate(1)) == (False, True, True, False)
    assert type(lib.negate(True)) is bool


def test_floats(lib):
    assert lib.half(3) == 1.5
    assert lib.half(0.1) == ctypes.c_float(0.1).value / 2
    assert lib.root(1e200) == math.inf
    assert math.isnan(lib.half(math.nan))
    assert (lib.half(math.inf), lib.half(-math.inf)) == (math.inf, -math.inf)
    assert math.copysign(1, lib.half(-0.0)) == -1
    assert lib.root(-1.0) == 1.0


def test_a_char_is_a_byte(lib):
    assert lib.next_letter(b"a") == lib.next_letter("a") == lib.next_letter(97) == b"b"
    assert lib.next_letter(b"\x7f") == b"\x80"


def test_enums_are_ints(lib):
    assert (lib.other(0), lib.other(7), lib.other(-1)) == (-1, 0, 0)


@pytest.mark.parametrize("count", range(16))
def test_any_number_of_arguments_in_any_order(lib, count):
    values = [(i * 7 + 3) % 100 for i in range(count)]
    assert getattr(lib, f"mixed{count}")(*values) == sum((i + 1) * value for i, value in enumerate(values))


# Text and memory.


def test_text_goes_in_as_bytes_str_buffer_or_none(lib):
    assert lib.length(b"12345") == lib.length("12345") == lib.length(bytearray(b"12345\0")) == 5
    assert lib.length("grüß") == 6
    assert lib.length(b"") == lib.length("") == 0
    assert lib.length(None) == 99
    assert lib.first_byte("ü") == 0xC3


def test_text_comes_out_as_bytes_or_as_str(lib, built):
    assert (lib.greeting(), lib.nothing(), lib.umlaut()) == (b"hello", None, b"gr\xc3\xbc\xc3\x9f")
    decoded = pythy.create_interface(built.header, built.library, encoding="utf-8")
    assert (decoded.greeting(), decoded.nothing(), decoded.umlaut()) == ("hello", None, "grüß")


def test_a_buffer_is_written_in_place(lib):
    text = bytearray(b"shout\0")
    lib.upper(text)
    assert text == b"SHOUT\0"
    data = bytearray(4)
    lib.set_bytes(memoryview(data)[1:3], 255, 2)
    assert data == b"\0\xff\xff\0"
    numbers = array.array("d", [1.5, 2])
    lib.double_all(numbers, 2)
    assert numbers.tolist() == [3.0, 4.0]


def test_read_only_memory_will_do_for_const(lib):
    assert lib.sum(array.array("i", [1, 2, 3]), 3) == 6
    assert lib.sum(memoryview(array.array("i", [4, 5])).toreadonly(), 2) == 9
    assert lib.sum(array.array("i", [6]).tobytes(), 1) == 6


def test_numpy_arrays_are_buffers(lib):
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    numbers = numpy.arange(5, dtype=numpy.double)
    lib.double_all(numbers, 5)
    assert numbers.tolist() == [0, 2, 4, 6, 8]
    with pytest.raises(pythy.ArgumentError):
        lib.double_all(numbers[::2], 3)


@pytest.mark.in_process_only("arguments are in place: a worker has copies for the call")
def test_memory_comes_out_as_a_pointer(lib):
    data = bytearray(3)
    pointer = lib.identity(data)
    assert isinstance(pointer, pythy.Pointer)
    assert int(pointer) == int(lib.identity(data)) == ctypes.addressof(ctypes.c_char.from_buffer(data))
    assert lib.identity(None) is None
    assert repr(pointer) == f"<pythy.Pointer 'void *' at {int(pointer):#x}>"


def test_a_handle_is_a_typed_pointer(lib):
    handle = lib.counter_new()
    assert [lib.counter_next(handle) for _ in range(3)] == [1, 2, 3]
    assert lib.counter_next(None) == -1
    same = lib.counter_same(handle)
    assert same == handle
    assert same is not handle
    assert hash(same) == hash(handle)
    assert handle != int(handle)
    assert handle != lib.identity(bytearray(1))
    assert bool(handle)
    assert repr(handle) == f"<pythy.Pointer 'struct counter *' at {int(handle):#x}>"
    # void * goes everywhere.
    assert lib.counter_same(lib.identity(handle)) == handle


def test_out_parameters(lib):
    refs = [lib.ref(c) for c in ("int", "unsigned long", "double", "const char *", "counter *", "bool")]
    assert [ref.value for ref in refs] == [0, 0, 0.0, None, None, False]
    lib.out(*refs)
    assert [ref.value for ref in refs[:4]] == [-5, 2**63, 2.5, b"text"]
    assert refs[4].value == refs[4].pointer == lib.counter_same(refs[4].pointer)
    assert refs[5].value is True
    assert isinstance(refs[3].pointer, pythy.Pointer)


@pytest.mark.parametrize("c_type", INTEGERS)
def test_a_ref_holds_every_integer(lib, c_type):
    for value in INTEGERS[c_type]:
        ref = lib.ref(c_type, value)
        assert ref.value == value
        ref.value = 1
        assert ref.value == 1
    with pytest.raises(OverflowError):
        ref.value = INTEGERS[c_type][1] + 1
    assert ref.value == 1


def test_a_ref_holds_every_other_scalar(lib):
    assert lib.ref("float", 0.5).value == 0.5
    assert lib.ref("double", 0.1).value == 0.1
    assert lib.ref("char", b"x").value == b"x"
    assert lib.ref("_Bool", True).value is True
    assert lib.ref("enum color", -1).value == -1
    handle = lib.counter_new()
    assert lib.ref("struct counter *", handle).value == handle
    assert lib.ref("void *", handle).pointer == handle
    assert lib.ref("void *").pointer is None


# What Python sees.


def test_parameters_without_names_and_with_pythons_own(lib):
    assert lib.unnamed(1, "ab", 3.5) == 6
    assert lib.keywords(1, 2, 3) == 123
    assert lib.class_(4) == 4
    assert str(inspect.signature(lib.keywords)) == "(from_, lambda_, None_, /)"
    assert str(inspect.signature(lib.unnamed)) == "(arg1, arg2, arg3, /)"
    assert str(inspect.signature(lib.class_)) == "(value, /)"
    assert str(inspect.signature(lib.call_count)) == "()"


def test_a_function_is_a_builtin_with_all_that_belongs_to_it(lib):
    assert isinstance(lib, types.ModuleType)
    assert type(lib.sum) is types.BuiltinFunctionType
    assert inspect.isbuiltin(lib.sum)
    assert (lib.sum.__name__, lib.sum.__qualname__, lib.sum.__module__) == ("sum", "sum", "calls")
    assert lib.sum.__text_signature__ == "(numbers, count, /)"
    assert lib.sum.__doc__ == "int sum(const int *numbers, size_t count)"
    assert repr(lib.sum) == "<built-in function sum>"
    assert {"sum", "close", "ref", "class_"} <= set(dir(lib))


def test_a_function_can_be_pickled_where_its_module_can_be_imported(built):
    lib = pythy.create_interface(built.header, built.library)
    sys.modules["calls"] = lib
    try:
        assert pickle.loads(pickle.dumps(lib.sum)) is lib.sum
    finally:
        del sys.modules["calls"]


COMMENTS = """
    // Two slashes.
    int slashes(int a);
    /// Three slashes,
    ///   over two lines.
    int more_slashes(int a);
    /* A block. */
    int block(int a);
    /**
     * Adds one.
     *
     * @param a  the number
     */
    int documented(int a);

    int bare(int a);
    int after(int a); /**< Stands behind. */
"""


def test_the_comment_in_the_header_is_the_docstring(build):
    names = ("slashes", "more_slashes", "block", "documented", "bare", "after")
    # Not "code": pydoc of CPython 3.13 leaves out functions whose module has a namesake in sys.modules.
    source = "".join(f"int {name}(int a) {{ return a; }}\n" for name in names)
    built = build(COMMENTS, source, "commented")
    lib = pythy.create_interface(built.header, built.library)
    docs = {name: getattr(lib, name).__doc__ for name in names}
    assert docs == {
        "slashes": "Two slashes.",
        "more_slashes": "Three slashes,\n  over two lines.",
        "block": "A block.",
        "documented": "Adds one.\n\n@param a  the number",
        "bare": "int bare(int a)",
        "after": "Stands behind.",
    }
    page = pydoc.plain(pydoc.render_doc(lib.documented))
    assert "documented(a, /)\n    Adds one.\n" in page
    assert "slashes(a, /)\n        Two slashes.\n" in pydoc.plain(pydoc.render_doc(lib))


# The interface as a whole.


def test_several_headers_include_directories_and_defines(cc, tmp_path):
    (tmp_path / "include").mkdir()
    (tmp_path / "include/number.h").write_text("typedef NUMBER number;\n")
    (tmp_path / "one.h").write_text("#include <number.h>\nnumber one(number a);\n")
    (tmp_path / "two.h").write_text("#ifdef BARE\nnumber two(number a);\n#endif\n")
    (tmp_path / "code.c").write_text(
        "short one(short a) { return a; }\nshort two(short a) { return 2 * a; }\n"
    )
    library = cc(tmp_path / "code.c", tmp_path / "code.so")
    headers = [tmp_path / "one.h", str(tmp_path / "two.h")]
    lib = pythy.create_interface(
        headers, library, include_dirs=tmp_path / "include", defines={"NUMBER": "short", "BARE": True}
    )
    assert (lib.one(5), lib.two(5)) == (5, 10)
    assert lib.__name__ == "one"
    with pytest.raises(OverflowError):
        lib.one(2**15)
    by_arguments = pythy.create_interface(
        headers, library, clang_args=["-I", str(tmp_path / "include"), "-DNUMBER=short"]
    )
    assert by_arguments.one(5) == 5
    assert not hasattr(by_arguments, "two")


def test_functions_go_into_a_given_module(built):
    module = types.ModuleType("mine")
    module.kept = 1
    assert pythy.create_interface(built.header, built.library, module) is module
    assert (module.kept, module.negate(True), module.negate.__module__) == (1, False, "mine")


def test_closing_one_interface_leaves_another_of_the_same_library(built):
    one, other = (pythy.create_interface(built.header, built.library) for _ in range(2))
    one.close()
    with pytest.raises(pythy.Error):
        one.negate(True)
    assert other.negate(True) is False


def test_functions_outlive_their_module(built):
    negate = pythy.create_interface(built.header, built.library).negate
    assert negate(True) is False


def test_a_header_that_declares_far_more_than_the_library_has():
    lib = pythy.create_interface("math.h", "libm.so.6")
    assert lib.sqrt(2.0) == math.sqrt(2.0)
    assert lib.atan2(1.0, -1.0) == math.atan2(1.0, -1.0)
    exponent = lib.ref("int")
    assert (lib.frexp(48.0, exponent), exponent.value) == math.frexp(48.0)
    assert lib.pow.__text_signature__.count(",") == 2
    assert not hasattr(lib, "printf")


def test_zlib_through_its_own_header():
    if not Path("/usr/include/zlib.h").is_file():
        pytest.skip("/usr/include/zlib.h is missing (Debian, Ubuntu: apt-get install zlib1g-dev)")
    import zlib

    lib = pythy.create_interface("zlib.h", "libz.so.1")
    data = bytes(range(256)) * 64
    assert lib.zlibVersion() == zlib.ZLIB_RUNTIME_VERSION.encode()
    assert lib.crc32(0, data, len(data)) == zlib.crc32(data)
    assert lib.adler32(1, data, len(data)) == zlib.adler32(data)
    packed = bytearray(lib.compressBound(len(data)))
    size = lib.ref("uLongf", len(packed))
    assert lib.compress(packed, size, data, len(data)) == 0
    assert zlib.decompress(packed[: size.value]) == data
    back = bytearray(len(data))
    back_size = lib.ref("unsigned long", len(back))
    assert lib.uncompress(back, back_size, bytes(packed[: size.value]), size.value) == 0
    assert (back_size.value, bytes(back)) == (len(data), data)
    # Too small a room is the library's error, not ours.
    assert lib.uncompress(bytearray(10), lib.ref("uLongf", 10), bytes(packed), size.value) == -5


# Threads and memory.


@pytest.mark.in_process_only("a worker runs one call at a time")
def test_two_threads_are_in_c_at_once(built):
    """Each waits inside C for the other: only a released GIL lets both arrive."""
    lib = pythy.create_interface(built.header, built.library, gil="release")
    threads = [threading.Thread(target=lib.wait_for_another, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def test_many_threads_call_the_same_functions(lib):
    failures = []

    def work(seed):
        for i in range(2000):
            value = (seed * 1000 + i) % 100
            handle = lib.counter_new()
            if lib.mixed3(value, 2.0, 3) != value + 4 + 9 or lib.counter_same(handle) != handle:
                failures.append((seed, i))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_million_calls_leave_no_memory_behind(lib, repeats):
    data, text = bytearray(64), "text of some length"

    def work(times):
        for _ in range(times):
            lib.counter_same(lib.counter_new())
            lib.length(text)
            lib.set_bytes(data, 1, 64)
            lib.identity(data)
            lib.ref("unsigned long", 1).value = 2
            with contextlib.suppress(OverflowError):
                lib.negate(7)

    work(1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work(repeats(150_000))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 4096, f"{grown} KiB more after a million calls"


def test_interfaces_leave_no_memory_behind(built):
    """Making and closing many does not pile up what belongs to each."""

    def work(times):
        for _ in range(times):
            lib = pythy.create_interface(built.header, built.library)
            assert lib.negate(True) is False
            lib.close()

    work(20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work(100)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 8192, f"{grown} KiB more after 100 interfaces"


def test_a_nul_inside_bytes_is_data(interface):
    """With its length beside it `char *` is memory; as a string C sees it end at the NUL."""
    lib = interface(
        "#include <stddef.h>\nint last(const char *data, size_t size); size_t length(const char *text);",
        """
        #include <string.h>
        int last(const char *data, size_t size) { return data[size - 1]; }
        size_t length(const char *text) { return strlen(text); }
        """,
    )
    assert lib.last(b"a\0b", 3) == ord("b")
    assert lib.length(b"a\0b") == 1
    with pytest.raises(pythy.ArgumentError, match="must not be a str with a NUL character inside"):
        lib.length("a\0b")


def test_buffers_are_matched_by_what_their_items_are(interface):
    """The kind of number and its size; signs do not matter, nor do single bytes, which are anything."""
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    lib = interface(
        """
        #include <complex.h>
        int first(const int *numbers); unsigned top(const unsigned *numbers);
        double real(const double *numbers); double both(double _Complex *numbers);
        int byte(const unsigned char *bytes); int any(const void *memory);
        """,
        """
        int first(const int *numbers) { return *numbers; }
        unsigned top(const unsigned *numbers) { return *numbers; }
        double real(const double *numbers) { return *numbers; }
        double both(double _Complex *numbers) { return creal(*numbers) + cimag(*numbers); }
        int byte(const unsigned char *bytes) { return *bytes; }
        int any(const void *memory) { return *(const char *)memory; }
        """,
    )
    integers = [array.array(code, [7]) for code in "iI"] + [numpy.array([7], code) for code in ("<i4", "=u4")]
    for buffer in [*integers, (ctypes.c_int * 1)(7), array.array("u", "\7"), bytearray(b"\7\0\0\0")]:
        assert (lib.first(buffer), lib.top(buffer), lib.any(buffer)) == (7, 7, 7)
    for buffer in (array.array("d", [7]), numpy.array([7.0]), (ctypes.c_double * 1)(7)):
        assert lib.real(buffer) == 7
    assert lib.both(numpy.array([3 + 4j])) == 7
    for buffer in (
        b"\7",
        bytearray(b"\7"),
        array.array("b", [7]),
        numpy.array([7], "i1"),
        numpy.array([True]),
    ):
        assert lib.byte(buffer) == buffer[0]
    said = r"must be a buffer of {}; this (ndarray|array|c_float_Array_1) has {}"
    wrong = [
        (lib.first, array.array("f", [1]), "integers", "floating-point numbers"),
        (lib.top, (ctypes.c_float * 1)(1), "integers", "floating-point numbers"),
        (lib.first, numpy.array([1], ">i4"), "integers", "numbers in the other byte order"),
        (lib.real, array.array("q", [1]), "floating-point numbers", "integers"),
        (lib.real, numpy.array([1j], "c8"), "floating-point numbers", "complex numbers"),
        (lib.real, numpy.array([None]), "floating-point numbers", "Python objects"),
        (lib.both, numpy.array([1], "g"), "complex numbers", "floating-point numbers"),
    ]
    for function, buffer, wanted, given in wrong:
        with pytest.raises(pythy.ArgumentError, match=said.format(wanted, given)):
            function(buffer)


def test_a_function_without_a_prototype_takes_anything(interface):
    """Before C23 `f()` says nothing about the parameters: what is given is promoted as for `...`."""
    lib = interface(
        "int none(); double sum(); int known(); int known(int a); int length();",
        """
        #include <string.h>
        int none() { return 5; }
        double sum(a, b, c) int a; double b; float c; { return a + b + c; }
        int known(int a) { return a; }
        int length(text) const char *text; { return strlen(text); }
        """,
    )
    assert (lib.none(), lib.sum(1, 2.5, 0.25), lib.length(b"four"), lib.known(3)) == (5, 3.75, 4, 3)
    with pytest.raises(
        pythy.ArgumentError, match=r"known\(\) takes 1 argument, but 2 were given: int known\(int a\)"
    ):
        lib.known(1, 2)
    with pytest.raises(pythy.ArgumentError, match=r"none\(\) takes no keyword arguments: int none\(\)"):
        lib.none(a=1)


def test_c23_says_that_there_are_no_parameters(interface):
    lib = interface("int none();", "int none(void) { return 5; }", clang_args=["-std=c2x"])
    assert lib.none() == 5
    with pytest.raises(pythy.ArgumentError, match=r"none\(\) takes 0 arguments, but 1 was given"):
        lib.none(1)
