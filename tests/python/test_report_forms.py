# ruff: noqa: E501 (what pythy says stands here as it is said)
"""Reports as HTML, SARIF, GitHub annotations and JUnit: from Python, `pythy run`, `pythy report` and pytest."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import html5lib
import jsonschema
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


@pytest.fixture(scope="module")
def of_sarif():
    """Holds a text to SARIF's schema: that of OASIS, without its prose."""
    schema = json.loads((TESTS / "fixtures" / "sarif-2.1.0.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return lambda text: jsonschema.Draft7Validator(schema).validate(json.loads(text))


def test_sarif_keeps_to_its_schema(forms, of_sarif):
    of_sarif(forms["sarif"])
    recorded = (TESTS / "expectations" / "report.sarif").read_text()
    of_sarif(recorded)
    with pytest.raises(jsonschema.ValidationError):
        of_sarif(recorded.replace('"startLine": 10', '"startLine": 0'))
    # Code scanning refuses a file with a result that is nowhere.
    assert all(len(result["locations"]) == 1 for result in json.loads(recorded)["runs"][0]["results"])


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
        ("program", "peek() at program.py:3", "3"),
        ("program", "forget() at program.py:5", "5"),
        ("program", "keep() at program.py:4", "4"),
    ]
    failure = suites.find(".//failure")
    assert failure.attrib == {
        "message": "Invalid read of size 4 in int peek(const int *values, int index) (code.h:2)",
        "type": "InvalidRead",
    }
    assert "\n    at peek (code.c:4)\n" in failure.text


def test_a_written_report_has_every_form_still(forms, program):
    for kind, text in forms.items():
        # A command of GitHub's begins its line, whatever was written before.
        shown = f"\n{text}" if kind == "github" else text
        assert command(program, "report", "report.json", "--format", kind) == shown
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
        return re.sub(r"0x[0-9a-f]+", "ADDRESS", re.sub(r"\bscript\b", "program", text))

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
        text = re.sub(r"(?<=<style>\n).*(?=\n</style>)", "", text, flags=re.DOTALL)
        assert (
            text.removeprefix("\n").replace(str(tmp_path), "/proj")
            == (TESTS / "expectations" / file).read_text()
        ), kind
    html5lib.HTMLParser(strict=True).parse(command(tmp_path, "report", "report.json", "--format", "html"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.json"], "there is no report 'no.json'; 'pythy run --report json:FILE' writes one"),
        (
            ["list.json"],
            "'list.json' is no report of pythy's: it does not say that its schema is 'pythy-report/1'",
        ),
        (
            ["later.json"],
            "'later.json' is no report of pythy's: its schema is 'pythy-report/2', not 'pythy-report/1'",
        ),
        (["short.json"], "'short.json' is no report of pythy's: missing field `tool`"),
        (["bytes.json"], "'bytes.json' is no report of pythy's: stream did not contain valid UTF-8"),
        (["report.json", "-o", "nowhere/x"], "'nowhere/x' cannot be used: No such file or directory"),
        (
            ["report.json", "-o", "./report.json"],
            "the report cannot go to 'report.json': it is read from there",
        ),
    ],
)
def test_what_is_no_report_is_said_to_be_none(tmp_path, arguments, message):
    (tmp_path / "report.json").write_text(RECORDED.read_text())
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "later.json").write_text('{"schema": "pythy-report/2"}')
    (tmp_path / "short.json").write_text('{"schema": "pythy-report/1"}')
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    assert command(tmp_path, "report", *arguments, code=2, stderr=f"pythy: {message}\n") == ""
    assert (tmp_path / "report.json").read_text() == RECORDED.read_text()


def shell(directory, line, **environment):
    """What a shell's command prints there, as bytes; {pythy} is the command."""
    line = line.format(pythy=f"{sys.executable} -m pythy")
    return subprocess.run(
        ["bash", "-c", line],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=300,
    )


