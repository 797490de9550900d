"""What an experiment is, before anything runs: validated whole, all faults told together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from workflow_assets.canonical import digest
from workflow_assets.contracts import MetricType
from workflow_assets.errors import DeclarationError, did_you_mean, excerpt, listing
from workflow_assets.fingerprint import Fingerprint, fingerprint
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.names import identifier_fault, partition_fault
from workflow_assets.replicates import Replicates
from workflow_assets.sources import Source
from workflow_assets.steps import Step
from workflow_assets.treatments import BASELINE, Treatment
from workflow_assets.workflows import Workflow, check_names, slots_of, union_cycle, wire


class Declaration:
    """Workflow, treatments, replicates and hypotheses, validated together and never changed afterwards.

    Args:
        name: an identifier: the job's name in Dagster, and the first part of each asset's key.
        steps: the steps, wired by the names of their parameters. Sources may stand among them.
        treatments: named changes; a plain mapping is a treatment of parameter values.
        replicates: how often to repeat, the names of experimental units, or `resamples(...)`.
        hypotheses: what is expected.
        parameters: values for every treatment, as ``step.parameter``; a treatment's own come on top.
        sources: sources that are not found by name where the steps are defined.
        seed: a whole number of 0 or more; with the replicate it determines every random stream.
        description: one or more sentences, shown in Dagster.
        owners: e-mail addresses or ``team:name``, shown in Dagster.
        tags: labels shown in Dagster.

    Raises `DeclarationError` with every fault found.
    """

    def __init__(
        self,
        name: str,
        steps: Sequence[Step[..., Any] | Source[Any]],
        treatments: Mapping[str, Treatment | Mapping[str, Any]] | None = None,
        replicates: int | Sequence[str] | Replicates = 1,
        hypotheses: Sequence[Hypothesis] = (),
        *,
        parameters: Mapping[str, Any] | None = None,
        sources: Sequence[Source[Any]] = (),
        seed: int = 0,
        description: str = "",
        owners: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        faults: list[str] = []
        if fault := identifier_fault(name):
            faults.append(f"its name {fault}")
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            faults.append(f"seed = {excerpt(seed)}: expected a whole number of 0 or more")
        self.name = name
        self.seed = seed
        self.description = description
        self.owners = tuple(owners)
        self.tags = dict(tags or {})
        self.replicates = _read_replicates(replicates, faults)
        self.treatments = _read_treatments(treatments, faults)
        slots = slots_of([one for one in steps if not isinstance(one, Source)], faults)
        declared = _read_sources([*sources, *(one for one in steps if isinstance(one, Source))], faults)
        check_names(slots, declared, faults)
        if not slots and not faults:
            faults.append("it has no steps")
        self.workflows = _wire_all(slots, declared, dict(parameters or {}), self.treatments, faults)
        self.hypotheses = _read_hypotheses(hypotheses, self.treatments, self.workflows, faults)
        swapped = [step for treatment in self.treatments.values() for step in treatment.steps.values()]
        for step in {id(step): step for step in (*slots.values(), *swapped)}.values():
            faults.extend(_randomness_faults(step))
        if faults:
            subject = f"experiment {name!r}" if isinstance(name, str) else "experiment"
            raise DeclarationError(subject, list(dict.fromkeys(faults)))
        self._frozen = True

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(self, "_frozen", False) and name in _FIELDS:
            raise AttributeError(
                f"experiment {self.name!r} is declared: {name} cannot be changed; declare another"
            )
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.name!r}: {self.workflow}, {len(self.treatments)} treatments × "
            f"{len(self.replicates)} replicates, {len(self.hypotheses)} hypotheses)"
        )

    @property
    def workflow(self) -> Workflow:
        """The workflow of the baseline."""
        return self.workflows[BASELINE]

    @cached_property
    def metrics(self) -> dict[str, MetricType]:
        """The metrics that the steps of any treatment declare, in the order of the steps."""
        metrics: dict[str, MetricType] = {}
        for workflow in self.workflows.values():
            metrics.update({name: kind for name, kind in workflow.metrics().items() if name not in metrics})
        return metrics

    @cached_property
    def sources(self) -> dict[str, Source[Any]]:
        """Every source that some treatment reads, by its own name."""
        return {
            source.name: source
            for workflow in self.workflows.values()
            for source in workflow.sources.values()
        }

    @cached_property
    def slots(self) -> tuple[str, ...]:
        """The slots of all treatments in an order in which each follows what it depends on."""
        order: list[str] = []
        for workflow in self.workflows.values():
            order.extend(slot for slot in workflow.nodes if slot not in order)
        return tuple(order)

    @cached_property
    def asset_slots(self) -> tuple[str, ...]:
        """The slots that are assets: those that some treatment stores."""
        stored = {
            node.slot for workflow in self.workflows.values() for node in workflow if not node.step.transient
        }
        return tuple(slot for slot in self.slots if slot in stored)

    def dependencies(self, slot: str) -> tuple[str, ...]:
        """Give the slots and sources whose data a slot is made from, in any treatment; transient steps are none."""
        names: dict[str, None] = {}
        for workflow in self.workflows.values():
            pending = list(workflow.nodes[slot].inputs.values()) if slot in workflow.nodes else []
            while pending:
                name = pending.pop(0)
                if name in workflow.sources:
                    names[workflow.sources[name].name] = None
                elif name in self.asset_slots:
                    names[name] = None
                else:
                    pending.extend(workflow.nodes[name].inputs.values())
        return tuple(names)

    def fingerprints(self) -> dict[int, Fingerprint]:
        """Take the fingerprint of every step and source as its code is now, by the object's id."""
        members: dict[int, Step[..., Any] | Source[Any]] = {
            id(step): step for step in _all_steps(self.workflows)
        }
        for workflow in self.workflows.values():
            members.update({id(source): source for source in workflow.sources.values()})
        return {
            key: fingerprint(member.function, member.version if isinstance(member, Step) else None)
            for key, member in members.items()
        }

    def version(self) -> str:
        """Give a digest of all that the results depend on, the data themselves excepted."""
        prints = self.fingerprints()
        parts = [
            self.name,
            str(self.seed),
            ",".join(self.replicates.keys),
            repr(self.replicates.test_fraction),
        ]
        for treatment, workflow in self.workflows.items():
            parts.append(treatment)
            for name, source in workflow.sources.items():
                parts += [name, prints[id(source)].digest, str(source.version)]
            for node in workflow:
                parts += [
                    node.slot,
                    prints[id(node.step)].digest,
                    node.step.stream or "",
                    str(node.step.legacy_rng),
                ]
                parts += [f"{name}={form}" for name, form in sorted(node.forms.items())]
                parts += [f"{name}<{provider}" for name, provider in sorted(node.inputs.items())]
        parts += [repr(hypothesis) for hypothesis in self.hypotheses]
        return digest(*parts)


