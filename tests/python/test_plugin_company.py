"""The plugin beside others: each keeps its meaning, and no finding is lost.

Only the library runs under Valgrind here, where the mode does not matter: then a run takes seconds.
"""

import json
import re
import shutil
import signal
import sys
import xml.etree.ElementTree as ElementTree

import pytest

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed"),
]

LIBRARY = """
    import pythy

    lib = pythy.create_interface("lib.h", "./lib.so")
"""
OTHERS = ("pytest_asyncio.plugin", "pytest_rerunfailures", "pytest_timeout", "pytest_cov.plugin")


def outcomes(lines):
    """What `-v` says of each test, in order."""
    told = {}
    for line in lines:
        if matched := re.match(r"test_\w+\.py::(\S+) ([A-Z]+) +\[ *\d+%\]$", line):
            told.setdefault(matched[1], []).append(matched[2])
    return told


def found(report):
    """Kind, test and line of each finding."""
    for finding in report["findings"]:
        call = finding["call"] or finding["allocated_by"]
        yield (
            finding["kind"],
            (call["test"] or "").partition("::")[2],
            report["call_sites"][call["call_site"] - 1]["line"],
        )


def test_async_tests_reruns_time_limits_and_coverage_stay_what_they_are(plugin, pytester):
    for name in OTHERS:
        pytest.importorskip(name, reason=f"{name} is not installed")
    pytester.makepyfile(
        test_async=LIBRARY
        + """
    import asyncio
    import pytest

    @pytest.mark.asyncio
    async def test_awaits():
        await asyncio.sleep(0)
        lib.lose(12)

    @pytest.mark.asyncio
    async def test_is_well():
        assert lib.add(1, 2) == 3
        """,
        test_again=LIBRARY
        + """
    import pytest

    tries = []

    @pytest.mark.flaky(reruns=2)
    def test_second_time():
        tries.append(1)
        lib.put(bytearray(1), 2 - len(tries), b"x")

    @pytest.mark.flaky(reruns=1)
    def test_never():
        lib.put(bytearray(1), 1, b"x")
        """,
        test_limits=LIBRARY
        + """
    import pytest

    # Its worker runs by now, so that the limit is for the test alone.
    assert lib.add(1, 1) == 2

    @pytest.mark.timeout(3)
    def test_hangs():
        lib.lose(13)
        lib.spin()

    def test_after():
        assert lib.add(1, 2) == 3
        """,
    )
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    named = [part for name in OTHERS for part in ("-p", name)]
    options = ["--cov=test_async", "--cov-report=json:cov.json", "--junitxml=junit.xml"]
    ran = plugin(*named, *options, "-v", "--pythy=isolated", "--pythy-report=json:report.json")

    assert outcomes(ran.outlines) == {
        "test_second_time": ["RERUN", "PASSED"],
        "test_never": ["RERUN", "MEMORY"],
        "test_awaits": ["MEMORY"],
        "test_is_well": ["PASSED"],
        "test_hangs": ["FAILED"],
        "test_after": ["PASSED"],
    }
    report = json.loads((pytester.path / "report.json").read_text())
    assert sorted(found(report)) == [
        ("InvalidWrite", "test_never", 16),
        ("Leak_DefinitelyLost", "test_awaits", 11),
        ("Leak_DefinitelyLost", "test_hangs", 12),
    ]
    coverage = json.loads((pytester.path / "cov.json").read_text())
    assert coverage["files"]["test_async.py"]["missing_lines"] == []
    junit = ElementTree.parse(pytester.path / "junit.xml").getroot()
    told = {
        case.get("name"): [one.get("value") for one in case.iter("property")]
        for case in junit.iter("testcase")
    }
    assert told["test_awaits"] == [
        "Leak_DefinitelyLost: 12 bytes in 1 block is definitely lost: lose() called at test_async.py:11"
    ]
    assert told["test_is_well"] == []


