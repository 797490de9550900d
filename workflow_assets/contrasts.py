"""Contrasts: several experiments, or versions of one, side by side: which means and verdicts have moved."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_assets.errors import excerpt
from workflow_assets.reports import Report, write
from workflow_assets.results import Result
from workflow_assets.summaries import (
    MARKS,
    Rows,
    effect_unit,
    escaped,
    markdown_table,
    provenance_rows,
    quantity,
)


@dataclass(frozen=True)
class Move:
    """A treatment's mean of a metric in the first report and in a later one.

    `difference` is later minus first, `low` and `high` bound it. Replicates of the same seed share their streams, so
    they are compared in pairs; else the samples are (`paired`). `moved` says that the interval excludes 0, as it does
    in one of 20 comparisons where nothing has changed: a pointer where to look, not a verdict.
    """

    treatment: str
    metric: str
    report: int
    first: float
    later: float
    difference: float
    low: float | None
    high: float | None
    n: int
    paired: bool

    @property
    def moved(self) -> bool:
        """Whether the interval excludes 0, or all values moved by the same."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Contrast:
    """Several reports side by side, the first being what the others are compared with."""

    names: tuple[str, ...]
    reports: tuple[Report, ...]
    moves: tuple[Move, ...]

    def verdict_rows(self) -> Rows:
        """Give the header and a row for each hypothesis: the decision in each report, and whether it changed."""
        known = dict.fromkeys(name for report in self.reports for name in report.verdicts)
        rows = []
        for name in known:
            verdicts = [report.verdicts.get(name) for report in self.reports]
            told = [
                "–" if one is None else _decision(report, one)
                for report, one in zip(self.reports, verdicts, strict=True)
            ]
            decisions = {one["decision"] for one in verdicts if one is not None}
            claims = {one["claim"] for one in verdicts if one is not None}
            change = "decision" if len(decisions) > 1 else "none"
            if None in verdicts:
                asked = [
                    one for one, verdict in zip(self.names, verdicts, strict=True) if verdict is not None
                ]
                change = f"{change}, asked in {', '.join(asked)} only"
            rows.append([name, *told, f"{change}, claim differs" if len(claims) > 1 else change])
        return ["hypothesis", *self.names, "change"], rows

    def move_rows(self) -> Rows:
        """Give the header and a row for each treatment and metric that two reports share, those that moved first."""
        header = [
            "treatment",
            "metric",
            "report",
            "first",
            "later",
            "difference",
            "95% interval",
            "n",
            "moved",
        ]
        rows = []
        for one in sorted(self.moves, key=lambda one: not one.moved):
            interval = "–" if one.low is None else f"[{one.low:+.4g}, {one.high:+.4g}]"
            n = f"{one.n:,} {'pairs' if one.paired else 'values'}"
            numbers = [f"{one.first:.4g}", f"{one.later:.4g}", f"{one.difference:+.4g}", interval, n]
            metric = quantity(self.reports[0], one.metric)
            way = "▲ higher" if one.difference > 0 else "▼ lower"
            rows.append([one.treatment, metric, self.names[one.report], *numbers, way if one.moved else "no"])
        return header, rows

    def summary(self) -> str:
        """Say how many decisions changed and how many means moved."""
        rows = self.verdict_rows()[1]
        changed = sum(row[-1].startswith("decision") for row in rows)
        moved = sum(one.moved for one in self.moves)
        return (
            f"{changed:,} of {len(rows):,} decisions changed; "
            f"{moved:,} of {len(self.moves):,} means moved from {self.names[0]}"
        )

    def absent(self) -> list[str]:
        """Say which treatments and metrics are not in every report."""
        told = []
        for what in ("treatments", "metrics"):
            for name in dict.fromkeys(name for report in self.reports for name in getattr(report, what)):
                lacking = [
                    given
                    for given, report in zip(self.names, self.reports, strict=True)
                    if name not in getattr(report, what)
                ]
                if lacking:
                    told.append(f"{what[:-1]} {name} is not in {', '.join(lacking)}")
        return told

    def markdown(self) -> str:
        """Tell the contrast in Markdown."""
        lines = [f"### {escaped(' → '.join(self.names))}", "", f"{escaped(self.summary())}.", ""]
        lines += [*markdown_table(*self.verdict_rows()), ""]
        lines += [*markdown_table(*self.move_rows()), "", _LEGEND]
        lines += [f"- {escaped(one)}" for one in self.absent()]
        return "\n".join(lines)

    def html(self, path: str | os.PathLike[str]) -> Path:
        """Write the contrast as one HTML file, which needs neither network nor scripts."""
        from workflow_assets.markups import safe, shown
        from workflow_assets.pages import definitions, page, table

        title = " → ".join(self.names)
        parts = [
            f"<h1>{shown(title)}</h1>",
            f"<p><b>{shown(self.summary())}</b>.</p>",
            "<h2>Verdicts</h2>",
            table(*self.verdict_rows()),
            "<h2>Means</h2>",
            table(*self.move_rows()),
            f'<p class="faint">{safe(_LEGEND)}</p>',
            *(f"<p>{shown(one)}.</p>" for one in self.absent()),
        ]
        for name, report in zip(self.names, self.reports, strict=True):
            parts += [f"<h2>{shown(name)}</h2>", definitions(provenance_rows(report))]
        return write(path, page(title, parts))


