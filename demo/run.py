"""What `make demo` shows: zlib called through its own header, then four planted defects found.

Everything that is shown is also checked; the exit code is 1 when anything is not as it must be.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pythy

ROOT = Path(__file__).resolve().parent.parent
# Relative, so that reports show short paths: everything runs in the repository's directory.
SCRIPT, HEADER, SOURCE = Path("demo/script.py"), Path("demo/defects.h"), Path("demo/defects.c")
BUILD = Path("build/demo")
LIBRARY, LOG, REPORT = BUILD / "libdefects.so", BUILD / "valgrind.log", BUILD / "report.json"

OUTPUT = """\
lines read: 2
place of cherry: 2
apples taken away: 3
a line without a number: -1
label: BANANA
"""

# What is planted: Valgrind's kind, the prototype, and the C functions of each of Valgrind's stacks, from
# the innermost to the one that Python called. A copy of an argument is allocated by no C function.
PLANTED = [
    ("UninitCondition", "int stock_place(struct stock *stock, const char *item)", ["sort < stock_place"]),
    (
        "InvalidRead",
        "int stock_remove(struct stock *stock, const char *item)",
        ["stock_remove", "free < free_entry < stock_remove", "malloc < stock_add"],
    ),
    (
        "InvalidWrite",
        "size_t stock_label(const char *item, char *label, size_t size)",
        ["end_text < stock_label", ""],
    ),
    (
        "Leak_DefinitelyLost",
        "int stock_load(struct stock *stock, const char *text)",
        ["malloc < copy_text < stock_load"],
    ),
]
# Where the script makes the calls that go wrong.
CALLS = {
    "stock_place": 'lib.stock_place(stock, "cherry")',
    "stock_remove": 'lib.stock_remove(stock, "apple")',
    "stock_label": 'lib.stock_label("banana", label, len(label))',
    "stock_load": 'lib.stock_load(stock, "elderberry")',
}


def use_zlib() -> None:
    """Call the system's zlib, and hold its results against those of Python's own zlib module."""
    header, library = "/usr/include/zlib.h", "libz.so.1"
    say(f'lib = pythy.create_interface("{header}", "{library}")')
    lib = pythy.create_interface(header, library)
    text = b"What goes in comes out again. " * 100

    crc = lib.crc32(0, text, len(text))
    say(f"lib.crc32(0, text, {len(text)})  ->  {crc:#x}")
    check(crc == zlib.crc32(text), f"crc32 is {crc:#x}, Python's own says {zlib.crc32(text):#x}")

    packed = bytearray(lib.compressBound(len(text)))
    length = lib.ref("uLong", len(packed))
    status = lib.compress(packed, length, text, len(text))
    say(f"lib.compress(packed, length, text, {len(text)})  ->  {status}, length.value {length.value}")
    check(status == 0, f"compress() gives {status}")
    check(zlib.decompress(packed[: length.value]) == text, "compress() gives something else than the text")

    unpacked = bytearray(len(text))
    size = lib.ref("uLong", len(unpacked))
    status = lib.uncompress(unpacked, size, packed, length.value)
    say(f"lib.uncompress(unpacked, size, packed, {length.value})  ->  {status}, size.value {size.value}")
    check(status == 0, f"uncompress() gives {status}")
    check(size.value == len(text) and unpacked == text, "uncompress() does not give the text back")
    say("the text is the same as before")
    lib.close()


def compile_library() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    compiler = shlex.split(os.environ.get("CC") or "cc")
    command = [*compiler, "-g", "-O0", "-fPIC", "-shared", "-o", str(LIBRARY), str(SOURCE)]
    say(shlex.join(command))
    subprocess.run(command, check=True)


def run_natively() -> None:
    say(f"python {SCRIPT}\n")
    ran = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    print(ran.stdout, ran.stderr, sep="", flush=True)
    check(ran.returncode == 0, f"the script ends with {ran.returncode}")
    check(ran.stdout == OUTPUT, "the script's results are not as expected")
    check(ran.stderr == "", "the script is not silent on stderr")


def run_isolated() -> None:
    say(f"PYTHY_BACKEND=isolated python {SCRIPT}\n")
    run_checked([], {"PYTHY_BACKEND": "isolated"})


def run_under_valgrind() -> None:
    valgrind = ["valgrind", "--num-callers=40", f"--log-file={LOG}"]
    say(f"{shlex.join(valgrind)} python {SCRIPT}\n")
    run_checked(valgrind, {})


def run_checked(before: list[str], variables: dict[str, str]) -> None:
    """Run the script with its report; what it prints is that of the run without Valgrind."""
    REPORT.unlink(missing_ok=True)
    environment = {
        **os.environ,
        **variables,
        # Or Valgrind may ask servers for debug information, for minutes.
        "DEBUGINFOD_URLS": "",
        # Or the results come after the table, because they go through a pipe.
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": str(shutil.get_terminal_size().columns),
    }
    command = [*before, sys.executable, SCRIPT, REPORT]
    output = ""
    # The table at the end goes to stderr, which is not captured: it is as wide as the terminal.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as ran:
        for line in ran.stdout:
            print(line, end="", flush=True)
            output += line
    print(flush=True)
    check(ran.returncode == 0, f"the script ends with {ran.returncode}")
    check(output == OUTPUT, "the script's results are not those of the run without Valgrind")


def compare_with_planted() -> None:
    """Hold every finding against what was planted: kind, Python line, prototype, header line, C stack."""
    report = json.loads(REPORT.read_text())
    declarations = {one["id"]: one for one in report["declarations"]}
    call_sites = {one["id"]: one for one in report["call_sites"]}
    found = []
    for finding in report["findings"]:
        call = finding["call"]
        declaration, site = declarations[call["declaration"]], call_sites[call["call_site"]]
        found.append(
            (
                finding["kind"],
                finding["count"],
                f"{relative(site['file'])}:{site['line']}",
                declaration["prototype"],
                f"{relative(declaration['file'])}:{declaration['line']}",
                [" < ".join(frame["function"] for frame in stack["frames"]) for stack in finding["stacks"]],
            )
        )
    planted = []
    for kind, prototype, stacks in PLANTED:
        called = stacks[0].split(" < ")[-1]
        call = line_of(SCRIPT, CALLS[called])
        planted.append((kind, 1, call, prototype, line_of(HEADER, prototype), stacks))
    missing = [one for one in planted if one not in found]
    check(not missing, f"not found: {missing}; found: {found}")
    check(len(found) == len(planted), f"{len(found)} findings, but {len(planted)} defects: {found}")


def line_of(file: Path, text: str) -> str:
    """FILE:LINE of the only line with this text."""
    lines = [number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line]
    check(len(lines) == 1, f"'{text}' is {len(lines)} times in {file}")
    return f"{file}:{lines[0]}"


def relative(file: str) -> Path:
    return Path(file).resolve().relative_to(ROOT)


def heading(text: str) -> None:
    print(f"\n{text}\n{'=' * len(text)}\n", flush=True)


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(f"demo: WRONG: {otherwise}")


def main() -> None:
    os.chdir(ROOT)
    started = time.monotonic()
    print("pythy turns a C header and a shared library into a Python module and, under Valgrind,")
    print("tells which Python call made the C code misuse memory.")

    heading("1. A real library: zlib, no prototype written by hand")
    use_zlib()

    heading("2. A library with four defects, run as it is: they do not show")
    compile_library()
    run_natively()

    heading("3. Only the library under Valgrind: each defect with its call and declaration")
    run_isolated()
    compare_with_planted()

    heading("4. All of Python under Valgrind: the same")
    run_under_valgrind()
    compare_with_planted()
    seconds = time.monotonic() - started
    print(f"demo: all right: zlib's results, and twice the {len(PLANTED)} planted defects ({seconds:.0f} s).")
    print(f"The defects are in {SOURCE}, the calls in {SCRIPT}, the report as JSON in {REPORT}.")


if __name__ == "__main__":
    main()
