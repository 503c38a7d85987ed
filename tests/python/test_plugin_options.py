"""The pytest plugin's options, and what it does where nothing is checked: next to nothing."""

import os
import sys

import pytest


def test_natively_the_plugin_does_nothing_and_loads_nothing(plugin, pytester):
    pytester.makepyfile(
        """
        import sys

        def test_nothing_of_pythy_is_loaded():
            loaded = sorted(name for name in sys.modules if name.partition(".")[0] == "pythy")
            assert loaded == ["pythy", "pythy._pytest", "pythy._pytest.mode", "pythy._pytest.options",
                              "pythy.pytest_plugin"]

        def test_fixtures(pythy_report, pythy_interface):
            lib = pythy_interface("lib.h", "./lib.so")
            assert lib.add(1, 2) == 3
            assert pythy_report().ok
        """
    )
    ran = plugin("--strict-markers")
    ran.assert_outcomes(passed=2)
    assert "pythy" not in "\n".join(line for line in ran.outlines if not line.startswith("plugins:"))


def test_help_and_markers_tell_what_there_is(plugin):
    told = plugin("--help").outlines
    start = told.index("pythy: memory of C code:")
    options = [line.split()[0] for line in told[start:] if line.startswith("  --")]
    assert [option.partition("=")[0] for option in options[:7]] == [
        "--pythy",
        "--pythy-report",
        "--pythy-leak-check",
        "--pythy-leak-kinds",
        "--pythy-suppressions",
        "--pythy-gen-suppressions",
        "--no-pythy-pinpoint",
    ]
    markers = plugin("--markers").stdout.str()
    for marker in ("pythy_allow_leak(", "pythy_known_error(", "no_pythy:"):
        assert f"@pytest.mark.{marker}" in markers


@pytest.mark.parametrize(
    ("ini", "argument", "message"),
    [
        ("pythy = always", "", "pythy is 'always', and must be one of auto, isolated, inprocess, off"),
        ("", "--pythy-leak-kinds=some", "'some' is no kind of leak: definite, indirect, possible, reachable"),
        (
            "",
            "--pythy-report=pdf",
            "--pythy-report: 'pdf' is no type of report: github, html, json, junit, sarif or term",
        ),
        (
            "",
            "--pythy-report=json:nowhere/report.json",
            "the report cannot go to '{directory}/nowhere/report.json': there is no such directory",
        ),
        (
            "pythy_gen_suppressions = .",
            "",
            "the suppressions cannot go to '{directory}': it is a directory",
        ),
        ("", "--pythy-suppressions=none.supp", "there is no file of suppressions '{directory}/none.supp'"),
        (
            "pythy_leak_check = now",
            "",
            "pythy_leak_check is 'now', and must be one of call, test, session, off",
        ),
    ],
)
def test_what_cannot_be_is_an_error_of_usage(plugin, pytester, ini, argument, message):
    pytester.makefile(".ini", pytest=f"[pytest]\n{ini}\n")
    mode = () if "pythy =" in ini else ("--pythy=isolated",)
    ran = plugin(*mode, *filter(None, [argument]))
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {message.format(directory=pytester.path)}" in ran.errlines


@pytest.mark.parametrize("mode", ["inprocess", "isolated"])
def test_without_valgrind_nothing_passes(plugin, monkeypatch, mode):
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    ran = plugin(f"--pythy={mode}")
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    what = "valgrind is not on PATH; install it (Debian, Ubuntu: 'apt-get install valgrind')"
    assert f"ERROR: --pythy={mode}: {what}" in ran.errlines


def test_workers_are_not_started_below_valgrind(plugin, monkeypatch):
    # What Valgrind leaves in the environment.
    monkeypatch.setenv("LD_PRELOAD", "/nowhere/vgpreload_core.so")
    ran = plugin("--pythy=isolated")
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    what = "this pytest runs under Valgrind; start it without, or say --pythy=inprocess"
    assert f"ERROR: --pythy=isolated: {what}" in ran.errlines


def test_collecting_alone_needs_no_valgrind(plugin, pytester, monkeypatch):
    pytester.makepyfile("def test_one(): pass")
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable))
    ran = plugin("--pythy=inprocess", "--collect-only", "-q")
    assert ran.ret == 0
    assert ran.outlines[0].endswith("::test_one")
