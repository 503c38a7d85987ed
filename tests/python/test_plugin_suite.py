"""The pytest plugin where Python runs under Valgrind: one suite with all there is, asked from many sides.

Valgrind takes its time, so the suite runs once; its tests are plain files below.
"""

import json
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import pytest
import pythy

pytestmark = pytest.mark.one_python

SUITE = {
    "test_phases": """
        import pytest
        import pythy

        lib = pythy.create_interface("lib.h", "./lib.so")


        def test_good():
            assert lib.add(1, 2) == 3


        def test_error():
            line = bytearray(4)
            lib.put(line, 4, b"-")


        def test_leak():
            lib.add(1, 2)
            lib.lose(10)
            lib.add(1, 2)


        def test_two_ends():
            lib.keep(7)
            lib.add(1, 1)
            lib.forget()
            lib.add(2, 2)


        def test_both():
            lib.put(bytearray(3), 3, b"-")
            assert lib.add(1, 2) == 4


        @pytest.fixture
        def untidy():
            lib.lose(5)
            yield
            lib.put(bytearray(2), 2, b"x")


        def test_fixture(untidy):
            pass


        def test_cycle():
            class Node:
                pass

            node = Node()
            node.self, node.block = node, lib.make(11)


        @pytest.mark.parametrize("text", ["a/b::c[1]", "tab\\there", "\\u00e4"])
        def test_odd(text):
            lib.put(bytearray(1), len(text) // 8, b"x")
    """,
    "test_outcomes": """
        import unittest

        import pytest
        import pythy

        lib = pythy.create_interface("lib.h", "./lib.so")


        def test_skip():
            lib.put(bytearray(1), 1, b"x")
            pytest.skip("after the fact")


        @pytest.mark.xfail
        def test_xfail():
            lib.put(bytearray(1), 1, b"x")


        @pytest.mark.xfail(raises=ValueError)
        def test_xfail_of_something_else():
            lib.put(bytearray(1), 1, b"x")


        @pytest.mark.pythy_allow_leak(kinds="definite", max_bytes=20, reason="as agreed")
        def test_allowed():
            lib.lose(20)


        @pytest.mark.pythy_allow_leak(max_bytes=20)
        def test_more_than_allowed():
            lib.lose(21)


        @pytest.mark.pythy_known_error(kind="InvalidWrite", function="put")
        def test_known():
            lib.put(bytearray(1), 1, b"x")


        @pytest.mark.pythy_known_error(kind="InvalidRead")
        def test_another_is_known():
            lib.put(bytearray(1), 1, b"x")


        @pytest.mark.no_pythy
        def test_not_looked_at():
            lib.lose(30)


        class TestUnit(unittest.TestCase):
            def setUp(self):
                self.line = bytearray(2)

            def test_method(self):
                lib.put(self.line, 2, b"x")

            def test_good(self):
                lib.put(self.line, 1, b"x")
    """,
    "test_scopes": """
        import pytest
        import pythy

        lib = pythy.create_interface("lib.h", "./lib.so")


        @pytest.fixture(scope="module")
        def block():
            block = lib.make(33)
            yield block
            del block


        def test_uses(block):
            assert block


        def test_says_so_far(pythy_report, pythy_interface):
            own = pythy_interface("lib.h", "./lib.so")
            assert pythy_report().ok
            own.put(bytearray(6), 6, b"x")
            (finding,) = pythy_report().findings
            assert (finding.kind, finding.call.declaration.name) == ("InvalidWrite", "put")


        def test_last():
            assert lib.decide() in (1, 2)
    """,
    "test_collected": """
        import pythy

        lib = pythy.create_interface("lib.h", "./lib.so")
        lib.lose(40)


        def test_nothing():
            pass
    """,
}

RAN: dict[str, SimpleNamespace] = {}


