"""Rankings: which treatment is best by a metric, how sure that is, and which are worth having for several metrics."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from workflow_assets.alignments import Alignment
from workflow_assets.arms import FindArm
from workflow_assets.declarations import Declaration
from workflow_assets.errors import UnknownNameError, did_you_mean
from workflow_assets.flags import Flag
from workflow_assets.streams import generator

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

RESAMPLES = 9_999
MOST_REPORTED = 6
LEAST_RESAMPLES, MOST_DRAWS = 999, 20_000_000

Best = Literal["max", "min"]
Ranker = Callable[[Any], Any]
"""Gives a score to each treatment of a table such as `Result.wide` gives: a column for each, a row for each replicate.

Scores come by the name of their treatment, or in the order of the columns. Where treatments are not paired, the table
is a dictionary of one array for each.
"""


@dataclass(frozen=True)
class Place:
    """Where one treatment stands.

    `rank` is that of its `score` (equal scores share their mean rank), `low` to `high` the ranks that it may truly
    have. `mean_rank` is the average over resampled replicates and `best` the share of them in which it came first, ties
    sharing: how far the ranking depends on which replicates were drawn, and not the probability that it is the best.
    """

    treatment: str
    score: float
    rank: float
    mean_rank: float
    low: int
    high: int
    best: float


@dataclass(frozen=True)
class Ranking:
    """The treatments by a metric, the best first, and how sure that is.

    Args:
        metric: what they are ranked by.
        best: whether its maximum or its minimum is best.
        by: what their scores are: "mean", or the name of a function of one's own.
        paired: whether they are compared within replicates (or units).
        n: how many values each has, after aggregation by unit.
        places: where each stands.
        groups: treatments that are not told apart, by their mean ranks within replicates (Nemenyi's critical
            difference); none where they are not paired. Being in one group is no evidence of being alike.
        critical: that difference of mean ranks.
        intervals: how the intervals of ranks were found.
        left_out: treatments that could not be ranked, and why.
        confidence: that of the intervals and groups.
        note: what was aggregated.
        flags: what to know before trusting it.
    """

    metric: str
    best: Best
    by: str
    paired: bool
    n: Mapping[str, int]
    places: tuple[Place, ...]
    groups: tuple[tuple[str, ...], ...]
    critical: float | None
    intervals: str
    left_out: Mapping[str, str]
    confidence: float
    note: str
    flags: tuple[Flag, ...]

    def place(self, treatment: str) -> Place:
        """Find a treatment; raise `UnknownNameError` naming near matches, or why it was left out."""
        for one in self.places:
            if one.treatment == treatment:
                return one
        if treatment in self.left_out:
            raise UnknownNameError(f"{treatment} was left out of the ranking: {self.left_out[treatment]}")
        known = did_you_mean(str(treatment), self.n)
        raise UnknownNameError(f"no treatment called {treatment!r} was ranked: {known}")

    @property
    def table(self) -> pd.DataFrame:
        """One row for each treatment, the best first."""
        import pandas as pd

        return pd.DataFrame([dataclasses.asdict(one) for one in self.places])

    def as_dict(self) -> dict[str, Any]:
        """Give the ranking as plain values."""
        plain = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return plain | {
            "n": dict(self.n),
            "left_out": dict(self.left_out),
            "places": [dataclasses.asdict(one) for one in self.places],
            "groups": [list(group) for group in self.groups],
            "flags": [flag.as_dict() for flag in self.flags],
        }

    def __str__(self) -> str:
        lines = [f"ranking by {self.by} of {self.metric}, {self.best} is best:"]
        for one in self.places:
            told = f"rank {one.rank:g}, truly {one.low} to {one.high}; first in {one.best:.0%} of resamples"
            lines.append(f"  {one.treatment}: {one.score:.4g} ({told})")
        lines += [f"  not told apart: {', '.join(group)}" for group in self.groups if len(group) > 1]
        lines.append(f"  intervals of ranks: {self.intervals}")
        lines += [f"  {treatment} is left out: {why}" for treatment, why in self.left_out.items()]
        lines += [f"  {self.note}"] if self.note else []
        return "\n".join([*lines, *(f"  ⚠ {flag.told()}" for flag in self.flags)])


def rank_treatments(
    declaration: Declaration,
    find: FindArm,
    metric: str,
    *,
    best: Best,
    paired: bool,
    ranker: Ranker | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
) -> Ranking:
    """Rank the treatments of an experiment; `find` gives a metric's values under a treatment.

    Ranked by their mean, treatments are told apart by the tests that hypotheses with ``test="auto"`` would have, of all
    pairs and adjusted by Holm's method, so that all intervals of ranks hold the true ones at once (Al Mohamad, van Zwet
    and Goeman 2022). Of other scores only the resampled ranks are known, whose intervals are too narrow where
    treatments are equal.

    Raises ValueError where fewer than two treatments have values that can be compared, and for what is no number.
    """
    from workflow_assets.stats.rankings import rank_bootstrap

    _check_direction(metric, best)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: give a share between 0 and 1, as in 0.95")
    data = Alignment.of(declaration, find, [metric], paired=paired, least=2)
    arms = data.arms[metric]
    standings = rank_bootstrap(
        arms,
        best=best,
        paired=paired,
        rng=generator(declaration.seed, f"ranking by {metric}"),
        resamples=resamples,
        confidence=confidence,
        ranker=None if ranker is None else _of_wide(ranker, paired),
    )
    if ranker is None:
        told, intervals = _told_apart(declaration, metric, data, best, paired, 1 - confidence)
    else:
        told = {one.name: (int(one.low), int(-(-one.high // 1))) for one in standings}
        intervals = "resampled replicates; too narrow where treatments are equal"
    groups, critical = _groups(arms, best, 1 - confidence) if paired else ((), None)
    return Ranking(
        metric,
        best,
        "mean" if ranker is None else getattr(ranker, "__name__", type(ranker).__name__),
        paired,
        {name: len(values) for name, values in arms.items()},
        tuple(
            Place(one.name, one.score, one.rank, one.mean_rank, *told[one.name], one.best)
            for one in standings
        ),
        groups,
        critical,
        intervals,
        data.left_out,
        confidence,
        data.note,
        data.flags,
    )


def trade_offs(
    declaration: Declaration,
    find: FindArm,
    directions: Mapping[str, Best],
    *,
    paired: bool,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Say which treatments are worth having when several metrics pull in different directions; see `Result.pareto`."""
    import pandas as pd

    from workflow_assets.stats.rankings import pareto_front

    if not isinstance(directions, Mapping) or not directions:
        raise ValueError(
            "no metric given: name each with its direction, as in {'score.accuracy': 'max', 'model.size': 'min'}"
        )
    for metric, best in directions.items():
        _check_direction(metric, best)
    data = Alignment.of(declaration, find, list(directions), paired=paired, least=1)
    sizes = [len(values) for values in next(iter(data.arms.values())).values()]
    resampled = min(sizes) > 1
    front = pareto_front(
        data.arms,
        directions,
        paired=paired and resampled,
        rng=generator(declaration.seed, f"trade-off of {', '.join(directions)}") if resampled else None,
        resamples=resamples,
    )
    rows = [
        {
            "treatment": one.name,
            **dict(one.scores),
            "n": n,
            "front": not one.dominated_by,
            "on_front": float("nan") if one.on_front is None else one.on_front,
            "dominated_by": ", ".join(one.dominated_by),
        }
        for one, n in zip(front, sizes, strict=True)
    ]
    table = pd.DataFrame(rows)
    left_out = [f"{name} is left out: {why}" for name, why in data.left_out.items()]
    table.attrs["notes"] = [*filter(None, [data.note]), *left_out, *map(str, data.flags)]
    return table


