"""What code changes as it runs: counters, lists of calls, caches. They are state, not constants of the code.

A variable or attribute is state only if code that is reached changes it. A setter that nobody calls from a step makes
none: what a notebook sets by hand stays a constant, whose change is seen.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Collection, Sequence
from typing import Any

from workflow_assets.code.analyses import Method
from workflow_assets.code.generators import is_generator
from workflow_assets.code.namespaces import Found, member
from workflow_assets.code.uses import Uses
from workflow_assets.modules import is_users_module, module_name, wrapped

_MISSING = object()
IMMUTABLE = (int, float, complex, str, bytes, tuple, frozenset, type(None), type, types.FunctionType)
_NAMELESS = (types.ModuleType, type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_CONSTRUCTORS = frozenset(
    {"__init__", "__new__", "__post_init__", "__setstate__", "__init_subclass__", "__set_name__"}
)


class Changes:
    """The state that was found so far, while a fingerprint is taken; `count` grows with every finding."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.count = 0
        self.variables: dict[str, bool] = {}  # and whether they are given other objects
        self._objects: dict[int, object] = {}
        self._attributes: dict[int, tuple[object, set[str]]] = {}
        self._methods: dict[type, Sequence[Method]] = {}
        self._active: set[str] = set()

    # -- findings -----------------------------------------------------------------------------------------------

    def variable(self, label: str, rebound: bool = False) -> None:
        """Note a variable whose object is changed, or that is given another object."""
        if self.variables.get(label) is not True and self.variables.get(label) != rebound:
            self.variables[label] = rebound
            self.count += 1

    def is_rebound(self, label: str) -> bool:
        """Whether a variable is given other objects."""
        return self.variables.get(label, False)

    def uses(self, uses: Uses) -> None:
        """Note the attributes that a reached function uses: methods of these names are reached too."""
        if not uses.attributes <= self._active:
            self._active |= uses.attributes
            self.count += 1

    def methods(self, cls: type, methods: Sequence[Method]) -> None:
        """Note the methods of a reached class."""
        self._methods[cls] = methods
        self.count += 1

    def change(self, found: Found | None, chain: tuple[str, ...], method: str) -> None:
        """Note that what a chain of attributes leads to is changed in place, or by a method of that name."""
        if found is None:
            return
        label, value = found
        value = _inner(value)
        holder: Any = None
        in_module = False
        for attribute in chain:
            in_module = isinstance(value, types.ModuleType)
            if in_module:
                label, holder = f"{module_name(value.__name__)}:{attribute}", None
                value = _inner(member(value, attribute))
            else:
                holder, value = value, _attribute(value, attribute)
        if isinstance(value, _NAMELESS) and (method or holder is None):
            return  # a call of `module.update()`, or of a function that is called so
        if self._has_method(value, method or "__setitem__") and (method or holder is None):
            return  # the user's own method, which tells itself what it changes
        if holder is not None:
            known = self._attributes.setdefault(id(holder), (holder, set()))[1]
            if chain[-1] not in known:
                known.add(chain[-1])
                self.count += 1
        elif in_module and not method:
            self.variable(label, rebound=True)
        elif not isinstance(value, IMMUTABLE):
            self.variable(label)
        if (
            value is not _MISSING
            and not isinstance(value, (*IMMUTABLE, *_NAMELESS))
            and id(value) not in self._objects
        ):
            self._objects[id(value)] = value
            self.count += 1

    def _has_method(self, value: Any, method: str) -> bool:
        for cls in type(value).__mro__:
            if method in vars(cls):
                return is_users_module(cls.__module__, self.home)
        return False

    # -- answers ------------------------------------------------------------------------------------------------

    def state_of(self, value: Any) -> Collection[str] | None:
        """Name the attributes of an object that are state; None where all of it is."""
        if id(value) in self._objects or is_generator(value):
            return None
        changing = self.changing(type(value))
        return None if changing is None else {*changing, *self.hidden(value)}

    def is_state(self, value: Any) -> bool:
        """Whether an object is changed in place."""
        return id(value) in self._objects

    def of_holder(self, holder: Any) -> Collection[str]:
        """Name the attributes of a class or function that are state."""
        changing = self.changing(holder) if isinstance(holder, type) else ()
        return {*(changing or ()), *self.hidden(holder)}

    def hidden(self, holder: Any) -> Collection[str]:
        """Name the attributes of one object, class or function that functions assign."""
        known = self._attributes.get(id(holder))
        return known[1] if known is not None else ()

    def changing(self, cls: type) -> Collection[str] | None:
        """Name the attributes that the reached methods of a class change; None for any."""
        names: set[str] = set()
        for base in cls.__mro__:
            for method in self._methods.get(base, ()):
                if not self.is_reached(method.name) or method.name in _CONSTRUCTORS:
                    continue
                for chain, called in method.uses.changed_parameters:
                    if chain[0] != method.receiver:
                        continue
                    parts = chain[2:] if chain[1:2] == ("__class__",) else chain[1:]
                    if parts:
                        names.add(parts[0])
                    elif not any(called in vars(one) for one in cls.__mro__ if one in self._methods):
                        return None  # setattr(self, name, value)
        return names

    def is_reached(self, method: str) -> bool:
        """Whether a method of that name may be called by what was read so far."""
        return method in self._active or (method.startswith("__") and method.endswith("__"))

    def reach_methods(self) -> None:
        """Follow reached methods to the methods that they use."""
        pending = True
        while pending:
            pending = False
            for methods in self._methods.values():
                for method in methods:
                    reached = self.is_reached(method.name) and method.name not in _CONSTRUCTORS
                    if reached and not method.uses.attributes <= self._active:
                        self.uses(method.uses)
                        pending = True


def _inner(value: Any) -> Any:
    inner = wrapped(value)
    return value if inner is None else inner


def _attribute(value: Any, name: str) -> Any:
    """Look an attribute up without running anybody's code."""
    try:
        found = vars(value).get(name, _MISSING)
    except TypeError:
        found = _MISSING
    if found is _MISSING:
        found = inspect.getattr_static(value, name, _MISSING)
    if isinstance(found, types.MemberDescriptorType):  # a slot
        return getattr(value, name, _MISSING)
    return found
