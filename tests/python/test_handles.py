"""Python objects as the `void *` that C hands on to a callback."""

import gc
import weakref

import pytest
import pythy

pytestmark = pytest.mark.usefixtures("both_backends")

HEADER = """
    void each(void (*visit)(void *user, int k), void *user, int count);
    void keep(void *user);
    void *kept(void);
    unsigned char first_byte(void *user);
"""
SOURCE = """
    static void *user_data;
    void each(void (*visit)(void *user, int k), void *user, int count) {
        for (int k = 0; k < count; k++) visit(user, k);
    }
    void keep(void *user) { user_data = user; }
    void *kept(void) { return user_data; }
    unsigned char first_byte(void *user) { return *(unsigned char *)user; }
"""


class Thing:
    pass


@pytest.fixture
def lib(interface):
    return interface(HEADER, SOURCE)


def test_an_object_makes_the_round_trip(lib):
    seen = []
    handle = lib.new_handle(seen)
    lib.each(lambda user, k: lib.from_handle(user).append(k), handle, 3)
    assert seen == [0, 1, 2]
    lib.keep(handle)
    assert lib.from_handle(lib.kept()) is seen
    assert lib.kept() == handle
    assert lib.from_handle(lib.cast(int(handle), "void *")) is seen
    assert lib.first_byte(handle) == 0


def test_each_handle_is_its_own(lib):
    thing = Thing()
    first, second = lib.new_handle(thing), lib.new_handle(thing)
    assert first != second
    assert lib.from_handle(first) is lib.from_handle(second)
    del first
    assert lib.from_handle(second) is thing
    assert lib.from_handle(lib.new_handle(None)) is None


def test_the_object_lives_as_long_as_its_handle(lib):
    thing = Thing()
    alive = weakref.ref(thing)
    handle = lib.new_handle(thing)
    del thing
    gc.collect()
    assert lib.from_handle(handle) is alive()
    del handle
    assert alive() is None


def test_an_object_that_holds_its_own_handle_or_callback_is_collected(lib):
    thing = Thing()
    thing.handle = lib.new_handle(thing)
    thing.visit = lib.callback("void (*)(void *, int)")(lambda user, k, thing=thing: None)
    alive = weakref.ref(thing)
    del thing
    gc.collect()
    assert alive() is None


def test_what_is_no_handle_is_refused_unread(lib):
    takes = "from_handle() takes a pointer that new_handle() made, "
    handle = lib.new_handle(Thing())
    lib.keep(handle)
    del handle
    for wrong, says in [
        (lib.kept(), "and that is still kept; this one is none or is gone"),
        (lib.cast(1, "void *"), "and that is still kept; this one is none or is gone"),
        (None, "not None"),
        (5, "not int"),
        (lib.new("int"), "not Ref"),
    ]:
        with pytest.raises(pythy.ArgumentError) as caught:
            lib.from_handle(wrong)
        assert str(caught.value) == takes + says


def test_a_length_that_is_none_and_an_owner_that_goes_with_an_exception_on_its_way(build):
    built = build(
        """
        struct flexible { int count; int data[]; };
        void *make(void);
        void unmake(void *made);
        """,
        """
        #include <stdlib.h>
        void *make(void) { return malloc(8); }
        void unmake(void *made) { free(made); }
        """,
    )
    lib = pythy.create_interface(built.header, built.library)

    class Long:
        def __len__(self):
            return 2**62

        def __iter__(self):
            return iter(range(2000))

    with pytest.raises(
        MemoryError, match=r"^no memory for a 'struct flexible' of 4611686018427387904 items$"
    ):
        lib.new("struct flexible", (1, Long()))

    def free(pointer):
        lib.unmake(pointer)

    with pytest.raises(ZeroDivisionError):
        [lib.own(lib.make(), free), 1 / 0]
