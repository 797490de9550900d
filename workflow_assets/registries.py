"""Registries: steps and sources by slug, told as JSON and to readers, and found in installed packages.

``python -m workflow_assets.registries`` lists what the installed packages bring.
"""

from __future__ import annotations

import importlib
import itertools
import json
import logging
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from workflow_assets.contracts.checkers import describe
from workflow_assets.contracts.hints import says_nothing
from workflow_assets.errors import DeclarationError, UnknownNameError, did_you_mean, excerpt, listing
from workflow_assets.functions import Registered
from workflow_assets.modules import qualified_name
from workflow_assets.sources import Source
from workflow_assets.steps import REQUIRED, Parameter, Step
from workflow_assets.traits import NO_RETRIES
from workflow_assets.wires import output_names

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "workflow_assets.steps"
"""The group of entry points under which a package names its steps."""

logger = logging.getLogger("workflow_assets")

Member = TypeVar("Member")


class NotLoaded(NamedTuple):
    """An entry point of an installed package that could not be loaded, or not wholly."""

    entry_point: str
    package: str
    reason: str

    def __str__(self) -> str:
        package = f" of {self.package}" if self.package else ""
        return f"entry point {self.entry_point!r}{package}: {self.reason}"


class Registry:
    """Steps and sources by slug, so that documents and other packages can name them.

    Args:
        members: steps and sources, or modules in which some are defined.
        installed: also those that installed packages name by entry points of the group ``workflow_assets.steps``. They
            are loaded when a slug is asked for that is not here, or all are; what is here comes first.

    >>> from workflow_assets import step
    >>> registry = Registry()
    >>> @registry.add
    ... @step
    ... def clean(text: str = "") -> str:
    ...     return text.strip()
    >>> registry["clean"] is clean
    True
    """

    def __init__(self, members: Iterable[Any] = (), *, installed: bool = False) -> None:
        self._members: dict[str, Any] = {}
        self._pending = installed
        self._not_loaded: list[NotLoaded] = []
        faults: list[str] = []
        for member in members:
            for one in _members_of(member) if isinstance(member, types.ModuleType | Registry) else [member]:
                faults += self._added(one)
        if faults:
            raise DeclarationError("registry", faults)

    def add(self, member: Member) -> Member:
        """Register a step or a source under its slug.

        Defining the same function again (as a notebook does) replaces it. Raises `DeclarationError` when the slug
        belongs to another function.
        """
        if faults := self._added(member):
            raise DeclarationError("registry", faults)
        return member

    def _added(self, member: Any) -> list[str]:
        """Register a step or source; say what prevents it."""
        if not isinstance(member, Registered):
            return [f"{excerpt(member)} is neither a step nor a source: decorate it with @step"]
        slug, function = str(getattr(member, "slug", "")), member.function
        present = self._members.get(slug)
        holder = None if present is None else qualified_name(present.function)
        if holder is not None and (
            holder != qualified_name(function) or isinstance(present, Step) != isinstance(member, Step)
        ):
            return [
                f"slug {slug!r} of {qualified_name(function)} is {holder}'s; give one another: @step(slug=...)"
            ]
        self._members[slug] = member
        return []

    def __getitem__(self, slug: str) -> Any:
        if slug not in self._members:
            self._load()
        if slug not in self._members:
            lost = "".join(f"; not loaded: {one}" for one in self._not_loaded)
            raise UnknownNameError(
                f"no step or source has the slug {slug!r}: {did_you_mean(str(slug), self._members)}{lost}"
            )
        return self._members[slug]

    def __contains__(self, slug: object) -> bool:
        if slug not in self._members:
            self._load()
        return slug in self._members

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(tuple(self._members))

    def __len__(self) -> int:
        self._load()
        return len(self._members)

    # -- installed packages -------------------------------------------------------------------------------------------

    @property
    def not_loaded(self) -> tuple[NotLoaded, ...]:
        """The entry points of installed packages that could not be loaded, with the reasons."""
        self._load()
        return tuple(self._not_loaded)

    def _load(self) -> None:
        """Load what installed packages name, once; one that fails does not take the others down."""
        if not self._pending:
            return
        self._pending = False
        from importlib.metadata import entry_points

        for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
            package = f"{point.dist.name} {point.dist.version}" if point.dist else ""
            for reason in self._loaded(point):
                self._not_loaded.append(NotLoaded(point.name, package, reason))
                logger.warning("%s", self._not_loaded[-1])

    def _loaded(self, point: EntryPoint) -> list[str]:
        """Register what an entry point names; say what prevents it."""
        try:
            found = point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a package raises when it is imported
            return [f"{point.value} cannot be imported: {type(error).__qualname__}: {error}"]
        if isinstance(found, Registered):
            return self._added(found)
        if not isinstance(found, types.ModuleType | Registry):
            return [
                f"{point.value} is {excerpt(found)}: expected a step, a source, a registry, or a module of these"
            ]
        members = _members_of(found)
        if not members:
            return [f"{point.value} has no steps or sources"]
        return [fault for one in members for fault in self._added(one)]

    # -- telling ------------------------------------------------------------------------------------------------------

    def catalogue(self) -> dict[str, Any]:
        """Give what is told of each step and source, in plain values that JSON holds.

        ``entries`` lists them by their slugs; ``not_loaded`` what installed packages could not be asked for.
        """
        return {
            "entries": [entry(self[slug]) for slug in sorted(self)],
            "not_loaded": [one._asdict() for one in self.not_loaded],
        }

    def __str__(self) -> str:
        lines: list[str] = []
        members = sorted((self[slug] for slug in self), key=lambda one: (_kind(one), one.slug))
        for kind, group in itertools.groupby(members, _kind):
            lines += [*([""] if lines else []), f"{kind}:"]
            for one in group:
                lines += [f"  {signature(one)}", *(f"      {line}" for line in _remarks(one))]
        if not lines:
            lines = ["no steps or sources"]
        if self.not_loaded:
            lines += ["", "not loaded:", *(f"  {one}" for one in self.not_loaded)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        more = ", and those of installed packages" if self._pending else ""
        return f"Registry({', '.join(self._members)}{more})"


def entry(one: Step[..., Any] | Source[Any]) -> dict[str, Any]:
    """Give what a catalogue tells of a step or source, in plain values that JSON holds.

    Of a step, ``parameters`` is the JSON schema of what it can be given as plain values, ``inputs`` tells the type of
    every parameter, and ``output`` that of the result. ``schema`` is None where JSON cannot hold the values.

    >>> from workflow_assets import step
    >>> @step(category="transform")
    ... def scale(x: float, k: float = 2.0) -> float:
    ...     return x * k
    >>> told = entry(scale)
    >>> told["inputs"]["k"], told["parameters"]["required"]
    ({'type': 'float', 'schema': {'type': 'number'}, 'required': False, 'default': '2.0'}, ['x'])
    """
    told = {
        "kind": "step" if isinstance(one, Step) else "source",
        "slug": one.slug,
        "name": one.name,
        "description": one.description,
        "function": qualified_name(one.function),
        "version": one.version,
        "category": one.category if isinstance(one, Step) else "extract",
        "output": _output(one.returns),
        "tags": dict(one.tags),
        "owners": list(one.owners),
    }
    if not isinstance(one, Step):
        return told
    return {
        **told,
        "mode": one.mode,
        "parameters": step_schema(one),
        "inputs": {name: _input(parameter) for name, parameter in one.parameters.items()},
        "given": sorted(one.given),
        "metrics": {name: kind.__name__ for name, kind in one.metrics.items()},
        "random": one.random,
        "transient": one.transient,
        "memo": one.memo,
        "retries": one.retries.times,
        "timeout": one.timeout,
        "resources": dict(one.resources),
        "metadata": json.loads(json.dumps(one.metadata)),
    }


def step_schema(step: Step[..., Any]) -> dict[str, Any]:
    """Give the JSON Schema of the values of a step's parameters: their types, defaults and descriptions.

    A parameter whose type JSON does not have, such as a frame, accepts anything and says that it is wired.

    >>> from workflow_assets import step
    >>> @step
    ... def clean(text: str, limit: int = 80) -> str:
    ...     return text.strip()[:limit]
    >>> step_schema(clean)["properties"]["limit"]
    {'type': 'integer', 'default': 80}
    """
    from workflow_assets.contracts.schemas import ABSENT, schema_of_all  # pydantic is not needed before

    types = {
        name: (parameter.annotation, ABSENT if parameter.default is REQUIRED else parameter.default)
        for name, parameter in step.parameters.items()
    }
    schema = schema_of_all(types)
    told, known = _described(step.description), schema["properties"]
    schema["properties"] = properties = {
        name: known.get(name, {"description": "Of a type that JSON does not have: wire it."})
        for name in types
    }
    for name in told.keys() & types.keys():
        own = properties[name].get("description", "")
        properties[name]["description"] = f"{told[name]} {own}".rstrip()
    if required := [name for name, (_, default) in types.items() if default is ABSENT]:
        schema["required"] = required
    summary = step.description.partition("\n\n")[0]
    return {"title": step.slug, **({"description": summary} if summary else {}), **schema}


def _described(docstring: str) -> dict[str, str]:
    """Give what a docstring says of parameters, in the way of Google's style."""
    told: dict[str, str] = {}
    inside, name = False, ""
    for line in docstring.splitlines():
        text = line.strip()
        if text in ("Args:", "Arguments:"):
            inside = True
        elif inside and text and not line.startswith(" "):
            break
        elif inside and line.startswith("    ") and not line.startswith("     ") and ":" in text:
            name, _, first = text.partition(":")
            name = name.partition(" ")[0]
            told[name] = first.strip()
        elif inside and text and name:
            told[name] = f"{told[name]} {text}"
    return told


def signature(one: Step[..., Any] | Source[Any]) -> str:
    """Write what a step or source takes and gives as a reader would: slug, parameters, types and defaults.

    >>> from workflow_assets import step
    >>> @step
    ... def scale(x: float, k: float = 2.0) -> float:
    ...     return x * k
    >>> signature(scale)
    'scale(x: float, k: float = 2.0) -> float'
    """
    parameters = one.parameters.values() if isinstance(one, Step) else ()
    told = ", ".join(
        parameter.name
        + ("" if says_nothing(parameter.annotation) else f": {describe(parameter.annotation)}")
        + ("" if parameter.default is REQUIRED else f" = {excerpt(parameter.default, 40)}")
        for parameter in parameters
    )
    result = "" if says_nothing(one.returns) else f" -> {describe(one.returns)}"
    return f"{one.slug}({told}){result}"


def _input(parameter: Parameter) -> dict[str, Any]:
    from workflow_assets.contracts.schemas import schema_of

    required = parameter.default is REQUIRED
    return {
        "type": _type(parameter.annotation),
        "schema": schema_of(parameter.annotation),
        "required": required,
        **({} if required else {"default": excerpt(parameter.default)}),
    }


def _output(returns: Any) -> dict[str, Any]:
    from workflow_assets.contracts.schemas import schema_of

    names = output_names(returns)
    return {
        "type": _type(returns),
        "schema": schema_of(returns),
        **({} if names is None else {"outputs": list(names)}),
    }


def _type(annotation: Any) -> str:
    return "Any" if annotation is REQUIRED else describe(annotation)


def _kind(one: Any) -> str:
    return (one.category or "steps") if isinstance(one, Step) else "sources"


def _first_line(one: Any) -> str:
    return str(one.description.strip().partition("\n")[0])


def _remarks(one: Any) -> list[str]:
    """Give the lines that follow the signature in a listing."""
    remarks = [_first_line(one)] if one.description.strip() else []
    if isinstance(one, Step):
        traits = [
            *([f"works on {one.mode}"] if one.mode != "whole" else []),
            *([f"is given {listing(sorted(one.given))}"] if one.given else []),
            *([f"needs {name} {amount:g}" for name, amount in one.resources.items()]),
            *([f"tried again {one.retries.times} times"] if one.retries != NO_RETRIES else []),
            *([f"at most {one.timeout:g} s"] if one.timeout is not None else []),
            *([f"{name} = {excerpt(value)}" for name, value in one.metadata.items()]),
        ]
        if traits:
            remarks.append("; ".join(traits))
    return remarks


def _members_of(found: types.ModuleType | Registry) -> list[Any]:
    """Give what a registry holds, or what a module names in ``__all__``, or defines itself or in its submodules."""
    if isinstance(found, Registry):
        return [found[slug] for slug in found]
    names: Mapping[str, Any] = vars(found)
    listed = names.get("__all__")
    home = found.__name__
    return list(
        dict.fromkeys(
            one
            for name, one in names.items()
            if issubclass(type(one), Registered)
            and (
                name in listed if listed is not None else f"{one.function.__module__}.".startswith(f"{home}.")
            )
        )
    )


def main(arguments: list[str] | None = None) -> int:
    """List the steps and sources of installed packages, or of modules, for readers or as JSON."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m workflow_assets.registries", description=main.__doc__)
    parser.add_argument("modules", nargs="*", help="modules whose steps are listed instead")
    parser.add_argument("--json", action="store_true", help="the whole catalogue")
    told = parser.parse_args(arguments)

    try:
        registry = Registry(map(importlib.import_module, told.modules), installed=not told.modules)
    except (ImportError, DeclarationError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{json.dumps(registry.catalogue(), indent=2) if told.json else registry}\n")
    return 1 if registry.not_loaded else 0


if __name__ == "__main__":
    # What packages know are the classes of the imported module, not this one's.
    sys.exit(importlib.import_module("workflow_assets.registries").main())
