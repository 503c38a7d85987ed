"""The class of the modules that create_interface makes."""

import sys

# Nothing is imported that need not be: it would take as long as a header from the cache.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any
else:
    ModuleType = type(sys)


class InterfaceModule(ModuleType):
    """A C interface: its names are made when they are asked for."""

    # With a __getattr__ beside it, a module's own takes three times as long for a name that is there.
    __getattribute__ = object.__getattribute__

    def __getattr__(self, name: str) -> "Any":
        # What a module's own one does beyond object's: it asks a function of the module.
        ask_module = self.__dict__.get("__getattr__")
        if ask_module is not None:
            try:
                return ask_module(name)
            except AttributeError:
                pass
        interface = self.__dict__.get("__interface__")
        if interface is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return interface.missing(name)

    def __setattr__(self, name: str, value: "Any") -> None:
        interface = self.__dict__.get("__interface__")
        if interface is None or not interface.assign(name, value):
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        interface = self.__dict__.get("__interface__")
        if interface is not None:
            interface.check_deletion(name)
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        interface = self.__dict__.get("__interface__")
        return sorted({*super().__dir__(), *(interface.listed() if interface else ())})
