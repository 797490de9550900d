"""Calibrations: how often does a test call something out of nothing, on data like yours?

A test promises that it is wrong in a share alpha of cases where there is nothing to find, on assumptions that real data
may break. Permuted labels make data of one's own with nothing to find: the same values, the same ties and outliers, and
the treatments exchanged at random. What the test says about them is its real false-positive rate.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from workflow_assets.stats.claims import Alternative, Comparison, check_alpha
from workflow_assets.stats.comparisons import OwnTest, compare
from workflow_assets.stats.samples import FloatArray, as_sample


@dataclass(frozen=True)
class Calibration:
    """How often a test rejected where there was nothing to find: `rejected` of `trials` times.

    `low` and `high` are the exact 99 % interval of the rate (Clopper and Pearson 1934); `refused` says how often the
    test could not judge the permuted values, which is not rejecting.

    >>> Calibration("paired_t", 0.05, 1000, 48, 0).verdict
    'as stated'
    >>> print(Calibration("ours", 0.05, 1000, 130, 0))
    ours errs too often: on permuted labels it rejects in 13.0 % of cases (99 % interval 10.4 to 16.0 %) at alpha 0.05
    """

    test: str
    alpha: float
    trials: int
    rejected: int
    refused: int

    @property
    def rate(self) -> float:
        """The share of trials in which the test rejected."""
        return self.rejected / self.trials

    @property
    def low(self) -> float:
        """The lower bound of the rate."""
        return (
            float(special.betaincinv(self.rejected, self.trials - self.rejected + 1, 0.005))
            if self.rejected
            else 0.0
        )

    @property
    def high(self) -> float:
        """The upper bound of the rate."""
        if self.rejected == self.trials:
            return 1.0
        return float(special.betaincinv(self.rejected + 1, self.trials - self.rejected, 0.995))

    @property
    def verdict(self) -> Literal["as stated", "too often", "seldom"]:
        """Whether alpha lies within the bounds; a test that errs more seldom than it may is safe, and wastes data."""
        if self.low > self.alpha:
            return "too often"
        return "seldom" if self.high < self.alpha else "as stated"

    def __str__(self) -> str:
        says = {
            "as stated": "errs as often as it says",
            "too often": "errs too often",
            "seldom": "errs more seldom than it may",
        }[self.verdict]
        refused = f"; it could not judge {self.refused} of {self.trials}" if self.refused else ""
        return (
            f"{self.test} {says}: on permuted labels it rejects in {self.rate:.1%} of cases "
            f"(99 % interval {100 * self.low:.1f} to {100 * self.high:.1f} %) at alpha {self.alpha:g}{refused}"
        ).replace(f"{self.rate:.1%}", f"{100 * self.rate:.1f} %")


def false_positive_rate(
    test: str | OwnTest,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    rng: np.random.Generator,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
    alpha: float = 0.05,
    trials: int = 1_000,
    resamples: int = 199,
    test_fraction: float | None = None,
) -> Calibration:
    """Show how often a test rejects on these very values when labels are permuted, so that there is nothing to find.

    Pairs exchange their labels or do not, by tosses of a coin; unpaired arms are shuffled. With a margin, x is first
    moved to the edge of the claim, and moved back afterwards, so that the claim is just false; a two-sided claim or
    equivalence at its upper edge. A test that draws permutations of its own does so `resamples` times: fewer than for a
    verdict, and no less exact, as long as alpha (1 + resamples) is a whole number.

    It shows what ties, outliers, skewness, few values or unequal arms do to a test. It cannot show what depends on
    replicates that are not independent: permuting makes them so.

    >>> rng = np.random.default_rng(1)
    >>> x, y = rng.lognormal(sigma=2, size=12), rng.lognormal(sigma=2, size=12)
    >>> false_positive_rate("paired_t", x, y, paired=True, rng=rng).verdict
    'as stated'
    """
    check_alpha(alpha)
    if trials < 1:
        raise ValueError(f"trials is {trials}: permute at least once")

    def ask(one: FloatArray, other: FloatArray) -> Comparison:
        return compare(
            test,
            one,
            other,
            paired=paired,
            alternative=alternative,
            margin=margin,
            rng=rng,
            test_fraction=test_fraction,
            resamples=resamples,
        )

    first, second = as_sample(x, "x"), as_sample(y, "y")
    name = ask(first, second).test  # says at once what is wrong with the question
    edge = -margin if alternative == "less" else margin
    rejected = refused = 0
    for _ in range(trials):
        one, other = _permuted(first - edge, second, rng, paired=paired)
        try:
            rejected += ask(one + edge, other).p <= alpha
        except ValueError:
            refused += 1
    return Calibration(test=name, alpha=alpha, trials=trials, rejected=int(rejected), refused=refused)


def _permuted(
    x: FloatArray, y: FloatArray, rng: np.random.Generator, *, paired: bool
) -> tuple[FloatArray, FloatArray]:
    if paired:
        exchanged = rng.random(x.size) < 0.5
        return np.where(exchanged, y, x), np.where(exchanged, x, y)
    pooled = rng.permutation(np.concatenate([x, y]))
    return pooled[: x.size], pooled[x.size :]
