"""Protocols: documents of experiments, read with every fault told at its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from workflow_assets.compositions import Composition
from workflow_assets.contracts.coercions import coerce
from workflow_assets.declarations import Declaration
from workflow_assets.designs import Design
from workflow_assets.errors import ContractError, DeclarationError, excerpt
from workflow_assets.factors import Factor
from workflow_assets.hypotheses import ALTERNATIVES, Hypothesis
from workflow_assets.levels import Levels
from workflow_assets.mappings import FrozenDict
from workflow_assets.notations import Places, at
from workflow_assets.readers import place_among, place_named, place_of
from workflow_assets.readings import BODY, WorkflowReader
from workflow_assets.registries import Registry
from workflow_assets.replicates import Replicates
from workflow_assets.sources import Source
from workflow_assets.steps import Step
from workflow_assets.treatments import BASELINE, Treatment

KEYS = (
    *BODY,
    "workflow",
    "treatments",
    "design",
    "replicates",
    "hypotheses",
    "families",
    "seed",
    "owners",
    "tags",
)
TREATMENT = ("parameters", "steps", "sources", "description", "tuned")
REPLICATES = ("count", "units", "first", "test_fraction", "levels", "unit", "block", "crossed")
HYPOTHESIS = tuple(field.name for field in dataclasses.fields(Hypothesis))

_NUMBER = (int, float)
_KINDS: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "metric": (str, dict),
    "treatment": (str, tuple),
    "against": (str, *_NUMBER),
    "alternative": (str, type(None)),
    "margin": _NUMBER,
    "test": (str,),
    "paired": (bool,),
    "alpha": _NUMBER,
    "gate": (bool,),
    "accept": (tuple,),
    "description": (str,),
    "family": (str,),
}
_WORDS: Mapping[type, str] = {
    str: "a text",
    dict: "a mapping",
    tuple: "a list",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}

Made = TypeVar("Made", bound=Declaration)


def read_experiment(tree: Any, registry: Registry, make: type[Made], *, pinned: bool = False) -> Made:
    """Read the document of an experiment.

    Raises `DocumentError` with every fault.
    """
    reader = _Reader(registry)
    told = reader.head(tree, "experiment", KEYS)
    name = reader.name(told)
    composition = reader.body(
        told, Composition, reader.name(told, "workflow") if "workflow" in told else name
    )
    fields = reader.fields(told)
    made = None
    if composition is not None and not reader.places.faults:
        try:
            made = make(
                name,
                composition,
                description=told.get("description", ""),
                sources=list(reader.sources.values()),
                **fields,
            )
        except DeclarationError as error:
            reader.tell(error.faults, told)
    reader.close(pinned)
    assert made is not None
    return made


class _Reader(WorkflowReader):
    def fields(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Read what an experiment has beside its workflow."""
        treatments = {
            name: self._treatment(one, at("$.treatments", name))
            for name, one in self.mapping(told.get("treatments", {}), "$.treatments").items()
        }
        known = {BASELINE, *treatments, *_settings(told)}
        metrics = {
            name
            for steps in (self.steps, *(one.steps for one in treatments.values()))
            for slot, step in steps.items()
            for name in step.named(slot).metric_names()
        }
        hypotheses = [
            self._hypothesis(one, at("$.hypotheses", place), known, metrics)
            for place, one in enumerate(self.sequence(told.get("hypotheses", []), "$.hypotheses"))
        ]
        seed = told.get("seed", 0)
        if type(seed) is not int or seed < 0:
            self.add("$.seed", f"seed = {excerpt(seed)}: expected a whole number of 0 or more")
        return {
            "treatments": self._design(told["design"], treatments) if "design" in told else treatments,
            "replicates": self._replicates(told.get("replicates", 1)),
            "hypotheses": hypotheses,
            "families": self._texts(told.get("families", {}), "$.families"),
            "seed": seed,
            "owners": [
                self.text(one, at("$.owners", place))
                for place, one in enumerate(self.sequence(told.get("owners", []), "$.owners"))
            ],
            "tags": self._texts(told.get("tags", {}), "$.tags"),
        }

    def _texts(self, told: Any, path: str) -> dict[str, str]:
        return {key: self.text(one, at(path, key)) for key, one in self.mapping(told, path).items()}

    # -- treatments ---------------------------------------------------------------------------------------------------

    def _treatment(self, told: Any, path: str) -> Treatment:
        entry = self.mapping(told, path, TREATMENT)
        steps: dict[str, Step[..., Any]] = {}
        unsound: set[str] = set()
        swaps = at(path, "steps")
        for slot, one in self.mapping(entry.get("steps", {}), swaps).items():
            place = at(swaps, slot)
            use = self.mapping(one, place, ("step", "code_version", "execution", "each"), ("step",))
            step = self.use(use, place) if "step" in use else None
            if slot not in self.slots:
                self.add(place, f"no step is called {excerpt(slot)}: {self.places.near(slot, self.slots)}")
            elif step is not None:
                steps[slot] = step
            else:
                unsound.add(slot)
        parameters = self.mapping(entry.get("parameters", {}), at(path, "parameters"))
        for address, value in parameters.items():
            if address.partition(".")[0] in unsound:
                continue
            self._parameter(address, value, steps, at(at(path, "parameters"), address))
        sources = {
            name: found
            for name, slug in self.mapping(entry.get("sources", {}), at(path, "sources")).items()
            if (found := self.member(slug, at(at(path, "sources"), name), Source)) is not None
        }
        try:
            return Treatment(
                parameters,
                steps,
                sources,
                self.text(entry.get("description", ""), at(path, "description")),
                entry.get("tuned"),
            )
        except DeclarationError as error:
            for fault in error.faults:
                self.add(at(path, "tuned") if fault.startswith("tuned") else path, fault)
        return Treatment()

    def _parameter(self, address: str, value: Any, swapped: Mapping[str, Step[..., Any]], path: str) -> None:
        slot, _, name = address.partition(".")
        step = swapped.get(slot) or self.steps.get(slot)
        if slot in self.broken:
            return
        if address in self.inputs:
            try:
                coerce(value, self.inputs[address].returns, address)
            except ContractError as error:
                self.add(path, str(error))
            return
        if step is None or name not in step.parameters:
            known = [
                f"{one}.{key}" for one, many in {**self.steps, **swapped}.items() for key in many.parameters
            ]
            known += self.inputs
            self.add(
                path, f"{excerpt(address)} is no parameter of any step: {self.places.near(address, known)}"
            )
            return
        if name in step.over or (value is None and step.parameters[name].default is None):
            return
        try:
            coerce(value, step.parameters[name].annotation, address)
        except ContractError as error:
            self.add(path, str(error))

    def _design(self, told: Any, others: Mapping[str, Treatment]) -> Any:
        entry = self.mapping(told, "$.design", ("factors", "blocks", "settings"), ("factors", "settings"))
        settings = {
            name: self.mapping(one, at("$.design.settings", name))
            for name, one in self.mapping(entry.get("settings", {}), "$.design.settings").items()
        }
        factors = self._factors(entry.get("factors", {}), "$.design.factors")
        blocks = self._factors(entry.get("blocks", {}), "$.design.blocks")
        every = {**factors, **blocks}
        for name, setting in settings.items():
            path = at("$.design.settings", name)
            for address in (*setting, *(one for one in every if one not in setting)):
                self._setting(address, setting, every.get(address), at(path, address), factors)
        if self.places.faults:
            return others
        try:
            return Design(factors, settings, others, blocks=blocks)
        except DeclarationError as error:
            for fault in error.faults:
                self.add("$.design", fault)
        return others

    def _setting(
        self,
        address: str,
        setting: Mapping[str, Any],
        factor: Factor | None,
        path: str,
        factors: Mapping[str, Factor],
    ) -> None:
        if factor is None:
            self.add(path, f"{excerpt(address)} is no factor of the design")
        elif address not in setting:
            self.add(path, f"the factor {address!r} is not set here")
        elif factor.levels is None and type(setting[address]) not in (int, float):
            self.add(path, f"{excerpt(setting[address])}: expected a number")
        elif factor.levels is not None and (
            type(setting[address]) is not str or setting[address] not in factor.levels
        ):
            self.add(
                path,
                f"{excerpt(setting[address])} is no level: {self.places.near(setting[address], factor.levels)}",
            )
        else:
            if factor.levels is None:
                self._parameter(address, setting[address], {}, path)
                return
            label = setting[address]
            kind = "factors" if address in factors else "blocks"
            place = at(at(at(f"$.design.{kind}", address), "levels"), label)
            self._parameter(address, factor.levels[label], {}, place)

    def _factors(self, told: Any, path: str) -> dict[str, Factor]:
        made = {}
        for address, one in self.mapping(told, path).items():
            place = at(path, address)
            entry = self.mapping(one, place, ("levels", "bounds", "log"))
            bounds, log = entry.get("bounds"), entry.get("log", False)
            if ("levels" in entry) == ("bounds" in entry) or type(log) is not bool:
                self.add(place, "expected either levels or bounds, and log as true or false")
            elif "levels" in entry:
                levels = self.mapping(entry["levels"], at(place, "levels"))
                made[address] = Factor(address, FrozenDict(levels))
            elif (
                type(bounds) is not list
                or [type(n) in (int, float) for n in bounds] != [True, True]
                or not (bounds[0] < bounds[1] and (bounds[0] > 0 or not log))
            ):
                self.add(at(place, "bounds"), f"{excerpt(bounds)}: expected two numbers, the lower one first")
            else:
                made[address] = Factor(address, None, (bounds[0], bounds[1]), log)
        return made

    # -- replicates and hypotheses ------------------------------------------------------------------------------------

    def _replicates(self, told: Any) -> Replicates:
        path = "$.replicates"
        entry: dict[str, Any] = (
            {"count": told} if type(told) is int else {"units": told} if type(told) is list else told
        )
        entry = self.mapping(entry, path, REPLICATES)
        units, names = entry.get("units"), entry.get("levels")
        before = len(self.places.faults)
        if ("count" in entry) == (units is not None):
            self.add(
                path,
                f"{excerpt(told)}: expected a number, names of units, or a mapping with one of count and units",
            )
        if names is None and (type(units) is dict or {"unit", "block", "crossed"} & entry.keys()):
            self.add(path, "levels are not named: give them outermost first")
        if names is not None:
            names = tuple(
                self.text(one, at(at(path, "levels"), n))
                for n, one in enumerate(self.sequence(names, at(path, "levels")))
            )
        held = path if type(told) is list else at(path, "units")
        keys = [self.text(one, at(held, n)) for n, one in enumerate(units)] if type(units) is list else units
        if keys is not None and type(keys) is not (list if names is None else dict):
            what = "names of units" if names is None else "units with their places in the levels"
            self.add(at(path, "units"), f"{excerpt(units)}: expected {what}")
        places = {}
        for key, place in keys.items() if type(keys) is dict else ():
            at_place = at(at(path, "units"), key)
            places[key] = tuple(
                self.text(one, at(at_place, n)) for n, one in enumerate(self.sequence(place, at_place))
            )
        for key, kind in (("unit", str), ("block", str), ("crossed", bool)):
            if key in entry and type(entry[key]) is not kind:
                self.add(
                    at(path, key),
                    f"{excerpt(entry[key])}: expected {'true or false' if kind is bool else 'a level'}",
                )
        if len(self.places.faults) == before:
            try:
                levels = (
                    None
                    if names is None
                    else Levels(
                        names, places, entry.get("unit"), entry.get("block"), entry.get("crossed", False)
                    )
                )
                count = len(keys) if keys is not None else entry["count"]
                named = None if keys is None else tuple(keys)
                return Replicates(
                    max(count, 1) if named is not None else count,
                    named,
                    entry.get("test_fraction"),
                    levels,
                    entry.get("first", 0),
                )
            except DeclarationError as error:
                for fault in error.faults:
                    self.add(place_among(fault, keys or (), held) or place_of(fault, entry, path), fault)
        return Replicates(1)

    def _hypothesis(self, told: Any, path: str, treatments: set[str], metrics: set[str]) -> Hypothesis | None:
        before = len(self.places.faults)
        entry = dict(self.mapping(told, path, HYPOTHESIS, ("name", "metric", "treatment")))
        for key in ("accept", "treatment"):
            if type(entry.get(key)) is list:
                entry[key] = tuple(self.text(one, at(at(path, key), n)) for n, one in enumerate(entry[key]))
        if type(entry.get("metric")) is dict:
            entry["metric"] = {
                name: self._direction(one, at(at(path, "metric"), name))
                for name, one in entry["metric"].items()
            }
        for key, kinds in _KINDS.items():
            if key in entry and type(entry[key]) not in kinds:
                what = " or ".join(dict.fromkeys(_WORDS[kind] for kind in kinds))
                self.add(at(path, key), f"{excerpt(entry[key])}: expected {what}")
        if "overrides" in entry:
            self._texts(entry["overrides"], at(path, "overrides"))
        self._about(entry, path, treatments)
        named = entry.get("metric", ())
        for metric in (named,) if isinstance(named, str) else named if isinstance(named, dict) else ():
            if metric not in metrics and metric.partition(".")[0] not in self.broken:
                near = self.places.near(metric, sorted(metrics))
                self.add(at(path, "metric"), f"no step declares the metric {excerpt(metric)}: {near}")
        if len(self.places.faults) > before:
            return None
        try:
            return Hypothesis(**entry)
        except DeclarationError as error:
            for fault in error.faults:
                word = next(
                    (word for word in HYPOTHESIS if fault.startswith((f"{word} ", f"its {word}"))), ""
                )
                self.add(at(path, word) if word in entry else path, fault)
        return None

    def _direction(self, told: Any, path: str) -> tuple[Any, Any]:
        entry = {"alternative": told} if type(told) is str else told
        entry = self.mapping(entry, path, ("alternative", "margin"), ("alternative",))
        alternative, margin = entry.get("alternative"), entry.get("margin", 0.0)
        if "alternative" in entry and (type(alternative) is not str or alternative not in ALTERNATIVES):
            near = self.places.near(alternative, ALTERNATIVES)
            self.add(at(path, "alternative"), f"{excerpt(alternative)} is no direction: {near}")
        if type(margin) not in (int, float):
            self.add(at(path, "margin"), f"{excerpt(margin)}: expected a number")
        return alternative, margin

    def _about(self, entry: Mapping[str, Any], path: str, treatments: set[str]) -> None:
        arms = entry.get("treatment", ())
        for key, named in (
            ("treatment", (arms,) if isinstance(arms, str) else arms),
            ("against", (entry.get("against", BASELINE),)),
        ):
            for arm in named if isinstance(named, tuple) else ():
                if isinstance(arm, str) and arm and arm not in treatments:
                    self.add(
                        at(path, key),
                        f"no treatment is called {excerpt(arm)}: {self.places.near(arm, treatments)}",
                    )

    # -- what only the whole shows ------------------------------------------------------------------------------------

    def tell(self, faults: Any, told: Mapping[str, Any]) -> None:
        """Note faults of the declaration at the places of what they name."""
        rest = []
        for fault in faults:
            if path := place_named(fault, told):
                self.add(path, fault)
            else:
                rest.append(fault)
        places, self.places = self.places, Places()
        self.locate(rest)
        for path, sentence in self.places.faults:
            places.add(path, sentence)
        self.places = places


def _settings(told: Mapping[str, Any]) -> list[str]:
    design = told.get("design")
    settings = design.get("settings") if type(design) is dict else None
    return [*settings] if type(settings) is dict else []
