"""Names for the pieces of code that a fingerprint is made of, and which of them are still to be read."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from workflow_assets.code.namespaces import Namespace
from workflow_assets.modules import home_module, is_users_module, module_name, qualified_name, wrapped


class Labels:
    """Labels each piece of the user's code once, as ``module:name``, and queues it for reading.

    What belongs to the module of `root` is the user's, wherever it stands.
    """

    def __init__(self, root: Callable[..., Any] | types.ModuleType) -> None:
        self.root = root
        self.home = root.__name__ if isinstance(root, types.ModuleType) else home_module(root)
        self.queue: deque[tuple[str, Any]] = deque()
        self._labels: dict[int, tuple[str, Any]] = {}  # keeps the code, so that no id is used twice
        self._taken: set[str] = set()

    def label(self, thing: Any) -> str:
        """Label a function, class or module, and queue it if it is the user's."""
        thing = unwrapped(thing)
        if id(thing) in self._labels:
            return self._labels[id(thing)][0]
        if isinstance(thing, types.ModuleType):
            name = f"{module_name(thing.__name__)}:*"
        elif isinstance(thing, types.FunctionType):  # what it is, not what `functools.wraps` says that it is
            name = f"{module_name(self.module_of(thing))}:{thing.__code__.co_qualname}"
        else:
            name = qualified_name(thing)
        if not self.is_users(thing):
            return name
        label, count = name, 1
        while label in self._taken:  # closures made by one factory
            count += 1
            label = f"{name}#{count}"
        self._taken.add(label)
        self._labels[id(thing)] = (label, thing)
        self.queue.append((label, thing))
        return label

    def labelled(self) -> Iterator[tuple[str, Any]]:
        """Give every piece of code that has a label, with it."""
        yield from self._labels.values()

    def relative(self, label: str) -> str:
        """Shorten a label to what a script and an imported module share, for the key."""
        module, _, name = label.partition(":")
        return name if module == module_name(self.home) else label

    def reference(self, thing: Any) -> str:
        """Label a piece of code inside a value, for the key."""
        return self.relative(self.label(thing))

    def is_users(self, thing: Any) -> bool:
        """Tell whether a function, class or module is the user's own."""
        if isinstance(thing, types.FunctionType):
            return thing is self.root or is_users_module(self.module_of(thing), self.home)
        if isinstance(thing, types.ModuleType):
            return is_users_module(thing.__name__, self.home)
        return isinstance(thing, type) and is_users_module(home_module(thing), self.home)

    def module_of(self, function: types.FunctionType) -> str:
        """Give the name of the module that a function was defined in."""
        return str(function.__globals__.get("__name__") or function.__module__ or self.home)

    def namespace(self, function: types.FunctionType, owner: str = "") -> Namespace:
        """Give the names that a function can use."""
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        return Namespace(function.__globals__, module_name(self.module_of(function)), owner, cells)


def unwrapped(value: Any) -> Any:
    """Give the function inside a step, inside a cached function, and so on."""
    for _ in range(16):
        inner = wrapped(value)
        if inner is None:
            break
        value = inner
    return value
