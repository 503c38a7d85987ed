# ruff: noqa: E501 (what pythy says stands here as it is said)
"""What is found under Valgrind: planted defects, each with its call, its declaration and its C stack.

One script makes all the mistakes, each in a ``watch()`` block that writes its own report. It runs
once for every way that Valgrind can write its log, with either of the interpreter's allocators.
"""

import os
import re
import textwrap
from pathlib import Path

import pytest

HEADER = """
    struct box;
    struct box *box_new(int value);
    int box_value(const struct box *box);
    /* Gives the box's memory back. */
    void box_free(struct box *box);

    void put(unsigned char *bytes, int index, int value);
    void put_often(unsigned char *bytes, int index, int times);
    int decide(void);
    void keep_or_lose(int lose);
    void lose_deep(void);
    void lose_list(int length);
    const char *stale_name(void);
    int read_in_turn(const unsigned char *bytes, int index);
    int add(int a, int b);
"""

SOURCE = """
    #include <stdlib.h>
    #include <string.h>

    struct box { int value; struct box *next; };

    struct box *box_new(int value)
    {
        struct box *box = malloc(sizeof *box);
        box->value = value;
        box->next = 0;
        return box;
    }

    int box_value(const struct box *box) { return box->value; }
    void box_free(struct box *box) { free(box); }
    void put(unsigned char *bytes, int index, int value) { bytes[index] = value; }

    void put_often(unsigned char *bytes, int index, int times)
    {
        for (int i = 0; i < times; i++)
            bytes[index] = i;
    }

    int decide(void)
    {
        int *number = malloc(sizeof *number);
        int answer = 2;
        if (*number > 7)
            answer = 1;
        free(number);
        return answer;
    }

    void keep_or_lose(int lose)
    {
        char *block = malloc(24);
        block[0] = 1;
        if (!lose)
            free(block);
    }

    static char *third(void) { return malloc(100); }
    static char *second(void) { return third(); }
    static char *first(void) { return second(); }
    void lose_deep(void) { first()[0] = 1; }

    void lose_list(int length)
    {
        struct box *head = 0;
        for (int i = 0; i < length; i++) {
            struct box *box = box_new(i);
            box->next = head;
            head = box;
        }
    }

    const char *stale_name(void)
    {
        char *name = malloc(6);
        strcpy(name, "stale");
        free(name);
        return name;
    }

    int read_in_turn(const unsigned char *bytes, int index) { return bytes[index] ? 1 : 2; }
    int add(int a, int b) { return a + b; }
"""

SCRIPT = """
    import contextlib
    import threading

    import pythy

    lib = pythy.create_interface("code.h", "./code.so")
    LOSERS = (3, 141, 142, 500, 777, 778, 999)


    @contextlib.contextmanager
    def watched(name):
        with pythy.watch() as report:
            yield
        report.to_json(name + ".json")


    def one_over():
        room = bytearray(16)
        lib.put(room, 16, 1)


    def one_under():
        room = bytearray(16)
        lib.put(room, -1, 1)


    def after_free():
        box = lib.box_new(5)
        lib.box_free(box)
        lib.box_value(box)


    def freed_twice():
        box = lib.box_new(6)
        lib.box_free(box)
        lib.box_free(box)


    def often():
        room = bytearray(16)
        for _ in range(100):
            lib.put(room, 16, 2)
        for _ in range(10):
            lib.put(room, 17, 3)
        lib.put_often(room, 18, 1000)
        lib.put_often(room, 18, 1000)


    def thousand_calls():
        for number in range(1000):
            lib.keep_or_lose(number in LOSERS)


    def left(room):
        for _ in range(20):
            lib.read_in_turn(room, 4)


    def right(room):
        for _ in range(30):
            lib.read_in_turn(room, 4)


    def threads():
        both = [
            threading.Thread(target=side, args=(bytes(4),), name=side.__name__) for side in (left, right)
        ]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()


    with watched("nothing"):
        lib.add(1, 2)
    with watched("one_over"):
        one_over()
    with watched("one_under"):
        one_under()
    with watched("uninitialised"):
        lib.decide()
    with watched("after_free"):
        after_free()
    with watched("freed_twice"):
        freed_twice()
    with watched("alive"):
        kept = lib.box_new(7)
    with watched("other_calls"):
        lib.add(3, 4)
    with watched("dropped"):
        del kept
    with watched("dropped_before"):
        lib.add(5, 6)
    with watched("lost_in_window"):
        lib.add(7, 8)
        lib.keep_or_lose(True)
        lib.add(9, 10)
    with watched("lost_by_one_call"):
        lib.keep_or_lose(True)
    with watched("deep"):
        lib.lose_deep()
    with watched("list"):
        lib.lose_list(5)
    with watched("stale"):
        lib.stale_name()
    with watched("often"):
        often()
    with watched("thousand_calls"):
        thousand_calls()
    with watched("threads"):
        threads()
    report = pythy.memory_report()
    report.to_json("report.json")
    print(report)
"""

