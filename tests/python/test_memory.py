"""Records, arrays, pointers, variables and owned memory."""

import array
import copy
import gc
import itertools
import random
import re
import resource
import weakref
from dataclasses import dataclass, field

import pytest
import pythy

pytestmark = pytest.mark.usefixtures("both_backends")

HEADER = """
    #include <stddef.h>
    struct point { int x, y; };
    typedef struct node {
        struct node *next;
        double value;
        char name[8];
        struct point at;
        union { int i; float f; };
        unsigned flag : 3;
        int sign : 5;
        const char *text;
        int grid[2][3];
    } node;
    enum colour { RED, GREEN = 5 };
    #define LIMIT (1 << 4)
    #define NAME "pythy"
    extern int counter;
    extern const int limit;
    extern struct point origin;
    extern int table[4];
    void bump(void);
    void move_point(struct point *p, int dx, int dy);
    struct node *push(struct node *head, double value);
    void free_list(struct node *head);
    int freed(void);
    struct holder { struct point *at; unsigned char *data; };
    struct point *point_new(int x);
    void point_free(struct point *p);
    int sum(const int *values, size_t n);
    const char *text_of(const node *n);
    int out_node(struct node **out);
    enum colour paint(enum colour value);
"""
SOURCE = """
    #include <stdlib.h>
    #include <string.h>
    int counter = 5; const int limit = 9; struct point origin = {1, 2}; int table[4] = {1, 2, 3, 4};
    static int count;
    void bump(void) { counter++; }
    void move_point(struct point *p, int dx, int dy) { p->x += dx; p->y += dy; }
    struct node *push(struct node *head, double value) {
        node *n = calloc(1, sizeof *n);
        n->next = head; n->value = value; strcpy(n->name, "node"); n->flag = 5; n->sign = -3;
        n->text = "hey"; n->grid[1][2] = 9; n->f = 1.5f; n->at.x = 4;
        return n;
    }
    void free_list(struct node *h) { while (h) { node *n = h->next; free(h); h = n; count++; } }
    int freed(void) { return count; }
    struct point *point_new(int x) { struct point *p = calloc(1, sizeof *p); p->x = x; return p; }
    void point_free(struct point *p) { p->x = -1; free(p); }
    int sum(const int *v, size_t n) { int s = 0; for (size_t i = 0; i < n; i++) s += v[i]; return s; }
    const char *text_of(const node *n) { return n->text; }
    int out_node(struct node **out) { *out = push(0, 3.0); return 1; }
    enum colour paint(enum colour value) { return value; }
"""


@pytest.fixture
def lib(interface):
    return interface(HEADER, SOURCE)


def test_a_record_is_made_passed_by_pointer_and_read_back(lib):
    point = lib.new("struct point", x=1)
    lib.move_point(point, 2, 3)
    assert (point.x, point.y, point["x"]) == (3, 3, 3)
    assert repr(point) == "<struct point x=3 y=3>"
    assert (lib.sizeof(point), lib.sizeof("node"), lib.sizeof("int[3]")) == (8, 72, 12)


def test_every_kind_of_field_is_read_and_written_through_a_pointer(lib):
    node = lib.push(lib.push(None, 1.5), 2.5)
    assert (node.value, node.next.value, node.next.next) == (2.5, 1.5, None)
    assert (node.name, node.text, node.flag, node.sign, node.f, node.at.x) == (b"node", b"hey", 5, -3, 1.5, 4)
    assert [row[:] for row in node.grid] == [[0, 0, 0], [0, 0, 9]]
    node.flag, node.sign, node.name, node.i = 7, -16, b"12345678", 1
    node.at = lib.new("struct point", x=8, y=9)
    assert (node.flag, node.sign, node.name, node.i, node.at.y) == (7, -16, b"12345678", 1, 9)
    for name, value, bits in [
        ("flag", 8, "3 bits: it takes 0 to 7"),
        ("sign", 16, "5 bits: it takes -16 to 15"),
    ]:
        said = f"struct node.{name}: {value} does not fit a bit-field of {bits}"
        with pytest.raises(OverflowError, match=said):
            setattr(node, name, value)
    assert (node.flag, node.sign) == (7, -16)
    lib.free_list(node)


def test_text_assigned_to_a_field_lives_as_long_as_the_record(lib):
    node = lib.new("node", text=bytes(b"k" * 1000))
    gc.collect()
    assert lib.text_of(node) == b"k" * 1000
    assert node.pointer("next") is None
    assert int(node.pointer("text")) != 0


def test_arrays_are_indexed_sliced_and_assigned(lib):
    values = lib.new("int[4]", [1, 2, 3])
    assert (values[:], len(values), list(values), lib.sum(values, 4)) == ([1, 2, 3, 0], 4, [1, 2, 3, 0], 6)
    values[1:3] = [5, 6]
    values[-1] = 9
    assert values[::-1] == [9, 6, 5, 1]
    assert lib.new("int[2][2]", [[1, 2], [3, 4]])[1][0] == 3