_LEGEND = (
    "Later minus first, with Student's 95% interval: of pairs where seed and replicate are the same, else Welch's of "
    "two samples. Of comparisons in which nothing has changed, one in 20 is called moved."
)


def compare_results(results: Iterable[Result | Report], *, names: Sequence[str] | None = None) -> Contrast:
    """Put several experiments, or versions of one, side by side: which means and verdicts have moved.

    >>> from workflow_assets import Experiment, step
    >>> def study(gain):
    ...     @step
    ...     def measure(rng) -> float:
    ...         return gain + rng.normal()
    ...
    ...     return Experiment("study", [measure], replicates=20).run()
    >>> contrast = compare_results([study(1.0), study(3.0)], names=["before", "after"])
    >>> contrast.moves[0].moved, round(contrast.moves[0].difference, 6)
    (True, 2.0)

    Args:
        results: two or more results or reports; the first is what the others are compared with.
        names: what to call each; by default the experiment's name with a number.

    Raises `ValueError` for fewer than two, and for names that are not one for each.
    """
    given = list(results)
    for one in given:
        if not isinstance(one, Result | Report):
            raise ValueError(
                f"{excerpt(one)} is neither a Result nor a Report: give what run() or Report.load() gave"
            )
    if len(given) < 2:
        raise ValueError(
            f"there are {len(given)} results: give two or more, the first to compare the others with"
        )
    reports = tuple(one.report() if isinstance(one, Result) else one for one in given)
    default = [f"{report.name} {place}" for place, report in enumerate(reports, start=1)]
    called = tuple(default if names is None else names)
    if len(called) != len(reports) or len(set(called)) != len(called):
        raise ValueError(f"names = {list(called)}: give {len(reports)} different names, one for each result")
    first = reports[0]
    moves = [
        move
        for place, later in enumerate(reports[1:], start=1)
        for metric in first.numeric
        if metric in later.numeric
        for treatment in first.treatments
        if treatment in later.treatments
        if (move := _move(first, later, place, treatment, metric)) is not None
    ]
    return Contrast(called, reports, tuple(moves))


def _move(first: Report, later: Report, place: int, treatment: str, metric: str) -> Move | None:
    from workflow_assets.stats.effects import mean_difference

    before, after = (report.values(metric)[treatment] for report in (first, later))
    if not before or not after:
        return None
    both = [key for key in before if key in after]
    paired = first.experiment["seed"] == later.experiment["seed"] and len(both) > 1
    if paired:
        x, y = [after[key] for key in both], [before[key] for key in both]
    else:
        x, y = list(after.values()), list(before.values())
    means = [math.fsum(value / len(arm) for value in arm) for arm in (y, x)]
    difference, low, high = means[1] - means[0], None, None
    if paired and x == y:
        difference, low, high = 0.0, 0.0, 0.0
    else:
        try:
            effect = mean_difference(x, y, paired=paired)
        except ValueError:  # too few values, or none that vary: there is no interval
            pass
        else:
            difference, low, high = effect.estimate, effect.low, effect.high
    return Move(
        treatment, metric, place, means[0], means[1], difference, low, high, min(len(x), len(y)), paired
    )


def _decision(report: Report, verdict: Mapping[str, Any]) -> str:
    effect = verdict["effect"]
    number = "" if effect is None else f" {effect['estimate']:+.3g}{effect_unit(report, verdict)}"
    return f"{MARKS[verdict['decision']]} {verdict['decision']}{number}" + (
        f" ⚠ {len(verdict['flags'])}" if verdict["flags"] else ""
    )
