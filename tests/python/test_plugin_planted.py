"""The suite of planted defects, 60 tests of 20 calls with 5 errors and 5 leaks: exactly these 10 fail."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.one_python,
    pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed"),
]


@pytest.fixture(scope="module")
def planted():
    """The module benches/planted.py."""
    path = Path(__file__).parents[2] / "benches" / "planted.py"
    spec = importlib.util.spec_from_file_location("planted", path)
    module = importlib.util.module_from_spec(spec)
    # Its dataclass asks for its module.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "planted", module)
        spec.loader.exec_module(module)
    return module


def found(report, directory):
    """The findings as benches/planted.py has them."""
    for finding in report["findings"]:
        call = finding["call"]
        declaration = report["declarations"][call["declaration"] - 1]
        site = report["call_sites"][call["call_site"] - 1]
        # The header is named as the suite names it.
        assert (site["file"], declaration["file"]) == (str(directory / "test_planted.py"), "planted.h")
        # Beyond 100 errors, its own and the interpreter's, Valgrind's text log tells an error in one place
        # of C once, whatever calls it comes from: of the others the call is known, the rest by the first.
        assert finding["basis"] == "call" or finding["category"] == "error"
        yield finding["kind"], call["test"], site["line"], declaration["name"], declaration["line"]


VALGRIND = ("valgrind", "--num-callers=40", "--log-file=valgrind.log")


AGAIN = "pythy: running 5 leaking tests once more, with checks after calls"
TWO = "pythy: starting 2 workers under Valgrind ..."
XDIST = ("-p", "xdist", "-n", "2")


@pytest.mark.parametrize(
    ("before", "options", "progress"),
    [
        ((), ("--pythy=isolated",), []),
        ((), ("--pythy=isolated", *XDIST), []),
        ((), ("--pythy=inprocess", *XDIST), [TWO]),
        (VALGRIND, (), [AGAIN]),
    ],
    ids=["isolated", "isolated-n2", "inprocess-n2", "valgrind"],
)
def test_exactly_the_planted_defects_are_found(plugin, pytester, planted, before, options, progress):
    if "-n" in options:
        pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    expected = planted.write(pytester.path)
    ran = plugin("--pythy-report=json:report.json", "--tb=no", *options, before=before)

    assert ran.ret == 1
    ran.assert_outcomes(failed=10, passed=50)
    report = json.loads((pytester.path / "report.json").read_text())
    assert sorted(found(report, pytester.path), key=lambda one: one[1]) == [
        (one.kind, one.test, one.line, one.declaration, one.header_line) for one in expected
    ]
    assert report["totals"] == {
        "calls": 1200,
        "errors": 5,
        "leaked_bytes": 660,
        "leaked_blocks": 5,
        "crashes": 0,
    }
    for line in progress:
        assert line in [*ran.outlines, *ran.errlines]
