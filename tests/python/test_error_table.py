# ruff: noqa: E501 (what pythy says stands here as it is said)
"""Bad input: for each the exception and its literal message, in one table.

``{dir}`` in a message is the directory that the files are in.
"""

import array
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import pythy
from pythy import _native

HEADER = """
    #include <stdint.h>
    #include <stdbool.h>
    struct box;
    struct lid;
    struct pair { int x, y; };
    enum color { RED, GREEN };
    int none(void);
    int one(int value);
    int add(int a, int b);
    int unnamed(int, char *);
    signed char i8(signed char value);
    unsigned char u8(unsigned char value);
    short i16(short value);
    unsigned short u16(unsigned short value);
    int i32(int value);
    unsigned int u32(unsigned int value);
    long i64(long value);
    unsigned long u64(unsigned long value);
    long long ll(long long value);
    unsigned long long ull(unsigned long long value);
    bool flag(bool value);
    char letter(char value);
    float single(float value);
    double twice(double value);
    enum color paint(enum color value);
    struct box *box_new(void);
    struct lid *lid_new(void);
    int box_open(struct box *box);
    int text(const char *text);
    int text_out(char *text);
    void fill(unsigned char *bytes, int value);
    int sum(const int *numbers, int count);
    void sort(int *numbers, int count);
    int any(const void *memory); double mean(const double *numbers, int count);
    void into(void *memory);

    int gone(int value);
    int print(const char *format, ...);
    struct other { int x, y; };
    int visit(int (*each)(int));
    extern const int limit; static int counter = 1;
    extern const char motto[];
    extern const int steps[2];
    int by_value(struct pair value);
    struct pair pair_of(int x); extern struct pair both;
    typedef __int128 huge; __int128 wide(__int128 value);
    int variable(void);
    int weigh(const struct pair *pair);
    void leave(int code);
    int spin(void);
"""

SOURCE = """
    int none(void) { return 0; }
    int one(int value) { return value; }
    int add(int a, int b) { return a + b; }
    int unnamed(int a, char *b) { return a; }
    signed char i8(signed char value) { return value; }
    unsigned char u8(unsigned char value) { return value; }
    short i16(short value) { return value; }
    unsigned short u16(unsigned short value) { return value; }
    int i32(int value) { return value; }
    unsigned int u32(unsigned int value) { return value; }
    long i64(long value) { return value; }
    unsigned long u64(unsigned long value) { return value; }
    long long ll(long long value) { return value; }
    unsigned long long ull(unsigned long long value) { return value; }
    bool flag(bool value) { return value; }
    char letter(char value) { return value; }
    float single(float value) { return value; }
    double twice(double value) { return 2 * value; }
    enum color paint(enum color value) { return value; }
    static int some;
    struct box *box_new(void) { return (struct box *)&some; }
    struct lid *lid_new(void) { return (struct lid *)&some; }
    int box_open(struct box *box) { return box == 0; }
    int weigh(const struct pair *pair) { return pair->x + pair->y; }
    void exit(int code);
    void leave(int code) { exit(code); }
    int spin(void) { for (volatile int i = 0;; i++); return 0; }
    int text(const char *text) { return text == 0; }
    int text_out(char *text) { return text == 0; }
    void fill(unsigned char *bytes, int value) { *bytes = value; }
    int sum(const int *numbers, int count) { return count; }
    void sort(int *numbers, int count) { }
    int any(const void *memory) { return 0; } double mean(const double *numbers, int count) { return *numbers; }
    void into(void *memory) { }
    int print(const char *format, ...) { return 0; }
    int visit(int (*each)(int)) { return each(1); }
    const int limit = 2; struct pair both = {1, 2};
    const char motto[] = "go";
    const int steps[2] = {1, 2};
    int by_value(struct pair value) { return value.x; }
    struct pair pair_of(int x) { struct pair p = {x, x}; return p; }
    __int128 wide(__int128 value) { return value; }
"""


def released(lib):
    """A pointer whose memory has been given back."""
    owned = lib.own(lib.box_new(), lambda pointer: None)
    owned.release()
    return owned


def numbers(lib):
    """A pointer to three numbers, which are gone: good for what must not look at them."""
    return lib.cast(lib.new("int[3]"), "int *")


def function(lib):
    """A function pointer that must not be followed."""
    return lib.cast(1, "int (*)(int)")


def gone_view():
    """A view of nothing any more."""
    view = memoryview(bytearray(8))
    view.release()
    return view


@dataclass(frozen=True)
class Bad:
    """One mistake: what it covers, what does it, what must come of it."""

    # `Error::X` and `HeaderError::X` of src/error.rs, `Failure::X` of src/python/plan.rs, or a word of its own.
    covers: str
    do: Callable[[SimpleNamespace], object]
    raises: type[BaseException]
    says: str


def opened(header: str, library: str = "code.so", **options):
    return lambda at: pythy.create_interface(at.dir / header, at.dir / library, **options)


def no_library(name: str, why: str) -> Bad:
    return Bad(
        "Error::NotALibrary",
        opened("code.h", name),
        pythy.BindingError,
        f"'{{dir}}/{name}' is not a shared library for this machine: {why}",
    )


def skipped(name: str, line: int, why: str) -> Bad:
    return Bad(
        "skipped",
        lambda at: getattr(at.lib, name),
        pythy.SymbolError,
        f"{{dir}}/code.h:{line}: '{name}' is declared, but {why}",
    )


def argument(covers: str, do: Callable[[SimpleNamespace], object], says: str) -> Bad:
    return Bad(covers, do, pythy.ArgumentError, says)


def out_of_range(function: str, spelling: str, low: int, high: int) -> list[Bad]:
    def one(value: int) -> Bad:
        return Bad(
            "Failure::Range",
            lambda at: getattr(at.lib, function)(value),
            OverflowError,
            f"{function}() argument 1 'value' ({spelling}): {value} is out of range: it takes {low} to {high}",
        )

    return [one(low - 1), one(high + 1), one(-(10**30)), one(10**30)]


def signed(bits: int) -> tuple[int, int]:
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def unsigned(bits: int) -> tuple[int, int]:
    return 0, 2**bits - 1


def line_of(text: str) -> int:
    """The line of code.h that has this text."""
    lines = HEADER.lstrip("\n").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


# What the directives below are about.
DIRECTED = """\
int add(int a, int b);
struct crate;
struct crate *crate_new(int width, int *height);
void crate_free(struct crate *crate);
int crate_get_width(const struct crate *crate);
double crate_weight(const struct crate *crate, char *text);
void lid_open(struct lid *lid);
"""


def directive(text: str, says: str, after: str = "", line: int = 1) -> Bad:
    """A header that begins with this directive, and with what comes after it."""

    def do(at: SimpleNamespace) -> object:
        (at.dir / "directed.h").write_text(f"// {text}\n{after}{DIRECTED}")
        return pythy.create_interface(at.dir / "directed.h", at.dir / "code.so")

    return Bad("HeaderError::Directive", do, pythy.HeaderError, f"{{dir}}/directed.h:{line}: {says}")


