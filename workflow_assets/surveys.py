"""Surveys: what a store lacks of the data that cells need, found out some thousand keys at a time.

A survey asks what a run would ask, and so finds what a run would find.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from workflow_assets.plans import Plan, PlannedSource, PlannedStep

Planned = PlannedStep | PlannedSource

AT_ONCE = 4_000
"""How many records are asked for at once; no more of them are held."""

_FAR = 25
"""How many times as many are asked for at once where each question lists what is there, as in a bucket."""


class Part(NamedTuple):
    """Some replicates of a survey: treatments and keys of each, and for each key asked for, whether it is missing."""

    replicates: Sequence[tuple[Sequence[str], Mapping[PlannedStep, str]]]
    missing: Mapping[str, bool]


class Survey:
    """Asks the store for what cells need, as a run does: what is wanted, then what that is made from if it is missing.

    Args:
        plan: has the keys, and the store that is asked.
        cells: (treatment, replicate key) of the cells.
        steps: the slots that are wanted; all that are stored by default.
        force: slots and sources that count as missing, and all that follows from them.
    """

    def __init__(
        self,
        plan: Plan,
        cells: Iterable[tuple[str, str]],
        steps: Iterable[str] | None = None,
        force: Iterable[str] = (),
    ) -> None:
        self.plan = plan
        self.forced = plan.following(force)
        slots = plan.stored_slots(steps)
        self.wanted = {
            treatment: [step for slot, step in planned.items() if slot in slots and not is_transient(step)]
            for treatment, planned in plan.by_treatment.items()
        }
        self.order: list[Planned] = [*plan.sources.values(), *plan.steps]
        self._treatments: dict[str, dict[str, None]] = {}
        for treatment, replicate in cells:
            self._treatments.setdefault(replicate, {})[treatment] = None
        self._reads: dict[Planned, tuple[Planned, ...]] = {}

    def parts(self) -> Iterator[Part]:
        """Give what is missing, some replicates at a time."""
        constant: dict[str, bool] = {}
        chosen = {treatment for treatments in self._treatments.values() for treatment in treatments}
        within = self._within(step for treatment in chosen for step in self.wanted[treatment])
        pending = iter(self._treatments.items())
        at_once = AT_ONCE if self.plan.store.at_once == 1 else AT_ONCE * _FAR
        while chunk := list(islice(pending, max(1, at_once // max(1, sum(map(varies, within)))))):
            replicates = []
            for name, treatments in chunk:
                replicate = self.plan.replicates[name]
                replicates.append((list(treatments), self.plan.keys(replicate, self.plan.seed(replicate))))
            part = Part(replicates, self._ask(replicates, constant))
            yield part
            keys = (key_of(planned, replicates[0][1]) for planned in self.order if not varies(planned))
            constant = {key: part.missing[key] for key in keys if key in part.missing}

    def reads(self, planned: Planned) -> tuple[Planned, ...]:
        """Give the data that computing one takes, which for a transient input are those that it takes itself."""
        if planned not in self._reads:
            found: dict[Planned, None] = {}
            for _, given in planned.inputs if isinstance(planned, PlannedStep) else ():
                found.update(dict.fromkeys(self.reads(given) if is_transient(given) else (given,)))
            self._reads[planned] = tuple(found)
        return self._reads[planned]

    def _within(self, wanted: Iterable[Planned]) -> set[Planned]:
        """Give all that may have to be asked for: what is wanted, and whatever that is made from."""
        pending = list(wanted)
        found = set(pending)
        while pending:
            new = [given for given in self.reads(pending.pop()) if given not in found]
            found.update(new)
            pending += new
        return found

    def _ask(
        self,
        replicates: Sequence[tuple[Sequence[str], Mapping[PlannedStep, str]]],
        constant: Mapping[str, bool],
    ) -> dict[str, bool]:
        """Find out what is missing; `constant` says it of what an earlier part has asked for and this one shares."""
        missing = dict(constant)
        asking: list[dict[Planned, None]] = [
            dict.fromkeys(step for treatment in treatments for step in self.wanted[treatment])
            for treatments, _ in replicates
        ]
        met = [set(one) for one in asking]
        while any(asking):
            asked = set()
            for (_, keys), one in zip(replicates, asking, strict=True):
                for planned in one:
                    key = key_of(planned, keys)
                    if planned in self.forced:
                        missing[key] = True
                    elif key not in missing:
                        asked.add(key)
            found = self.plan.store.find_all(asked) if asked else {}
            missing.update((key, key not in found or not found[key].current) for key in asked)
            del found
            for number, (_, keys) in enumerate(replicates):
                following: dict[Planned, None] = {}
                for planned in asking[number]:
                    if missing[key_of(planned, keys)]:
                        following.update(dict.fromkeys(self.reads(planned)))
                asking[number] = {given: None for given in following if given not in met[number]}
                met[number].update(asking[number])
        return missing


def key_of(planned: Planned, keys: Mapping[PlannedStep, str]) -> str:
    """Give the key of a source, or that of a step among those of a replicate."""
    return keys[planned] if isinstance(planned, PlannedStep) else planned.key


def varies(planned: Planned) -> bool:
    """Whether a datum depends on the replicate."""
    return isinstance(planned, PlannedStep) and planned.varies


def is_transient(planned: Planned) -> bool:
    """Whether there is no datum: it is computed inside of what takes it."""
    return isinstance(planned, PlannedStep) and planned.node.step.transient