def test_a_buffer_is_the_memory_itself_and_keeps_it(lib):
    values = lib.new("int[3]", [1, 2, 3])
    view = lib.buffer(values)
    view.cast("i")[1] = 77
    assert values[:] == [1, 77, 3]
    del values
    gc.collect()
    assert view.cast("i").tolist() == [1, 77, 3]


def test_numpy_shares_the_memory(lib):
    numpy = pytest.importorskip("numpy", reason="NumPy is not installed")
    values = lib.new("double[3]")
    numpy.frombuffer(lib.buffer(values))[:] = [1, 2, 3]
    assert values[:] == [1.0, 2.0, 3.0]


def test_owned_memory_is_freed_once(lib):
    out = lib.ref("struct node *")
    lib.out_node(out)
    with lib.own(out.pointer, lib.free_list) as node:
        assert node.value == 3.0
    assert lib.freed() == 1
    node.release()
    assert lib.freed() == 1
    dropped = lib.own(lib.push(None, 1.0), lib.free_list)
    del dropped
    gc.collect()
    assert lib.freed() == 2
    kept = lib.own(lib.push(None, 1.0), lib.free_list).disown()
    gc.collect()
    assert lib.freed() == 2
    lib.free_list(kept)


def test_what_frees_a_pointer_may_be_a_method_of_who_keeps_it(interface):
    """The collector frees what it points to, while the object is still whole, and the object with it."""
    lib = interface(
        "struct thing; struct thing *make(void); void drop(struct thing *thing); int there(void);",
        """
        #include <stdlib.h>
        struct thing { int n; };
        static int count;
        struct thing *make(void) { count++; return malloc(sizeof(struct thing)); }
        void drop(struct thing *thing) { count--; free(thing); }
        int there(void) { return count; }
        """,
    )
    freed = []

    class Owner:
        def __init__(self, name):
            self.name = name
            self.pointer = lib.own(lib.make(), self.free)

        def free(self, pointer):
            freed.append(self.name)
            lib.drop(pointer)

    kept = Owner("kept")
    reference = weakref.ref(Owner("lost"))
    gc.collect()
    assert (reference(), freed, lib.there()) == (None, ["lost"], 1)
    kept.pointer.release()
    kept.pointer.release()
    del kept
    gc.collect()
    assert (freed, lib.there()) == (["lost", "kept"], 0)


def test_functions_and_pointers_are_whole_without_their_module(interface):
    """A fixture may return them alone."""

    def parts():
        lib = interface(
            """
            struct pair { int a, b; };
            struct pair *pair(int a);
            int visit(int (*f)(int), int n);
            """,
            """
            static struct pair it;
            struct pair *pair(int a) { it.a = a; return &it; }
            int visit(int (*f)(int), int n) { return f(n); }
            """,
        )
        return weakref.ref(lib), lib.visit, lib.pair(5)

    module, visit, pair = parts()
    gc.collect()
    assert module() is None
    assert visit(lambda n: n + 1, 41) == 42
    assert pair.a == 5


def test_casts_keep_the_address(lib):
    point = lib.new("struct point", x=7)
    void = lib.cast(point, "void *")
    back = lib.cast(void, "struct point *")
    assert back == void
    assert back.x == 7
    assert lib.cast(None, "void *") is None


def churn(lib):
    """Uses freed memory again."""
    gc.collect()
    return [lib.new("struct point", x=-1, y=-1) for _ in range(1000)]


POINTERS = {
    "of a record": lambda lib: lib.cast(lib.new("struct point", x=7), "struct point *"),
    "of a cast": lambda lib: lib.cast(lib.cast(lib.new("struct point", x=7), "void *"), "struct point *"),
    "of a field": lambda lib: lib.new("struct point *[1]", [lib.new("struct point", x=7)])[0],
    "of a ref": lambda lib: lib.ref("struct point *", lib.new("struct point", x=7)).pointer,
    "of the field of a copy": lambda lib: (
        lib.new("struct holder", lib.new("struct holder", at=lib.new("struct point", x=7))).at
    ),
    "of a view": lambda lib: lib.cast(lib.new("node", at=(7, 0)).at, "struct point *"),
    "into its own memory": lambda lib: looped(lib).pointer("next"),
    "owned": lambda lib: lib.cast(lib.own(lib.point_new(7), lib.point_free), "struct point *"),
    "of a buffer": lambda lib: lib.cast(
        lib.new("struct holder", data=bytearray(b"\7\0\0\0" * 2)).pointer("data"), "struct point *"
    ),
}


def looped(lib):
    node = lib.new("node", at=(7, 0))
    node.next = node
    return lib.cast(node.at, "struct point *") and node


@pytest.mark.parametrize("pointer", POINTERS.values(), ids=POINTERS)
def test_a_pointer_keeps_the_memory_that_it_is_known_to_lead_to(lib, pointer):
    kept = pointer(lib)
    others = churn(lib)
    view = kept[0]
    assert (view.at if hasattr(view, "at") else view).x == 7
    assert int(kept) not in {int(lib.cast(other, "void *")) for other in others}


