"""Plain Valgrind on a C driver is the oracle: pythy finds the same on the same code, and nothing more."""

import json
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import Counter

import pytest

# Each bad function has a defect of one kind; its correct twin differs by as little as can be. Every kind that
# Memcheck 3.19 has is there but CoreMemError, which is about a signal handler's stack and ends the program.
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
    "fishy_count": "sink = calloc(huge, 1) != NULL;",
    "jump_nowhere": "catch(); if (!sigsetjmp(back, 1)) nowhere(); uncatch();",
    "free_of_new": "free(new_array(12));",
    "delete_of_array": "delete_one(new_array(12));",
    "delete_of_malloc": "delete_one(malloc(12));",
    "client_undefined": "char *b = malloc(4); sink = VALGRIND_CHECK_MEM_IS_DEFINED(b, 4); free(b);",
    "client_unaddressable": "char *b = malloc(4); sink = VALGRIND_CHECK_MEM_IS_ADDRESSABLE(b, 5); free(b);",
    "pool_unknown": "VALGRIND_MEMPOOL_FREE(table, table);",
    "leak": "*(char *)malloc(24) = 1;",
    "leak_two": "*(char *)malloc(5) = 1; *(char *)malloc(7) = 1;",
    "leak_list": "void **a = malloc(8); *a = malloc(40); *(void **)*a = NULL;",
    "leak_cycle": "void **a = malloc(16), **b = malloc(16); *a = b; *b = a;",
    "leak_inside": "interior = (char *)malloc(50) + 10;",
    "still_reachable": "reachable = malloc(60);",
    "leak_realloc": "char *b = malloc(3); b = realloc(b, 90); b[0] = 1;",
    "leak_deep": "dig(8);",
}
# C that calls Python that calls C: both have a defect.
NESTING = (
    "void (*callback)(void)",
    "char *b = malloc(4); callback(); b[4] = 1; free(b); b = malloc(9); *b = 1;",
)
NESTED = "char *b = calloc(4, 1); free(b); sink = b[1]; *(char *)malloc(11) = 1;"
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
    "fishy_size": "void *b = malloc(huge + 16); sink = b != NULL; free(b);",
    "jump_nowhere": "catch(); if (!sigsetjmp(back, 1)) nothing(); uncatch();",
    "free_of_new": "delete_array(new_array(12));",
    "client_undefined": "char *b = calloc(4, 1); sink = VALGRIND_CHECK_MEM_IS_DEFINED(b, 4); free(b);",
    "client_unaddressable": "char *b = malloc(4); sink = VALGRIND_CHECK_MEM_IS_ADDRESSABLE(b, 4); free(b);",
    "pool_unknown": "VALGRIND_CREATE_MEMPOOL(table, 0, 0); VALGRIND_DESTROY_MEMPOOL(table);",
    "nested": "char *b = calloc(4, 1); sink = b[1]; free(b);",
    "leak": "char *b = malloc(24); *b = 1; free(b);",
    "leak_list": "void **a = malloc(8); *a = malloc(40); free(*a); free(a);",
    "leak_realloc": "char *b = malloc(3); b = realloc(b, 90); b[0] = 1; free(b);",
}
HEADS = """
    #include <dlfcn.h>
    #include <fcntl.h>
    #include <setjmp.h>
    #include <signal.h>
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>
    #include <valgrind/memcheck.h>
    volatile long sink;
    volatile size_t huge = (size_t)-8, eight = 8, six = 6;
    static int null;
    __attribute__((constructor)) static void open_null(void) { null = open("/dev/null", O_WRONLY); }
    static int table[4];
    static void nothing(void) {}
    static void (*volatile nowhere)(void) = (void (*)(void))8;
    static sigjmp_buf back;
    static struct sigaction before;
    static void jump_back(int number) { siglongjmp(back, number); }
    static struct sigaction handled = {.sa_handler = jump_back};
    static void catch(void) { sigaction(SIGSEGV, &handled, &before); }
    static void uncatch(void) { sigaction(SIGSEGV, &before, NULL); }
    static void *(*new_array)(size_t);
    static void (*delete_one)(void *), (*delete_array)(void *);
    __attribute__((constructor)) static void find_cpp(void) {
        void *cpp = dlopen("libstdc++.so.6", RTLD_NOW);
        new_array = (void *(*)(size_t))dlsym(cpp, "_Znam");
        delete_one = (void (*)(void *))dlsym(cpp, "_ZdlPv");
        delete_array = (void (*)(void *))dlsym(cpp, "_ZdaPv");
    }
    void *interior, *reachable;
    static void dig(int depth) { if (depth) dig(depth - 1); else *(char *)malloc(33) = 1; }
"""
TIMES = 2
KINDS = {
    "InvalidRead", "InvalidWrite", "InvalidJump", "InvalidFree", "MismatchedFree", "InvalidMemPool",
    "UninitCondition", "UninitValue", "SyscallParam", "ClientCheck", "Overlap", "FishyValue",
    "Leak_DefinitelyLost", "Leak_IndirectlyLost", "Leak_PossiblyLost", "Leak_StillReachable",
}  # fmt: skip
ALL = ["--show-leak-kinds=all", "--errors-for-leak-kinds=all", "--leak-check=full", "--num-callers=40"]