def reported(declaration: Declaration, find: FindArm) -> list[dict[str, Any]]:
    """Rank the treatments for a report, by the first metrics that hypotheses are about, as those have it.

    Of two treatments the verdicts say all that there is to say.
    """
    if len(declaration.treatments) < 3:
        return []
    told = []
    claims = [part for one in declaration.hypotheses for part in one.parts]
    for metric in list(dict.fromkeys(one.metrics[0] for one in claims))[:MOST_REPORTED]:
        about = [one for one in claims if one.metric == metric]
        best: Best = "min" if {one.alternative for one in about} == {"less"} else "max"
        try:
            one = rank_treatments(
                declaration,
                find,
                metric,
                best=best,
                paired=all(one.paired for one in about),
                resamples=_affordable(declaration),
            )
            told.append({**one.as_dict(), "text": one.note})
        except ValueError as error:
            told.append(
                {
                    "metric": metric, "best": best, "places": [], "groups": [], "left_out": {}, "flags": [],
                    "text": str(error),
                }
            )  # fmt: skip
    return told


def traded(declaration: Declaration, find: FindArm) -> list[dict[str, Any]]:
    """Weigh for a report the metrics of which one-sided hypotheses say what is better: none, or one trade-off.

    A metric that is claimed to be greater in one hypothesis and less in another has no direction.
    """
    claimed: dict[str, set[str]] = {}
    claims = [part for one in declaration.hypotheses for part in one.parts]
    for one in claims:
        if one.alternative in ("greater", "less"):
            claimed.setdefault(one.metrics[0], set()).add(one.alternative)
    directions: dict[str, Best] = {
        metric: "max" if sides == {"greater"} else "min"
        for metric, sides in list(claimed.items())[:MOST_REPORTED]
        if len(sides) == 1
    }
    if len(directions) < 2 or len(declaration.treatments) < 2:
        return []
    paired = all(one.paired for one in claims if one.metrics[0] in directions)
    try:
        table = trade_offs(declaration, find, directions, paired=paired, resamples=_affordable(declaration))
    except ValueError as error:
        return [{"directions": directions, "places": [], "notes": [str(error)]}]
    places = [
        {
            "treatment": str(row["treatment"]),
            "means": {metric: float(row[metric]) for metric in directions},
            "n": int(row["n"]),
            "front": bool(row["front"]),
            "on_front": None if row["on_front"] != row["on_front"] else float(row["on_front"]),
            "dominated_by": str(row["dominated_by"]),
        }
        for row in table.to_dict("records")
    ]
    return [{"directions": directions, "places": places, "notes": list(table.attrs["notes"])}]


