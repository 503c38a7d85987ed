"""What a foreign call costs: pythy beside a hand-written extension, cffi and ctypes.

    python benches/calls.py [--rounds N] [--check]

All variants call the same shared library, in one process, in turn. `--check` makes a missed target an
exit code of 1.
"""

from __future__ import annotations

import argparse
import array
import ctypes
import importlib
import os
import platform
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from timing import Subject, geometric_mean, measure

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build" / "bench" / f"{sys.version_info.major}.{sys.version_info.minor}"
HEADER = HERE / "bench.h"
LIBRARY = BUILD / "libbench.so"

FUNCTIONS = {
    "add": "add(int, int)",
    "mul": "mul(double, double)",
    "length": "length(char*)",
    "poke": "poke(int*)",
}
THREE = ("add", "mul", "length")

HELD = "extension, GIL held"
RELEASED = "extension, GIL released"
PYTHY_HELD = 'pythy gil="hold"'
PYTHY_RELEASED = 'pythy gil="release"'
CFFI = "cffi, API mode"
CTYPES = "ctypes, typed"

Variant = dict[str, Subject]


def compile_library() -> None:
    compile_c(LIBRARY, "bench.c")


def compile_c(output: Path, source: str, *options: object) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    compiler = shlex.split(os.environ.get("CC") or "cc")
    flags = ["-O2", "-Wall", "-Wextra", "-fPIC", "-shared", f"-I{HERE}"]
    subprocess.run([*compiler, *flags, "-o", output, HERE / source, *options], check=True)


def linked() -> list[str]:
    return [f"-L{BUILD}", "-lbench", f"-Wl,-rpath,{BUILD}"]


def subjects(function: Callable[[str], Callable], target: object) -> Variant:
    """The four calls of one variant; target is what it takes for int*."""
    return {
        "add": Subject(function("add"), 1000, 2000),
        "mul": Subject(function("mul"), 1.5, 2.5),
        "length": Subject(function("length"), b"hello, world"),
        "poke": Subject(function("poke"), target),
    }


def extension() -> dict[str, Variant]:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    include = sysconfig.get_path("include")
    compile_c(BUILD / f"bench_ext{suffix}", "bench_ext.c", f"-I{include}", *linked())
    module = importlib.import_module("bench_ext")

    def variant(suffix: str) -> Variant:
        return subjects(lambda name: getattr(module, f"{name}_{suffix}"), array.array("i", [0]))

    return {HELD: variant("held"), RELEASED: variant("released")}


def pythy() -> dict[str, Variant]:
    import pythy

    def variant(gil: str) -> Variant:
        lib = pythy.create_interface(HEADER, LIBRARY, gil=gil)
        target = lib.ref("int") if hasattr(lib, "ref") else array.array("i", [0])
        return subjects(lambda name: getattr(lib, name), target)

    return {PYTHY_HELD: variant("hold"), PYTHY_RELEASED: variant("release")}


def cffi() -> dict[str, Variant]:
    from cffi import FFI

    builder = FFI()
    builder.cdef(
        "int add(int, int); double mul(double, double); size_t length(const char *); void poke(int *);"
    )
    builder.set_source(
        "bench_cffi",
        '#include "bench.h"',
        include_dirs=[str(HERE)],
        extra_compile_args=["-O2"],
        extra_link_args=linked(),
    )
    builder.compile(tmpdir=str(BUILD))
    module = importlib.import_module("bench_cffi")
    return {CFFI: subjects(lambda name: getattr(module.lib, name), module.ffi.new("int *"))}


def typed_ctypes() -> dict[str, Variant]:
    lib = ctypes.CDLL(str(LIBRARY))
    lib.add.argtypes, lib.add.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    lib.mul.argtypes, lib.mul.restype = [ctypes.c_double, ctypes.c_double], ctypes.c_double
    lib.length.argtypes, lib.length.restype = [ctypes.c_char_p], ctypes.c_size_t
    lib.poke.argtypes, lib.poke.restype = [ctypes.POINTER(ctypes.c_int)], None
    return {CTYPES: subjects(lambda name: getattr(lib, name), ctypes.c_int(0))}