@pytest.fixture(scope="module")
def built(build):
    header = "\n".join(f"void {name}(void);" for name in FUNCTIONS)
    header += "\n" + "\n".join(f"void good_{name}(void);" for name in TWINS)
    header += f"\nvoid nesting({NESTING[0]});\nvoid nested(void);\nvoid good_nesting({NESTING[0]});"
    source = HEADS + "\n".join(f"void {name}(void) {{ {bad} }}" for name, bad in FUNCTIONS.items())
    source += "\n" + "\n".join(f"void good_{name}(void) {{ {good} }}" for name, good in TWINS.items())
    source += f"\nvoid nested(void) {{ {NESTED} }}\nvoid nesting({NESTING[0]}) {{ {NESTING[1]} }}"
    source += f"\nvoid good_nesting({NESTING[0]}) {{ callback(); }}"
    return build(header, source, name="corpus")


@pytest.fixture(scope="module")
def oracle(built):
    """What plain Valgrind says of a C driver: for each function, how often which record, and what it lost."""
    driver = built.directory / "driver.c"
    # A jump to nowhere leaves the function that made it out of the stack: what called it is there.
    loop = f"for (int i = 0; i < {TIMES}; i++)"
    callers = "".join(f"static void call_{name}(void) {{ {loop} {name}(); }}\n" for name in FUNCTIONS)
    calls = "".join(f"call_{name}();\n" for name in FUNCTIONS)
    calls += f"for (int i = 0; i < {TIMES}; i++) nesting(nested);\n"
    calls += "".join(f"good_{name}();\n" for name in TWINS) + "good_nesting(good_nested);\n"
    scrub = "volatile char room[8192]; for (int i = 0; i < 8192; i++) room[i] = 0;"
    driver.write_text(
        f'#include "corpus.h"\nstatic void scrub(void) {{ {scrub} }}\n'
        f"{callers}static void all(void) {{ {calls} }}\nint main(void) {{ all(); scrub(); return 0; }}\n"
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
        frames = [frame.findtext("fn") or "" for frame in record.find("stack").iterfind("frame")]
        frames = [name.removeprefix("call_") for name in frames]
        known = {*FUNCTIONS, "nesting", "nested"}
        function = next((name for name in frames if name in known or name.startswith("good_")), None)
        if function is None:
            # The constructors' doing, before any call.
            continue
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
for i in range({times}):
    lib.nesting(lambda: lib.nested())
for name in {twins!r}:
    getattr(lib, "good_" + name)()
lib.good_nesting(lambda: lib.good_nested())
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
    compare(report, oracle)


@pytest.mark.one_python
def test_the_same_in_a_worker_with_a_leak_check_at_each_call(built, oracle, natively):
    script = SCRIPT.format(
        header=str(built.header),
        library=str(built.library),
        functions=list(FUNCTIONS),
        twins=list(TWINS),
        times=TIMES,
    ).replace(".so')", ".so', backend='isolated', leak_check='call')")
    report = natively("from pythy import _native; _native.choose_leak_kinds('all')" + script).json()
    compare(report, oracle)
    # Of calls inside each other it is not known which has lost a block.
    windows = [finding for finding in report["findings"] if finding["basis"] != "call"]
    assert {(finding["basis"], finding["category"]) for finding in windows} == {("window", "leak")}
    assert all(finding["call"] == finding["allocated_by"] for finding in windows)
    assert len(windows) == 2 * TIMES


def compare(report, oracle):
    """Holds a report against what plain Valgrind says, and calls against those that were made."""
    names = {declaration["id"]: declaration["name"] for declaration in report["declarations"]}
    lines = report["call_sites"]
    errors, lost = {}, {}
    numbers = {}
    for position, name in enumerate(FUNCTIONS):
        numbers[name] = range(position * TIMES + 1, position * TIMES + TIMES + 1)
    last = len(FUNCTIONS) * TIMES
    numbers["nesting"] = range(last + 1, last + 2 * TIMES + 1, 2)
    numbers["nested"] = range(last + 2, last + 2 * TIMES + 1, 2)
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
    kinds = {kind for counter in errors.values() for kind, _ in counter}
    assert kinds | {kind for counter in lost.values() for kind, _ in counter} == KINDS
