"""Writings: workflows and experiments as documents, which hold nothing but what JSON has."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from workflow_assets.canonical import canonical
from workflow_assets.compositions import Composition
from workflow_assets.contracts.coercions import coerce, to_plain
from workflow_assets.declarations import Declaration
from workflow_assets.designs import Design
from workflow_assets.errors import ContractError, UnkeyableError
from workflow_assets.factors import Factor
from workflow_assets.fingerprint import fingerprint
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.notations import Places, at, plain
from workflow_assets.replicates import Replicates
from workflow_assets.sources import Given, Source
from workflow_assets.steps import REQUIRED, Step
from workflow_assets.traits import Retries
from workflow_assets.treatments import BASELINE, Treatment
from workflow_assets.typenames import known_types, write_type
from workflow_assets.wires import assembled, collection_type, item_of, parts_of
from workflow_assets.wirings import Node, WiredSteps

VERSION = 1
"""The version of the format of documents."""


def write_workflow(workflow: Composition) -> dict[str, Any]:
    """Give the document of a workflow.

    Raises `DocumentError` with the place of each value that JSON does not have.
    """
    writer = _Writer()
    explicit = {f"{slot}.{name}" for slot, call in workflow.calls.items() for name in call.values}
    sources = {name: one for name, one in workflow.wired.sources.items() if not isinstance(one, Given)}
    document = {
        **_head("workflow", workflow.name, workflow.description),
        **writer.body(workflow.wired, workflow, explicit, sources),
    }
    writer.places.refuse(f"workflow {workflow.name!r} cannot be written")
    return document


def write_experiment(experiment: Declaration) -> dict[str, Any]:
    """Give the document of an experiment.

    Raises `DocumentError` with the place of each value that JSON does not have, and of tests that are functions.
    """
    writer = _Writer()
    composition = experiment.composition
    sources = {
        name: source
        for treatment, workflow in experiment.workflows.items()
        for name, source in workflow.sources.items()
        if not isinstance(source, Given) and experiment.treatments[treatment].sources.get(name) is not source
    }
    document = _head("experiment", experiment.name, experiment.description)
    if composition is not None and composition.name != experiment.name:
        document["workflow"] = composition.name
    document |= writer.body(experiment.workflow, composition, experiment.parameters.keys(), sources)
    document |= writer.treatments(experiment)
    document["replicates"] = _replicates(experiment.replicates)
    document["hypotheses"] = [
        writer.hypothesis(one, at("$.hypotheses", place)) for place, one in enumerate(experiment.hypotheses)
    ]
    document |= _told(families=dict(experiment.families), seed=experiment.seed)
    document |= _told(owners=list(experiment.owners), tags=dict(experiment.tags))
    writer.places.refuse(f"experiment {experiment.name!r} cannot be written")
    return document


def _head(kind: str, name: str, description: str) -> dict[str, Any]:
    return {"kind": kind, "version": VERSION, "name": name, **_told(description=description)}


def _told(**fields: Any) -> dict[str, Any]:
    """Leave out what is empty: it is the default."""
    return {name: value for name, value in fields.items() if value not in ("", None, {}, [], 0)}


class _Writer:
    def __init__(self) -> None:
        self.places = Places()
        self._versions: dict[tuple[int, str | None], str] = {}

    def body(
        self,
        wired: WiredSteps,
        composition: Composition | None,
        explicit: Collection[str],
        sources: Mapping[str, Source[Any]],
    ) -> dict[str, Any]:
        """Give what workflows and experiments have in common."""
        known = known_types(node.step for node in wired)
        inputs = {
            name: self._input(one, at("$.inputs", name), known)
            for name, one in (composition.inputs if composition else {}).items()
        }
        steps = [
            self._step(node, composition, explicit, at("$.steps", place)) for place, node in enumerate(wired)
        ]
        ui = (
            plain(composition.ui, self.places, "$.ui") if composition and composition.ui is not None else None
        )
        groups = {name: list(slots) for name, slots in composition.groups.items()} if composition else {}
        return {
            **_told(inputs=inputs, groups=groups, sources={name: one.slug for name, one in sources.items()}),
            "steps": steps,
            **({"ui": ui} if ui is not None else {}),
        }

    def _input(self, one: Given, path: str, known: Mapping[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if one.returns is not REQUIRED:
            text = write_type(one.returns, known)
            if text is None:
                self.places.add(
                    at(path, "type"), f"{one.returns!r} cannot be told: annotate a step's parameter with it"
                )
            told["type"] = text
        if not one.is_empty:
            told["value"] = self._value(one.value, one.returns, at(path, "value"))
        return told

    def _step(
        self, node: Node, composition: Composition | None, explicit: Collection[str], path: str
    ) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for name, parameter in node.step.parameters.items():
            place = at(at(path, "arguments"), name)
            if name in node.templates:
                arguments[name] = self._template(node, node.templates[name], parameter.annotation, place)
            elif name in node.inputs:
                arguments[name] = {"from": node.inputs[name]}
            elif f"{node.slot}.{name}" in explicit:
                hint = _whole(node.step, name, node.settings[name])
                arguments[name] = {"value": self._value(node.settings[name], hint, at(place, "value"))}
        ui = composition.calls[node.slot].ui if composition is not None else None
        return {
            "id": node.slot,
            **self._use(node.step, path),
            "arguments": arguments,
            **({"ui": plain(ui, self.places, at(path, "ui"))} if ui is not None else {}),
        }

    def _use(self, step: Step[..., Any], path: str) -> dict[str, Any]:
        code = id(step.function), step.version
        if code not in self._versions:
            self._versions[code] = fingerprint(step.function, step.version).digest
        told: dict[str, Any] = {"step": step.slug, "code_version": self._versions[code]}
        if step.overridden:
            told["execution"] = {
                name: self._trait(name, getattr(step, name), at(at(path, "execution"), name))
                for name in step.overridden
            }
        if step.over:
            told["each"] = {"of": list(step.over), "combine": step.combine}
        return told

    def _trait(self, name: str, value: Any, path: str) -> Any:
        if isinstance(value, Retries):
            if value.on not in ((Exception,), Exception):
                self.places.add(
                    path, "exceptions cannot be named in a document: say on=... where the step is declared"
                )
            if value == Retries(value.times):
                return value.times
            return {name: getattr(value, name) for name in ("times", "wait", "backoff", "longest")}
        return plain(dict(value) if name == "resources" else value, self.places, path)

    def _template(self, node: Node, template: Any, annotation: Any, path: str) -> dict[str, Any]:
        if not any(part.place in node.inputs for part in parts_of(template)):
            return {"value": self._value(assembled(template, node.settings), REQUIRED, at(path, "value"))}
        if isinstance(template, Mapping):
            inner, word = item_of(annotation, dict), "dict"
            made: Any = {
                key: self._template(node, one, inner, at(at(path, word), key))
                for key, one in template.items()
            }
            plain(dict.fromkeys(made), self.places, at(path, word))  # whose keys must be texts
            return {word: made}
        if isinstance(template, list):
            inner, word = item_of(annotation, list), "list"
            parts = [
                self._template(node, one, inner, at(at(path, word), n)) for n, one in enumerate(template)
            ]
            return {word: parts}
        source = node.inputs[template.place]
        return {"from": f"{source}.{template.output}" if template.output else source}

    def _value(self, value: Any, annotation: Any, path: str) -> Any:
        """Write a value so that it is read as the same, by its declared type where JSON does not have it."""
        strict = Places()
        made = plain(value, strict, path)
        if strict.faults and annotation is not REQUIRED:
            lenient = Places()
            written = plain(to_plain(value, annotation), lenient, path)
            if not lenient.faults and _same(_coerced(written, annotation), value):
                return written
        self.places.faults += strict.faults
        return made

    def treatments(self, experiment: Declaration) -> dict[str, Any]:
        """Give the treatments, and the design that some of them are of."""
        design = experiment.design if isinstance(experiment.design, Design) else None
        made = {}
        for name, one in experiment.treatments.items():
            if (design and name in design.settings) or (name == BASELINE and one == Treatment()):
                continue
            path = at("$.treatments", name)
            nodes = experiment.workflows[name].nodes
            parameters = {}
            for address, value in one.parameters.items():
                slot, dot, parameter = address.partition(".")
                given = experiment.composition.inputs[slot] if experiment.composition and not dot else None
                hint = _whole(nodes[slot].step, parameter, value) if given is None else given.returns
                parameters[address] = self._value(value, hint, at(at(path, "parameters"), address))
            made[name] = _told(
                parameters=parameters,
                steps={
                    slot: self._use(step, at(at(path, "steps"), slot)) for slot, step in one.steps.items()
                },
                sources={source: swapped.slug for source, swapped in one.sources.items()},
                description=one.description,
            )
            if one.tuned is not None:
                made[name]["tuned"] = one.tuned
        return {**_told(treatments=made), **({"design": self._design(design)} if design else {})}

    def _design(self, design: Design) -> dict[str, Any]:
        def factors(many: Mapping[str, Factor], path: str) -> dict[str, Any]:
            return {address: self._factor(factor, at(path, address)) for address, factor in many.items()}

        return {
            "factors": factors(design.factors, "$.design.factors"),
            **_told(blocks=factors(design.blocks, "$.design.blocks")),
            "settings": plain(design.settings, self.places, "$.design.settings"),
        }

    def _factor(self, factor: Factor, path: str) -> dict[str, Any]:
        if factor.levels is not None:
            return {"levels": plain(factor.levels, self.places, at(path, "levels"))}
        return {"bounds": list(factor.bounds or ()), **({"log": True} if factor.log else {})}

    def hypothesis(self, one: Hypothesis, path: str) -> dict[str, Any]:
        """Give a hypothesis: what differs from the defaults."""
        defaults = {field.name: field.default for field in dataclasses.fields(one)}
        told: dict[str, Any] = {}
        for name, default in defaults.items():
            value = getattr(one, name)
            if name == "metric" and isinstance(value, Mapping):
                told[name] = {
                    metric: {
                        "alternative": alternative,
                        **({} if repr(margin) == "0.0" else {"margin": margin}),
                    }
                    for metric, (alternative, margin) in value.items()
                }
            elif name == "test" and not isinstance(value, str):
                self.places.add(
                    at(path, name), f"{one.test_name} is a function, which no document holds: name a test"
                )
            elif name == "overrides":
                told |= _told(overrides=dict(value))
            elif name == "alternative":
                usual = "two-sided" if one.several else "greater"
                told |= {} if one.together or value == usual else {name: value}
            elif repr(value) != repr(default):  # which tells 0 from 0.0, as a claim's version does
                told[name] = list(value) if isinstance(value, tuple) else value
        return told


def _whole(step: Step[..., Any], name: str, value: Any) -> Any:
    """Give the type of what a parameter is set to: what it is annotated with, or a collection of that."""
    annotation = step.parameters[name].annotation
    return collection_type(annotation, value) if name in step.over else annotation


def _coerced(value: Any, annotation: Any) -> Any:
    """Read a written value by its declared type; what cannot be read is another value than any."""
    try:
        return coerce(value, annotation, "")
    except ContractError:
        return _same


def _same(one: Any, other: Any) -> bool:
    try:
        return canonical(one) == canonical(other)
    except UnkeyableError:
        return False


def _replicates(replicates: Replicates) -> Any:
    levels = replicates.levels
    more: dict[str, Any] = _told(first=replicates.first, test_fraction=replicates.test_fraction)
    if levels is not None:
        more["levels"] = list(levels.names)
        more |= _told(unit=levels.unit, block=levels.block)
        more |= {"crossed": True} if levels.crossed else {}
        return {"units": {key: list(place) for key, place in levels.places.items()}, **more}
    units = None if replicates.units is None else list(replicates.units)
    if not more:
        return replicates.count if units is None else units
    return {"count": replicates.count, **more} if units is None else {"units": units, **more}
