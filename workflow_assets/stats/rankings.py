"""Rankings: which treatment is best, how sure that is, and what is best for several metrics at once.

Arms are given by the name of their treatment (`groups`); rank 1 is the best, and equal scores share their mean rank.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from workflow_assets.errors import did_you_mean, excerpt
from workflow_assets.stats.groups import Arms, Groups, several_samples
from workflow_assets.stats.omnibus import Omnibus, friedman
from workflow_assets.stats.posthoc import Posthoc, nemenyi
from workflow_assets.stats.ranges import studentized_range_sf, upper_point
from workflow_assets.stats.samples import ROUNDING_ULPS, FloatArray

Best = Literal["max", "min"]
Ranker = Callable[[Mapping[str, FloatArray]], Any]
"""Gives a score to each treatment of a table, by its name or in the order of the table."""

_CELLS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Standing:
    """Where one treatment stands: its score, its rank, and how far other replicates could have moved it.

    `rank` is that of the scores as measured, `mean_rank` the average over resamples and `low` to `high` the ranks that
    hold the share `confidence` of them; `best` is the share of resamples in which it came first, ties sharing.
    """

    name: str
    score: float
    rank: float
    mean_rank: float
    low: float
    high: float
    best: float


@dataclass(frozen=True)
class CriticalDifference:
    """Treatments by their mean rank, and the groups within which they are not told apart.

    `cliques` are the largest runs of neighbours whose mean ranks differ by less than `critical`; a treatment told apart
    from all others stands alone. `omnibus` says whether there is any difference at all.
    """

    ranks: tuple[tuple[str, float], ...]
    critical: float
    cliques: tuple[tuple[str, ...], ...]
    alpha: float
    omnibus: Omnibus


@dataclass(frozen=True)
class Trade:
    """One treatment in a trade-off: its mean of each metric, and which treatments are better in every respect.

    `on_front` is the share of resamples in which none was, None where a treatment has one value per metric.
    """

    name: str
    scores: tuple[tuple[str, float], ...]
    dominated_by: tuple[str, ...]
    on_front: float | None


def rank(scores: Mapping[str, float], *, best: Best) -> list[tuple[str, float]]:
    """Order treatments from best to worst; ties stay in the order of declaration, and NaN comes last.

    >>> rank({"baseline": 0.5, "weak": float("nan"), "strong": 0.9, "forest": 0.9}, best="max")
    [('strong', 0.9), ('forest', 0.9), ('baseline', 0.5), ('weak', nan)]
    """
    sign = _sign(best)
    return sorted(
        scores.items(),
        key=lambda item: (math.isnan(item[1]), 0.0 if math.isnan(item[1]) else -sign * item[1]),
    )


def rank_bootstrap(
    groups: Arms,
    *,
    best: Best,
    paired: bool,
    rng: np.random.Generator,
    resamples: int = 9_999,
    confidence: float = 0.95,
    ranker: Ranker | None = None,
) -> tuple[Standing, ...]:
    """Say how sure the ranking of the treatments is, by ranking them again over resampled replicates.

    Treatments are ranked by their mean, or by the scores that a function of one's own (`ranker`) gives to a table of
    values by treatment; it is asked once per resample. Paired replicates are drawn together. The share of resamples in
    which a treatment is best is not the probability that it truly is; the ranks from `low` to `high` hold the true one
    at least as often as `confidence` says where treatments are told apart or none are equal, and too seldom where some
    are: `rank_intervals` holds then too.

    Raises ValueError for fewer than 2 values of a treatment, and for scores of a ranker that are no finite numbers.

    >>> rng = np.random.default_rng(1)
    >>> scores = {"base": [0.5, 0.6, 0.4, 0.5], "wide": [0.9, 0.8, 0.7, 0.9], "deep": [0.6, 0.9, 0.8, 0.7]}
    >>> [
    ...     (one.name, one.rank, one.low, one.high)
    ...     for one in rank_bootstrap(scores, best="max", paired=True, rng=rng)
    ... ]
    [('wide', 1.0, 1.0, 2.0), ('deep', 2.0, 1.0, 2.0), ('base', 3.0, 3.0, 3.0)]
    """
    sign = _sign(best)
    if resamples < 1 or not 0 < confidence < 1:
        raise ValueError(
            f"resamples is {resamples} and confidence {confidence}: draw at least once, for a share between 0 and 1"
        )
    several = several_samples(groups, paired=paired, least=2)
    if ranker is None:
        scores = several.means
        drawn = resampled_means(several.arms, paired=paired, rng=rng, resamples=resamples)
        values = [several.restore(float(score)) for score in scores]
    else:
        scores = _asked(ranker, several, several.values)
        drawn = np.stack(
            [_asked(ranker, several, resample) for resample in _resamples(several, resamples, paired, rng)]
        )
        values = [float(score) for score in scores]
    slack = np.zeros(len(several.names)) if ranker is not None else _slack(several)
    ranks, first = _ranks(-sign * drawn, slack)
    own = _ranks(-sign * scores[None], slack)[0][0]
    shares = np.mean(first / first.sum(axis=1, keepdims=True), axis=0)
    lows = np.quantile(ranks, (1 - confidence) / 2, axis=0, method="inverted_cdf")
    highs = np.quantile(ranks, (1 + confidence) / 2, axis=0, method="inverted_cdf")
    standings = [
        Standing(
            name, values[i], float(own[i]), float(ranks[:, i].mean()), float(lows[i]), float(highs[i]), float(shares[i])
        )
        for i, name in enumerate(several.names)
    ]  # fmt: skip
    return tuple(sorted(standings, key=lambda one: one.rank))


def rank_intervals(
    result: Posthoc, *, best: Best, alpha: float = 0.05
) -> tuple[tuple[str, tuple[int, int]], ...]:
    """Give for each treatment the ranks that it may truly have, after a comparison of all pairs.

    A treatment ranks below those that are significantly better and above those that are significantly worse; all these
    intervals hold at once with a probability of 1 - alpha, also where treatments are equal, which may then have any
    rank among each other (Al Mohamad, van Zwet and Goeman 2022).

    >>> from workflow_assets.stats.posthoc import tukey
    >>> result = tukey({"a": [5.1, 4.9, 6.2], "b": [4.8, 4.1, 5.9], "c": [7.6, 8.1, 7.9]})
    >>> rank_intervals(result, best="max")
    (('a', (2, 3)), ('b', (2, 3)), ('c', (1, 1)))
    """
    sign = _sign(best)
    names = [name for name, _ in result.n]
    if len(result.pairs) != len(names) * (len(names) - 1) // 2:
        raise ValueError(f"{result.test} compares with one control: ranks need a comparison of all pairs")
    told = [
        (pair.x, pair.y) if sign * pair.estimate > 0 else (pair.y, pair.x)
        for pair in result.pairs
        if pair.p <= alpha
    ]
    return tuple(rank_bounds(names, told).items())


def rank_bounds(names: Sequence[str], better: Sequence[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """Give for each treatment the ranks that are left to it, from pairs of a better one and a worse one.

    >>> rank_bounds(["a", "b", "c"], [("c", "a"), ("c", "b")])
    {'a': (2, 3), 'b': (2, 3), 'c': (1, 1)}
    """
    above = Counter(worse for _, worse in better)
    below = Counter(one for one, _ in better)
    return {name: (1 + above[name], len(names) - below[name]) for name in names}


def critical_difference(groups: Arms, *, best: Best, alpha: float = 0.05) -> CriticalDifference:
    """Group treatments that are not told apart, by their mean ranks over replicates (blocks).

    Nemenyi's critical difference q sqrt(k (k + 1) / (6 b)), as in the diagrams of Demšar (2006), "Statistical
    comparisons of classifiers over multiple data sets". Belonging to one group is no evidence of being alike.

    >>> scores = {"a": [1.0, 2.0, 3.0, 4.0], "b": [1.5, 2.5, 2.9, 4.5], "c": [3.0, 4.0, 5.0, 6.0]}
    >>> result = critical_difference(scores, best="max")
    >>> round(result.critical, 3), result.cliques
    (1.657, (('c', 'b'), ('b', 'a')))
    """
    sign = _sign(best)
    omnibus = friedman(groups)
    several = several_samples(groups, paired=True)
    k, b = len(several.names), several.sizes[0]
    ranks = several.block_ranks().mean(axis=1)
    ranks = k + 1 - ranks if sign > 0 else ranks
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}: give the accepted rate of false claims, between 0 and 1")
    point = upper_point(lambda q: studentized_range_sf(q, k, math.inf), alpha)
    critical = point / math.sqrt(2.0) * math.sqrt(k * (k + 1) / (6 * b))
    order = sorted(range(k), key=lambda i: ranks[i])
    pairs = {frozenset((pair.x, pair.y)): pair.p for pair in nemenyi(groups).pairs}
    cliques: list[tuple[str, ...]] = []
    reached = 0
    for start in range(k):
        end = start + 1
        while end < k and pairs[frozenset((several.names[order[start]], several.names[order[end]]))] > alpha:
            end += 1
        if end > reached:
            cliques.append(tuple(several.names[i] for i in order[start:end]))
            reached = end
    return CriticalDifference(
        ranks=tuple((several.names[i], float(ranks[i])) for i in order),
        critical=critical,
        cliques=tuple(cliques),
        alpha=alpha,
        omnibus=omnibus,
    )


def pareto_front(
    metrics: Mapping[str, Mapping[str, npt.ArrayLike]],
    directions: Mapping[str, Best],
    *,
    paired: bool,
    rng: np.random.Generator | None = None,
    resamples: int = 9_999,
) -> tuple[Trade, ...]:
    """Say which treatments are worth having, when several metrics pull in different directions.

    `metrics` holds for each metric the values of each treatment, and `directions` whether "max" or "min" is best. A
    treatment is dominated by another that is at least as good in the mean of every metric and better in one. With `rng`
    the replicates are resampled (together for all metrics, and for all treatments if paired), which says how sure that
    is.

    >>> table = {
    ...     "accuracy": {"small": [0.8, 0.82], "large": [0.9, 0.91], "slow": [0.89, 0.9]},
    ...     "seconds": {"small": [1.0, 1.1], "large": [5.0, 5.2], "slow": [9.0, 9.1]},
    ... }
    >>> front = pareto_front(table, {"accuracy": "max", "seconds": "min"}, paired=True)
    >>> [(one.name, one.dominated_by) for one in front]
    [('small', ()), ('large', ()), ('slow', ('large',))]
    """
    if not metrics:
        raise ValueError("no metric given: name at least one")
    for metric in metrics:
        if metric not in directions:
            raise ValueError(f"no direction given for {metric}: say 'max' or 'min'")
    for metric in directions:
        if metric not in metrics:
            raise ValueError(f"there is no metric called {metric!r}: {did_you_mean(metric, metrics)}")
    tables = {metric: several_samples(arms, paired=paired) for metric, arms in metrics.items()}
    names, sizes = next(iter(tables.values())).names, next(iter(tables.values())).sizes
    for metric, several in tables.items():
        if (several.names, several.sizes) != (names, sizes):
            raise ValueError(
                f"{metric} has other treatments or replicates than {next(iter(tables))}: leave them out"
            )
    signs = np.array([_sign(directions[metric]) for metric in tables])
    means = np.stack([several.means for several in tables.values()], axis=-1) * signs
    slack = np.stack([_slack(several) for several in tables.values()], axis=-1)
    shares: FloatArray | None = None
    if rng is not None and min(sizes) > 1:
        seed = int(rng.integers(2**63))  # all metrics look at the same draws
        drawn = np.stack([
            resampled_means(several.arms, paired=paired, rng=np.random.default_rng(seed), resamples=resamples)
            for several in tables.values()
        ], axis=-1) * signs  # fmt: skip
        shares = np.array([np.mean(~_dominating(drawn, i, slack).any(axis=1)) for i in range(len(names))])
    trades = []
    for i, name in enumerate(names):
        better = np.flatnonzero(_dominating(means[None], i, slack)[0])
        scores = tuple(
            (metric, several.restore(float(several.means[i]))) for metric, several in tables.items()
        )
        share = None if shares is None else float(shares[i])
        trades.append(Trade(name, scores, tuple(names[j] for j in better), share))
    return tuple(trades)


def resampled_means(
    arms: Sequence[FloatArray], *, paired: bool, rng: np.random.Generator, resamples: int
) -> FloatArray:
    """Draw replicates with replacement and give the means: a row per resample, a column per arm.

    >>> arms, rng = [np.array([1.0, 1.0]), np.array([2.0, 2.0])], np.random.default_rng(1)
    >>> resampled_means(arms, paired=True, rng=rng, resamples=1)
    array([[1., 2.]])
    """
    if not paired:
        return _apart(arms, rng, resamples)
    # Around the first value, so that equal values have exactly their mean in each resample.
    firsts = np.array([arm[0] for arm in arms])
    table = np.stack(arms, axis=1) - firsts
    n = table.shape[0]
    means = np.empty((resamples, table.shape[1]))
    rows = max(1, _CELLS_AT_ONCE // n)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        drawn = rng.integers(n, size=(count, n), dtype=np.int32)
        drawn += np.arange(0, count * n, n, dtype=np.int32)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n)
        means[start : start + count] = times.astype(np.float64) @ table
    result: FloatArray = firsts + means / n
    return result


def _apart(arms: Sequence[FloatArray], rng: np.random.Generator, resamples: int) -> FloatArray:
    """Draw replicates of each arm apart from those of the others.

    Arms of one size look at the same draws, each from another one on: within a resample no two share any, at the price
    of one arm. Over all resamples they are used up in different order, by arms whose order means nothing.
    """
    means = np.empty((resamples, len(arms)))
    for size in dict.fromkeys(arm.size for arm in arms):
        alike = [i for i, arm in enumerate(arms) if arm.size == size]
        at_once = min(len(alike), resamples)
        for start in range(0, len(alike), at_once):
            some = alike[start : start + at_once]
            drawn = resampled_means([arms[i] for i in some], paired=True, rng=rng, resamples=resamples)
            for place, i in enumerate(some):
                means[:, i] = np.roll(drawn[:, place], place * (resamples // len(some)))
    return means


def _resamples(
    several: Groups, resamples: int, paired: bool, rng: np.random.Generator
) -> Iterator[list[FloatArray]]:
    for _ in range(resamples):
        common = rng.integers(several.sizes[0], size=several.sizes[0]) if paired else None
        yield [
            values[rng.integers(values.size, size=values.size) if common is None else common]
            for values in several.values
        ]


def _asked(ranker: Ranker, several: Groups, values: Sequence[FloatArray]) -> FloatArray:
    scores = ranker(dict(zip(several.names, values, strict=True)))
    name = getattr(ranker, "__name__", type(ranker).__name__)
    if hasattr(scores, "keys"):
        missing = [one for one in several.names if one not in scores]
        if missing:
            raise ValueError(f"{name} gave no score for {missing[0]!r}: expected one for each treatment")
        scores = [scores[one] for one in several.names]
    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != (len(several.names),):
        raise ValueError(
            f"{name} gave {excerpt(scores)}: expected a number for each of {len(several.names)} treatments"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} gave {array.tolist()}: every score must be a finite number")
    return array


def _slack(several: Groups) -> FloatArray:
    """Say by how much the means of each arm may differ by rounding only, which makes them ties."""
    return ROUNDING_ULPS * np.finfo(np.float64).eps * np.array([np.max(np.abs(arm)) for arm in several.arms])


def _ranks(losses: FloatArray, slack: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Rank in each row, 1 for the smallest, and say who is first; by counting, for few treatments the quickest."""
    ranks, first = np.empty_like(losses), np.empty(losses.shape, dtype=np.bool_)
    for i in range(losses.shape[1]):
        beyond = losses - losses[:, i : i + 1]
        noise = np.maximum(slack, slack[i])
        below = (beyond < -noise).sum(axis=1)
        ranks[:, i] = 0.5 + below + 0.5 * (np.abs(beyond) <= noise).sum(axis=1)
        first[:, i] = below == 0
    return ranks, first


def _dominating(goods: FloatArray, i: int, slack: FloatArray) -> npt.NDArray[np.bool_]:
    """Say in each resample which treatments are at least as good as this one in every metric, and better in one."""
    beyond = goods - goods[:, i : i + 1]
    noise = np.maximum(slack, slack[i])
    dominating: npt.NDArray[np.bool_] = np.all(beyond >= -noise, axis=2) & np.any(beyond > noise, axis=2)
    return dominating


def _sign(best: Best) -> float:
    if best not in ("max", "min"):
        raise ValueError(f"best is {best!r}: choose 'max' or 'min'")
    return 1.0 if best == "max" else -1.0