CRATE = "// $ class crate\n"
# The words of a directive, where they are wrong.
DIRECTIVES = [
    directive("$ privat add", "there is no directive 'privat'; did you mean 'private'?"),
    directive("$ make install", "there is no directive 'make'"),
    directive("$ define int", "'$ define int' is not '$ define OLD -> NEW'"),
    directive("$ define -> int", "'$ define -> int' is not '$ define OLD -> NEW'"),
    directive("$ class", "'$ class' is not '$ class ARGUMENT [NAME]'"),
    directive("$ class crate Crate now", "'$ class crate Crate now' is not '$ class ARGUMENT [NAME]'"),
    directive("$ class crate 3d", "'$ class crate 3d' is not '$ class ARGUMENT [NAME]'"),
    directive("$ class crate", "there is a '$ class crate' already, at {dir}/directed.h:1", CRATE, 2),
    directive("$ init", "'$ init' is not '$ init CLASS [FUNCTION]'"),
    directive("$ init crat crate_new", "there is no '$ class crat'; did you mean 'crate'?", CRATE),
    directive(
        "$ init crate crate_nw",
        "the headers declare no function 'crate_nw'; did you mean 'crate_new'?",
        CRATE,
    ),
    directive("$ init crate", "'add' returns no pointer to a crate", CRATE),
    directive(
        "$ init crate crate_new",
        "'$ class crate' has its init already: 'crate_new'",
        CRATE + "// $ init crate crate_new\n",
        3,
    ),
    directive("$ func_alias", "'$ func_alias' is not '$ func_alias [FUNCTION] NAME'"),
    directive("$ func_alias add 1st", "'$ func_alias add 1st' is not '$ func_alias [FUNCTION] NAME'"),
    directive("$ func_alias ad plus", "the headers declare no function 'ad'; did you mean 'add'?"),
    directive("$ func_alias crate_* plus", "'crate_*' and 'plus' need one '*' each"),
    directive("$ func_alias crate.* *", "no function that the headers declare is like 'crate.*'"),
    directive("$ wrapper", "'$ wrapper' is not '$ wrapper NAME PATTERN...'"),
    directive(
        "$ wrapper encode_string_arg *",
        "no wrapper module has a wrapper 'encode_string_arg'; did you mean 'encode_string_args'?",
    ),
    directive("$ wrapper twice * !ad", "the headers declare no function 'ad'; did you mean 'add'?"),
    directive("$ wrapper twice @crat", "there is no '$ class crat'; did you mean 'crate'?", CRATE),
    directive(
        "$ wrapper twice *",
        "there is a '$ wrapper twice' already, at {dir}/directed.h:1; '$ wrapper_update twice' adds patterns",
        "// $ wrapper twice add\n",
        2,
    ),
    directive("$ wrapper_update", "'$ wrapper_update' is not '$ wrapper_update NAME PATTERN...'"),
    directive(
        "$ wrapper_update twise add",
        "there is no '$ wrapper twise'; did you mean 'twice'?",
        "// $ wrapper twice *\n",
    ),
    directive("$ private add now", "'$ private add now' is not '$ private [FUNCTION]'"),
    directive("$ private ad", "the headers declare no function 'ad'; did you mean 'add'?"),
    directive(
        "$ private",
        "'$ private' without a function is about the next declaration, and 'struct other' is no function",
        "struct other;\n",
    ),
    directive(
        "$ len", "'$ len' is not '$ len [FUNCTION] EXPRESSION' or '$ len FUNCTION.ARGUMENT EXPRESSION'"
    ),
    directive("$ len 3", "what 'add' returns is no pointer"),
    directive("$ len crate_new 3", "the size of 'struct crate' is not known"),
    directive("$ len crate_weight.texts 3", "'crate_weight' has no parameter 'texts'; did you mean 'text'?"),
    directive(
        "$ len crate_wait.text 3",
        "the headers declare no function 'crate_wait'; did you mean 'crate_weight'?",
    ),
    directive("$ len add.a 3", "'a' of 'add' is no pointer"),
    directive(
        "$ len crate_new.height widht + 1",
        "'widht + 1' is no expression over the arguments: 'crate_new' has no parameter 'widht'; did you mean 'width'?",
    ),
    directive(
        "$ len crate_new.height width +",
        "'width +' is no expression over the arguments: it ends too early",
    ),
    directive(
        "$ len crate_new.height width.real",
        "'width.real' is no expression over the arguments: '.' is not expected there",
    ),
    directive(
        "$ len crate_new.height 99999999999999999999",
        "'99999999999999999999' is no expression over the arguments: 99999999999999999999 is too large",
    ),
    directive(
        "$ len crate_new.height 3",
        "there is a '$ len' for 'height' of 'crate_new' already",
        "// $ len crate_new.height 4\n",
        2,
    ),
    directive("$ property a b", "'$ property a b' is not '$ property [NAME]'"),
    directive(
        "$ property widht", "no class has a method get_widht or set_widht; did you mean 'width'?", CRATE
    ),
    directive(
        "$ property width",
        "'width' is the name of crate_weight() already: no property can have it",
        CRATE + "// $ func_alias crate_weight width\n",
    ),
    directive("$ property", "'add' is no get_ or set_ of a property"),
    directive("$ cleanup", "'$ cleanup' is not '$ cleanup ARGUMENT_OR_TYPE [FUNCTION] [!FUNCTION...]'"),
    directive(
        "$ cleanup crat crate_free",
        "'crat' is neither a '$ class' nor a type that a function returns a pointer to; did you mean 'crate'?",
        CRATE,
    ),
    directive(
        "$ cleanup crate crate_fre",
        "the headers declare no function 'crate_fre'; did you mean 'crate_free'?",
        CRATE,
    ),
    directive("$ cleanup crate crate_weight", "'crate_weight' does not take one pointer", CRATE),
    directive(
        "$ cleanup struct crate * crate_free",
        "'crate_free' cleans that up already",
        "// $ cleanup struct crate crate_free\n",
        2,
    ),
    directive(
        "$ cleanup crate crate_free !crate_mew",
        "the headers declare no function 'crate_mew'; did you mean 'crate_new'?",
        CRATE,
    ),
    directive(
        "$ cleanup crate crate_free !crate_new now",
        "'$ cleanup crate crate_free !crate_new now' is not '$ cleanup ARGUMENT_OR_TYPE [FUNCTION] [!FUNCTION...]'",
        CRATE,
    ),
    directive(
        "$ cleanup crate count_free",
        "'count_free' takes a 'int *', no pointer to 'struct crate'",
        CRATE + "void count_free(int *count);\n",
    ),
    directive(
        "$ class crat",
        "'crat' is neither a record nor the first parameter of a function; did you mean 'crate'?",
    ),
    directive("$ class quux", "'quux' is neither a record nor the first parameter of a function"),
    directive(
        "$ class crate new", "'new' is one of pythy's own functions, the class of crate cannot have its name"
    ),
    directive(
        "$ class crate add", "'add' is the name of add() already, the class of crate cannot have its name"
    ),
    directive(
        "$ class crate motto",
        "'motto' is a variable of the library, the class of crate cannot have its name",
        "extern const char motto[];\n",
    ),
    directive(
        "$ func_alias add MOST",
        "'MOST' is a constant of the headers, add() cannot have its name",
        "#define MOST 3\n",
    ),
    directive(
        "$ func_alias add Crate",
        "'Crate' is the name of the class of crate already, add() cannot have its name",
        CRATE,
    ),
    directive(
        "$ func_alias i8 same",
        "'same' is the name of i8() already, u8() cannot have its name",
        "// $ class value\n// $ func_alias u8 same\n"
        "signed char i8(signed char value);\nunsigned char u8(unsigned char value);\n",
        3,
    ),
    directive(
        "$ func_alias one add",
        "'add' is the name of add() already, one() cannot have its name",
        "int one(int value);\n",
    ),
    directive(
        "$ func_alias one plus",
        "'plus' is the name of one() already, add() cannot have its name",
        "// $ func_alias add plus\nint add(int a, int b);\nint one(int value);\n",
        2,
    ),
    directive(
        "$ func_alias add close", "'close' is one of pythy's own functions, add() cannot have its name"
    ),
]

LONG = 8 * array.array("l").itemsize

