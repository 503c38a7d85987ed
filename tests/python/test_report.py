# ruff: noqa: E501 (what pythy says stands here as it is said)
"""Reports: the table, the JSON form and the objects, and what they say when much is unknown."""

import re
import textwrap

import pytest
import pythy

HEADER = """
    /* Counts the even ones. */
    int count_even(const int *numbers, int length);
    char *copy_of(const char *text);
    int add(int a, int b);
"""

SOURCE = """
    #include <stdlib.h>
    #include <string.h>

    int count_even(const int *numbers, int length)
    {
        int even = 0;
        for (int i = 0; i <= length; i++)
            even += numbers[i] % 2 == 0 ? 1 : 0;
        return even;
    }

    char *copy_of(const char *text) { return strcpy(malloc(strlen(text) + 1), text); }
    int add(int a, int b) { return a + b; }
"""

FAULTY = """
    from array import array

    import pythy

    lib = pythy.create_interface("code.h", "./code.so")


    def main():
        lib.count_even(array("i", [1, 2, 3]), 3)
        lib.add(1, 2)
        return lib.copy_of("lost")


    assert main() == b"lost"
"""

CLEAN = """
    from array import array

    import pythy

    lib = pythy.create_interface("code.h", "./code.so")
    with pythy.watch() as report:
        assert lib.count_even(array("i", [1, 2, 3, 4]), 3) == 2
        assert lib.add(1, 2) == 3
    assert report.ok and report.findings == [], report
    assert pythy.running_under_valgrind()
    print(pythy.memory_report())
"""


@pytest.fixture(scope="module")
def faulty(build, under_valgrind):
    script = textwrap.dedent(FAULTY) + textwrap.dedent("""
        report = pythy.memory_report()
        error, leak = report.findings
        print(report)
        print(repr(report))
        print(error.kind, error["kind"], error.count, error.call.declaration.prototype, error.call.call_site.source)
        print(error.call.number, error.call.thread, error.call.test, error.call.arguments)
        print(error.stacks[0].frames[0].function, error.stacks[0].frames[0].line, error.leaked, error.allocated_by)
        print(leak.category, leak.leaked.bytes, leak.leaked.blocks, leak.lost_between, leak.allocated_by == leak.call)
        print([(call.number, call.count, call.declaration.name, call.errors, call.leaked_bytes) for call in report.calls])
        print(report.totals)
        report.to_json("report.json")
    """)
    return under_valgrind(script, "--log-file=valgrind.log", directory=build(HEADER, SOURCE).directory)


TABLE = """\
┌───┬───────────────────────────────────────┬──────────────────────────────────────────┬────────────────────────────────────────────────┐
│ # ┆ finding                               ┆ Python call                              ┆ C declaration                                  │
╞═══╪═══════════════════════════════════════╪══════════════════════════════════════════╪════════════════════════════════════════════════╡
│ 1 ┆ InvalidRead                           ┆ script.py:9 in main                      ┆ int count_even(const int *numbers, int length) │
│   ┆ Invalid read of size 4                ┆ lib.count_even(array("i", [1, 2, 3]), 3) ┆ code.h:2                                       │
├╌╌╌┼╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┼╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┼╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┤
│ 2 ┆ Leak_DefinitelyLost                   ┆ script.py:11 in main                     ┆ char *copy_of(const char *text)                │
│   ┆ 5 bytes in 1 block is definitely lost ┆ return lib.copy_of("lost")               ┆ code.h:3                                       │
│   ┆ lost during calls 1 to 3              ┆                                          ┆                                                │
└───┴───────────────────────────────────────┴──────────────────────────────────────────┴────────────────────────────────────────────────┘

#1 InvalidRead: Invalid read of size 4
    at count_even (code.c:9)
  Address ADDRESS is 1 byte after argument 'numbers' (12 bytes) of count_even()

#2 Leak_DefinitelyLost: 5 bytes in 1 block is definitely lost
  allocated here:
    at malloc (MALLOC)
    by copy_of (code.c:13)

pythy: 2 findings in 3 calls, 1 error, 5 bytes leaked in 1 block (Valgrind VERSION)
"""

OBJECTS = """\

<pythy.Report: 2 findings>
InvalidRead InvalidRead 1 int count_even(const int *numbers, int length) lib.count_even(array("i", [1, 2, 3]), 3)
1 MainThread None ["array('i', [1, 2, 3])", '3']
count_even 9 None None
leak 5 1 (1, 3) True
[(1, 1, 'count_even', 1, 0), (3, 1, 'copy_of', 0, 5), (None, 1, 'add', 0, 0)]
Totals(calls=3, errors=1, leaked_bytes=5, leaked_blocks=1, crashes=0)
"""


def same_everywhere(text: str) -> str:
    """The text without what differs from run to run, and from one Valgrind to another."""
    text = re.sub(r"0x[0-9a-f]+", "ADDRESS", text)
    text = re.sub(r"(?<=at malloc )\(.*\)", "(MALLOC)", text)
    return re.sub(r"(?<=Valgrind )\d+\.\d+\.\d+", "VERSION", text)


def test_the_table_names_python_line_declaration_and_c_stack(faulty):
    assert same_everywhere(faulty.stdout)[: len(TABLE)] == TABLE


def test_the_objects_have_what_the_json_has(faulty):
    assert same_everywhere(faulty.stdout)[len(TABLE) :] == OBJECTS


def test_the_table_comes_again_at_exit(faulty):
    assert same_everywhere(faulty.stderr) == TABLE


