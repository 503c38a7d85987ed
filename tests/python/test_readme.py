"""README.md and docs/ are true: files are compiled and run, commands print what the pages say they print."""

import contextlib
import doctest
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(?P<kind>\w+)?(?: (?P<name>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
# Programs that run C code under Valgrind.
CHECKED = re.compile(r"^(valgrind|pythy run|pytest)\b|\binitial\.py")


def blocks_of(page):
    return [match.groupdict() for match in BLOCK.finditer(page.read_text(encoding="utf-8"))]


BLOCKS = blocks_of(README)


def commands(page=README):
    """Every command of the console blocks with what it prints, in order."""
    for block in blocks_of(page):
        if block["kind"] == "console":
            for part in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
                command, output = part.split("\n", 1)
                yield command, output


def normal(text):
    """Without what differs between runs and machines."""
    text = re.sub(r"0x[0-9a-f]+", "0x…", text)
    # Valgrind's own malloc has a line where its debug information is installed.
    text = re.sub(r"\((in /\S*vgpreload_memcheck\S*|\S*vg_replace_malloc\.c:\d+)\)", "(Valgrind's)", text)
    text = re.sub(r"Valgrind [0-9.]+", "Valgrind …", text)
    text = re.sub(r"\b(passed|failed) in [0-9.]+s", r"\1 in …s", text)
    return re.sub(r"^(Traceback .*\n)(?:  .*\n)+", r"\1  ...\n", text, flags=re.MULTILINE)


def runner_in(directory, page):
    """Runs a command of the page where its files are; gives what it prints."""
    for block in blocks_of(page):
        if block["name"]:
            (directory / block["name"]).write_text(block["text"])

    def run(command):
        programs = {
            "python": [sys.executable],
            "pythy": [sys.executable, "-m", "pythy"],
            "pytest": [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--basetemp=tmp"],
        }
        given = shlex.split(command.replace("python -m pytest", "pytest"))
        words = [part for word in given for part in programs.get(word, [word])]
        environment = {**os.environ, "DEBUGINFOD_URLS": "", "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
        # What these tests are run with is not for those of the examples, which know pythy's plugin alone;
        # and on a CI machine pytest does not cut its lines to the width of a terminal.
        for name in ("COLUMNS", "CI", "BUILD_NUMBER", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
            environment.pop(name, None)
        environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p pythy.pytest_plugin"}
        ran = subprocess.run(
            words,
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        return normal(ran.stdout.decode())

    return run


@pytest.fixture
def run(tmp_path):
    return runner_in(tmp_path, README)


def test_the_readme_has_the_examples_that_these_tests_are_about():
    assert [block["name"] for block in BLOCKS if block["name"]] == [
        *("add.h", "add.c", "first.py"),
        *("words.h", "words.c", "words.py"),
        *("initial.h", "initial.c", "initial.py"),
        *("shape.h", "shape.c", "shape.py"),
        "shapes.py",
    ]
    assert [command.split()[0] for command, _ in commands()] == [
        *("cc", "python"),
        *("cc", "python", "valgrind"),
        *("cc", "python"),
        *("cc", "python"),
        *("pythy", "pythy", "grep"),
    ]


def test_commands_print_what_the_readme_says(run):
    for command, output in commands():
        if not command.startswith("valgrind") and "initial" not in command:
            assert run(command) == normal(output), command


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_the_valgrind_example_prints_its_table_and_writes_the_keys_that_the_readme_lists(run, tmp_path):
    for command, output in commands():
        if "initial" in command or ("words" in command and not command.startswith("python")):
            assert run(command) == normal(output), command

    report = json.loads((tmp_path / "report.json").read_text())
    error, leak = report["findings"]
    parts = {
        "the report": report,
        "tool": report["tool"],
        "totals": report["totals"],
        "declarations": report["declarations"][0],
        "call_sites": report["call_sites"][0],
        "findings": error,
        "call": error["call"],
        "allocated_by": leak["allocated_by"],
        "leaked": leak["leaked"],
        "stacks": error["stacks"][0],
        "frames": error["stacks"][0]["frames"][0],
        "calls": report["calls"][0],
    }
    assert {name: list(part) for name, part in parts.items()} == keys_in_the_readme()


def keys_in_the_readme():
    rows = (
        README.read_text(encoding="utf-8")
        .split("| part of the JSON | keys |\n|---|---|\n")[1]
        .split("\n\n")[0]
    )
    keys = {}
    for row in rows.splitlines():
        _, names, listed, _ = row.split("|")
        for name in names.split(","):
            keys[name.strip(" `")] = re.findall(r"`(\w+)`", listed)
    return keys


@pytest.mark.parametrize("page", [README, *DOCS], ids=lambda page: page.stem)
def test_sessions_at_the_prompt_answer_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = "".join(block["text"] for block in blocks_of(page) if block["kind"] == "pycon")
    session = doctest.DocTestParser().get_doctest(source, {}, page.name, str(page), 0)
    said = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    with contextlib.redirect_stdout(said):
        runner.run(session)
    assert runner.failures == 0, said.getvalue()


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_commands_print_what_the_page_says(page, tmp_path):
    run = runner_in(tmp_path, page)
    for command, output in commands(page):
        if shutil.which("valgrind") or not CHECKED.search(command):
            assert run(command) == normal(output), command


@pytest.mark.parametrize("page", [README, *DOCS], ids=lambda page: page.stem)
def test_every_example_is_run(page):
    """Files have names, which the page's commands or other files of it mention."""
    found = blocks_of(page)
    for block in found:
        if block["kind"] in ("c", "python"):
            assert block["name"], block["text"]
            others = "".join(other["text"] for other in found if other is not block)
            stem = Path(block["name"]).stem
            assert re.search(rf"\b{stem}\b", others), block["name"]
