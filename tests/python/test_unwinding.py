"""Stacks go through pythy's own assembler to the interpreter's end, for unwinders that follow its CFI."""

HEADER = """
    struct pair { long a; double b; };
    int in_registers(int a, int b);
    int in_more_registers(int a, double b, int c, double d);
    int on_the_stack(int a, int b, int c, int d, int e, int f, int g, int h);
    int by_value(struct pair pair);
    int variadic(int count, ...);
"""
SOURCE = """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <execinfo.h>
    #include <string.h>

    static int reaches_the_end(void) {
        void *frames[400];
        int count = backtrace(frames, 400);
        for (int i = 0; i < count; i++) {
            Dl_info info;
            if (dladdr(frames[i], &info) && info.dli_sname && !strcmp(info.dli_sname, "Py_BytesMain"))
                return 1;
        }
        return 0;
    }

    int in_registers(int a, int b) { return a + b == 3 && reaches_the_end(); }
    int in_more_registers(int a, double b, int c, double d) {
        return a == 1 && b == 2.5 && c == 3 && d == 4.5 && reaches_the_end();
    }
    int on_the_stack(int a, int b, int c, int d, int e, int f, int g, int h) {
        return a + b + c + d + e + f + g + h == 36 && reaches_the_end();
    }
    int by_value(struct pair pair) { return pair.a == 1 && pair.b == 2.5 && reaches_the_end(); }
    int variadic(int count, ...) { return count == 1 && reaches_the_end(); }
"""
SCRIPT = """
    import pythy

    lib = pythy.create_interface("code.h", "./code.so", gil="{gil}")
    for _ in range(2):
        assert lib.in_registers(1, 2) == 1
        assert lib.in_more_registers(1, 2.5, 3, 4.5) == 1
        assert lib.on_the_stack(*range(1, 9)) == 1
        assert lib.by_value(lib.new("struct pair", dict(a=1, b=2.5))) == 1
        assert lib.variadic(1, 2) == 1
    print(len(pythy.memory_report().findings))
"""


def test_natively(build, natively, tmp_path):
    build(HEADER, SOURCE, name="code", directory=tmp_path)
    assert natively(SCRIPT.format(gil="hold"), directory=tmp_path).stdout == "0\n"


def test_under_valgrind_in_calls_the_long_way_and_the_short(build, under_valgrind, tmp_path):
    build(HEADER, SOURCE, name="code", directory=tmp_path)
    for gil in ("hold", "release"):
        ran = under_valgrind(
            SCRIPT.format(gil=gil), "--num-callers=40", "-q", "--log-file=log", directory=tmp_path
        )
        assert ran.stdout == "0\n"
