"""What is bound of the C libraries in debian_libraries.txt, held against GCC and nm.

``gcc -aux-info`` tells what the headers declare, ``nm -D`` what the library exports: what is in both is to be
bound, and nothing else.
"""

import functools
import inspect
import keyword
import re
import subprocess
import types
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pythy

pytestmark = pytest.mark.one_python

# Why a function may be declared, exported, and yet not bound.
ACCEPTED = [
    r"it takes '(__gnuc_)?va_list', which pythy cannot pass yet",
    # glibc's headers have _Float128 for GCC, and not for clang.
    r"clang does not see '__\w+f128'",
]


@dataclass
class Prototype:
    """A declaration as GCC prints it."""

    parameters: int
    variadic: bool
    static: bool


@dataclass
class Measured:
    """One library: what is declared and exported, and what became of it."""

    wanted: dict[str, Prototype]
    in_header: dict[str, Prototype]
    bound: dict[str, object]
    unbound: dict[str, str] = field(default_factory=dict)

    @property
    def share(self) -> float:
        return 100 * (1 - len(self.unbound) / len(self.wanted))


def prototypes(library, directory: Path) -> dict[str, Prototype]:
    """What the library's headers declare, included ones among them."""
    source, output = directory / f"{library.name}.c", directory / f"{library.name}.txt"
    source.write_text(includes(library))
    subprocess.run(["gcc", "-aux-info", output, "-fsyntax-only", *library.flags, source], check=True)
    found = {}
    for line in output.read_text().splitlines():
        # /* FILE:LINE:NC */ extern int name (int, char *);
        declaration = re.match(r"/\* .*:\d+:.. \*/ (.*?);", line)
        # `(*` opens a declarator, anything else the parameters.
        name = declaration and re.search(r"(\w+) (\((?!\*).*)", declaration[1])
        if name:
            types = parameter_types(name[2])
            variadic = types[-1:] == ["..."]
            static = declaration[1].startswith("static ")
            found[name[1]] = Prototype(len(types) - variadic, variadic, static)
    return found


def parameter_types(text: str) -> list[str]:
    """The list in parentheses that the text begins with."""
    types, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth == 0:
            break
        if character == "," and depth == 1:
            types.append("")
        elif (character, depth) != ("(", 1) or types != [""]:
            types[-1] += character
    types = [kind.strip() for kind in types]
    return [] if types in (["void"], [""], ["/* ??? */"]) else types


def includes(library) -> str:
    return "".join(f"#include <{header}>\n" for header in library.headers)


def exported(library: Path) -> set[str]:
    """The functions in the library's own symbol table."""
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", library], stdout=subprocess.PIPE, text=True, check=True
    )
    symbols = [line.split()[-2:] for line in listed.stdout.splitlines()]
    return {name.split("@")[0] for kind, name in symbols if kind in "TWi"}


def functions(module) -> dict[str, object]:
    """The C functions of a module, by their names in C."""
    # All of them: hasattr() lets the module make what is made when it is asked for.
    values = {name: getattr(module, name) for name in dir(module) if hasattr(module, name)}
    builtins = {n: f for n, f in values.items() if isinstance(f, types.BuiltinFunctionType)}
    found = {name: f for name, f in builtins.items() if isinstance(f.__self__, types.ModuleType)}
    reserved = {*keyword.kwlist, *(builtins.keys() - found.keys())}
    plain = {name: name[:-1] if name.endswith("_") and name[:-1] in reserved else name for name in found}
    return {plain[name]: function for name, function in found.items()}


def reason(module, name: str) -> str:
    """Why the module does not have the function."""
    try:
        getattr(module, name)
    except pythy.SymbolError as error:
        return re.sub(r"^.*: '\w+' is declared, but ", "", str(error))
    except AttributeError:
        return f"clang does not see '{name}'"
    return "it is an attribute that is no function"


@functools.cache
def measure(library, directory: Path) -> Measured:
    declared, symbols = prototypes(library, directory), exported(library.path)
    module = library.interface()
    wanted = {name: prototype for name, prototype in declared.items() if name in symbols}
    in_header = {name: prototype for name, prototype in declared.items() if prototype.static}
    measured = Measured(wanted, in_header, functions(module))
    measured.unbound = {name: reason(module, name) for name in wanted if name not in measured.bound}
    return measured


def expanded(library, names: list[str], directory: Path) -> dict[str, str]:
    """What the preprocessor makes of each name."""
    source = directory / f"{library.name}_names.c"
    source.write_text(includes(library) + "".join(f"@ {name}\n" for name in names))
    command = ["gcc", "-E", "-P", *library.flags, source]
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = [line[2:].strip(" ()") for line in text.splitlines() if line.startswith("@ ")]
    return dict(zip(names, lines, strict=True))


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("declared")


@pytest.fixture
def measured(debian, debian_library, directory):
    return measure(debian(debian_library.name), directory)


def test_what_is_declared_and_exported_is_bound(measured):
    assert measured.wanted, "the headers declare nothing that the library exports"
    accepted = re.compile("|".join(ACCEPTED))
    assert {name: why for name, why in measured.unbound.items() if not accepted.fullmatch(why)} == {}
    assert measured.wanted.keys() - measured.unbound.keys() <= measured.bound.keys()


def test_nothing_else_is_bound(measured, debian_library, directory):
    known = measured.wanted | measured.in_header
    others = [name for name in measured.bound if name not in known]
    # gmp.h has `#define mpz_init __gmpz_init`.
    macros = expanded(debian_library, others, directory)
    assert {name: text for name, text in macros.items() if text not in known} == {}


def test_signatures_have_the_declared_parameters(measured):
    different = {}
    for name, prototype in measured.wanted.items():
        if name in measured.bound:
            kinds = [p.kind for p in inspect.signature(measured.bound[name]).parameters.values()]
            variadic = inspect.Parameter.VAR_POSITIONAL in kinds
            # GCC shows a declaration without a prototype, int f(), as if it took nothing: it takes anything.
            anything = (len(kinds), variadic, prototype.parameters) == (1, True, 0)
            wanted = (prototype.parameters, prototype.variadic or anything)
            if (len(kinds) - variadic, variadic) != wanted:
                different[name] = (kinds, prototype)
    assert different == {}


def test_every_name_that_is_listed_can_be_had(debian, debian_library):
    module = debian(debian_library.name).interface()
    assert [name for name in dir(module) if not hasattr(module, name)] == []


def test_nearly_all_functions_of_all_libraries_are_bound(installed_debian_libraries, directory):
    wanted, bound = 0, 0
    print()
    for library in installed_debian_libraries:
        one = measure(library, directory)
        wanted += len(one.wanted)
        bound += len(one.wanted) - len(one.unbound)
        print(
            f"{library.name:12} {len(one.wanted):6} {len(one.wanted) - len(one.unbound):6} {one.share:7.2f} %"
        )
    if not wanted:
        pytest.skip("no package of debian_libraries.txt is installed")
    print(f"{'all':12} {wanted:6} {bound:6} {100 * bound / wanted:7.2f} %")
    assert bound / wanted >= 0.995
