"""check_results=True: what C hands back uninitialised."""

import json

import pytest

pytestmark = pytest.mark.one_python

HEADER = """
    int garbage(void);
    int fine(void);
    double half_garbage(int good);
    char letter(void);
    struct pair { int a, b; };
    void fill(unsigned char *out, int size, int written);
    void answer(int *out, int good);
    struct pair swapped(struct pair pair);
    long double wide(void);
    int sum(int count, ...);
    void *block(void);
"""
SOURCE = """
    #include <stdlib.h>
    int garbage(void) { int *block = malloc(4), value = *block; free(block); return value; }
    int fine(void) { return 1; }
    double half_garbage(int good) {
        double *block = malloc(sizeof *block), value;
        if (good) *block = 1.5;
        value = *block;
        free(block);
        return value;
    }
    char letter(void) { return (char)garbage(); }
    void fill(unsigned char *out, int size, int written) {
        unsigned char *block = malloc(size);
        for (int i = 0; i < written; i++) block[i] = i;
        for (int i = 0; i < size; i++) out[i] = block[i];
        free(block);
    }
    void answer(int *out, int good) { *out = good ? 42 : garbage(); }
    struct pair swapped(struct pair pair) { return (struct pair){pair.b, pair.a}; }
    long double wide(void) { return 1; }
    int sum(int count, ...) { return count ? count : garbage(); }
    void *block(void) { return NULL; }
"""
SCRIPT = """
import json, pythy
lib = pythy.create_interface({header!r}, {library!r}, check_results={check})
out = bytearray(8)
lib.garbage()                                        # returned
lib.fine()
lib.half_garbage(1)
lib.half_garbage(0)                                  # returned
lib.letter()                                         # returned
lib.fill(out, 8, 8)
lib.fill(out, 8, 5)                                  # left
lib.answer(lib.ref("int"), 1)
lib.answer(lib.ref("int"), 0)                        # left
lib.swapped(lib.new("struct pair"))
lib.wide()
lib.sum(3, 1)
lib.sum(0)                                           # returned
lib.block()
report = pythy.memory_report()
for f in report.findings:
    labels = [stack.label for stack in f.stacks if stack.label and "Address" in stack.label]
    where = labels[0].partition(" is ")[2] if labels else ""
    comment = f.call.call_site.source.rpartition("# ")[2]
    print(json.dumps([f.kind, f.what, f.count, f.basis, f.call.declaration.name, comment, where]))
"""


def findings(built, under_valgrind, log, check: bool):
    script = SCRIPT.format(header=str(built.header), library=str(built.library), check=check)
    run = under_valgrind(script, *log, "--num-callers=40")
    return [json.loads(line) for line in run.stdout.splitlines()]


@pytest.mark.parametrize("log", [["--log-file=log"], ["--xml=yes", "--xml-file=log"]])
def test_results_and_outputs_are_checked_on_request(build, under_valgrind, log):
    built = build(HEADER, SOURCE)
    returned = ["ClientCheck", "returned uninitialised data", 1, "call"]
    left = ["ClientCheck", "left uninitialised data in an argument's memory", 1, "call"]
    assert findings(built, under_valgrind, log, True) == [
        [*returned, "garbage", "returned", ""],
        [*returned, "half_garbage", "returned", ""],
        [*returned, "letter", "returned", ""],
        [*left, "fill", "left", "5 bytes inside argument 'out' (8 bytes) of fill()"],
        [*left, "answer", "left", "0 bytes inside argument 'out' (4 bytes) of answer()"],
        [*returned, "sum", "returned", ""],
    ]
    assert findings(built, under_valgrind, log, False) == []