TABLE = [
    # Headers.
    Bad(
        "HeaderError::HeaderIsDirectory",
        opened("directory"),
        pythy.HeaderError,
        "'{dir}/directory' is a directory, not a header file",
    ),
    Bad(
        "HeaderError::HeaderIsLibrary",
        opened("code.so"),
        pythy.HeaderError,
        "'{dir}/code.so' is a library, not a header file; headers come first, the library last",
    ),
    Bad(
        "HeaderError::HeaderNotFound",
        opened("nowhere.h"),
        pythy.HeaderError,
        "header file '{dir}/nowhere.h' does not exist",
    ),
    Bad(
        "HeaderError::HeaderNotFound",
        lambda at: pythy.create_interface("./nowhere.h", at.dir / "code.so"),
        pythy.HeaderError,
        "header file './nowhere.h' does not exist",
    ),
    Bad(
        "HeaderError::HeaderNotFound",
        lambda at: pythy.create_interface("nowhere.h", at.dir / "code.so", include_dirs=[at.dir]),
        pythy.HeaderError,
        "header file 'nowhere.h' does not exist, nor is it in '{dir}', '/usr/local/include', "
        f"'/usr/include/{os.uname().machine}-linux-gnu' or '/usr/include'",
    ),
    Bad(
        "HeaderError::HeaderSyntax",
        opened("missing_include.h"),
        pythy.HeaderError,
        "{dir}/missing_include.h:1:10: 'no_such_file.h' file not found; include_dirs names further directories to look in",
    ),
    Bad(
        "HeaderError::HeaderSyntax",
        opened("syntax.h"),
        pythy.HeaderError,
        "{dir}/syntax.h:2:14: expected ')'",
    ),
    Bad(
        "HeaderError::HeaderSyntax",
        opened("three_errors.h"),
        pythy.HeaderError,
        "{dir}/three_errors.h:1:1: unknown type name 'aaa_t'; give the header that declares it before this one (and 2 more errors)",
    ),
    Bad(
        "HeaderError::HeaderSyntax",
        opened("unknown_type.h"),
        pythy.HeaderError,
        "{dir}/unknown_type.h:3:9: unknown type name 'quux_t'; give the header that declares it before this one",
    ),
    Bad(
        "HeaderError::Clang",
        opened("code.h", clang_args=["--no-such-option"]),
        pythy.HeaderError,
        "clang could not parse {dir}/code.h: unknown argument: '--no-such-option'",
    ),
    *DIRECTIVES,
    # Libraries.
    Bad(
        "Error::LibraryNotFound",
        opened("code.h", "nowhere.so"),
        pythy.BindingError,
        "library '{dir}/nowhere.so' does not exist; give a path, or a name such as 'libz.so.1' that the "
        "dynamic loader finds",
    ),
    Bad(
        "Error::LibraryNotFound",
        lambda at: pythy.create_interface(at.dir / "code.h", "libnowhere.so.7"),
        pythy.BindingError,
        "library 'libnowhere.so.7' does not exist; give a path, or a name such as 'libz.so.1' that the "
        "dynamic loader finds",
    ),
    no_library("text.so", "it is a text file"),
    no_library("empty.so", "it is empty"),
    no_library("script.so", "it is a linker script; give the library that it names"),
    no_library("binary.so", "it is no ELF file"),
    no_library("code.o", "it is an ELF object file (link it with 'cc -shared'), not a shared object"),
    no_library("code.a", "it is a static archive; give the .so"),
    no_library("other_width.so", "its word size is another"),
    no_library("other_machine.so", "it is made for another processor"),
    no_library("cut.so", "its ELF data is damaged (Invalid ELF section header offset/size/alignment)"),
    no_library("directory", "it is a directory"),
    Bad(
        "Error::LibraryLoad",
        opened("code.h", "unresolved.so"),
        pythy.BindingError,
        "library '{dir}/unresolved.so' cannot be loaded: "
        "{dir}/unresolved.so: undefined symbol: defined_nowhere",
    ),
    Bad(
        "Error::NothingInCommon",
        opened("stranger.h"),
        pythy.BindingError,
        "none of the 2 functions that {dir}/stranger.h declares is exported by '{dir}/code.so'; "
        "do header and library belong together?",
    ),
    # Names that the header has and the module has not.
    skipped("gone", line_of("gone"), "it is not exported by {dir}/code.so"),
    skipped("wide", line_of("wide"), "it takes '__int128', which pythy cannot pass yet"),
    Bad(
        "unknown name",
        lambda at: at.lib.never_declared,
        AttributeError,
        "module 'code' has no attribute 'never_declared'",
    ),
    # The number of arguments.
    argument("count", lambda at: at.lib.none(1), "none() takes 0 arguments, but 1 was given: int none(void)"),
    argument(
        "count", lambda at: at.lib.one(), "one() takes 1 argument, but 0 were given: int one(int value)"
    ),
    argument(
        "count", lambda at: at.lib.add(1), "add() takes 2 arguments, but 1 was given: int add(int a, int b)"
    ),
    argument(
        "count",
        lambda at: at.lib.add(1, 2, 3),
        "add() takes 2 arguments, but 3 were given: int add(int a, int b)",
    ),
    argument(
        "count",
        lambda at: at.lib.twice(),
        "twice() takes 1 argument, but 0 were given: double twice(double value)",
    ),
    argument(
        "count",
        lambda at: at.lib.add(a=1, b=2),
        "add() takes no keyword arguments: int add(int a, int b)",
    ),
    argument(
        "count",
        lambda at: at.lib.add(1, b=2),
        "add() takes no keyword arguments: int add(int a, int b)",
    ),
    # Ranges: one below, one above, and what no C integer holds.
    *out_of_range("i8", "signed char", *signed(8)),
    *out_of_range("u8", "unsigned char", *unsigned(8)),
    *out_of_range("i16", "short", *signed(16)),
    *out_of_range("u16", "unsigned short", *unsigned(16)),
    *out_of_range("i32", "int", *signed(32)),
    *out_of_range("u32", "unsigned int", *unsigned(32)),
    *out_of_range("i64", "long", *signed(LONG)),
    *out_of_range("u64", "unsigned long", *unsigned(LONG)),
    *out_of_range("ll", "long long", *signed(64)),
    *out_of_range("ull", "unsigned long long", *unsigned(64)),
    *out_of_range("flag", "_Bool", 0, 1),
    *out_of_range("paint", "enum color", *unsigned(32)),
    Bad(
        "Failure::Range",
        lambda at: at.lib.letter(300),
        OverflowError,
        "letter() argument 1 'value' (char): 300 is out of range: it takes -128 to 127",
    ),
    Bad(
        "Failure::Range",
        lambda at: at.lib.single(1e39),
        OverflowError,
        "single() argument 1 'value' (float): 1e+39 is out of range",
    ),
    Bad(
        "Failure::Range",
        lambda at: at.lib.twice(10**400),
        OverflowError,
        "twice() argument 1 'value' (double): "
        "1000000000000000000000000000000000000000000000000000000000000000000000000000000… is out of range",
    ),
    Bad(
        "Failure::Range",
        lambda at: at.lib.add(1, 2**31),
        OverflowError,
        "add() argument 2 'b' (int): 2147483648 is out of range: it takes -2147483648 to 2147483647",
    ),
    # Types.
    argument(
        "Failure::Type", lambda at: at.lib.one("1"), "one() argument 1 'value' (int) must be an int, not str"
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.one(None),
        "one() argument 1 'value' (int) must be an int, not NoneType",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.one(1.0),
        "one() argument 1 'value' (int) must be an int, not float",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.add(1, b"2"),
        "add() argument 2 'b' (int) must be an int, not bytes",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.ull(1.5),
        "ull() argument 1 'value' (unsigned long long) must be an int, not float",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.unnamed("x", None),
        "unnamed() argument 1 (int) must be an int, not str",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.flag("yes"),
        "flag() argument 1 'value' (_Bool) must be a bool, not str",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.letter(b"ab"),
        "letter() argument 1 'value' (char) must be bytes of length 1, a str of one ASCII character or an int, "
        "not bytes",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.letter("é"),
        "letter() argument 1 'value' (char) must be bytes of length 1, a str of one ASCII character or an int, "
        "not str",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.twice("2"),
        "twice() argument 1 'value' (double) must be a float, not str",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.single(None),
        "single() argument 1 'value' (float) must be a float, not NoneType",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.text(5),
        "text() argument 1 'text' (const char *) must be bytes, a str, a writable buffer, a pointer or None, "
        "not int",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.box_open(1),
        "box_open() argument 1 'box' (struct box *) must be a pointer or None, not int",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.box_open(b"box"),
        "box_open() argument 1 'box' (struct box *) must be a pointer or None, not bytes",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.fill(1, 2),
        "fill() argument 1 'bytes' (unsigned char *) must be a writable buffer, a pointer or None, not int",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.any("text"),
        "any() argument 1 'memory' (const void *) must be bytes, a buffer, a pointer or None, not str",
    ),
    argument(
        "Failure::WrongTarget",
        lambda at: at.lib.box_open(at.lib.lid_new()),
        "box_open() argument 1 'box' (struct box *) must not be a pointer of type 'struct lid *'",
    ),
    argument(
        "Failure::WrongTarget",
        lambda at: at.lib.sort(at.lib.ref("long"), 1),
        "sort() argument 1 'numbers' (int *) must not be a pointer of type 'long *'",
    ),
    # Text and buffers.
    argument(
        "Failure::EmbeddedNul",
        lambda at: at.lib.text("a\0b"),
        "text() argument 1 'text' (const char *) must not be a str with a NUL character inside: "
        "C would see the text end there",
    ),
    argument(
        "Failure::ReadOnly",
        lambda at: at.lib.fill(b"bytes", 1),
        "fill() argument 1 'bytes' (unsigned char *) must be writable, because C may write there; "
        "this bytes is read-only",
    ),
    argument(
        "Failure::ReadOnly",
        lambda at: at.lib.into(memoryview(b"view")),
        "into() argument 1 'memory' (void *) must be writable, because C may write there; "
        "this memoryview is read-only",
    ),
    argument(
        "Failure::NotContiguous",
        lambda at: at.lib.fill(memoryview(bytearray(8))[::2], 1),
        "fill() argument 1 'bytes' (unsigned char *) must be a C-contiguous buffer, which this memoryview is not",
    ),
    argument(
        "Failure::NoBuffer",
        lambda at: at.lib.fill(gone_view(), 1),
        "fill() argument 1 'bytes' (unsigned char *) must be a buffer, and this memoryview gives none: "
        "operation forbidden on released memoryview object",
    ),
    argument(
        "Failure::Length",
        lambda at: at.lib.sum(b"seven b", 1),
        "sum() argument 1 'numbers' (const int *) must be a whole number of items of 4 bytes; "
        "this bytes has 7 bytes",
    ),
    argument(
        "Failure::ItemSize",
        lambda at: at.lib.sum(array.array("d", [1.0]), 1),
        "sum() argument 1 'numbers' (const int *) must be a buffer of items of that type; "
        "this array has items of 8 bytes",
    ),
    argument(
        "Failure::ItemSize",
        lambda at: at.lib.sort(array.array("h", [1, 2]), 1),
        "sort() argument 1 'numbers' (int *) must be a buffer of items of that type; "
        "this array has items of 2 bytes",
    ),
    argument(
        "Failure::Items",
        lambda at: at.lib.sum(array.array("f", [1.0]), 1),
        "sum() argument 1 'numbers' (const int *) must be a buffer of integers; "
        "this array has floating-point numbers",
    ),
    argument(
        "Failure::Items",
        lambda at: at.lib.mean(array.array("q", [1]), 1),
        "mean() argument 1 'numbers' (const double *) must be a buffer of floating-point numbers; "
        "this array has integers",
    ),
    argument(
        "Failure::Items",
        lambda at: at.lib.ref("double *", array.array("Q", [1])),
        "the value (double *) must be a buffer of floating-point numbers; this array has integers",
    ),
    Bad("Failure::Raised", lambda at: at.lib.one(Faulty()), ZeroDivisionError, "of the argument's own"),
    Bad("Failure::Raised", lambda at: at.lib.twice(Faulty()), ZeroDivisionError, "of the argument's own"),
    Bad(
        "Failure::Raised",
        lambda at: at.lib.text("\ud800"),
        UnicodeEncodeError,
        "'utf-8' codec can't encode character '\\ud800' in position 0: surrogates not allowed",
    ),
    # After close().
    Bad(
        "closed",
        lambda at: at.closed.add(1, 2),
        pythy.Error,
        "add() was called after its interface was closed",
    ),
    # Options.
    Bad(
        "option",
        opened("code.h", gil="keep"),
        ValueError,
        "gil must be 'release' or 'hold', not 'keep'",
    ),
    Bad(
        "option",
        opened("code.h", encoding="latin-1"),
        ValueError,
        "encoding must be None or 'utf-8', not 'latin-1'",
    ),
    Bad(
        "option",
        opened("code.h", backend="remote"),
        ValueError,
        "backend must be 'inprocess' or 'isolated', not 'remote'",
    ),
    Bad(
        "option",
        opened("code.h", checker="memcheck"),
        ValueError,
        "checker is for backend='isolated' only",
    ),
    Bad(
        "option",
        opened("code.h", leak_check="daily"),
        ValueError,
        "leak_check must be 'call', 'test', 'session' or 'off', not 'daily'",
    ),
    Bad(
        "option",
        opened("code.h", timeout=1),
        ValueError,
        "timeout is for backend='isolated' only: only a worker can be ended",
    ),
    Bad(
        "option", opened("code.h", timeout=-1), ValueError, "timeout is a positive number of seconds, not -1"
    ),
    Bad(
        "option",
        opened("code.h", timeout="soon"),
        TypeError,
        "timeout is a number of seconds or None, not str",
    ),
    Bad(
        "option",
        opened("code.h", backend="isolated", checker="helgrind"),
        ValueError,
        "checker must be 'memcheck' or 'none', not 'helgrind'",
    ),
    Bad(
        "option",
        lambda lib: opened("code.h", worker=pythy.worker(checker="none"), checker="none")(lib),
        ValueError,
        "checker is the worker's own: pythy.worker(checker=...)",
    ),
    argument("option", opened("code.h", include_dirs=[5]), "include_dirs must be a str or a path, not int"),
    argument(
        "option", opened("code.h", defines="X=1"), "defines must be a dict such as {'NAME': 1}, not str"
    ),
    argument("option", opened("code.h", defines={1: 2}), "a name in defines must be a str, not int"),
    argument("option", opened("code.h", module="code"), "module must be a module, not str"),
    argument("option", opened("code.h", worker=1), "worker must be what pythy.worker() makes, not int"),
    argument("option", opened("code.h", clang_args="-DX"), "clang_args must be a list of str, not str"),
    argument(
        "option",
        lambda at: pythy.create_interface(at.dir / "code.h", None),
        "library_file must be a str or a path, not NoneType",
    ),
    argument(
        "option",
        lambda at: pythy.create_interface(None, at.dir / "code.so"),
        "header_files must be a str or a path, not NoneType",
    ),
    Bad(
        "option",
        lambda at: pythy.create_interface([], at.dir / "code.so"),
        ValueError,
        "header_files is empty: give at least one header",
    ),
    # References.
    argument("type name", lambda at: at.lib.ref("quux"), "'quux' is not a type of code.h"),
    argument(
        "type name",
        lambda at: at.lib.new("struct pear"),
        "'struct pear' is not a type of code.h; did you mean 'struct pair'?",
    ),
    argument(
        "type name",
        lambda at: at.lib.callback("int (*)(int"),
        "'int (*)(int' is no C type: ',' or ')' expected at its end",
    ),
    argument(
        "type name",
        lambda at: at.lib.sizeof("int (*)(int)[3]"),
        "'int (*)(int)[3]' is no C type: there is no function that returns an array",
    ),
    argument(
        "type name",
        lambda at: at.lib.new("int" + "[1]" * 10_000),
        f"'{('int' + '[1]' * 100)[:200]}…' is too deep: of pointers, arrays and functions in one another 64 will do",
    ),
    argument(
        "type name",
        lambda at: at.lib.sizeof("int " + "*" * 100_000),
        f"'int {'*' * 196}…' is too deep: of pointers, arrays and functions in one another 64 will do",
    ),
    argument(
        "type name",
        lambda at: at.lib.sizeof("int " + "(*" * 65 + ")" * 65),
        f"'int {'(*' * 65}{')' * 65}' is too deep: of pointers, arrays and functions in one another 64 will do",
    ),
    Bad("ref", lambda at: at.lib.ref("void"), TypeError, "'void' has no size: 'void' has no values"),
    Bad(
        "new",
        lambda at: at.lib.new("struct box"),
        TypeError,
        "'struct box' has no size: 'struct box' is only declared, not defined",
    ),
    Bad(
        "ref",
        lambda at: at.lib.ref("huge"),
        TypeError,
        "'__int128' has no size: pythy cannot read or write 'huge' (__int128) yet",
    ),
    Bad(
        "ref",
        lambda at: at.lib.ref("unsigned char", 256),
        OverflowError,
        "the value (unsigned char): 256 is out of range: it takes 0 to 255",
    ),
    argument("ref", lambda at: at.lib.ref("int", "5"), "the value (int) must be an int, not str"),
    # Names of the module.
    skipped(
        "counter",
        line_of("counter = 1"),
        "it is static: its value is in the header, where each file that includes it has its own, the library too",
    ),
    Bad(
        "assigned",
        lambda at: setattr(at.lib, "limmit", 1),
        AttributeError,
        "'limmit' is no variable of code.h; did you mean 'limit'? (a name of your own may begin with '_')",
    ),
    Bad(
        "assigned",
        lambda at: setattr(at.lib, "quux", 1),
        AttributeError,
        "'quux' is no variable of code.h (a name of your own may begin with '_')",
    ),
    Bad(
        "assigned",
        lambda at: setattr(at.lib, "add", 1),
        AttributeError,
        "'add' is a function of the library: only a callable can take its place",
    ),
    Bad(
        "assigned",
        lambda at: setattr(at.lib, "new", 1),
        AttributeError,
        "'new' is one of pythy's own functions: only a callable can take its place",
    ),
    Bad(
        "assigned",
        lambda at: setattr(at.lib, "RED", 1),
        AttributeError,
        "'RED' is a constant of the headers: it cannot be assigned",
    ),
    Bad(
        "assigned",
        lambda at: setattr(at.lib, "pair", 1),
        AttributeError,
        "'pair' is a type of the headers: it cannot be assigned",
    ),
    Bad(
        "deleted",
        lambda at: delattr(at.lib, "add"),
        AttributeError,
        "'add' is a function of the library: it cannot be deleted",
    ),
    Bad(
        "deleted",
        lambda at: delattr(at.lib, "both"),
        AttributeError,
        "'both' is a variable of the library: it cannot be deleted",
    ),
    # Records, arrays, pointers.
    Bad(
        "cast",
        lambda at: at.lib.cast(2**64, "void *"),
        OverflowError,
        "cast(): 18446744073709551616 is no address: it takes -9223372036854775808 to 18446744073709551615",
    ),
    argument(
        "class",
        lambda at: at.lib.pair(1, 2, 3),
        "pair() takes one value, not 3; fields go by name, or all as one tuple: pair((1, 2))",
    ),
    argument(
        "Failure::WrongRecord",
        lambda at: at.lib.by_value(at.lib.new("struct other")),
        "by_value() argument 1 'value' (struct pair) must not be a 'struct other'",
    ),
    argument(
        "Failure::Type",
        lambda at: at.lib.by_value(1),
        "by_value() argument 1 'value' (struct pair) must be a 'struct pair', not int",
    ),
    Bad(
        "Failure::Released",
        lambda at: at.lib.box_open(released(at.lib)),
        pythy.Error,
        "box_open() argument 1 'box' (struct box *) has been released",
    ),
    Bad("released", lambda at: int(released(at.lib)), pythy.Error, "this 'struct box *' has been released"),
    Bad(
        "index",
        lambda at: at.lib.new("int[3]")[3],
        IndexError,
        "index 3 is out of range for 'int [3]'",
    ),
    Bad("index", lambda at: at.lib.new("int[3]")[-4], IndexError, "index -4 is out of range for 'int [3]'"),
    Bad(
        "index",
        lambda at: at.lib.new("int[3]").__setitem__(3, 1),
        IndexError,
        "index 3 is out of range for 'int [3]'",
    ),
    Bad(
        "index",
        lambda at: numbers(at.lib)[-1],
        IndexError,
        "a pointer's index or step is not negative: -1",
    ),
    Bad("index", lambda at: numbers(at.lib)[0:], IndexError, "a pointer's slice needs an end: p[0:n]"),
    Bad("index", lambda at: numbers(at.lib)[0:3:0], ValueError, "a slice's step is not zero"),
    Bad(
        "index",
        lambda at: numbers(at.lib)[0:3:-1],
        IndexError,
        "a pointer's index or step is not negative: -1",
    ),
    Bad("index", lambda at: at.lib.new("int[3]")[::0], ValueError, "slice step cannot be zero"),
    Bad(
        "index",
        lambda at: at.lib.new("int[3]").__setitem__(slice(0, 3), [1, 2]),
        ValueError,
        "a slice of 3 items takes as many, not 2",
    ),
    Bad(
        "index",
        lambda at: numbers(at.lib).__setitem__(slice(0, 2), [1, 2]),
        TypeError,
        "a pointer's items are assigned one by one: it does not know how many there are",
    ),
    Bad(
        "opaque",
        lambda at: at.lib.box_new()[0],
        TypeError,
        "a 'struct box *' cannot be looked into: 'struct box' is only declared, not defined",
    ),
    Bad(
        "field",
        lambda at: at.lib.new("struct pair").z,
        AttributeError,
        "'struct pair' has no field 'z'",
    ),
    Bad(
        "field",
        lambda at: at.lib.new("struct pair", x=2**31),
        OverflowError,
        "struct pair.x (int): 2147483648 is out of range: it takes -2147483648 to 2147483647",
    ),
    argument("items", lambda at: at.lib.new("int[2]", [1, 2, 3]), "the value: 3 items do not fit 2"),
    argument("const", lambda at: setattr(at.lib, "limit", 3), "limit is const: it cannot be written"),
    argument("const", lambda at: setattr(at.lib, "motto", b"x"), "motto is const: it cannot be written"),
    argument("const", lambda at: setattr(at.lib, "steps", [1]), "steps is const: it cannot be written"),
    argument(
        "const",
        lambda at: setattr(at.lib.cast(at.lib.new("struct pair"), "const struct pair *"), "x", 1),
        "struct pair.x is in a const record: it cannot be written",
    ),
    argument(
        "const",
        lambda at: at.lib.cast(numbers(at.lib), "const int *").__setitem__(0, 1),
        "'int *' item 0 is const: it cannot be written",
    ),
    Bad(
        "const",
        lambda at: at.lib.buffer(at.lib.new("const int", 1)).__setitem__(0, 1),
        TypeError,
        "cannot modify read-only memory",
    ),
    # Initialisers, and fields that hold pointers.
    argument(
        "initialiser",
        lambda at: at.lib.new("struct pair", {"z": 1}),
        "'struct pair' has no field 'z'",
    ),
    argument(
        "initialiser",
        lambda at: at.lib.new("struct pair[2]", [(1, 2), (3, "4")]),
        "the value[1].y (int) must be an int, not str",
    ),
    argument(
        "initialiser",
        lambda at: at.lib.new("struct pair", (1, 2, 3)),
        "struct pair: 3 items for the 2 fields of 'struct pair'",
    ),
    argument(
        "initialiser",
        lambda at: at.lib.new("struct pair", at.lib.new("struct other")),
        "struct pair takes a 'struct pair', not a 'struct other'",
    ),
    argument(
        "Failure::EmbeddedNul",
        lambda at: at.lib.ref("const char *", "a\0b"),
        "the value (char *) must not be a str with a NUL character inside: C would see the text end there",
    ),
    argument(
        "Failure::ReadOnly",
        lambda at: at.lib.ref("int *", memoryview(b"1234")),
        "the value (int *) must be writable, because C may write there; this memoryview is read-only",
    ),
    argument(
        "Failure::WrongTarget",
        lambda at: at.lib.ref("struct box *", at.lib.lid_new()),
        "the value (struct box *) must not be a pointer of type 'struct lid *'",
    ),
    Bad(
        "Failure::Released",
        lambda at: at.lib.ref("struct box *", released(at.lib)),
        pythy.Error,
        "the value (struct box *) has been released",
    ),
    argument(
        "variadic",
        lambda at: at.lib.print(b"%p", object()),
        "print() argument 2 (one of '...') must be an int, a float, bytes, a str, a buffer, a pointer or None "
        "that C can take as it is, not object",
    ),
    argument(
        "variadic",
        lambda at: at.lib.print(b"%p", lambda: 1),
        "print() argument 2 (one of '...') must be made a function pointer: "
        'lib.callback("int (*)(int)")(function), with the type that C expects',
    ),
    Bad(
        "variadic",
        lambda at: at.lib.print(b"%lu", 2**64),
        OverflowError,
        "print() argument 2 (one of '...'): 18446744073709551616 is out of range: "
        "it takes -9223372036854775808 to 18446744073709551615",
    ),
    argument(
        "variadic",
        lambda at: at.lib.print(b"%s", "a\0b"),
        "print() argument 2 (one of '...') must not be a str with a NUL character inside: "
        "C would see the text end there",
    ),
    argument(
        "count",
        lambda at: at.lib.print(),
        "print() takes at least 1 argument, but 0 were given: int print(const char *format, ...)",
    ),
    argument(
        "callback",
        lambda at: at.lib.visit(5),
        "visit() argument 1 'each' (int (*)(int)) must be a callable, a pointer or None, not int",
    ),
    argument(
        "callback",
        lambda at: at.lib.visit(lambda value: "x"),
        "a callback's result (int) must be an int, not str",
    ),
    Bad(
        "callback",
        lambda at: at.lib.callback("int"),
        TypeError,
        "'int' is no function pointer type",
    ),
    Bad(
        "callback",
        lambda at: at.lib.callback("int (*)(int)")(5),
        TypeError,
        "a callback is made of a callable, not of int",
    ),
    argument(
        "callback",
        lambda at: at.lib.callback("int (*)(int, ...)")(id),
        "a callback of type 'int (*)(int, ...)' cannot be made: it is variadic",
    ),
    # Function pointers and handles.
    argument(
        "function pointer",
        lambda at: function(at.lib)(),
        "'int (*)(int)' takes 1 argument, but 0 were given",
    ),
    argument(
        "function pointer",
        lambda at: function(at.lib)("1"),
        "'int (*)(int)' argument 1 (int) must be an int, not str",
    ),
    argument(
        "function pointer",
        lambda at: at.lib.box_new()(1),
        "a 'struct box *' cannot be called; lib.cast(pointer, \"int (*)(int)\") makes a function pointer of it",
    ),
    argument(
        "function pointer",
        lambda at: at.lib.cast(1, "int (*)(struct box)")(1),
        "a 'int (*)(struct box)' cannot be called: it takes the incomplete 'struct box' by value, which pythy "
        "cannot pass yet",
    ),
    Bad(
        "closed",
        lambda at: at.closed_function(1),
        pythy.Error,
        "a 'int (*)(int)' was called after its interface was closed",
    ),
    Bad(
        "Failure::Closed",
        lambda at: at.lib.by_value(at.closed_record),
        pythy.Error,
        "by_value() argument 1 'value' (struct pair) is in C's memory, whose interface was closed",
    ),
    argument(
        "handle",
        lambda at: at.lib.from_handle(at.lib.box_new()),
        "from_handle() takes a pointer that new_handle() made, and that is still kept; this one is none or is gone",
    ),
    argument(
        "handle",
        lambda at: at.lib.from_handle(None),
        "from_handle() takes a pointer that new_handle() made, not None",
    ),
    argument(
        "own",
        lambda at: at.lib.own(b"text", at.lib.into),
        "own() takes a Pointer to free, not bytes",
    ),
    argument("own", lambda at: at.lib.own(at.lib.box_new(), 5), "own() frees with a callable, not with int"),
    argument(
        "own",
        lambda at: at.lib.own(at.lib.own(at.lib.box_new(), id), id),
        "own(): this pointer is owned already; disown() it first",
    ),
    Bad(
        "cast",
        lambda at: at.lib.cast([0], "int[1]"),
        TypeError,
        "cast() makes pointers, numbers and records, and 'int[1]' is none",
    ),
    argument("cast", lambda at: at.lib.cast("5", "int"), "the value (int) must be an int, not str"),
    argument(
        "cast",
        lambda at: at.lib.cast(b"text", "char *"),
        "cast() takes a Pointer, a Ref, a Record, an Array, a callback, an int or None, not bytes",
    ),
    argument(
        "sizeof",
        lambda at: at.lib.sizeof(at.lib.box_new()),
        "sizeof() takes a type, a Ref, a Record or an Array, not Pointer",
    ),
    argument(
        "buffer",
        lambda at: at.lib.buffer(b"text"),
        "buffer() takes a Pointer, a Ref, a Record or an Array, not bytes",
    ),
    Bad(
        "index",
        lambda at: at.lib.new("int[4]")[2**70],
        IndexError,
        "index 1180591620717411303424 is out of range for 'int [4]'",
    ),
    Bad(
        "record",
        lambda at: at.lib.both[0],
        TypeError,
        "a field of 'struct pair' is asked for by its name, not by int",
    ),
    Bad(
        "record",
        lambda at: list(at.lib.both),
        TypeError,
        "a 'struct pair' has fields with names, which cannot be iterated over",
    ),
    Bad("sizeof", lambda at: at.lib.sizeof("struct box"), TypeError, "'struct box' has no size"),
    Bad(
        "buffer",
        lambda at: at.lib.buffer(at.lib.new("int"), 5),
        ValueError,
        "5 bytes are more than the 4 that there are",
    ),
    Bad(
        "ref",
        lambda at: at.lib.ref("int").pointer,
        AttributeError,
        "a ref of type 'int' holds no pointer",
    ),
    # The worker.
    Bad(
        "Error::WorkerCrashed",
        lambda at: at.isolated.leave(3),
        pythy.WorkerCrashed,
        "the C code ended the worker: it called exit(3)\n"
        f"leave() ({{dir}}/code.h:{line_of('void leave')}): exit: the C code called exit(3)",
    ),
    Bad(
        "Error::WorkerTimeout",
        lambda at: at.isolated.spin(timeout=0.1),
        TimeoutError,
        "the call took longer than 0.1 s; the worker has been ended",
    ),
    Bad(
        "Error::WorkerGone",
        lambda at: at.dead.x,
        pythy.Error,
        "the worker has ended (by exit(1)), and what was in its memory is gone",
    ),
    Bad(
        "Failure::Elsewhere",
        lambda at: at.isolated.weigh(at.lib.new("struct pair")),
        pythy.Error,
        "weigh() argument 1 'pair' (const struct pair *) is in the memory of another process: each worker has its own",
    ),
    Bad(
        "Failure::Gone",
        lambda at: at.isolated.weigh(at.dead),
        pythy.Error,
        "weigh() argument 1 'pair' (const struct pair *) was in the memory of a worker that has ended, and is gone",
    ),
    # Reports.
    Bad(
        "Error::ReportWrite",
        lambda at: pythy.memory_report().to_json(at.dir / "nowhere/report.json"),
        FileNotFoundError,
        "[Errno 2] the report '{dir}/nowhere/report.json' cannot be written: No such file or directory",
    ),
    Bad(
        "Error::ReportRead",
        lambda at: pythy._native.read_report(at.dir / "code.h"),
        pythy.Error,
        "'{dir}/code.h' is no report of pythy's: expected value at line 1 column 1",
    ),
    Bad(
        "report",
        lambda at: unfinished_report().findings,
        pythy.Error,
        "this report is still being made: read it after the 'with pythy.watch()' block",
    ),
]