# What each watch() block must report, as `describe` puts it.
EXPECTED = {
    "nothing": [],
    "one_over": [
        """
        error InvalidWrite: Invalid write of size 1; 1 time, basis call
        call 2, MainThread, one_over, script.py:19: lib.put(room, 16, 1)
        code.h:7: void put(unsigned char *bytes, int index, int value)
        at put (code.c:17)
        Address ADDRESS is 1 byte after argument 'bytes' (16 bytes) of put()
        """
    ],
    "one_under": [
        """
        error InvalidWrite: Invalid write of size 1; 1 time, basis call
        call 3, MainThread, one_under, script.py:24: lib.put(room, -1, 1)
        code.h:7: void put(unsigned char *bytes, int index, int value)
        at put (code.c:17)
        Address ADDRESS is 1 byte before argument 'bytes' (16 bytes) of put()
        """
    ],
    "uninitialised": [
        """
        error UninitCondition: Conditional jump or move depends on uninitialised value(s); 1 time, basis call
        call 4, MainThread, <module>, script.py:81: lib.decide()
        code.h:9: int decide(void)
        at decide (code.c:29)
        """
    ],
    "after_free": [
        """
        error InvalidRead: Invalid read of size 4; 1 time, basis call
        call 7, MainThread, after_free, script.py:30: lib.box_value(box)
        code.h:3: int box_value(const struct box *box)
        at box_value (code.c:15)
        Address ADDRESS is 0 bytes inside a block of size 16 free'd
        at free
        by box_free (code.c:16)
        Block was alloc'd at
        at malloc
        by box_new (code.c:9)
        """
    ],
    "freed_twice": [
        """
        error InvalidFree: Invalid free() / delete / delete[] / realloc(); 1 time, basis call
        call 10, MainThread, freed_twice, script.py:36: lib.box_free(box)
        code.h:5: void box_free(struct box *box)
        at free
        by box_free (code.c:16)
        Address ADDRESS is 0 bytes inside a block of size 16 free'd
        at free
        by box_free (code.c:16)
        Block was alloc'd at
        at malloc
        by box_new (code.c:9)
        """
    ],
    # A handle that Python holds is not lost, whatever else is called meanwhile.
    "alive": [],
    "other_calls": [],
    "dropped": [
        """
        leak Leak_DefinitelyLost: 16 bytes in 1 block is definitely lost: no call was made since the last check, so Python dropped the last handle; 1 time, basis window
        no call
        allocated by call 11, MainThread, <module>, script.py:87: kept = lib.box_new(7)
        code.h:2: struct box *box_new(int value)
        16 bytes in 1 block, 0 bytes in 0 blocks indirectly
        at malloc
        by box_new (code.c:9)
        """
    ],
    # Not reported again.
    "dropped_before": [],
    "lost_in_window": [
        """
        leak Leak_DefinitelyLost: 24 bytes in 1 block is definitely lost; 1 time, basis window
        call 15, MainThread, <module>, script.py:96: lib.keep_or_lose(True)
        code.h:10: void keep_or_lose(int lose)
        allocated by call 15, MainThread, <module>, script.py:96: lib.keep_or_lose(True)
        code.h:10: void keep_or_lose(int lose)
        lost between calls 14 and 16
        24 bytes in 1 block, 0 bytes in 0 blocks indirectly
        at malloc
        by keep_or_lose (code.c:37)
        """
    ],
    "lost_by_one_call": [
        """
        leak Leak_DefinitelyLost: 24 bytes in 1 block is definitely lost; 1 time, basis call
        call 17, MainThread, <module>, script.py:99: lib.keep_or_lose(True)
        code.h:10: void keep_or_lose(int lose)
        allocated by call 17, MainThread, <module>, script.py:99: lib.keep_or_lose(True)
        code.h:10: void keep_or_lose(int lose)
        lost between calls 17 and 17
        24 bytes in 1 block, 0 bytes in 0 blocks indirectly
        at malloc
        by keep_or_lose (code.c:37)
        """
    ],
    "deep": [
        """
        leak Leak_DefinitelyLost: 100 bytes in 1 block is definitely lost; 1 time, basis call
        call 18, MainThread, <module>, script.py:101: lib.lose_deep()
        code.h:11: void lose_deep(void)
        allocated by call 18, MainThread, <module>, script.py:101: lib.lose_deep()
        code.h:11: void lose_deep(void)
        lost between calls 18 and 18
        100 bytes in 1 block, 0 bytes in 0 blocks indirectly
        at malloc
        by third (code.c:43)
        by second (code.c:44)
        by first (code.c:45)
        by lose_deep (code.c:46)
        """
    ],
    # Valgrind prints no number of blocks that are lost indirectly; what it counted tells.
    "list": [
        """
        leak Leak_DefinitelyLost: 16 bytes in 1 block is definitely lost, with 64 bytes that only it points to; 1 time, basis call
        call 19, MainThread, <module>, script.py:103: lib.lose_list(5)
        code.h:12: void lose_list(int length)
        allocated by call 19, MainThread, <module>, script.py:103: lib.lose_list(5)
        code.h:12: void lose_list(int length)
        lost between calls 19 and 19
        16 bytes in 1 block, 64 bytes in 4 blocks indirectly
        at malloc
        by box_new (code.c:9)
        by lose_list (code.c:52)
        """
    ],
    # The same error again and again: one finding per call site, and the exact count.
    "often": [
        """
        error InvalidWrite: Invalid write of size 1; 100 times, basis call
        call 21, MainThread, often, script.py:42: lib.put(room, 16, 2)
        code.h:7: void put(unsigned char *bytes, int index, int value)
        at put (code.c:17)
        Address ADDRESS is 1 byte after argument 'bytes' (16 bytes) of put()
        """,
        """
        error InvalidWrite: Invalid write of size 1; 10 times, basis call
        call 121, MainThread, often, script.py:44: lib.put(room, 17, 3)
        code.h:7: void put(unsigned char *bytes, int index, int value)
        at put (code.c:17)
        Address ADDRESS is 2 bytes after argument 'bytes' (16 bytes) of put()
        """,
        """
        error InvalidWrite: Invalid write of size 1; 1000 times, basis call
        call 131, MainThread, often, script.py:45: lib.put_often(room, 18, 1000)
        code.h:8: void put_often(unsigned char *bytes, int index, int times)
        at put_often (code.c:22)
        Address ADDRESS is 3 bytes after argument 'bytes' (16 bytes) of put_often()
        """,
        """
        error InvalidWrite: Invalid write of size 1; 1000 times, basis call
        call 132, MainThread, often, script.py:46: lib.put_often(room, 18, 1000)
        code.h:8: void put_often(unsigned char *bytes, int index, int times)
        at put_often (code.c:22)
        Address ADDRESS is 3 bytes after argument 'bytes' (16 bytes) of put_often()
        """,
    ],
}


