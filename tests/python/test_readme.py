"""README.md is true: its files are compiled and run, its commands print what it says they print."""

import contextlib
import doctest
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_python

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```(?P<kind>\w+)(?: (?P<name>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [match.groupdict() for match in BLOCK.finditer(README.read_text(encoding="utf-8"))]


def commands():
    """Every command of the console blocks with what it prints, in order."""
    for block in BLOCKS:
        if block["kind"] == "console":
            for part in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
                command, output = part.split("\n", 1)
                yield command, output


def normal(text):
    """Without what differs between runs and machines."""
    text = re.sub(r"0x[0-9a-f]+", "0x…", text)
    text = re.sub(r"\(in /[^)]*/", "(in …/", text)
    # With Valgrind's debug information (valgrind-dbg) its malloc has a line.
    text = re.sub(r"\((in \S+/vgpreload_memcheck-\S+\.so|vg_replace_malloc\.c:\d+)\)", "(in Valgrind)", text)
    text = re.sub(r"Valgrind [0-9.]+", "Valgrind …", text)
    return re.sub(r"^(Traceback .*\n)(?:  .*\n)+", r"\1  ...\n", text, flags=re.MULTILINE)


@pytest.fixture
def run(tmp_path):
    """Runs a command of the README where its files are; gives what it prints."""
    for block in BLOCKS:
        if block["name"]:
            (tmp_path / block["name"]).write_text(block["text"])

    def run(command):
        programs = {"python": [sys.executable], "pythy": [sys.executable, "-m", "pythy"]}
        words = [part for word in command.split() for part in programs.get(word, [word])]
        environment = {**os.environ, "DEBUGINFOD_URLS": "", "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
        ran = subprocess.run(
            words,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        return normal(ran.stdout.decode())

    run.directory = tmp_path
    return run


def test_the_readme_has_the_examples_that_these_tests_are_about():
    assert [block["name"] for block in BLOCKS if block["name"]] == [
        *("add.h", "add.c", "first.py"),
        *("words.h", "words.c", "words.py"),
        *("initial.h", "initial.c", "initial.py"),
        *("shape.h", "shape.c", "shape.py"),
        *("events.h", "events.c", "events.py"),
        "shapes.py",
        *("crates.h", "crates.c", "crates.py"),
    ]
    assert [command.split()[0] for command, _ in commands()] == [
        *("cc", "python"),
        *("cc", "python", "valgrind"),
        *("cc", "python"),
        *("cc", "python"),
        *("cc", "python"),
        *("pythy", "pythy", "grep"),
        *("cc", "python"),
    ]


def test_commands_print_what_the_readme_says(run):
    for command, output in commands():
        if not command.startswith("valgrind") and "initial" not in command:
            assert run(command) == normal(output), command


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_the_valgrind_example_prints_its_table_and_writes_the_keys_that_the_readme_lists(run):
    for command, output in commands():
        if "initial" in command or ("words" in command and not command.startswith("python")):
            assert run(command) == normal(output), command

    report = json.loads((run.directory / "report.json").read_text())
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


def test_sessions_at_the_prompt_answer_what_the_readme_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = "".join(block["text"] for block in BLOCKS if block["kind"] == "pycon")
    session = doctest.DocTestParser().get_doctest(source, {}, "README.md", str(README), 0)
    said = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    with contextlib.redirect_stdout(said):
        runner.run(session)
    assert runner.tries > 10
    assert runner.failures == 0, said.getvalue()
