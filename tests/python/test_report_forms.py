# ruff: noqa: E501 (what pythy says stands here as it is said)
"""Reports as HTML, SARIF, GitHub annotations and JUnit: from Python, `pythy run`, `pythy report` and pytest."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import html5lib
import pytest
import pythy

pytestmark = pytest.mark.one_python

TESTS = Path(__file__).resolve().parents[1]
RECORDED = TESTS / "fixtures" / "report.json"

HEADER = """
    #include <stddef.h>
    int peek(const int *values, int index);
    void keep(size_t size);
    void forget(void);
    void crash(int *place);
"""
SOURCE = """
    #include <stdlib.h>
    static void *kept;
    int peek(const int *values, int index) { return values[index]; }
    void keep(size_t size) { kept = malloc(size); }
    void forget(void) { kept = NULL; }
    void crash(int *place) { *place = 1; }
"""
PROGRAM = """\
import pythy
lib = pythy.create_interface("code.h", "./code.so", backend="isolated")
lib.peek(lib.new("int[2]"), 2)
lib.keep(40)
lib.forget()
"""


@pytest.fixture(scope="module")
def program(build):
    """A program with an error and a leak, in a directory with its library."""
    directory = build(HEADER, SOURCE).directory
    (directory / "program.py").write_text(PROGRAM)
    return directory


def command(directory, *arguments, code=0, stderr=""):
    """What the command `pythy` prints there."""
    pythy_command = [sys.executable, "-m", "pythy", *map(str, arguments)]
    ran = subprocess.run(pythy_command, cwd=directory, capture_output=True, text=True, timeout=300)
    assert (ran.returncode, ran.stderr) == (code, stderr)
    return ran.stdout


@pytest.fixture(scope="module")
def forms(program):
    """The program's report in each form, by the name of the form."""
    kinds = ("json", "html", "sarif", "github", "junit", "term")
    options = [option for kind in kinds for option in ("--report", f"{kind}:report.{kind}")]
    assert command(program, "run", "--mode", "isolated", *options, "program.py", code=99) == ""
    return {kind: (program / f"report.{kind}").read_text() for kind in kinds}


def test_a_page_is_valid_and_tells_of_each_finding(forms):
    page = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(forms["html"])
    assert page.find("head/title").text.startswith(
        "pythy: 2 findings in 3 calls, 1 error, 40 bytes leaked in 1 block (Valgrind "
    )
    error, leak = page.findall(".//article")
    assert " ".join("".join(error.find("h3").itertext()).split()) == "#1 InvalidRead Invalid read of size 4"
    assert [code.text for code in error.findall(".//dd/code")] == [
        "program.py:3",
        "<module>",
        "code.h:2",
        "code.so",
    ]
    assert [pre.text for pre in error.findall(".//pre")][:2] == [
        'lib.peek(lib.new("int[2]"), 2)',
        "int peek(const int *values, int index)",
    ]
    assert error.find("ol/li/code").text == "peek (code.c:4)"
    assert [remark.text for remark in leak.findall("p")] == ["allocated by keep() at program.py:4"]
    # Nothing comes from elsewhere, and nothing runs.
    assert not page.findall(".//script")
    assert not re.search("https?:", forms["html"])