def describe(report: dict, finding: dict) -> str:
    """A finding in a few lines that are the same on every machine."""
    declarations = {item["id"]: item for item in report["declarations"]}
    call_sites = {item["id"]: item for item in report["call_sites"]}

    def called(call: dict) -> list[str]:
        site, declaration = call_sites[call["call_site"]], declarations[call["declaration"]]
        place = f"{site['function']}, {Path(site['file']).name}:{site['line']}: {site['source']}"
        return [
            f"call {call['number']}, {call['thread']}, {place}",
            f"{Path(declaration['file']).name}:{declaration['line']}: {declaration['prototype']}",
        ]

    def frames(stack: dict) -> list[str]:
        words = ["at"] + ["by"] * len(stack["frames"])
        return [
            f"{word} {frame['function']}"
            + (f" (code.c:{frame['line']})" if (frame["file"] or "").endswith("code.c") else "")
            for word, frame in zip(words, stack["frames"], strict=False)
        ]

    def plural(count: int, noun: str) -> str:
        return f"{count} {noun}" + ("" if count == 1 else "s")

    count = plural(finding["count"], "time")
    head = f"{finding['category']} {finding['kind']}: {finding['what']}; {count}, basis {finding['basis']}"
    lines = [head, *(called(finding["call"]) if finding["call"] else ["no call"])]
    if finding["allocated_by"]:
        first, second = called(finding["allocated_by"])
        lines += [f"allocated by {first}", second]
    if finding["lost_between"]:
        lines.append("lost between calls {} and {}".format(*finding["lost_between"]))
    if lost := finding["leaked"]:
        direct = f"{plural(lost['bytes'], 'byte')} in {plural(lost['blocks'], 'block')}"
        indirect = f"{plural(lost['indirect_bytes'], 'byte')} in {plural(lost['indirect_blocks'], 'block')}"
        lines.append(f"{direct}, {indirect} indirectly")
    for stack in finding["stacks"]:
        if stack["label"]:
            lines.append(re.sub(r"0x[0-9a-f]+", "ADDRESS", stack["label"], flags=re.IGNORECASE))
        lines += frames(stack)
    return "\n".join(lines)


