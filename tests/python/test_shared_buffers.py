"""Buffers that share memory, of which a function that writes through both sees both."""

import textwrap

import pytest
import pythy

HEADER = """
    void two(unsigned char *a, unsigned char *b);
    void three(unsigned char *a, const unsigned char *b, unsigned char *c);
    int same(const unsigned char *a, const unsigned char *b);
    void over(unsigned char *a, const unsigned char *b);
    void format(unsigned char *a, const char *text, ...);
"""
SOURCE = """
    #include <stdarg.h>
    void two(unsigned char *a, unsigned char *b) { for (int i = 0; i < 8; i++) a[i] = 0xaa; b[7] = 0xbb; }
    void three(unsigned char *a, const unsigned char *b, unsigned char *c) { a[0] = 1; c[0] = b[0] + 1; }
    int same(const unsigned char *a, const unsigned char *b) { return b - a; }
    void over(unsigned char *a, const unsigned char *b) { a[11] = b[0]; }
    void format(unsigned char *a, const char *text, ...) {
        va_list list;
        va_start(list, text);
        unsigned char *b = va_arg(list, unsigned char *);
        va_end(list);
        a[4] = text[0];
        b[1] = b[0] + 1;
    }
"""
CALLS = """
    data = bytearray(12)
    view = memoryview(data)
    lib.two(view[0:8], view[4:12])
    print(data.hex())
    lib.two(view[4:12], view[0:8])
    print(data.hex())
    data[:] = bytes(12)
    lib.three(view[0:4], view, view[8:])
    print(data.hex())
    print(lib.same(view[0:8], view[3:5]))
    lib.format(view[0:6], "x", view[4:12])
    print(data.hex())
"""
EXPECTED = """\
aaaaaaaaaaaaaaaa000000bb
aaaaaaaaaaaaaabbaaaaaaaa
010000000000000002000000
3
010000007879000002000000
"""


@pytest.mark.parametrize("options", ["", ", backend='isolated', checker='none'"])
def test_what_is_written_through_one_is_seen_through_the_other(build, natively, options):
    built = build(HEADER, SOURCE)
    create = f"import pythy\nlib = pythy.create_interface('code.h', './code.so'{options})\n"
    run = natively(create + textwrap.dedent(CALLS), directory=built.directory)
    assert run.stdout == EXPECTED


def test_so_it_is_under_valgrind_where_the_end_of_both_is_the_end(build, under_valgrind):
    built = build(HEADER, SOURCE)
    script = f"""
    import pythy
    lib = pythy.create_interface("code.h", "./code.so")
{CALLS}
    lib.over(view[0:8], view[4:11])
    """
    run = under_valgrind(script, "--log-file=valgrind.log", directory=built.directory, check=False)
    assert run.stdout == EXPECTED
    assert " is 1 byte after argument 'a' (11 bytes) of over()\n" in run.stderr
    assert "pythy: 1 finding in 6 calls, 1 error" in run.stderr


def test_and_in_a_worker_under_valgrind(build):
    built = build(HEADER, SOURCE)
    with pythy.watch() as report:
        lib = pythy.create_interface(built.header, built.library, backend="isolated")
        view = memoryview(bytearray(12))
        lib.over(view[0:8], view[4:11])
        lib.close()
    (finding,) = report.findings
    assert (finding.kind, finding.call.declaration.name) == ("InvalidWrite", "over")
