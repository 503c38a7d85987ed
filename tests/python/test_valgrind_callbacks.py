"""Function pointers, records in callbacks, kept results and handles under Valgrind."""

HEADER = """
    struct point { int x, y; };
    struct big { double values[5]; };
    typedef void (*filler)(char *out, int count);
    struct tool { filler fill; int (*lose)(unsigned long size); };
    const struct tool *tool(void);
    int lose(unsigned long size);
    struct point moved(struct point (*move)(struct point, int), struct point p, int dx);
    double sum_of(struct big (*make)(struct big), struct big b);
    unsigned long length_of(const char *(*name)(int));
    void each(void (*visit)(void *user, int k), void *user, int count);
    int first_byte(const char *user);
"""
SOURCE = """
    #include <stdlib.h>
    #include <string.h>
    static void fill(char *out, int count) { memset(out, 'x', count); }
    int lose(unsigned long size) { char *lost = malloc(size); lost[0] = 1; return lost[0]; }
    static const struct tool the_tool = { fill, lose };
    const struct tool *tool(void) { return &the_tool; }
    struct point moved(struct point (*move)(struct point, int), struct point p, int dx) {
        return move(p, dx);
    }
    double sum_of(struct big (*make)(struct big), struct big b) {
        double sum = 0;
        b = make(b);
        for (int k = 0; k < 5; k++) sum += b.values[k];
        return sum;
    }
    unsigned long length_of(const char *(*name)(int)) { return strlen(name(1)) + strlen(name(2)); }
    void each(void (*visit)(void *user, int k), void *user, int count) {
        for (int k = 0; k < count; k++) visit(user, k);
    }
    int first_byte(const char *user) { return user[0] ? 1 : 0; }
"""
SCRIPT = """
    import pythy

    lib = pythy.create_interface("code.h", "./code.so")
    tool = lib.tool()
    out = bytearray(5)
    tool.fill(out, 5)                                                            # clean
    assert bytes(out) == b"xxxxx"
    assert lib.moved(lambda p, dx: (p.x + dx, p.y), lib.new("struct point", (1, 2)), 5).x == 6
    big = lib.new("struct big", ([1] * 5,))
    assert lib.sum_of(lambda b: {"values": [2 * v for v in b.values]}, big) == 10
    assert lib.length_of(lambda k: "text" * k) == 12
    seen = []
    handle = lib.new_handle(seen)
    lib.each(lambda user, k: lib.from_handle(user).append(k), handle, 3)
    assert lib.first_byte(lib.cast(handle, "char *")) == 0
    assert seen == [0, 1, 2]
    tool.fill(out, 6)                                                            # one byte over
    tool.lose(33)                                                                # leaks 33 bytes
    report = pythy.memory_report()
    report.to_json("report.json")
    handle = lib.cast(int(handle), "char *")
    lib.first_byte(handle)                                                       # a handle that is gone
    pythy.memory_report().to_json("later.json")
"""


def test_calls_through_function_pointers_are_bracketed_like_any(build, under_valgrind, validate):
    built = build(HEADER, SOURCE)
    run = under_valgrind(SCRIPT, "--num-callers=40", "--log-file=valgrind.log", directory=built.directory)
    for name, expected in [
        (
            "report.json",
            [
                ("InvalidWrite", "void (*)(char *, int)", "void (*)(char *, int)", 3, "one byte over"),
                ("Leak_DefinitelyLost", "lose", "int (*)(unsigned long)", 4, "leaks 33 bytes"),
            ],
        ),
        (
            "later.json",
            [("InvalidRead", "first_byte", "int first_byte(const char *user)", 11, "a handle that is gone")],
        ),
    ]:
        report = run.json(name)
        validate(report)
        sites = {site["id"]: site for site in report["call_sites"]}
        declarations = {declaration["id"]: declaration for declaration in report["declarations"]}
        found = []
        for finding in report["findings"][-len(expected) :]:
            declaration = declarations[finding["call"]["declaration"]]
            source = sites[finding["call"]["call_site"]]["source"].split("#")[-1].strip()
            where = (declaration["name"], declaration["prototype"], declaration["line"])
            found.append((finding["kind"], *where, source))
        assert sorted(found) == sorted(expected)
    assert [finding["kind"] for finding in run.json("later.json")["findings"]] == [
        "InvalidWrite",
        "Leak_DefinitelyLost",
        "InvalidRead",
    ]


def test_data_that_ends_without_a_nul_is_read_no_further_through_a_void_pointer(build, under_valgrind):
    """As text it would be read up to a NUL, which is not there."""
    built = build(
        "void feed(void (*read)(const char *data, int length));",
        """
        #include <stdlib.h>
        #include <string.h>
        void feed(void (*read)(const char *data, int length)) {
            char *data = malloc(3);
            memcpy(data, "abc", 3);
            read(data, 3);
            free(data);
        }
        """,
    )
    script = """
        import pythy

        lib = pythy.create_interface("code.h", "code.so")

        @lib.callback("void (*)(const void *, int)")
        def read(data, length):
            print(bytes(lib.buffer(data, length)))

        lib.feed(read)
        report = pythy.memory_report()
        print(report.ok, report.totals.errors)
    """
    run = under_valgrind(script, "--num-callers=40", "--log-file=valgrind.log", directory=built.directory)
    assert run.stdout.splitlines() == ["b'abc'", "True 0"]
