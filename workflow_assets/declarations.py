"""What an experiment is, before anything runs: validated whole, all faults told together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

from workflow_assets.arguments import (
    check_design,
    check_levels,
    check_names,
    read_hypotheses,
    read_list,
    read_owners,
    read_parameters,
    read_replicates,
    read_seed,
    read_sources,
    read_steps,
    read_tags,
    read_text,
    read_treatments,
)
from workflow_assets.canonical import digest
from workflow_assets.compositions import Composition
from workflow_assets.contracts.checkers import MetricType
from workflow_assets.designs import Design
from workflow_assets.errors import DeclarationError, listing
from workflow_assets.families import read_families
from workflow_assets.faults import Faults
from workflow_assets.fingerprint import Fingerprint, fingerprint
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.mappings import FrozenDict
from workflow_assets.names import identifier_fault
from workflow_assets.preregistrations import Preregistration
from workflow_assets.replicates import Replicates
from workflow_assets.sources import Source
from workflow_assets.steps import Step
from workflow_assets.treatments import BASELINE, Treatment
from workflow_assets.variants import wire_all
from workflow_assets.wirings import WiredSteps, in_order, union_of


class Declaration:
    """Workflow, treatments, replicates and hypotheses, validated together and never changed afterwards.

    Args:
        name: an identifier: the job's name in Dagster, and the first part of each asset's key.
        steps: the steps, wired by the names of their parameters. Sources may stand among them. Or a `Workflow`, which
            says how they are wired.
        treatments: named changes; a plain mapping is a treatment of parameter values. Or a design of several factors,
            such as `factorial(...)`.
        replicates: how often to repeat, the names of experimental units, `units(...)` that lie in each other, or
            `resamples(...)`.
        hypotheses: what is expected.
        families: how the hypotheses of each ``family`` are adjusted for each other, by its name, ``""`` being that of
            the hypotheses that name none: ``"holm"`` (the default), ``"bonferroni"``, ``"hochberg"``,
            ``"benjamini_hochberg"``, ``"benjamini_yekutieli"`` or ``"none"``; or one comparison of all: ``"dunnett"``,
            ``"tukey"``, ``"games_howell"`` or ``"nemenyi"``.
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
        steps: Sequence[Step[..., Any] | Source[Any]] | Composition,
        treatments: Mapping[str, Treatment | Mapping[str, Any]] | None = None,
        replicates: int | Sequence[str] | Replicates = 1,
        hypotheses: Sequence[Hypothesis] = (),
        *,
        families: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
        sources: Sequence[Source[Any]] = (),
        seed: int = 0,
        description: str = "",
        owners: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        faults = Faults()
        if fault := identifier_fault(name):
            faults.add(f"its name {fault}")
        self.name = name
        self.seed = read_seed(seed, faults)
        self.description = read_text(description, "description", faults)
        self.owners = read_owners(owners, faults)
        self.tags: Mapping[str, str] = read_tags(tags, faults)
        self.replicates = read_replicates(replicates, faults)
        broken: dict[str, set[str]] = {"steps": set(), "treatments": set()}
        self.treatments: Mapping[str, Treatment] = FrozenDict(
            read_treatments(treatments, broken["treatments"], faults)
        )
        self.design = treatments if isinstance(treatments, Design) else None
        self.composition = steps if isinstance(steps, Composition) else None
        composed = steps.explicit() if isinstance(steps, Composition) else {}
        slots, among = read_steps(
            [*steps.given, *(call.step for call in composed.values())]
            if isinstance(steps, Composition)
            else steps,
            broken["steps"],
            faults,
        )
        given = read_list(sources, "sources", "[customers, orders]", faults)
        declared = read_sources([*given, *among], broken["steps"], faults)
        check_names(slots, declared, broken["steps"], faults)
        base = {
            **{
                f"{slot}.{name}": value
                for slot, call in composed.items()
                for name, value in call.values.items()
            },
            **read_parameters(parameters, faults),
        }
        self.parameters: Mapping[str, Any] = FrozenDict(base)
        wires = {slot: call.wires for slot, call in composed.items()}
        told = {slot for slot, call in composed.items() if not call.by_name}
        changed = parameters or given or broken["steps"]
        wired = steps.wired if isinstance(steps, Composition) and not changed else None
        self.workflows: Mapping[str, WiredSteps] = FrozenDict(
            wire_all(slots, declared, base, self.treatments, broken["steps"], faults, wires, told, wired)
        )
        unwired = {*broken["treatments"], *(name for name in self.treatments if name not in self.workflows)}
        unsound = {"treatments": unwired, "steps": broken["steps"]}
        self.hypotheses = read_hypotheses(hypotheses, self.workflows, unsound, self.replicates, faults)
        self.families: Mapping[str, str] = FrozenDict(read_families(families, self.hypotheses, faults))
        check_levels(self.replicates, self.workflows, self.hypotheses, faults)
        if self.design is not None and BASELINE in self.workflows:
            check_design(self.design, self.workflows[BASELINE], faults)
        swapped = [step for treatment in self.treatments.values() for step in treatment.steps.values()]
        checked: dict[int, Step[..., Any]] = {}
        for step in (*slots.values(), *swapped):
            if not step.legacy_rng:
                checked.setdefault(id(step.function), step)
        for step in checked.values():
            _check_randomness(step, faults)
        if faults:
            subject = f"experiment {name!r}" if isinstance(name, str) else "experiment"
            raise DeclarationError(subject, list(faults))
        self.preregistration: Preregistration | None = None
        self._frozen = True

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(self, "_frozen", False) and not name.startswith("_"):
            raise AttributeError(
                f"experiment {self.name!r} is declared: {name} cannot be set; declare another"
            )
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"experiment {self.name!r} is declared: {name} cannot be deleted")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.name!r}: {self.workflow}, {len(self.treatments)} treatments × "
            f"{len(self.replicates)} replicates, {len(self.hypotheses)} hypotheses)"
        )

    def confirming(
        self,
        hypotheses: Sequence[Hypothesis],
        replicates: Replicates,
        preregistration: Preregistration | None = None,
        name: str = "",
    ) -> Self:
        """Give the same experiment with only some hypotheses, on other replicates; all else is shared.

        Its verdicts are those of a confirmation, if it has a preregistration. It may bear another name.
        """
        other = object.__new__(type(self))
        vars(other).update(
            vars(self),
            hypotheses=tuple(hypotheses),
            replicates=replicates,
            preregistration=preregistration,
            name=name or self.name,
        )
        return other

    @property
    def ledger_name(self) -> str:
        """The name under which the ledger knows the experiment, also where it is being confirmed."""
        return self.preregistration.experiment if self.preregistration else self.name

    @property
    def workflow(self) -> WiredSteps:
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
    def metric_units(self) -> dict[str, str]:
        """The units of the metrics that declare one."""
        steps = [node.step for workflow in self.workflows.values() for node in workflow]
        return {name: unit for step in steps for name, unit in step.metric_units().items()}

    @cached_property
    def sources(self) -> dict[str, Source[Any]]:
        """Every source that some treatment reads, by its own name."""
        return {
            source.name: source
            for workflow in self.workflows.values()
            for source in workflow.sources.values()
        }

    @cached_property
    def steps(self) -> tuple[Step[..., Any], ...]:
        """Every step that some treatment executes, once."""
        return tuple(dict.fromkeys(node.step for workflow in self.workflows.values() for node in workflow))

    @cached_property
    def slots(self) -> tuple[str, ...]:
        """The slots of all treatments in an order in which each follows what it depends on."""
        return tuple(in_order(union_of(list(self.workflows.values())))[0])

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

    def partition(self, treatment: str, replicate: str) -> str:
        """Name the partition of each step's asset that a cell is."""
        return f"{replicate}|{treatment}"

    def fingerprints(self) -> dict[int, Fingerprint]:
        """Take the fingerprint of every step and source as its code is now, by the object's id."""
        prints: dict[int, Fingerprint] = {}
        taken: dict[tuple[int, str | None], Fingerprint] = {}
        sources = [source for workflow in self.workflows.values() for source in workflow.sources.values()]
        for member, version in [
            *((step, step.version) for step in self.steps),
            *((source, source.code_version) for source in sources),
        ]:
            code = id(member.function), version
            if code not in taken:  # one function may fill several slots
                taken[code] = fingerprint(member.function, version)
            prints[id(member)] = taken[code]
        return prints

    def version(self) -> str:
        """Give a digest of all that the results depend on, the data themselves excepted."""
        prints = self.fingerprints()
        parts = [
            self.name,
            str(self.seed),
            repr([replicate.identity for replicate in self.replicates]),
            repr(self.replicates.test_fraction),
        ]
        if self.replicates.levels is not None:
            parts.append(repr(self.replicates.levels))
        for treatment, workflow in self.workflows.items():
            parts.append(treatment)
            for name, source in sorted(workflow.sources.items()):  # a document has them in another order
                parts += [name, prints[id(source)].digest, str(source.version)]
            for node in workflow:
                parts += [
                    node.slot,
                    prints[id(node.step)].digest,
                    node.step.stream or "",
                    str(node.step.legacy_rng),
                    *((node.step.combine, *node.step.over) if node.step.over else ()),
                ]
                parts += [f"{name}={form}" for name, form in sorted(node.forms.items())]
                parts += [
                    f"{name}<{provider} {node.outputs.get(name, '')}".rstrip()
                    for name, provider in sorted(node.inputs.items())
                ]
        parts += [hypothesis.identity() for hypothesis in self.hypotheses]
        parts += [f"{family} by {method}" for family, method in self.families.items()]
        return digest(*parts)


def _check_randomness(step: Step[..., Any], faults: Faults) -> None:
    if uses := fingerprint(step.function).global_randomness:
        cure = "take `rng` or `seed` as a parameter, or declare @step(legacy_rng=True)"
        faults.add(
            f"step {step.name!r} draws from {listing(uses)}, whose numbers depend on all that ran before: {cure}",
            *("randomness", id(step.function)),
        )
