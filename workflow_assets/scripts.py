"""Scripts: a workflow as plain Python, which needs this package no more than the modules of its steps do."""

from __future__ import annotations

import builtins
import importlib
import inspect
import keyword
import math
import typing
from collections.abc import Mapping
from typing import Any

from workflow_assets.compositions import Composition
from workflow_assets.contracts.checkers import describe, metric_type
from workflow_assets.contracts.hints import marks_of, plain_hint
from workflow_assets.errors import excerpt, listing
from workflow_assets.functions import Registered
from workflow_assets.modules import module_name
from workflow_assets.notations import Places, at
from workflow_assets.sources import AssetSource, Given, Source
from workflow_assets.steps import Step
from workflow_assets.wirings import Node

_TAKEN = frozenset(
    {*dir(builtins), "INPUTS", "run", "inputs", "given", "asyncio", "deepcopy", "taken", "product", "each"}
)

_TAKE = '''
def taken(value, output):
    """Take one output of several: an item of a mapping, or a field."""
    return value[output] if isinstance(value, dict) else getattr(value, output)
'''

_EACH = '''
def each(function, many, whole, combine=zip):
    """Call a function on each item of some arguments: of lists, on the values of mappings, or the rows of frames."""
    rows = {name: one.to_dict("records") if hasattr(one, "columns") else one for name, one in many.items()}
    labels = [list(one) for one in rows.values() if isinstance(one, dict)] if combine is zip or len(rows) == 1 else []
    items = [list(one.values() if isinstance(one, dict) else one) for one in rows.values()]
    if any(one != labels[0] for one in labels) or (combine is zip and len({len(one) for one in items}) > 1):
        raise ValueError(f"the items of {list(many)} cannot be taken together")
    made = [function(**deepcopy(dict(zip(rows, parts))), **whole) for parts in combine(*items)]
    return dict(zip(labels[0], made)) if labels else made
'''


def to_script(workflow: Composition) -> str:
    """Write a workflow as a plain Python script that gives the same results.

    The script imports the functions of the steps by name. Each step is handed copies, as it is in a run, so that one
    that changes its arguments in place changes nobody else's. Retries, timeouts and the store are left behind.

    Raises `DocumentError` for what cannot be exported: functions that cannot be imported (those inside functions, or of
    a notebook), steps that the engine gives something (`rng`, `seed`, `ctx`, …) or seeds, sources that are assets of
    Dagster, and values that Python has no literal for.
    """
    return _Script(workflow).text()