def test_the_json_keeps_to_the_schema(faulty, validate):
    report = faulty.json()
    validate(report)
    assert list(report) == [
        "schema", "tool", "totals", "notes", "declarations", "call_sites", "findings", "calls",
    ]  # fmt: skip
    assert report["schema"] == "pythy-report/1"
    assert report["tool"]["pythy"] == pythy.__version__


def test_the_schema_is_strict(faulty, validate):
    """A key too many, a key too few and a wrong word are all refused."""
    import jsonschema

    for spoil in (
        lambda report: report.update(more=1),
        lambda report: report.pop("notes"),
        lambda report: report["findings"][0].update(basis="guess"),
        lambda report: report["findings"][0].update(leaked=report["findings"][1]["leaked"]),
        lambda report: report["findings"][1].update(lost_between=[1, 2, 3]),
        lambda report: report["findings"][1]["stacks"][0]["frames"][0].update(ip="4a9"),
    ):
        report = faulty.json()
        spoil(report)
        with pytest.raises(jsonschema.ValidationError):
            validate(report)


def test_without_findings_a_process_under_valgrind_is_silent(build, under_valgrind):
    """Also where the interpreter makes errors of its own, which PYTHONMALLOC=malloc brings about."""
    directory = build(HEADER, SOURCE).directory
    options = {"directory": directory, "env": {"PYTHONMALLOC": "malloc"}}
    run = under_valgrind(CLEAN, "--log-file=valgrind.log", **options)
    assert run.stderr == ""
    assert re.fullmatch(r"pythy: no findings in 2 calls \(Valgrind \d+\.\d+\.\d+\)\n\n", run.stdout)


@pytest.fixture(scope="module")
def piped(build, under_valgrind):
    """Valgrind writes into a pipe, as it does where its output is captured."""
    script = textwrap.dedent(FAULTY) + textwrap.dedent("""
        pythy.memory_report().to_json("report.json")
        messages = []
        for what in "nowhere.h", "broken.h":
            try:
                pythy.create_interface(what, "./code.so")
            except pythy.HeaderError as error:
                messages.append(str(error))
        package, pythy.__file__ = pythy.__file__, "/nowhere/pythy/__init__.py"
        try:
            pythy.create_interface("code.h", "./code.so", defines={"NOT_IN_THE_CACHE": 1})
        except pythy.HeaderError as error:
            messages.append(str(error))
        pythy.__file__ = package
        import json
        json.dump(messages, open("messages.json", "w"))
    """)
    directory = build(HEADER, SOURCE).directory
    (directory / "broken.h").write_text("int one(;\n")
    return under_valgrind(script, directory=directory)


NOTE = (
    "Valgrind's log is a pipe, which cannot be read back; run valgrind with --log-file=FILE or --xml=yes "
    "--xml-file=FILE; without it errors and lost blocks are only counted: what they are, and the C stacks, is in "
    "Valgrind's own output alone, where lines of pythy's tell the calls; blocks that are possibly lost are left out"
)


def test_errors_in_an_unreadable_log_are_counted_exactly(piped, validate):
    report = piped.json()
    validate(report)
    assert report["notes"] == [NOTE]
    assert report["totals"] == {
        "calls": 3, "errors": 1, "leaked_bytes": 5, "leaked_blocks": 1, "crashes": 0,
    }  # fmt: skip
    finding, leak = report["findings"]
    assert (finding["category"], finding["kind"], finding["count"]) == ("error", "Unread", 1)
    assert (
        finding["what"]
        == "errors that Valgrind counted: they repeat one with the same four innermost frames, or are only in its own output"
    )
    assert (finding["call"]["number"], finding["basis"], finding["stacks"]) == (1, "call", [])
    assert (leak["kind"], leak["basis"], leak["lost_between"]) == ("Leak_DefinitelyLost", "window", [1, 3])
    assert leak["leaked"] == {"bytes": 5, "blocks": 1, "indirect_bytes": 0, "indirect_blocks": 0}


def test_the_note_is_at_the_end_of_the_process_too(piped):
    assert f"note: {NOTE}\n" in piped.stderr


def test_headers_are_refused_under_valgrind_as_they_are_natively(piped):
    messages = piped.json("messages.json")
    assert messages[0].startswith(
        "header file 'nowhere.h' does not exist, nor is it in '/usr/local/include', "
    )
    assert messages[1:] == [
        "broken.h:1:9: expected parameter declarator (and 1 more error)",
        "headers cannot be read: '/nowhere/pythy/bin/pythy-worker' does not exist; reinstall pythy",
    ]


NOTHING_CHECKED = """
    import pythy

    lib = pythy.create_interface("code.h", "./code.so")
    with pythy.watch() as watched:
        lib.add(1, 2)
    for report in watched, pythy.memory_report():
        assert report.ok
        assert (report.findings, report.calls, report.notes) == ([], [], [])
        assert report.totals.calls is None
        assert str(report) == (
            "pythy: the C code ran natively, its memory was not checked; run Python under Valgrind for that\\n"
        )
        assert repr(report) == "<pythy.Report: no findings>"
        report.to_json("report.json")
"""


def test_natively_the_report_says_that_nothing_was_checked(build, natively, tmp_path, validate):
    # In a process of its own, as other tests of this one may have had workers.
    build(HEADER, SOURCE, name="code", directory=tmp_path)
    validate(natively(NOTHING_CHECKED, directory=tmp_path).json())


def test_an_exception_goes_through_watch_and_leaves_a_report():
    with pytest.raises(ZeroDivisionError), pythy.watch() as report:
        raise ZeroDivisionError
    assert report.ok
