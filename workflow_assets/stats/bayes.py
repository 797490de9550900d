"""Bayesian comparison: what is believable about a mean difference, once the data are seen.

With the flat (Jeffreys) prior, under which nothing was believed of the difference or of the spread before. A region of
practical equivalence, [-rope, rope], names the differences that do not matter.
"""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from workflow_assets.stats.claims import Alternative, Comparison, Direction, Tail, judge, prepare
from workflow_assets.stats.means import resampling_inflation
from workflow_assets.stats.quadratures import divisions
from workflow_assets.stats.samples import Samples, is_constant

NOTE = "p is the posterior probability that the claim is false, under a flat prior, and no error rate"


class Beliefs(NamedTuple):
    """The posterior probabilities that the difference lies left of, within, and right of a region around 0."""

    left: float
    rope: float
    right: float


@dataclass(frozen=True)
class Posterior:
    """What is believable about a mean difference x - y: Student's t, or a mixture of some about one centre.

    `location` is the centre, in the units of the metric, and `df` the degrees of freedom; `scales` and `weights` are
    those of the mixture (one of each for pairs). A scale of 0 is a difference that is the same in every pair: all
    belief is on one point, which says that nothing varied, and not that nothing could.

    >>> posterior = correlated_posterior(
    ...     [0.93, 0.91, 0.95, 0.94], [0.90, 0.89, 0.91, 0.93], test_fraction=0.1
    ... )
    >>> beliefs = posterior.beliefs(rope=0.01)
    >>> round(beliefs.left, 3), round(beliefs.rope, 3), round(beliefs.right, 3)
    (0.01, 0.064, 0.926)
    """

    location: float
    df: float
    scales: tuple[float, ...] = field(repr=False)
    weights: tuple[float, ...] = field(repr=False)

    def below(self, value: float) -> float:
        """Give the posterior probability that the difference is at most this value."""
        distance = value - self.location
        if self.scales[0] == 0:
            return float(distance >= 0)
        shares = special.stdtr(self.df, distance / np.asarray(self.scales))
        return min(float(np.dot(self.weights, shares)), 1.0)

    def above(self, value: float) -> float:
        """Give the posterior probability that the difference exceeds this value, precise where it is tiny."""
        if self.scales[0] == 0:
            return 1.0 - self.below(value)
        return dataclasses.replace(self, location=-self.location).below(-value)

    def beliefs(self, rope: float) -> Beliefs:
        """Give the probabilities that the difference lies below -rope, within ±rope, and above rope.

        Raises ValueError for a rope that is negative or not finite.
        """
        if not 0 <= rope < math.inf:
            raise ValueError(f"rope is {rope}: give the largest difference that does not matter, 0 or more")
        if self.scales[0] == 0:
            within = float(abs(self.location) <= rope)
            return Beliefs((1.0 - within) * (self.location < 0), within, (1.0 - within) * (self.location > 0))
        left, right = self.below(-rope), self.above(rope)
        within = self.below(rope) - left if self.location >= 0 else self.above(-rope) - right
        return Beliefs(left, max(within, 0.0), right)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Give the bounds between which the difference lies with this posterior probability.

        The shortest such interval (highest density), which is also the one with equal tails, as the posterior is
        symmetric. For pairs it is the interval of `effects.mean_difference`, with the correction for overlap.

        >>> low, high = correlated_posterior([3.0, 5.0, 4.0], [1.0, 2.0, 3.0]).interval(0.95)
        >>> round(low, 3), round(high, 3)
        (-0.484, 4.484)
        """
        if not 0 < confidence < 1:
            raise ValueError(f"confidence is {confidence}: give a probability between 0 and 1, as in 0.95")
        tail = (1.0 - confidence) / 2
        scales, weights = np.asarray(self.scales), np.asarray(self.weights)
        if scales[0] == 0:
            return self.location, self.location
        unit = float(np.min(scales))
        reach = -float(special.stdtrit(self.df, tail))
        if scales.size > 1:

            def excess(distance: float) -> float:
                return float(np.dot(weights, special.stdtr(self.df, -distance / (scales / unit)))) - tail

            from scipy.optimize import brentq

            far = reach
            while excess(far) > 0:
                far *= 2
            reach = float(brentq(excess, 0.0, far, xtol=1e-14, rtol=1e-14))
        return self.location - reach * unit, self.location + reach * unit


def correlated_posterior(
    x: npt.ArrayLike, y: npt.ArrayLike, *, test_fraction: float | None = None
) -> Posterior:
    """Say what is believable about the mean difference of pairs, also where these re-split one data set.

    Corani and Benavoli (2015), "A Bayesian approach for comparing cross-validated algorithms on multiple data sets",
    Machine Learning 100; Benavoli, Corani, Demšar and Zaffalon (2017), JMLR 18 (Python: baycomp). Student t with n - 1
    degrees of freedom about the mean difference, of squared scale (1/n + r/(1 - r)) s², for a correlation r between any
    two differences: `test_fraction`, the share of the data that each split holds out, or None for independent
    replicates.

    Raises ValueError for what is no two arms of equal length that vary, and for a test fraction outside (0, 1).

    >>> posterior = correlated_posterior([3.0, 5.0, 4.0, 6.0], [1.0, 2.0, 3.0, 2.0])
    >>> posterior.location, posterior.df, round(posterior.scales[0], 4)
    (2.5, 3.0, 0.6455)
    """
    samples = prepare(x, y, "greater", 0.0, paired=True)
    return _in_units(samples, _of_pairs(samples, test_fraction))


def unpaired_posterior(x: npt.ArrayLike, y: npt.ArrayLike) -> Posterior:
    """Say what is believable about the difference of the means of two independent arms, whose spreads may differ.

    Behrens (1929) and Fisher (1935), as Jeffreys (1940) found it from flat priors: the difference of two independent
    Student t distributions, of n_x - 1 and n_y - 1 degrees of freedom. It is computed as a mixture of t distributions
    with n_x + n_y - 2 degrees of freedom, over the share that x has of the two arms' sum of chi-squares.

    Its 95 % interval holds the truth in 95 % of samples from about 8 normal values in each arm on, and more often for
    fewer (98 % for 4 and 4).

    Raises ValueError where neither arm varies.

    >>> low, high = unpaired_posterior([5.1, 4.9, 6.2, 5.7], [4.1, 4.6, 4.4]).interval()
    >>> round(low, 3), round(high, 3)
    (-0.068, 2.285)
    """
    samples = prepare(x, y, "greater", 0.0, paired=False)
    return _in_units(samples, _of_arms(samples))


def bayes_correlated_t(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    test_fraction: float | None = None,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
) -> Comparison:
    """Ask for the posterior probability of a claim about the mean difference of pairs, also overlapping ones.

    The posterior of `correlated_posterior`; `p` is the probability that the claim is false: for "greater" that of a
    difference of at most the margin, for "equivalent" that of one outside ±margin, the region of practical equivalence.
    "two-sided" claims a difference beyond ±margin in whichever direction is the likelier, and its p is twice the
    probability that this is false: the doubling pays for having chosen the direction by the data, without which nearly
    every sample would leave a narrow region. Other packages (baycomp) report 1 - p.

    A posterior probability is no error rate, and the note says so. Under this flat prior it happens to bound one:
    one-sided it equals the p of `paired_t` or `corrected_resampled_t`, and for equivalence it is never smaller than
    theirs. Differences that are the same in every pair are refused, as by those.

    >>> x, y = [0.91, 0.93, 0.90, 0.94], [0.89, 0.90, 0.90, 0.91]
    >>> round(bayes_correlated_t(x, y, test_fraction=0.3, alternative="equivalent", margin=0.05).p, 3)
    0.046
    """
    samples = prepare(x, y, alternative, margin, paired=True)
    posterior = _of_pairs(samples, test_fraction)
    if posterior.scales[0] == 0:
        raise ValueError(
            "the difference is the same in every pair: its spread of zero says nothing about chance"
        )
    overlap = "" if test_fraction is None else f"; the replicates are correlated by {test_fraction:g}"
    return _believe(
        "bayes_correlated_t",
        samples,
        posterior,
        posterior.scales[0],
        NOTE + overlap,
        alternative,
        margin,
        paired=True,
    )


def bayes_unpaired_t(
    x: npt.ArrayLike, y: npt.ArrayLike, *, alternative: Alternative = "two-sided", margin: float = 0.0
) -> Comparison:
    """Ask for the posterior probability of a claim about the difference of the means of two independent arms.

    The posterior of `unpaired_posterior`; `p` as in `bayes_correlated_t`, the statistic is Welch's t. More cautious
    than `welch_t`, most of all with a few values in each arm.

    >>> round(bayes_unpaired_t([5.1, 4.9, 6.2, 5.7], [4.1, 4.6, 4.4], alternative="greater").p, 4)
    0.0288
    """
    samples = prepare(x, y, alternative, margin, paired=False)
    _, error, _ = samples.mean_difference(paired=False)
    return _believe(
        "bayes_unpaired_t", samples, _of_arms(samples), error, NOTE, alternative, margin, paired=False
    )


def _believe(
    test: str,
    samples: Samples,
    posterior: Posterior,
    error: float,
    note: str,
    alternative: Alternative,
    margin: float,
    *,
    paired: bool,
) -> Comparison:
    """Judge a claim by a posterior in the unit of the samples."""

    def tail(direction: Direction) -> Tail:
        edge = direction * samples.margin
        false = posterior.below(edge) if direction == 1 else posterior.above(edge)
        return Tail((posterior.location - edge) / error, false, posterior.df if paired else None, note=note)

    result = judge(test, samples, tail, alternative, margin, paired=paired)
    if alternative != "equivalent":
        return result
    return dataclasses.replace(result, p=min(1.0, max(tail(1).p + tail(-1).p, result.p)))


def _of_pairs(samples: Samples, test_fraction: float | None) -> Posterior:
    difference, error, df = samples.mean_difference(paired=True)
    inflation = 1.0 if test_fraction is None else resampling_inflation(samples.x.size, test_fraction)
    return Posterior(difference, df, (error * math.sqrt(inflation),), (1.0,))


def _of_arms(samples: Samples) -> Posterior:
    """Mix the posteriors given each division of the chi-squares: normal ones, averaged over the sum, are t."""
    difference, _, _ = samples.mean_difference(paired=False)
    n_x, n_y = samples.sizes
    squares = [
        0.0 if is_constant(arm) else float(arm.var(ddof=1)) * (arm.size - 1) / arm.size
        for arm in (samples.x, samples.y)
    ]
    b, rest, weights = divisions(n_x - 1.0, n_y - 1.0, tails=True)
    df = n_x + n_y - 2.0
    scales = np.sqrt((squares[0] / b + squares[1] / rest) / df)
    return Posterior(difference, df, tuple(scales.tolist()), tuple(weights.tolist()))


def _in_units(samples: Samples, posterior: Posterior) -> Posterior:
    return dataclasses.replace(
        posterior,
        location=samples.restore(posterior.location),
        scales=tuple(samples.restore(scale) for scale in posterior.scales),
    )