def test_a_view_through_a_pointer_keeps_the_memory_too(lib):
    record = lib.cast(lib.new("struct point", x=7), "struct point *")[0]
    assert churn(lib)
    assert record.x == 7


def test_what_c_stored_in_a_field_is_nobodys(lib):
    """The record that was there before is not taken for it."""
    array_ = lib.new("struct point *[1]", [lib.new("struct point", x=7)])
    lib.cast(array_, "void **")[0] = lib.cast(4096, "void *")
    assert int(array_[0]) == 4096


def test_a_cast_keeps_a_callback_and_a_handle(interface):
    lib = interface("int call(void *f);", "int call(void *f) { return ((int (*)(int))f)(20); }")
    pointer = lib.cast(lib.callback("int (*)(int)")(lambda value: value + 1), "void *")
    handle = lib.cast(lib.new_handle(["kept"]), "char *")
    assert churn_callbacks(lib)
    assert (lib.call(pointer), lib.from_handle(handle)) == (21, ["kept"])
    assert isinstance(pointer, pythy.Pointer)
    assert type(pointer).__name__ == "Pointer"


def churn_callbacks(lib):
    gc.collect()
    return [lib.callback("int (*)(int)")(lambda value: -1) for _ in range(50)]


def test_an_object_that_holds_a_cast_of_its_own_callback_is_collected(lib):
    class User:
        def __init__(self):
            self.pointer = lib.cast(lib.callback("int (*)(int)")(self.method), "void *")

        def method(self, value):
            return value

    watched = weakref.ref(User())
    gc.collect()
    assert watched() is None


def test_a_record_that_points_to_itself_goes(lib):
    node = looped(lib)
    node.text = text = Text(b"mark")
    watched = weakref.ref(text)
    del node, text
    gc.collect()
    assert watched() is None


class Text(bytearray):
    """A buffer that can be watched."""


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_of_records_and_arrays_are_their_own(lib, copied):
    """What pointers in them lead to is shared, and kept."""
    node = lib.new("node", value=1.5, text=bytes(b"k" * 1000), at=(1, 2))
    other = copied(node)
    other.value, other.at.x = 2.5, 8
    assert (node.value, node.at.x, type(other)) == (1.5, 1, lib.node)
    del node
    assert churn(lib)
    assert other.text == b"k" * 1000
    numbers = lib.new("int[2]", [1, 2])
    copied(numbers)[0] = 9
    assert numbers[:] == [1, 2]


@pytest.mark.in_process_only("close() ends the worker, and with it all of its memory")
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_of_a_variable_outlives_the_library(lib, copied):
    lib.origin.x = 5
    origin = copied(lib.origin)
    lib.close()
    assert origin.x == 5


def test_records_are_equal_to_themselves_alone(lib):
    point = lib.new("struct point", x=1)
    assert point == point
    assert point != lib.new("struct point", x=1)


def test_text_of_more_bytes_than_there_is_memory_is_refused(lib):
    pointer = lib.cast(lib.new("int"), f"char (*)[{2**62}]")
    with pytest.raises(MemoryError, match=f"^no memory for {2**62} bytes of a 'char"):
        pointer[0]


def test_the_highest_address_is_minus_one(lib):
    assert int(lib.cast(-1, "void *")) == 2**64 - 1


def test_variables_are_read_and_written_in_the_library(lib):
    lib.counter = 41
    lib.bump()
    assert lib.counter == 42
    lib.origin.x = 8
    lib.table[2] = 33
    assert (lib.origin.x, lib.table[:], lib.limit) == (8, [1, 2, 33, 4], 9)
    assert {"counter", "origin", "LIMIT", "GREEN", "colour"} <= set(dir(lib))
    lib.close()
    with pytest.raises(pythy.Error, match="the variable 'counter' was used after its interface was closed"):
        lib.counter  # noqa: B018


@pytest.mark.in_process_only("close() ends the worker, and with it all of its memory")
def test_memory_of_c_is_not_looked_at_after_close(lib):
    """It may be gone with the library; what lib.new made is there."""
    record, array_, pointer = lib.origin, lib.table, lib.cast(lib.origin, "struct point *")
    node = lib.new("node", text=b"kept", at=(1, 2), next=lib.push(None, 1.5))
    copied = lib.new("node", lib.push(None, 1.5)[0])
    lib.close()
    gone = "a '{}' in C's memory was used after its interface was closed"
    uses = {
        "int": [
            lambda: record.x,
            lambda: record.__setattr__("x", 1),
            lambda: array_[0],
            lambda: array_[1:],
            lambda: array_.__setitem__(0, 1),
        ],
        "struct point": [
            lambda: lib.new("struct point", record),
            lambda: pointer[0],
            lambda: pointer.__setitem__(0, (1, 2)),
            lambda: lib.buffer(record),
        ],
        "double": [lambda: node.next.value],
    }
    for name, all_of_it in uses.items():
        for use in all_of_it:
            with pytest.raises(pythy.Error, match=re.escape(gone.format(name))):
                use()
    with pytest.raises(pythy.Error, match=re.escape("the text of " + gone.format("char *"))):
        copied.text  # noqa: B018
    with pytest.raises(pythy.Error, match=r"a 'struct point \*' was used after its interface was closed"):
        lib.buffer(pointer, 4)
    assert repr(record) == "<struct point x=? y=?>"
    assert (node.text, node.at.y, lib.new("struct point", x=3).x) == (b"kept", 2, 3)