@pytest.fixture
def suite(plugin, pytester):
    """The suite's run under plain Valgrind: its lines, its exit code, its JSON and its JUnit report."""
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed (Debian, Ubuntu: apt-get install valgrind)")
    if "suite" not in RAN:
        pytester.makepyfile(**SUITE)
        files = [f"{name}.py" for name in SUITE]
        ran = pytester.run(
            *("valgrind", "--num-callers=40", "--log-file=log", sys.executable, "-m", "pytest"),
            *("-p", "pythy.pytest_plugin", "-p", "no:cacheprovider", "--strict-markers", "-v"),
            *("--pythy-report=json:report.json", "--junitxml=junit.xml"),
            *("--pythy-gen-suppressions=found.supp", *files),
            timeout=600,
        )
        RAN["suite"] = SimpleNamespace(
            lines=ran.outlines,
            code=ran.ret,
            report=json.loads((pytester.path / "report.json").read_text()),
            suppressions=(pytester.path / "found.supp").read_text(),
            junit=ElementTree.parse(pytester.path / "junit.xml").getroot(),
        )
    return RAN["suite"]


def section(lines, title):
    """The lines from a heading of pytest's to the next."""
    start = next(number for number, line in enumerate(lines) if line.strip("_ ") == title) + 1
    end = next(
        number for number, line in enumerate(lines[start:], start) if line[:3] in ("___", "===", "---")
    )
    return "\n".join(lines[start:end])


def normal(text):
    text = re.sub(r"0x[0-9a-f]+", "0x…", text)
    # Where Valgrind's own debug information is installed.
    text = re.sub(r"\([^()]*vg_replace_malloc\.c:\d+\)", "(in memcheck)", text)
    return re.sub(r"\(in /[^)]*/vgpreload_memcheck[^)]*\)", "(in memcheck)", text)


def test_each_test_has_its_outcome(suite):
    outcomes = {}
    for line in suite.lines:
        name, _, rest = line.partition(" ")
        if name.startswith("test_") and "::" in name and rest.strip():
            outcomes.setdefault(name.partition("::")[2], []).append(rest.split()[0])
    odd = {name: outcomes.pop(name) for name in list(outcomes) if name.startswith("test_odd")}
    assert outcomes == {
        "test_good": ["PASSED"],
        "test_error": ["MEMORY"],
        "test_leak": ["MEMORY"],
        "test_two_ends": ["MEMORY"],
        "test_both": ["FAILED"],
        "test_fixture": ["MEMORY", "MEMORY"],
        "test_cycle": ["MEMORY"],
        "test_skip": ["MEMORY"],
        "test_xfail": ["XFAIL"],
        "test_xfail_of_something_else": ["MEMORY"],
        "test_allowed": ["PASSED"],
        "test_more_than_allowed": ["MEMORY"],
        "test_known": ["PASSED"],
        "test_another_is_known": ["MEMORY"],
        "test_not_looked_at": ["PASSED"],
        "TestUnit::test_method": ["MEMORY"],
        "TestUnit::test_good": ["PASSED"],
        "test_uses": ["PASSED"],
        "test_says_so_far": ["MEMORY"],
        "test_last": ["MEMORY"],
        "test_nothing": ["PASSED"],
    }
    assert len(odd) == 3
    assert suite.code == 1


def test_the_header_says_mode_and_version(suite):
    version = pythy.valgrind_version()
    assert f"pythy {pythy.__version__}: inprocess, Valgrind {version}" in suite.lines


def test_an_error_is_told_by_its_line_and_declaration(suite):
    assert (
        normal(section(suite.lines, "test_error"))
        == """
    def test_error():
        line = bytearray(4)
>       lib.put(line, 4, b"-")
M       InvalidWrite: Invalid write of size 1

test_phases.py:13: in test_error
    put(bytearray(b'\\x00\\x00\\x00\\x00'), 4, b'-')
lib.h:3: void put(char *text, int at, char c)
    at put (lib.c:4)
    by Python (test_phases.py:13)
  Address 0x… is 1 byte after argument 'text' (4 bytes) of put()"""
    )


def test_a_leak_is_told_with_both_ends(suite):
    assert (
        normal(section(suite.lines, "test_leak"))
        == """
    def test_leak():
        lib.add(1, 2)
>       lib.lose(10)
M       Leak_DefinitelyLost: 10 bytes in 1 block is definitely lost

test_phases.py:18: in test_leak
    lose(10)
lib.h:4: void lose(size_t size)
  allocated here:
    at malloc (in memcheck)
    by lose (lib.c:5)
    by Python (test_phases.py:18)
  lost by the same call"""
    )
    assert (
        normal(section(suite.lines, "test_two_ends"))
        == """
    def test_two_ends():
        lib.keep(7)
        lib.add(1, 1)
>       lib.forget()
M       Leak_DefinitelyLost: 7 bytes in 1 block is definitely lost

test_phases.py:25: in test_two_ends
lib.h:8: void forget(void)
  lost by this call; allocated by keep() (lib.h:7) here:
    at malloc (in memcheck)
    by keep (lib.c:8)
    by Python (test_phases.py:23)"""
    )


