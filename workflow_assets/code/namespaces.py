"""Where a piece of code finds the names that are not its own: its module, and the functions around it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workflow_assets.code.scopes import Import
from workflow_assets.modules import is_users_module, module_name

Found = tuple[str, Any]
"""A variable's label and value."""

METADATA = frozenset(
    {"__annotations__", "__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__"}
    | {"__package__", "__path__", "__spec__"}
)
"""What a module knows of where it stands, which differs between machines, and between a script and a module."""


@dataclass(frozen=True, eq=False)
class Namespace:
    """The global names of a module, and those that a function or class keeps from the functions around it.

    `module` is the module's name as others import it; `owner` labels the function or class.
    """

    names: Mapping[str, Any]
    module: str
    owner: str = ""
    cells: Mapping[str, types.CellType] = field(default_factory=dict)

    @classmethod
    def of_module(cls, module: types.ModuleType) -> Namespace:
        """Give the global names of a module."""
        return cls(vars(module), module_name(module.__name__))

    def label(self, name: str) -> str:
        """Label the variable that a name stands for."""
        return f"{self.owner}({name})" if name in self.cells else f"{self.module}:{name}"

    def find(self, name: str) -> Found | None:
        """Find the variable that a name stands for; None for a builtin, and for what is not assigned yet."""
        if name in self.cells:
            try:
                return self.label(name), self.cells[name].cell_contents
            except ValueError:
                return None
        if name in self.names and name not in METADATA:
            return self.label(name), self.names[name]
        return None

    def find_import(self, imported: Import, home: str) -> Found | None:
        """Import what a function imports inside its body, if it is the user's own; else None."""
        package = self.names.get("__package__") or str(self.names.get("__name__") or "").rpartition(".")[0]
        try:
            name = importlib.util.resolve_name("." * imported.level + imported.module, package)
        except ImportError:
            return None
        if not is_users_module(name, home):
            return None
        try:
            module = importlib.import_module(name)
            if imported.outermost:
                outermost = sys.modules[name.partition(".")[0]]
                return f"{module_name(outermost.__name__)}:*", outermost
            if not imported.attribute:
                return f"{module_name(name)}:*", module
            if not hasattr(module, imported.attribute):
                importlib.import_module(f"{name}.{imported.attribute}")
            return f"{module_name(name)}:{imported.attribute}", getattr(module, imported.attribute)
        except Exception:  # noqa: BLE001 - whatever the module raises as it is imported; it may not even be there
            return None


def member(module: types.ModuleType, name: str) -> Any:
    """Give what a module holds under a name; None where there is nothing, or where it raises."""
    try:
        return getattr(module, name, None)
    except Exception:  # noqa: BLE001 - a module may compute its attributes
        return None