def test_what_is_found_in_an_example_of_hypothesis_fails_it_and_shrinks(plugin, pytester):
    pytest.importorskip("hypothesis", reason="hypothesis is not installed")
    pytester.makepyfile(
        test_property=LIBRARY
        + """
    import pytest
    from hypothesis import assume, given, settings, strategies as st
    from pythy.testing import strategies

    always_the_same = settings(database=None, derandomize=True)

    @always_the_same
    @given(strategies(lib.length))
    def test_error(arguments):
        lib.length(*arguments)

    class TestInAClass:
        @always_the_same
        @given(strategies(lib.careless))
        def test_leak(self, arguments):
            lib.careless(*arguments)

    @always_the_same
    @given(strategies(lib.length), strategies(lib.careless))
    def test_two_defects(text, number):
        lib.length(*text)
        lib.careless(*number)

    @always_the_same
    @given(strategies(lib.add, a=st.integers(0, 9), b=st.integers(0, 9)))
    def test_good(arguments):
        assert lib.add(*arguments) == sum(arguments)

    @always_the_same
    @given(strategies(lib.length))
    def test_unusable_examples_are_not_forgotten(arguments):
        lib.length(*arguments)
        assume(len(arguments[0]) < 3)

    @pytest.mark.pythy_known_error(function="length")
    @always_the_same
    @given(strategies(lib.length))
    def test_known(arguments):
        lib.length(*arguments)

    @settings(database=None, derandomize=True, deadline=1)
    @given(strategies(lib.first))
    def test_crash(arguments):
        if len(arguments[0]) > 1:
            lib.first(None)
        """
    )
    ran = plugin(
        "-p", "_hypothesis_pytestplugin", "-v", "--pythy=isolated", "--pythy-report=json:report.json"
    )

    assert outcomes(ran.outlines) == {
        "test_error": ["MEMORY"],
        "TestInAClass::test_leak": ["MEMORY"],
        "test_two_defects": ["MEMORY"],
        "test_good": ["PASSED"],
        "test_unusable_examples_are_not_forgotten": ["MEMORY"],
        "test_known": ["PASSED"],
        "test_crash": ["FAILED"],
    }
    text = ran.stdout.str()
    assert "test_error(\n    arguments=(b'000',),\n)\n" in text
    assert "    arguments=(10,),\n)\n" in text
    assert (
        "test_two_defects(\n    text=(b'000',),\n    number=(0,),  # or any other generated value\n)\n"
        in text
    )
    assert (
        "test_two_defects(\n    text=(b'',),  # or any other generated value\n    number=(10,),\n)\n" in text
    )
    assert "    arguments=(array('i', [0, 0]),),\n" in text
    report = json.loads((pytester.path / "report.json").read_text())
    counts = {}
    for kind, test, line in found(report):
        counts.setdefault((test, line), set()).add(kind)
    assert counts == {
        ("test_error", 14): {"InvalidWrite", "InvalidRead"},
        ("TestInAClass::test_leak", 20): {"Leak_DefinitelyLost"},
        ("test_two_defects", 25): {"InvalidWrite", "InvalidRead"},
        ("test_two_defects", 26): {"Leak_DefinitelyLost"},
        ("test_unusable_examples_are_not_forgotten", 36): {"InvalidWrite", "InvalidRead"},
        ("test_crash", 49): {"InvalidRead", "SIGSEGV"},
    }


def test_a_line_that_errs_in_a_loop_is_shown_once(plugin, pytester):
    pytester.makepyfile(
        LIBRARY
        + """
    def test_loop():
        for size in range(5, 9):
            lib.lose(size)
        lib.lose(20)
        """
    )
    ran = plugin("--pythy=isolated")
    start = next(n for n, line in enumerate(ran.outlines) if line.startswith("M   "))
    told = [line for line in ran.outlines[start:] if line.startswith(("M   ", "  lost", "  and", "pythy: "))]
    assert [line.partition(" (Valgrind")[0] for line in told] == [
        "M       Leak_DefinitelyLost: 5 bytes in 1 block is definitely lost",
        "  lost by the same call",
        "  and 3 more like it, by the same line",
        "M       Leak_DefinitelyLost: 20 bytes in 1 block is definitely lost",
        "  lost by the same call",
        "pythy: 5 findings in 5 calls, 46 bytes leaked in 5 blocks",
    ]