def test_a_report_is_read_from_a_pipe(program, forms):
    ran = shell(program, "cat report.json | {pythy} report /dev/stdin --format html")
    assert (ran.returncode, ran.stdout.decode()) == (0, forms["html"])


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_forms_are_utf_8_whatever_python_prints(tmp_path, encoding):
    (tmp_path / "report.json").write_text(RECORDED.read_text())
    for kind in ("html", "sarif", "github", "junit", "term", "json"):
        line = "{pythy} report report.json --format " + kind
        plain = shell(tmp_path, line, PYTHONIOENCODING="utf-8")
        other = shell(tmp_path, line, PYTHONIOENCODING=encoding)
        assert (other.returncode, other.stdout, other.stderr) == (0, plain.stdout, b"")
        assert "\u00df" in plain.stdout.decode() or kind in ("term", "github")


def test_without_a_stdout_reports_are_told_to_be_lost(program):
    ran = shell(program, "{pythy} report report.json --format html >&-")
    assert (ran.returncode, ran.stderr) == (2, b"pythy: the output cannot be written: Bad file descriptor\n")
    ran = shell(program, "{pythy} run --mode isolated --report github program.py >&-")
    lines = ran.stderr.decode().splitlines()
    assert lines[0] == "pythy: the report cannot go to standard output: Bad file descriptor"
    # The program succeeded, and what was found is not lost.
    assert ran.returncode == 2
    assert lines[-1].startswith("pythy: 2 findings in 3 calls")


def test_an_annotation_begins_its_line(program):
    (program / "open_line.py").write_text(PROGRAM + 'print("so far", end="")\n')
    ran = shell(program, "{pythy} run --mode isolated --report html --report github open_line.py")
    assert ran.returncode == 99
    assert sum(line.startswith("::error ") for line in ran.stdout.decode().splitlines()) == 2


def test_two_reports_have_two_files_and_none_is_of_an_earlier_run(program):
    (program / "old.html").write_text("old")
    (program / "plain.py").write_text("print('no interface')")
    refused = "pythy: two reports cannot go to one file, '{}'\n"
    options = ["run", "--mode", "isolated", "--report", "html:old.html"]
    twice = [*options, "--report", "json:./old.html", "plain.py"]
    assert command(program, *twice, code=2, stderr=refused.format("old.html")) == ""
    assert (program / "old.html").read_text() == "old"
    nothing = "pythy: no report, because the program made no isolated interface\n"
    assert command(program, *options, "plain.py", stderr=nothing) == "no interface\n"
    assert not (program / "old.html").exists()
    itself = "pythy: the report cannot go to 'plain.py': it is read from there\n"
    assert command(program, "run", "--report", "json:plain.py", "plain.py", code=2, stderr=itself) == ""
    assert (program / "plain.py").read_text() == "print('no interface')"
    ran = shell(program, "{pythy} run --report html: plain.py")
    assert ran.stderr.splitlines()[-1] == b"pythy run: error: argument --report: 'html:' names no file"


def test_code_that_runs_without_any_line_of_python_is_told_by_its_declaration(program, of_sarif):
    (program / "alone.py").write_text(
        PROGRAM.partition("lib.peek")[0]
        + "import _thread, time\n"
        + "_thread.start_new_thread(lib.peek, (lib.new('int[2]'), 2))\n"
        + "while pythy.memory_report().ok: time.sleep(0.05)\n"
    )
    options = ["--mode", "isolated", "--report", "github", "--report", "sarif:alone.sarif"]
    ran = shell(program, "{pythy} run " + " ".join(options) + " alone.py")
    assert ran.returncode == 99, ran.stderr
    assert f"\n::error file={program}/code.h,line=2,title=InvalidRead in peek()::" in ran.stdout.decode()
    sarif = (program / "alone.sarif").read_text()
    of_sarif(sarif)
    place = json.loads(sarif)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("code.h", 2)


def test_a_path_has_no_dots_for_servers(program):
    (program / "sub").mkdir()
    line = "cd sub; LD_LIBRARY_PATH=. {pythy} run --mode isolated --report github --report sarif:dots.sarif ../dots.py"
    (program / "dots.py").write_text(PROGRAM.replace('"code.h", "./code.so"', '"../code.h", "../code.so"'))
    ran = shell(program, line)
    assert f"\n::error file={program}/dots.py,line=3," in ran.stdout.decode()
    results = json.loads((program / "sub" / "dots.sarif").read_text())["runs"][0]["results"]
    uris = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in results}
    assert uris == {f"file://{program}/dots.py"}


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
        "0",
        "SIGSEGV",
    )
