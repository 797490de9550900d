"""Replicates: how often a workflow is repeated, and on what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.errors import DeclarationError, excerpt
from workflow_assets.names import partition_fault


@dataclass(frozen=True)
class Replicate:
    """One repetition: its partition key, and the index or name that its random streams are derived from."""

    key: str
    identity: int | str


@dataclass(frozen=True)
class Replicates:
    """How often to repeat: a number of repetitions, or named experimental units.

    A repetition's key (``"0007"``) and streams stay the same when repetitions are added; a unit's are its name's.
    `first` is the index of the first repetition: what comes before it is left to others.
    `test_fraction` says that the replicates are overlapping re-splits of one data set, each holding out that
    fraction: their results are correlated, and the verdicts account for it.

    >>> [replicate.key for replicate in Replicates(2)]
    ['0000', '0001']
    >>> Replicates(2, first=100).keys
    ['0100', '0101']
    """

    count: int
    units: tuple[str, ...] | None = None
    test_fraction: float | None = None
    first: int = 0

    def __post_init__(self) -> None:
        count = _whole(self.count)
        faults = []
        if count is None or count < 1:
            faults.append(
                f"replicates = {excerpt(self.count)}: expected a whole number of at least 1, or the names of units"
            )
        if self.units is not None:
            object.__setattr__(self, "units", tuple(map(_plain, self.units)))
            faults += _unit_faults(self.units)
            if self.units and count is not None and count != len(self.units):
                faults.append(f"there are {len(self.units)} units, and count = {count}")
        first = _whole(self.first)
        if first is None or first < 0 or (first and self.units is not None):
            faults.append(
                f"first = {excerpt(self.first)}: expected the index of the first repetition, 0 or more; units have none"
            )
        fraction = unwrap_scalar(self.test_fraction)
        if fraction is not None and not (isinstance(fraction, float) and 0.0 < fraction < 1.0):
            faults.append(f"test_fraction = {excerpt(fraction)}: expected a fraction between 0 and 1")
        if faults:
            raise DeclarationError("replicates", faults)
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "test_fraction", fraction)

    @classmethod
    def read(cls, value: Any) -> Replicates:
        """Read what a user gave: a number, the names of units, or replicates.

        Raises `DeclarationError` with every fault.
        """
        if isinstance(value, Replicates):
            return value
        if isinstance(value, AbstractSet):
            raise DeclarationError(
                "replicates",
                [f"replicates is a {type(value).__qualname__}, which has no order: give a list of units"],
            )
        single = isinstance(value, str | bytes) or _whole(value) is not None
        if single or not isinstance(value, Iterable) or getattr(value, "shape", None) == ():
            return cls(value)  # which says what is wrong with all but a whole number
        units = list(value)
        if units and not any(isinstance(unit, str) for unit in units):
            return cls(value)  # type: ignore[arg-type]
        return cls(max(len(units), 1), tuple(units))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Replicate]:
        if self.units is not None:
            return (Replicate(unit, unit) for unit in self.units)
        return (Replicate(f"{index:04d}", index) for index in range(self.first, self.first + self.count))

    @property
    def keys(self) -> list[str]:
        """The partition keys, in order."""
        return [replicate.key for replicate in self]

    def key(self, replicate: str | int) -> str:
        """Give the key of the replicate of an index, or of a unit by its place; anything else is a key itself."""
        place = replicate - self.first if isinstance(replicate, int) else -1
        return self.keys[place] if 0 <= place < len(self) else str(replicate)


def _whole(value: object) -> int | None:
    """Give a whole number, numpy's too; None for anything else, such as True."""
    value = unwrap_scalar(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _plain(unit: object) -> object:
    return str(unit) if isinstance(unit, str) else unit


def _unit_faults(units: tuple[object, ...]) -> list[str]:
    if not units:
        return ["replicates is empty: name at least one unit, or give a number"]
    counts = Counter(map(repr, units))
    faults = [f"unit {unit} is named more than once" for unit, count in counts.items() if count > 1]
    faults += [f"unit {excerpt(unit)} {fault}" for unit in units if (fault := partition_fault(unit))]
    return faults


def resamples(count: int, *, test_fraction: float) -> Replicates:
    """Declare replicates that are overlapping re-splits of one data set.

    Args:
        count: how many re-splits.
        test_fraction: the fraction of the rows that each split holds out, between 0 and 1.

    Verdicts on paired differences then use the corrected resampled t-test (Nadeau and Bengio, 2003), since the
    re-splits share most of their training rows.

    >>> len(resamples(30, test_fraction=0.3))
    30
    """
    return Replicates(count, test_fraction=test_fraction)
