"""What the directives in the comments of a header make of its interface."""

from __future__ import annotations

import difflib
import inspect
import json
import sys
from collections.abc import Callable, Iterable
from types import ModuleType, SimpleNamespace
from typing import Any
from weakref import WeakValueDictionary

from pythy import _lengths, classes, variable, wrappers
from pythy._frames import step_over_module
from pythy._native import ArgumentError, HeaderError, Pointer, Ref
from pythy.classes import Closable, Object


def apply(module: ModuleType, interface: Any, described: str, wrapper_modules: Any) -> None:
    """Puts into the module what the directives say, and takes out what is private."""
    _Application(module, interface, described, wrapper_modules).run()


class _Application:
    def __init__(self, module, interface, described, wrapper_modules):
        self.module = module
        self.interface = interface
        content = json.loads(described, object_hook=lambda fields: SimpleNamespace(**fields))
        self.directives = content.directives
        self.rows = {row.c_name: row for row in content.functions}
        self.docs = vars(content.records)
        self.wrapper_modules = [*_listed(wrapper_modules), wrappers]
        self.aliases: dict[str, list[str]] = {}
        self.lengths: dict[str, list[Any]] = {}
        self.wrappers: dict[str, list[Callable]] = {}
        self.frees: dict[str, str] = {}
        self.outs: dict[str, list[tuple[int, str]]] = {}
        self.classes: dict[str, variable.Class] = {}
        self.records: dict[str, type] = {}
        self.class_of: dict[str, Any] = {}
        self.inits: set[str] = set()
        # The names of the module's functions, each with its function.
        private = self.directives.private
        self.bound = {row.name: c_name for c_name, row in self.rows.items() if c_name not in private}

    def run(self) -> None:
        self.prepare()
        for described in self.directives.classes:
            self.make_class(described)
        made = {c_name: self.function(row) for c_name, row in self.rows.items() if self.is_changed(row)}
        for described in self.directives.classes:
            self.fill_class(described, made)
        for c_name, row in self.rows.items():
            self.bind(row, made.get(c_name))
        self.hide()

    def prepare(self) -> None:
        for alias in self.directives.aliases:
            self.aliases.setdefault(alias.function, []).append(alias.name)
        for length in self.directives.lengths:
            self.lengths.setdefault(length.function, []).append(length)
        for wrapper in self.directives.wrappers:
            wrap = self.wrapper(wrapper)
            for c_name in wrapper.functions:
                self.wrappers.setdefault(c_name, []).append(wrap)
        for cleanup in self.directives.cleanups:
            for c_name in cleanup.results:
                self.frees[c_name] = cleanup.function
            for c_name, index in cleanup.outs:
                self.outs.setdefault(c_name, []).append((index, cleanup.function))
        for described in self.directives.classes:
            for c_name in described.methods:
                self.class_of[c_name] = described
            if described.init is not None:
                self.class_of[described.init] = described
                self.inits.add(described.init)

    def wrapper(self, wrapper) -> Callable:
        """The wrapper of that name in the wrapper modules, the first that has it."""
        for module in self.wrapper_modules:
            found = getattr(module, wrapper.name, None)
            if callable(found):
                return found
        known = [name for module in self.wrapper_modules for name in vars(module) if name[0] != "_"]
        near = difflib.get_close_matches(wrapper.name, known, n=1)
        instead = f"; did you mean '{near[0]}'?" if near else ""
        where = f"{_place(wrapper.location)}: "
        raise HeaderError(f"{where}no wrapper module has a wrapper '{wrapper.name}'{instead}")

    # Classes.

    def make_class(self, described) -> None:
        cleanups = (
            one.function for one in self.directives.cleanups if getattr(one, "class") == described.argument
        )
        free = next(cleanups, None)
        made = type(
            described.name,
            (Closable if free in self.rows else Object,),
            {
                "__module__": self.module.__name__,
                "__doc__": self.docs.get(described.record),
                "_interface": self.interface,
                "_live": WeakValueDictionary(),
                "_free": self.finaliser(free) if free in self.rows else None,
            },
        )
        self.classes[described.argument] = variable.Class(described.argument, described.name, made)
        if described.record is not None:
            self.records[described.record] = made
        self.module.__dict__[described.name] = made
        self.bound[described.name] = described.argument

    def finaliser(self, c_name: str) -> Callable:
        """Frees a pointer, as long as there is code to do it."""
        interface = self.interface
        free = interface.function(self.rows[c_name].name)

        def finalise(pointer):
            if not interface.closed:
                free(pointer)

        return staticmethod(finalise)

    def fill_class(self, described, made: dict[str, variable.Function]) -> None:
        cls = self.classes[described.argument].cls
        private = set(self.directives.private)
        methods = {c_name: _method(made[c_name]) for c_name in described.methods if c_name in made}
        taken: dict[str, str] = {}
        for c_name, method in methods.items():
            if c_name in private:
                continue
            for name in self.names(self.rows[c_name], made[c_name]):
                self.take_name(made[c_name], name, taken)
                # What frees the object closes it: that is there already.
                if not (name == "close" and issubclass(cls, Closable) and self.is_cleanup(c_name)):
                    setattr(cls, name, _named(method, name, cls))
        if described.init in made:
            cls.__init__ = _named(_initialiser(made[described.init]), "__init__", cls)
        for one in described.properties:
            getter, setter = methods.get(one.getter), methods.get(one.setter)
            doc = getter.__doc__ if getter else setter.__doc__
            setattr(cls, one.name, property(getter, setter, doc=doc))

    def is_cleanup(self, c_name: str) -> bool:
        return any(one.function == c_name for one in self.directives.cleanups)

    # Functions.

    def is_changed(self, row) -> bool:
        return row.c_name in self.lengths or row.c_name in self.wrappers or self.concerns_objects(row)

    def function(self, row) -> variable.Function:
        """The function with all that is about it applied, the outermost wrapper last."""
        c_name = row.c_name
        owner = self.class_of.get(c_name)
        params = [f"{parameter.type.spelling} {parameter.name}" for parameter in row.parameters]
        made = variable.Function(c_name, self.python_name(row), params, row.result.spelling, "")
        if owner is not None:
            made.cls = self.classes[owner.argument]
        made.row = row
        made.py_func = self.in_memory(row)
        made.doc = made.py_func.__doc__
        for wrap in reversed(self.wrappers.get(c_name, ())):
            wrap(made)
        if self.concerns_objects(row):
            made.py_func = self.with_objects(row, made.py_func)
        return made

    def python_name(self, row) -> str:
        return "__init__" if row.c_name in self.inits else self.aliases.get(row.c_name, [row.name])[0]

    def names(self, row, made: variable.Function | None) -> list[str]:
        """The names of a function in Python; wrappers may have changed the first."""
        first, *others = self.aliases.get(row.c_name, [row.name])
        return [made.py_name if made else first, *others]

    def in_memory(self, row) -> Callable:
        """The function that knows how long memory is, and frees what is the caller's."""
        interface, c_name = self.interface, row.c_name
        of_result = next((one for one in self.lengths.get(c_name, ()) if one.parameter is None), None)
        of_arguments = [one for one in self.lengths.get(c_name, ()) if one.parameter is not None]
        free = self.rows.get(self.frees.get(c_name, ""))
        frees_text = free is not None and row.result.text
        if not of_result and not of_arguments and not frees_text:
            return interface.function(row.name)
        if row.result.text and (of_result or frees_text):
            call = interface.function(row.name, as_pointer=True)
        else:
            call = interface.function(row.name)
        free = interface.function(free.name) if free and (of_result or frees_text) else None
        decode = self.decodes

        def measured(*args, **keywords):
            for length in of_arguments:
                _lengths.check_room(self.module, row, length, args)
            result = call(*args, **keywords)
            if result is None or not (of_result or frees_text):
                return result
            try:
                size = None if of_result is None else _lengths.size(row, of_result, args)
                found = interface.bytes_at(result, size)
            finally:
                # What the function was given is not freed when it comes back.
                if free is not None and not _equal_pointers(result, args):
                    free(result)
            return found.decode() if decode and of_result is None else found

        measured.__doc__ = call.__doc__
        return measured

    @property
    def decodes(self) -> bool:
        return self.interface.decodes

    def concerns_objects(self, row) -> bool:
        """Whether instances, or pointers that free themselves, go in or come out."""
        if row.c_name in self.frees or row.c_name in self.outs or self.is_cleanup(row.c_name):
            return True
        if not self.directives.classes:
            return False
        types = [parameter.type for parameter in row.parameters]
        takes = any(one.void or one.record in self.records for one in types if one.pointer)
        return takes or row.c_name in self.class_of or row.result.record in self.records

    def with_objects(self, row, inner: Callable) -> Callable:
        cls = None if row.c_name in self.inits else self.records.get(row.result.record)
        frees = row.c_name in self.frees and not row.result.text and row.c_name not in self.inits
        frees = frees and not any(one.parameter is None for one in self.lengths.get(row.c_name, ()))
        free = self.finaliser(self.frees[row.c_name]).__func__ if frees and cls is None else None
        outs = [(index, self.finaliser(by).__func__) for index, by in self.outs.get(row.c_name, ())]
        cleans_up = self.is_cleanup(row.c_name)

        def freed(given):
            if cleans_up and given and isinstance(given[0], Pointer):
                self.forget(given[0])

        def call(*args, **keywords):
            given = [classes.pointer_of(arg) if isinstance(arg, Object) else arg for arg in args]
            received = [
                _Received(self, given[index], by)
                for index, by in outs
                if index < len(given) and isinstance(given[index], Ref)
            ]
            try:
                result = inner(*given, **keywords)
            except Exception as error:
                # What was refused has not been called.
                if not isinstance(error, (ArgumentError, OverflowError)):
                    freed(given)
                raise
            freed(given)
            for one in received:
                one.settle()
            if not isinstance(result, Pointer) or (cls is None and free is None):
                return result
            known = _equal_pointers(result, given)
            if cls is not None:
                return _instance(cls, result, frees and not known)
            return self.owned(result, known, free)

        call.__doc__ = inner.__doc__
        return call

    # Ownership: of what C lends or gives, only what nobody in Python frees already gets somebody who does.

    def owned(self, result: Pointer, known: list[Pointer], free: Callable) -> Pointer:
        """The pointer that frees what a function has returned; `known` are equal ones that it was given."""
        owner = self.interface.owner(result)
        if owner is not None:
            known = [*known, owner]
        if known:
            return next((one for one in known if self.interface.alike(one, result)), result)
        return self.interface.own_as_declared(result, free)

    def disown(self, pointer: Pointer) -> None:
        """C frees it from now on."""
        owner = self.interface.owner(pointer)
        if owner is not None:
            owner.disown()

    def forget(self, pointer: Pointer) -> None:
        """C has freed it."""
        for one in self.classes.values():
            known = classes.instance_at(one.cls, pointer)
            if known is not None:
                classes.forget(known)
        self.disown(pointer)

    # The module.

    def bind(self, row, made: variable.Function | None) -> None:
        if row.c_name in self.directives.private:
            return
        names = [] if made is None else [row.name]
        if row.c_name not in self.class_of:
            names += self.names(row, made)
        for name in dict.fromkeys(names):
            if made is not None:
                if name != row.name:
                    self.take_name(made, name, self.bound)
                self.module.__dict__[name] = _named(_plain(made), name, self.module)
            elif name != row.name:
                self.bound[name] = row.c_name
                self.module.__dict__[name] = self.interface.function(row.name, name)

    def take_name(self, made: variable.Function, name: str, taken: dict[str, str]) -> None:
        """Refuses a name that a wrapper gives, where something else has it.

        `taken` are the names by then, with their functions. Those that the header gives are known to be free.
        """
        other = taken.setdefault(name, made.c_name)
        if name in self.interface.own_names and taken is self.bound:
            why = "one of pythy's own functions"
        elif other != made.c_name:
            why = "the name of a class" if other in self.classes else f"the name of {other}() already"
        else:
            return
        where = made.row.location
        raise HeaderError(f"{where}: '{name}' is {why}, {made.c_name}() cannot have its name")

    def hide(self) -> None:
        hidden = {}
        for c_name in self.directives.private:
            if row := self.rows.get(c_name):
                for name in {row.name, *self.aliases.get(c_name, ())} - self.bound.keys():
                    hidden[name] = f"{row.location}: '{name}' is declared, but it is private"
        self.interface.hide(hidden)


