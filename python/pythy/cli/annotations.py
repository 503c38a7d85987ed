"""C types as Python annotations: what calls take and give."""

from typing import Any

# Where the names that annotations are made of come from; each has an underscore before it, so that
# it is not taken for one of C's.
MODULES = {
    "collections.abc": ("Callable", "Iterable"),
    "enum": ("IntEnum",),
    "typing": ("Any", "Final", "TypeAlias"),
    "pythy": ("Array", "CType", "Pointer", "Record"),
    "pythy.classes": ("Closable", "Object"),
    "pythy._stubs": (
        "Address",
        "Arrays",
        "Char",
        "Field",
        "Fields",
        "Function",
        "Handle",
        "Initial",
        "Items",
        "Memory",
        "Text",
        "Variadic",
    ),
}

Type = dict[str, Any]


class Annotations:
    """Annotations for one description; knows afterwards what has to be imported."""

    def __init__(self, description: dict[str, Any]) -> None:
        """What is called as a builtin or a class of the stub is, must be told from it."""
        self._text = "str" if description["decode"] else "bytes"
        members = [
            each["name"]
            for kind, parts in (("records", "fields"), ("enumerations", "members"))
            for row in description[kind]
            for each in row[parts]
        ]
        for row in description["classes"]:
            members += [each["name"] for parts in ("methods", "properties") for each in row[parts]]
        kinds = ("functions", "constants", "enumerations", "records", "typedefs", "globals")
        names = [row["name"] for kind in (*kinds, "classes") for row in description[kind]]
        enumerators = [member["global"] for row in description["enumerations"] for member in row["members"]]
        self._members = set(members)
        self._taken = self._members.union(names, enumerators)
        self._used: set[str] = set()
        self._builtins = False
        self._aliases: set[str] = set()

    def name(self, name: str) -> str:
        """A name that the stub imports."""
        self._used.add(name)
        return f"_{name}"

    def builtin(self, name: str) -> str:
        """A builtin, also where C has something of that name."""
        if name not in self._taken:
            return name
        self._builtins = True
        return f"_builtins.{name}"

    def class_name(self, name: str, *, inside: bool = False) -> str:
        """A class of the stub; inside of a class a field may have its name."""
        if not (inside and name in self._members):
            return name
        self._aliases.add(name)
        return f"_Type_{name}"

    def imports(self, own_names: list[str]) -> list[str]:
        """The import statements, and the names for classes that fields hide."""
        if self._aliases:
            self.name("TypeAlias")
        lines = ["import builtins as _builtins"] if self._builtins else []
        groups: list[str] = []
        for module, names in MODULES.items():
            imported = [f"{name} as _{name}" for name in names if name in self._used]
            if module == "pythy._stubs":
                imported += [f"{name} as {name}" for name in own_names]
            listed = [f"from {module} import {name}" for name in imported]
            if not module.startswith("pythy"):
                lines += listed
            else:
                groups += listed
        separator = [""] if lines and groups else []
        aliases = [f"_Type_{name}: _TypeAlias = {name}" for name in sorted(self._aliases)]
        return [*lines, *separator, *groups, *([""] if aliases else []), *aliases]

    def final(self, ty: Type) -> str:
        """A variable that is const."""
        return f"{self.name('Final')}[{self.read(ty)}]"

    def variable(self, ty: Type) -> str:
        """A variable, which may take more than it gives. A module has no way to say so, but where Any is one
        of two types, anything may be assigned, and what is read is still known."""
        read = self.read(ty)
        return read if read == self.stored(ty, inside=False) else f"{read} | {self.name('Any')}"

    def constant(self, ty: Type) -> str:
        """A macro or the like: a pointer that is NULL is known to be None, and others are known not to be."""
        return f"{self.name('Final')}[{self.read(ty).removesuffix(' | None')}]"

    def field(self, ty: Type) -> str:
        """A field of a record, which may take more than it gives."""
        read, stored = self.read(ty, inside=True), self.stored(ty)
        return read if read == stored else f"{self.name('Field')}[{read}, {stored}]"

    def read(self, ty: Type, *, inside: bool = False) -> str:
        """What a function returns, and what reading a field or a variable gives."""
        match ty["kind"]:
            case "void":
                return "None"
            case "bool" | "int" | "float" | "complex" | "bytes" as kind:
                return self.builtin(kind)
            case "char":
                return self.builtin("bytes")
            case "text":
                return f"{self.builtin(self._text)} | None"
            case "measured":
                return f"{self.builtin('bytes')} | None"
            case "decoded":
                return f"{self.builtin('str')} | None"
            case "object":
                return f"{self.class_name(ty['name'], inside=inside)} | None"
            case "enumeration":
                return self._enumeration(ty, inside)
            case "record":
                return self.class_name(ty["name"], inside=inside) if ty["name"] else self.name("Record")
            case "array" if ty["text"]:
                return self.builtin(self._text)
            case "array":
                return f"{self.name('Array')}[{self.read(ty['of'], inside=inside)}]"
            case "pointer":
                return f"{self.name('Pointer')}[{self._target(ty['to'], inside)}] | None"
            case "function":
                return f"{self.name('Pointer')}[{self._callable(ty, inside)}] | None"
            case _:
                return self.name("Any")

    def taken(self, ty: Type, *, inside: bool = False) -> str:
        """What an argument may be."""
        match ty["kind"]:
            case "bool":
                return f"{self.builtin('bool')} | {self.builtin('int')}"
            case "char":
                return self.name("Char")
            case "text":
                return self.name("Text")
            case "function":
                return f"{self.name('Function')}[{self._callable(ty, inside)}]"
            case "object":
                name = self.class_name(ty["name"], inside=inside)
                return f"{name} | {self.taken(ty['pointer'], inside=inside)}"
            case "anything":
                return f"{self.name('Object')} | {self.taken(ty['pointer'], inside=inside)}"
            case "pointer" if ty["to"]["kind"] == "void":
                return self.name("Memory")
            case "pointer":
                # What is given for a record or an array may be the thing itself.
                alias = "Address" if ty["to"]["kind"] in ("record", "array") else "Handle"
                if ty["buffers"]:
                    alias = "Arrays" if alias == "Address" else "Items"
                return f"{self.name(alias)}[{self._target(ty['to'], inside)}]"
            case _:
                return self.read(ty, inside=inside)

    def stored(self, ty: Type, *, inside: bool = True) -> str:
        """What a field may be set to, and what a callback may return."""
        match ty["kind"]:
            case "array":
                return f"{self.name('Iterable')}[{self.stored(ty['of'], inside=inside)}]"
            case "record":
                return self.initial(ty, inside=inside)
            case _:
                return self.taken(ty, inside=inside)

    def initial(self, ty: Type, *, inside: bool = False) -> str:
        """What makes a record: one of its class, a dict, a tuple or a list."""
        return f"{self.name('Initial')}[{self.read(ty, inside=inside)}]"

    def _enumeration(self, ty: Type, inside: bool) -> str:
        # C does not keep a value to the enumerators: then it is an int.
        plain = self.builtin("int")
        return f"{self.class_name(ty['name'], inside=inside)} | {plain}" if ty["name"] else plain

    def _target(self, to: Type, inside: bool) -> str:
        # A `void *` goes wherever a pointer does, as in C.
        return self.name("Any") if to["kind"] == "void" else self.read(to, inside=inside)

    def _callable(self, ty: Type, inside: bool) -> str:
        """The Python callables that can be a C function pointer of the type."""
        parameters = ", ".join(self.read(each, inside=inside) for each in ty["parameters"])
        result = ty["result"]
        returned = self.builtin("object") if result["kind"] == "void" else self.stored(result, inside=inside)
        return f"{self.name('Callable')}[[{parameters}], {returned}]"
