"""Forecasts: what a run would find, share and compute, and what that would take, before it starts.

The store is asked what a run would ask it, and is believed: data whose bytes turn out to be damaged when they are read
are computed too. How long a step will take and how much it will write is told from its earlier data in the same store;
where there are none, nothing is told.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from workflow_assets.errors import LimitError, listing
from workflow_assets.plans import Plan, PlannedStep
from workflow_assets.store.base import Asset, Record
from workflow_assets.surveys import Part, Planned, Survey, is_transient, key_of, varies

logger = logging.getLogger("workflow_assets")

SAMPLE = 1_000
"""How many earlier data of a step are looked at, at most: evenly spread over those that its partitions hold."""


class Cells(NamedTuple):
    """How many cells a run has, and how many find all that they need."""

    total: int
    stored: int

    @property
    def to_compute(self) -> int:
        """How many lack something, were it computed for another cell too."""
        return self.total - self.stored


@dataclass(frozen=True)
class Needs:
    """The data that cells need, of one step or source, or of all.

    `needed` counts a datum for each cell that needs it; `stored` and `to_compute` count it once. `seconds` and `size`
    (in bytes, of the values) are what computing is expected to take and to write, told from `earlier` data that were
    computed before; None where there are none.
    """

    needed: int
    stored: int
    to_compute: int
    seconds: float | None = 0.0
    size: int | None = 0
    earlier: int = 0

    @property
    def shared(self) -> int:
        """How often a cell is given a datum that another cell needs too."""
        return self.needed - self.stored - self.to_compute


@dataclass(frozen=True)
class Forecast:
    """What a run would find and compute; printed, a table.

    `steps` and `sources` tell of each by its name, `data` of all together; there, `seconds` and `size` sum up what is
    known, and `unknown` names what is to be computed without a word of earlier runs about its time. A source is needed
    by what is computed from it only. `inside` names transient steps that are computed inside what takes them: what
    they take is not known to anyone.
    """

    plan: Plan = field(repr=False)
    cells: Cells
    sources: Mapping[str, Needs]
    steps: Mapping[str, Needs]
    inside: tuple[str, ...] = ()

    @property
    def data(self) -> Needs:
        """All data that are needed, of steps and sources."""
        rows = [row for _, row in self._rows()]
        computed = [row for row in rows if row.to_compute]
        seconds = [row.seconds for row in computed if row.seconds is not None]
        sizes = [row.size for row in computed if row.size is not None]
        return Needs(
            sum(row.needed for row in rows),
            sum(row.stored for row in rows),
            sum(row.to_compute for row in rows),
            sum(seconds) if seconds or not computed else None,
            sum(sizes) if sizes or not computed else None,
            sum(row.earlier for row in rows),
        )

    @property
    def unknown(self) -> tuple[str, ...]:
        """The steps and sources that are to be computed, and whose time no earlier run tells."""
        return tuple(name for name, row in self._rows() if row.to_compute and row.seconds is None)

    def _rows(self) -> list[tuple[str, Needs]]:
        return [*self.sources.items(), *self.steps.items()]

    def check(self, max_seconds: float | None = None, max_bytes: float | None = None) -> None:
        """Raise `LimitError` if computing is expected to take longer or to write more than it may.

        What no earlier run tells of is not counted, and warned of.
        """
        data = self.data
        over = []
        if max_seconds is not None and data.seconds is not None and data.seconds > max_seconds:
            over.append(f"max_seconds={max_seconds:g}")
        if max_bytes is not None and data.size is not None and data.size > max_bytes:
            over.append(f"max_bytes={max_bytes:,.0f}")
        experiment = self.plan.declaration.name
        if over:
            raise LimitError(
                f"experiment {experiment!r} has {_count(data.to_compute, 'datum', 'data')} to compute, which takes "
                f"{self._estimate()}: that is over {' and '.join(over)}. Raise the limit, or run fewer treatments or "
                "replicates; nothing was computed"
            )
        untold = [
            name
            for name, row in self._rows()
            if row.to_compute
            and (
                (max_seconds is not None and row.seconds is None)
                or (max_bytes is not None and row.size is None)
            )
        ]
        if untold:
            logger.warning(
                "%s: no earlier run tells what %s would take, so that it does not count towards the limit",
                experiment,
                listing(untold),
            )

    def __str__(self) -> str:
        header = ("", "needed", "stored", "shared", "to compute", "time", "size")
        rows: list[tuple[str, ...]] = [header]
        for name, row in self._rows():
            counts = (row.needed, row.stored, row.shared, row.to_compute)
            takes = ("", "")
            if row.to_compute:
                takes = (
                    "?" if row.seconds is None else duration(row.seconds),
                    "?" if row.size is None else amount(row.size),
                )
            rows.append((name, *(f"{count:,}" for count in counts), *takes))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                [
                    row[0].ljust(widths[0]),
                    *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
                ]
            ).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, self._total()])

    def _total(self) -> str:
        cells = self.cells
        total = f"{_count(cells.total, 'cell', 'cells')}: {cells.stored:,} stored, {cells.to_compute:,} to compute"
        if cells.to_compute:
            total += f"; {self._estimate()}"
        if self.inside:
            total += f"; the time inside of {listing(self.inside)}, which is transient, comes on top"
        return total

    def _estimate(self) -> str:
        data = self.data
        if data.seconds is None and data.size is None:
            return "no earlier run tells how long"
        told = [
            *([] if data.seconds is None else [duration(data.seconds)]),
            *([] if data.size is None else [amount(data.size)]),
        ]
        text = f"{'at least' if self.unknown else 'about'} {' and '.join(told)}"
        return f"{text} (nothing is known of the time of {listing(self.unknown)})" if self.unknown else text


def forecast(
    plan: Plan,
    cells: Iterable[tuple[str, str]],
    *,
    steps: Iterable[str] | None = None,
    force: Iterable[str] = (),
) -> Forecast:
    """Count what a run over cells, given as (treatment, replicate key), would find and compute; nothing is executed.

    Raises `UnknownNameError` for a name that the experiment does not have.
    """
    survey = Survey(plan, cells, steps, force)
    count = _Count(survey)
    for part in survey.parts():
        count.add(part)
    made: dict[Asset, list[Planned]] = {}
    for planned in survey.order:
        if planned in count.needed:
            made.setdefault(_asset(plan, planned), []).append(planned)
    needs = {asset: _needs(plan, count, asset, alike) for asset, alike in made.items()}
    inside = count.inside()
    return Forecast(
        plan,
        Cells(count.cells, count.whole),
        {asset[-1]: row for asset, row in needs.items() if len(asset) == 1},
        {asset[-1]: row for asset, row in needs.items() if len(asset) > 1},
        tuple(dict.fromkeys(step.name for step in plan.steps if step in inside)),
    )


class _Count:
    """Counts, for each planned step and source, what a survey finds."""

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.cells = self.whole = 0
        self.needed: Counter[Planned] = Counter()
        self.stored: Counter[Planned] = Counter()
        self.missing: Counter[Planned] = Counter()
        self._constant: set[str] = set()

    def add(self, part: Part) -> None:
        """Count some replicates."""
        for treatments, keys in part.replicates:
            counted: set[str] = set()
            for treatment in treatments:
                self.cells += 1
                self.whole += self._cell(self.survey.wanted[treatment], keys, part.missing, counted)

    def _cell(
        self,
        wanted: Sequence[PlannedStep],
        keys: Mapping[PlannedStep, str],
        missing: Mapping[str, bool],
        counted: set[str],
    ) -> bool:
        """Count what one cell needs; say whether all of it is stored."""
        whole = True
        needed: list[Planned] = list(wanted)
        for planned in needed:  # which grows
            key = key_of(planned, keys)
            self.needed[planned] += 1
            seen = counted if varies(planned) else self._constant
            if key not in seen:
                seen.add(key)
                (self.missing if missing[key] else self.stored)[planned] += 1
            if missing[key]:
                whole = False
                needed += [given for given in self.survey.reads(planned) if given not in needed]
        return whole

    def inside(self) -> set[Planned]:
        """Give the transient steps that are computed inside of what is."""
        found: set[Planned] = set()
        pending: list[Planned] = [*self.missing]
        while pending:
            planned = pending.pop()
            if isinstance(planned, PlannedStep):
                new = [given for _, given in planned.inputs if is_transient(given) and given not in found]
                found.update(new)
                pending += new
        return found


def _needs(plan: Plan, count: _Count, asset: Asset, alike: Sequence[Planned]) -> Needs:
    """Sum up what is needed of one step, however treatments vary it, and estimate what that takes."""
    needed, stored, missing = (
        sum(one[planned] for planned in alike) for one in (count.needed, count.stored, count.missing)
    )
    if not missing:
        return Needs(needed, stored, missing)
    seconds = size = 0.0
    timed: dict[str, list[float]] = {}
    sized: dict[str, list[float]] = {}
    for treatment, record in _earlier(plan, asset):
        sized.setdefault(treatment, []).append(record.size)
        if "seconds" in record.provenance:
            timed.setdefault(treatment, []).append(record.seconds)
    for planned in alike:
        treatments = planned.treatments if isinstance(planned, PlannedStep) else [""]
        seconds += count.missing[planned] * _mean(timed, treatments)
        size += count.missing[planned] * _mean(sized, treatments)
    return Needs(
        needed,
        stored,
        missing,
        seconds if timed else None,
        round(size) if sized else None,
        sum(map(len, sized.values())),
    )


def _earlier(plan: Plan, asset: Asset) -> Iterator[tuple[str, Record]]:
    """Give records of the data that the partitions of an asset hold, evenly chosen, with a treatment of each."""
    treatments: dict[str, str] = {}
    for partition, key in sorted(plan.store.references(asset).items(), key=_by_treatment):
        treatments.setdefault(key, partition.partition("|")[2])
    keys = list(treatments)
    chosen = [keys[number * len(keys) // SAMPLE] for number in range(SAMPLE)] if len(keys) > SAMPLE else keys
    for key, record in plan.store.find_all(chosen).items():
        yield treatments[key], record


def _by_treatment(held: tuple[str, str]) -> tuple[str, str]:
    replicate, _, treatment = held[0].partition("|")
    return treatment, replicate


def _mean(measured: Mapping[str, Sequence[float]], treatments: Iterable[str]) -> float:
    """Average what was measured under some treatments, or under all where nothing was under these."""
    own = [value for treatment in treatments for value in measured.get(treatment, ())]
    values = own or [value for one in measured.values() for value in one]
    return sum(values) / max(1, len(values))


def _asset(plan: Plan, planned: Planned) -> Asset:
    return (plan.declaration.name, planned.name) if isinstance(planned, PlannedStep) else (planned.name,)


# -- words ------------------------------------------------------------------------------------------------------------

_DURATIONS = (
    ("s", 1.0, 100.0),
    ("min", 60.0, 6_000.0),
    ("h", 3600.0, 172_800.0),
    ("days", 86_400.0, float("inf")),
)


def duration(seconds: float) -> str:
    """Tell a duration in the unit that suits it.

    >>> duration(0.0123), duration(12.34), duration(754), duration(9000)
    ('12 ms', '12 s', '13 min', '2.5 h')
    """
    if seconds < 0.001:
        return "less than 1 ms"
    if seconds < 0.9995:
        return f"{_short(seconds * 1000)} ms"
    unit, length = next((unit, length) for unit, length, limit in _DURATIONS if seconds < limit)
    return f"{_short(seconds / length)} {unit}"


def amount(size: float) -> str:
    """Tell a number of bytes in the unit that suits it.

    >>> amount(312), amount(3_400_000)
    ('312 bytes', '3.4 MB')
    """
    if size < 1000:
        return _count(round(size), "byte", "bytes")
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.5:
            return f"{_short(size)} {unit}"
    return f"{_short(size / 1000)} TB"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 9.95 else f"{value:.2g}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