# Where the variants that this process cannot bring about are held to their messages.
ELSEWHERE = {
    "Error::Interrupted": "test_isolated.py, as it is a KeyboardInterrupt",
    "Error::WorkerBuild": "src/worker/hostile.rs",
    "Error::WorkerMemory": "test_isolated.py, where a worker gets little memory",
    "Error::WorkerNonsense": "src/worker/hostile.rs",
    "Error::ReportForm": "nowhere: only a defect of pythy's brings it about",
    "Error::WorkerRefused": "nowhere: only a file of the library's that changed meanwhile brings it about",
    "Error::WorkerStart": "test_isolated.py, where there is no worker",
    "Error::Header": "every HeaderError in this table",
    "Error::HeaderReader": "test_valgrind.py, as headers are read apart under Valgrind only",
    "Error::Log": "tests/evidence_location.rs",
    "Error::ValgrindMissing": "src/valgrind/installed.rs",
    "Error::ValgrindUnusable": "src/valgrind/installed.rs",
    "HeaderError::LibclangMissing": "test_without_libclang_the_message_says_how_to_get_it",
}


class Faulty:
    """A number whose conversion fails."""

    def __index__(self):
        raise ZeroDivisionError("of the argument's own")

    __float__ = __index__


def unfinished_report():
    with pythy.watch() as report:
        return report.findings