def described(run, name: str) -> list[str]:
    report = run.json(f"{name}.json")
    return [describe(report, finding) for finding in report["findings"]]


TEXT = ("--log-file=valgrind.log",)
XML = ("--xml=yes", "--xml-file=valgrind.xml")


def with_log_file(valgrind, directory, env):
    return valgrind(SCRIPT, *TEXT, directory=directory, env=env)


def with_xml_file(valgrind, directory, env):
    return valgrind(SCRIPT, *XML, directory=directory, env=env)


def with_standard_error_in_a_file(valgrind, directory, env):
    with (directory / "stderr").open("w") as stderr:
        return valgrind(SCRIPT, directory=directory, env=env, stderr=stderr)


def with_xml_in_memory(valgrind, directory, env):
    memory = os.memfd_create("xml")
    try:
        options = {"directory": directory, "env": env, "pass_fds": [memory]}
        return valgrind(SCRIPT, "--xml=yes", f"--xml-fd={memory}", **options)
    finally:
        os.close(memory)


@pytest.fixture(
    scope="module",
    params=[
        (with_log_file, "pymalloc"),
        (with_xml_file, "malloc"),
        (with_standard_error_in_a_file, "malloc"),
        (with_xml_in_memory, "pymalloc"),
    ],
    ids=lambda param: f"{param[0].__name__}-{param[1]}",
)
def run(request, build, under_valgrind):
    """The script after its end."""
    log, allocator = request.param
    directory = build(HEADER, SOURCE).directory
    return log(under_valgrind, directory, {"PYTHONMALLOC": allocator})


@pytest.mark.parametrize("name", EXPECTED)
def test_each_mistake_is_found_where_it_was_made(run, name):
    expected = [textwrap.dedent(text).strip() for text in EXPECTED[name]]
    assert described(run, name) == expected


def test_of_a_thousand_calls_those_that_leak_are_known_by_their_number(run):
    report = run.json("thousand_calls.json")
    assert [finding["call"]["number"] - 133 for finding in report["findings"]] == [
        3, 141, 142, 500, 777, 778, 999,
    ]  # fmt: skip
    for finding in report["findings"]:
        assert finding["call"] == finding["allocated_by"]
        assert finding["leaked"] == {"bytes": 24, "blocks": 1, "indirect_bytes": 0, "indirect_blocks": 0}
        assert (finding["kind"], finding["basis"]) == ("Leak_DefinitelyLost", "window")
        assert finding["lost_between"] == [133, 1132]
    told = [(call["number"], call["leaked_bytes"]) for call in report["calls"] if call["number"]]
    assert told == [(finding["call"]["number"], 24) for finding in report["findings"]]
    assert [call["count"] for call in report["calls"] if call["number"] is None] == [993]
    assert report["totals"] == totals(calls=1000, leaked_bytes=168, leaked_blocks=7)


