"""The working directory and the environment that C code finds, which Python may change at any time."""

import os
import signal

import pytest
import pythy

HEADER = """
    typedef void (*hook)(void);
    const char *variable(const char *name);
    int set(const char *name, const char *value);
    int first_byte(const char *path);
    int first_byte_after(hook before, const char *path);
"""
SOURCE = """
    #include <stdio.h>
    #include <stdlib.h>
    const char *variable(const char *name) { return getenv(name); }
    int set(const char *name, const char *value) { return setenv(name, value, 1); }
    int first_byte(const char *path) {
        FILE *file = fopen(path, "r");
        if (!file) return -1;
        int byte = fgetc(file);
        fclose(file);
        return byte;
    }
    int first_byte_after(hook before, const char *path) { before(); return first_byte(path); }
"""


@pytest.fixture(scope="module")
def built(build):
    return build(HEADER, SOURCE)


@pytest.fixture(params=["inprocess", "isolated"])
def lib(request, built, tmp_path, monkeypatch):
    """In a directory of its own, whose file begins with 'a'."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_text("b")
    lib = pythy.create_interface(built.header, built.library, backend=request.param)
    yield lib
    lib.close()


def test_c_finds_files_where_python_is(lib, monkeypatch):
    assert lib.first_byte("file") == ord("a")
    monkeypatch.chdir("below")
    assert lib.first_byte("file") == ord("b")
    monkeypatch.chdir("..")
    assert lib.first_byte("file") == ord("a")


def test_c_sees_variables_as_python_has_set_them(lib, monkeypatch):
    assert lib.variable("PYTHY_TEST") is None
    monkeypatch.setenv("PYTHY_TEST", "1")
    assert lib.variable("PYTHY_TEST") == b"1"
    for value in [b"", b"x=y", b"\xff\xfe", b"long" * 100_000]:
        monkeypatch.setenv("PYTHY_TEST", os.fsdecode(value))
        assert lib.variable("PYTHY_TEST") == value
    monkeypatch.delenv("PYTHY_TEST")
    assert lib.variable("PYTHY_TEST") is None
    assert lib.variable("PATH") == os.fsencode(os.environ["PATH"])


def test_what_c_sets_itself_stays(lib, monkeypatch):
    assert lib.set("PYTHY_MINE", "1") == 0
    monkeypatch.setenv("PYTHY_TEST", "2")
    assert (lib.variable("PYTHY_MINE"), lib.variable("PYTHY_TEST")) == (b"1", b"2")


def test_a_callback_changes_directory_for_the_calls_inside_it(lib, monkeypatch):
    inside = []

    def before():
        monkeypatch.chdir("below")
        inside.append(lib.first_byte("file"))

    assert lib.first_byte_after(before, "file") == ord("b")
    assert inside == [ord("b")]


def test_a_directory_that_is_gone_keeps_nobody_from_calling(lib, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir("empty")
    assert lib.first_byte("file") == -1
    (tmp_path / "empty").rmdir()
    assert lib.first_byte("file") == -1
    monkeypatch.chdir(tmp_path)
    assert lib.first_byte("file") == ord("a")


def test_another_directory_of_the_same_name_is_another(lib, tmp_path, monkeypatch):
    for content in "xyz":
        (tmp_path / "again").mkdir()
        monkeypatch.chdir("again")
        (tmp_path / "again" / "file").write_text(content)
        assert lib.first_byte("file") == ord(content)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "again").rename(tmp_path / f"before {content}")


def test_c_follows_into_a_directory_that_is_gone_already(lib, tmp_path, monkeypatch):
    assert lib.first_byte("file") == ord("a")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir("gone")
    (tmp_path / "gone").rmdir()
    assert lib.first_byte("file") == -1
    monkeypatch.chdir(tmp_path)


def test_a_worker_that_is_gone_by_then_is_told_of(built, monkeypatch):
    with pythy.worker(checker="none") as worker:
        lib = pythy.create_interface(built.header, built.library, worker=worker)
        assert lib.first_byte("/no/such/file") == -1
        os.kill(worker.pid, signal.SIGKILL)
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
        monkeypatch.setenv("PYTHY_TEST", "1")
        with pytest.raises(pythy.WorkerCrashed, match="ended between two calls"):
            lib.variable("PYTHY_TEST")
        assert lib.variable("PYTHY_TEST") == b"1"


def test_a_worker_that_follows_has_nothing_to_answer_for(built, tmp_path, natively):
    natively(
        f"""
        import os, pythy
        lib = pythy.create_interface({str(built.header)!r}, {str(built.library)!r}, backend="isolated")
        for value in range(100):
            os.environ["PYTHY_TEST"] = str(value) * 50
            assert lib.variable("PYTHY_TEST") == str(value).encode() * 50
            del os.environ["PYTHY_TEST"]
            assert lib.variable("PYTHY_TEST") is None
        assert pythy.memory_report().ok
        """
    )