_FIELDS = frozenset(
    [
        "name",
        "seed",
        "description",
        "owners",
        "tags",
        "replicates",
        "treatments",
        "workflows",
        "hypotheses",
        "workflow",
    ]
)


def _read_replicates(value: Any, faults: list[str]) -> Replicates:
    try:
        return Replicates.read(value)
    except DeclarationError as error:
        faults.extend(error.faults)
        return Replicates(1)


def _read_treatments(value: Any, faults: list[str]) -> dict[str, Treatment]:
    treatments = {BASELINE: Treatment()}
    if not isinstance(value, Mapping | None):
        faults.append(
            f"treatments is a {type(value).__qualname__}: expected a mapping from names to treatments"
        )
        return treatments
    for name, change in (value or {}).items():
        if fault := partition_fault(name):
            faults.append(f"treatment {name!r} {fault}")
            continue
        if not isinstance(change, Treatment | Mapping):
            faults.append(
                f"treatment {name!r} is a {type(change).__qualname__}: expected Treatment(...) or a mapping such as "
                "{'step.parameter': value}"
            )
            continue
        try:
            treatment = change if isinstance(change, Treatment) else Treatment(change)
        except DeclarationError as error:
            faults.extend(f"treatment {name!r}: {fault}" for fault in error.faults)
            continue
        if name == BASELINE and treatment.changes:
            faults.append(
                "treatment 'baseline' is the workflow without any change; give this one another name"
            )
        treatments[name] = treatment
    return treatments


def _read_sources(sources: Sequence[Any], faults: list[str]) -> dict[str, Source[Any]]:
    named: dict[str, Source[Any]] = {}
    for one in sources:
        if not isinstance(one, Source):
            name = getattr(one, "__name__", type(one).__qualname__)
            faults.append(f"sources has {name!r}, which is not a source: decorate it with @source")
        elif named.setdefault(one.name, one) is not one:
            faults.append(f"two sources are called {one.name!r}: give one of them another name")
    return named


