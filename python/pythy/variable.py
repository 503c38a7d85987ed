"""C functions, parameters and types as wrappers see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Type:
    """A C type by its spelling, a pointer's star directly behind the name: ``char*``."""

    def __init__(self, c_str: str) -> None:
        self.c_str = c_str.replace(" *", "*").strip()

    @property
    def c_type(self) -> Any:
        """The type of ctypes that stands for it; None for void."""
        import ctypes

        words = [word for word in self.c_str.split() if word not in ("const", "volatile", "restrict")]
        plain = " ".join(words)
        names = {
            "void": None,
            "bool": ctypes.c_bool,
            "_Bool": ctypes.c_bool,
            "char": ctypes.c_char,
            "signed char": ctypes.c_byte,
            "unsigned char": ctypes.c_ubyte,
            "short": ctypes.c_short,
            "unsigned short": ctypes.c_ushort,
            "int": ctypes.c_int,
            "unsigned": ctypes.c_uint,
            "unsigned int": ctypes.c_uint,
            "long": ctypes.c_long,
            "unsigned long": ctypes.c_ulong,
            "long long": ctypes.c_longlong,
            "unsigned long long": ctypes.c_ulonglong,
            "size_t": ctypes.c_size_t,
            "ssize_t": ctypes.c_ssize_t,
            "float": ctypes.c_float,
            "double": ctypes.c_double,
            "long double": ctypes.c_longdouble,
            "char*": ctypes.c_char_p,
        }
        if plain in names:
            return names[plain]
        if plain.endswith("*"):
            return ctypes.c_void_p
        fixed = getattr(ctypes, f"c_{plain.removesuffix('_t')}", None)
        if plain.endswith("_t") and fixed is not None:
            return fixed
        raise ValueError(f"ctypes has no type for '{self.c_str}'")

    def __str__(self) -> str:
        return self.c_str


class Parameter:
    """A parameter of a function: ``Parameter("char* text")``."""

    def __init__(self, param_str: str) -> None:
        spelling, _, name = param_str.strip().rpartition(" ")
        stars = len(name) - len(name.lstrip("*"))
        self.name = name[stars:]
        self.type = Type(spelling + "*" * stars)

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


class Class:
    """A class that functions belong to."""

    def __init__(self, c_name: str, py_name: str, cls: type) -> None:
        self.c_name = c_name
        self.py_name = py_name
        self.cls = cls

    def __str__(self) -> str:
        return f"class {self.py_name}"


class Function:
    """A C function on its way into Python; wrappers change it."""

    py_func: Callable[..., Any]
    """What is called in the end. A wrapper puts another function in its place."""

    def __init__(
        self,
        c_name: str,
        py_name: str,
        params: list[str],
        rtn_type: str,
        doc: str,
        cls: Class | None = None,
    ) -> None:
        self.c_name = c_name
        self.py_name = py_name
        self.c_params = [Parameter(param) for param in params]
        self.py_params = [Parameter(param) for param in params]
        self.rtn_type = Type(rtn_type)
        self.doc = doc
        self.cls = cls

    def __str__(self) -> str:
        c_params = ", ".join(map(str, self.c_params))
        py_params = ", ".join(param.name for param in self.py_params)
        return f"{self.rtn_type} {self.c_name}({c_params}) -> {self.py_name}({py_params})"
