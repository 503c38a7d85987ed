"""Thousands of calls, a few of which leak, drawn at random: those and no others are found."""

import random

import pytest

pytestmark = pytest.mark.one_python

HEADER = """
    #include <stddef.h>
    typedef void (*step)(int depth);
    /** Allocates `size` bytes that are freed again. */
    void fine(size_t size);
    void lose(size_t size);
    void lose_deep(size_t size, int frames);
    void lose_in_callback(step go, int depth);
    void *make(size_t size);
    void drop(void *block);
    void keep(size_t size);
    void forget(void);
"""
SOURCE = """
    #include <stdlib.h>
    static void *kept;
    void fine(size_t size) { char *block = malloc(size); block[0] = 1; free(block); }
    void lose(size_t size) { *(char *)malloc(size) = 1; }
    static int dig(size_t size, int frames) { return frames ? dig(size, frames - 1) + 1 : (lose(size), 0); }
    void lose_deep(size_t size, int frames) { dig(size, frames); }
    void lose_in_callback(step go, int depth) { go(depth); }
    void *make(size_t size) { return malloc(size); }
    void drop(void *block) { free(block); }
    void keep(size_t size) { kept = malloc(size); }
    void forget(void) { kept = NULL; }
"""

# The bytes of each leak name the call that it must be found in: size = 32 + number of the round.
SCRIPT = """
import random
import pythy
lib = pythy.create_interface({header!r}, {library!r})
leaks = {leaks!r}
call = 0

@lib.callback("step")
def go(depth):
    global call
    call += 1
    if depth:
        lib.lose_in_callback(go, depth - 1)
    else:
        lib.lose(size)

expected = []
for number in range({calls}):
    size = 32 + number
    call += 1
    how = leaks.get(number)
    if how is None:
        lib.fine(size)
    else:
        if how == "callback":
            lib.lose_in_callback(go, 2)
        elif how == "deep":
            lib.lose_deep(size, 8)
        elif how == "handle":
            lib.make(size)
        else:
            lib.lose(size)
        expected.append((call, size))
for number in range(3):
    call += 1
    lib.keep(7 + number)
    expected.append((call, 7 + number))
    call += 1
    lib.forget()
report = pythy.memory_report()
report.to_json("report.json")
found = [(f.allocated_by.number, f.leaked.bytes) for f in report.findings]
assert sorted(found) == sorted(expected), (set(found) ^ set(expected))
assert all(f.category == "leak" and f.leaked.blocks == 1 and f.basis == "window" for f in report.findings)
print(len(found), report.totals.leaked_bytes == sum(size for _, size in expected))
"""


