"""Plain Valgrind on a C driver is the oracle: pythy finds the same on the same code, and nothing more."""

import json
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import Counter

import pytest

# Each bad function has a defect of one kind; its correct twin differs by as little as can be.
FUNCTIONS = {
    "read_after_end": "int *b = malloc(16); sink = b[4]; free(b);",
    "read_before_start": "int *b = calloc(4, 4); sink = b[-1]; free(b);",
    "write_after_end": "char *b = malloc(16); b[16] = 1; free(b);",
    "write_wide": "char *b = malloc(16); *(long *)(b + 12) = 1; free(b);",
    "read_freed": "int *b = calloc(4, 4); free(b); sink = b[0];",
    "write_freed": "int *b = calloc(4, 4); free(b); b[1] = 1;",
    "read_twice": "int *b = malloc(16); sink = b[4]; sink = b[5]; free(b);",
    "fill_too_much": "char *b = malloc(8); memset(b, 1, 9); free(b);",
    "unterminated": "char *b = malloc(4); memset(b, 'x', 4); sink = strlen(b); free(b);",
    "uninit_condition": "int *b = malloc(4); if (*b == 3) sink = 1; free(b);",
    "uninit_value": "int *b = malloc(4); sink = table[*b & 3]; free(b);",
    "uninit_switch": "int *b = malloc(4); switch (*b) { case 1: sink = 1; } free(b);",
    "syscall_uninit": "char *b = malloc(8); sink = write(null, b, 8); free(b);",
    "syscall_beyond": "char *b = calloc(8, 1); sink = write(null, b, 9); free(b);",
    "double_free": "char *b = malloc(8); free(b); free(b);",
    "free_inside": "char *b = malloc(8); free(b + 1); free(b);",
    "free_stack": "int value = 1; free(&value);",
    "overlap": "char *b = calloc(32, 1); memcpy(b + 4, b, eight); free(b);",
    "overlap_strcpy": 'char *b = calloc(32, 1); strcpy(b, "overlap"); strncpy(b + 3, b, six); free(b);',
    "fishy_size": "sink = malloc(huge) != NULL;",
    "leak": "*(char *)malloc(24) = 1;",
    "leak_two": "*(char *)malloc(5) = 1; *(char *)malloc(7) = 1;",
    "leak_list": "void **a = malloc(8); *a = malloc(40); *(void **)*a = NULL;",
    "leak_cycle": "void **a = malloc(16), **b = malloc(16); *a = b; *b = a;",
    "leak_inside": "interior = (char *)malloc(50) + 10;",
    "still_reachable": "reachable = malloc(60);",
    "leak_realloc": "char *b = malloc(3); b = realloc(b, 90); b[0] = 1;",
    "leak_deep": "dig(8);",
}
TWINS = {
    "read_after_end": "int *b = calloc(4, 4); sink = b[3]; free(b);",
    "read_before_start": "int *b = calloc(4, 4); sink = b[0]; free(b);",
    "write_after_end": "char *b = malloc(16); b[15] = 1; free(b);",
    "write_wide": "char *b = malloc(16); *(long *)(b + 8) = 1; free(b);",
    "read_freed": "int *b = calloc(4, 4); sink = b[0]; free(b);",
    "fill_too_much": "char *b = malloc(8); memset(b, 1, 8); free(b);",
    "unterminated": "char *b = calloc(4, 1); memset(b, 'x', 3); sink = strlen(b); free(b);",
    "uninit_condition": "int *b = calloc(1, 4); if (*b == 3) sink = 1; free(b);",
    "uninit_value": "int *b = calloc(1, 4); sink = table[*b & 3]; free(b);",
    "syscall_uninit": "char *b = calloc(8, 1); sink = write(null, b, 8); free(b);",
    "double_free": "char *b = malloc(8); free(b);",
    "overlap": "char *b = calloc(32, 1); memcpy(b + 8, b, eight); free(b);",
    "leak": "char *b = malloc(24); *b = 1; free(b);",
    "leak_list": "void **a = malloc(8); *a = malloc(40); free(*a); free(a);",
    "leak_realloc": "char *b = malloc(3); b = realloc(b, 90); b[0] = 1; free(b);",
}
HEADS = """
    #include <fcntl.h>
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>
    volatile long sink;
    volatile size_t huge = (size_t)-8, eight = 8, six = 6;
    static int null;
    __attribute__((constructor)) static void open_null(void) { null = open("/dev/null", O_WRONLY); }
    static int table[4];
    void *interior, *reachable;
    static void dig(int depth) { if (depth) dig(depth - 1); else *(char *)malloc(33) = 1; }
"""
TIMES = 3
ALL = ["--show-leak-kinds=all", "--errors-for-leak-kinds=all", "--leak-check=full", "--num-callers=40"]


@pytest.fixture(scope="module")
def built(build):
    header = "\n".join(f"void {name}(void);" for name in FUNCTIONS)
    header += "\n" + "\n".join(f"void good_{name}(void);" for name in TWINS)
    source = HEADS + "\n".join(f"void {name}(void) {{ {bad} }}" for name, bad in FUNCTIONS.items())
    source += "\n" + "\n".join(f"void good_{name}(void) {{ {good} }}" for name, good in TWINS.items())
    return build(header, source, name="corpus")