def test_enums_and_constants(lib):
    assert (lib.LIMIT, lib.NAME, lib.GREEN, lib.colour.RED) == (16, b"pythy", 5, 0)
    assert repr(lib.paint(5)) == "<colour.GREEN: 5>"
    assert lib.paint(lib.RED) is lib.colour.RED
    assert lib.paint(3) == 3


SCALARS = ["char", "signed char", "short", "int", "long", "float", "double", "unsigned char"]
WIDE = ["long double", "float _Complex", "double _Complex", "long double _Complex"]


def random_value(generator: random.Random, scalar: str):
    quarter = generator.randrange(-1000, 1000) / 4
    if scalar == "char":
        return bytes([generator.randrange(1, 127)])
    if scalar in ("float", "double", "long double"):
        return quarter
    if "_Complex" in scalar:
        return complex(quarter, generator.randrange(-1000, 1000) / 4)
    bits = {"signed char": 7, "short": 15, "int": 31, "long": 63, "unsigned char": 8}[scalar]
    return generator.randrange(2**bits)


def summed(scalar: str, name: str) -> str:
    """What C adds up of an argument."""
    return f"creall({name}) + 3 * cimagl({name})" if "_Complex" in scalar else name


@pytest.mark.parametrize(
    ("scalars", "others_of"), [(SCALARS, ["int", "double"]), (SCALARS + WIDE, ["int", *WIDE])]
)
def test_records_by_value_agree_with_the_c_compiler(interface, scalars, others_of):
    """Random records of up to 5 fields, among up to 11 other arguments, there and back."""
    generator = random.Random(7)
    header, source, functions = [], ["#include <complex.h>"], []
    for k in range(150):
        longest = generator.choice([1, 2, 5])
        fields = [generator.choice(scalars) for _ in range(generator.randrange(1, longest + 1))]
        others = [generator.choice(others_of) for _ in range(generator.randrange(12))]
        at = generator.randrange(len(others) + 1)
        members = " ".join(f"{scalar} f{i};" for i, scalar in enumerate(fields))
        aligned = generator.choice(["", "", "__attribute__((aligned(16)))", "__attribute__((packed))"])
        header.append(f"struct {aligned} s{k} {{ {members} }};")
        parameters = [f"{scalar} e{i}" for i, scalar in enumerate(others)]
        parameters.insert(at, f"struct s{k} a")
        prototype = f"struct s{k} g{k}({', '.join(parameters)}, struct s{k} b, double *sum)"
        header.append(f"{prototype};")
        total = "".join(f" + {summed(scalar, f'e{i}')}" for i, scalar in enumerate(others))
        mix = " ".join(f"r.f{i} = {'ab'[i % 2]}.f{i};" for i in range(len(fields)))
        source.append(f"{prototype} {{ *sum = 0{total}; struct s{k} r; {mix} return r; }}")
        functions.append((fields, others, at))
    lib = interface("\n".join(header), "\n".join(source))
    for k, (fields, others, at) in enumerate(functions):
        first = [random_value(generator, scalar) for scalar in fields]
        second = [random_value(generator, scalar) for scalar in fields]
        records = [
            lib.new(f"struct s{k}", **{f"f{i}": value for i, value in enumerate(values)})
            for values in (first, second)
        ]
        arguments = [random_value(generator, "short" if scalar == "int" else scalar) for scalar in others]
        total = lib.ref("double")
        result = getattr(lib, f"g{k}")(*arguments[:at], records[0], *arguments[at:], records[1], total)
        got = [getattr(result, f"f{i}") for i in range(len(fields))]
        assert got == [(first, second)[i % 2][i] for i in range(len(fields))], (k, fields)
        parts = [complex(value) for value in arguments]
        assert total.value == sum(value.real + 3 * value.imag for value in parts), (k, others)


def test_unions_by_value_agree_with_the_c_compiler(interface):
    """The classes of their members are merged, a long double's with nothing but itself."""
    header, source, functions = [], [], []
    pairs = [
        (a, b) for a in ["int", "float", "double", *WIDE] for b in ["char", "float", "long", *WIDE] if a != b
    ]
    for k, (a, b) in enumerate(pairs):
        header.append(f"typedef {a} first{k}; union u{k} {{ first{k} first; {b} second; }};")
        prototype = f"union u{k} g{k}(int before, union u{k} u, double after, {a} *seen)"
        header.append(f"{prototype};")
        source.append(f"{prototype} {{ *seen = u.first; u.second = before + after; return u; }}")
        functions.append((a, b))
    lib = interface("\n".join(header), "\n".join(source))
    for k, (a, b) in enumerate(functions):
        union = lib.new(f"union u{k}", first=3)
        seen = lib.ref(f"first{k}")
        result = getattr(lib, f"g{k}")(60, union, 5.0, seen)
        assert seen.value == 3, (a, b)
        assert result.second == (b"A" if b == "char" else 65), (a, b)


