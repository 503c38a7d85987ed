"""Who frees what C hands over: results and out-parameters with a `$ cleanup`, and what is only lent."""

import gc

import pytest
import pythy

pytestmark = pytest.mark.one_python

BACKENDS = [{"backend": "inprocess"}, {"backend": "isolated", "checker": "none"}]

HEADER = """
    struct node { int value; struct node *next; };
    struct list;
    extern int alive;
    // $ cleanup struct node * node_free !list_first|list_*_borrowed
    struct node *node_new(int value);
    void node_free(struct node *node);
    struct node *node_self(struct node *node);
    struct node *node_again(void);
    const struct node *node_seen(void);
    int node_make(int value, struct node **out);
    int node_replace(struct node **node, int value);
    void node_destroy(struct node **node);
    void *node_raw(struct node *node);

    // $ cleanup struct list *
    void list_free(struct list *list);
    struct list *list_of(int value);
    struct node *list_first(struct list *list);
    struct node *list_first_borrowed(struct list *list);

    int text_copy(const char *text, char **copy);
    // $ cleanup text_copy.copy
    void text_free(char *text);
"""
SOURCE = """
    #include <stdlib.h>
    #include <string.h>
    int alive;
    static struct node *last;
    struct list { struct node *first; };
    struct node *node_new(int value) {
        struct node *n = malloc(sizeof *n);
        *n = (struct node){value, 0};
        alive++;
        return last = n;
    }
    void node_free(struct node *n) { alive--; free(n); }
    struct node *node_self(struct node *n) { return n; }
    struct node *node_again(void) { return last; }
    const struct node *node_seen(void) { return last; }
    int node_make(int value, struct node **out) {
        if (value < 0) { *out = 0; return -1; }
        *out = node_new(value);
        return 0;
    }
    int node_replace(struct node **n, int value) { node_free(*n); *n = node_new(value); return 0; }
    void node_destroy(struct node **n) { node_free(*n); *n = 0; }
    void *node_raw(struct node *n) { return n; }
    void list_free(struct list *list) { node_free(list->first); free(list); }
    struct list *list_of(int value) {
        struct list *list = malloc(sizeof *list);
        list->first = node_new(value);
        return list;
    }
    struct node *list_first(struct list *list) { return list->first; }
    struct node *list_first_borrowed(struct list *list) { return list->first; }
    int text_copy(const char *text, char **copy) {
        alive++;
        *copy = strcpy(malloc(strlen(text) + 1), text);
        return 0;
    }
    void text_free(char *text) { alive--; free(text); }
"""


@pytest.fixture(params=BACKENDS, ids=["inprocess", "isolated"])
def lib(request, interface):
    lib = interface(HEADER, SOURCE, **request.param)
    yield lib
    gc.collect()
    assert lib.alive == 0
    lib.close()


def test_what_somebody_owns_is_not_owned_again(lib):
    node = lib.node_new(3)
    again = lib.node_again()
    assert again is node
    del again
    assert (lib.alive, node.value) == (1, 3)
    del node


def test_what_comes_again_is_owned_anew_once_its_owner_has_let_go(lib):
    node = lib.node_new(3)
    plain = node.disown()
    del node
    node = lib.node_again()
    assert node is not plain
    del node
    assert lib.alive == 0


def test_a_function_with_an_exclamation_mark_only_lends(lib):
    list = lib.list_of(4)
    for lend in lib.list_first, lib.list_first_borrowed:
        node = lend(list)
        assert node.value == 4
        del node
    assert lib.alive == 1
    with pytest.raises(AttributeError):
        _ = list.value
    del list, lend


def test_a_pointer_to_const_is_only_lent(lib):
    node = lib.node_new(5)
    assert lib.node_seen().value == 5
    assert lib.alive == 1
    del node


def test_an_equal_pointer_of_another_type_frees_nothing(lib):
    node = lib.node_new(6)
    raw = lib.node_raw(node)
    del raw
    assert lib.alive == 1
    del node


def test_to_free_by_another_pointer_to_the_same_is_to_free(lib):
    node = lib.node_new(7)
    lib.node_free(lib.cast(node, "struct node *"))
    assert lib.alive == 0
    del node
    node = lib.node_new(8)
    lib.node_free(node)
    del node
    assert lib.alive == 0


def test_a_call_that_is_refused_frees_nothing(lib):
    list, node = lib.list_of(9), lib.node_new(9)
    with pytest.raises(pythy.ArgumentError):
        lib.node_free(list)
    with pytest.raises(pythy.ArgumentError):
        lib.node_free(node, 2)
    assert lib.alive == 2
    del list, node


def test_an_out_parameter_is_freed_with_its_ref(lib):
    out = lib.ref("struct node *")
    assert lib.node_make(1, out) == 0
    assert (out.value.value, lib.alive) == (1, 1)
    del out
    assert lib.alive == 0


def test_what_a_ref_received_lives_as_long_as_it_is_used(lib):
    out = lib.ref("struct node *")
    lib.node_make(2, out)
    node = out.value
    assert out.pointer is node
    del out
    assert (lib.alive, node.value) == (1, 2)
    with node:
        pass
    assert lib.alive == 0


def test_a_failed_call_leaves_nothing_to_free(lib):
    out = lib.ref("struct node *")
    assert lib.node_make(-1, out) == -1
    assert out.value is None


def test_what_c_replaces_or_takes_from_a_ref_is_cs(lib):
    out = lib.ref("struct node *")
    lib.node_make(3, out)
    lib.node_replace(out, 4)
    assert (lib.alive, out.value.value) == (1, 4)
    lib.node_destroy(out)
    assert (lib.alive, out.value) == (0, None)
    del out


