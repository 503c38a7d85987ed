"""What the tests are made of: C given as text, and scripts that run under Valgrind."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest
import pythy

# Valgrind takes 5 to 10 seconds to start Python: one run should answer many questions.
VALGRIND_TIMEOUT = 300


@pytest.fixture(scope="session", autouse=True)
def interrupts():
    """Ctrl-C is an exception in the tests, also in the background of a shell, which ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """No test reads what the user's own use of pythy has cached, and none adds to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


# What a worker does hangs little on the version of Python.
IN_WORKER = pytest.param("isolated", marks=pytest.mark.one_python)


@pytest.fixture(scope="module", params=["inprocess", IN_WORKER])
def both_backends(request):
    """Runs the tests of a module that uses it in this process, and again in a worker without Valgrind."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "isolated":
            create = functools.partial(pythy.create_interface, backend="isolated", checker="none")
            patch.setattr(pythy, "create_interface", create)
            # For the scripts that tests run in processes of their own: there the worker is under Valgrind.
            patch.setenv("PYTHY_BACKEND", "isolated")
        yield request.param


@pytest.fixture
def repeats(both_backends):
    """``repeats(times)``: as often as there is time for: a call of a worker takes a hundred times as long."""
    return lambda times: times if both_backends == "inprocess" else times // 25