@pytest.mark.parametrize("malloc", ["pymalloc", "malloc"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_one_check_after_ten_thousand_calls_names_each_leaking_one(build, under_valgrind, seed, malloc):
    generator = random.Random(seed)
    built = build(HEADER, SOURCE)
    kinds = ["plain", "deep", "callback", "handle"]
    leaks = {number: generator.choice(kinds) for number in generator.sample(range(10_000), 50)}
    script = SCRIPT.format(header=str(built.header), library=str(built.library), leaks=leaks, calls=10_000)
    arguments = ["--num-callers=40", "--leak-resolution=high", "--log-file=log"]
    run = under_valgrind(script, *arguments, env={"PYTHONMALLOC": malloc})
    assert run.stdout == "53 True\n"


# So much is freed that Valgrind, as it is by default, hands addresses out again that Python has used before.
REUSE = """
import random
import pythy
lib = pythy.create_interface({header!r}, {library!r})
for size in range(4000, 9000):
    lib.fine(size)
generator = random.Random(1)
sizes = [generator.choice([8, 24, generator.randrange(1, 3000)]) for _ in range(1500)]
for size in sizes:
    lib.lose(size)
report = pythy.memory_report()
assert sorted(f.leaked.bytes for f in report.findings) == sorted(sizes)
print(sum(f.kind != "Leak_DefinitelyLost" for f in report.findings))
"""


def test_an_address_that_python_has_used_before_hides_no_leak(build, under_valgrind):
    built = build(HEADER, SOURCE)
    script = REUSE.format(header=str(built.header), library=str(built.library))
    run = under_valgrind(script, "--num-callers=40", "--leak-resolution=high", "--log-file=log")
    assert run.stdout == "0\n"


# Bytecode, hashes and sizes look like addresses where Valgrind puts blocks by itself: with so much of Python
# loaded, 26 of these blocks were only "possibly lost".
CROWDED = """
import asyncio, decimal, json, random, unittest, _pytest.assertion, _pytest.config, pytest
import pythy
lib = pythy.create_interface({header!r}, {library!r})
generator = random.Random(1)
sizes = [generator.choice([8, 24, 108, generator.randrange(1, 3000)]) for _ in range(6000)]
for size in sizes:
    lib.lose(size)
report = pythy.memory_report()
assert sorted(f.leaked.bytes for f in report.findings) == sorted(sizes)
print(sum(f.kind != "Leak_DefinitelyLost" for f in report.findings), report.notes)
"""


def test_nothing_in_python_looks_like_the_address_of_a_lost_block(build, under_valgrind):
    built = build(HEADER, SOURCE)
    script = CROWDED.format(header=str(built.header), library=str(built.library))
    run = under_valgrind(script, "--num-callers=40", "--leak-resolution=high", "--log-file=log")
    assert run.stdout == "0 []\n"


LOW = (
    ", so that blocks lie where numbers and bytecode look like their addresses: of a thousand that are lost, "
    "a few may be missed, or told as possibly lost\n"
)


def test_a_limited_address_space_is_left_to_valgrind_and_told(build, under_valgrind):
    built = build(HEADER, SOURCE)
    script = f"""
        import resource
        import pythy

        resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
        lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r})
        lib.lose(7)
        print(*pythy.memory_report().notes)
        print(len(bytes(1 << 30)))
    """
    run = under_valgrind(script, "--num-callers=40", "--log-file=log")
    assert run.stdout == f"the address space is limited (ulimit -v){LOW}1073741824\n"


def test_what_python_limits_later_is_left_to_valgrind_too(build, under_valgrind):
    built = build(HEADER, SOURCE)
    script = f"""
        import resource
        import pythy

        lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r})
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.prlimit(0, resource.RLIMIT_AS)
        print(pythy.memory_report().notes)
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        lib.lose(7)
        lib.fine(50_000_000)
        report = pythy.memory_report()
        print([f.kind for f in report.findings], *report.notes)
    """
    run = under_valgrind(script, "--num-callers=40", "--log-file=log")
    assert run.stdout == f"[]\n['Leak_DefinitelyLost'] the address space is limited (ulimit -v){LOW}"


def test_origins_are_not_kept_of_addresses_that_are_only_reserved(build, under_valgrind):
    built = build(HEADER, SOURCE)
    script = f"""
        import pythy

        lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r})
        lib.lose(7)
        print(*pythy.memory_report().notes)
    """
    run = under_valgrind(script, "--num-callers=40", "--log-file=log", "--track-origins=yes")
    why = "reserving the addresses below takes Valgrind seconds with --track-origins=yes"
    assert run.stdout == why + LOW


def test_gaps_among_the_blocks_of_python_are_filled(build, under_valgrind):
    built = build(HEADER, SOURCE)
    script = f"""
        blocks = [bytes(600 + number % 3000) for number in range(60_000)]
        blocks = blocks[::2]
        import pythy

        lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r})
        made = [lib.make(size) for size in (16, 40, 200, 1000, 4000, 20_000) for _ in range(100)]
        print(sum(int(block) < 0x3_8000_0000 for block in made))
    """
    run = under_valgrind(script, "--num-callers=40", "--log-file=log")
    assert run.stdout == "0\n"


@pytest.mark.parametrize("log", ["--log-file=log", "--xml=yes --xml-file=log"])
def test_what_a_thread_of_the_library_s_does_is_told_whatever_the_log(build, under_valgrind, log):
    built = build(
        "int run(void);\n",
        """
        #include <pthread.h>
        #include <stdlib.h>
        static void *body(void *unused) {
            char *lost = malloc(10);
            lost[10] = 1;
            return unused;
        }
        int run(void) { pthread_t t; pthread_create(&t, 0, body, 0); return pthread_join(t, 0); }
        """,
    )
    script = f"""
        import pythy

        lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r})
        with pythy.watch() as report:
            lib.run()
        print(sorted(f.kind for f in report.findings if f.kind != "Leak_PossiblyLost"))
    """
    run = under_valgrind(script, "--num-callers=40", *log.split())
    assert run.stdout == "['InvalidWrite', 'Leak_DefinitelyLost']\n"


def test_a_check_after_each_call_finds_what_that_call_has_lost(build, under_valgrind):
    """No address of what pythy makes beside the block keeps it: nothing is "possibly lost" at first."""
    built = build(
        "#include <stddef.h>\nvoid lose(size_t size); void lose_beside(size_t size, const char *text);",
        """
        #include <stdlib.h>
        #include <string.h>
        void lose(size_t size) { *(char *)malloc(size) = 1; }
        void lose_beside(size_t size, const char *text) { free(strdup(text)); *(char *)malloc(size) = 1; }
        """,
    )
    script = """
        import pythy
        lib = pythy.create_interface("code.h", "./code.so", leak_check="call")

        def lose():
            for size in range(100, 130):
                lib.lose(size)
                lib.lose_beside(2 * size, "text " * size)

        lose()
        told = [(finding.lost_between, finding.leaked.bytes) for finding in pythy.memory_report().findings]
        sizes = [size for one in range(100, 130) for size in (one, 2 * one)]
        assert told == [((call, call), size) for call, size in enumerate(sizes, 1)], told
        pythy._native.tell_at_exit(False)
    """
    run = under_valgrind(script, "--num-callers=40", "--log-file=valgrind.log", directory=built.directory)
    assert "possibly lost in loss record" not in run.log("valgrind.log")