def prepare() -> dict[str, Variant]:
    """Every variant that can be had here, in the order of the table."""
    compile_library()
    sys.path.insert(0, str(BUILD))
    variants: dict[str, Variant] = {}
    for make in (extension, pythy, cffi, typed_ctypes):
        try:
            variants |= make()
        except (ImportError, AttributeError) as error:
            print(f"not measured: {make.__name__}: {error}")
    return variants


def check_results(variants: dict[str, Variant]) -> None:
    """A variant that computes something else is not a comparison."""
    expected = {"add": 3000, "mul": 3.75, "length": 12, "poke": None}
    for name, variant in variants.items():
        results = {one: subject.function(*subject.arguments) for one, subject in variant.items()}
        assert results == expected, f"{name}: {results}"


def table(variants: dict[str, Variant]) -> str:
    """Nanoseconds, and in brackets how many times the extension that holds the GIL, or releases it."""
    rows = [["", *FUNCTIONS.values(), "geometric mean"]]
    for name, variant in variants.items():
        base = variants.get(HELD if name in (HELD, PYTHY_HELD) else RELEASED)
        times = [variant[function].fastest for function in FUNCTIONS]
        bases = [base[function].fastest for function in FUNCTIONS] if base else times
        times.append(geometric_mean(times))
        bases.append(geometric_mean(bases))
        rows.append([name, *(f"{t:7.1f} ({t / b:5.2f}x)" for t, b in zip(times, bases, strict=True))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(lines)


def targets(variants: dict[str, Variant]) -> list[tuple[str, float, str, bool]]:
    """Each target of the design that can be judged: what, measured, wanted, met."""

    def ratio(name: str, base: str, functions: tuple[str, ...] = tuple(FUNCTIONS)) -> float | None:
        if name not in variants or base not in variants:
            return None
        return geometric_mean(variants[name][f].fastest / variants[base][f].fastest for f in functions)

    judged = [
        *(
            (f"{PYTHY_HELD} / {HELD}, {FUNCTIONS[one]}", ratio(PYTHY_HELD, HELD, (one,)), "<= 1.05")
            for one in THREE
        ),
        (f"{PYTHY_HELD} / {HELD}, all", ratio(PYTHY_HELD, HELD), "<= 1.35"),
        (f"{PYTHY_RELEASED} / {RELEASED}, all", ratio(PYTHY_RELEASED, RELEASED), "<= 1.10"),
        (f"{CFFI} / {PYTHY_RELEASED}, all", ratio(CFFI, PYTHY_RELEASED), ">= 1.00"),
        (f"{CTYPES} / {PYTHY_RELEASED}, all", ratio(CTYPES, PYTHY_RELEASED), ">= 4.00"),
    ]
    return [(what, value, wanted, met(value, wanted)) for what, value, wanted in judged if value is not None]


def met(value: float, wanted: str) -> bool:
    relation, limit = wanted.split()
    return value <= float(limit) if relation == "<=" else value >= float(limit)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60, help="samples of each call (%(default)s)")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target is missed")
    options = parser.parse_args()

    variants = prepare()
    check_results(variants)
    calls = [subject for variant in variants.values() for subject in variant.values()]
    empty = measure(calls, options.rounds)

    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}:", end=" ")
    print(f"ns per call, fastest of {options.rounds} rounds, less the empty loop ({empty:.1f} ns);")
    print("in brackets: times the extension that treats the GIL alike\n")
    print(table(variants))
    judged = targets(variants)
    if judged:
        print("\ntargets (geometric means of the ratios)")
    for what, value, wanted, reached in judged:
        print(f"  {what:66} {value:5.2f}  {wanted}  {'met' if reached else 'MISSED'}")
    return int(options.check and not all(reached for *_, reached in judged))


if __name__ == "__main__":
    sys.exit(main())
