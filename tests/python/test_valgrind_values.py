"""Findings in calls with callbacks, records by value and variable arguments, under Valgrind."""

import pytest

HEADER = """
    struct big { long values[5]; };
    struct small { int a; double b; };
    typedef int (*binary)(int a, int b);
    int apply(binary f, int a, int b);
    int apply_and_leak(binary f, int a, int b);
    int apply_uninitialised(binary f, int a);
    struct big make_big(long first);
    long sum_big(struct big value);
    struct small make_small(int a);
    int fill(char *out, const char *format, ...);
    struct small *small_new(void);
    void small_free(struct small *small);
    void discard(void *memory);
"""
SOURCE = """
    #include <stdarg.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    int apply(binary f, int a, int b) { return f(a, b); }
    int apply_and_leak(binary f, int a, int b) {
        char *lost = malloc(40 + a);
        memset(lost, 0, 40);
        return f(a, b);
    }
    int apply_uninitialised(binary f, int a) {
        int *unset = malloc(sizeof *unset);
        int result = f(a, 0);
        if (*unset > 0) result++;
        free(unset);
        return result;
    }
    struct big make_big(long first) { struct big b = {{first, 2, 3, 4, 5}}; return b; }
    long sum_big(struct big value) { long s = 0; for (int i = 0; i < 5; i++) s += value.values[i]; return s; }
    struct small make_small(int a) {
        char *lost = malloc(24);
        memset(lost, 0, 24);
        struct small s = {a, 0.5};
        return s;
    }
    int fill(char *out, const char *format, ...) {
        va_list list;
        va_start(list, format);
        int count = vsprintf(out, format, list);
        va_end(list);
        return count;
    }
    struct small *small_new(void) { return calloc(1, sizeof(struct small)); }
    void small_free(struct small *small) { free(small); }
    void discard(void *memory) { free(memory); }
"""
SCRIPT = """
    import gc
    import pythy

    lib = pythy.create_interface("code.h", "./code.so")
    assert lib.sum_big(lib.make_big(1)) == 15                                        # clean
    assert lib.apply(lambda a, b: lib.apply(lambda c, d: c + d, a, b), 1, 2) == 3     # clean
    with lib.own(lib.small_new(), lib.small_free) as small:                          # clean
        small.a = 1
    def nested(a, b):
        return lib.apply_and_leak(lambda c, d: c - d, a, b)                          # leaks 41 bytes
    lib.apply(nested, 1, 2)
    lib.apply_uninitialised(lambda a, b: a, 3)                                       # uninitialised
    assert lib.make_small(4).a == 4                                                  # leaks 24 bytes
    out = bytearray(5)
    lib.fill(out, "%d-%s", 12, b"34")                                                # one byte over
    lib.discard(bytearray(9))                                                        # frees a copy
    lib.discard(lib.new("int[9]"))                                                   # frees lib.new
    for _ in range(3):
        lib.make_small(4)                                                            # leaks 3 times
    kept = lib.small_new()
    dropped = lib.small_new()                                                        # lost when dropped
    del dropped
    gc.collect()
    pythy.memory_report().to_json("report.json")
    lib.small_free(kept)
"""


@pytest.mark.parametrize("allocator", ["pymalloc", "malloc"])
def test_each_finding_is_on_the_innermost_call_and_the_clean_calls_have_none(
    build, under_valgrind, allocator
):
    built = build(HEADER, SOURCE)
    run = under_valgrind(
        SCRIPT,
        "--num-callers=40",
        "--log-file=valgrind.log",
        directory=built.directory,
        env={"PYTHONMALLOC": allocator},
    )
    report = run.json()
    sites = {site["id"]: site for site in report["call_sites"]}
    names = {declaration["id"]: declaration["name"] for declaration in report["declarations"]}
    found = set()
    for finding in report["findings"]:
        call = finding["call"] or finding["allocated_by"]
        leaked = finding["leaked"] and finding["leaked"]["bytes"]
        source = sites[call["call_site"]]["source"].split("#")[-1].strip()
        found.add((finding["kind"], names[call["declaration"]], source, leaked))
    assert found == {
        ("Leak_DefinitelyLost", "apply_and_leak", "leaks 41 bytes", 41),
        ("Leak_DefinitelyLost", "make_small", "leaks 24 bytes", 24),
        ("Leak_DefinitelyLost", "small_new", "lost when dropped", 16),
        ("UninitCondition", "apply_uninitialised", "uninitialised", None),
        ("InvalidWrite", "fill", "one byte over", None),
        ("InvalidFree", "discard", "frees a copy", None),
        ("InvalidFree", "discard", "frees lib.new", None),
        ("Leak_DefinitelyLost", "make_small", "leaks 3 times", 24),
    }
    assert len(report["findings"]) == 10
    assert "3 such leaks: 72 bytes in 3 blocks" in run.stderr
    assert "1 byte after argument 'out' (5 bytes) of fill()" in run.stderr
