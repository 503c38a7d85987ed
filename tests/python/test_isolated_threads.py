"""What a call of a worker's meets on its way: other threads' calls, signals, too many arguments, nonsense."""

import pytest
import pythy

pytestmark = pytest.mark.one_python

HEADER = """
    enum pace { FAST, SLOW };
    typedef int (*callback)(int);
    int sleep_for(int milliseconds);
    int work(enum pace pace, int milliseconds);
    int sum(int count, ...);
    int add(int a, int b);
    extern int counter;
    int lie(callback f);
    callback adder(void);
    static inline int twice(int a) { return 2 * a; }
"""
SOURCE = """
    #include <errno.h>
    #include <stdarg.h>
    #include <sys/socket.h>
    #include <time.h>
    #include <unistd.h>
    int sleep_for(int milliseconds) {
        struct timespec rest = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
        while (nanosleep(&rest, &rest) && errno == EINTR) {}
        return milliseconds;
    }
    int work(enum pace pace, int milliseconds) { return sleep_for(milliseconds) + pace; }
    int sum(int count, ...) {
        va_list list;
        va_start(list, count);
        int sum = 0;
        while (count--) sum += va_arg(list, int);
        va_end(list);
        return sum;
    }
    int add(int a, int b) { return a + b; }
    int counter = 7;
    static int one_more(int a) { return a + 1; }
    callback adder(void) { return one_more; }
    /* A frame of pythy's own: a callback, number 1, with one argument, which has no bytes. */
    int lie(callback f) {
        static const unsigned char frame[] = {8, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0};
        for (int i = 3; i < 1000; i++) {
            int type;
            socklen_t length = sizeof type;
            if (!getsockopt(i, SOL_SOCKET, SO_TYPE, &type, &length) && type == SOCK_STREAM)
                return write(i, frame, sizeof frame);
        }
        return -1;
    }
"""


@pytest.fixture(scope="module")
def built(build):
    return build(HEADER, SOURCE)


@pytest.fixture
def ran(built, natively):
    """``ran(script)``: what a script prints that has the interface ``lib``."""

    def run(script: str) -> str:
        head = f"""
        import pythy, signal, threading
        header, library = {str(built.header)!r}, {str(built.library)!r}
        lib = pythy.create_interface(header, library, backend="isolated", checker="none")
        """
        return natively(head + script).stdout

    return run


@pytest.mark.parametrize(
    ("use", "value"),
    [
        ("lib.twice(21)", 42),
        ("lib.sum(2, 40, 2)", 42),
        ("point(41)", 42),
        ("pythy.create_interface(header, library, worker=worker).add(40, 2)", 42),
    ],
)
def test_what_is_used_for_the_first_time_while_another_call_runs_waits_for_it(built, natively, use, value):
    """It does so without the GIL, or the other thread could never take its result."""
    run = natively(
        f"""
        import pythy, threading, time
        header, library = {str(built.header)!r}, {str(built.library)!r}
        with pythy.worker(checker="none") as worker:
            lib = pythy.create_interface(header, library, worker=worker)
            point = lib.adder()
            thread = threading.Thread(target=lambda: print(lib.sleep_for(700)))
            thread.start()
            time.sleep(0.2)
            value = {use}
            thread.join()
            print(value)
        """
    )
    assert run.stdout == f"700\n{value}\n"


def test_what_a_signal_handler_raises_comes_out_of_the_call(ran):
    stdout = ran("""
        class Alarm(Exception):
            pass

        def handler(*_):
            raise Alarm

        signal.signal(signal.SIGALRM, handler)
        for pace in (1, lib.SLOW):
            lib.add(1, 2)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            try:
                lib.work(pace, 20_000)
            except BaseException as error:
                print(type(error).__name__)
        """)
    assert stdout == "Alarm\nAlarm\n"


def test_too_many_arguments_are_refused_and_the_worker_stays(built):
    lib = pythy.create_interface(built.header, built.library, backend="isolated", checker="none")
    assert lib.sum(4095, *range(4095)) == sum(range(4095))
    with pytest.raises(pythy.ArgumentError) as caught:
        lib.sum(40_000, *[1] * 40_000)
    assert str(caught.value) == (
        "sum() takes at most 4096 arguments in a worker (40001 given); use backend='inprocess'"
    )
    assert lib.add(1, 2) == 3
    lib.close()


def test_a_callback_with_other_arguments_than_its_type_has_ends_the_worker(ran):
    stdout = ran("""
        try:
            lib.lie(lambda value: 3)
        except pythy.Error as error:
            print(error)
        print(lib.add(1, 2))
        """)
    assert stdout == (
        "the worker does not make sense any more (it called back with other arguments than the callback's "
        "type has), perhaps because C code overwrote its memory; it has been ended\n3\n"
    )


def test_functions_that_several_threads_ask_for_at_once_are_there_for_each(ran):
    stdout = ran("""
        import gc, time
        gc.callbacks.append(lambda *_: time.sleep(0))
        gc.set_threshold(1)
        barrier, got = threading.Barrier(4), []

        def ask():
            for name in ["sleep_for", "work", "sum", "add", "lie", "adder", "twice"]:
                barrier.wait()
                got.append(getattr(lib, name, None))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(len(got), len(set(got)), None in got)
        """)
    assert stdout == "28 7 False\n"


def test_a_signal_handler_may_read_memory_while_the_program_waits_to(ran):
    """It waits for another thread's call, with a change of Python's still to be sent."""
    stdout = ran("""
        array = lib.new("int[4]")
        view = lib.buffer(array)
        signal.signal(signal.SIGALRM, lambda *_: print("handler reads", array[1]))
        thread = threading.Thread(target=lib.sleep_for, args=(1000,))
        thread.start()
        import time
        time.sleep(0.2)
        view[0] = 1
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        print("the program reads", array[0])
        thread.join()
        """)
    assert stdout == "handler reads 0\nthe program reads 1\n"


def test_a_signal_handler_may_read_a_variable_while_the_program_waits_for_a_new_worker(built, natively):
    run = natively(
        f"""
        import os, pythy, signal, time
        with pythy.worker() as worker:
            lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r}, worker=worker)
            assert lib.counter == 7
            os.kill(worker.pid, signal.SIGKILL)
            time.sleep(0.3)
            try:
                lib.counter
            except pythy.WorkerCrashed:
                pass

            def handler(*_):
                try:
                    print("handler reads", lib.counter)
                except pythy.Error as error:
                    print(error)

            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            print("the program reads", lib.counter)
        pythy._native.tell_at_exit(False)
        """
    )
    # It asks the new worker for where the variable is, or waits for it to start.
    told = ["handler reads 7", "a signal handler cannot use a worker that is in the middle of a call"]
    handler, program = run.stdout.splitlines()
    assert handler in told
    assert program == "the program reads 7"
