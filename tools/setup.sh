#!/usr/bin/env bash
# Make sure that the machine has what a build, the tests and the demo need, and that .venv exists.
#
#   tools/setup.sh [bench | libraries]        PYTHON: the interpreter .venv is made from
#
# Looks for the things themselves, not for package names, so that a compiler or a Valgrind from
# elsewhere counts.  As root it installs the Debian packages that are missing; otherwise it names
# them and stops.  Quick when there is nothing to do.
# `libraries` are those that the tests bind: where they cannot be had, their tests are skipped.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

# The first argument says what is wrong, the others what to do.
fail() { printf 'error: %s\n' "$1" >&2; shift; [ $# -eq 0 ] || printf '  %s\n' "$@" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
includes() { echo "#include <$1>" | "${CC:-cc}" -E -x c - >/dev/null 2>&1; }

provide() {
    [ $# -gt 0 ] || return 0
    has apt-get || fail "missing, by their Debian names: $*"
    [ "$(id -u)" -eq 0 ] || fail "missing Debian packages: $*" "install them with: sudo apt-get install $*"
    echo "installing missing Debian packages: $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -q -y --no-install-recommends "$@"
}

check_c() {
    local missing=()
    if has "${CC:-cc}" && includes stdlib.h; then
        # Its package has the headers too; libc6-dbg lets it follow the dynamic linker's own functions.
        has valgrind && includes valgrind/valgrind.h || missing+=(valgrind libc6-dbg)
        includes zlib.h || missing+=(zlib1g-dev)
    else
        missing+=(gcc libc6-dev zlib1g-dev)
        has valgrind && [ -e /usr/include/valgrind/valgrind.h ] || missing+=(valgrind libc6-dbg)
    fi
    has python3 || [ -n "${PYTHON:-}" ] || missing+=(python3 python3-venv)
    provide ${missing[@]+"${missing[@]}"}
}

check_rust() {
    local needed found
    needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    has cargo || fail "cargo is missing; pythy needs Rust $needed or newer, Debian's own may be older" \
        "install it with: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
    found=$(cargo --version | cut -d' ' -f2 | cut -d- -f1)
    [ "$(printf '%s\n' "$needed" "$found" | sort -V | head -1)" = "$needed" ] ||
        fail "cargo is $found; pythy needs Rust $needed or newer" \
            "update it with: rustup update stable (https://rustup.rs)"
}

# .venv is remade when its interpreter is gone, or when PYTHON asks for another.
check_venv() {
    local wanted="" now=""
    now=$(.venv/bin/python -I -c 'import os, sys; print(os.path.realpath(sys.executable))' 2>/dev/null) || now=""
    if [ -n "${PYTHON:-}" ]; then
        has "$PYTHON" || fail "PYTHON=$PYTHON: no such program"
        wanted=$("$PYTHON" tools/interpreters.py --this) || fail "PYTHON=$PYTHON cannot be used"
    elif [ -n "$now" ] && .venv/bin/python tools/interpreters.py --this >/dev/null; then
        wanted=$now
    else
        wanted=$(python3 tools/interpreters.py --best) || fail "name one with: make build PYTHON=/path/to/python3"
    fi
    [ "$wanted" != "$now" ] || return 0
    "$wanted" -c 'import ensurepip, venv' 2>/dev/null ||
        provide "$("$wanted" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    echo "creating .venv with $wanted"
    "$wanted" -m venv --clear .venv
}

# cffi and the hand-written extension of the benches include Python.h.
check_python_headers() {
    local name
    name=$(.venv/bin/python -c 'import os, sys, sysconfig
if not os.path.exists(sysconfig.get_path("include") + "/Python.h"):
    print("python%d.%d-dev" % sys.version_info[:2])')
    provide ${name:+"$name"}
}

# For comparison. In a directory of its own: in .venv pytest would load it for the tests.
check_pytest_valgrind() {
    [ ! -d build/pytest-valgrind ] || return 0
    .venv/bin/python -m pip install --quiet --no-deps --target build/pytest-valgrind pytest-valgrind==0.2.0
}

# The second column of the table, as far as it is not installed.
missing_libraries() {
    local wanted installed
    wanted=$(awk 'NF && !/^[#[:space:]]/ {print $2}' tests/python/debian_libraries.txt | sort -u)
    # Fails when it has never heard of one of them.
    installed=$(dpkg-query --show --showformat='${db:Status-Abbrev} ${Package}\n' $wanted 2>/dev/null) || true
    comm -23 <(echo "$wanted") <(echo "$installed" | awk '$1 == "ii" {print $2}' | sort)
}

# Packages that this release does not have, and a machine without network, are no reason to stop.
install_libraries() {
    local known=() package
    apt-get update -q || return 0
    for package in "$@"; do
        if apt-cache show --no-all-versions "$package" >/dev/null 2>&1; then known+=("$package"); fi
    done
    [ ${#known[@]} -gt 0 ] || return 0
    echo "installing libraries that the tests bind: ${known[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${known[@]}" || return 0
}

check_libraries() {
    local missing
    if ! has dpkg-query || ! has apt-get; then
        echo "no Debian packages here: tests of Debian's libraries are skipped"
        return
    fi
    missing=$(missing_libraries)
    if [ -n "$missing" ] && [ "$(id -u)" -eq 0 ]; then
        install_libraries $missing
        missing=$(missing_libraries)
    fi
    [ -z "$missing" ] || echo "tests of libraries that are not installed are skipped:" $missing
}

check_c
check_rust
check_venv
if [ "${1:-}" = bench ]; then check_python_headers; check_pytest_valgrind; fi
if [ "${1:-}" = libraries ]; then check_libraries; fi