@pytest.fixture(scope="module")
def oracle(built):
    """What plain Valgrind says of a C driver: for each function, how often which record, and what it lost."""
    driver = built.directory / "driver.c"
    calls = "".join(f"for (int i = 0; i < {TIMES}; i++) {name}();\n" for name in FUNCTIONS)
    calls += "".join(f"good_{name}();\n" for name in TWINS)
    scrub = "volatile char room[8192]; for (int i = 0; i < 8192; i++) room[i] = 0;"
    driver.write_text(
        f'#include "corpus.h"\nstatic void scrub(void) {{ {scrub} }}\n'
        f"static void all(void) {{ {calls} }}\nint main(void) {{ all(); scrub(); return 0; }}\n"
    )
    program = built.directory / "driver"
    subprocess.run(["cc", "-g", "-O0", "-o", program, driver, built.library], check=True)
    log = built.directory / "driver.xml"
    command = ["valgrind", *ALL, "--xml=yes", f"--xml-file={log}", program]
    subprocess.run(
        command, check=True, env={"LD_LIBRARY_PATH": str(built.directory), "PATH": "/usr/bin:/bin"}
    )
    tree = ElementTree.parse(log).getroot()
    counts = {
        pair.findtext("unique"): int(pair.findtext("count")) for pair in tree.iterfind("errorcounts/pair")
    }
    errors, lost = {}, {}
    for record in tree.iterfind("error"):
        function = next(
            frame.findtext("fn")
            for frame in record.find("stack").iterfind("frame")
            if frame.findtext("fn") in FUNCTIONS or (frame.findtext("fn") or "").startswith("good_")
        )
        kind = record.findtext("kind")
        if kind.startswith("Leak_"):
            bytes_, blocks = (int(record.findtext(f"xwhat/leaked{what}")) for what in ("bytes", "blocks"))
            lost.setdefault(function, Counter())[kind, "blocks"] += blocks
            lost[function][kind, "bytes"] += direct(record.findtext("xwhat/text"), bytes_)
        else:
            what = record.findtext("what") or record.findtext("xwhat/text")
            errors.setdefault(function, Counter())[kind, without_addresses(what)] += counts[
                record.findtext("unique")
            ]
    return errors, lost


def direct(sentence: str, total: int) -> int:
    """The bytes that were lost directly: `48 (8 direct, 40 indirect) bytes in 1 blocks are ...`."""
    if " direct, " not in sentence:
        return total
    return int(sentence.partition("(")[2].partition(" direct")[0].replace(",", ""))


def without_addresses(what: str) -> str:
    """Overlap's sentence has addresses."""
    return what.partition("(0x")[0].strip()


SCRIPT = """
import json, pythy
lib = pythy.create_interface({header!r}, {library!r})
for name in {functions!r}:
    function = getattr(lib, name)
    for i in range({times}):
        function()
for name in {twins!r}:
    getattr(lib, "good_" + name)()
report = pythy.memory_report()
report.to_json("report.json")
"""


@pytest.mark.one_python
@pytest.mark.parametrize("log", [["--log-file=log"], ["--xml=yes", "--xml-file=log"]], ids=["text", "xml"])
@pytest.mark.parametrize("leak_check", ["session", "call"])
def test_the_same_errors_and_leaks_as_plain_valgrind_finds(built, oracle, under_valgrind, log, leak_check):
    script = SCRIPT.format(
        header=str(built.header),
        library=str(built.library),
        functions=list(FUNCTIONS),
        twins=list(TWINS),
        times=TIMES,
    ).replace(".so')", f".so', leak_check={leak_check!r})")
    report = under_valgrind(script, *ALL, "--error-limit=no", *log).json()
    names = {declaration["id"]: declaration["name"] for declaration in report["declarations"]}
    lines = report["call_sites"]
    errors, lost = {}, {}
    numbers = {}
    for position, name in enumerate(FUNCTIONS):
        numbers[name] = range(position * TIMES + 1, position * TIMES + TIMES + 1)
    for finding in report["findings"]:
        call = finding["allocated_by"] or finding["call"]
        function = names[call["declaration"]]
        assert call["number"] in numbers[function], finding
        if finding["category"] == "leak":
            leaked = lost.setdefault(function, Counter())
            leaked[finding["kind"], "blocks"] += finding["leaked"]["blocks"]
            leaked[finding["kind"], "bytes"] += finding["leaked"]["bytes"]
        else:
            what = without_addresses(finding["what"])
            errors.setdefault(function, Counter())[finding["kind"], what] += finding["count"]
    expected_errors, expected_lost = oracle
    assert errors == expected_errors
    assert lost == expected_lost
    assert len(lines) >= 1
    assert json.dumps(report["notes"]) == "[]"
    assert not any(name.startswith("good_") for name in errors | lost)