def test_what_a_ref_received_can_be_freed_by_hand(lib):
    out = lib.ref("struct node *")
    lib.node_make(5, out)
    lib.node_free(out.value)
    assert lib.alive == 0
    del out


def test_each_reference_that_c_counts_has_an_owner(interface):
    lib = interface(
        """
        struct counted { int references; };
        struct counted *counted_new(void);
        struct counted *counted_ref(struct counted *one);
        void counted_unref(struct counted *one);
        extern int counted_alive;
        """,
        """
        #include <stdlib.h>
        int counted_alive;
        struct counted *counted_new(void) {
            struct counted *one = malloc(sizeof *one);
            one->references = 1;
            counted_alive++;
            return one;
        }
        struct counted *counted_ref(struct counted *one) { one->references++; return one; }
        void counted_unref(struct counted *one) {
            if (--one->references == 0) { free(one); counted_alive--; }
        }
        """,
    )
    first = lib.own(lib.counted_new(), lib.counted_unref)
    with lib.own(lib.counted_ref(first), lib.counted_unref) as second:
        assert (second == first, second.references) == (True, 2)
    assert (first.references, lib.counted_alive) == (1, 1)
    first.release()
    assert lib.counted_alive == 0


def test_own_says_when_the_header_has_it_freed(lib):
    out = lib.ref("struct node *")
    lib.node_make(6, out)
    message = r"^own\(\): this pointer is owned already; disown\(\) it first$"
    with pytest.raises(pythy.ArgumentError, match=message):
        lib.own(lib.cast(out.value, "struct node *"), lib.node_free)
    with lib.own(out.pointer.disown(), lib.node_free) as node:
        assert node.value == 6
    assert lib.alive == 0
    del out


def test_text_that_comes_through_a_named_parameter_is_freed(lib):
    copy = lib.ref("char *")
    lib.text_copy("hello", copy)
    assert (copy.value, lib.alive) == (b"hello", 1)
    del copy
    assert lib.alive == 0


def test_each_out_parameter_of_a_name(interface):
    lib = interface(
        """
        struct a; struct b;
        int a_make(struct a **out);
        int b_make(struct b **made);
        // $ cleanup out
        void a_free(struct a *a);
        extern int freed;
        """,
        """
        static int block;
        int freed;
        int a_make(struct a **out) { *out = (struct a *)&block; return 0; }
        int b_make(struct b **made) { *made = (struct b *)&block; return 0; }
        void a_free(struct a *a) { freed++; }
        """,
    )
    a, b = lib.ref("struct a *"), lib.ref("struct b *")
    lib.a_make(a)
    lib.b_make(b)
    del b
    assert lib.freed == 0
    del a
    assert lib.freed == 1


# What Valgrind finds.

LEAKS = """
    import pythy
    lib = pythy.create_interface("code.h", "code.so"{options})
    with pythy.watch() as report:
        lib.node_new(1).disown()
        out = lib.ref("struct node *")
        lib.node_make(2, out)
        out.pointer.disown()
        out.value = None
        kept = lib.node_new(3)
        lib.list_of(4).disown()
        lib.text_copy("five", text := lib.ref("char *"))
        text.pointer.disown()
        del out, text
    for finding in report.findings:
        print(finding.what, finding.allocated_by.call_site.line)
"""
LOST = (
    "16 bytes in 1 block is definitely lost: returned by node_new(), never passed to node_free() 4\n"
    "16 bytes in 1 block is definitely lost: stored in 'out' by node_make(), never passed to node_free() 6\n"
    "8 bytes in 1 block is definitely lost: returned by list_of(), never passed to list_free() 10\n"
    "5 bytes in 1 block is definitely lost: stored in 'copy' by text_copy(), never passed to text_free() 11\n"
)


def told(output):
    """The lines without what says that no call has been made, in the order of their calls."""
    why = "; no call was made since the last check, so Python dropped the last handle"
    lines = output.replace(why, "").splitlines(keepends=True)
    return "".join(sorted(lines, key=lambda line: int(line.split()[-1])))


def test_a_leak_says_by_what_it_was_not_freed_in_a_worker(build, natively):
    built = build(HEADER, SOURCE)
    run = natively(LEAKS.replace("{options}", ', backend="isolated"'), directory=built.directory)
    assert told(run.stdout) == LOST


def test_a_leak_says_by_what_it_was_not_freed_in_process(build, under_valgrind):
    built = build(HEADER, SOURCE)
    options = ["--num-callers=40", "--log-file=valgrind.log"]
    run = under_valgrind(LEAKS.replace("{options}", ""), *options, directory=built.directory)
    assert told(run.stdout) == LOST


def test_what_was_freed_and_what_is_allocated_beside_it_is_told_as_ever(build, natively):
    built = build(
        """
        struct node;
        struct node *node_new(void);
        // $ cleanup struct node *
        void node_free(struct node *node);
        """,
        """
        #include <stdlib.h>
        struct node *node_new(void) { malloc(5); return malloc(8); }
        void node_free(struct node *node) { free(node); }
        """,
    )
    script = """
        import pythy
        lib = pythy.create_interface("code.h", "code.so", backend="isolated")
        with pythy.watch() as report:
            lib.node_new()
        print([finding.what for finding in report.findings])
    """
    run = natively(script, directory=built.directory)
    assert run.stdout == "['5 bytes in 1 block is definitely lost']\n"
