"""What a user wrote, read into the parts of a declaration; what is wrong with it is noted, each thing once."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.designs import Design
from workflow_assets.errors import DeclarationError, did_you_mean, excerpt, listing
from workflow_assets.factors import same
from workflow_assets.faults import Faults
from workflow_assets.functions import as_owners
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.mappings import FrozenDict
from workflow_assets.names import partition_fault
from workflow_assets.replicates import Replicates
from workflow_assets.sources import Source
from workflow_assets.steps import GIVEN, Step
from workflow_assets.treatments import BASELINE, Treatment
from workflow_assets.wirings import WiredSteps


def read_seed(seed: Any, faults: Faults) -> int:
    """Read a seed: a whole number, numpy's too."""
    plain = unwrap_scalar(seed)
    if isinstance(plain, int) and not isinstance(plain, bool) and plain >= 0:
        return plain
    faults.add(f"seed = {excerpt(seed)}: expected a whole number of 0 or more")
    return 0


def read_text(text: Any, what: str, faults: Faults) -> str:
    """Read a text."""
    if not isinstance(text, str):
        faults.add(f"{what} = {excerpt(text)}: expected a text")
    return str(text)


def read_owners(owners: Any, faults: Faults) -> tuple[str, ...]:
    """Read owners: one text, or several."""
    read = as_owners(owners) if isinstance(owners, Iterable | None) else (owners,)
    if not all(isinstance(owner, str) for owner in read):
        faults.add(f"owners = {excerpt(owners)}: expected e-mail addresses or 'team:name'")
    return read


def read_tags(tags: Any, faults: Faults) -> FrozenDict[str, str]:
    """Read labels."""
    if tags is None:
        return FrozenDict()
    if not isinstance(tags, Mapping) or not all(
        isinstance(text, str) for item in tags.items() for text in item
    ):
        faults.add(f"tags = {excerpt(tags)}: expected a mapping from texts to texts")
        return FrozenDict()
    return FrozenDict(tags)


def read_parameters(parameters: Any, faults: Faults) -> dict[str, Any]:
    """Read the values that hold for every treatment."""
    try:
        return dict(Treatment(parameters).parameters)
    except DeclarationError as error:
        faults.extend(error.faults)
        return {}


def read_replicates(value: Any, faults: Faults) -> Replicates:
    """Read a number, the names of units, or replicates."""
    try:
        return Replicates.read(value)
    except DeclarationError as error:
        faults.extend(error.faults)
        return Replicates(1)


def read_list(value: Any, what: str, example: str, faults: Faults) -> list[Any]:
    """Read several of something, in their order."""
    if value is None:
        return []
    if isinstance(value, str | bytes | Mapping | set | frozenset) or not isinstance(value, Iterable):
        faults.add(f"{what} is a {type(value).__qualname__}: expected a list such as {example}")
        return []
    return list(value)


def read_steps(
    steps: Any, broken: set[str], faults: Faults
) -> tuple[dict[str, Step[..., Any]], list[Source[Any]]]:
    """Read steps by their slots, and the sources among them; names that are not sound are added to `broken`."""
    slots: dict[str, Step[..., Any]] = {}
    sources: list[Source[Any]] = []
    for place, one in enumerate(read_list(steps, "steps", "[split, model, score]", faults)):
        if isinstance(one, Source):
            sources.append(one)
        elif not isinstance(one, Step):
            name = str(getattr(one, "__name__", excerpt(one)))
            broken.add(name)
            faults.add(_no_step(f"steps[{place}] is {name!r}", one))
        elif one.name in slots:
            broken.add(one.name)
            faults.add(f"two steps are called {one.name!r}: use {one.name}.named('another') for one of them")
        else:
            slots[one.name] = one
    if not slots and not faults:
        faults.add("it has no steps")
    return slots, sources


def _no_step(what: str, one: Any) -> str:
    inner = one
    while callable(inner) and not isinstance(inner, Step | type) and hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    if isinstance(inner, Step):
        return f"{what}, a step inside another decorator: write @step above the other decorators"
    if isinstance(one, list | tuple):
        return f"{what}, not a step: write the steps one after the other in one list"
    if not inspect.isfunction(one):
        return f"{what}, not a step but a {type(one).__qualname__}"
    return f"{what}, not a step: decorate it with @step"


def read_sources(sources: Iterable[Any], broken: set[str], faults: Faults) -> dict[str, Source[Any]]:
    """Read sources by their names; names that are not sound are added to `broken`."""
    named: dict[str, Source[Any]] = {}
    for one in sources:
        if not isinstance(one, Source):
            name = str(getattr(one, "__name__", excerpt(one)))
            broken.add(name)
            cure = "write asset_source(...) around it" if hasattr(one, "key") else "decorate it with @source"
            faults.add(f"sources has {name!r}, which is not a source: {cure}")
        elif named.setdefault(one.name, one) is not one:
            faults.add(f"two sources are called {one.name!r}: give one of them another name")
    return named


def check_names(steps: Collection[str], sources: Collection[str], broken: set[str], faults: Faults) -> None:
    """Note names that mean two things."""
    if both := [name for name in steps if name in sources]:
        broken.update(both)
        verb = "names" if len(both) == 1 else "name"
        faults.add(f"{listing(both)} {verb} both a step and a source: rename one of them")
    if given := [name for name in (*steps, *sources) if name in GIVEN]:
        verb = "is" if len(given) == 1 else "are"
        faults.add(f"{listing(given)} {verb} what the engine gives to steps: rename the step or source")


