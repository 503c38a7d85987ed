"""What pip makes of this tree installs and works on every CPython that the machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import interpreters  # noqa: E402

# Run in the clean environment: import the package, find its worker, run it.
USE_THE_PACKAGE = """
import pathlib, subprocess, sys
import pythy
from pythy import _native
package = pathlib.Path(pythy.__file__).parent
assert pathlib.Path(sys.prefix) in package.parents, f"{package} is not the installed one"
subprocess.run([package / "bin" / "pythy-worker", "--version"], check=True)
"""


def run(*command: object, **options: object) -> str:
    """The output of a command that must succeed."""
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def pip(*arguments: object, **options: object) -> str:
    return run(sys.executable, "-m", "pip", "--quiet", *arguments, **options)


def clean_environment(directory: Path, interpreter: str, requirement: Path) -> Path:
    """A new virtual environment with nothing but the requirement in it: its Python."""
    run(interpreter, "-m", "venv", "--without-pip", directory)
    python = directory / "bin" / "python"
    pip("--python", python, "install", requirement)
    return python


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree: the one `make test` has built, else a new one."""
    if built := os.environ.get("PYTHY_WHEEL"):
        return Path(built)
    directory = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--wheel-dir", directory, ROOT)
    return next(directory.glob("pythy-*.whl"))


def test_the_wheel_is_one_for_all_versions(wheel: Path):
    assert wheel.name.startswith("pythy-0.1.0-cp310-abi3-linux_")


def test_the_worker_in_the_wheel_is_executable(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        worker = archive.getinfo("pythy/bin/pythy-worker")
    assert worker.external_attr >> 16 & 0o111 == 0o111


def test_the_worker_links_no_python(wheel: Path, tmp_path: Path):
    with zipfile.ZipFile(wheel) as archive:
        worker = archive.extract("pythy/bin/pythy-worker", tmp_path)
    assert "python" not in run("ldd", worker).replace(str(tmp_path), "")


def test_the_suppressions_are_in_the_wheel(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if name.endswith(".supp")}
    sources = (ROOT / "valgrind-supp").glob("*.supp")
    assert packed == {f"pythy/valgrind-supp/{path.name}": path.read_bytes() for path in sources}


@pytest.mark.parametrize("interpreter", [one["path"] for one in interpreters.every_interpreter()])
def test_the_wheel_works_in_a_clean_environment_of(interpreter: str, wheel: Path, tmp_path: Path):
    python = clean_environment(tmp_path / "venv", interpreter, wheel)
    assert run(python, "-I", "-c", USE_THE_PACKAGE, cwd=tmp_path).split() == ["pythy-worker", "0.1.0"]
    assert run(tmp_path / "venv" / "bin" / "pythy", "--version", cwd=tmp_path) == "pythy 0.1.0\n"


def test_pip_install_of_the_tree_works(tmp_path: Path):
    python = clean_environment(tmp_path / "venv", sys.executable, ROOT)
    assert run(python, "-I", "-c", USE_THE_PACKAGE, cwd=tmp_path).split() == ["pythy-worker", "0.1.0"]


def test_a_source_distribution_builds_on_its_own(tmp_path: Path):
    made = "import sys, pythy_build; print(pythy_build.build_sdist(sys.argv[1]))"
    run(sys.executable, "-c", made, tmp_path, cwd=ROOT, env=with_tools(os.environ))
    archive = next(tmp_path.glob("pythy-*.tar.gz"))
    with tarfile.open(archive) as names:
        inside = {name.split("/", 1)[1] for name in names.getnames()}
    assert {"Cargo.lock", "LICENSE", "README.md", "tools/pythy_build.py"} <= inside
    assert not {name for name in inside if name.endswith(".so") or name.startswith(("target/", "build/"))}

    pip("wheel", "--no-deps", "--wheel-dir", tmp_path, archive, env=with_compiled_dependencies(tmp_path))
    with zipfile.ZipFile(next(tmp_path.glob("pythy-*.whl"))) as built:
        assert {"pythy/_native.abi3.so", "pythy/bin/pythy-worker"} <= set(built.namelist())


def with_tools(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which the backend can be imported and finds maturin."""
    search = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return {**environment, "PYTHONPATH": str(ROOT / "tools"), "PATH": search}


def with_compiled_dependencies(directory: Path) -> dict[str, str]:
    """An environment with a copy of this tree's compiled crates, which saves minutes.

    A copy, since two builds of the same package in one target directory overwrite each other.
    """
    compiled = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    for part in ("release", "worker"):
        if (compiled / part).is_dir():
            shutil.copytree(compiled / part, directory / "target" / part, symlinks=True)
    environment = {**os.environ, "CARGO_TARGET_DIR": str(directory / "target")}
    if (compiled / "libclang").is_dir():
        environment.setdefault("LIBCLANG_PATH", str(compiled / "libclang"))
    return environment


def test_the_tools_of_make_build_are_those_the_build_requires():
    tomllib = pytest.importorskip("tomllib")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["dependency-groups"]["build"] == settings["build-system"]["requires"]
