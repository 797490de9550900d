"""Payloads: what is sent to the workers of a run in other processes, functions of notebooks and scripts included.

What a worker can import by name is sent by name. What it cannot (the main module, a file that was loaded by its path, a
function inside a function) is sent as code.
"""

from __future__ import annotations

import copyreg
import io
import sys
import sysconfig
import types
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from multiprocessing import spawn
from typing import Any

import cloudpickle

from workflow_assets.errors import DeclarationError
from workflow_assets.functions import Registered, find
from workflow_assets.hooks import ELSEWHERE
from workflow_assets.tasks import Setup

_MAIN = "__main__"


def pack(setup: Setup) -> bytes:
    """Write down what workers need.

    Raises `DeclarationError` that names each step, source and resource which cannot be sent.
    """
    with _sent_as_code() as modules:
        classes = {
            module.__name__: {
                name: value
                for name, value in vars(module).items()
                if isinstance(value, type) and value.__module__ == module.__name__ and not _fault(value)
            }
            for module in modules
        }
        try:
            return _dumps((setup, classes))
        except Exception as error:
            faults = list(_faults(setup)) or [f"{type(error).__name__}: {error}"]
            raise DeclarationError("run", faults) from error


def unpack(data: bytes) -> Setup:
    """Read what a worker needs; classes of modules that it cannot import are found where the store looks for them."""
    setup, classes = cloudpickle.loads(data)
    for name, members in classes.items():
        module = sys.modules.setdefault(name, types.ModuleType(name))
        for member, value in members.items():
            if not hasattr(module, member):
                setattr(module, member, value)
    if not isinstance(setup, Setup):
        raise TypeError(f"a worker was sent a {type(setup).__qualname__}")
    return setup


_kept_out: set[str] = set()
"""The names of processes that do not import the main module again."""


def keep_main_out(name: str) -> None:
    """Let processes of a name not import the main module again: a script needs no guard, and a notebook has no file.

    What they need of it is sent as code. The standard library has no setting for this.
    """
    _kept_out.add(name)
    prepare = spawn.get_preparation_data
    if getattr(prepare, "keeps_main_out", False):
        return

    def data(name: str) -> dict[str, Any]:
        found = prepare(name)
        if name in _kept_out:
            found.pop("init_main_from_path", None)
            found.pop("init_main_from_name", None)
        return found

    data.keeps_main_out = True  # type: ignore[attr-defined]
    spawn.get_preparation_data = data


def let_main_in(name: str) -> None:
    """Let processes of a name import the main module again."""
    _kept_out.discard(name)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc] # which has no types
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Registered) and not _is_sent_by_name(obj):
            # Type hints are read already, so that the names around the definition are needed no more.
            return copyreg.__newobj__, (type(obj),), {**vars(obj), "scope": {}}  # type: ignore[attr-defined]
        return super().reducer_override(obj)


def _is_sent_by_name(one: Registered) -> bool:
    module = one.function.__module__
    found = find(module, one.function.__qualname__)
    function = found.function if isinstance(found, Registered) else found
    return function is one.function and module not in {_MAIN, *cloudpickle.list_registry_pickle_by_value()}


def _dumps(value: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer).dump(value)
    return buffer.getvalue()


def _fault(value: Any) -> str:
    try:
        _dumps(value)
    except Exception as error:  # noqa: BLE001 - pickling runs the code of whatever it meets
        return f"{type(error).__name__}: {error}"
    return ""


def _faults(setup: Setup) -> Iterator[str]:
    declaration = setup.plan.declaration
    hooks = setup.listeners.functions
    members: Mapping[str, Mapping[str, Any]] = {
        "step": {step.name: step for step in declaration.steps},
        "source": declaration.sources,
        "resource": setup.resources,
        "hook": {moment: hooks[moment] for moment in ELSEWHERE if moment in hooks},
    }
    cure = {"resource": "; make it in the workers: per_worker(...)"}
    for kind, named in members.items():
        for name, value in named.items():
            if fault := _fault(value):
                yield f"{kind} {name!r} cannot be sent to another process ({fault}){cure.get(kind, '')}"


@contextmanager
def _sent_as_code() -> Iterator[list[types.ModuleType]]:
    """Have the functions and classes of modules that cannot be imported elsewhere sent as code; give the modules."""
    modules = _hidden_modules()
    with ExitStack() as stack:
        for module in modules:
            if module.__name__ not in {_MAIN, *cloudpickle.list_registry_pickle_by_value()}:
                cloudpickle.register_pickle_by_value(module)
                stack.callback(cloudpickle.unregister_pickle_by_value, module)
        yield modules


def _hidden_modules() -> list[types.ModuleType]:
    """Give the modules that another process would not find: the main one, and files loaded by their path."""
    installed = tuple(
        {sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    )
    hidden = [sys.modules[_MAIN]]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name in {_MAIN, "__mp_main__"} or "." in name or not isinstance(module, types.ModuleType):
            continue
        if not file or name in sys.stdlib_module_names or file.startswith(installed):
            continue
        if _found_file(name) != file:
            hidden.append(module)
    return hidden


def _found_file(name: str) -> str | None:
    """Give the file that importing a module anew would read; `find_spec` of importlib looks at the loaded one."""
    for finder in sys.meta_path:
        spec = finder.find_spec(name, None)
        if spec is not None:
            return spec.origin
    return None