@pytest.fixture(scope="module")
def at(build, cc, tmp_path_factory):
    """The directory ``dir`` with the bad files, and the interface ``lib`` of the good ones."""
    built = build(HEADER, SOURCE)
    directory = built.directory
    elf = built.library.read_bytes()
    (directory / "missing_include.h").write_text('#include "no_such_file.h"\nint one(int value);\n')
    (directory / "syntax.h").write_text("int one(int value);\nint two(int a;\n")
    (directory / "unknown_type.h").write_text("int one(int value);\n\nint two(quux_t a);\n")
    (directory / "three_errors.h").write_text("aaa_t one(void);\nbbb_t two(void);\nccc_t three(void);\n")
    (directory / "stranger.h").write_text("int stranger(int value);\nint other(void);\n")
    (directory / "text.so").write_text("int one(int value);\n")
    (directory / "empty.so").write_bytes(b"")
    (directory / "script.so").write_text("/* GNU ld script */\nGROUP ( libc.so.6 )\n")
    (directory / "binary.so").write_bytes(bytes(range(256)))
    (directory / "code.a").write_bytes(b"!<arch>\n")
    (directory / "other_width.so").write_bytes(elf[:4] + bytes([3 - elf[4]]) + elf[5:])
    # e_machine of a processor that pythy does not run on.
    (directory / "other_machine.so").write_bytes(elf[:18] + b"\x08\x00" + elf[20:])
    (directory / "cut.so").write_bytes(elf[:3000])
    (directory / "directory").mkdir()
    cc(built.source, directory / "code.o", "-c")
    (directory / "unresolved.c").write_text(
        "int defined_nowhere(void); int one(int a) { return defined_nowhere(); }\n"
    )
    cc(directory / "unresolved.c", directory / "unresolved.so")
    isolated = pythy.create_interface(built.header, built.library, backend="isolated", checker="none")
    dead = isolated.new("struct pair")
    with pytest.raises(pythy.WorkerCrashed):
        isolated.leave(1)
    closed = pythy.create_interface(built.header, built.library)
    closed_function, closed_record = function(closed), closed.both
    closed.close()
    return SimpleNamespace(
        dir=directory,
        lib=pythy.create_interface(built.header, built.library),
        closed=closed,
        isolated=isolated,
        dead=dead,
        closed_function=closed_function,
        closed_record=closed_record,
    )


