"""Plans: which datum each cell and step needs, under which compute key, before anything runs.

Treatments that agree on a step and on all that it depends on share it, and so its datum; a step that depends on no
randomness is shared by all replicates too. The plan holds each such shared step once.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from workflow_assets.acceptances import acceptances, original
from workflow_assets.canonical import digest
from workflow_assets.declarations import Declaration
from workflow_assets.errors import UnknownNameError, did_you_mean, excerpt
from workflow_assets.fingerprint import Fingerprint
from workflow_assets.modules import qualified_name
from workflow_assets.provenance import Origins
from workflow_assets.recordings import Handed
from workflow_assets.replicates import Replicate
from workflow_assets.sources import AssetSource, Given, Source
from workflow_assets.store.base import Store
from workflow_assets.store.codecs import Encoded, encode, has_own_format, library_version
from workflow_assets.streams import replicate_seed
from workflow_assets.wirings import Node, WiredSteps

SCHEMA = "1"
"""Changes when keys are made differently, so that no old datum is taken for a new one."""


@dataclass(frozen=True, eq=False)
class PlannedSource:
    """A source and the key of its content."""

    source: Source[Any]
    key: str
    fingerprint: Fingerprint

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    @property
    def function(self) -> Any:
        """What loads it."""
        return self.source.function

    @property
    def is_reference(self) -> bool:
        """Whether it is a datum that the store has under its own key, which only its own step computes again."""
        held = self.source.value if isinstance(self.source, Given) else None
        return isinstance(held, Handed) and held.key == self.key

    @cached_property
    def made_by(self) -> dict[str, Any]:
        """The part of the datum's provenance that its declaration tells."""
        version = {} if self.source.version is None else {"version": self.source.version}
        return {
            "step": self.source.name,
            "function": qualified_name(self.source.function),
            "parameters": version,
            "forms": version,
            "more": [],
        }


@dataclass(frozen=True, eq=False)
class PlannedStep:
    """One step under one configuration, shared by the treatments that agree on it.

    `static` digests all of the compute key that is the same for every replicate: the code, the parameters in the
    `forms` that keys are made of, and what `more` names. `varies` says whether the key depends on the replicate.
    """

    node: Node
    inputs: tuple[tuple[str, PlannedStep | PlannedSource], ...]
    fingerprint: Fingerprint
    static: str
    varies: bool
    forms: Mapping[str, str] = field(repr=False)
    more: tuple[str, ...] = ()
    treatments: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The slot that the step fills."""
        return self.node.slot

    @property
    def stream(self) -> str:
        """The name of the random stream."""
        return self.node.step.stream or self.node.slot

    @property
    def function(self) -> Any:
        """What is called."""
        return self.node.step.function

    @cached_property
    def made_by(self) -> dict[str, Any]:
        """The part of a datum's provenance that is the same for every replicate."""
        return {
            "step": self.node.slot,
            "function": qualified_name(self.node.step.function),
            "parameters": {name: excerpt(value, 1000) for name, value in self.node.settings.items()},
            "forms": self.forms,
            "more": list(self.more),
        }

    def input_keys(self, keys: Mapping[PlannedStep, str]) -> dict[str, str]:
        """Give the key of what each input parameter is handed."""
        if not self.inputs:
            return {}
        return {
            name: keys[given] if isinstance(given, PlannedStep) else given.key for name, given in self.inputs
        }