def test_sarif_is_at_the_line_of_python_with_declaration_and_stacks(forms, program):
    sarif = json.loads(forms["sarif"])
    (run,) = sarif["runs"]
    assert (sarif["version"], run["tool"]["driver"]["name"], run["tool"]["driver"]["version"]) == (
        "2.1.0", "pythy", pythy.__version__,
    )  # fmt: skip
    assert run["originalUriBaseIds"] == {"%SRCROOT%": {"uri": f"file://{program}/"}}
    error, leak = run["results"]
    place = error["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "program.py", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 3, "snippet": {"text": 'lib.peek(lib.new("int[2]"), 2)'}}
    (declared,) = error["relatedLocations"]
    assert declared["message"]["text"] == "declared here: int peek(const int *values, int index)"
    assert declared["physicalLocation"]["region"] == {"startLine": 2}
    frame = error["stacks"][0]["frames"][0]["location"]
    assert frame["message"]["text"] == "peek (code.c:4)"
    assert frame["physicalLocation"]["artifactLocation"]["uri"] == "code.c"
    rules = run["tool"]["driver"]["rules"]
    assert [rules[result["ruleIndex"]]["id"] for result in (error, leak)] == [
        "InvalidRead",
        "Leak_DefinitelyLost",
    ]
    assert rules[0]["shortDescription"]["text"] == "A read out of bounds, or of freed memory."
    assert [location["physicalLocation"]["region"]["startLine"] for location in leak["relatedLocations"]] == [
        4,
        4,
    ]


def test_github_shows_each_finding_at_its_line(forms, program):
    error, leak, summary = forms["github"].splitlines()
    assert error.startswith(
        f"::error file={program}/program.py,line=3,title=InvalidRead in peek()::Invalid read of size 4 "
        "in int peek(const int *values, int index) (code.h:2)%0A    at peek (code.c:4)%0A"
    )
    assert leak.startswith(
        f"::error file={program}/program.py,line=5,title=Leak_DefinitelyLost in forget()::40 bytes in 1 block is "
        "definitely lost in void forget(void) (code.h:4); allocated by keep() at program.py:4%0A"
    )
    assert summary.startswith("pythy: 2 findings in 3 calls, 1 error, 40 bytes leaked in 1 block (Valgrind ")


def test_junit_has_a_case_for_each_finding_and_line(forms):
    suites = ElementTree.fromstring(forms["junit"])
    assert suites.attrib == {"name": "pythy", "tests": "3", "skipped": "0", "failures": "2", "errors": "0"}
    cases = [(case.get("classname"), case.get("name"), case.get("line")) for case in suites.iter("testcase")]
    assert cases == [
        ("program.py", "peek() at program.py:3: InvalidRead", "3"),
        ("program.py", "forget() at program.py:5: Leak_DefinitelyLost", "5"),
        ("program.py", "keep() at program.py:4", "4"),
    ]
    failure = suites.find(".//failure")
    assert failure.attrib == {
        "message": "Invalid read of size 4 in int peek(const int *values, int index) (code.h:2)",
        "type": "InvalidRead",
    }
    assert "\n    at peek (code.c:4)\n" in failure.text


def test_a_written_report_has_every_form_still(forms, program):
    for kind, text in forms.items():
        assert command(program, "report", "report.json", "--format", kind) == text
        assert command(program, "report", "report.json", "--format", kind, "-o", "again") == ""
        assert (program / "again").read_text() == text
    assert command(program, "report", "report.json") == forms["term"]


def test_a_report_has_the_forms_in_python_too(forms, program, natively):
    ends = """
        report = pythy.memory_report()
        report.to_html("python.html")
        report.to_sarif("python.sarif")
        forms = {"html": report.html(), "sarif": report.sarif(), "github": report.github(), "junit": report.junit()}
        print(__import__("json").dumps(forms))
    """
    script = PROGRAM + "".join(line.strip() + "\n" for line in ends.splitlines())
    ran = natively(script, directory=program)
    shown = json.loads(ran.stdout)

    def alike(text):
        return re.sub(r"0x[0-9a-f]+", "ADDRESS", text.replace("script.py", "program.py"))

    assert {kind: alike(text) for kind, text in shown.items()} == {kind: alike(forms[kind]) for kind in shown}
    assert ran.log("python.html") == shown["html"]
    assert ran.log("python.sarif") == shown["sarif"]


def test_every_sort_of_finding_is_shown_by_the_command_as_expected(tmp_path):
    """The recorded report, moved to where the command runs, for its paths."""
    (tmp_path / "report.json").write_text(RECORDED.read_text().replace("/proj/", f"{tmp_path}/"))
    for kind, file in [
        ("html", "report.html"),
        ("sarif", "report.sarif"),
        ("github", "report_github.txt"),
        ("junit", "report_junit.xml"),
    ]:
        text = command(tmp_path, "report", "report.json", "--format", kind)
        assert text.replace(str(tmp_path), "/proj") == (TESTS / "expectations" / file).read_text(), kind
    html5lib.HTMLParser(strict=True).parse(command(tmp_path, "report", "report.json", "--format", "html"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.json"], "there is no report 'no.json'; 'pythy run --report json:FILE' writes one"),
        (
            ["list.json"],
            "'list.json' is no report of pythy's: invalid length 0, expected struct Report with 8 elements at line 1 column 2",
        ),
        (
            ["later.json"],
            "'later.json' is no report of pythy's: its schema is 'pythy-report/2', not 'pythy-report/1'",
        ),
        (["bytes.json"], "'bytes.json' is no report of pythy's: stream did not contain valid UTF-8"),
        (["report.json", "-o", "nowhere/x"], "'nowhere/x' cannot be used: No such file or directory"),
    ],
)
def test_what_is_no_report_is_said_to_be_none(tmp_path, arguments, message):
    (tmp_path / "report.json").write_text(RECORDED.read_text())
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "later.json").write_text(RECORDED.read_text().replace("pythy-report/1", "pythy-report/2"))
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    assert command(tmp_path, "report", *arguments, code=2, stderr=f"pythy: {message}\n") == ""


def test_a_crash_is_an_error_to_junit_and_at_its_line_to_all(program):
    (program / "crash.py").write_text(
        PROGRAM.splitlines()[0] + "\n" + PROGRAM.splitlines()[1] + "\nlib.crash(None)\n"
    )
    options = ["--mode", "isolated", "--report", "github", "--report", "junit:crash.xml"]
    ran = subprocess.run(
        [sys.executable, "-m", "pythy", "run", *options, "crash.py"],
        cwd=program,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 1
    assert "pythy.WorkerCrashed" in ran.stderr
    places = [line.partition("::SIGSEGV")[0] for line in ran.stdout.splitlines() if "::SIGSEGV" in line]
    assert places == [f"::error file={program}/crash.py,line=3,title=SIGSEGV in crash()"]
    suites = ElementTree.fromstring((program / "crash.xml").read_text())
    assert (suites.get("errors"), suites.get("failures"), suites.find(".//error").get("type")) == (
        "1",
        "1",
        "SIGSEGV",
    )