def name_of(bad: Bad) -> str:
    words = re.sub(r"\W+", "-", bad.says.replace("{dir}/", ""))
    return f"{bad.covers.replace('::', '.')}-{words[:50]}"


@pytest.mark.parametrize("bad", TABLE, ids=name_of)
def test_bad_input_gives_the_exception_and_the_message(at, bad):
    with pytest.raises(bad.raises) as caught:
        bad.do(at)
    assert type(caught.value) is bad.raises
    assert str(caught.value) == bad.says.replace("{dir}", str(at.dir))


def test_the_command_refuses_directives_in_the_same_words(at):
    for bad in DIRECTIVES:
        with pytest.raises(pythy.HeaderError) as of_interface:
            bad.do(at)
        # Which wrapper modules there will be, only the program knows.
        if "no wrapper module" not in bad.says:
            with pytest.raises(pythy.HeaderError) as of_command:
                _native.describe(at.dir / "directed.h", at.dir / "code.so")
            assert str(of_command.value) == str(of_interface.value)


def variants(file: str, enum: str) -> set[str]:
    """The variants of an enum in one of the Rust sources."""
    text = (Path(__file__).parents[2] / file).read_text()
    body = re.search(rf"pub enum {enum} \{{\n(.*?)\n\}}\n", text, re.DOTALL).group(1)
    return {f"{enum}::{name}" for name in re.findall(r"^    ([A-Z]\w*)", body, re.MULTILINE)}