def _affordable(declaration: Declaration) -> int:
    """Say how often a report resamples: less often where there are many cells, so that it takes about a second."""
    cells = len(declaration.treatments) * len(declaration.replicates)
    return min(RESAMPLES, max(LEAST_RESAMPLES, MOST_DRAWS // cells))


# -- how sure --------------------------------------------------------------------------------------------------------


def _told_apart(
    declaration: Declaration, metric: str, data: Alignment, best: Best, paired: bool, alpha: float
) -> tuple[dict[str, tuple[int, int]], str]:
    """Give the ranks that each treatment may truly have, and how they were found."""
    from workflow_assets.stats.comparisons import compare
    from workflow_assets.stats.decisions import choose_test, undecidable_reason
    from workflow_assets.stats.families import holm
    from workflow_assets.stats.rankings import rank_bounds

    arms = data.arms[metric]
    boolean = declaration.metrics.get(metric) is bool and not data.note
    names = list(arms)
    pairs = [(one, other) for i, one in enumerate(names) for other in names[i + 1 :]]
    tests: dict[str, None] = {}
    raw = []
    for one, other in pairs:
        x, y = arms[one], arms[other]
        if undecidable_reason(x, y, paired=paired):
            raw.append(1.0)
            continue
        test = choose_test(x, y, paired=paired, boolean=boolean, overlap=data.overlap).test
        tests[test] = None
        rng = generator(declaration.seed, f"ranking by {metric}: {one}, {other}")
        raw.append(compare(test, x, y, paired=paired, rng=rng, test_fraction=data.overlap).p)
    sign = 1.0 if best == "max" else -1.0
    better = [
        (one, other) if sign * arms[one].mean() > sign * arms[other].mean() else (other, one)
        for (one, other), p in zip(pairs, holm(raw), strict=True)
        if p <= alpha
    ]
    told = (
        f"{' and '.join(tests)} of all pairs, adjusted by Holm's method" if tests else "no pair can be judged"
    )
    return rank_bounds(names, better), told


def _groups(
    arms: Mapping[str, npt.NDArray[np.float64]], best: Best, alpha: float
) -> tuple[tuple[tuple[str, ...], ...], float | None]:
    from workflow_assets.stats.rankings import critical_difference

    try:
        difference = critical_difference(arms, best=best, alpha=alpha)
    except ValueError:  # all are equal in every replicate
        return (tuple(arms),), None
    return difference.cliques, difference.critical


def _of_wide(ranker: Ranker, paired: bool) -> Ranker:
    """Let a function that takes a table be asked with one array for each treatment."""
    import numpy as np
    import pandas as pd

    def asked(arms: Mapping[str, npt.NDArray[np.float64]]) -> Any:
        return ranker(
            pd.DataFrame(np.stack(list(arms.values()), axis=1), columns=list(arms)) if paired else arms
        )

    asked.__name__ = getattr(ranker, "__name__", type(ranker).__name__)
    return asked


def _check_direction(metric: str, best: str) -> None:
    if best not in ("max", "min"):
        raise ValueError(f"best of {metric} is {best!r}: choose 'max' or 'min'")
