"""Inspections: whether what is stored is whole, and whether computing it again gives the same."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflow_assets.errors import CorruptDatumError, UnknownNameError
from workflow_assets.outcomes import Failure
from workflow_assets.plans import Plan, PlannedStep
from workflow_assets.provenance import trace
from workflow_assets.runs import Run
from workflow_assets.store.base import MemoryStore, Record, Store

if TYPE_CHECKING:
    from workflow_assets.store.codecs import Buffer

_AT_ONCE = 4_000
"""How many records are asked for at once; no more of them are held."""


@dataclass(frozen=True)
class Damage:
    """A datum that is not what was stored: its key, the step that made it (if that is known), and what is wrong."""

    key: str
    step: str
    what: str

    def __str__(self) -> str:
        return f"{self.step or 'a datum'} {self.key}: {self.what}"


@dataclass(frozen=True)
class Verification:
    """What was found when the bytes of data were read again: how many data, how many bytes, which are damaged."""

    data: int
    bytes: int
    damaged: tuple[Damage, ...]

    def __str__(self) -> str:
        told = f"{self.data} data with {self.bytes / 1e6:.1f} MB were read again: "
        return "\n".join(
            [
                f"{told}{len(self.damaged)} damaged" if self.damaged else f"{told}all are whole",
                *(f"  {damage}" for damage in self.damaged),
            ]
        )


def verify(store: Store, *, fraction: float = 1.0, rng: random.Random | None = None) -> Verification:
    """Read all data again, or a random part of them, and compare their bytes with the digests they were stored with.

    What is damaged is set aside where the store can be written, so that the next run computes it again.

    >>> store = MemoryStore()
    >>> record = store.put("a1", 0.5)
    >>> print(verify(store))
    1 data with 0.0 MB were read again: all are whole

    Args:
        store: whose data are read.
        fraction: the part of the data that is read, between 0 and 1.
        rng: draws that part; by default anew each time.

    Raises `ValueError` for a fraction that is none, and `StoreError` where the store cannot be read.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction = {fraction!r}: expected more than 0 and at most 1")
    drawn = rng or random.Random()  # noqa: S311 - nothing is secret
    keys = sorted(key for key in set(store.keys()) if fraction == 1 or drawn.random() < fraction)
    size, damaged = 0, []
    for start in range(0, len(keys), _AT_ONCE):
        some = keys[start : start + _AT_ONCE]
        records = store.recorded(some)
        for key in some:
            what = "its record is damaged" if key not in records else store.damage(records[key])
            if what:
                damaged.append(Damage(key, _step(store, key), what))
            else:
                size += records[key].size
    return Verification(len(keys), size, tuple(damaged))


def _step(store: Store, key: str) -> str:
    try:
        return trace(store, key).step
    except (UnknownNameError, CorruptDatumError, LookupError, TypeError):
        return ""


@dataclass(frozen=True)
class Difference:
    """A datum that came out differently when it was computed again: where it is in the grid, and how it differs."""

    step: str
    treatment: str
    replicate: str
    what: str

    def __str__(self) -> str:
        return f"{self.step} of {self.treatment} × {self.replicate}: {self.what}"


@dataclass(frozen=True)
class Audit:
    """What came of computing data again: for each step how many were, and which of them differ."""

    computed: Mapping[str, int]
    differences: tuple[Difference, ...]

    @property
    def deterministic(self) -> bool:
        """Whether all came out as they are stored."""
        return not self.differences

    @property
    def suspects(self) -> tuple[str, ...]:
        """The steps whose results differ, though code, configuration, inputs and seed are the same."""
        return tuple(dict.fromkeys(difference.step for difference in self.differences))

    def __str__(self) -> str:
        differing = Counter(difference.step for difference in self.differences)
        lines = [
            f"{step}: {count} computed again, {differing[step] or 'none'} different"
            if count
            else f"{step}: none computed again"
            for step, count in self.computed.items()
        ]
        return "\n".join([*lines, *(f"  {difference}" for difference in self.differences)])


def audit(
    plan: Plan,
    store: Store,
    *,
    sample: int = 20,
    steps: Iterable[str] | None = None,
    rng: random.Random | None = None,
    resources: Mapping[str, Any] | None = None,
) -> Audit:
    """Compute a random sample of stored data again, each from its stored inputs, and compare their digests.

    The store is not written to.
    """
    if not isinstance(sample, int) or sample < 1:
        raise ValueError(f"sample = {sample!r}: compute at least 1 datum again")
    slots = plan.stored_slots(steps)
    drawn = rng or random.Random()  # noqa: S311 - nothing is secret
    candidates = [(cell, slot) for cell in plan.cells() for slot in slots]
    drawn.shuffle(candidates)
    computed = dict.fromkeys(slots, 0)
    differences: list[Difference] = []
    seen: set[str] = set()
    for (treatment, replicate), slot in candidates:
        if len(seen) == sample:
            break
        step = plan.by_treatment[treatment].get(slot)
        if step is None or not step.node.step.memo:
            continue
        key = _key(plan, step, replicate)
        stored = None if key in seen else store.find(key)
        if stored is None:
            continue
        seen.add(key)
        rehearsal = _Rehearsal(store, key)
        run = Run(plan, rehearsal, resources=resources, run_id=f"audit of {key}")
        (outcome,) = run.cells([(treatment, replicate)], [slot])
        computed[slot] += 1
        what = _difference(stored, outcome.records.get(slot), outcome.failure)
        if what:
            differences.append(Difference(slot, treatment, replicate, what))
    return Audit(computed, tuple(differences))


def _key(plan: Plan, step: PlannedStep, replicate: str) -> str:
    chosen = plan.replicates[replicate]
    return plan.keys(chosen, plan.seed(chosen))[step]


def _difference(stored: Record, again: Record | None, failure: Failure | None) -> str:
    if again is None:
        return f"it fails now: {failure}"
    if (again.codec, again.digest) == (stored.codec, stored.digest):
        return "" if again.metrics == stored.metrics else "its metrics differ"
    pickled = " (pickles of equal values may differ)" if "pickle" in {again.codec, stored.codec} else ""
    return f"{stored.size} bytes are stored, {again.size} others came out{pickled}"


class _Rehearsal(MemoryStore):
    """What a store holds but one datum; what is put is kept in memory."""

    def __init__(self, store: Store, hidden: str) -> None:
        super().__init__(pickles=store.pickles)
        self._behind = store
        self._hidden = hidden

    def find(self, key: str) -> Record | None:
        return super().find(key) or (None if key == self._hidden else self._behind.find(key))

    def find_all(self, keys: Iterable[str]) -> dict[str, Record]:
        return {key: record for key in keys if (record := self.find(key)) is not None}

    def recorded(self, keys: Iterable[str]) -> dict[str, Record]:
        asked = list(keys)
        return {**self._behind.recorded(asked), **super().recorded(asked)}

    def keys(self) -> Iterator[str]:
        yield from {*super().keys(), *self._behind.keys()} - {self._hidden}

    def _read_object(self, name: str) -> Buffer:
        return super()._read_object(name) if name in self._objects else self._behind._read_object(name)  # noqa: SLF001
