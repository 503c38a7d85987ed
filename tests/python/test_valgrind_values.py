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


NUMBERS = {
    "_Bool": ("bool_", [0, 1]),
    "char": ("char_", [-128, -1, 127]),
    "signed char": ("schar", [-128, -1, 127]),
    "unsigned char": ("uchar", [0, 255]),
    "short": ("short_", [-32768, -1, 32767]),
    "unsigned short": ("ushort", [0, 65535]),
    "int": ("int_", [-(2**31), -1, 2**31 - 1]),
    "unsigned": ("uint", [0, 2**32 - 1]),
    "long": ("long_", [-(2**63), -1, 2**63 - 1]),
    "unsigned long": ("ulong", [0, 2**64 - 1]),
    "float": ("float_", [-1.5, 0.25]),
    "double": ("double_", [-1.5, 1e300]),
}
# So many parameters before the value: stubs, registers, the stack.
PLACES = {0: "", 1: "int a, ", 2: "int a, double b, ", 8: "".join(f"long {name}, " for name in "abcdefgh")}


def test_every_number_comes_back_as_it_went_whatever_the_way_of_the_call(build, under_valgrind, tmp_path):
    functions = [
        (f"{name}{count}", ctype, before, count, values)
        for ctype, (name, values) in NUMBERS.items()
        for count, before in PLACES.items()
    ]
    header = "".join(f"{ctype} {name}({before}{ctype} v);" for name, ctype, before, *_ in functions)
    source = "".join(
        f"{ctype} {name}({before}{ctype} v) {{ return v; }}\n" for name, ctype, before, *_ in functions
    )
    build(header, source, name="code", directory=tmp_path)
    expected = {name: (count, values) for name, _, _, count, values in functions}
    script = f"""
        import pythy

        lib = pythy.create_interface("code.h", "./code.so")
        for name, (count, values) in {expected!r}.items():
            function = getattr(lib, name)
            for value in values:
                for _ in range(3):
                    got = function(*range(count), value)
                    got = got[0] - 256 * (got[0] > 127) if isinstance(got, bytes) else got
                    assert got == value, (name, value, got)
        print(len(pythy.memory_report().findings))
    """
    ran = under_valgrind(script, "--num-callers=40", "-q", "--log-file=log", directory=tmp_path)
    assert ran.stdout == "0\n"


def test_a_leak_of_a_function_of_three_arguments_and_no_result_is_seen_at_its_call(
    build, under_valgrind, tmp_path
):
    header = "void lose(int a, int b, int c); void nothing(int a, int b, int c);"
    source = """
        #include <stdlib.h>
        void lose(int a, int b, int c) { *(volatile char *)malloc(a + b + c) = 1; }
        void nothing(int a, int b, int c) { }
    """
    build(header, source, name="code", directory=tmp_path)
    script = """
        import pythy

        lib = pythy.create_interface("code.h", "./code.so", leak_check="call")
        for size in (10, 20, 30):
            with pythy.watch() as report:
                lib.lose(size, 2, 3)
            (finding,) = report.findings
            print(finding.leaked.bytes, finding.call.number)
            lib.nothing(1, 2, 3)
    """
    ran = under_valgrind(script, "--num-callers=40", "-q", "--log-file=log", directory=tmp_path)
    assert ran.stdout == "15 1\n25 3\n35 5\n"
