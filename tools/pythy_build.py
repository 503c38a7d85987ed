"""PEP 517/660 build backend: maturin, with the two things it does not do for us.

* libclang.  crabgrind's build script runs bindgen, which needs libclang and the compiler's
  own headers.  Both come from what is there already: the `libclang` build requirement and
  `cc`.  A `LIBCLANG_PATH` or `BINDGEN_EXTRA_CLANG_ARGS` set by the user wins.
* The worker.  maturin packs the extension module only; the `pythy-worker` binary is built
  here, without the `python` feature, and laid into the package before maturin packs it.
  So are the suppressions for Valgrind.

`python tools/pythy_build.py cargo test` runs any command in the environment the build uses, so
that cargo sees the same variables everywhere and rebuilds nothing; `python tools/pythy_build.py env`
prints it for a shell.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGED_WORKER = ROOT / "python" / "pythy" / "bin" / "pythy-worker"
SUPPRESSIONS = ROOT / "valgrind-supp"
PACKAGED_SUPPRESSIONS = ROOT / "python" / "pythy" / "valgrind-supp"


def target_directory() -> Path:
    """Where cargo puts what it builds."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").absolute()


def stable_libclang() -> Path | None:
    """The directory of a copy of PyPI's libclang that outlives an isolated build.

    pip installs build requirements into a new temporary directory each time; pointing at it would
    change the environment, and with it recompile, at every build.
    """
    package = importlib.util.find_spec("clang")
    if package is None or not package.submodule_search_locations:
        return None
    source = Path(next(iter(package.submodule_search_locations))) / "native" / "libclang.so"
    if not source.is_file():
        return None
    copy = target_directory() / "libclang" / "libclang.so"
    if not copy.is_file() or copy.stat().st_size != source.stat().st_size:
        replace(source, copy)
    return copy.parent


def replace(source: Path, destination: Path) -> None:
    """Copy with its mode, in one step for whoever is running or loading the destination."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(f".{destination.name}.{os.getpid()}")
    shutil.copy2(source, temporary)
    os.replace(temporary, destination)


def build_environment() -> dict[str, str]:
    """The variables a build needs beyond those of the caller."""
    # Without build isolation maturin's program is in the environment's own bin; rustup's default
    # place helps a shell that has not read its profile again.
    more = [sysconfig.get_path("scripts"), str(Path.home() / ".cargo" / "bin")]
    variables = {"PATH": os.pathsep.join([os.environ.get("PATH", os.defpath), *more])}
    if "LIBCLANG_PATH" not in os.environ:
        directory = stable_libclang()
        if directory is not None:
            variables["LIBCLANG_PATH"] = str(directory)
    if "BINDGEN_EXTRA_CLANG_ARGS" not in os.environ:
        compiler = shlex.split(os.environ.get("CC") or "cc")
        try:
            include = subprocess.check_output([*compiler, "-print-file-name=include"], text=True).strip()
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"pythy needs a C compiler to build (Debian: gcc libc6-dev): {error}") from error
        variables["BINDGEN_EXTRA_CLANG_ARGS"] = f"-isystem {include}"
    if "PYO3_PYTHON" not in os.environ:
        variables["PYO3_PYTHON"] = sys.executable
    return variables


def build_worker() -> None:
    """Build the worker and lay it into the package, where it keeps its exec bit.

    It has its own target directory: cargo keeps one copy of a path package's cdylib per directory,
    so the builds with and without the `python` feature would undo each other every time.
    """
    directory = target_directory() / "worker"
    command = ["cargo", "rustc", "--release", "--bin", "pythy-worker", "--target-dir", str(directory)]
    # Without debug information, which Valgrind would read each time that it starts a worker.
    command += ["--message-format=json-render-diagnostics", "--", "-C", "strip=debuginfo"]
    try:
        built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    except FileNotFoundError as error:
        raise SystemExit("pythy needs cargo to build: see https://rustup.rs") from error
    except subprocess.CalledProcessError as error:
        raise SystemExit("pythy: the worker did not build; the compiler's messages are above") from error
    artifacts = (json.loads(line) for line in built.stdout.splitlines() if line.startswith("{"))
    executables = [artifact["executable"] for artifact in artifacts if artifact.get("executable")]
    replace(Path(executables[-1]), PACKAGED_WORKER)


def share_compiled_crates() -> None:
    """Start maturin's first build from the worker's compiled crates, which are nearly all it needs."""
    compiled, wanted = target_directory() / "worker" / "release", target_directory() / "release"
    if not wanted.exists():
        partial = wanted.with_name(f"release.{os.getpid()}")
        shutil.copytree(compiled, partial, symlinks=True, ignore=shutil.ignore_patterns("*pythy*"))
        partial.rename(wanted)


def pack_suppressions() -> None:
    for file in SUPPRESSIONS.glob("*.supp"):
        replace(file, PACKAGED_SUPPRESSIONS / file.name)


def prepare() -> None:
    os.environ.update(build_environment())
    pack_suppressions()
    build_worker()
    share_compiled_crates()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    import maturin

    prepare()
    return maturin.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    import maturin

    prepare()
    return maturin.build_editable(wheel_directory, config_settings, metadata_directory)


def build_sdist(sdist_directory, config_settings=None):
    import maturin

    return maturin.build_sdist(sdist_directory, config_settings)


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    import maturin

    os.environ.update(build_environment())
    return maturin.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def get_requires_for_build_wheel(config_settings=None):
    return []


get_requires_for_build_editable = get_requires_for_build_wheel
get_requires_for_build_sdist = get_requires_for_build_wheel


def main(arguments: list[str]) -> int:
    if not arguments:
        print("usage: pythy_build.py env | COMMAND [ARGUMENT]...", file=sys.stderr)
        return 2
    variables = build_environment()
    if arguments == ["env"]:
        for name, value in variables.items():
            print(f"export {name}={shlex.quote(value)}")
        return 0
    os.environ.update(variables)
    try:
        os.execvp(arguments[0], arguments)
    except OSError as error:
        print(f"pythy_build.py: {arguments[0]}: {error.strerror}", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