def test_quiet_runs_tell_what_no_test_did_and_markers_have_limits_of_their_own(plugin, pytester):
    pytester.makepyfile(
        test_quiet=LIBRARY
        + """
    import pytest

    @pytest.fixture(scope="module")
    def losing():
        lib.lose(7)

    def test_uses_it(losing):
        lib.add(1, 2)

    @pytest.mark.pythy_allow_leak(max_bytes=3)
    @pytest.mark.pythy_allow_leak(function="make")
    def test_is_allowed_both():
        lib.make(5)
        lib.lose(3)

    @pytest.mark.pythy_allow_leak(max_bytes=3)
    def test_loses_too_much():
        lib.lose(4)
        """
    )
    ran = plugin("--pythy=isolated", "-q", "--tb=no")
    assert ran.outlines[0].split() == ["..M", "[100%]"]
    told = [
        line.partition(" (Valgrind")[0] for line in ran.outlines if line.startswith(("no test: ", "pythy: "))
    ]
    assert told == [
        "no test: module fixture 'losing' of test_quiet.py: Leak_DefinitelyLost: "
        "7 bytes in 1 block is definitely lost: lose() at test_quiet.py:9",
        "pythy: 2 findings in 5 calls, 11 bytes leaked in 2 blocks, 2 allowed",
    ]


def test_a_crash_in_process_leaves_the_report_of_what_came_before(plugin, pytester):
    pytester.makepyfile(
        test_crash=LIBRARY
        + """
    lib.lose(7)

    def test_writes():
        lib.put(bytearray(1), 1, b"x")

    def test_loses():
        lib.lose(8)
        lib.keep(9)
        lib.forget()

    def test_crashes():
        lib.lose(10)
        lib.put(None, 0, b"x")
        """
    )
    ran = plugin("--pythy=inprocess", "--pythy-report=json:report.json")
    assert ran.ret == 128 + signal.SIGSEGV
    assert "pythy: pytest was ended by SIGSEGV" in ran.errlines
    report = json.loads((pytester.path / "report.json").read_text())
    assert list(found(report)) == [
        ("Leak_DefinitelyLost", "", 5),
        ("InvalidWrite", "test_writes", 8),
        ("Leak_DefinitelyLost", "test_loses", 11),
        ("Leak_DefinitelyLost", "test_loses", 12),
        ("InvalidWrite", "test_crashes", 17),
        ("SIGSEGV", "test_crashes", 17),
        ("Leak_DefinitelyLost", "test_crashes", 16),
    ]
    assert report["totals"]["leaked_bytes"] == 7 + 8 + 9 + 10
    assert report["findings"][1]["call"]["arguments"] == ["bytearray(b'\\x00')", "1", "b'x'"]
    assert report["notes"] == ["the program crashed: repeats of errors are not counted"]


def test_a_crash_in_process_is_shown_without_being_asked_for(plugin, pytester):
    pytester.makepyfile(test_crash=LIBRARY + "    def test_crashes():\n        lib.put(None, 0, b'x')\n")
    ran = plugin("--pythy=inprocess")
    assert ran.ret == 128 + signal.SIGSEGV
    assert "pythy: pytest was ended by SIGSEGV" in ran.errlines
    assert [line for line in ran.errlines if "Traceback" in line] == []
    assert ran.errlines[-1].startswith("pythy: 2 findings in 1 call, 1 error, 1 crash")


def test_an_abort_in_process_is_told_though_pytest_has_faulthandler(plugin, pytester, cc):
    """Also of an interface that is made before pytest enables it."""
    (pytester.path / "die.h").write_text("void die(void);\n")
    (pytester.path / "die.c").write_text("#include <stdlib.h>\nvoid die(void) { abort(); }\n")
    cc(pytester.path / "die.c", pytester.path / "die.so")
    pytester.makeconftest("import pythy\nlib = pythy.create_interface('die.h', './die.so')\n")
    pytester.makepyfile(test_dies="from conftest import lib\n\ndef test_dies():\n    lib.die()\n")
    ran = plugin("--pythy=inprocess", "--pythy-report=json:report.json")
    assert ran.ret == 128 + signal.SIGABRT
    (crash,) = json.loads((pytester.path / "report.json").read_text())["findings"]
    assert (crash["kind"], crash["call"]["test"]) == ("SIGABRT", "test_dies.py::test_dies")
    assert [frame["function"] for frame in crash["stacks"][0]["frames"]][-2:] == ["abort", "die"]


def test_suppressions_that_valgrind_cannot_read_end_the_run_with_its_words(plugin, pytester):
    (pytester.path / "bad.supp").write_text("{\n   name\n   Memcheck:Leak\n   fun:foo\n")
    pytester.makepyfile("def test_nothing():\n    pass\n")
    ran = plugin("--pythy=inprocess", "--pythy-suppressions=bad.supp")
    assert ran.ret == pytest.ExitCode.INTERNAL_ERROR
    words = 'bad.supp" near line 4: unexpected end-of-file (when reading stack trace)'
    assert ran.errlines[-1].startswith("pythy: Valgrind gave up: in suppressions file ")
    assert ran.errlines[-1].endswith(words)


