"""Explanations: why a datum would be computed again, or why it would not.

What a step's datum was made from is noted beside it; a plan knows what it would be made from now. The first difference
that matters is told in the user's own terms: which function, which value, which input.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from workflow_assets.acceptances import Acceptance, accept, original
from workflow_assets.errors import UnknownNameError, did_you_mean
from workflow_assets.plans import Plan, PlannedSource, PlannedStep
from workflow_assets.provenance import Provenance, trace


@dataclass(frozen=True)
class Change:
    """One part of a compute key that differs from the datum that the partition holds.

    `kind` is "code", "parameter", "input", "seed", "function" or "other"; `name` is the function, parameter or input.
    `before` and `now` are source or values; None where there is none.
    """

    kind: str
    name: str
    before: str | None
    now: str | None
    because: Explanation | None = None

    def __str__(self) -> str:
        lines = [self._headline()]
        if self.kind == "code" and self.before is not None and self.now is not None:
            difference = difflib.unified_diff(
                self.before.splitlines(), self.now.splitlines(), lineterm="", n=1
            )
            lines += [f"    {line}" for line in list(difference)[2:] if not line.startswith("@@")]
        if self.because is not None:
            lines += [f"  {line}" for line in str(self.because).splitlines()]
        return "\n".join(lines)

    def _headline(self) -> str:
        if self.kind == "code":
            what = "is new" if self.before is None else "is gone" if self.now is None else "has changed"
            return f"code: {self.name} {what}"
        if self.kind == "input":
            return f"input: {self.name} is another datum"
        return f"{self.kind}: {self.name} {self.before} → {self.now}"


@dataclass(frozen=True)
class Explanation:
    """Whether a datum is stored, and what differs from the one that its partition held before.

    `state` is "stored", "changed" (the partition holds a datum of another key), "damaged" (its record or the library
    that pickled it is no longer as it was) or "new" (nothing was ever computed there).
    """

    step: str
    treatment: str
    replicate: str
    key: str
    state: str
    changes: tuple[Change, ...] = ()
    before: Provenance | None = None

    def __str__(self) -> str:
        told = {
            "stored": "is stored",
            "new": "was never computed",
            "damaged": "must be computed again: what is stored cannot be used any more",
            "changed": "must be computed again",
        }[self.state]
        place = (
            f"{self.step} of {self.treatment} × {self.replicate}" if self.treatment else f"source {self.step}"
        )
        lines = [f"{place} {told}"]
        for change in self.changes:
            lines += [f"  {line}" for line in str(change).splitlines()]
        return "\n".join(lines)


def explain(plan: Plan, treatment: str, replicate: str, name: str) -> Explanation:
    """Say for one datum whether it is stored, and if it is not, what has changed since it last was.

    Raises `UnknownNameError` for a cell or step that the experiment does not have.
    """
    plan.check_cells([(treatment, replicate)])
    steps = plan.by_treatment[treatment]
    if name not in steps:
        raise UnknownNameError(
            f"experiment {plan.declaration.name!r} has no step {name!r}: {did_you_mean(name, steps)}"
        )
    one = plan.replicates[replicate]
    keys = plan.keys(one, plan.seed(one))
    return _Explainer(plan, treatment, replicate, keys).step(steps[name])


def accept_change(plan: Plan, name: str, *, why: str, who: str | None = None) -> list[Acceptance]:
    """Accept that a step's or source's changed code changes no result, so that what is stored stays valid.

    Raises `UnknownNameError` for a name that the experiment does not have, or whose code has not changed, and
    `ValueError` where no reason is given.
    """
    accepted: list[Acceptance] = []
    known: dict[str, PlannedStep | PlannedSource] = {
        **plan.sources,
        **{step.name: step for step in plan.steps},
    }
    if name not in known:
        raise UnknownNameError(
            f"experiment {plan.declaration.name!r} has no step or source {name!r}: {did_you_mean(name, known)}"
        )
    for planned, held in _held(plan, name):
        now = planned.fingerprint.digest
        before = original(held.code_digest, plan.accepted)
        if plan.code(planned.fingerprint) != before and now not in {one.now for one in accepted}:
            accepted.append(accept(plan.store, name, before, now, why=why, who=who))
    if not accepted:
        raise UnknownNameError(
            f"the code of {name!r} is that of what is stored, or nothing is stored: there is no change to accept"
        )
    return accepted


def _held(plan: Plan, name: str) -> Iterator[tuple[PlannedStep | PlannedSource, Provenance]]:
    """Give one datum that is held for each treatment of a step, or for a source."""
    partitions: dict[str, tuple[PlannedStep | PlannedSource, str | None]] = {}
    if name in plan.sources:
        partitions = {
            "": (plan.sources[name], plan.store.references(plan.sources[name].source.asset).get(""))
        }
    else:
        held = plan.store.references((plan.declaration.name, name))
        for partition, key in held.items():
            treatment = partition.partition("|")[2]
            if treatment in plan.by_treatment and name in plan.by_treatment[treatment]:
                partitions[treatment] = (plan.by_treatment[treatment][name], key)
    for planned, last in partitions.values():
        if last is not None and plan.store.find(last) is not None:
            with suppress(UnknownNameError):  # put by hand
                yield planned, trace(plan.store, last)


class _Explainer:
    """Explains the data of one cell."""

    def __init__(self, plan: Plan, treatment: str, replicate: str, keys: Mapping[PlannedStep, str]) -> None:
        self.plan = plan
        self.treatment = treatment
        self.replicate = replicate
        self.keys = keys

    def step(self, step: PlannedStep) -> Explanation:
        """Explain a step's datum."""
        declaration = self.plan.declaration
        partition = declaration.partition(self.treatment, self.replicate)
        held = self.plan.store.references((declaration.name, step.name)).get(partition)
        return self._explain(step, self.keys[step], held, self.treatment, self.replicate)

    def source(self, source: PlannedSource) -> Explanation:
        """Explain a source's datum."""
        held = self.plan.store.references(source.source.asset).get("")
        return self._explain(source, source.key, held, "", "")

    def _explain(
        self, planned: PlannedStep | PlannedSource, key: str, held: str | None, treatment: str, replicate: str
    ) -> Explanation:
        place = (planned.name, treatment, replicate, key)
        record = self.plan.store.find(key)
        if record is not None:
            return Explanation(*place, "stored" if record.current else "damaged")
        if held is None:
            return Explanation(*place, "new")
        if held == key:
            return Explanation(*place, "damaged")
        try:
            before = trace(self.plan.store, held)
        except UnknownNameError:  # collected as garbage since, or put by hand
            return Explanation(*place, "new")
        return Explanation(*place, "changed", tuple(self._changes(planned, before)), before)

    def _changes(self, planned: PlannedStep | PlannedSource, before: Provenance) -> Iterator[Change]:
        made = planned.made_by
        if made["function"] != before.function:
            yield Change("function", planned.name, before.function, made["function"])
        elif self.plan.code(planned.fingerprint) != original(before.code_digest, self.plan.accepted):
            yield from self._code_changes(planned, before)
        yield from _value_changes(made, before)
        if isinstance(planned, PlannedStep):
            yield from self._input_changes(planned, before)
            seed = self.plan.seed(self.plan.replicates[self.replicate])
            if planned.varies and before.seed not in (None, seed):
                yield Change("seed", f"of replicate {self.replicate}", str(before.seed), str(seed))
        now, earlier = tuple(made["more"]), before.more
        if now != earlier:
            yield Change("other", "what the key depends on", ", ".join(earlier) or "–", ", ".join(now) or "–")

    def _code_changes(self, planned: PlannedStep | PlannedSource, before: Provenance) -> Iterator[Change]:
        code = planned.fingerprint
        for name in sorted({*code.parts, *before.code_parts}):
            if code.parts.get(name) != before.code_parts.get(name):
                yield Change(
                    "code",
                    name,
                    before.code.get(name, "" if name in before.code_parts else None),
                    code.texts.get(name, "" if name in code.parts else None),
                )

    def _input_changes(self, step: PlannedStep, before: Provenance) -> Iterator[Change]:
        inputs = dict(step.inputs)
        keys = step.input_keys(self.keys)
        for name in sorted({*inputs, *before.inputs}):
            was, now = before.inputs.get(name), keys.get(name)
            if was == now:
                continue
            because = None
            if now is not None:
                given = inputs[name]
                because = self.step(given) if isinstance(given, PlannedStep) else self.source(given)
            yield Change("input", name, was, now, because)


def _value_changes(made: Mapping[str, Any], before: Provenance) -> Iterator[Change]:
    forms, told = made["forms"], made["parameters"]
    for name in sorted({*forms, *before.forms}):
        if forms.get(name) != before.forms.get(name):
            yield Change("parameter", name, before.parameters.get(name), told.get(name))