def read_treatments(value: Any, broken: set[str], faults: Faults) -> dict[str, Treatment]:
    """Read treatments by name, the baseline first; names that are not sound are added to `broken`."""
    treatments = {BASELINE: Treatment()}
    if not isinstance(value, Mapping | None):
        faults.add(
            f"treatments is a {type(value).__qualname__}: expected a mapping from names to treatments, such as "
            "{'strong': {'model.C': 0.01}}"
        )
        return treatments
    for name, change in (value or {}).items():
        if isinstance(name, str):
            broken.add(name)
        if fault := partition_fault(name):
            faults.add(f"treatment {excerpt(name)} {fault}")
        elif not isinstance(change, Treatment | Mapping):
            faults.add(
                f"treatment {name!r} is a {type(change).__qualname__}: expected Treatment(...) or a mapping such as "
                "{'step.parameter': value}"
            )
        else:
            try:
                treatment = change if isinstance(change, Treatment) else Treatment(change)
            except DeclarationError as error:
                faults.extend(f"treatment {name!r}: {fault}" for fault in error.faults)
                continue
            if name == BASELINE and treatment.changes:
                faults.add(
                    "treatment 'baseline' is the workflow without any change; give this one another name"
                )
            elif name != BASELINE:
                treatments[str(name)] = treatment
            else:
                treatments[BASELINE] = treatment
            broken.discard(name)
    return treatments


def read_hypotheses(
    value: Any,
    arms: Mapping[str, WiredSteps],
    unsound: Mapping[str, Collection[str]],
    replicates: Replicates,
    faults: Faults,
) -> tuple[Hypothesis, ...]:
    """Read hypotheses; `unsound` names the treatments and steps whose own faults are told already.

    `arms` maps the treatments to their workflows.
    """
    hypotheses: list[Hypothesis] = []
    names: set[str] = set()
    for one in read_list(value, "hypotheses", "[Hypothesis(...)]", faults):
        if not isinstance(one, Hypothesis):
            faults.add(f"hypotheses has a {type(one).__qualname__}: expected Hypothesis(...)")
            continue
        if one.name in names:
            faults.add(f"two hypotheses are called {one.name!r}: give one of them another name")
        names.add(one.name)
        hypotheses.append(one)
        if one.test == "corrected_resampled_t" and replicates.test_fraction is None:
            faults.add(
                f"hypothesis {one.name!r} asks for corrected_resampled_t, which is for re-splits of one data set: "
                "declare replicates=resamples(count, test_fraction=...)"
            )
        known = [*arms, *unsound["treatments"]]
        for arm in dict.fromkeys(one.arms):
            if arm not in known:
                near = did_you_mean(arm, known)
                faults.add(f"hypothesis {one.name!r} is about the unknown treatment {arm!r}: {near}")
        for metric in one.metrics:
            if metric.partition(".")[0] not in unsound["steps"]:
                _check_metric(one, metric, [arm for arm in one.arms if arm in arms], arms, faults)
    return tuple(hypotheses)


def check_design(design: Design, baseline: WiredSteps, faults: Faults) -> None:
    """Note where the baseline has other values than a design says it has."""
    if BASELINE not in design.settings:
        return
    for address, value in design.values_of(BASELINE).items():
        slot, _, parameter = address.partition(".")
        settings = baseline.nodes[slot].settings if slot in baseline.nodes else {}
        if parameter in settings and not same(settings[parameter], value):
            faults.add(
                f"the design says that {address} of the baseline is {excerpt(value)}, and it is "
                f"{excerpt(settings[parameter])}: give the experiment's own values as baseline="
            )


def check_levels(
    replicates: Replicates, arms: Mapping[str, WiredSteps], hypotheses: Iterable[Hypothesis], faults: Faults
) -> None:
    """Note tests that would take replicates for independent which share something, and names that mean two things."""
    levels = replicates.levels
    if levels is None:
        return
    metrics = {name for workflow in arms.values() for name in workflow.metrics()}
    for name in levels.names:
        if name in metrics:
            faults.add(f"{name!r} names both a level of the replicates and a metric: rename one of them")
    refusal = levels.refusal()
    for one in hypotheses:
        if refusal is not None:
            faults.add(f"hypothesis {one.name!r} cannot be tested on these replicates: {refusal}")
        elif levels.block is not None and one.paired is False:
            faults.add(
                f"hypothesis {one.name!r} says paired=False, but treatments are compared within each {levels.block}: "
                f"leave out paired=False, or declare unit= without block="
            )


def _check_metric(
    one: Hypothesis, metric: str, compared: list[str], arms: Mapping[str, WiredSteps], faults: Faults
) -> None:
    for arm in compared or list(arms)[:1]:
        metrics = arms[arm].metrics()
        if metric not in metrics:
            elsewhere = any(metric in other.metrics() for other in arms.values())
            where = f" under {arm!r}" if elsewhere else ""
            near = did_you_mean(metric, metrics)
            faults.add(f"hypothesis {one.name!r} is about {metric!r}, which no step declares{where}: {near}")
            return
        if metrics[metric] is str:
            faults.add(f"hypothesis {one.name!r} is about {metric!r}, which is text: nothing to compare")
            return