def test_subtests_of_a_test_that_is_run_once_more_are_told_once(plugin, pytester):
    pytester.makepyfile(
        test_parts=LIBRARY
        + """
    import unittest

    class TestParts(unittest.TestCase):
        def test_parts(self):
            lib.lose(21)
            lib.add(1, 2)
            for part in range(2):
                with self.subTest(part=part):
                    assert part == 0
    """
    )
    # It does not apply to the test, which makes hooks of its own for that.
    pytester.mkdir("other").joinpath("conftest.py").write_text("")
    pytester.mkdir("tests")
    (pytester.path / "test_parts.py").rename(pytester.path / "tests" / "test_parts.py")
    (pytester.path / "other" / "test_other.py").write_text("def test_other(): pass\n")
    ran = plugin("--pythy=inprocess")
    assert "pythy: running a leaking test once more, with checks after calls" in ran.outlines
    assert len([line for line in ran.outlines if "assert 1 == 0" in line and "E " in line]) == 1


def test_what_was_found_before_c_ends_pytest_is_told(plugin, pytester):
    pytester.makepyfile(
        test_exit=LIBRARY
        + """
    def test_writes():
        lib.put(bytearray(1), 1, b"x")

    def test_ends():
        pythy.create_interface("/usr/include/stdlib.h", "libc.so.6").exit(0)
        """
    )
    ran = plugin("--pythy=inprocess", "--pythy-report=json:report.json")
    assert ran.ret == pytest.ExitCode.INTERRUPTED
    said = "pythy: pytest was ended by exit() in C, or by os._exit(): Python did not come to its end; "
    assert said + "what follows is what was found" in ran.errlines
    report = json.loads((pytester.path / "report.json").read_text())
    assert list(found(report)) == [("InvalidWrite", "test_writes", 6)]
    unchecked = "leaks were not looked for at last, and repeats of errors are not counted"
    assert report["notes"] == [f"the program was ended: {unchecked}"]


