"""Effects: how large is the difference between two arms, and between which bounds does it lie?

All measures are called in one way and say in words what they estimate; `measures` lists them. All but ratios and the
probability of superiority are positive where x, the treatment, has the larger values. Pairing changes the interval, and
for some the estimand too.

`variance_inflation` multiplies the squared standard error of the difference. Replicates that re-split one data set need
`means.resampling_inflation(n, test_fraction)` there; the interval of the mean difference then is the one that
belongs to `means.corrected_resampled_t`.
"""

import math
from dataclasses import dataclass

import numpy.typing as npt
from scipy import special

from workflow_assets.stats.samples import Samples, check_confidence, missing_evidence, two_samples


@dataclass(frozen=True)
class Effect:
    """How large a difference is: the estimate, its interval, and in words what is estimated.

    `confidence` is the one that was asked for, or a lower one where so few values cannot give it.

    >>> Effect("mean_difference", 2.0, 1.0, 3.0, 0.95, "the mean of x minus the mean of y").low
    1.0
    """

    name: str
    estimate: float
    low: float
    high: float
    confidence: float
    estimand: str

    def __post_init__(self) -> None:
        if not self.low <= self.estimate <= self.high:
            raise ValueError(
                f"the interval from {self.low} to {self.high} must hold the estimate {self.estimate}"
            )


def mean_difference(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    confidence: float = 0.95,
    variance_inflation: float = 1.0,
) -> Effect:
    """Say by how much x exceeds y on average, in the units of the metric.

    Student's interval on the differences of the pairs, or Welch's of two unpaired arms; the same as R's t.test. A
    difference that is the same in every pair has an interval of no width.

    >>> mean_difference([3.0, 5.0, 4.0], [1.0, 2.0, 3.0], paired=True)
    Effect(name='mean_difference', estimate=2.0, low=-0.484..., high=4.484..., confidence=0.95, estimand='...')
    """
    samples = prepare(x, y, paired=paired, confidence=confidence, variance_inflation=variance_inflation)
    difference, error, df = samples.mean_difference(paired=paired)
    reach = float(special.stdtrit(df, upper(confidence))) * error * math.sqrt(variance_inflation)
    return Effect(
        name="mean_difference",
        estimate=samples.restore(difference),
        low=samples.restore(difference - reach),
        high=samples.restore(difference + reach),
        confidence=confidence,
        estimand="the mean of x minus y over pairs" if paired else "the mean of x minus the mean of y",
    )


def prepare(
    x: npt.ArrayLike, y: npt.ArrayLike, *, paired: bool, confidence: float, variance_inflation: float
) -> Samples:
    """Take two arms and what an interval of their difference needs, or say what is wrong with them."""
    check_confidence(confidence)
    if not 1 <= variance_inflation < math.inf:
        raise ValueError(
            f"variance_inflation is {variance_inflation}: give 1 for independent replicates, or more"
        )
    samples = two_samples(x, y, paired=paired)
    reason = missing_evidence(samples)
    if reason is not None:
        raise ValueError(reason)
    return samples


def upper(confidence: float) -> float:
    """Give the share of a distribution that lies below the upper bound of an interval.

    >>> upper(0.9)
    0.95
    """
    return 0.5 + confidence / 2


def located(
    name: str,
    samples: Samples,
    bounds: tuple[float, float, float],
    *,
    confidence: float,
    variance_inflation: float,
    estimand: str,
) -> Effect:
    """Make an effect in the user's units of an estimate and its bounds (low, estimate, high) in those of the samples.

    The bounds of what knows no standard error move away from the estimate by the root of the variance inflation, and
    never leave the estimate outside.
    """
    low, estimate, high = bounds
    stretch = math.sqrt(variance_inflation)
    return Effect(
        name=name,
        estimate=samples.restore(estimate),
        low=samples.restore(min(estimate, estimate - stretch * (estimate - low))),
        high=samples.restore(max(estimate, estimate + stretch * (high - estimate))),
        confidence=confidence,
        estimand=estimand,
    )
