"""When leaks are looked for, and findings as exceptions."""

import json

import pytest
import pythy

HEADER = """
    #include <stddef.h>
    void *make(size_t size);
    void drop(void *block);
    void lose(size_t size);
    void keep(size_t size);
    void forget(void);
    int peek(const int *values, int index);
    void put(char *text, int at);
"""
SOURCE = """
    #include <stdlib.h>
    static void *kept;
    void *make(size_t size) { return malloc(size); }
    void drop(void *block) { free(block); }
    void lose(size_t size) { *(char *)malloc(size) = 1; }
    void keep(size_t size) { kept = malloc(size); }
    void forget(void) { kept = NULL; }
    int peek(const int *values, int index) { return values[index]; }
    void put(char *text, int at) { text[at] = 'x'; }
"""


def script(built, body):
    lines = [f"import json, pythy\nheader, library = {str(built.header)!r}, {str(built.library)!r}", body]
    return "\n".join(lines)


@pytest.mark.parametrize("malloc", ["pymalloc", "malloc"])
def test_a_check_after_each_call_names_both_ends_of_a_leak(build, under_valgrind, malloc):
    body = """
lib = pythy.create_interface(header, library, leak_check="call")
lib.lose(10)
lib.keep(20)
lib.peek(lib.new("int[2]"), 1)
lib.forget()
handle = lib.make(30)
lib.peek(lib.new("int[2]"), 1)
del handle
lib.peek(lib.new("int[2]"), 1)
owned = lib.own(lib.make(40), lib.drop)
del owned
array = lib.new("void *[1]", [lib.make(50)])
array[0] = None
lib.forget()
pythy.memory_report().to_json("report.json")
"""
    run = under_valgrind(script(build(HEADER, SOURCE), body), "--log-file=log", env={"PYTHONMALLOC": malloc})
    report = run.json()
    found = [
        (
            finding["leaked"]["bytes"],
            finding["basis"],
            finding["call"] and finding["call"]["number"],
            finding["allocated_by"]["number"],
            finding["lost_between"],
            finding["what"].partition(": ")[2],
        )
        for finding in report["findings"]
    ]
    python = "no call was made since the last check, so Python dropped the last handle"
    assert found == [
        (10, "call", 1, 1, [1, 1], ""),
        (20, "call", 4, 2, [4, 4], ""),
        (30, "window", None, 5, None, python),
        (50, "window", None, 10, None, python),
    ]


def test_interfaces_with_leak_check_off_have_no_leaks(build, under_valgrind):
    body = """
quiet = pythy.create_interface(header, library, leak_check="off")
quiet.lose(10)
first = pythy.memory_report()
loud = pythy.create_interface(header, library)
loud.lose(20)
second = pythy.memory_report()
quiet.put(bytearray(4), 4)
third = pythy.memory_report()
reports = first, second, third
print(json.dumps([[(f.kind, f.leaked and f.leaked.bytes) for f in r.findings] for r in reports]))
"""
    run = under_valgrind(script(build(HEADER, SOURCE), body), "--log-file=log")
    leak = ["Leak_DefinitelyLost", 20]
    assert json.loads(run.stdout) == [[], [leak], [leak, ["InvalidWrite", None]]]


def test_findings_raise_at_their_call_when_asked_to(build, under_valgrind):
    built = build(HEADER, SOURCE)
    body = """
lib = pythy.create_interface(header, library, leak_check="call")
pythy.raise_on_finding(True)
text = bytearray(16)
for call in (lambda: lib.put(text, 15), lambda: lib.put(text, 16), lambda: lib.lose(24)):
    try:
        print(call())
    except pythy.MemoryCheckError as error:
        print(error)
        (finding,) = error.report.findings
        print(finding.call.number, finding.basis, finding.call.declaration.name)
pythy.raise_on_finding(False)
print(lib.put(text, 17), len(pythy.memory_report().findings))
"""
    run = under_valgrind(script(built, body), "--log-file=log", "-q")
    lines = run.stdout.splitlines()
    assert lines[0] == "None"
    assert lines[1] == f"put() ({built.header}:8): InvalidWrite: Invalid write of size 1"
    assert lines[2].endswith(f"at put ({built.source.name}:10)")
    assert lines[3].endswith("is 1 byte after argument 'text' (16 bytes) of put()")
    assert lines[4] == "2 call put"
    assert lines[5] == (
        f"lose() ({built.header}:4): Leak_DefinitelyLost: 24 bytes in 1 block is definitely lost"
    )
    assert lines[6] == "  allocated here:"
    assert lines[-2:] == ["3 call lose", "None 3"]


def test_a_defect_hit_often_is_one_finding_with_its_exact_count(build, under_valgrind):
    body = """
lib = pythy.create_interface(header, library, gil="hold")
values = lib.new("int[4]")
for i in range(2000):
    lib.peek(values, 4)
for i in range(2000):
    lib.peek(values, 4 if i % 4 == 0 else 0)
    lib.put(bytearray(4), 4 + i % 2)
pythy.memory_report().to_json("report.json")
"""
    run = under_valgrind(script(build(HEADER, SOURCE), body), "--log-file=log", "--error-limit=no")
    report = run.json()
    found = [(f["kind"], f["call"]["number"], f["count"], f["basis"]) for f in report["findings"]]
    assert found == [
        ("InvalidRead", 1, 2000, "call"),
        ("InvalidRead", 2001, 500, "call"),
        ("InvalidWrite", 2002, 2000, "call"),
    ]
    assert report["totals"]["errors"] == 4500
    assert sum(call["errors"] for call in report["calls"]) == 4500
    assert len(report["calls"]) < 50


def test_natively_all_that_costs_nothing_and_says_nothing(interface):
    lib = interface(HEADER, SOURCE, leak_check="call")
    pythy.raise_on_finding(True)
    try:
        with pythy.watch() as report:
            lib.lose(10)
    finally:
        pythy.raise_on_finding(False)
    assert report.findings == []


@pytest.mark.parametrize("log", [["--log-file=log"], ["--xml=yes", "--xml-file=log"]], ids=["text", "xml"])
def test_a_text_is_lost_by_the_call_that_gave_it(build, under_valgrind, log):
    """Python has its bytes: nobody but C had the pointer."""
    built = build(
        "char *text(void); char *chosen(int which, ...); int other(int n);",
        """
        #include <string.h>
        char *text(void) { return strdup("hello"); }
        char *chosen(int which, ...) { return strdup("chosen"); }
        int other(int n) { return n; }
        """,
    )
    body = """
lib = pythy.create_interface(header, library, leak_check="call")
assert lib.text() == b"hello"
lib.other(1)
assert lib.chosen(1, 2) == b"chosen"
lib.other(1)
pythy.memory_report().to_json("report.json")
"""
    found = [
        (finding["leaked"]["bytes"], finding["call"]["number"], finding["lost_between"])
        for finding in under_valgrind(script(built, body), *log).json()["findings"]
    ]
    assert found == [(6, 1, [1, 1]), (7, 3, [3, 3])]