def test_the_table_covers_every_error_of_the_core():
    errors = variants("src/error.rs", "Error") | variants("src/error.rs", "HeaderError")
    errors |= variants("src/python/plan.rs", "Failure")
    assert len(errors) > 20
    covered = {bad.covers for bad in TABLE if "::" in bad.covers}
    assert covered & ELSEWHERE.keys() == set()
    assert covered | ELSEWHERE.keys() == errors


@dataclass(frozen=True)
class Form:
    """A directive: with its target named, with the next declaration as target, and twice wrong."""

    named: str
    implied: str
    # The declaration that the implied one stands before.
    before: str
    malformed: str
    form: str
    misspelt: str
    says: str


MISSPELT = "the headers declare no function 'crate_get_widht'; did you mean 'crate_get_width'?"
FORMS = {
    "define": Form(
        "define number -> int",
        "define number ->",
        "int add",
        "define number",
        "define OLD -> NEW",
        "defin number -> int",
        "there is no directive 'defin'; did you mean 'define'?",
    ),
    "class": Form(
        "class lid Lid",
        "class lid",
        "struct crate;",
        "class lid Lid 2",
        "class ARGUMENT [NAME]",
        "clas lid",
        "there is no directive 'clas'; did you mean 'class'?",
    ),
    "init": Form(
        "init crate crate_new",
        "init crate",
        "struct crate *crate_new",
        "init",
        "init CLASS [FUNCTION]",
        "init crate crate_mew",
        "the headers declare no function 'crate_mew'; did you mean 'crate_new'?",
    ),
    "func_alias": Form(
        "func_alias crate_get_width how_wide",
        "func_alias how_wide",
        "int crate_get_width",
        "func_alias",
        "func_alias [FUNCTION] NAME",
        "func_alias crate_get_widht how_wide",
        MISSPELT,
    ),
    "wrapper": Form(
        "wrapper encode_string_args crate_get_width",
        "wrapper encode_string_args",
        "int crate_get_width",
        "wrapper",
        "wrapper NAME PATTERN...",
        "wrapper encode_string_args crate_get_widht",
        MISSPELT,
    ),
    "wrapper_update": Form(
        "wrapper_update decode_string_rtn crate_get_width",
        "wrapper_update decode_string_rtn",
        "int crate_get_width",
        "wrapper_update",
        "wrapper_update NAME PATTERN...",
        "wrapper_update decode_string_rnt *",
        "there is no '$ wrapper decode_string_rnt'; did you mean 'decode_string_rtn'?",
    ),
    "private": Form(
        "private crate_get_width",
        "private",
        "int crate_get_width",
        "private add now",
        "private [FUNCTION]",
        "private crate_get_widht",
        MISSPELT,
    ),
    "len": Form(
        "len crate_new.height width + 1",
        "len height width + 1",
        "struct crate *crate_new",
        "len",
        "len [FUNCTION] EXPRESSION' or '$ len FUNCTION.ARGUMENT EXPRESSION",
        "len crate_new.heigth 3",
        "'crate_new' has no parameter 'heigth'; did you mean 'height'?",
    ),
    "property": Form(
        "property width",
        "property",
        "int crate_get_width",
        "property width height",
        "property [NAME]",
        "property widht",
        "no class has a method get_widht or set_widht; did you mean 'width'?",
    ),
    "cleanup": Form(
        "cleanup crate crate_free",
        "cleanup crate",
        "void crate_free",
        "cleanup",
        "cleanup ARGUMENT_OR_TYPE [FUNCTION] [!FUNCTION...]",
        "cleanup crate crate_fre",
        "the headers declare no function 'crate_fre'; did you mean 'crate_free'?",
    ),
}
AROUND = "// $ class crate\n// $ wrapper decode_string_rtn add\n"


