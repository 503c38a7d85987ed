"""What is kept of headers between processes: faster, and otherwise as if it were not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import pythy

HEADER = """
    /** Adds. */
    int add(int a, int b);
"""
SOURCE = "int add(int a, int b) { return a + b; }"

SCRIPT = """
    import pythy

    lib = pythy.create_interface("code.h", "./code.so")
    read = "libclang" in open("/proc/self/maps").read()
    print(lib.add(1, 2), lib.add.__doc__, "read" if read else "cached")
"""


@pytest.fixture
def code(build):
    return build(HEADER, SOURCE).directory


def entries(directory):
    return sorted(path.name for path in directory.rglob("*") if path.is_file())


def test_the_second_process_reads_no_header(code, natively, tmp_path):
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    assert natively(SCRIPT, directory=code, env=env).stdout == "3 Adds. read\n"
    assert natively(SCRIPT, directory=code, env=env).stdout == "3 Adds. cached\n"
    assert len(entries(tmp_path / "pythy")) == 1


def test_an_edited_header_is_read_again(code, natively, tmp_path):
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    natively(SCRIPT, directory=code, env=env)
    (code / "code.h").write_text("/** Sums. */\nint add(int a, int b);\n")
    assert natively(SCRIPT, directory=code, env=env).stdout == "3 Sums. read\n"


def test_the_directory_is_below_home_where_xdg_cache_home_is_not_an_absolute_path(code, natively, tmp_path):
    for cache in ("", "relative"):
        home = tmp_path / f"home-{cache}"
        natively(SCRIPT, directory=code, env={"XDG_CACHE_HOME": cache, "HOME": str(home)})
        assert len(entries(home / ".cache" / "pythy")) == 1
    assert not (code / "relative").exists()


@pytest.mark.parametrize(
    "env",
    [
        {"XDG_CACHE_HOME": "", "HOME": ""},
        {"XDG_CACHE_HOME": "", "HOME": "/proc/nobody"},
        {"XDG_CACHE_HOME": "/proc"},
        {"XDG_CACHE_HOME": "/dev/null"},
    ],
    ids=["no home", "no such home", "read-only", "no directory"],
)
def test_without_a_cache_everything_works_as_before(code, natively, env):
    for _ in range(2):
        assert natively(SCRIPT, directory=code, env=env).stdout == "3 Adds. read\n"


def test_a_directory_without_permission_to_write_is_no_error(code, natively, tmp_path):
    (tmp_path / "pythy").mkdir(mode=0o500)
    assert natively(SCRIPT, directory=code, env={"XDG_CACHE_HOME": str(tmp_path)}).stdout == "3 Adds. read\n"


def test_an_entry_that_is_damaged_is_read_again_and_replaced(code, natively, tmp_path):
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    natively(SCRIPT, directory=code, env=env)
    [entry] = (tmp_path / "pythy").iterdir()
    entry.write_bytes(entry.read_bytes()[:-1])
    assert natively(SCRIPT, directory=code, env=env).stdout == "3 Adds. read\n"
    assert natively(SCRIPT, directory=code, env=env).stdout == "3 Adds. cached\n"


def test_processes_that_start_together_share_it(code, tmp_path):
    package = str(Path(pythy.__file__).parent.parent)
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": package}
    script = 'import pythy; print(pythy.create_interface("code.h", "./code.so").add(1, 2))'
    command = [sys.executable, "-c", script]
    processes = [
        subprocess.Popen(command, cwd=code, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(6)
    ]
    assert [process.communicate()[0] for process in processes] == [b"3\n"] * 6
    assert len(entries(tmp_path / "pythy")) == 1


def test_a_header_with_an_error_is_not_kept(code, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (code / "code.h").write_text("int add(\n")
    for _ in range(2):
        with pytest.raises(pythy.HeaderError):
            pythy.create_interface(code / "code.h", code / "code.so")
    assert entries(tmp_path / "pythy") == []


def test_under_valgrind_the_same_entry_serves_and_no_other_process_is_started(
    code, natively, under_valgrind, tmp_path
):
    script = """
        import resource

        import pythy

        lib = pythy.create_interface("code.h", "./code.so")
        started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0
        print(lib.add(1, 2), lib.add.__doc__, "started" if started else "nothing started")
    """
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    assert under_valgrind(script, directory=code).stdout == "3 Adds. started\n"
    natively(SCRIPT, directory=code, env=env)
    assert under_valgrind(script, directory=code, env=env).stdout == "3 Adds. nothing started\n"