class _Script:
    def __init__(self, workflow: Composition) -> None:
        self.workflow = workflow
        self.places = Places()
        self.imports: dict[str, dict[str, str]] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.takes = False
        self.each = False
        self.products = False
        self.coroutines = False

    def text(self) -> str:
        wired = self.workflow.wired
        inputs = [
            f"    {name!r}: {self.literal(one.value, at('$.inputs', name))},"
            for name, one in self.workflow.inputs.items()
            if not one.is_empty
        ]
        needed = [name for name, one in self.workflow.inputs.items() if one.is_empty]
        body = [
            f"    given[{name!r}] = {self.function(source, at('$.sources', name))}()"
            for name, source in wired.sources.items()
            if not isinstance(source, Given)
        ]
        body += [
            f"    given[{node.slot!r}] = {self.call(node, at('$.steps', n))}" for n, node in enumerate(wired)
        ]
        self.places.refuse(f"workflow {self.workflow.name!r} cannot be a script")
        about = " ".join(f"{self.workflow.name}. {self.workflow.description}".split())
        lines = [f'"""{_safe(about)}"""', ""]
        lines += ["import asyncio"] if self.coroutines else []
        lines += ["from copy import deepcopy"]
        lines += ["from itertools import product", ""] if self.products else [""]
        for module, names in sorted(self.imports.items()):
            told = [name if name == alias else f"{name} as {alias}" for name, alias in sorted(names.items())]
            lines.append(f"from {module} import {', '.join(told)}")
        lines += ["", "INPUTS = {", *inputs, "}"]
        lines += [_TAKE.rstrip()] if self.takes else []
        lines += [_EACH.rstrip()] if self.each else []
        missing = f"; {listing(needed)} must be given" if needed else ""
        lines += ["", "", "def run(**inputs):"]
        lines += [f'    """Compute every step, and give the results by name{_safe(missing)}."""']
        lines += ["    given = deepcopy({**INPUTS, **inputs})", *body]
        steps = ", ".join(repr(node.slot) for node in wired)
        lines += [f"    return {{name: given[name] for name in ({steps},)}}"]
        lines += ["", "", 'if __name__ == "__main__":', "    for name, value in run().items():"]
        lines += ['        print(f"{name}: {value!r}")', ""]
        return "\n".join(lines)

    def function(self, one: Step[..., Any] | Source[Any], path: str) -> str:
        """Give the name that a function is imported under."""
        function = inspect.unwrap(one.function)
        module, qualname = module_name(one.function.__module__), one.function.__qualname__
        top, *rest = qualname.split(".")
        if isinstance(one, AssetSource):
            self.places.add(path, f"{one.name!r} is an asset of Dagster: only a run can read it")
        elif not _importable(module, one.function):
            self.places.add(path, f"{module}:{qualname} cannot be imported: define it at the top of a module")
        elif inspect.isasyncgenfunction(function):
            self.places.add(path, "it is an asynchronous generator")
        return ".".join((self.imported(module, top), *rest))

    def imported(self, module: str, name: str) -> str:
        if (module, name) not in self.names:
            alias, number = name, 2
            while alias in (*self.names.values(), *_TAKEN) or keyword.iskeyword(alias):
                alias, number = f"{name}_{number}", number + 1
            self.names[module, name] = alias
            self.imports.setdefault(module, {})[name] = alias
        return self.names[module, name]

    def call(self, node: Node, path: str) -> str:
        step = node.step
        if step.given or step.legacy_rng:
            told = listing(sorted(step.given)) if step.given else "seeded generators"
            self.places.add(path, f"the engine gives {told} to {step.slug!r}, which a script cannot")
        arguments = []
        for name in step.parameters:
            place = at(at(path, "arguments"), name)
            if name in node.templates:
                made = self.template(node, node.templates[name], place)
                arguments.append((name, f"tuple({made})" if _is_tuple(node, name) else made))
            elif name in node.inputs:
                arguments.append((name, self.read(node.inputs[name])))
            else:
                arguments.append((name, self.literal(node.settings[name], place)))
        function = self.function(step, path)
        around = ""
        if step.is_coroutine:
            self.coroutines = True
            around = "asyncio.run"
        elif inspect.isgeneratorfunction(inspect.unwrap(step.function)):
            if typing.get_args(step.returns)[:1] in ((bytes,), (bytearray,), (memoryview,)):
                self.places.add(path, f"{step.slug!r} gives a file, piece by piece, which only a store keeps")
            around = "list"
        if step.over:
            return self.on_each(
                step, f"lambda **parts: {around}({function}(**parts))" if around else function, arguments
            )
        made = f"{function}({', '.join(f'{name}={text}' for name, text in arguments)})"
        return f"{around}({made})" if around else made

    def on_each(self, step: Step[..., Any], function: str, arguments: list[tuple[str, str]]) -> str:
        """Call a function on each item."""
        self.each = True
        told = dict(arguments)
        many = ", ".join(f"{name!r}: {told.pop(name)}" for name in step.over)
        whole = ", ".join(f"{name!r}: {text}" for name, text in told.items())
        combine = ""
        if step.combine == "product":
            self.products, combine = True, ", product"
        return f"each({function}, {{{many}}}, {{{whole}}}{combine})"

    def template(self, node: Node, template: Any, path: str) -> str:
        if isinstance(template, Mapping):
            parts = [f"{key!r}: {self.template(node, one, at(path, key))}" for key, one in template.items()]
            return f"{{{', '.join(parts)}}}"
        if isinstance(template, list):
            return f"[{', '.join(self.template(node, one, at(path, n)) for n, one in enumerate(template))}]"
        if template.place not in node.inputs:
            return self.literal(node.settings[template.place], path)
        return self.read(node.inputs[template.place], template.output)

    def read(self, name: str, output: str = "") -> str:
        """Give a fresh copy of what a step or input has; numbers and texts need none."""
        text = f"given[{name!r}]"
        if output:
            self.takes = True
            text = f"taken({text}, {output!r})"
        node = self.workflow.wired.nodes.get(name)
        plain = node is not None and not output and metric_type(node.step.gives) is not None
        return text if plain else f"deepcopy({text})"

    def literal(self, value: Any, path: str) -> str:
        """Write a value as Python does."""
        kind = type(value)
        if kind is float and not math.isfinite(value):
            return f'float("{value}")'
        if value is None or kind in (bool, int, float, str, bytes):
            return repr(value)
        if kind is dict:
            items = [
                f"{self.literal(key, path)}: {self.literal(one, at(path, str(key)))}"
                for key, one in value.items()
            ]
            return f"{{{', '.join(items)}}}"
        if kind in (list, tuple, set, frozenset):
            items = [self.literal(one, at(path, n)) for n, one in enumerate(value)]
            inner = ", ".join(items)
            if kind is tuple:
                return f"({inner},)" if items else "()"
            return f"[{inner}]" if kind is list else f"{kind.__name__}([{inner}])"
        self.places.add(path, f"{excerpt(value)} is a {describe(kind)}, for which Python has no literal")
        return "None"


def _is_tuple(node: Node, name: str) -> bool:
    """Whether a list of parts is handed as the tuple that the parameter says."""
    hint = marks_of(plain_hint(node.step.parameters[name].annotation))[0]
    return isinstance(node.templates[name], list) and (typing.get_origin(hint) or hint) is tuple


def _safe(text: str) -> str:
    """Give a text that can stand in a docstring, whatever it holds."""
    return text.replace("\\", "\\\\").replace('"', "'")


def _importable(module: str, function: Any) -> bool:
    holder: Any
    if module == "__main__":
        return False
    try:
        holder = (
            importlib.import_module(module) if function.__module__ != "__main__" else __import__("__main__")
        )
    except Exception:  # noqa: BLE001 - whatever a user's module raises
        return False
    for part in function.__qualname__.split("."):
        holder = getattr(holder, part, None)
    return holder is function or (isinstance(holder, Registered) and holder.function is function)
