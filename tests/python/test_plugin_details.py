"""What a user of the plugin meets beside the findings themselves: markers, reports of CI servers, debuggers.

Only the library runs under Valgrind where the mode does not matter: then a run takes a second.
"""

import json
import re
import shutil
import xml.etree.ElementTree as ElementTree

import pytest

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed"),
]

LIBRARY = """
    import pytest
    import pythy

    lib = pythy.create_interface("lib.h", "./lib.so")
"""


def outcomes(lines):
    """What `-v` says of each test, in order."""
    told = {}
    for line in lines:
        if matched := re.match(r"test_\w+\.py::(\S+) ([A-Z]+) +\[ *\d+%\]$", line):
            told.setdefault(matched[1], []).append(matched[2])
    return told


def failures(lines):
    """What stands below the heading FAILURES, to the next."""
    start = next(number for number, line in enumerate(lines) if line.strip("= ") == "FAILURES")
    end = next(number for number, line in enumerate(lines[start + 1 :], start + 1) if line[:3] == "===")
    return lines[start + 1 : end]


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        (
            'pythy_known_error(kind="InvalidRaed")',
            "pythy_known_error: 'InvalidRaed' is no kind of error: did you mean 'InvalidRead'?",
        ),
        (
            'pythy_known_error(kind="Leaks_*")',
            "pythy_known_error: 'Leaks_*' is no kind of error: InvalidRead, InvalidWrite, InvalidJump, "
            "UninitCondition, UninitValue, SyscallParam, ClientCheck, InvalidFree",
        ),
        (
            'pythy_allow_leak(kinds="definite,posible")',
            "pythy_allow_leak: 'posible' is no kind of leak: did you mean 'possible'?",
        ),
        ('pythy_allow_leak(max_bytes="20")', "pythy_allow_leak: max_bytes must be a number, not '20'"),
        ("pythy_allow_leak(kinds=3)", "pythy_allow_leak: kinds must be names, not 3"),
        ("pythy_known_error(function=len)", "pythy_known_error: function must be a name, not {len}"),
    ],
)
def test_a_marker_that_would_let_nothing_pass_is_an_error_of_usage(plugin, pytester, marker, message):
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.{marker}
        def test_marked():
            pass
        """
    )
    ran = plugin("--pythy=isolated")
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    name = "test_a_marker_that_would_let_nothing_pass_is_an_error_of_usage.py::test_marked"
    assert f"ERROR: {name}: {message.format(len=len)}" in ran.outlines + ran.errlines


def test_kinds_in_markers_may_be_patterns_and_name_leaks_and_crashes(plugin, pytester):
    pytester.makepyfile(
        test_kinds=LIBRARY
        + """
    @pytest.mark.pythy_known_error(kind="Invalid*")
    def test_any_access():
        lib.put(bytearray(1), 1, b"x")

    @pytest.mark.pythy_known_error(kind="Uninit*")
    def test_another_kind():
        lib.put(bytearray(1), 1, b"x")

    @pytest.mark.pythy_known_error(kind="Leak_*", reason="known")
    def test_a_leak():
        lib.lose(3)

    @pytest.mark.pythy_known_error
    def test_not_a_leak():
        lib.lose(4)

    @pytest.mark.pythy_allow_leak(kinds="Leak_Def*")
    def test_a_leak_by_its_name():
        lib.lose(5)

    @pytest.mark.pythy_known_error(kind="SIGSEGV")
    @pytest.mark.pythy_known_error(kind="InvalidRead")
    def test_a_crash_that_is_expected():
        with pytest.raises(pythy.WorkerCrashed):
            lib.first(None)

    @pytest.mark.pythy_known_error
    def test_a_crash_that_is_not():
        with pytest.raises(pythy.WorkerCrashed):
            lib.first(None)
        """
    )
    ran = plugin("--pythy=isolated", "-v")
    assert outcomes(ran.outlines) == {
        "test_any_access": ["PASSED"],
        "test_another_kind": ["MEMORY"],
        "test_a_leak": ["PASSED"],
        "test_not_a_leak": ["MEMORY"],
        "test_a_leak_by_its_name": ["PASSED"],
        "test_a_crash_that_is_expected": ["PASSED"],
        "test_a_crash_that_is_not": ["MEMORY"],
    }


def test_junit_has_an_entry_for_what_no_test_has_done(plugin, pytester):
    pytester.makepyfile(
        test_outside=LIBRARY
        + """
    lib.lose(9)

    @pytest.fixture(scope="module")
    def losing():
        lib.lose(7)
        yield
        lib.put(bytearray(1), 1, b"x")

    class TestInClass:
        @pytest.fixture(scope="class", autouse=True)
        @classmethod
        def of_class(cls):
            lib.lose(8)

        def test_good(self, losing):
            lib.add(1, 2)
        """
    )
    ran = plugin("--pythy=isolated", "--junitxml=junit.xml", "-v")
    assert outcomes(ran.outlines) == {"TestInClass::test_good": ["PASSED", "MEMORY"]}
    junit = ElementTree.parse(pytester.path / "junit.xml").getroot()
    (suite,) = junit
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "3", "1")
    entries = {(case.get("classname"), case.get("name")): case for case in junit.iter("testcase")}
    lost = "bytes in 1 block is definitely lost"
    told = {
        name: [
            (end.get("message"), [one.get("value") for one in case.iter("property")])
            for end in case.iter("failure")
        ]
        for name, case in entries.items()
    }
    assert told == {
        ("test_outside.TestInClass", "test_good"): [],
        ("pythy", "while tests were collected"): [
            (
                f"Leak_DefinitelyLost: 9 {lost}",
                [f"Leak_DefinitelyLost: 9 {lost}: lose() called at test_outside.py:6"],
            )
        ],
        ("pythy", "module fixture 'losing' of test_outside.py"): [
            (
                f"Leak_DefinitelyLost: 7 {lost}",
                [f"Leak_DefinitelyLost: 7 {lost}: lose() called at test_outside.py:10"],
            )
        ],
        ("pythy", "class fixture 'of_class' of test_outside.py.TestInClass"): [
            (
                f"Leak_DefinitelyLost: 8 {lost}",
                [f"Leak_DefinitelyLost: 8 {lost}: lose() called at test_outside.py:18"],
            )
        ],
    }
    text = entries["pythy", "while tests were collected"].find("failure").text
    assert ">   lib.lose(9)\nM       Leak_DefinitelyLost: 9 bytes in 1 block is definitely lost\n" in text


def test_a_debugger_stops_at_the_line_of_the_call(plugin, pytester, monkeypatch):
    pytester.makepyfile(
        test_debugged=LIBRARY
        + """
    def test_writes():
        line = bytearray(1)
        lib.put(line, 1, b"x")
        lib.add(1, 2)
        """
    )
    pytester.makepyfile(
        batch="""
        import sys

        class Debugger:
            '''Says where it is, and whether it has the module's names.'''

            def __init__(self, **options):
                pass

            def __getattr__(self, name):
                return lambda *arguments, **options: None

            def reset(self):
                pass

            def interaction(self, frame, traceback):
                while traceback.tb_next is not None:
                    traceback = traceback.tb_next
                code = traceback.tb_frame.f_code
                there = "lib" in traceback.tb_frame.f_globals
                sys.__stdout__.write(f"stopped at {traceback.tb_lineno} in {code.co_name}, lib: {there}\\n")
        """
    )
    ran = plugin("--pythy=isolated", "--pdb", "--pdbcls=batch:Debugger", "-s")
    assert "stopped at 8 in test_writes, lib: True" in [line.strip() for line in ran.outlines]
    assert (
        "The test has ended by now: a debugger shows this line, and not the test's variables." in ran.outlines
    )


def test_a_failure_that_unittest_expects_may_be_a_finding(plugin, pytester):
    pytester.makepyfile(
        test_expected=LIBRARY
        + """
    import unittest

    class TestUnit(unittest.TestCase):
        @unittest.expectedFailure
        def test_leak(self):
            lib.lose(3)

        @unittest.expectedFailure
        def test_leak_and_failure(self):
            lib.lose(3)
            self.assertEqual(1, 2)

        @unittest.expectedFailure
        def test_neither(self):
            lib.add(1, 2)
        """
    )
    ran = plugin("--pythy=isolated", "-v")
    assert outcomes(ran.outlines) == {
        "TestUnit::test_leak": ["XFAIL"],
        "TestUnit::test_leak_and_failure": ["XFAIL"],
        "TestUnit::test_neither": ["FAILED"],
    }


def test_a_crash_is_short_where_lines_are_asked_for(plugin, pytester):
    pytester.makepyfile(
        test_short=LIBRARY
        + """
    def test_crash():
        lib.first(None)
        """
    )
    ran = plugin("--pythy=isolated", "--tb=line")
    assert failures(ran.outlines) == [
        "M       InvalidRead: Invalid read of size 4",
        "M       SIGSEGV: Access not within mapped region at address 0x0",
        f"{pytester.path}/test_short.py:7: pythy.WorkerCrashed: the C code ended the worker: SIGSEGV",
    ]


def test_two_runs_in_one_process_are_told_apart(plugin, pytester):
    pytester.makepyfile(
        test_twice=LIBRARY
        + """
    def test_leak():
        lib.lose(3)
        """
    )
    twice = pytester.makepyfile(
        twice="""
        import pytest
        import pythy

        for name in ("first", "second"):
            options = ["--pythy=isolated", f"--pythy-report=json:{name}.json", "test_twice.py"]
            assert pytest.main(["-p", "pythy.pytest_plugin", *options]) == 1

        # What comes after them is isolated no more.
        with pytest.raises(ValueError, match="checker is for backend='isolated' only"):
            pythy.create_interface("lib.h", "./lib.so", checker="none")
        """
    )
    ran = pytester.runpython(twice)
    assert ran.ret == 0
    for name in ("first", "second"):
        report = json.loads((pytester.path / f"{name}.json").read_text())
        assert report["totals"] == {
            "calls": 1,
            "errors": 0,
            "leaked_bytes": 3,
            "leaked_blocks": 1,
            "crashes": 0,
        }
        assert len(report["findings"]) == 1


def test_without_pytests_terminal_reports_are_written(plugin, pytester):
    pytester.makepyfile(
        test_silent=LIBRARY
        + """
    def test_leak():
        lib.lose(3)
        """
    )
    ran = plugin("--pythy=isolated", "-p", "no:terminal", "--pythy-report=json:report.json")
    assert (ran.ret, ran.outlines, ran.errlines) == (1, [], [])
    report = json.loads((pytester.path / "report.json").read_text())
    assert [finding["leaked"]["bytes"] for finding in report["findings"]] == [3]


def test_arguments_are_told_as_they_were_given(plugin, pytester):
    pytester.makepyfile(
        test_given=LIBRARY
        + """
    def test_changed_by_the_call():
        line = bytearray(b"ab")
        lib.fill(line, 3)
        assert line == b"--"

    def test_memory_of_c():
        lib.swap(lib.new("struct pair", a=1, b=2), 1)
        """
    )
    ran = plugin("--pythy=isolated", "--pythy-report=json:report.json")
    ran.assert_outcomes(failed=2)
    report = json.loads((pytester.path / "report.json").read_text())
    assert [finding["call"]["arguments"] for finding in report["findings"]] == [
        ["bytearray(b'ab')", "3"],
        ["<struct pair a=2 b=1> after the call", "1"],
    ]


def test_an_uninitialised_result_is_told_without_what_pythy_did_to_see_it(plugin, pytester):
    pytester.makepyfile(
        test_checked="""
        import pythy

        lib = pythy.create_interface("lib.h", "./lib.so", check_results=True)

        def test_result():
            lib.unset()
        """
    )
    ran = plugin("--pythy=isolated")
    assert failures(ran.outlines)[1:] == [
        "",
        "    def test_result():",
        ">       lib.unset()",
        "M       ClientCheck: returned uninitialised data",
        "",
        "test_checked.py:6: in test_result",
        "lib.h:20: int unset(void)",
    ]


def test_an_example_in_a_docstring_is_told_by_its_line(plugin, pytester):
    pytester.makepyfile(
        documented="""
        import pythy

        lib = pythy.create_interface("lib.h", "./lib.so")

        def careless():
            '''Loses something.

            >>> lib.add(1, 2)
            3
            >>> for size in (3,):
            ...     lib.lose(size)
            '''
        """
    )
    ran = plugin("--pythy=isolated", "--doctest-modules", "documented.py")
    assert failures(ran.outlines)[:7] == [
        "________________________ [doctest] documented.careless _________________________",
        "",
        "    def careless():",
        "        '''Loses something.",
        "",
        "        >>> lib.add(1, 2)",
        "        3",
    ]
    assert "documented.py:11: in documented.careless" in ran.outlines


def test_a_wrong_marker_is_told_by_its_test_where_workers_run_it(plugin, pytester):
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    pytester.makepyfile(
        test_wrong="""
        import pytest

        @pytest.mark.pythy_known_error(kind="InvalidRaed")
        def test_marked():
            pass

        def test_good():
            pass
        """
    )
    ran = plugin("-p", "xdist", "-n", "1", "--pythy=isolated")
    ran.assert_outcomes(passed=1, errors=1)
    message = "'InvalidRaed' is no kind of error: did you mean 'InvalidRead'?"
    assert f"test_wrong.py::test_marked: pythy_known_error: {message}" in ran.outlines


def test_a_leak_is_told_with_the_arguments_of_its_call(plugin, pytester):
    pytester.makepyfile(
        test_lost=LIBRARY
        + """
    def test_loses():
        for size in range(20):
            lib.lose(size) if size > 17 else lib.add(size, size)
        """
    )
    ran = plugin("--pythy=isolated", "--pythy-report=json:report.json")
    report = json.loads((pytester.path / "report.json").read_text())
    assert [finding["call"]["arguments"] for finding in report["findings"]] == [["18"], ["19"]]
    assert "    lose(18)" in ran.outlines


def test_what_a_test_has_done_that_ends_the_run_is_told_with_its_name(plugin, pytester):
    pytester.makepyfile(
        test_ending=LIBRARY
        + """
    def test_exit():
        lib.lose(8)
        pytest.exit("enough")
        """
    )
    ran = plugin("--pythy=isolated")
    assert [line for line in ran.outlines if line.startswith("no test: ")] == [
        "no test: after the last test: Leak_DefinitelyLost: 8 bytes in 1 block is definitely lost: "
        "lose() at test_ending.py:7 [test_ending.py::test_exit]"
    ]


@pytest.mark.parametrize("options", [(), ("-p", "xdist", "-n", "2")], ids=["one process", "xdist"])
def test_a_run_has_its_report_in_each_form(plugin, pytester, options):
    pytester.makepyfile(
        test_forms=LIBRARY
        + """
    def test_lost():
        lib.lose(8)

    def test_more():
        lib.lose(9)
        """
    )
    kinds = ("html", "sarif", "junit")
    ran = plugin(
        "--pythy=isolated",
        "--pythy-report=github",
        *(f"--pythy-report={kind}:{kind}" for kind in kinds),
        *options,
    )
    assert ran.ret == 1
    site = f"{pytester.path}/test_forms.py"
    annotations = sorted(line for line in ran.outlines if line.startswith("::"))
    assert [line.partition("%0A")[0] for line in annotations] == [
        f"::error file={site},line={line},title=Leak_DefinitelyLost in lose()::{size} bytes in 1 block is "
        "definitely lost in void lose(size_t size) (lib.h:4)"
        for line, size in ((10, 9), (7, 8))
    ]
    assert [line.split("%0A")[1] for line in annotations] == [
        "test: test_forms.py::test_more",
        "test: test_forms.py::test_lost",
    ]
    results = json.loads((pytester.path / "sarif").read_text())["runs"][0]["results"]
    assert sorted(result["properties"]["test"] for result in results) == [
        "test_forms.py::test_lost",
        "test_forms.py::test_more",
    ]
    page = (pytester.path / "html").read_text()
    assert page.count("<article ") == 2
    assert "<code>test_forms.py::test_more</code>" in page
    cases = ElementTree.parse(pytester.path / "junit").getroot().iter("testcase")
    assert sorted((case.get("classname"), case.get("name"), case.get("line")) for case in cases) == [
        ("test_forms", "test_lost: lose() at test_forms.py:7", "7"),
        ("test_forms", "test_more: lose() at test_forms.py:10", "10"),
    ]


def test_a_leak_in_a_helper_is_each_tests_own(plugin, pytester):
    pytester.makepyfile(
        test_helper=LIBRARY
        + """
    def helper(size):
        lib.lose(size)

    @pytest.mark.parametrize("size", [8, 9])
    def test_with(size):
        helper(size)

    def test_without():
        helper(10)
        """
    )
    kinds = ("junit", "sarif", "html")
    ran = plugin("--pythy=isolated", *(f"--pythy-report={kind}:{kind}" for kind in kinds))
    ran.assert_outcomes(failed=3)
    suites = ElementTree.parse(pytester.path / "junit").getroot()
    assert (suites.get("tests"), suites.get("failures")) == ("3", "3")
    tests = [f"test_helper.py::test_with{given}" for given in ("[8]", "[9]")] + [
        "test_helper.py::test_without"
    ]
    results = json.loads((pytester.path / "sarif").read_text())["runs"][0]["results"]
    assert [result["properties"]["test"] for result in results] == tests
    page = (pytester.path / "html").read_text()
    assert all(f"<dd><code>{test}</code></dd>" in page for test in tests)


def test_a_report_that_nobody_will_write_is_told(plugin, pytester):
    pytester.makepyfile("def test_nothing(): pass")
    text = (
        "PytestConfigWarning: --pythy-report writes nothing where nothing is checked: --pythy=isolated checks"
    )
    assert text in plugin("--pythy-report=html:x.html").stdout.str()
    assert text not in plugin("--pythy-report=html:x.html", "--pythy=off").stdout.str()
    refused = plugin("--pythy=isolated", "--pythy-report=html:x", "--pythy-report=json:x")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    assert f"--pythy-report: two reports cannot go to one file, '{pytester.path}/x'" in refused.stderr.str()