def _wire_all(
    slots: Mapping[str, Step[..., Any]],
    sources: Mapping[str, Source[Any]],
    parameters: Mapping[str, Any],
    treatments: Mapping[str, Treatment],
    faults: list[str],
) -> dict[str, Workflow]:
    workflows: dict[str, Workflow] = {}
    baseline, found = wire(slots, sources, parameters)
    faults.extend(found)
    if baseline is not None:
        workflows[BASELINE] = baseline
    for name, treatment in treatments.items():
        if name == BASELINE:
            continue
        known = baseline.sources if baseline is not None else sources
        unknown = [
            *(f"step {slot!r}: {did_you_mean(slot, slots)}" for slot in treatment.steps if slot not in slots),
            *(f"source {one!r}: {did_you_mean(one, known)}" for one in treatment.sources if one not in known),
        ]
        if unknown:
            faults.extend(f"treatment {name!r} swaps the unknown {fault}" for fault in unknown)
            continue
        swapped = {**slots, **{slot: step.named(slot) for slot, step in treatment.steps.items()}}
        kept = {
            address: value
            for address, value in parameters.items()
            if address.partition(".")[0] not in treatment.steps
            or address.partition(".")[2] in swapped[address.partition(".")[0]].parameters
        }
        still_read = {parameter for step in swapped.values() for parameter in step.parameters}
        own = {one: source for one, source in {**known, **treatment.sources}.items() if one in still_read}
        workflow, found = wire(swapped, own, {**kept, **treatment.parameters})
        # A fault of the baseline is told once, not for each treatment.
        faults.extend(f"treatment {name!r}: {fault}" for fault in found if fault not in faults)
        if workflow is not None:
            workflows[name] = workflow
    if len(workflows) == len(treatments) and (cycle := union_cycle(list(workflows.values()))):
        faults.append(
            f"treatments wire steps in opposite directions: {' → '.join(cycle)}; the assets of all treatments share "
            "one lineage"
        )
    swaps: dict[str, Source[Any]] = {}
    faults.extend(
        f"two different sources are called {source.name!r}: give one of them another name"
        for workflow in workflows.values()
        for source in workflow.sources.values()
        if swaps.setdefault(source.name, source) is not source
    )
    return workflows


def _read_hypotheses(
    hypotheses: Sequence[Any],
    treatments: Mapping[str, Treatment],
    workflows: Mapping[str, Workflow],
    faults: list[str],
) -> tuple[Hypothesis, ...]:
    seen: set[str] = set()
    for one in hypotheses:
        if not isinstance(one, Hypothesis):
            faults.append(f"hypotheses has a {type(one).__qualname__}: expected Hypothesis(...)")
            continue
        if one.name in seen:
            faults.append(f"two hypotheses are called {one.name!r}")
        seen.add(one.name)
        for arm in dict.fromkeys((one.treatment, one.against)):
            if arm not in treatments:
                faults.append(
                    f"hypothesis {one.name!r} is about the unknown treatment {arm!r}: {did_you_mean(arm, treatments)}"
                )
                continue
            if arm not in workflows:
                continue  # its own faults are told
            metrics = workflows[arm].metrics()
            if one.metric not in metrics:
                where = (
                    f" under {arm!r}"
                    if any(one.metric in other.metrics() for other in workflows.values())
                    else ""
                )
                faults.append(
                    f"hypothesis {one.name!r} is about {one.metric!r}, which no step declares{where}: "
                    f"{did_you_mean(one.metric, metrics)}"
                )
                break
            if metrics[one.metric] is str:
                faults.append(
                    f"hypothesis {one.name!r} is about {one.metric!r}, which is text: nothing to compare"
                )
                break
    return tuple(one for one in hypotheses if isinstance(one, Hypothesis))


def _all_steps(workflows: Mapping[str, Workflow]) -> list[Step[..., Any]]:
    return [node.step for workflow in workflows.values() for node in workflow]


def _randomness_faults(step: Step[..., Any]) -> list[str]:
    uses = () if step.legacy_rng else fingerprint(step.function).global_randomness
    if not uses:
        return []
    plain = [re.sub(r"[^\w.' ]", "", use) for use in uses]
    cure = "take `rng` or `seed` as a parameter, or declare @step(legacy_rng=True)"
    return [
        f"step {step.name!r} draws from {listing(plain)}, whose numbers depend on all that ran before: {cure}"
    ]