WHOLE = {
    "signed char": (-(2**7), 2**7 - 1),
    "unsigned short": (0, 2**16 - 1),
    "int": (-(2**31), 2**31 - 1),
    "unsigned": (0, 2**32 - 1),
    "long": (-(2**63), 2**63 - 1),
    "unsigned long long": (0, 2**64 - 1),
}


@dataclass
class Corpus:
    """Random records with all that may be in them, and the leaves of each: path, least and greatest value."""

    random: random.Random
    names: itertools.count = field(default_factory=itertools.count)

    def member(self, keyword, depth):
        name = f"m{next(self.names)}"
        kind = self.random.choice(("bits", "bits", "scalar", "array", "record", "anonymous"))
        scalar = self.random.choice(list(WHOLE))
        least, most = WHOLE[scalar]
        if kind == "bits":
            width = self.random.randrange(1, most.bit_length() + (least < 0) + 1)
            signed = least < 0
            bounds = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
            return f"{scalar} {name} : {width};", [(name, *bounds)]
        if kind in ("record", "anonymous") and depth < 2:
            inner = self.random.choice(("struct", "union")) if kind == "record" else "struct"
            attribute = self.random.choice(("", "__attribute__((packed))"))
            text, leaves = self.members(inner, depth + 1)
            if kind == "anonymous":
                return f"struct {attribute} {{ {text} }};", leaves
            return f"{inner} {attribute} {{ {text} }} {name};", [(f"{name}.{p}", *b) for p, *b in leaves]
        if kind == "array":
            count = self.random.randrange(1, 4)
            return f"{scalar} {name}[{count}];", [(f"{name}[{i}]", least, most) for i in range(count)]
        if keyword == "struct" and depth == 0 and self.random.random() < 0.5:
            # Not in unions, where it might be no number.
            scalar, least, most = self.random.choice(("float", "double")), -1000, 1000
        return f"{scalar} {name};", [(name, least, most)]

    def members(self, keyword, depth=0):
        made = [self.member(keyword, depth) for _ in range(self.random.randrange(1, 5))]
        return " ".join(text for text, _ in made), [leaf for _, leaves in made for leaf in leaves]


def leaf_of(record, path):
    """What holds the leaf, and the name or index that it has there."""
    *way, last = re.findall(r"\w+", path)
    for step in way:
        record = record[int(step)] if step.isdigit() else getattr(record, step)
    return record, last


def read_leaf(record, path):
    holder, last = leaf_of(record, path)
    return holder[int(last)] if last.isdigit() else getattr(holder, last)


def write_leaf(record, path, value):
    holder, last = leaf_of(record, path)
    if last.isdigit():
        holder[int(last)] = value
    else:
        setattr(holder, last, value)


@pytest.mark.one_python
def test_random_records_agree_with_the_c_compiler_to_the_last_bit(interface):
    """Bit-fields, nested, packed, aligned and anonymous members, by pointer and by value."""
    corpus = Corpus(random.Random(11))
    header, source, records = [], [], []
    for k in range(60):
        keyword = corpus.random.choice(("struct", "struct", "struct", "union"))
        attribute = corpus.random.choice(("", "", "__attribute__((packed))", "__attribute__((aligned(16)))"))
        text, leaves = corpus.members(keyword)
        header.append(f"typedef {keyword} {attribute} {{ {text} }} r{k};")
        before = "".join(f"{corpus.random.choice(('int', 'double'))} b{i}, " for i in range(k % 9))
        copy_body = f"return end == 7 ? r : (r{k}){{0}};"
        functions = [(f"r{k} copy{k}({before}r{k} r, int end)", copy_body)]
        for i, (path, _, most) in enumerate(leaves):
            c = "double" if most == 1000 else "unsigned long long" if most == 2**64 - 1 else "long long"
            functions.append((f"{c} get{k}_{i}(const r{k} *r)", f"return r->{path};"))
            functions.append((f"void set{k}_{i}(r{k} *r, {c} v)", f"r->{path} = v;"))
        header.extend(f"{prototype};" for prototype, _ in functions)
        source.extend(f"{prototype} {{ {body} }}" for prototype, body in functions)
        records.append((k, k % 9, leaves))
    lib = interface("\n".join(header), "\n".join(source))
    assert sum(len(leaves) for _, _, leaves in records) > 200
    for k, others, leaves in records:
        whole = lib.new(f"r{k}")
        for i, (path, least, most) in enumerate(leaves):
            for value in (least, most, corpus.random.randint(least, most)):
                write_leaf(whole, path, value)
                assert getattr(lib, f"get{k}_{i}")(whole) == value, (k, path)
                fresh = lib.new(f"r{k}")
                getattr(lib, f"set{k}_{i}")(fresh, value)
                assert read_leaf(fresh, path) == value, (k, path)
        returned = getattr(lib, f"copy{k}")(*[0] * others, whole, 7)
        for i, (path, _, _) in enumerate(leaves):
            value = getattr(lib, f"get{k}_{i}")(whole)
            assert read_leaf(returned, path) == value, (k, path)


