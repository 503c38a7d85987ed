"""The type stubs name what the extension has, and nothing else."""

import ast
import inspect
from importlib.resources import files
from types import ModuleType

import pytest
import pythy
from pythy import _native

STUB = ast.parse(files("pythy").joinpath("_native.pyi").read_text())
CLASSES = {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}
FUNCTIONS = {node.name: node for node in STUB.body if isinstance(node, ast.FunctionDef)}
# What a class gets from `object` or from the interpreter.
# `__getattr__` of an extension type is its `__getattribute__`.
# `__class_getitem__` is `Generic`'s to type checkers.
INHERITED = set(dir(object)) | {"__module__", "__dict__", "__weakref__", "__getattr__", "__class_getitem__"}


def members(node: ast.ClassDef) -> set[str]:
    return {item.name for item in node.body if isinstance(item, ast.FunctionDef)}


def docstring(node) -> str | None:
    return ast.get_docstring(node)


def test_the_package_is_marked_as_typed():
    assert files("pythy").joinpath("py.typed").is_file()


def test_the_stub_has_the_names_of_the_module():
    annotated = [node for node in STUB.body if isinstance(node, ast.AnnAssign)]
    values = {node.target.id for node in annotated if ast.unparse(node.annotation) != "TypeAlias"}
    module = {name for name in vars(_native) if not name.startswith("__") or name == "__version__"}
    assert CLASSES.keys() | FUNCTIONS.keys() | values == module


def test_the_package_exports_what_it_says():
    assert sorted(pythy.__all__) == pythy.__all__
    public = {name for name, value in vars(pythy).items() if not isinstance(value, ModuleType)}
    assert {name for name in public if not name.startswith("_")} <= set(pythy.__all__)
    for name in pythy.__all__:
        assert getattr(pythy, name) is getattr(_native, name)


@pytest.mark.parametrize("name", CLASSES)
def test_each_class_has_the_members_of_its_stub(name):
    cls = getattr(_native, name)
    own = {member for member in vars(cls) if member not in INHERITED}
    stubbed = {member for member in members(CLASSES[name]) if member not in INHERITED}
    assert stubbed == own


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_has_the_parameters_of_its_stub(name):
    arguments = FUNCTIONS[name].args
    positional = [argument.arg for argument in arguments.posonlyargs + arguments.args]
    keyword = [argument.arg for argument in arguments.kwonlyargs]
    parameters = inspect.signature(getattr(_native, name)).parameters.values()
    by_position = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    assert by_position == positional
    assert [p.name for p in parameters if p.kind is p.KEYWORD_ONLY] == keyword


@pytest.mark.parametrize("name", [*CLASSES, *FUNCTIONS])
def test_each_docstring_begins_as_in_the_stub(name):
    first = inspect.getdoc(getattr(_native, name)).splitlines()[0]
    stub = docstring({**CLASSES, **FUNCTIONS}[name]).splitlines()[0].replace("``", "").replace("`", "")
    # What is longer than a line in Rust is one sentence here.
    assert first.replace("`", "").startswith(stub.removesuffix("."))
