"""The class of the modules that create_interface makes."""

from __future__ import annotations

from types import ModuleType

TYPE_CHECKING = False  # as typing has it, which would take longer to import than a header from the cache
if TYPE_CHECKING:
    from typing import Any


class InterfaceModule(ModuleType):
    """A C interface: functions are there from the start, other names when they are asked for."""

    def __getattr__(self, name: str) -> Any:
        interface = self.__dict__.get("__interface__")
        if interface is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return interface.missing(name)

    def __setattr__(self, name: str, value: Any) -> None:
        interface = self.__dict__.get("__interface__")
        if interface is None or not interface.assign(name, value):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        interface = self.__dict__.get("__interface__")
        return sorted({*super().__dir__(), *(interface.listed() if interface else ())})