def test_wide_numbers_are_floats_and_complex_numbers(interface):
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    lib = interface(
        """
        #include <complex.h>
        long double third(long double value);
        float _Complex turned(float _Complex z);
        double _Complex squared(double _Complex z);
        long double _Complex conjugated(long double _Complex z);
        void all(double _Complex *values, int count);
        struct wave { long double phase; double _Complex amplitude; float _Complex small[2]; };
        extern double _Complex unit;
        """,
        """
        long double third(long double value) { return value / 3; }
        float _Complex turned(float _Complex z) { return z * I; }
        double _Complex squared(double _Complex z) { return z * z; }
        long double _Complex conjugated(long double _Complex z) { return conjl(z); }
        void all(double _Complex *values, int count) {
            for (int i = 0; i < count; i++) values[i] *= I;
        }
        double _Complex unit = I;
        """,
    )
    assert lib.third(1) == 1 / 3
    assert lib.third(-float("inf")) == -float("inf")
    assert lib.turned(1 + 2j) == -2 + 1j
    assert lib.squared(3) == 9
    assert lib.squared(1 + 1j) == 2j
    assert lib.conjugated(0.25 + 4j) == 0.25 - 4j
    assert lib.squared(numpy.complex64(1 + 2j)) == -3 + 4j
    values = numpy.array([1, 2j], dtype=complex)
    lib.all(values, 2)
    assert values.tolist() == [1j, -2]
    wave = lib.new("struct wave", phase=0.5, amplitude=1j)
    wave.small[1] = 2 - 1j
    assert (wave.phase, wave.amplitude, wave.small[:]) == (0.5, 1j, [0, 2 - 1j])
    reference = lib.ref("long double", 0.1)
    assert reference.value == 0.1
    assert (lib.unit, lib.sizeof("struct wave")) == (1j, 48)
    lib.unit = 5
    assert lib.unit == 5
    with pytest.raises(
        pythy.ArgumentError, match=r"squared\(\) argument 1 'z' .* must be a complex number, not str"
    ):
        lib.squared("1j")
    with pytest.raises(OverflowError, match=r"turned\(\) argument 1 'z' .*: \(1e\+300\+0j\) is out of range"):
        lib.turned(1e300 + 0j)
    with pytest.raises(
        pythy.ArgumentError, match=r"struct wave.phase \(long double\) must be a float, not NoneType"
    ):
        wave.phase = None


def test_buffers_serve_for_pointers_to_arrays(interface):
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    lib = interface(
        """
        typedef double pair[2];
        double sum(const pair *pairs, int count);
        void clear(double (*m)[3], int rows);
        """,
        """
        double sum(const pair *pairs, int count) {
            double sum = 0;
            for (int i = 0; i < count; i++) sum += pairs[i][0] * pairs[i][1];
            return sum;
        }
        void clear(double (*m)[3], int rows) {
            for (int i = 0; i < rows; i++) m[i][0] = 0;
        }
        """,
    )
    assert lib.sum(numpy.array([1 + 2j, 3 + 4j]), 2) == 14
    assert lib.sum(array.array("d", [1, 2, 3, 4]), 2) == 14
    matrix = numpy.ones((2, 3))
    lib.clear(matrix, 2)
    assert matrix.tolist() == [[0, 1, 1], [0, 1, 1]]
    with pytest.raises(pythy.ArgumentError, match="number of items of 16 bytes; this array has 24 bytes"):
        lib.sum(array.array("d", [1, 2, 3]), 1)


def test_variable_arguments_are_promoted_as_c_promotes_them(interface):
    lib = interface(
        "int format(char *out, unsigned long size, const char *format, ...);",
        """
        #include <stdarg.h>
        #include <stdio.h>
        int format(char *out, unsigned long size, const char *format, ...) {
            va_list list;
            va_start(list, format);
            int count = vsnprintf(out, size, format, list);
            va_end(list);
            return count;
        }
        """,
    )
    out = bytearray(100)
    floats = [i + 0.5 for i in range(9)]
    count = lib.format(out, 100, "%d %s %.2f %ld %c" + " %g" * 9, 5, b"text", 1.5, 2**40, 65, *floats)
    assert bytes(out[:count]) == b"5 text 1.50 1099511627776 A 0.5 1.5 2.5 3.5 4.5 5.5 6.5 7.5 8.5"


VARIADIC = """
    struct pair { double real; long whole; };
    struct large { int items[9]; };
    int format(char *out, unsigned long size, const char *format, ...);
    double sum(const char *kinds, ...);
"""
VARIADIC_SOURCE = """
    #include <complex.h>
    #include <stdarg.h>
    #include <stdio.h>
    int format(char *out, unsigned long size, const char *format, ...) {
        va_list list;
        va_start(list, format);
        int count = vsnprintf(out, size, format, list);
        va_end(list);
        return count;
    }
    double sum(const char *kinds, ...) {
        va_list list;
        va_start(list, kinds);
        double sum = 0;
        for (; *kinds; kinds++) {
            if (*kinds == 'i') sum += va_arg(list, int);
            if (*kinds == 'd') sum += va_arg(list, double);
            if (*kinds == 'L') sum += va_arg(list, long double);
            if (*kinds == 'z') {
                double complex z = va_arg(list, double complex);
                sum += creal(z) * cimag(z);
            }
            if (*kinds == 'p') { struct pair p = va_arg(list, struct pair); sum += p.real + p.whole; }
            if (*kinds == 'l') sum += va_arg(list, struct large).items[8];
        }
        va_end(list);
        return sum;
    }
"""


