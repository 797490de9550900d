"""Values that are nothing but their class and their fields: dataclasses, pydantic models, named tuples.

They are put together again without calling their constructors, as unpickling does; but only from fields that are
values themselves, so that nothing is executed beyond the import of the module that defines the class.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import importlib
import sys
import types
import weakref
from typing import Any, NamedTuple

from workflow_assets.errors import CodecError

KINDS = frozenset({"object", "model", "named"})


class State(NamedTuple):
    """What a value consists of: its fields by name, and what its kind has besides."""

    kind: str
    fields: dict[str, Any]
    more: tuple[Any, ...] = ()


def take_apart(value: Any) -> State | None:
    """Give the state of a value; None for one whose class is more than its fields."""
    cls: Any = type(value)  # mypy takes a class for unhashable
    kind = kind_of(cls)
    if kind is None:
        return None
    if kind == "named":
        return (
            None
            if getattr(value, "__dict__", None)
            else State(kind, dict(zip(cls._fields, value, strict=True)))
        )
    if kind == "model":
        state = value.__getstate__()
        more: tuple[Any, ...] = (sorted(state["__pydantic_fields_set__"]),)
        extra, private = state.get("__pydantic_extra__"), state.get("__pydantic_private__")
        if extra is not None or private is not None:
            more += (extra, private)
        return State(kind, state["__dict__"], more)
    fields = dict(getattr(value, "__dict__", ()))
    for slot in _slots(cls):
        if hasattr(value, slot):
            fields[slot] = getattr(value, slot)
    return State(kind, fields)


def put_together(kind: str, cls: Any, fields: dict[str, Any], *more: Any) -> Any:
    """Give the value of a state; raise `CodecError` where the class is no longer of that kind."""
    if kind_of(cls) != kind:
        raise CodecError(
            f"the stored value is a {cls.__qualname__}, which is no longer nothing but its fields"
        )
    if kind == "named":
        if tuple(fields) != cls._fields:
            raise CodecError(f"the stored {cls.__qualname__} has the fields {', '.join(fields)}")
        return tuple.__new__(cls, fields.values())
    value = object.__new__(cls)
    if kind == "model":
        names, extra, private = more if len(more) == 3 else (*more, None, None)
        value.__setstate__(
            {
                "__dict__": fields,
                "__pydantic_fields_set__": set(names),
                "__pydantic_extra__": extra,
                "__pydantic_private__": private,
            }
        )
        return value
    slots = _slots(cls)
    for name in slots:
        if name in fields:
            object.__setattr__(value, name, fields.pop(name))
    if fields:
        vars(value).update(fields)
    return value


def name_of(cls: type) -> str | None:
    """Give the name by which a class is found again, in this process or a later one; None if it would not be."""
    name = f"{cls.__module__}:{cls.__qualname__}"
    if _imported(name) is cls:
        return name
    if "<locals>" in name or "[" in name:  # defined in a function, or a parametrised pydantic model
        _LOCAL[name] = cls
        return name
    return None


def find(name: str, imports: bool) -> Any:
    """Give the class of a name; with `imports`, its module is imported where it is not loaded yet."""
    module = name.partition(":")[0]
    if imports and module not in sys.modules:
        try:
            importlib.import_module(module)
        except (ImportError, ValueError) as error:
            raise CodecError(
                f"the stored value is a {name}, whose module cannot be imported: {error}"
            ) from error
    found = _imported(name) or _LOCAL.get(name)
    if not isinstance(found, type) or not (issubclass(found, enum.Enum) or _is_known(found)):
        if "<locals>" in name:
            reason = "it was defined inside a function of another process"
        elif module not in sys.modules:
            reason = f"the store does not trust the value to have its module imported; import {module} first"
        else:
            reason = "it cannot be imported"
        raise CodecError(f"the stored value is a {name}, and no such class can be had: {reason}")
    return found


def _is_known(cls: Any) -> bool:
    return kind_of(cls) is not None


def _imported(name: str) -> Any:
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split(
        "."
    ):  # as they are: a module may import when it is asked for what it does not have
        if issubclass(type(found), type):
            found = vars(found).get(part)
        elif issubclass(type(found), types.ModuleType):
            found = object.__getattribute__(found, "__dict__").get(part)
        else:
            return None
    return found


_LOCAL: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()
"""Classes that no import finds, as they were last written in this process."""


@functools.lru_cache(maxsize=1024)
def kind_of(cls: Any) -> str | None:
    """Tell how a class is nothing but its fields; None if it pickles in a way of its own, or holds other data."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and issubclass(cls, pydantic.BaseModel):
        usual = "pydantic"
    elif issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple):
        bases = [base for base in cls.__mro__ if base not in (tuple, object)]
        return None if any(_pickles_itself(base, "collections") for base in bases) else "named"
    elif not issubclass(cls, _DATA) and dataclasses.is_dataclass(cls):
        usual = "dataclasses"
    else:
        return None
    if getattr(cls, "__new__", None) is not object.__new__ or any(
        _pickles_itself(base, usual) for base in cls.__mro__[:-1]
    ):
        return None
    return "model" if usual == "pydantic" else "object"


_PICKLING = (
    "__reduce__",
    "__reduce_ex__",
    "__getstate__",
    "__setstate__",
    "__getnewargs__",
    "__getnewargs_ex__",
)
_DATA = (dict, list, set, frozenset, tuple, str, bytes, bytearray, int, float, complex, BaseException, type)


def _pickles_itself(base: type, usual: str) -> bool:
    """Tell whether a class says how it is pickled, other than as the library does that made it."""
    own = [method for name in _PICKLING if (method := vars(base).get(name)) is not None]
    if usual == "collections":  # named tuples are made from text, in the name of their module
        return bool(own) and "_fields" not in vars(base)
    return any(not str(getattr(method, "__module__", "")).startswith(usual) for method in own)


@functools.lru_cache(maxsize=1024)
def _slots(cls: Any) -> tuple[str, ...]:
    found = []
    for base in cls.__mro__:
        slots = vars(base).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in {"__dict__", "__weakref__"}:
                private = slot.startswith("__") and not slot.endswith("__")
                found.append(f"_{base.__name__.lstrip('_')}{slot}" if private else slot)
    return tuple(found)
