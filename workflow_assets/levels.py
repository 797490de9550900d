"""Levels: what replicates share – sites in wells in plates – and which level is the experimental unit.

Replicates that share a plate say less than as many that do not. Taken as independent they would be counted several
times over (pseudoreplication; Hurlbert 1984), so their values are averaged per unit before anything is tested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workflow_assets.errors import DeclarationError, did_you_mean, excerpt
from workflow_assets.mappings import FrozenDict
from workflow_assets.names import identifier_fault

COLUMNS = ("treatment", "replicate", "status", "seed", "error")
"""The columns of a table beside which those of the levels stand."""


@dataclass(frozen=True)
class Levels:
    """Where each replicate lies: the names of the levels, outermost first, and each replicate's place in them.

    Nested levels have their names within the level above: A01 of plate P1 is another well than A01 of plate P2. Crossed
    ones (each initialisation with each split) bear their own.

    Args:
        names: the levels, outermost first.
        places: for each replicate the name that it has in each level.
        unit: the level whose values are independent of each other; what lies within is averaged.
        block: the level within which treatments are compared.
        crossed: whether every level is met with every other, instead of lying within the one above.

    Raises `DeclarationError` for a unit that shares the level above with others, which are not independent then.

    >>> places = {"P1/A01": ("P1", "A01"), "P1/A02": ("P1", "A02"), "P2/A01": ("P2", "A01")}
    >>> levels = Levels(("plate", "well"), places, unit="plate")
    >>> levels.mean_per("plate", {"P1/A01": 1.0, "P1/A02": 3.0, "P2/A01": 5.0})
    {'P1': 2.0, 'P2': 5.0}
    """

    names: tuple[str, ...]
    places: Mapping[str, tuple[str, ...]]
    unit: str | None = None
    block: str | None = None
    crossed: bool = False

    def __post_init__(self) -> None:
        faults = _level_faults(self.names)
        if not faults:
            faults = [
                f"unit {key!r} lies in {excerpt(place)}: expected a name for each of {excerpt(self.names)}"
                for key, place in self.places.items()
                if len(place) != len(self.names)
                or not all(isinstance(name, str) and name == name.strip() and name for name in place)
            ]
        if not faults:
            faults = [
                f"{what} = {excerpt(level)} is none of the levels: {did_you_mean(str(level), self.names)}"
                for what, level in (("unit", self.unit), ("block", self.block))
                if level is not None and level not in self.names
            ]
        if not faults:
            object.__setattr__(self, "places", FrozenDict(self.places))
            faults = self._design_faults()
        if faults:
            raise DeclarationError("replicates", faults)

    def group(self, key: str, level: str) -> str:
        """Name the group of a level that a replicate lies in."""
        place = self.places[key]
        position = self.names.index(level)
        return place[position] if self.crossed else "/".join(place[: position + 1])

    def count(self, level: str) -> int:
        """Say how many groups a level has."""
        return len({self.group(key, level) for key in self.places})

    @property
    def compared(self) -> str | None:
        """The level that gives one value for each treatment: the block, or else the unit."""
        return self.block or self.unit

    def dependence(self, level: str | None = None) -> str | None:
        """Say why the groups of a level (by default: the replicates) are not independent; None if they are."""
        if self.crossed:
            if level is not None:
                return None
            shared = " and ".join(f"{self.count(name)} {plural(name)}" for name in self.names)
            return f"{len(self.places)} replicates share {shared}"
        outer = self.names[0]
        many, few = len(self.places) if level is None else self.count(level), self.count(outer)
        what = "replicates" if level is None else plural(level)
        return f"{many} {what} lie in {few} {plural(outer)}" if many > few else None

    def refusal(self) -> str | None:
        """Say why a test of these replicates would take for independent what is not; None where it would not."""
        reason = self.dependence() if self.compared is None else None
        if reason is None:
            return None
        cure = " or ".join(f"unit={name!r}" for name in (self.names if self.crossed else self.names[:1]))
        return f"{reason} and are not independent: declare {cure}, so that one value of each is tested"

    def mean_per(self, level: str, values: Mapping[str, float]) -> dict[str, float]:
        """Average values of replicates per group of a level, one level after the other from the innermost outwards.

        So a well with many sites weighs as much in its plate as one with few.
        """
        position = self.names.index(level)
        if self.crossed:
            order = [level, *(name for name in self.names if name != level)]
        else:
            order = list(self.names[: position + 1]) + list(self.names[position + 1 :])
        start = 1 if self.crossed else position + 1
        groups = {(*(self.group(key, name) for name in order), key): value for key, value in values.items()}
        for depth in range(len(order), start - 1, -1):
            inner: dict[tuple[str, ...], list[float]] = {}
            for path, value in groups.items():
                inner.setdefault(path[:depth], []).append(value)
            # Each is divided before it is added: the sum of very large values would not be finite.
            groups = {path: sum(one / len(many) for one in many) for path, many in inner.items()}
        return {path[start - 1]: value for path, value in groups.items()}

    def align(
        self, first: Mapping[str, float], second: Mapping[str, float], *, paired: bool
    ) -> tuple[dict[str, float], dict[str, float], str]:
        """Make one value per unit (or block) of the values of two arms, and tell what was done in a note.

        Paired arms keep the replicates that both have. Within blocks each arm keeps all of its own, and the blocks that
        both have are compared.
        """
        level = self.compared
        if level is None:
            return dict(first), dict(second), ""
        if paired and self.block is None:
            first = {key: value for key, value in first.items() if key in second}
            second = {key: second[key] for key in first}
        x, y = self.mean_per(level, first), self.mean_per(level, second)
        if len(x) == len(first) and len(y) == len(second):
            return x, y, ""
        sizes = dict.fromkeys((len(first), len(second)))
        note = f"{' and '.join(map(str, sizes))} {self._finest()} aggregated to {len(x)} {plural(level)}"
        if self.block is not None:
            note += f", and treatments compared within each {level}"
        others = [plural(name) for name in self.names if name != level]
        if self.crossed:
            note += f"; what is said holds for these {' and '.join(others)}"
        return x, y, note

    def _finest(self) -> str:
        return (
            plural(self.names[-1])
            if not self.crossed and self.count(self.names[-1]) == len(self.places)
            else "replicates"
        )

    def _design_faults(self) -> list[str]:
        if self.block is not None and self.crossed:
            return ["crossed levels have no block: declare unit=, the level whose values are tested"]
        if self.crossed or self.compared is None:
            return []
        if self.block is not None and self.unit is not None:
            within = self.names.index(self.unit) - self.names.index(self.block)
            if within < 0:
                return [
                    f"unit = {self.unit!r} does not lie within block = {self.block!r}: leave out the block"
                ]
        reason = self.dependence(self.compared)
        if reason is None:
            return []
        what = "block" if self.block is not None else "unit"
        outer = self.names[0]
        return [
            (
                f"{what} = {self.compared!r}, but {reason} and are not independent: declare unit={outer!r}, or "
                f"block={outer!r} to compare within {plural(outer)}"
            )
        ]


def nesting_flag(keys: Sequence[str], levels: Levels | None) -> str | None:
    """Say that names of replicates look nested (P1/A01, P1/A02) where nothing tells what they share.

    >>> nesting_flag(["P1/A01", "P1/A02", "P2/A01"], None)
    "3 replicates bear the names of 2 groups ('P1/…'): if what is in one group is alike, declare units(..., unit=...)"
    """
    if levels is not None or not keys or not all("/" in key for key in keys):
        return None
    groups = list(dict.fromkeys(key.partition("/")[0] for key in keys))
    if len(groups) == len(keys):
        return None
    return (
        f"{len(keys)} replicates bear the names of {len(groups)} groups ({groups[0] + '/…'!r}): if what is in one "
        f"group is alike, declare units(..., unit=...)"
    )


def plural(name: str) -> str:
    """Give the plural of a level's name.

    >>> plural("well"), plural("batch")
    ('wells', 'batches')
    """
    return f"{name}es" if name.endswith(("s", "x", "ch", "sh")) else f"{name}s"


def _level_faults(names: object) -> list[str]:
    if isinstance(names, str) or not isinstance(names, tuple) or not names:
        return [f"levels = {excerpt(names)}: expected names, outermost first, such as ('plate', 'well')"]
    faults = [f"level {excerpt(name)} {fault}" for name in names if (fault := identifier_fault(name))]
    faults += [
        f"level {name!r} is named more than once" for name, n in Counter(map(str, names)).items() if n > 1
    ]
    return faults + [
        f"level {name!r} is the name of another column of the table" for name in names if name in COLUMNS
    ]
