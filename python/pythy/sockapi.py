"""Calls by name in a process of the library's own, with types of ctypes, as pythy 0.0.1 had them."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from pythy._frames import step_over_module
from pythy._native import create_interface

# Addresses are numbers here: an int goes in and comes out.
_ADDRESS = "unsigned long"
_NAMES = {
    None: "void",
    ctypes.c_bool: "_Bool",
    ctypes.c_char: "char",
    ctypes.c_byte: "signed char",
    ctypes.c_ubyte: "unsigned char",
    ctypes.c_short: "short",
    ctypes.c_ushort: "unsigned short",
    ctypes.c_int: "int",
    ctypes.c_uint: "unsigned int",
    ctypes.c_long: "long",
    ctypes.c_ulong: "unsigned long",
    ctypes.c_longlong: "long long",
    ctypes.c_ulonglong: "unsigned long long",
    ctypes.c_float: "float",
    ctypes.c_double: "double",
    ctypes.c_longdouble: "long double",
    ctypes.c_char_p: "const char *",
    ctypes.c_void_p: _ADDRESS,
}


class Session:
    """A library in a process of its own; with debug, under Valgrind.

    host and port are what 0.0.1 took: there is no socket that others could reach, and no port to be in use.
    """

    def __init__(
        self, lib: str, host: str = "localhost", port: int | None = None, debug: bool = True
    ) -> None:
        if not os.path.exists(lib):
            raise FileNotFoundError(f"library '{lib}' does not exist")
        self.lib = lib
        self.host = host
        self.port = port
        self.debug = debug
        with tempfile.NamedTemporaryFile(suffix=".h") as header:
            self._module = create_interface(
                header.name, os.path.abspath(lib), backend="isolated", checker="memcheck" if debug else "none"
            )

    def make_function(self, name: str, arg_types: Sequence[Any], rtn_type: Any) -> Callable[..., Any]:
        """The function of that name, which takes and returns these types of ctypes; None is void."""
        address = self._module.__interface__.address(name)
        if address is None:
            raise AttributeError(f"'{self.lib}' has no function '{name}'")
        parameters = ", ".join(_name_of(one) for one in arg_types) or "void"
        return self._module.cast(address, f"{_name_of(rtn_type)} (*)({parameters})")

    def call(self, func_name: str, rtn_type: Any, args: Sequence[Any], arg_types: Sequence[Any]) -> Any:
        """Calls a function by its name."""
        return self.make_function(func_name, arg_types, rtn_type)(*args)

    def stop_server(self) -> None:
        """Ends the process."""
        self._module.close()


def _name_of(ctype: Any) -> str:
    try:
        return _NAMES[ctype]
    except (KeyError, TypeError):
        raise TypeError(f"{ctype!r} is no simple type of ctypes") from None


step_over_module(sys.modules[__name__])
