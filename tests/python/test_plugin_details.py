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
