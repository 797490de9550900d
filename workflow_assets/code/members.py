"""What stands in a class: the functions behind its attributes, and what was made for it."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from workflow_assets.code.analyses import Method, analyse_function
from workflow_assets.code.labels import unwrapped
from workflow_assets.code.namespaces import Namespace
from workflow_assets.modules import module_name


def functions_of(item: Any) -> Iterator[types.FunctionType]:
    """Give the functions behind a class's attribute: methods, properties, cached and wrapped functions."""
    if isinstance(item, property):
        candidates = [item.fget, item.fset, item.fdel]
    elif isinstance(item, staticmethod | classmethod):
        candidates = [item.__func__]
    else:
        candidates = [item, getattr(item, "func", None)]
    for candidate in candidates:
        function = unwrapped(candidate)
        if isinstance(function, types.FunctionType):
            yield function


def methods_without_source(
    cls: type, functions: Mapping[str, list[types.FunctionType]]
) -> Iterator[tuple[Method, str]]:
    """Read the methods of a class that has no source; those that a library made for it are not the user's."""
    for name, found in sorted(functions.items()):
        for function in found:
            if function.__globals__.get("__name__") == cls.__module__:
                analysis = analyse_function(function)
                yield Method(name, (*function.__code__.co_varnames, "")[0], analysis.uses), analysis.text


def is_generated(value: Any) -> bool:
    """Whether a class's attribute stands for a slot or a field, whose default is told elsewhere."""
    kind = type(value)
    return hasattr(kind, "__get__") and kind.__module__ in {"builtins", "collections", "_collections"}


def is_dunder(name: str) -> bool:
    """Whether a name is one that Python gives a meaning to, such as ``__len__``."""
    return name.startswith("__") and name.endswith("__")


def annotated_names(cls: type) -> list[str]:
    """Give the names that a class annotates, which are the fields of a dataclass."""
    try:
        return list(inspect.get_annotations(cls))
    except Exception:  # noqa: BLE001 - what an annotation raises
        return []


def class_namespace(label: str, cls: type, functions: Iterable[types.FunctionType]) -> Namespace:
    """Give the names that a class can use: those of its module, and what its methods keep from around it."""
    own = [one for one in functions if one.__globals__.get("__name__") == cls.__module__]
    module = sys.modules.get(cls.__module__)
    names = own[0].__globals__ if own else vars(module) if module is not None else {}
    cells: dict[str, types.CellType] = {}
    for function in own:
        cells.update(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    cells.pop("__class__", None)  # of `super()`
    return Namespace(names, module_name(cls.__module__), label, cells)