def test_a_cast_gives_a_variable_argument_any_type(interface):
    lib = interface(VARIADIC, VARIADIC_SOURCE)
    out = bytearray(100)
    typed = [(1.5, "long double"), (2.5, "float"), (b"a", "char"), (-3, "short")]
    numbers = [lib.cast(value, name) for value, name in typed]
    count = lib.format(out, 100, "%Lg %g %c %d", *numbers)
    assert bytes(out[:count]) == b"1.5 2.5 a -3"
    kinds = {
        "i": lib.cast(5, "int"),
        "d": lib.cast(0.5, "float"),
        "L": lib.cast(0.25, "long double"),
        "z": lib.cast(2 + 3j, "double _Complex"),
        "p": lib.cast(lib.pair(real=0.125, whole=7), "struct pair"),
        "l": lib.cast({"items": range(9)}, lib.large),
    }
    worth = {"i": 5, "d": 0.5, "L": 0.25, "z": 6, "p": 7.125, "l": 8}
    generator = random.Random(3)
    for _ in range(50):
        kind = "".join(generator.choices("iidLzpl", k=generator.randrange(20)))
        added = lib.sum(kind, *(kinds[letter] for letter in kind))
        assert added == sum(worth[letter] for letter in kind), kind
    assert (repr(numbers[0]), numbers[1].value) == ("<pythy.Value 'long double' 1.5>", 2.5)


def test_numbers_of_numpys_are_numbers_among_variable_arguments(interface):
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    lib = interface(VARIADIC, VARIADIC_SOURCE)
    arguments = (numpy.int32(-4), numpy.float32(1.5), numpy.float64(0.25), numpy.uint8(200))
    assert lib.sum("iddi", *arguments) == 197.75
    out, end = bytearray(100), numpy.zeros(1, dtype=numpy.int32)
    lib.format(out, 100, "four%n", end)
    assert end.tolist() == [4]