def _listed(wrapper_modules: Any) -> list[Any]:
    if wrapper_modules is None:
        return []
    return list(wrapper_modules) if isinstance(wrapper_modules, (list, tuple)) else [wrapper_modules]


def _place(location) -> str:
    return f"{location.file}:{location.line}"


def _instance(cls: type[Object], pointer: Pointer, owned: bool) -> Object:
    """The instance at a pointer: the one that there is, or a new one."""
    known = classes.instance_at(cls, pointer)
    if known is None:
        known = cls.__new__(cls)
        classes.adopt(known, pointer, owned)
    elif owned:
        classes.own(known)
    return known


def _equal_pointers(pointer: Pointer, args: Iterable[Any]) -> list[Pointer]:
    return [arg for arg in args if isinstance(arg, Pointer) and arg == pointer]


class _Received:
    """What lies in a Ref that is an out-parameter, before the call and after it."""

    def __init__(self, application: _Application, ref: Ref, free: Callable) -> None:
        self.application = application
        self.ref = ref
        self.free = free
        self.before = _stored_in(ref)

    def settle(self) -> None:
        """Lets the Ref free what the function has stored. What lay there before has become C's business."""
        after, interface = _stored_in(self.ref), self.application.interface
        if after == self.before:
            return
        if self.before is not None:
            self.application.disown(self.before)
        if after is not None and interface.owner(after) is None:
            self.ref.value = interface.own_as_declared(after, self.free)


