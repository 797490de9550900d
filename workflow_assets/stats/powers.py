"""Powers: how likely an experiment is to support a claim that is true, and how many replicates that takes.

A `Plan` names the test, the true difference that should not be overlooked, and what the replicates spread by; it then
answers for any number of replicates. Everything is exact for what the test assumes (normal values; independent 0/1
values); what has no formula is simulated from a pilot (`pilots`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from workflow_assets.errors import did_you_mean
from workflow_assets.stats.claims import Alternative, check_claim
from workflow_assets.stats.enumerations import binomial_power, discordance_power, fisher_power
from workflow_assets.stats.means import resampling_inflation
from workflow_assets.stats.quadratures import divisions, spreads
from workflow_assets.stats.samples import LARGEST, FloatArray

Sizes = tuple[int, int]

OF_MEANS = ("paired_t", "corrected_resampled_t", "student_t", "welch_t")
OF_SHARES: dict[str, Callable[[tuple[float, float], Sizes, float], float]] = {
    "mcnemar": lambda shares, sizes, alpha: discordance_power(shares, sizes[0], alpha),
    "sign_test": lambda shares, sizes, alpha: discordance_power(shares, sizes[0], alpha),
    "fisher_exact": fisher_power,
    "binomial": lambda shares, sizes, alpha: binomial_power(shares, sizes[0], alpha),
}
UNPAIRED = frozenset({"student_t", "welch_t", "fisher_exact"})
# Exact tests of counts gain power in jumps, and lose a little of it between them.
_TEETH = 25
# Values in each arm, beyond which going through all tables takes minutes.
_TABLES = 20_000
# So many standard errors that more change nothing, and a critical value that is as good as 0.
_FAR = 1e100
_FLAT = 1e-100


class _Scale(NamedTuple):
    """The standard error of a difference, and how it is estimated: df, and factors to the critical t.

    With an error of its own for each way in which two unequal variances may have been estimated, `weights` says how
    likely each of them is.
    """

    error: float
    df: float
    critical: Callable[[float], FloatArray]
    weights: FloatArray


@dataclass(frozen=True)
class Plan:
    """Say how many replicates an experiment needs, or what so many replicates can show.

    Args:
        test: "paired_t", "corrected_resampled_t", "student_t" or "welch_t" (means); "mcnemar", "sign_test",
            "fisher_exact" or "binomial" (shares).
        effect: the true difference x - y, in the units of the metric: the smallest one that you would be sorry to
            overlook, rather than what a pilot happened to show.
        sd: the standard deviation, in the same units: of the differences for pairs, of the values of an arm for
            unpaired arms (two numbers where they differ; "welch_t" only). For "corrected_resampled_t", that of the
            differences between re-splits. A pilot's is as likely too small as too large: see `pilots.cautious_sd`.
        shares: for a test of shares, instead of effect and sd: those of x and of y ("fisher_exact"), of the pairs in
            which only x and only y is 1 ("mcnemar") or the larger one ("sign_test"), of x and what it is compared
            against ("binomial").
        alternative, margin: the claim, as `claims.check_claim` explains it.
        alpha: the accepted rate of false claims. With m hypotheses in a family, Holm's method asks the first of
            them for alpha / m.
        test_fraction: the share of the data that each split holds out ("corrected_resampled_t").
        ratio: how many values y has for each one of x, where both arms grow together (unpaired).

    The t-tests: noncentral t. Equivalence is two one-sided tests with the exact power (Owen's Q; Phillips 1990).
    Welch's test: exact too, as the mean over all ways in which its two variances may be estimated, where R's packages
    put the true variances into the degrees of freedom. A two-sided test counts both sides, beyond the margin (R:
    power.t.test(strict = TRUE), pwr::pwr.t.test). The corrected resampled t: noncentral t, where re-splits correlate as
    that test assumes. Fisher's, McNemar's, sign and binomial test: every result is enumerated (not the arcsine
    approximation of pwr::pwr.2p.test); a two-sided p is twice the one-sided one, as everywhere in this package.

    Raises ValueError for a plan that cannot be stated.

    >>> plan = Plan("paired_t", effect=0.5, sd=1.0)
    >>> round(plan.power(20), 4), plan.replicates_needed(power=0.8)
    (0.6951, 27)
    >>> round(plan.detectable_effect(20, power=0.8), 3)
    0.577
    """

    test: str
    effect: float | None = None
    sd: float | tuple[float, float] | None = None
    shares: tuple[float, float] | None = None
    alternative: Alternative = "greater"
    margin: float = 0.0
    alpha: float = 0.05
    test_fraction: float | None = None
    ratio: float = 1.0

    def __post_init__(self) -> None:
        known = (*OF_MEANS, *OF_SHARES)
        if self.test not in known:
            raise ValueError(
                f"there is no formula for the power of {self.test!r}: {did_you_mean(self.test, known)}; that of any "
                f"other test can be simulated from a pilot, with simulate_power"
            )
        check_claim(self.alternative, self.margin)
        if not 0 < self.alpha < 1:
            raise ValueError(
                f"alpha is {self.alpha}: give the accepted rate of false claims, between 0 and 1, as in 0.05"
            )
        if not 0 < self.ratio < math.inf:
            raise ValueError(f"ratio is {self.ratio}: give how many values y has for each one of x")
        if self.test in OF_SHARES:
            self._check_shares()
        else:
            self._check_means()

    def power(self, n: int | Sizes) -> float:
        """Give the probability that so many replicates (pairs, values in each arm, or two sizes) support the claim.

        >>> round(Plan("welch_t", effect=1.0, sd=(1.0, 2.0)).power((10, 20)), 4)
        0.5527
        """
        sizes = self._sizes(n)
        if self.shares is not None:
            return self._power_of_shares(self.shares, sizes)
        if self.effect is None:
            raise ValueError("give effect=, the true difference that should not be overlooked")
        return self._power_of_means(self.effect, self._scale(sizes))

    def power_curve(self, ns: Sequence[int]) -> FloatArray:
        """Give the power for each of these numbers of replicates, ready to be plotted.

        >>> Plan("paired_t", effect=0.5, sd=1.0).power_curve([5, 20, 80]).round(3).tolist()
        [0.239, 0.695, 0.997]
        """
        return np.array([self.power(n) for n in ns], dtype=np.float64)

    def replicates_needed(self, power: float = 0.8, *, most: int = 1_000_000) -> int:
        """Give the smallest number of replicates (pairs; values of x) that supports the claim with this probability.

        Where the power of an exact test of counts wavers from one number to the next, it is the smallest one from
        which on it stays high enough, for the next 25 numbers at least.

        Raises ValueError where no number up to `most` (20,000 for "fisher_exact") is enough, as for a difference that
        does not fulfil the claim.

        >>> Plan("student_t", effect=0.0, sd=1.0, alternative="equivalent", margin=0.5).replicates_needed(0.9)
        88
        """
        self._check_target(power)
        if self.test == "fisher_exact":
            most = min(most, _TABLES)
        least = 2

        def enough(n: int) -> bool:
            return self.power(n) >= power

        low, high = least - 1, least
        while not enough(high):
            if high >= most:
                raise ValueError(self._hopeless(power, most))
            low, high = high, min(2 * high, most)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        if self.shares is None:
            return high
        n = ahead = high
        while ahead < n + _TEETH:
            ahead += 1
            if not enough(ahead):
                n = ahead + 1
        while n > least and enough(n - 1):
            n -= 1
        return n

    def detectable_effect(self, n: int | Sizes, power: float = 0.8) -> float:
        """Give the smallest difference that so many replicates show with this probability; `effect` may be left out.

        For "less" it is negative. For "equivalent" it is the largest difference that is still shown to lie within the
        margin with this probability.

        Raises ValueError where there is none, and for tests of shares, which have two numbers instead of one effect.

        >>> round(Plan("paired_t", sd=2.0).detectable_effect(20), 3)
        1.154
        """
        self._check_target(power)
        if self.shares is not None:
            raise ValueError(f"{self.test} compares shares: change them until power(n) is high enough")
        scale = self._scale(self._sizes(n))
        direction = -1.0 if self.alternative == "less" else 1.0

        def reached(effect: float) -> float:
            return self._power_of_means(direction * effect, scale)

        if self.alternative == "equivalent":
            if reached(0.0) < power:
                raise ValueError(
                    f"not even arms without any difference are shown to be equivalent with a probability of {power:g}: "
                    f"take more replicates or a larger margin"
                )
            return _bisect(lambda effect: reached(effect) >= power, 0.0, self.margin)
        far = scale.error
        while reached(self.margin + far) < power:
            far *= 2
        return direction * _bisect(lambda effect: reached(effect) < power, self.margin, self.margin + far)

    def _power_of_means(self, effect: float, scale: _Scale) -> float:
        if self.alternative == "equivalent":
            inner, outer = ((self.margin + side * abs(effect)) / scale.error for side in (-1.0, 1.0))
            each = _within(inner, outer, scale.critical(self.alpha), scale.df)
        elif self.alternative == "two-sided":
            above, below = ((side * effect - self.margin) / scale.error for side in (1.0, -1.0))
            critical = scale.critical(self.alpha / 2)
            each = _beyond(above, critical, scale.df) + _beyond(below, critical, scale.df)
        else:
            shift = (effect if self.alternative == "greater" else -effect) - self.margin
            each = _beyond(shift / scale.error, scale.critical(self.alpha), scale.df)
        return min(max(float(np.dot(scale.weights, each)), 0.0), 1.0)

    def _power_of_shares(self, shares: tuple[float, float], sizes: Sizes) -> float:
        def one_sided(direction: int, alpha: float) -> float:
            if direction == 1:
                return OF_SHARES[self.test](shares, sizes, alpha)
            if self.test == "binomial":
                return OF_SHARES[self.test]((1.0 - shares[0], 1.0 - shares[1]), sizes, alpha)
            return OF_SHARES[self.test](shares[::-1], sizes[::-1], alpha)

        if self.alternative == "two-sided":
            return min(one_sided(1, self.alpha / 2) + one_sided(-1, self.alpha / 2), 1.0)
        return one_sided(1 if self.alternative == "greater" else -1, self.alpha)

    def _scale(self, sizes: Sizes) -> _Scale:
        assert self.sd is not None
        n_x, n_y = sizes
        sd_x, sd_y = self.sd if isinstance(self.sd, tuple) else (self.sd, self.sd)
        one = np.ones(1)
        if self.test in ("paired_t", "corrected_resampled_t"):
            inflation = 1.0 if self.test_fraction is None else resampling_inflation(n_x, self.test_fraction)
            return _Scale(
                sd_x / math.sqrt(n_x) * math.sqrt(inflation), n_x - 1.0, _critical_t(n_x - 1.0, one), one
            )
        df = n_x + n_y - 2.0
        if self.test == "student_t":
            return _Scale(sd_x * math.sqrt(1 / n_x + 1 / n_y), df, _critical_t(df, one), one)
        error_x, error_y = sd_x / math.sqrt(n_x), sd_y / math.sqrt(n_y)
        error = math.hypot(error_x, error_y)
        b, rest, weights = divisions(n_x - 1.0, n_y - 1.0)
        # What each arm adds to the squared standard error, relative to the true one, where the sum of chi-squares is 1.
        part_x = (error_x / error) ** 2 * b / (n_x - 1)
        part_y = (error_y / error) ** 2 * rest / (n_y - 1)
        whole = part_x + part_y
        welch = whole**2 / (part_x**2 / (n_x - 1) + part_y**2 / (n_y - 1))
        return _Scale(error, df, _critical_t(welch, np.sqrt(whole * df)), weights)

    def _sizes(self, n: int | Sizes) -> Sizes:
        given = n if isinstance(n, tuple) else (n,)
        if len(given) > 2 or not all(isinstance(one, int | np.integer) and one >= 2 for one in given):
            raise ValueError(f"n is {n!r}: give a whole number of replicates, at least 2 to judge chance")
        if isinstance(n, tuple):
            if self.test not in UNPAIRED and n[0] != n[1]:
                raise ValueError(f"n is {n}, but {self.test} has one number of replicates")
            return n
        return n, max(2, math.ceil(n * self.ratio)) if self.test in UNPAIRED else n

    def _check_means(self) -> None:
        if self.shares is not None:
            raise ValueError(f"{self.test} compares means: give effect= and sd=, not shares=")
        if self.effect is not None and not abs(self.effect) <= LARGEST:
            raise ValueError(f"effect is {self.effect!r}: give a finite number, in the units of the metric")
        if self.sd is None:
            raise ValueError(f"{self.test} needs sd=, the standard deviation of the replicates")
        spreads_ = self.sd if isinstance(self.sd, tuple) else (self.sd,)
        if not (all(0 <= one <= LARGEST for one in spreads_) and max(spreads_) >= 1 / LARGEST):
            raise ValueError(f"sd is {self.sd!r}: give a finite number above 0, in the units of the metric")
        if isinstance(self.sd, tuple) and self.test != "welch_t":
            raise ValueError(
                f"{self.test} has one sd: of unpaired arms that spread differently, plan welch_t"
            )
        if (self.test == "corrected_resampled_t") is (self.test_fraction is None):
            raise ValueError(
                "test_fraction, the share of the data each split holds out, belongs to corrected_resampled_t: "
                + ("leave it out" if self.test_fraction is not None else "give it")
            )
        if self.test_fraction is not None:
            resampling_inflation(2, self.test_fraction)

    def _check_shares(self) -> None:
        if self.shares is None or self.effect is not None or self.sd is not None:
            raise ValueError(
                f"{self.test} compares shares: give shares=, two of them, and no effect= nor sd="
            )
        together = sum(self.shares) if self.test in ("mcnemar", "sign_test") else 0.0
        if not (all(0 <= one <= 1 for one in self.shares) and together <= 1 + 1e-12):
            raise ValueError(
                f"shares are {self.shares}: each lies between 0 and 1"
                + (", and so does their sum" if together > 1 else "")
            )
        if self.margin or self.alternative == "equivalent":
            raise ValueError(
                f"{self.test} has no margin: simulate the power of a test that has one from a pilot"
            )

    def _check_target(self, power: float) -> None:
        if not self.alpha < power < 1:
            raise ValueError(f"power is {power}: give a probability above alpha ({self.alpha:g}) and below 1")
        if self.alpha >= 0.5:
            raise ValueError(
                f"alpha is {self.alpha}: no number of replicates follows from one of 0.5 or more"
            )

    def _hopeless(self, power: float, most: int) -> str:
        reached = f"{most:,} replicates support the claim with a probability of {self.power(most):.3g} only"
        if self.test == "corrected_resampled_t":
            return f"{reached}: re-splits of one data set share their data, get more data, not more splits"
        return f"{reached}: {power:g} needs a difference that fulfils the claim more clearly, or a smaller spread"


def _critical_t(df: float | FloatArray, factor: FloatArray) -> Callable[[float], FloatArray]:
    def critical(alpha: float) -> FloatArray:
        return np.asarray(-special.stdtrit(df, alpha) * factor, dtype=np.float64)

    return critical


def _beyond(shift: float, critical: FloatArray, df: float) -> FloatArray:
    """Give P(Z + shift > critical S) for each critical value: the upper tail of noncentral t."""
    shift = min(max(shift, -_FAR), _FAR)
    s, weights = spreads(df, _turns(shift, critical))
    return np.asarray(np.sum(weights * special.ndtr(shift - critical * s), axis=0), dtype=np.float64)


def _within(above: float, below: float, critical: FloatArray, df: float) -> FloatArray:
    """Give P(critical S - below < Z < above - critical S), with above <= below: both one-sided tests reject."""
    above, below = (min(max(value, -_FAR), _FAR) for value in (above, below))
    end = ((above + below) / 2 / np.maximum(critical, _FLAT))[np.newaxis]
    s, weights = spreads(df, np.vstack([_turns(above, critical), _turns(below, critical), end]))
    inside = special.ndtr(above - critical * s) - special.ndtr(critical * s - below)
    return np.asarray(np.sum(weights * np.maximum(inside, 0.0), axis=0), dtype=np.float64)


def _turns(shift: float, critical: FloatArray) -> FloatArray:
    """Say between which S the normal probability of `shift - critical S` turns from 1 to 0."""
    slope = np.maximum(np.abs(critical), _FLAT) * np.where(critical < 0, -1.0, 1.0)
    return np.vstack([(shift - 8.0) / slope, (shift + 8.0) / slope])


def _bisect(still_left: Callable[[float], bool], left: float, right: float) -> float:
    """Find where a condition that holds at the left end stops to hold."""
    while True:
        middle = left + (right - left) / 2
        if not min(left, right) < middle < max(left, right) or abs(right - left) <= 1e-14 * abs(middle):
            return middle
        if still_left(middle):
            left = middle
        else:
            right = middle
