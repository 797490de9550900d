"""Which code is the user's own, and under which name.

Keys follow the user's own code and nothing that was installed: an installed package's version is recorded, and a step
that stands in one carries an explicit version.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import itertools
import pathlib
import sys
import sysconfig
import types
from typing import Any

PACKAGE = "workflow_assets"


def module_name(name: str) -> str:
    """Give a module the name under which others import it, also where it runs as a script.

    A key must not depend on whether ``study.py`` was imported or started.
    """
    if name not in {"__main__", "__mp_main__"}:  # the second is the first, in a worker process
        return name
    main = sys.modules.get(name) or sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    return pathlib.PurePath(getattr(main, "__file__", None) or "__main__").stem


def qualified_name(thing: Any) -> str:
    """Give the module and qualified name of a function or class.

    >>> qualified_name(pathlib.Path)
    'pathlib:Path'
    """
    name = (
        getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None) or type(thing).__qualname__
    )
    return f"{_public(module_name(home_module(thing)))}:{name}"


def _public(name: str) -> str:
    """Name a module of the standard library as it is imported: between Python versions, classes move inside it."""
    first, *rest = name.split(".")
    if first not in sys.stdlib_module_names:
        return name
    return ".".join((first.lstrip("_"), *itertools.takewhile(lambda part: not part.startswith("_"), rest)))


def home_module(thing: Any) -> str:
    """Give the name of the module that a function or class stands in; of another object, that of its class."""
    name = getattr(thing, "__module__", None)
    return name if isinstance(name, str) else type(thing).__module__


_installed: set[str] = set()


def is_users_module(name: str, home: str = "") -> bool:
    """Tell whether a module belongs to the user's own code; `home` is a module that does, wherever it stands.

    >>> is_users_module("json"), is_users_module("numpy"), is_users_module("study", home="study")
    (False, False, True)
    """
    package = name.partition(".")[0]
    if package == PACKAGE:
        return name.startswith(f"{PACKAGE}.examples")
    if package == home.partition(".")[0]:
        return True
    if package in _installed or package in sys.stdlib_module_names or package in sys.builtin_module_names:
        return False
    loaded = sys.modules.get(name)
    if loaded is not None:
        users = not is_installed(getattr(loaded, "__file__", None))
    else:
        try:
            spec = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            return False
        if spec is None:
            return True  # nothing of that name is installed: a notebook's, or made while running
        users = not is_installed(spec.origin or next(iter(spec.submodule_search_locations or ()), None))
    if not users:
        _installed.add(package)
    return users


@functools.cache
def is_installed(filename: str | None) -> bool:
    """Tell whether a file belongs to Python or to an installed package, not to the user's own code."""
    if filename is None:
        return False
    if "site-packages" in filename or "dist-packages" in filename:
        return True
    paths = sysconfig.get_paths()
    return any(filename.startswith(f"{paths[place]}/") for place in ("stdlib", "platstdlib"))


def wrapped(value: Any) -> Any:
    """Give the function inside a step, a cached function or an installed callable that carries one; else None.

    >>> wrapped(functools.cache(len)) is len
    True
    """
    if isinstance(value, types.FunctionType | type | types.ModuleType | functools.partial):
        return None
    try:
        inner = getattr(value, "__wrapped__", None) if callable(value) else None
    except Exception:  # noqa: BLE001 - what answers to any name may raise
        return None
    return inner if callable(inner) and not is_users_module(type(value).__module__) else None


def binary_digest(module: types.ModuleType | None) -> str:
    """Digest a module of the user's that was compiled from another language; "" for any other."""
    filename = getattr(module, "__file__", None)
    if (
        module is None
        or filename is None
        or filename.endswith((".py", ".pyc"))
        or not is_users_module(module.__name__)
    ):
        return ""
    return hashlib.blake2b(pathlib.Path(filename).read_bytes()).hexdigest()