def test_a_returned_string_that_is_gone_is_an_error_of_its_call(run):
    """The bytes are read as part of the call: six reads, of which Valgrind may print but a few."""
    report = run.json("stale.json")
    assert report["totals"] == totals(calls=1, errors=6)
    assert {finding["call"]["number"] for finding in report["findings"]} == {20}
    assert describe(report, report["findings"][0]).splitlines() == [
        f"error InvalidRead: Invalid read of size 1; {report['findings'][0]['count']} "
        f"time{'s' * (report['findings'][0]['count'] > 1)}, basis call",
        "call 20, MainThread, <module>, script.py:105: lib.stale_name()",
        "code.h:13: const char *stale_name(void)",
        "at strlen",
        "Address ADDRESS is 0 bytes inside a block of size 6 free'd",
        "at free",
        "by stale_name (code.c:62)",
        "Block was alloc'd at",
        "at malloc",
        "by stale_name (code.c:60)",
    ]


def test_each_thread_has_its_own_errors(run):
    report = run.json("threads.json")
    found = {finding["call"]["thread"]: finding for finding in report["findings"]}
    assert len(report["findings"]) == 2
    assert {name: finding["count"] for name, finding in found.items()} == {"left": 20, "right": 30}
    for name, line in ("left", 56), ("right", 61):
        assert re.sub(r"call \d+", "call N", describe(report, found[name])).splitlines()[1:4] == [
            f"call N, {name}, {name}, script.py:{line}: lib.read_in_turn(room, 4)",
            "code.h:14: int read_in_turn(const unsigned char *bytes, int index)",
            "at read_in_turn (code.c:66)",
        ]
    by_thread = {20: 0, 30: 0}
    sites = {site["id"]: site["function"] for site in report["call_sites"]}
    for call in report["calls"]:
        by_thread[{"left": 20, "right": 30}[sites[call["call_site"]]]] += call["errors"]
    assert by_thread == {20: 20, 30: 30}


def totals(calls, errors=0, leaked_bytes=0, leaked_blocks=0, crashes=0):
    return {
        "calls": calls,
        "errors": errors,
        "leaked_bytes": leaked_bytes,
        "leaked_blocks": leaked_blocks,
        "crashes": crashes,
    }


def test_the_report_of_everything_has_nothing_else(run):
    """No finding is the interpreter's, none is missing, none is there twice."""
    report = run.json()
    assert report["totals"] == totals(calls=1182, errors=2171, leaked_bytes=412, leaked_blocks=16)
    watched = [path for path in run.directory.glob("*.json") if path.name != "report.json"]
    assert len(watched) == 18
    reports = [run.json(path.name) for path in watched]
    assert len(report["findings"]) == sum(len(one["findings"]) for one in reports)
    for total in ("calls", "errors", "leaked_bytes", "leaked_blocks", "crashes"):
        assert report["totals"][total] == sum(one["totals"][total] for one in reports)
    assert sum(call["count"] for call in report["calls"]) == 1182
    assert sum(call["errors"] for call in report["calls"]) == 2171
    assert sum(call["leaked_bytes"] for call in report["calls"]) == 412
    assert report["notes"] == []


def test_the_report_says_what_made_it(run):
    tool = run.json()["tool"]
    assert (tool["checker"], tool["mode"]) == ("memcheck", "inprocess")
    assert re.fullmatch(r"\d+\.\d+\.\d+", tool["valgrind"])


def test_the_table_ends_in_the_sum_and_comes_again_at_exit(run):
    last = run.stdout.strip().splitlines()[-1]
    assert re.fullmatch(
        r"pythy: 2\d findings in 1182 calls, 2171 errors, 412 bytes leaked in 16 blocks \(Valgrind .*\)", last
    )
    stderr = run.stderr or run.log("stderr")
    assert [line for line in stderr.splitlines() if line.startswith("pythy: ")] == [last]