def grown(work, rounds=100_000):
    """By how many KiB the process grows in the rounds after the first."""

    def peak(rounds):
        for _ in range(rounds):
            work()
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = peak(rounds // 5)
    return peak(rounds) - before


class Keeper:
    """Something that keeps its own handle and callback, as user data often does."""

    def __init__(self, lib):
        self.handle = lib.new_handle(self)
        self.visit = lib.callback("int (*)(int)")(self.twice)

    def twice(self, value):
        return 2 * value


WORK = {
    "records": lambda lib: lib.new("node", text=b"x").at.__setattr__("x", 1),
    "records from dicts": lambda lib: lib.new("node", {"text": "x", "at": (1, 2), "grid": [[1], [2]]}),
    "arrays": lambda lib: lib.new("int[]", (1, 2, 3))[1:],
    "refs": lambda lib: lib.ref("const char *", b"text").value,
    "owned pointers": lambda lib: lib.own(lib.push(None, 1.0), lib.free_list),
    "casts": lambda lib: lib.cast(lib.cast(4096, "const int *"), "struct point *"),
    "handles": lambda lib: lib.from_handle(lib.new_handle([])),
    "callbacks": lambda lib: lib.callback("int (*)(int)")(lambda value: value),
    "callbacks of a call": lambda lib: lib.visit(lambda value: value + 1),
    "results of callbacks": lambda lib: lib.visit_text(lambda: "text" * 10),
    "records through callbacks": lambda lib: lib.visit_point(lambda point: (point.y, point.x)),
    "function pointers": lambda lib: lib.cast(lib.visitor(), "int (*)(int (*)(int))")(lambda value: value),
    "cycles": Keeper,
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_nothing_that_is_dropped_grows(interface, work, repeats):
    lib = interface(
        HEADER
        + """
        int visit(int (*f)(int));
        unsigned long visit_text(const char *(*f)(void));
        int visit_point(struct point (*f)(struct point));
        void *visitor(void);
        """,
        SOURCE
        + """
        int visit(int (*f)(int)) { return f(1); }
        unsigned long visit_text(const char *(*f)(void)) { return strlen(f()); }
        int visit_point(struct point (*f)(struct point)) { return f(origin).x; }
        void *visitor(void) { return (void *)visit; }
        """,
    )
    rounds = repeats(100_000)
    assert grown(lambda: work(lib), rounds) < max(4096 * rounds // 100_000, 1024)


def test_enums_of_64_bits_are_unsigned_where_c_has_them_so(interface):
    lib = interface(
        "enum huge { A = 0x8000000000000000, B = 0xffffffffffffffff }; enum huge same(enum huge h);"
        " enum low { C = -5, D = 1 }; enum low low(enum low l); struct s { enum huge h; };",
        "enum huge same(enum huge h) { return h; } enum low low(enum low l) { return l; }",
    )
    assert lib.same(lib.B) is lib.B
    assert lib.same(lib.same(lib.A)) == 2**63
    assert lib.new("struct s", h=lib.B).h is lib.B
    assert lib.low(lib.C) is lib.C
    assert lib.ref("enum huge", lib.A).value is lib.A


def test_pointers_have_no_end_to_iterate_to(lib):
    reference = lib.ref("int", 3)
    pointer = lib.cast(reference, "int *")
    for use in (iter, list, tuple):
        with pytest.raises(TypeError, match="a pointer does not know how many items there are"):
            use(pointer)
    with pytest.raises(IndexError, match="item 4611686018427387904 lies beyond the end of all memory"):
        pointer[2**62]


FLEXIBLE = """
    struct packet { unsigned char count; short items[]; };
    struct message { long id; char kind; char text[]; };
    struct old { int count; int items[0]; };
    int sum(const struct packet *p);
    const char *text_of(const struct message *m);
"""
FLEXIBLE_SOURCE = """
    int sum(const struct packet *p) {
        int s = 0;
        for (int i = 0; i < p->count; i++) s += p->items[i];
        return s;
    }
    const char *text_of(const struct message *m) { return m->text; }
"""


def test_the_flexible_array_of_a_new_record_has_the_length_of_its_value(interface):
    lib = interface(FLEXIBLE, FLEXIBLE_SOURCE)
    for packet in (
        lib.new("struct packet", count=3, items=[1, 2, 3]),
        lib.new("struct packet", {"count": 3, "items": (1, 2, 3)}),
        lib.packet((3, [1, 2, 3])),
        lib.packet(lib.packet(count=3, items=[1, 2, 3])),
        copy.copy(lib.packet(count=3, items=[1, 2, 3])),
    ):
        assert (packet.items[:], len(packet.items), lib.sum(packet)) == ([1, 2, 3], 3, 6)
        assert (lib.sizeof(packet), lib.sizeof("struct packet"), len(lib.buffer(packet))) == (2, 2, 8)
        packet.items[2] = 30
        assert lib.sum(packet) == 33
        with pytest.raises(IndexError, match=r"index 3 is out of range for 'short \[3\]'"):
            packet.items[3]
        with pytest.raises(pythy.ArgumentError, match=r"struct packet.items: 4 items do not fit 3"):
            packet.items = [1, 2, 3, 4]
    message = lib.new("struct message", id=5, text=b"hey")
    assert (message.text, lib.text_of(message), len(lib.buffer(message))) == (b"hey", b"hey", 16)
    assert lib.new("struct old", items=[1, 2]).items[:] == [1, 2]
    assert len(lib.new("struct packet").items) == 0
    assert len(lib.new("struct packet", count=1).items) == 0
    with pytest.raises(
        pythy.ArgumentError, match=r"struct packet\.items takes a sequence of 'short', not int"
    ):
        lib.new("struct packet", items=5)


def test_rows_lie_one_behind_the_other(interface):
    """So an array of arrays is one of its numbers, also where C says only when it runs how many there are."""
    header = """
        int sum(const int *numbers, int count);
        int trace(int rows, int columns, const int cells[rows][columns]);
    """
    source = """
        int sum(const int *numbers, int count)
        {
            int sum = 0;
            while (count--)
                sum += numbers[count];
            return sum;
        }
        int trace(int rows, int columns, const int cells[rows][columns])
        {
            int sum = 0;
            for (int i = 0; i < rows; i++)
                sum += cells[i][i];
            return sum;
        }
    """
    lib = interface(header, source)
    cells = lib.new("int[2][3]", [[1, 2, 3], [4, 5, 6]])
    assert (lib.sum(cells, 6), lib.trace(2, 3, cells)) == (21, 6)
    assert lib.trace(2, 2, array.array("i", [1, 2, 3, 4])) == 5
    with pytest.raises(pythy.ArgumentError) as caught:
        lib.trace(2, 2, lib.new("double[2][2]"))
    assert str(caught.value) == (
        "trace() argument 3 'cells' (const int (*)[*]) must not be a pointer of type 'double (*)[2]'"
    )


def test_records_lie_where_their_alignment_wants_them(interface):
    """Beyond what C's allocator sees to: C code reads such records with instructions that insist on it."""
    header = """
        struct wide { int numbers[8]; } __attribute__((aligned(64)));
        int first(const struct wide *wide);
    """
    lib = interface(header, "int first(const struct wide *wide) { return wide->numbers[0]; }")
    made = [lib.new("struct wide", numbers=[number]) for number in range(20)]
    made += [lib.new("struct wide[2]")[0], lib.ref("struct wide")]
    assert {int(lib.cast(one, "void *")) % 64 for one in made} == {0}
    assert [lib.first(one) for one in made[:3]] == [0, 1, 2]
    assert lib.sizeof(made[0]) == 64
