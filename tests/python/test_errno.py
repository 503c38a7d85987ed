"""C's errno, call by call and thread by thread."""

import errno
import os
import threading

import pytest
import pythy

pytestmark = pytest.mark.usefixtures("both_backends")

HEADER = """
    int fail(int code);
    int fine(void);
    int current(void);
    double half(double value, int code);
    struct pair { int a, b; };
    struct pair swapped(struct pair pair, int code);
    int with_callback(int (*f)(void), int code);
    long many(long a, long b, long c, long d, long e, long f, long g, int code);
"""
SOURCE = """
    #include <errno.h>
    int fail(int code) { errno = code; return -1; }
    int fine(void) { return 0; }
    int current(void) { return errno; }
    double half(double value, int code) { errno = code; return value / 2; }
    struct pair swapped(struct pair pair, int code) {
        errno = code;
        return (struct pair){pair.b, pair.a};
    }
    int with_callback(int (*f)(void), int code) {
        errno = code;
        f();
        return errno;
    }
    long many(long a, long b, long c, long d, long e, long f, long g, int code) {
        errno = code;
        return a + b + c + d + e + f + g;
    }
"""


@pytest.fixture(params=["release", "hold"])
def lib(request, interface):
    return interface(HEADER, SOURCE, gil=request.param)


def disturb():
    """Leave another errno behind, as Python's own work does."""
    assert not os.path.exists("/nonexistent/file")


def test_what_a_call_left_stays_until_the_next_one(lib):
    assert lib.fail(errno.ENOSPC) == -1
    disturb()
    assert pythy.errno() == errno.ENOSPC
    assert os.strerror(pythy.errno()) == "No space left on device"
    assert lib.half(3.0, errno.EDOM) == 1.5
    assert pythy.errno() == errno.EDOM


def test_every_route_of_a_call_keeps_it(lib):
    assert lib.many(1, 2, 3, 4, 5, 6, 7, errno.E2BIG) == 28
    disturb()
    assert pythy.errno() == errno.E2BIG
    pair = lib.swapped(lib.new("struct pair", a=1, b=2), errno.EXDEV)
    disturb()
    assert (pair.a, pair.b, pythy.errno()) == (2, 1, errno.EXDEV)


def test_a_call_finds_what_the_last_one_left_as_in_c(lib):
    lib.fail(errno.EAGAIN)
    disturb()
    assert lib.current() == errno.EAGAIN
    lib.fine()
    assert pythy.errno() == errno.EAGAIN
    pythy.set_errno(0)
    disturb()
    assert lib.current() == 0
    lib.fine()
    assert pythy.errno() == 0


def test_each_thread_has_its_own(lib):
    seen = {}
    barrier = threading.Barrier(3)

    def work(code):
        first = pythy.errno()
        lib.fail(code)
        barrier.wait()
        seen[code] = first, pythy.errno(), lib.current()

    lib.fail(errno.EPERM)
    threads = [threading.Thread(target=work, args=(code,)) for code in (5, 6, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {5: (0, 5, 5), 6: (0, 6, 6), 7: (0, 7, 7)}
    assert pythy.errno() == errno.EPERM


def test_a_callback_sees_it_and_leaves_it_to_c(lib):
    seen = []

    def callback():
        seen.append(pythy.errno())
        disturb()
        return 0

    assert lib.with_callback(callback, errno.EBUSY) == errno.EBUSY
    assert lib.with_callback(lambda: lib.fail(errno.EINTR), errno.EBUSY) == errno.EINTR
    assert seen == [errno.EBUSY]


def test_libc_functions_that_tell_by_errno_alone():
    libc = pythy.create_interface(["/usr/include/stdlib.h", "/usr/include/fcntl.h"], "libc.so.6")
    pythy.set_errno(0)
    assert libc.strtol(b"9" * 30, None, 10) == 2**63 - 1
    assert pythy.errno() == errno.ERANGE
    assert libc.open("/nonexistent/file", libc.O_RDONLY) == -1
    assert pythy.errno() == errno.ENOENT


@pytest.mark.in_process_only("there it is the worker that runs under Valgrind")
def test_under_valgrind_too(build, under_valgrind):
    built = build(HEADER, SOURCE)
    script = f"""
        import pythy
        lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r})
        lib.fail(28)
        open("/dev/null").close()
        print(pythy.errno(), lib.current(), lib.with_callback(lambda: lib.fail(4), 16), pythy.errno())
    """
    assert under_valgrind(script, "--log-file=log", "-q").stdout == "28 28 4 4\n"