def test_natively_there_is_nothing_to_report(build, natively):
    """The script without its wild writes and frees runs in silence."""
    tame = re.sub(
        r"^( *)lib\.(put|put_often|box_value|box_free)\(.*",
        r"\1pass",
        textwrap.dedent(SCRIPT),
        flags=re.MULTILINE,
    )
    tame = tame.replace("lib.stale_name()", "pass")
    run = natively(tame, directory=build(HEADER, SOURCE).directory)
    assert run.stderr == ""
    assert run.stdout == (
        "pythy: the C code ran natively, its memory was not checked; run Python under Valgrind for that\n\n"
    )
    report = run.json()
    assert (report["findings"], report["calls"], report["notes"]) == ([], [], [])
    assert report["totals"] == totals(calls=None)
    assert (report["tool"]["valgrind"], report["tool"]["checker"]) == (None, "none")


def test_every_report_keeps_to_the_schema(run, validate):
    for path in run.directory.glob("*.json"):
        validate(run.json(path.name))


def test_threads_of_one_name_that_run_the_same_code_are_several(build, under_valgrind):
    built = build(
        "int work(int times, int milliseconds);",
        """
        #include <stdlib.h>
        #include <unistd.h>
        static int bad(volatile int *p) { return p[1]; }
        int work(int times, int milliseconds) {
            int *p = malloc(4), r = 0;
            while (times-- > 0) r += bad(p);
            usleep(milliseconds * 1000);
            free(p);
            return r & 0;
        }
        """,
    )
    script = """
        import pythy, threading, time
        lib = pythy.create_interface("code.h", "./code.so")
        barrier = threading.Barrier(2)

        def work(calls):
            for times, milliseconds in calls:
                if milliseconds == 300:
                    barrier.wait()
                if times:
                    time.sleep(0.1)
                lib.work(times, milliseconds)

        plans = [[(0, 1), (0, 1), (0, 300), (0, 1)], [(0, 1), (0, 1), (1, 300), (0, 1)]]
        threads = [threading.Thread(target=work, name="w", args=(plan,)) for plan in plans]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = pythy.memory_report().findings
        print([(finding.kind, finding.call.declaration.name, finding.count) for finding in told])
        pythy._native.tell_at_exit(False)
    """
    run = under_valgrind(script, "--num-callers=40", "--log-file=valgrind.log", directory=built.directory)
    assert run.stdout == "[('InvalidRead', 'work', 1)]\n"


def test_threads_of_one_name_are_several(build, under_valgrind):
    """A call that sleeps while another thread errs is not told to have erred."""
    built = build(
        "int nap(int milliseconds); int peek(int times);",
        """
        #include <stdlib.h>
        #include <unistd.h>
        int nap(int milliseconds) { usleep(milliseconds * 1000); return milliseconds; }
        static int bad(volatile int *p) { return p[1]; }
        int peek(int times) {
            int *p = malloc(4), r = 0;
            while (times-- > 0) r += bad(p);
            free(p);
            return r & 0;
        }
        """,
    )
    script = """
        import pythy, threading, time
        lib = pythy.create_interface("code.h", "./code.so")
        ready = threading.Barrier(2)

        def innocent():
            for milliseconds in (1, 1, 1500):
                if milliseconds > 1:
                    ready.wait()
                lib.nap(milliseconds)

        def guilty():
            for number, times in enumerate((0, 0, 1, 1, 0)):
                if number == 2:
                    ready.wait()
                    time.sleep(0.3)
                lib.peek(times)

        threads = [threading.Thread(target=target, name="one") for target in (innocent, guilty)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print([(finding.kind, finding.call.declaration.name) for finding in pythy.memory_report().findings])
        pythy._native.tell_at_exit(False)
    """
    run = under_valgrind(script, "--num-callers=40", "--log-file=valgrind.log", directory=built.directory)
    assert run.stdout == "[('InvalidRead', 'peek')]\n"