def test_odd_ids_selection_and_the_failed_ones_again(plugin, pytester, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    pytester.makepyfile(
        test_ids=LIBRARY
        + """
    import pytest
    import unittest

    @pytest.mark.parametrize("text", ["a/b::c[1]", "tab\\there", "\\u00e4", "<&\\"'>", "%p {x}", "", " "])
    def test_odd(text):
        lib.put(bytearray(1), 1, b"x")

    class TestUnit(unittest.TestCase):
        def tearDown(self):
            lib.lose(3)

        def test_method(self):
            with self.subTest("first"):
                self.assertEqual(lib.add(1, 2), 3)

    def test_good():
        lib.add(1, 2)
        """
    )
    listed = plugin("--pythy=isolated", "--collect-only", "-q")
    ids = [line for line in listed.outlines if "::" in line]
    assert len(ids) == 9
    selected = plugin(
        "--pythy=isolated", "-k", "tab or method or good", "-rA", "--tb=line", "-p", "cacheprovider"
    )
    selected.assert_outcomes(passed=1, failed=2)
    start = next(n for n, line in enumerate(selected.outlines) if line.strip("= ") == "FAILURES")
    assert selected.outlines[start + 1 : start + 5] == [
        "M       InvalidWrite: Invalid write of size 1",
        "test_ids.py:10: InvalidWrite: Invalid write of size 1",
        "M       Leak_DefinitelyLost: 3 bytes in 1 block is definitely lost",
        "test_ids.py:14: Leak_DefinitelyLost: 3 bytes in 1 block is definitely lost",
    ]
    assert [line for line in selected.outlines if line.startswith("MEMORY")] == [
        "MEMORY test_ids.py::test_odd[tab\\there] - InvalidWrite: Invalid write of size 1",
        "MEMORY test_ids.py::TestUnit::test_method - Leak_DefinitelyLost: 3 bytes in 1 block is definitely "
        "lost",
    ]
    options = ("-p", "cacheprovider", "--junitxml=junit.xml", "--pythy-report=json:report.json")
    all_of_them = plugin("--pythy=isolated", "-o", "cache_dir=.cache", *options)
    all_of_them.assert_outcomes(passed=1, failed=8)
    report = json.loads((pytester.path / "report.json").read_text())
    assert [finding["call"]["test"] for finding in report["findings"]] == ids[:8]
    junit = ElementTree.parse(pytester.path / "junit.xml").getroot()
    assert len([one for one in junit.iter("property") if one.get("name") == "pythy"]) == 8
    again = plugin("--pythy=isolated", "-o", "cache_dir=.cache", "-p", "cacheprovider", "--lf")
    again.assert_outcomes(failed=8)


def test_a_worker_of_xdists_that_dies_loses_nothing_that_was_found_before(plugin, pytester):
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    pytester.makepyfile(
        test_workers=LIBRARY
        + """
    import os
    import pytest

    lib.lose(9)

    def test_before():
        lib.lose(10)

    def test_fatal():
        lib.lose(11)
        os._exit(3)

    def test_on_another():
        lib.put(bytearray(1), 1, b"x")
        """
    )
    ran = plugin("-p", "xdist", "-n", "1", "--pythy=isolated", "--pythy-report=json:report.json")
    ran.assert_outcomes(failed=3)
    report = json.loads((pytester.path / "report.json").read_text())
    told = sorted(
        (finding["kind"], finding["leaked"] and finding["leaked"]["bytes"], finding["call"]["test"])
        for finding in report["findings"]
        if finding["call"]["test"]
    )
    assert told == [
        ("InvalidWrite", None, "test_workers.py::test_on_another"),
        ("Leak_DefinitelyLost", 10, "test_workers.py::test_before"),
    ]
    # What both workers have lost while they collected, the one that died too, is one leak.
    assert [line for line in ran.outlines if line.startswith("no test: ")] == [
        "no test: while tests were collected: Leak_DefinitelyLost: 9 bytes in 1 block is definitely lost: "
        "lose() at test_workers.py:8 (in 2 workers)"
    ]
    assert report["totals"]["leaked_bytes"] == 19
    note = "worker gw0 died: its calls are not counted, and leaks of its last test are not known"
    assert report["notes"] == [note]
    assert f"note: {note}" in ran.outlines


def test_a_crash_in_a_worker_of_xdists_is_told_by_its_call(plugin, pytester):
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    pytester.makepyfile(
        test_crash=LIBRARY
        + """
    def test_error():
        lib.put(bytearray(4), 4, b"x")

    def test_crash():
        lib.first(None)

    def test_after():
        assert lib.add(1, 2) == 3
        """
    )
    ran = plugin("-p", "xdist", "-n", "1", "--pythy=inprocess", "--pythy-report=json:report.json")
    ran.assert_outcomes(failed=2, passed=1)
    report = json.loads((pytester.path / "report.json").read_text())
    assert list(found(report)) == [
        ("InvalidWrite", "test_error", 6),
        ("InvalidRead", "test_crash", 9),
        ("SIGSEGV", "test_crash", 9),
    ]
    assert "M       SIGSEGV: Access not within mapped region at address 0x0" in ran.outlines


def test_a_console_script_with_ini_files_is_started_anew_as_it_was(plugin, pytester, monkeypatch):
    pytester.mkdir("tests")
    pytester.makefile(
        ".toml",
        pyproject="""
        [tool.pytest.ini_options]
        pythy = "inprocess"
        pythy_leak_kinds = "definite"
        pythy_report = ["json:report.json"]
        testpaths = ["tests"]
        """,
    )
    test = pytester.makepyfile(
        LIBRARY
        + """
    import sys

    def test_leak(request):
        assert sys.argv[1:] == ["-p", "pythy.pytest_plugin", "-p", "no:cacheprovider", "-q"]
        lib.lose(14)
        """
    )
    test.rename(pytester.path / "tests/test_script.py")
    script = shutil.which("pytest", path=f"{sys.prefix}/bin")
    monkeypatch.chdir(pytester.path)
    ran = pytester.run(script, "-p", "pythy.pytest_plugin", "-p", "no:cacheprovider", "-q", timeout=300)
    assert ran.ret == 1
    assert ran.outlines[0].split() == ["M", "[100%]"]
    report = json.loads((pytester.path / "report.json").read_text())
    assert list(found(report)) == [("Leak_DefinitelyLost", "test_leak", 9)]
