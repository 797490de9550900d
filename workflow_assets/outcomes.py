"""Outcomes: what became of a datum and of a cell in a run."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

from workflow_assets.mappings import FrozenDict
from workflow_assets.plans import PlannedStep
from workflow_assets.store.base import Record, Store
from workflow_assets.store.codecs import Encoded, independent_copy


@dataclass(frozen=True)
class Failure:
    """Why a cell failed: the step, the exception, and where the cell was in the grid."""

    step: str
    treatment: str
    replicate: str
    seed: int
    kind: str
    message: str
    traceback: str = field(repr=False)

    def __str__(self) -> str:
        return f"step {self.step!r}: {self.kind}: {self.message}"


class ItemFailure(NamedTuple):
    """Why an item failed; of several, only the first has its traceback, which stands for all."""

    kind: str
    message: str
    traceback: str
    seconds: float


class Share(NamedTuple):
    """Which of the items of a step one worker takes: each of so many, from one on."""

    first: int
    of: int


class ShareDone(NamedTuple):
    """What became of a share: which items failed, by their keys."""

    share: Share
    failed: Mapping[str, ItemFailure]


class CellOutcome(NamedTuple):
    """What became of one cell: the records of its steps' data, and the failure if there was one.

    `computed` names the slots that were computed now; the others were stored, or shared with an earlier cell.
    `failures` has, for each slot that was wanted and has no datum, what went wrong first: in it, or in what it follows.
    """

    treatment: str
    replicate: str
    seed: int
    records: Mapping[str, Record]
    computed: frozenset[str]
    failure: Failure | None
    steps: Mapping[str, PlannedStep]
    keys: Mapping[PlannedStep, str]
    failures: Mapping[str, Failure] = FrozenDict()

    def key(self, slot: str) -> str:
        """Give the compute key of a slot in this cell, whether or not it was wanted."""
        return self.keys[self.steps[slot]]

    def metrics(self) -> dict[str, Any]:
        """Give the cell's metrics by their full names."""
        return {
            f"{slot}.{name}" if name else slot: value
            for slot, record in self.records.items()
            for name, value in record.metrics.items()
        }


class Handle:
    """A datum in a run: its record, and its value while that is worth holding.

    Args:
        record: the record that stands, or, while the datum is being stored, the promise of it.
        encoded: the value as bytes, if this run computed it.
        run_id: the run, if it computed the datum: where another was first, its record stands, and its value is used.
        uses: how often the value will be asked for; the last who asks is given it without another copy.
        computed: whether this run computed the datum, although its bytes are not at hand any more.
    """

    __slots__ = ("_computed", "_encoded", "_record", "_run_id", "_uses")

    def __init__(
        self,
        record: Record | Future[Record],
        encoded: Encoded | None = None,
        run_id: str | None = None,
        uses: float = inf,
        *,
        computed: bool = False,
    ) -> None:
        self._record = record
        self._encoded = encoded
        self._run_id = run_id
        self._uses = uses
        self._computed = encoded is not None or computed
        if not isinstance(record, Future):
            self._settle(record)

    @property
    def record(self) -> Record:
        """The record that stands, which is waited for; raise `StoreError` if the datum could not be stored."""
        if isinstance(self._record, Future):
            self._settle(self._record.result())
        return self._record  # type: ignore[return-value]

    @property
    def computed(self) -> bool:
        """Whether this run computed the value that stands."""
        return self._computed and self.record is not None and self._computed

    def _settle(self, record: Record) -> None:
        self._record = record
        if self._encoded is not None and record.provenance.get("run") != self._run_id:
            # Another run was first: its value is the one that stands, and that what follows is computed from.
            self._encoded, self._computed = None, False

    def shared(self) -> None:
        """Let the datum count as computed no more: it was told."""
        self._computed = False

    def value(self, store: Store) -> Any:
        """Give a copy that is the caller's own; the datum is stored by then."""
        record = self.record
        encoded = self._encoded
        if encoded is None:
            return store.load(record)
        self._uses -= 1
        if self._uses <= 0:
            self._encoded = None
        return independent_copy(encoded, pickles=store.pickles, last=self._uses <= 0)


Outcome = Handle | Failure