def _stored_in(ref: Ref) -> Pointer | None:
    try:
        return ref.pointer
    except AttributeError:
        return None


def _plain(made: variable.Function) -> Callable:
    inner = made.py_func

    def function(*args, **keywords):
        return inner(*args, **keywords)

    return _described(function, made, [param.name for param in made.py_params])


def _method(made: variable.Function) -> Callable:
    inner = made.py_func

    def method(self, *args, **keywords):
        return inner(self, *args, **keywords)

    return _described(method, made, ["self", *(param.name for param in made.py_params[1:])])


def _initialiser(made: variable.Function) -> Callable:
    inner = made.py_func

    def initialise(self, *args, **keywords):
        pointer = inner(*args, **keywords)
        if pointer is None:
            raise MemoryError(f"{made.c_name}() returned NULL")
        classes.adopt(self, pointer, owned=True)

    return _described(initialise, made, ["self", *(param.name for param in made.py_params)])


def _described(function: Callable, made: variable.Function, names: list[str]) -> Callable:
    """The function with the documentation and the signature that help() shows."""
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names]
    if made.row.variadic:
        parameters.append(inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL))
    function.__signature__ = inspect.Signature(parameters)
    function.__doc__ = made.doc
    return function


def _named(function: Callable, name: str, owner: Any) -> Callable:
    in_class = isinstance(owner, type)
    function.__name__ = name
    function.__qualname__ = f"{owner.__name__}.{name}" if in_class else name
    function.__module__ = owner.__module__ if in_class else owner.__name__
    return function


for _module in (sys.modules[__name__], classes, wrappers):
    step_over_module(_module)
