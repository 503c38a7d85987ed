"""Options, ini keys and markers."""

from __future__ import annotations

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
        "also write a report of this type (term, json); DEST is a file, else it goes to the terminal",
        ini="linelist",
        action="append",
        metavar="TYPE[:DEST]",
    )
    add(
        "--pythy-leak-check",
        "when lost blocks are looked for: after each call, after each phase of a test (default), at the end, "
        "or never",
        default="test",
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


@dataclass(frozen=True)
class Options:
    """What was asked for, checked."""

    reports: tuple[str, ...]
    leak_check: str
    leak_kinds: str
    suppressions: Path | None
    gen_suppressions: Path | None
    pinpoint: bool

    @classmethod
    def of(cls, config: pytest.Config) -> Options:
        """Raises UsageError for what cannot be."""
        return cls(
            reports=tuple(value(config, "pythy_report") or ()),
            leak_check=_leak_check(config),
            leak_kinds=_leak_kinds(config),
            suppressions=_suppressions(config),
            gen_suppressions=_path(config, "pythy_gen_suppressions"),
            pinpoint=bool(config.getini("pythy_pinpoint")) and not config.getoption("no_pythy_pinpoint"),
        )


def _leak_check(config: pytest.Config) -> str:
    chosen = value(config, "pythy_leak_check")
    if chosen not in LEAK_CHECKS:
        raise pytest.UsageError(
            f"pythy_leak_check is '{chosen}', and must be one of {', '.join(LEAK_CHECKS)}"
        )
    return chosen


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


def _path(config: pytest.Config, name: str) -> Path | None:
    """Of an option relative to where pytest was started, of an ini key to the ini file."""
    given = getattr(config.option, name, None)
    if given:
        return config.invocation_params.dir / given
    given = config.getini(name)
    return (config.inipath.parent if config.inipath else config.rootpath) / given if given else None