def pytest_collection_modifyitems(config, items):
    """Leaves out, over a backend, what its marker says cannot be there."""

    def applies(item):
        backend = getattr(item, "callspec", None) and item.callspec.params.get("both_backends")
        return backend != "isolated" or item.get_closest_marker("in_process_only") is None

    left_out = [item for item in items if not applies(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if applies(item)]


@dataclass(frozen=True)
class Built:
    """A header, the library of its functions, and the directory they are in."""

    header: Path
    source: Path
    library: Path

    @property
    def directory(self) -> Path:
        return self.header.parent


def compile_c(source: Path, output: Path, *flags: str) -> Path:
    """Compile one C file with debug information and without optimisation."""
    command = ["cc", "-g", "-O0", "-shared", "-fPIC", *flags, "-o", output, source]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert ran.returncode == 0, ran.stdout
    return output


def build_c(directory: Path, header: str, source: str, name: str = "code") -> Built:
    """Write NAME.h and NAME.c, which includes it, and compile NAME.so."""
    directory.mkdir(parents=True, exist_ok=True)
    built = Built(directory / f"{name}.h", directory / f"{name}.c", directory / f"{name}.so")
    built.header.write_text(textwrap.dedent(header).lstrip("\n"))
    built.source.write_text(f'#include "{name}.h"\n' + textwrap.dedent(source).lstrip("\n"))
    compile_c(built.source, built.library)
    return built


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """``build(header, source, name="code")``: a :class:`Built` in a directory of its own."""

    def make(header: str, source: str, name: str = "code", directory: Path | None = None) -> Built:
        return build_c(directory or tmp_path_factory.mktemp("c"), header, source, name)

    return make


@pytest.fixture(scope="session")
def cc():
    """``cc(source, output, *flags)`` compiles a library."""
    return compile_c


@pytest.fixture
def interface(tmp_path):
    """``interface(header, source, **options)``: the module of that C code."""

    def make(header: str, source: str, **options):
        built = build_c(tmp_path, header, source)
        return pythy.create_interface(built.header, built.library, **options)

    return make


@dataclass(frozen=True)
class Run:
    """What a script left behind."""

    directory: Path
    stdout: str
    stderr: str
    returncode: int

    def json(self, name: str = "report.json") -> dict:
        """A JSON file that the script wrote into its working directory."""
        return json.loads((self.directory / name).read_text())

    def log(self, name: str) -> str:
        return (self.directory / name).read_text(errors="replace")


def run_script(
    directory: Path,
    script: str,
    *command: str,
    env: dict[str, str] | None = None,
    check: bool = True,
    **options,
) -> Run:
    """Write ``script`` into ``directory`` and run it there, with ``command`` before the interpreter."""
    path = directory / "script.py"
    path.write_text(textwrap.dedent(script).lstrip("\n"))
    # The very pythy of this test, also where it is not installed.
    package = str(Path(pythy.__file__).parent.parent)
    search = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
    # Debug information from the network would take minutes.
    environment.pop("DEBUGINFOD_URLS", None)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    ran = subprocess.run(
        [*command, sys.executable, path],
        cwd=directory,
        env=environment,
        text=True,
        timeout=VALGRIND_TIMEOUT,
        **streams,
    )
    if check:
        kept = directory / "stderr"
        stderr = ran.stderr if ran.stderr is not None else kept.read_text()
        assert ran.returncode == 0, f"{ran.stdout}\n{stderr}"
    return Run(directory, ran.stdout or "", ran.stderr or "", ran.returncode)


@pytest.fixture(scope="session")
def natively(tmp_path_factory):
    """``natively(script, env=None)``: a :class:`Run` of the script in a process of its own."""

    def run(script: str, directory: Path | None = None, **options) -> Run:
        return run_script(directory or tmp_path_factory.mktemp("native"), script, **options)

    return run


@pytest.fixture(scope="session")
def under_valgrind(tmp_path_factory):
    """``under_valgrind(script, *valgrind_arguments, env=None)``: a :class:`Run` of the script."""
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed (Debian, Ubuntu: apt-get install valgrind)")

    def run(script: str, *arguments: str, directory: Path | None = None, **options) -> Run:
        directory = directory or tmp_path_factory.mktemp("valgrind")
        return run_script(directory, script, "valgrind", *arguments, **options)

    return run


@pytest.fixture(scope="session")
def validate():
    """``validate(report)`` holds a JSON report to the schema in the package."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json.loads(Path(pythy.__file__).with_name("report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).validate


@dataclass(frozen=True)
class DebianLibrary:
    """A line of debian_libraries.txt."""

    name: str
    package: str
    file: str
    headers: tuple[str, ...]
    flags: tuple[str, ...]

    @classmethod
    def of(cls, line: str) -> "DebianLibrary":
        name, package, file, *rest = line.split()
        flags = [word for word in rest if word.startswith("-")]
        headers = [word for word in rest if not word.startswith("-")]
        return cls(name, package, file, tuple(headers), tuple(flags))

    @property
    def path(self) -> Path:
        """The library that a program linked with ``file`` gets."""
        asked = subprocess.run(["cc", f"-print-file-name={self.file}"], stdout=subprocess.PIPE, text=True)
        return Path(asked.stdout.strip()).resolve()

    def interface(self, **options):
        include_dirs = [flag[2:] for flag in self.flags if flag.startswith("-I")]
        defines = dict(flag[2:].split("=", 1) for flag in self.flags if flag.startswith("-D"))
        given = {"include_dirs": include_dirs, "defines": defines, **options}
        return pythy.create_interface(list(self.headers), self.path, **given)


def debian_libraries() -> list[DebianLibrary]:
    """All lines of debian_libraries.txt."""
    text = Path(__file__).with_name("debian_libraries.txt").read_text()
    text = "".join(line for line in text.splitlines(keepends=True) if line.strip() and line[0] != "#")
    return [DebianLibrary.of(line) for line in text.replace("\n ", " ").splitlines()]


@functools.cache
def installed_packages() -> frozenset[str]:
    """Those packages of debian_libraries.txt that are there."""
    if shutil.which("dpkg-query") is None:
        return frozenset()
    packages = [library.package for library in debian_libraries()]
    command = ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev} ${Package}\n", *packages]
    asked = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return frozenset(line.split()[1] for line in asked.stdout.splitlines() if line.startswith("ii "))


def pytest_generate_tests(metafunc):
    if "debian_library" in metafunc.fixturenames:
        metafunc.parametrize("debian_library", debian_libraries(), ids=lambda library: library.name)


@pytest.fixture(scope="session")
def debian():
    """``debian("zlib")``: the :class:`DebianLibrary` of that name, or a skipped test."""
    libraries = {library.name: library for library in debian_libraries()}

    def get(name: str) -> DebianLibrary:
        package = libraries[name].package
        if package not in installed_packages():
            pytest.skip(f"{package} is not installed (Debian, Ubuntu: apt-get install {package})")
        return libraries[name]

    return get


@pytest.fixture(scope="session")
def installed_debian_libraries() -> list[DebianLibrary]:
    """Those libraries of debian_libraries.txt whose packages are there."""
    return [library for library in debian_libraries() if library.package in installed_packages()]


PLUGIN_HEADER = """
    #include <stddef.h>
    /** Stores a byte. */
    void put(char *text, int at, char c);
    void lose(size_t size);
    void *make(size_t size);
    void drop(void *block);
    void keep(size_t size);
    void forget(void);
    int add(int a, int b);
    int decide(void);
    void spin(void);
    int first(const int *numbers);
    /** A text's length, by way of a copy that has room for two letters. */
    int length(const char *text);
    /** Loses a block for numbers of two digits. */
    void careless(int n);
    void fill(char *text, int length);
    struct pair { int a, b; };
    void swap(struct pair *pair, int extra);
    int unset(void);
"""
PLUGIN_SOURCE = """
    #include <stdlib.h>
    static void *kept;
    void put(char *text, int at, char c) { text[at] = c; }
    void lose(size_t size) { *(char *)malloc(size) = 1; }
    void *make(size_t size) { return malloc(size); }
    void drop(void *block) { free(block); }
    void keep(size_t size) { kept = malloc(size); }
    void forget(void) { kept = NULL; }
    int add(int a, int b) { return a + b; }
    int decide(void) { int *n = malloc(4); int answer = *n > 7 ? 1 : 2; free(n); return answer; }
    void spin(void) { volatile int on = 1; while (on) {} }
    int first(const int *numbers) { return numbers[0]; }
    int length(const char *text) {
        char *copy = malloc(3);
        int length = 0;
        for (; (copy[length] = text[length]); length++) {}
        free(copy);
        return length;
    }
    void careless(int n) { if (n > 9) *(char *)malloc(5) = 1; }
    void fill(char *text, int length) { for (int at = 0; at < length; at++) text[at] = '-'; }
    void swap(struct pair *pair, int extra) {
        int a = pair->a;
        pair->a = pair->b;
        pair->b = a;
        (&pair->a)[1 + extra] = 0;
    }
    int unset(void) { int *block = malloc(4), value = *block; free(block); return value; }
"""


def environment(monkeypatch):
    """This pythy, and of all plugins its own alone: others take seconds to import."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(pythy.__file__).parent.parent))
    monkeypatch.setenv("DEBUGINFOD_URLS", "")
    # Nor what these tests themselves are run with: pytest-xdist tells its workers so, CI its width.
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def plugin(pytester, build, monkeypatch):
    """``plugin(*arguments, before=())`` runs pytest, after the words before it, where the library is."""
    environment(monkeypatch)
    build(PLUGIN_HEADER, PLUGIN_SOURCE, name="lib", directory=pytester.path)

    def run(*arguments, before=()):
        command = [sys.executable, "-m", "pytest", "-p", "pythy.pytest_plugin", "-p", "no:cacheprovider"]
        return pytester.run(*before, *command, *arguments, timeout=900)

    return run