def test_a_failed_assertion_and_a_finding_are_both_shown(suite):
    assert "E       assert 3 == 4" in section(suite.lines, "test_both")
    start = suite.lines.index(">       assert lib.add(1, 2) == 4")
    rest = suite.lines[start:]
    heading = next(number for number, line in enumerate(rest) if line.strip("- ") == "pythy")
    assert rest[heading + 1 : heading + 5] == [
        "",
        "    def test_both():",
        '>       lib.put(bytearray(3), 3, b"-")',
        "M       InvalidWrite: Invalid write of size 1",
    ]


def test_setup_and_teardown_have_their_own(suite):
    assert "lib.lose(5)" in section(suite.lines, "ERROR at setup of test_fixture")
    assert "Invalid write of size 1" in section(suite.lines, "ERROR at teardown of test_fixture")


def test_the_summary_has_a_row_for_each_declaration_and_the_totals(suite):
    start = next(number for number, line in enumerate(suite.lines) if line.strip("= ") == "memory")
    assert suite.lines[start + 1 : start + 7] == [
        "declaration                           errors  leaked                header",
        "void put(char *text, int at, char c)  11      -                     lib.h:3",
        "void lose(size_t size)                -       76 bytes in 4 blocks  lib.h:4",
        "void forget(void)                     -       7 bytes in 1 block    lib.h:8",
        "void *make(size_t size)               -       44 bytes in 2 blocks  lib.h:5",
        "int decide(void)                      1       -                     lib.h:10",
    ]


def test_what_no_test_did_is_told_as_such(suite):
    told = [line for line in suite.lines if line.startswith("no test: ")]
    why = "no call was made since the last check, so Python dropped the last handle"
    assert told == [
        "no test: while tests were collected: Leak_DefinitelyLost: 40 bytes in 1 block is definitely lost: "
        "lose() at test_collected.py:4",
        "no test: module fixture 'block' of test_scopes.py: Leak_DefinitelyLost: 33 bytes in 1 block is "
        f"definitely lost: {why}: make() at test_scopes.py:9",
    ]


def test_what_markers_allow_is_told(suite):
    allowed = [line for line in suite.lines if line.startswith("allowed: ")]
    assert allowed == [
        "allowed: Leak_DefinitelyLost: 20 bytes in 1 block is definitely lost (as agreed)",
        "allowed: InvalidWrite: Invalid write of size 1",
    ]


def test_the_json_report_has_all_findings_with_their_tests(suite, validate):
    validate(suite.report)
    found = []
    for finding in suite.report["findings"]:
        call = finding["call"] or finding["allocated_by"]
        found.append((finding["kind"], finding["basis"], call["test"]))
    assert len(found) == 19
    assert found[:5] == [
        ("InvalidWrite", "call", "test_phases.py::test_error"),
        ("Leak_DefinitelyLost", "call", "test_phases.py::test_leak"),
        ("Leak_DefinitelyLost", "call", "test_phases.py::test_two_ends"),
        ("InvalidWrite", "call", "test_phases.py::test_both"),
        ("Leak_DefinitelyLost", "call", "test_phases.py::test_fixture"),
    ]
    assert suite.report["tool"]["mode"] == "inprocess"
    assert [finding["id"] for finding in suite.report["findings"]] == list(range(1, 20))


def test_junit_has_the_findings_as_properties(suite):
    case = next(case for case in suite.junit.iter("testcase") if case.get("name") == "test_error")
    assert [(item.get("name"), item.get("value")) for item in case.iter("property")] == [
        ("pythy", "InvalidWrite: Invalid write of size 1: put() called at test_phases.py:13")
    ]
    assert case.find("failure").get("message") == "InvalidWrite: Invalid write of size 1"


def test_suppressions_are_written_for_what_was_found(suite):
    assert "{\n   put-InvalidWrite-1\n   Memcheck:Addr1\n   fun:put\n}\n" in suite.suppressions
    assert suite.suppressions.count("{") == 5