class Plan:
    """The compute keys of an experiment as its code, parameters and sources are now.

    `store` is asked (and, for sources without a version, given) the content of the sources.
    """

    def __init__(self, declaration: Declaration, store: Store) -> None:
        self.declaration = declaration
        self.store = store
        self.nonce = uuid.uuid4().hex
        self._fingerprints = declaration.fingerprints()
        self.accepted = acceptances(store)
        self.sources: dict[str, PlannedSource] = {}
        self.by_treatment: dict[str, dict[str, PlannedStep]] = {}
        shared: dict[str, PlannedStep] = {}
        for name, source in declaration.sources.items():
            self.sources[name] = self._plan_source(source, store)
        for treatment, workflow in declaration.workflows.items():
            self.by_treatment[treatment] = self._plan_treatment(treatment, workflow, shared)
        self.steps: tuple[PlannedStep, ...] = tuple(shared.values())
        self._constant_keys: dict[PlannedStep, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the store out: who is sent the plan says which one it reaches."""
        return {name: value for name, value in vars(self).items() if name != "store"}

    @cached_property
    def replicates(self) -> dict[str, Replicate]:
        """The replicates by partition key."""
        return {replicate.key: replicate for replicate in self.declaration.replicates}

    @cached_property
    def constant_keys(self) -> Mapping[PlannedStep, str]:
        """The compute keys of the steps that all replicates share."""
        first = next(iter(self.replicates.values()))
        self.keys(first, self.seed(first))
        return self._constant_keys

    def code(self, fingerprint: Fingerprint) -> str:
        """Give the digest of code that keys are made with: that of the code whose results it was accepted to share."""
        return original(fingerprint.digest, self.accepted)

    def seed(self, replicate: Replicate) -> int:
        """Give the seed of a replicate."""
        return replicate_seed(self.declaration.seed, replicate.identity)

    def keys(self, replicate: Replicate, seed: int) -> dict[PlannedStep, str]:
        """Give the compute key of every step for one replicate."""
        keys = dict(self._constant_keys)
        for step in self.steps:
            if step in keys:
                continue
            parts = [step.static]
            parts += [
                keys[given] if isinstance(given, PlannedStep) else given.key for _, given in step.inputs
            ]
            if step.node.step.random:
                parts.append(f"stream {seed:x} {step.stream}")
            if "replicate" in step.node.step.given:
                parts.append(f"replicate {replicate.identity!r}")
            keys[step] = digest(*parts)
            if not step.varies:
                self._constant_keys[step] = keys[step]
        return keys

    def cells(
        self, treatments: Iterable[str] | None = None, replicates: Iterable[str] | None = None
    ) -> list[tuple[str, str]]:
        """List cells, replicate by replicate; raise `UnknownNameError` for what the experiment does not have."""
        chosen = list(self.by_treatment if treatments is None else treatments)
        repeated = list(self.replicates if replicates is None else replicates)
        self.check_cells([*((name, next(iter(self.replicates))) for name in chosen)])
        self.check_cells([*((next(iter(self.by_treatment)), key) for key in repeated)])
        return [(treatment, replicate) for replicate in repeated for treatment in chosen]

    def by_replicate(self, cells: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
        """Give the treatments of each replicate; raise `UnknownNameError` for what the experiment does not have."""
        self.check_cells(cells)
        treatments: dict[str, list[str]] = {}
        for treatment, replicate in cells:
            treatments.setdefault(replicate, []).append(treatment)
        return treatments

    def check_cells(self, cells: Sequence[tuple[str, str]]) -> None:
        """Raise `UnknownNameError` for a cell that the experiment does not have."""
        for treatment, replicate in cells:
            for what, name, known in (
                ("treatment", treatment, self.by_treatment),
                ("replicate", replicate, self.replicates),
            ):
                if name not in known:
                    near = did_you_mean(name, known)
                    raise UnknownNameError(
                        f"experiment {self.declaration.name!r} has no {what} {name!r}: {near}"
                    )

    def following(self, names: Iterable[str]) -> set[PlannedStep | PlannedSource]:
        """Give the steps and sources of these names, and all steps that follow from them.

        Raises `UnknownNameError` for a name that the experiment does not have.
        """
        chosen = list(names)
        known = {*(step.name for step in self.steps), *self.sources}
        for name in chosen:
            if name not in known:
                near = did_you_mean(name, sorted(known))
                raise UnknownNameError(
                    f"experiment {self.declaration.name!r} has no step or source {name!r} to force: {near}"
                )
            if name in self.sources and isinstance(self.sources[name].source, AssetSource):
                raise UnknownNameError(
                    f"source {name!r} is a Dagster asset and not computed here: materialise it instead of forcing it"
                )
        found: set[PlannedStep | PlannedSource] = {
            source for name, source in self.sources.items() if name in chosen
        }
        for step in self.steps:  # each follows what it depends on
            if step.name in chosen or any(given in found for _, given in step.inputs):
                found.add(step)
        return {one for one in found if not (isinstance(one, PlannedSource) and one.is_reference)}

    def stored_slots(self, names: Iterable[str] | None = None) -> list[str]:
        """Give the slots of these names, whose data are stored; all such by default.

        Raises `UnknownNameError` for a name that is none of them.
        """
        known = self.declaration.asset_slots
        slots = list(known if names is None else names)
        for slot in slots:
            if slot not in known:
                near = did_you_mean(slot, known)
                raise UnknownNameError(
                    f"experiment {self.declaration.name!r} has no stored step {slot!r}: {near}"
                )
        return slots

    # -- making -------------------------------------------------------------------------------------------------

    def _plan_source(self, source: Source[Any], store: Store) -> PlannedSource:
        code = self._fingerprints[id(source)]
        key, encoded = _content(source, self.code(code), store)
        if encoded is None:
            return PlannedSource(source, key, code)
        planned = PlannedSource(source, key, code)
        found = store.find(key)
        # Else nothing is written, so that a store can be read where it is read-only.
        if found is None or not store.would_load(found, encoded):
            with store.claim() as claim:
                claim.add([key])
                made = {
                    "made": Origins(store, self.nonce, claim).note(planned),
                    "created": round(time.time(), 3),
                    "run": self.nonce,
                }
                store.put_encoded(key, encoded, metrics={}, provenance=made, replace=found is not None)
        return planned

    def _plan_treatment(
        self, treatment: str, workflow: WiredSteps, shared: dict[str, PlannedStep]
    ) -> dict[str, PlannedStep]:
        planned: dict[str, PlannedStep] = {}
        for node in workflow:
            inputs = tuple(
                (
                    parameter,
                    self.sources[workflow.sources[name].name] if name in workflow.sources else planned[name],
                )
                for parameter, name in sorted(node.inputs.items())
            )
            code = self._fingerprints[id(node.step)]
            forms = dict(sorted(node.forms.items()))
            more = tuple(self._more_parts(treatment, node))
            parameters = (f"{name}={form}" for name, form in forms.items())
            read = (f"{name}<" for name, _ in inputs)
            static = digest("step", SCHEMA, self.code(code), *parameters, *read, *more)
            # Steps that agree on their own part and on what they read are one, whatever the treatment is called.
            identity = digest(
                static,
                node.slot,
                *(given.key if isinstance(given, PlannedSource) else f"{id(given)}" for _, given in inputs),
            )
            varies = (
                node.step.random
                or "replicate" in node.step.given
                or any(given.varies for _, given in inputs if isinstance(given, PlannedStep))
            )
            step = shared.setdefault(identity, PlannedStep(node, inputs, code, static, varies, forms, more))
            step.treatments.append(treatment)
            planned[node.slot] = step
        return planned

    def _more_parts(self, treatment: str, node: Node) -> Iterator[str]:
        """Name what else a key depends on, in words that `explain` can tell."""
        step = node.step
        for place, output in sorted(node.outputs.items()):
            yield f"{place} takes {output}"
        if step.over:
            yield f"each {step.combine} of {', '.join(step.over)}"
        if step.legacy_rng:
            yield "legacy_rng"
        if "treatment" in step.given:
            yield f"treatment {treatment}"
        if not step.memo:
            yield f"run {self.nonce}"
        library = pickled_library(step.returns)
        if library:
            yield library


def source_content(declaration: Declaration, name: str, store: Store) -> str:
    """Give the key of what a source holds now, as a plan would; nothing is written.

    A source that declares no version is loaded. Raises whatever its loader raises.
    """
    source = declaration.sources[name]
    code = declaration.fingerprints()[id(source)]
    return _content(source, original(code.digest, acceptances(store)), store)[0]


def _content(source: Source[Any], code: str, store: Store) -> tuple[str, Encoded | None]:
    """Give the key of a source's content, and where it had to be loaded for that, what it holds."""
    if isinstance(source, AssetSource):
        return asset_content(source, store), None
    if isinstance(source, Given) and isinstance(source.value, Handed):
        key = source.value.key_in(store)
        if key is not None:
            return key, None
    if source.version is not None:
        return digest("source", SCHEMA, code, source.version), None
    encoded = encode(source.load(), pickles=store.pickles, place=f"source {source.name!r}")
    return digest("content", SCHEMA, encoded.codec, then=encoded.pieces), encoded


def asset_content(source: AssetSource, store: Store) -> str:
    """Give the key of what an asset holds that feeds experiments.

    Raises `UnknownNameError` where the store has no value of it, saying what to do.
    """
    path = "/".join(source.asset)
    held = store.references(source.asset)
    if "" in held:
        return held[""]
    if held:
        raise UnknownNameError(
            f"source {source.name!r} reads the Dagster asset {path!r}, which has {len(held)} partitions: only an asset "
            "without partitions can feed an experiment. Write one that takes the partitions together, and name that"
        )
    raise UnknownNameError(
        f"source {source.name!r} reads the Dagster asset {path!r}, which is not in this store: declare the asset with "
        f"io_manager_key='datums', and materialise it first (dg launch --assets {path})"
    )


def pickled_library(annotation: Any) -> str:
    """Give the library and version that a declared result would be stored for; "" where it has a format of its own.

    A pickle is read by the library that wrote it: another version means another value. So it is with a model.
    """
    if not isinstance(annotation, type) or annotation.__module__ in {"builtins", "numpy", "pandas"}:
        return ""
    if has_own_format(annotation):
        return ""
    library, version = library_version(annotation)
    return f"{library}=={version}" if library not in {"", "numpy", "pandas", "workflow_assets"} else ""
