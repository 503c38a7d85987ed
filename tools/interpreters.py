"""Find the CPythons of this machine that pythy supports.

    python tools/interpreters.py           one a minor version: "3.12<TAB>/path/to/python3.12"
    python tools/interpreters.py --best    the first found: its path, for `make build`
    python tools/interpreters.py --this    the path of the running one, if pythy supports it

Runs on Python 3.6 too, so that `make` may ask before it knows a good one.
"""

import glob
import json
import os
import subprocess
import sys

OLDEST = (3, 10)
NEEDED = "CPython >= 3.10 with the GIL"
NEWEST_TRIED = 19

# What an interpreter says about itself; a shim (pyenv) answers with the real program's path.
QUESTION = """
import json, os, platform, sys, sysconfig
print(json.dumps({
    "path": os.path.realpath(sys.executable),
    "version": list(sys.version_info[:3]),
    "final": sys.version_info[3] == "final",
    "cpython": platform.python_implementation() == "CPython",
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""


def ask(program):
    """The answer to QUESTION, or None if it cannot be run (a shim of an inactive version, say)."""
    try:
        answer = subprocess.run(
            [program, "-I", "-c", QUESTION], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60
        )
        return json.loads(answer.stdout.decode()) if answer.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def supported(answer):
    """Whether one abi3 wheel runs there; a free-threaded build has another ABI."""
    return (
        answer is not None
        and answer["cpython"]
        and not answer["free_threaded"]
        and tuple(answer["version"]) >= OLDEST
    )


def candidates():
    """Programs to ask, the user's own choice first."""
    yield "python3"
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    minors = range(OLDEST[1], NEWEST_TRIED + 1)
    for folder in folders:
        for minor in minors:
            yield os.path.join(folder, f"python3.{minor}")
        yield os.path.join(folder, "python3")
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    yield from sorted(glob.glob(os.path.join(pyenv, "versions", "*", "bin", "python3")))


def every_interpreter():
    """All supported ones, each real program once, in the order of `candidates`."""
    asked, found = set(), set()
    for program in candidates():
        if os.sep in program and (program in asked or not os.access(program, os.X_OK)):
            continue
        asked.add(program)
        answer = ask(program)
        if supported(answer) and answer["path"] not in found:
            found.add(answer["path"])
            yield answer


def one_per_minor():
    """The first found of each minor version, oldest version first."""
    chosen = {}
    for answer in every_interpreter():
        chosen.setdefault(tuple(answer["version"][:2]), answer)
    return [chosen[minor] for minor in sorted(chosen)]


def main(arguments):
    if arguments == ["--this"]:
        answer = ask(sys.executable)
        if not supported(answer):
            print(f"pythy needs {NEEDED}", file=sys.stderr)
            return 1
        print(answer["path"])
    elif arguments == ["--best"]:
        best = next((answer for answer in every_interpreter() if answer["final"]), None)
        if best is None:
            print(
                f"no CPython >= {OLDEST[0]}.{OLDEST[1]} with the GIL on PATH or under pyenv", file=sys.stderr
            )
            return 1
        print(best["path"])
    else:
        for answer in one_per_minor():
            print("{}.{}\t{}".format(*answer["version"][:2], answer["path"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
