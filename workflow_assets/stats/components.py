"""Variance components: which source of variation dominates – initialisation, split, plate – and what to replicate.

The levels of every source are taken as a random sample of those that there could be. Nested sources (sites in wells in
plates) give a chain of components, crossed ones (each initialisation with each split) those of the sources and of their
interactions. What is left within the finest groups is the last component.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
from scipy import special

from workflow_assets.stats.likelihoods import reml
from workflow_assets.stats.samples import FloatArray, as_sample, check_confidence, is_constant

REPLICATE = "replicate"
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Component:
    """The variance that a source adds to a single value, its interval, and its share of the total.

    `levels` are the sources it belongs to (several: nested in each other, or their interaction), `groups` how many
    there were, `df` the degrees of freedom of its mean square (None after REML).
    """

    source: str
    levels: tuple[str, ...]
    variance: float
    low: float
    high: float
    share: float
    groups: int
    df: float | None


@dataclass(frozen=True)
class Allocation:
    """How many to replicate of each level, what it costs, and the variance of the mean then."""

    numbers: Mapping[str, int]
    cost: float
    variance: float


@dataclass(frozen=True)
class VarianceComponents:
    """Where a metric's variation comes from, largest groups first.

    `numbers` are the replicates of each level: in all if they are crossed, within the level above if they are nested
    (rounded where that varies). `method` is "anova" or "reml".
    """

    components: tuple[Component, ...]
    numbers: Mapping[str, int]
    crossed: bool
    method: str
    mean: float
    notes: tuple[str, ...]

    @property
    def dominant(self) -> Component:
        """The component with the largest share of the variance of a single value."""
        return max(self.components, key=lambda one: one.variance)

    def variance_of_mean(self, numbers: Mapping[str, float]) -> float:
        """Tell the variance that the mean would have with other numbers of replicates per level.

        Each component is divided by the number of its groups: the product of the numbers of its levels.

        Raises ValueError for a level without a number, or an unknown one.
        """
        if set(numbers) != set(self.numbers):
            raise ValueError(
                f"numbers are given for {sorted(numbers)}: give one for each of {list(self.numbers)}"
            )
        if not all(1 <= number < math.inf for number in numbers.values()):
            raise ValueError(f"numbers are {dict(numbers)}: give 1 or more of each level")
        return sum(
            one.variance / math.prod(numbers[level] for level in one.levels) for one in self.components
        )

    def doubling(self) -> dict[str, float]:
        """Tell for each level to which share the variance of the mean falls if there are twice as many."""
        now = self.variance_of_mean(self.numbers)
        return {
            level: self.variance_of_mean({**self.numbers, level: 2 * number}) / now if now else 1.0
            for level, number in self.numbers.items()
        }

    def allocate(self, costs: Mapping[str, float], budget: float, *, run: float = 0.0) -> Allocation:
        """Find the numbers of replicates per level that make the mean most certain within a budget.

        Nested: `costs` has what one more of a level costs (a plate, a well in it, a site in that), and the numbers come
        near the classical n = sqrt(variance here / variance above × cost above / cost here) (Snedecor and Cochran
        1989). Crossed: what one more of a source costs once, and `run` what each combination costs.

        Raises ValueError for costs that are not positive, and a budget that does not pay for one of each.

        >>> components = variance_components(
        ...     [1.0, 1.2, 3.1, 2.9, 5.0, 5.2], {"plate": ["a", "a", "b", "b", "c", "c"]}
        ... )
        >>> dict(components.allocate({"plate": 4.0, "replicate": 1.0}, 50.0).numbers)
        {'plate': 10, 'replicate': 1}
        """
        levels = list(self.numbers)
        if set(costs) != set(levels) or not all(0 < cost < math.inf for cost in costs.values()):
            raise ValueError(f"costs are {dict(costs)}: give a positive one for each of {levels}")
        if not 0 <= run < math.inf or not budget < math.inf:
            raise ValueError(f"run is {run} and the budget {budget}: give finite costs, run of 0 or more")

        def cost(numbers: Sequence[int]) -> float:
            paid = run * math.prod(numbers)
            for place, level in enumerate(levels):
                paid += costs[level] * (numbers[place] if self.crossed else math.prod(numbers[: place + 1]))
            return paid

        if cost([1] * len(levels)) > budget:
            raise ValueError(f"one of each level costs {cost([1] * len(levels)):g}, more than {budget:g}")
        best: tuple[float, float, tuple[int, ...]] | None = None
        choices = [_numbers(budget / costs[level]) for level in levels[:-1]]
        for chosen in product(*choices):
            base, step = cost([*chosen, 0]), cost([*chosen, 1]) - cost([*chosen, 0])
            last = int((budget - base) / step * (1 + 1e-12))
            if last < 1:
                continue
            numbers = (*chosen, last)
            variance = self.variance_of_mean(dict(zip(levels, numbers, strict=True)))
            if best is None or (variance, cost(numbers)) < best[:2]:
                best = variance, cost(numbers), numbers
        if best is None:  # cannot be: one of each is affordable
            raise ValueError("no numbers of replicates are within the budget")
        numbers = best[2]
        return Allocation(dict(zip(levels, numbers, strict=True)), best[1], best[0])


def variance_components(
    values: npt.ArrayLike,
    levels: Mapping[str, Sequence[str]],
    *,
    crossed: bool = False,
    confidence: float = 0.95,
) -> VarianceComponents:
    """Split the variance of a metric into what each source of variation contributes.

    Balanced data: analysis of variance, each component from expected mean squares (R: aov); one that comes out negative
    is set to 0, and told (its interval shrinks to 0 too where groups are far more alike than chance makes them).
    Intervals are modified large-sample ones (Graybill and Wang 1980; Ting et al. 1990; Burdick and Graybill 1992), for
    normal effects; exact chi-square for the last component. They are wide because few levels tell little: 5
    initialisations leave their standard deviation open by a factor of about 5.

    Unbalanced data: restricted maximum likelihood as in `lme4::lmer(y ~ 1 + (1 | a) + (1 | b))`, and profile-likelihood
    intervals, which hold the truth less often for fewer than about 10 levels.

    Args:
        values: one per replicate.
        levels: for each source the level of each value, outermost first. Nested ones bear their names within the level
            above.
        crossed: whether the sources meet each other, instead of lying within each other.
        confidence: that of the intervals.

    Raises ValueError for values without variation, for a source of one level, for nested levels with no more groups
    than the level above, and for more than four crossed sources.

    >>> found = variance_components(
    ...     [0.81, 0.90, 0.86, 0.80, 0.92, 0.85, 0.83, 0.91, 0.86],
    ...     {"init": ["a"] * 3 + ["b"] * 3 + ["c"] * 3, "split": ["0", "1", "2"] * 3},
    ...     crossed=True,
    ... )
    >>> found.dominant.source, round(found.dominant.share, 2)
    ('split', 0.95)
    """
    check_confidence(confidence)
    y = as_sample(values, "values")
    terms = _terms(y.size, levels, crossed)
    if is_constant(y):
        raise ValueError("the values are all the same: there is no variance to split")
    exponent = math.frexp(float(np.max(np.abs(y))))[1]
    y = np.ldexp(y, -exponent)
    centre = float(y.mean())
    size = float(np.max(np.abs(y - centre)))
    y = (y - centre) / size
    counts = [int(codes.max()) + 1 for _, codes in terms]
    notes: list[str] = []
    balanced = _is_balanced(terms, crossed)
    if balanced:
        found, degrees = _anova(y, terms, counts, confidence, notes)
    else:
        found = reml(y, [codes for _, codes in terms[:-1]], confidence)
        degrees = [None] * len(terms)
        notes.append("unbalanced: by restricted maximum likelihood, with profile-likelihood intervals")
    total = sum(variance for variance, _, _ in found)
    unit = math.ldexp(size, exponent)
    components = []
    for (names, _), three, count, df in zip(terms, found, counts, degrees, strict=True):
        source = " × ".join(names) if crossed and names[-1] != REPLICATE else names[-1]
        variance, low, high = (_in_units(one, unit) for one in three)
        components.append(Component(source, names, variance, low, high, three[0] / total, count, df))
    return VarianceComponents(
        tuple(components),
        _replicates(terms, counts, crossed),
        crossed,
        "anova" if balanced else "reml",
        math.ldexp(centre, exponent),
        tuple(notes),
    )


def _in_units(variance: float, unit: float) -> float:
    try:
        value = variance * unit * unit
    except OverflowError:  # pragma: no cover - floats give inf
        value = math.inf
    if not math.isfinite(value) and math.isfinite(variance):
        raise ValueError("the values are so large that their variance is beyond 1e308: rescale them")
    return value


def _terms(
    size: int, levels: Mapping[str, Sequence[str]], crossed: bool
) -> list[tuple[tuple[str, ...], IntArray]]:
    """Give the groups that each component belongs to, the one within the finest groups last."""
    if not levels:
        raise ValueError("no sources of variation are named: give the level of each value")
    if crossed and not 2 <= len(levels) <= 4:
        raise ValueError(f"there are {len(levels)} crossed sources: 2 to 4 can be told apart")
    for name, given in levels.items():
        if len(given) != size:
            raise ValueError(
                f"{name!r} has {len(given)} levels and there are {size} values: give one for each"
            )
        if crossed and len(set(given)) < 2:
            raise ValueError(f"{name!r} has one level only: its variance cannot be told")
    names = list(levels)
    if crossed:
        subsets = [part for count in range(1, len(names) + 1) for part in combinations(names, count)]
    else:
        subsets = [tuple(names[: depth + 1]) for depth in range(len(names))]
    terms = [(part, _codes([levels[name] for name in part])) for part in subsets]
    above = 1
    for part, codes in terms if not crossed else ():
        groups = int(codes.max()) + 1
        if groups <= above:
            raise ValueError(
                f"{part[-1]!r} has {groups} groups, no more than the level above: its variance cannot be told"
            )
        above = groups
    if int(terms[-1][1].max()) + 1 < size:
        terms.append(((*names, REPLICATE), np.arange(size)))
    return terms


def _codes(labels: Sequence[Sequence[str]]) -> IntArray:
    numbers: dict[tuple[str, ...], int] = {}
    return np.array([numbers.setdefault(path, len(numbers)) for path in zip(*labels, strict=True)])


def _is_balanced(terms: Sequence[tuple[tuple[str, ...], IntArray]], crossed: bool) -> bool:
    """Say whether every group of a term is of the same size, and every combination there."""
    counts = [np.bincount(codes) for _, codes in terms]
    if any(count.min() < count.max() for count in counts):
        return False
    sources = {
        names[0]: count.size for (names, _), count in zip(terms, counts, strict=True) if len(names) == 1
    }
    return not crossed or all(
        count.size == math.prod(sources[name] for name in names)
        for (names, _), count in zip(terms, counts, strict=True)
        if names[-1] != REPLICATE
    )


def _replicates(
    terms: Sequence[tuple[tuple[str, ...], IntArray]], counts: Sequence[int], crossed: bool
) -> dict[str, int]:
    if crossed:
        numbers = {
            names[0]: count for (names, _), count in zip(terms, counts, strict=True) if len(names) == 1
        }
        if terms[-1][0][-1] == REPLICATE:
            numbers[REPLICATE] = max(1, round(counts[-1] / counts[-2]))
        return numbers
    return {
        names[-1]: max(1, round(count / above))
        for (names, _), count, above in zip(terms, counts, [1, *counts[:-1]], strict=True)
    }


def _anova(
    y: FloatArray,
    terms: Sequence[tuple[tuple[str, ...], IntArray]],
    counts: Sequence[int],
    confidence: float,
    notes: list[str],
) -> tuple[list[tuple[float, float, float]], list[float | None]]:
    """Give each component and its interval from the mean squares of a balanced design."""
    effects: list[FloatArray] = []
    squares: list[float] = []
    degrees: list[int] = []
    sets = [set(names) for names, _ in terms]
    inside = np.array([[one <= other for other in sets] for one in sets])
    for place, (_, codes) in enumerate(terms):
        rest = y - sum((effects[low] for low in range(place) if inside[low, place]), np.zeros_like(y))
        means = np.bincount(codes, rest) / np.bincount(codes)
        effects.append(np.where(np.abs(means) <= 64 * np.finfo(float).eps, 0.0, means)[codes])
        df = counts[place] - 1 - sum(degrees[low] for low in range(place) if inside[low, place])
        degrees.append(df)
        squares.append(float(effects[-1] @ effects[-1]) / df)
    mean_squares = np.array(squares)
    expected = np.where(inside, y.size / np.array(counts), 0.0)  # of each mean square, in components
    weights = np.linalg.inv(expected)
    found = []
    weights = np.where(np.abs(weights) < 1e-12 * np.abs(weights).max(axis=1, keepdims=True), 0.0, weights)
    for (names, _), row in zip(terms, weights, strict=True):
        estimate = float(row @ mean_squares)
        low, high = _large_sample(row * mean_squares, np.array(degrees, dtype=float), confidence)
        if estimate < 0:
            notes.append(
                f"the variance of {names[-1] if len(names) == 1 else names} came out negative and is set to 0"
            )
        variance = max(estimate, 0.0)
        found.append((variance, min(max(low, 0.0), variance), max(high, variance)))
    return found, [float(df) for df in degrees]


def _large_sample(parts: FloatArray, df: FloatArray, confidence: float) -> tuple[float, float]:
    """Give the modified large-sample interval of a sum of mean squares, some of them subtracted.

    Burdick and Graybill (1992), section 3.3: exact where all mean squares but one have a true value of 0.
    """
    upper, lower = 0.5 - confidence / 2, 0.5 + confidence / 2  # probabilities above the quantile

    def quantile(above: float, one: float, other: float) -> float:
        if math.isinf(other):
            return float(special.chdtri(one, above)) / one
        return float(special.fdtri(one, other, 1 - above))

    plus, minus = np.flatnonzero(parts > 0), np.flatnonzero(parts < 0)
    sizes = np.abs(parts)
    g = np.array([1 - 1 / quantile(upper, n, math.inf) for n in df])
    h = np.array([1 / quantile(lower, n, math.inf) - 1 for n in df])
    below = float(np.sum((g * sizes)[plus] ** 2) + np.sum((h * sizes)[minus] ** 2))
    beyond = float(np.sum((h * sizes)[plus] ** 2) + np.sum((g * sizes)[minus] ** 2))
    for one, other in product(plus, minus):
        both = sizes[one] * sizes[other]
        high, low = quantile(upper, df[one], df[other]), quantile(lower, df[one], df[other])
        below += both * ((high - 1) ** 2 - (g[one] * high) ** 2 - h[other] ** 2) / high
        beyond += both * ((1 - low) ** 2 - (h[one] * low) ** 2 - g[other] ** 2) / low
    below += _same_sign(plus, sizes, df, g, upper, quantile)
    beyond += _same_sign(minus, sizes, df, g, upper, quantile)
    estimate = float(parts.sum())
    return estimate - math.sqrt(max(below, 0.0)), estimate + math.sqrt(max(beyond, 0.0))


def _same_sign(
    members: IntArray,
    sizes: FloatArray,
    df: FloatArray,
    g: FloatArray,
    upper: float,
    quantile: Callable[[float, float, float], float],
) -> float:
    """Give what pairs of mean squares of the same sign add."""
    total = 0.0
    for one, other in combinations(members, 2):
        n, m = df[one], df[other]
        together = (1 - 1 / quantile(upper, n + m, math.inf)) ** 2 * (n + m) ** 2 / (n * m)
        cross = together - g[one] ** 2 * n / m - g[other] ** 2 * m / n
        total += sizes[one] * sizes[other] * cross / (len(members) - 1)
    return total


def _numbers(most: float) -> list[int]:
    """Give numbers to try: all up to 200, then ever sparser."""
    top = max(1, int(most))
    some = set(range(1, min(top, 200) + 1))
    if top > 200:
        some |= {int(one) for one in np.geomspace(200, top, 200)}
    return sorted(some)
