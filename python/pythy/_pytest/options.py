"""Options, ini keys and markers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

MODES = ("auto", "isolated", "inprocess", "off")
LEAK_CHECKS = ("call", "test", "session", "off")
LEAK_KINDS = ("definite", "indirect", "possible", "reachable")

MARKERS = (
    "pythy_allow_leak(kinds=None, function=None, max_bytes=None, reason=None): leaks of these kinds, of what "
    "this C function allocates, no more than so many bytes, do not fail the test",
    "pythy_known_error(kind=None, function=None, reason=None): errors of this kind in this C function do "
    "not fail the test",
    "no_pythy: what Valgrind finds in this test does not count",
)


def add(parser: pytest.Parser) -> None:
    """Declare the options and the ini keys of the same names."""
    group = parser.getgroup("pythy", "pythy: memory of C code")

    def add(name: str, text: str, default: str | None = None, ini: str = "string", **how: object) -> None:
        parser.addini(name.lstrip("-").replace("-", "_"), text, type=ini, default=default)
        group.addoption(name, default=None, help=text, **how)

    add(
        "--pythy",
        "what runs under Valgrind: isolated, the C code in a process of its own; inprocess, the whole of "
        "pytest, which is started anew where it runs natively; auto (default), what runs already; off",
        default="auto",
        choices=MODES,
    )
    add(
        "--pythy-report",
        f"also write a report of this type ({_types()}); DEST is a file, else it goes to the terminal",
        ini="linelist",
        action="append",
        metavar="TYPE[:DEST]",
    )
    add(
        "--pythy-leak-check",
        "when lost blocks are looked for: after each call (default in isolated mode), after each phase of a "
        "test (default in process), at the end, or never",
        choices=LEAK_CHECKS,
    )
    add(
        "--pythy-leak-kinds",
        "kinds of leaks that are told (definite,possible where Valgrind was not told otherwise)",
        metavar="KIND,...",
    )
    add("--pythy-suppressions", "a file of suppressions for Valgrind", metavar="FILE")
    add("--pythy-gen-suppressions", "write suppressions for what is found to this file", metavar="FILE")
    parser.addini(
        "pythy_pinpoint", "run leaking tests once more to find the calls", type="bool", default=True
    )
    group.addoption(
        "--no-pythy-pinpoint",
        action="store_true",
        help="do not run leaking tests once more, with a check after each call, to find who lost the blocks",
    )


def _types() -> str:
    """The types of reports, without loading what makes them."""
    files = Path(__file__).parents[1].joinpath("reports").glob("[!_]*.py")
    return ", ".join(sorted(file.stem for file in files))


def add_markers(config: pytest.Config) -> None:
    """Make the markers known to --strict-markers and --markers."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


def value(config: pytest.Config, name: str) -> str:
    """The option, else the ini key, of this name: "pythy_leak_check"; "" where neither is given."""
    # In a run's early hooks the options are here alone.
    chosen = getattr(config.known_args_namespace, name, None)
    chosen = getattr(config.option, name, None) or chosen
    return chosen or config.getini(name) or ""


def verbosity(config: pytest.Config) -> int:
    """How much is to be said; without pytest's terminal (-p no:terminal) nothing."""
    return getattr(config.known_args_namespace, "verbose", -1)


@dataclass(frozen=True)
class Options:
    """What was asked of the process that runs tests, checked."""

    leak_check: str | None
    """None: as the mode has it."""
    leak_kinds: str
    suppressions: Path | None
    pinpoint: bool

    @classmethod
    def of(cls, config: pytest.Config) -> Options:
        """Raises UsageError for what cannot be."""
        return cls(
            leak_check=_leak_check(config),
            leak_kinds=_leak_kinds(config),
            suppressions=_suppressions(config),
            pinpoint=bool(config.getini("pythy_pinpoint")) and not config.getoption("no_pythy_pinpoint"),
        )

    def checks_phases(self) -> bool:
        """Whether leaks are looked for when a phase of a test ends."""
        return self.leak_check in (None, "test", "call")


def _leak_check(config: pytest.Config) -> str | None:
    chosen = value(config, "pythy_leak_check")
    if chosen and chosen not in LEAK_CHECKS:
        raise pytest.UsageError(
            f"pythy_leak_check is '{chosen}', and must be one of {', '.join(LEAK_CHECKS)}"
        )
    return chosen or None


def _leak_kinds(config: pytest.Config) -> str:
    kinds = [kind.strip() for kind in value(config, "pythy_leak_kinds").split(",") if kind.strip()]
    for kind in kinds:
        if kind not in LEAK_KINDS:
            raise pytest.UsageError(f"'{kind}' is no kind of leak: {', '.join(LEAK_KINDS)}")
    return ",".join(kinds)


def _suppressions(config: pytest.Config) -> Path | None:
    path = _path(config, "pythy_suppressions")
    if path is not None and not path.is_file():
        raise pytest.UsageError(f"there is no file of suppressions '{path}'")
    return path


@dataclass(frozen=True)
class Outputs:
    """What is to be written, checked."""

    reports: tuple[tuple[str, Path | None], ...]
    """Each a type, and the file that it goes to."""
    suppressions: Path | None

    @classmethod
    def of(cls, config: pytest.Config) -> Outputs:
        """Raises UsageError for what cannot be."""
        from pythy.reports import named_twice

        found, suppressions = tuple(_reports(config)), _path(config, "pythy_gen_suppressions")
        if (twice := named_twice(file for _, file in found)) is not None:
            raise pytest.UsageError(f"--pythy-report: two reports cannot go to one file, '{twice}'")
        return cls(found, _writable("suppressions", suppressions))


def _reports(config: pytest.Config) -> Iterator[tuple[str, Path | None]]:
    from pythy import reports

    for text in value(config, "pythy_report") or ():
        try:
            kind, file = reports.destination(text)
        except ValueError as error:
            raise pytest.UsageError(f"--pythy-report: {error}") from None
        yield kind, _writable("report", file and _place(config, "pythy_report") / file)


def _path(config: pytest.Config, name: str) -> Path | None:
    given = value(config, name)
    return _place(config, name) / given if given else None


def _place(config: pytest.Config, name: str) -> Path:
    """What paths are relative to: of an option where pytest was started, of an ini key the ini file."""
    if getattr(config.option, name, None):
        return config.invocation_params.dir
    return config.inipath.parent if config.inipath else config.rootpath


def _writable(what: str, file: Path | None) -> Path | None:
    """Now, as the tests may take hours."""
    from pythy import reports

    if file is not None and (why := reports.refusal(file)) is not None:
        raise pytest.UsageError(f"the {what} cannot go to '{file}': {why}")
    return file
