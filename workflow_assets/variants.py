"""Variants: the workflow as each treatment changes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from workflow_assets.errors import ContractError, did_you_mean
from workflow_assets.faults import Faults
from workflow_assets.sources import Given, Source
from workflow_assets.steps import Step
from workflow_assets.treatments import BASELINE, Treatment
from workflow_assets.wires import From, filled, parts_of
from workflow_assets.wirings import WiredSteps, Wiring, in_order, union_of


def wire_all(
    slots: Mapping[str, Step[..., Any]],
    declared: Mapping[str, Source[Any]],
    parameters: Mapping[str, Any],
    treatments: Mapping[str, Treatment],
    broken: Collection[str],
    faults: Faults,
    wires: Mapping[str, Mapping[str, Any]],
    told: Collection[str],
    wired: WiredSteps | None,
) -> dict[str, WiredSteps]:
    """Wire the workflow of every treatment, if that of the baseline is not `wired`; those with faults are left out."""
    workflows: dict[str, WiredSteps] = {}
    baseline = Wiring(slots, dict(declared), parameters, faults, broken=broken, wires=wires, settled=told)
    made = baseline.wire() if wired is None else wired
    if made is not None:
        workflows[BASELINE] = made
    for name, treatment in treatments.items():
        if name == BASELINE:
            continue
        known = baseline.sources
        unknown = [
            *(
                f"step {one!r}: {did_you_mean(one, slots)}"
                for one in treatment.steps
                if one not in {*slots, *broken}
            ),
            *(
                f"source {one!r}: {did_you_mean(one, known)}"
                for one in treatment.sources
                if one not in {*known, *broken}
            ),
        ]
        faults.extend(f"treatment {name!r} swaps the unknown {fault}" for fault in unknown)
        if unknown:
            continue
        steps = {
            slot: treatment.steps[slot].named(slot) if slot in treatment.steps else slots[slot]
            for slot in slots
        }
        kept = {
            address: value for address, value in parameters.items() if _still_fits(address, treatment, steps)
        }
        inputs = _read_inputs(name, treatment, known, faults)
        own = {address: value for address, value in treatment.parameters.items() if address not in inputs}
        wired_anew, values = _with_inputs(wires, inputs)
        made = Wiring(
            steps,
            {**known, **treatment.sources},
            {**kept, **values, **own},
            faults,
            own=[*values, *own],
            treatment=name,
            broken=broken,
            wires=wired_anew,
            settled=told,
        ).wire()
        if made is not None:
            workflows[name] = made
    if len(workflows) == len(treatments) and not faults:
        _check_together(workflows, declared, faults)
    return workflows


def _read_inputs(
    name: str, treatment: Treatment, known: Mapping[str, Source[Any]], faults: Faults
) -> dict[str, Any]:
    """Give the values that a treatment has for inputs of the workflow."""
    from workflow_assets.contracts.coercions import coerce  # workers do without pydantic

    read = {}
    for one, value in treatment.parameters.items():
        given = known.get(one)
        if isinstance(given, Given):
            try:
                read[one] = coerce(value, given.returns, f"treatment {name!r}: input {one!r}")
            except ContractError as error:
                faults.add(str(error))
                read[one] = value
    return read


def _with_inputs(
    wires: Mapping[str, Mapping[str, Any]], inputs: Mapping[str, Any]
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Put values in the place of some inputs; arguments that are values as a whole are given by their addresses."""
    if not inputs:
        return {slot: dict(many) for slot, many in wires.items()}, {}
    anew: dict[str, dict[str, Any]] = {}
    values: dict[str, Any] = {}
    for slot, many in wires.items():
        anew[slot] = {}
        for name, wire in many.items():
            told = filled(wire, inputs)
            if any(isinstance(leaf, From) for leaf in parts_of(told)):
                anew[slot][name] = told
            else:
                values[f"{slot}.{name}"] = told
    return anew, values


def _still_fits(address: str, treatment: Treatment, steps: Mapping[str, Step[..., Any]]) -> bool:
    """Whether a value of the experiment is one for the treatment too, whose swapped step may lack the parameter."""
    slot, _, parameter = address.partition(".")
    return slot not in treatment.steps or slot not in steps or parameter in steps[slot].parameters


def _check_together(
    workflows: Mapping[str, WiredSteps], declared: Mapping[str, Source[Any]], faults: Faults
) -> None:
    """Note what only all treatments together show."""
    cycle = in_order(union_of(list(workflows.values())))[1]
    if cycle:
        faults.add(
            f"treatments wire steps in opposite directions: {' → '.join(cycle)}; the assets of all treatments share "
            "one lineage"
        )
    read = [source for workflow in workflows.values() for source in workflow.sources.values()]
    names: dict[str, Source[Any]] = {}
    for source in read:
        if names.setdefault(source.name, source) is not source:
            faults.add(f"two different sources are called {source.name!r}: give one of them another name")
    for name, source in declared.items():
        if source not in read:
            faults.add(
                f"source {name!r} is read by no step: name a step's parameter after it, or leave it out"
            )