def said(at, text):
    """What the directives of a header say, but for their places."""

    def without_places(what):
        if isinstance(what, list):
            return [without_places(one) for one in what]
        if isinstance(what, dict):
            return {key: without_places(one) for key, one in what.items() if key != "location"}
        return what

    (at.dir / "form.h").write_text(text)
    described = _native.describe(at.dir / "form.h", at.dir / "code.so")
    return without_places(json.loads(described)["directives"])


def test_every_directive_has_its_forms():
    source = (Path(__file__).parents[2] / "src" / "header" / "directives.rs").read_text()
    words = re.search(r"WORDS: &\[&str\] = &\[(.*?)\];", source, re.DOTALL)[1]
    assert sorted(FORMS) == re.findall(r'"(\w+)"', words)


@pytest.mark.parametrize("word", FORMS)
def test_a_directive_says_the_same_of_a_named_target_and_of_the_next_declaration(at, word):
    form = FORMS[word]
    named = said(at, f"{AROUND}// $ {form.named}\n{DIRECTED}")
    assert DIRECTED.count(form.before) == 1
    implied = said(at, AROUND + DIRECTED.replace(form.before, f"// $ {form.implied}\n{form.before}"))
    assert implied == named
    if word != "define":
        assert named != said(at, AROUND + DIRECTED)


@pytest.mark.parametrize("word", FORMS)
def test_a_malformed_directive_is_told_with_its_form_and_a_misspelt_one_with_the_nearest_name(at, word):
    form = FORMS[word]
    for text, message in [
        (form.malformed, f"'$ {form.malformed}' is not '$ {form.form}'"),
        (form.misspelt, form.says),
    ]:
        (at.dir / "form.h").write_text(f"{AROUND}/* $ {text} */\n{DIRECTED}")
        with pytest.raises(pythy.HeaderError) as caught:
            pythy.create_interface(at.dir / "form.h", at.dir / "code.so")
        assert str(caught.value) == f"{at.dir}/form.h:3: {message}"


def test_exceptions_have_the_bases_that_python_code_expects():
    assert [cls.__mro__[1:-2] for cls in (pythy.ArgumentError, pythy.SymbolError)] == [
        (pythy.Error, TypeError, Exception),
        (pythy.BindingError, pythy.Error, AttributeError, Exception),
    ]
    for name in ("HeaderError", "BindingError", "WorkerCrashed", "ValgrindError", "MemoryCheckError"):
        assert getattr(pythy, name).__bases__ == (pythy.Error,)
    assert pythy.Error.__bases__ == (Exception,)
    assert {getattr(pythy, name).__module__ for name in pythy.__all__ if name.endswith("Error")} == {"pythy"}


def test_a_skipped_name_is_absent_to_hasattr_and_getattr(at):
    assert not hasattr(at.lib, "gone")
    assert getattr(at.lib, "wide", None) is None
    assert "gone" not in dir(at.lib)


def test_a_failed_call_leaves_the_interface_as_it_was(at):
    for _ in range(1000):
        with pytest.raises(OverflowError):
            at.lib.add(1, 2**31)
        with pytest.raises(pythy.ArgumentError):
            at.lib.fill(b"read-only", 1)
    assert at.lib.add(1, 2) == 3


def test_closing_twice_is_no_error(at):
    assert at.closed.close() is False


def test_a_missing_dependency_is_not_taken_for_a_missing_library(cc, natively, tmp_path):
    """By path and by bare name alike, the loader's words name what is missing."""
    (tmp_path / "code.h").write_text("int one(int value);\n")
    (tmp_path / "code.c").write_text("int one(int value) { return value; }\n")
    cc(tmp_path / "code.c", tmp_path / "libdependency.so")
    (tmp_path / "user.c").write_text("int one(int value); int two(int value) { return one(value); }\n")
    cc(
        tmp_path / "user.c",
        tmp_path / "libuser.so",
        "-L",
        str(tmp_path),
        "-Wl,--no-as-needed",
        "-ldependency",
    )
    (tmp_path / "libdependency.so").unlink()
    script = """
        import pythy
        for library in "./libuser.so", "libuser.so":
            try:
                pythy.create_interface("code.h", library)
            except pythy.BindingError as error:
                print(error)
    """
    missing = "libdependency.so: cannot open shared object file: No such file or directory"
    run = natively(script, directory=tmp_path)
    assert run.stdout.splitlines() == [
        f"library '{tmp_path}/libuser.so' cannot be loaded: {missing}",
        f"library '{tmp_path}/libuser.so' cannot be loaded: {missing}",
    ]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(tmp_path / "libuser.so", elsewhere / "libuser.so")
    run = natively(script, directory=tmp_path, env={"LD_LIBRARY_PATH": str(elsewhere)})
    assert run.stdout.splitlines() == [
        "library './libuser.so' does not exist; give a path, or a name such as 'libz.so.1' that the dynamic "
        "loader finds",
        f"library 'libuser.so' cannot be loaded: {missing}",
    ]


def test_without_libclang_the_message_says_how_to_get_it(build, natively):
    built = build("int one(int value);", "int one(int value) { return value; }")
    script = """
        import pythy
        try:
            pythy.create_interface("code.h", "code.so")
        except pythy.HeaderError as error:
            print(error)
    """
    run = natively(script, directory=built.directory, env={"LIBCLANG_PATH": "/nonexistent/libclang.so"})
    message = re.fullmatch(r"libclang cannot be loaded \((.*)\); (.*)\n", run.stdout, re.DOTALL)
    assert message is not None, run.stdout
    assert "libclang.so" in message.group(1)
    assert message.group(2) == "install it with 'pip install libclang', or set LIBCLANG_PATH"
