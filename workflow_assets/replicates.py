"""Replicates: how often a workflow is repeated, and on what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.errors import DeclarationError, excerpt
from workflow_assets.levels import Levels
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
    fraction: their results are correlated, and the verdicts account for it. `levels` says what units share, and which
    level is the experimental unit (`units`, `crossed`).

    >>> [replicate.key for replicate in Replicates(2)]
    ['0000', '0001']
    >>> Replicates(2, first=100).keys
    ['0100', '0101']
    """

    count: int
    units: tuple[str, ...] | None = None
    test_fraction: float | None = None
    levels: Levels | None = None
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
        if self.levels is not None:
            faults += _places_faults(self.levels, self.units)
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

    def head(self, count: int) -> Replicates:
        """Give the first so many, and those that complete the last experimental unit (or block) among them.

        >>> units(["P1/a", "P1/b", "P2/a", "P2/b"], levels=("plate", "well"), unit="plate").head(3).keys
        ['P1/a', 'P1/b', 'P2/a', 'P2/b']
        """
        if self.units is None:
            return replace(self, count=count)
        levels = self.levels
        if levels is None:
            return replace(self, count=len(self.units[:count]), units=self.units[:count])
        level = levels.compared or levels.names[-1]
        last = {levels.group(key, level): place + 1 for place, key in enumerate(self.units)}
        end = 0
        while end < count:
            end, count = count, max(last[levels.group(key, level)] for key in self.units[:count])
        kept = self.units[:count]
        places = {key: levels.places[key] for key in kept}
        return replace(self, count=len(kept), units=kept, levels=replace(levels, places=places))

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


def _places_faults(levels: object, units: tuple[object, ...] | None) -> list[str]:
    if not isinstance(levels, Levels):
        return [f"levels = {excerpt(levels)}: declare them by units(...) or crossed(...)"]
    if units is None or set(units) != set(levels.places):
        return ["levels must place each of the named units, and nothing else: declare them by units(...)"]
    return []


def units(
    keys: Sequence[str] | Mapping[str, Mapping[str, str]],
    *,
    levels: Sequence[str] | None = None,
    unit: str | None = None,
    block: str | None = None,
    separator: str = "/",
) -> Replicates:
    """Declare replicates that lie in something: sites in wells in plates, and which of these is the experimental unit.

    Replicates of one unit are averaged before anything is tested, level by level: sites to their well, wells to their
    plate. With `block`, treatments are compared within each block, and n is the number of blocks: the mean difference
    of each block is one value, even where a replicate is missing from one of the arms.

    Args:
        keys: the names of the replicates, which tell their place (``"P1/A01/s1"``); or a mapping from each name to its
            place, ``{"image_7": {"plate": "P1", "well": "A01"}}``.
        levels: the names of the levels, outermost first; not needed for a mapping.
        unit: the level whose values are independent of each other. It is needed for hypotheses.
        block: the level within which treatments are compared.
        separator: what separates the levels in a name.

    Raises `DeclarationError` for names that do not tell a place in every level, and for a unit or block several of
    which share the level above: what they share makes them alike, and a test would take them for independent.

    >>> sites = [f"P{plate}/A0{well}/s{site}" for plate in (1, 2) for well in (1, 2) for site in (1, 2, 3)]
    >>> replicates = units(sites, levels=("plate", "well", "site"), unit="plate")
    >>> len(replicates), replicates.levels.count("plate")
    (12, 2)
    """
    if isinstance(keys, Mapping):
        bad = [key for key, place in keys.items() if not isinstance(place, Mapping)]
        if bad or not keys:
            raise DeclarationError(
                "replicates",
                [
                    f"{excerpt(keys)}: expected names of units with their places, {{'image_7': {{'plate': 'P1'}}}}"
                ],
            )
        names = tuple(next(iter(keys.values()))) if levels is None else tuple(levels)
        faults = [
            f"unit {key!r} has the levels {excerpt(list(place))}, not {excerpt(list(names))}"
            for key, place in keys.items()
            if set(place) != set(names)
        ]
        places = {key: tuple(place.get(name, "") for name in names) for key, place in keys.items()}
    else:
        if levels is None or isinstance(levels, str):
            raise DeclarationError(
                "replicates", ["levels are not named: give them outermost first, levels=('plate', 'well')"]
            )
        names = tuple(levels)
        plain = Replicates.read(keys)
        if plain.units is None:
            raise DeclarationError(
                "replicates", [f"{excerpt(keys)} are no names of units, which tell their place: 'P1/A01'"]
            )
        places = {key: tuple(key.split(separator)) for key in plain.units}
        faults = [
            f"unit {key!r} does not tell its place: expected {separator.join(map(str, names))!r}"
            for key, place in places.items()
            if len(place) != len(names)
        ]
    if faults:
        raise DeclarationError("replicates", faults[:10])
    return Replicates(len(places), tuple(places), levels=Levels(names, places, unit, block))


def crossed(levels: Mapping[str, int | Sequence[str]], *, unit: str | None = None) -> Replicates:
    """Declare replicates that meet each level of one source of variation with each of another: splits × starts.

    `variance_components` then tells which source matters. A step finds its levels in `replicate`: in
    ``"init0/split2"`` the levels are separated by ``/``.

    Args:
        levels: for each source how many levels it has, or their names.
        unit: the level whose values are tested, averaged over the others. It is needed for hypotheses, whose verdicts
            then hold for the levels of the others that were used.

    Raises `DeclarationError` for fewer than two levels of a source.

    >>> crossed({"init": 2, "split": 3}).keys
    ['init0/split0', 'init0/split1', 'init0/split2', 'init1/split0', 'init1/split1', 'init1/split2']
    """
    named: dict[str, list[str]] = {}
    faults = []
    for name, given in levels.items():
        count = _whole(given)
        if count is not None:
            named[name] = [f"{name}{index}" for index in range(count)]
        elif isinstance(given, str | bytes) or not isinstance(given, Sequence):
            faults.append(f"level {name!r} = {excerpt(given)}: expected how many there are, or their names")
            continue
        else:
            named[name] = list(given)
        if len(named[name]) < 2:
            faults.append(f"level {name!r} has {len(named[name])} of its kind: at least 2 are needed")
        faults += [
            f"level {name!r} has {excerpt(one)}: expected a name without '/'"
            for one in named[name]
            if not isinstance(one, str) or not one or "/" in one
        ]
    if len(levels) < 2:
        faults.append("fewer than two levels are no crossing: give a number of replicates instead")
    if faults:
        raise DeclarationError("replicates", faults)
    places = {"/".join(place): place for place in product(*named.values())}
    return Replicates(len(places), tuple(places), levels=Levels(tuple(named), places, unit, crossed=True))


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
