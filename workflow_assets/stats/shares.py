"""Tests of shares: for metrics that are 0 or 1 in each replicate.

Called as every test is, with a claim about x - y (`claims`): here the share of ones in x minus that in y. A two-sided p
is twice the smaller side, as everywhere here, where R's binom.test and fisher.test add up all outcomes that are less
likely than the observed one: the same where the distribution is symmetric, else another convention, under which a
two-sided test may support what neither of its sides does.
"""

import numpy.typing as npt
from scipy import special

from workflow_assets.stats.claims import Alternative, Comparison, Direction, Tail, check_claim, judge
from workflow_assets.stats.counts import at_least, at_least_drawn
from workflow_assets.stats.proportions import (
    as_shares,
    check_zeros_and_ones,
    fixed_share,
    paired_score,
    unpaired_score,
)
from workflow_assets.stats.samples import FloatArray, as_sample, two_samples


def mcnemar(
    x: npt.ArrayLike, y: npt.ArrayLike, *, alternative: Alternative = "two-sided", margin: float = 0.0
) -> Comparison:
    """Test whether paired 0/1 values differ in their share of ones, by the pairs that disagree.

    McNemar (1947), exact: of the pairs that disagree, half would be in favour of either arm. R: binom.test(b, b + c).
    No mid-p, no chi-square approximation. The statistic is the number of pairs in which only x is 1. Without any pair
    that disagrees p is 1. No margins: what is exact here is the symmetry at no difference.

    >>> x = [1, 1, 1, 1, 1, 1, 0, 1]
    >>> y = [0, 0, 0, 0, 0, 1, 0, 1]
    >>> mcnemar(x, y, alternative="greater").p
    0.03125
    """
    _check_margin("mcnemar", alternative, margin)
    arms = as_shares(x, y, "mcnemar", paired=True)
    won, lost = (int((one > other).sum()) for one, other in (arms, arms[::-1]))
    note = "" if won + lost else "no pair disagrees"

    def tail(direction: Direction) -> Tail:
        favourable = won if direction == 1 else lost
        return Tail(float(won), at_least(favourable, won + lost, 0.5), exact=True, note=note)

    return judge("mcnemar", two_samples(*arms, paired=True), tail, alternative, margin, paired=True)


def fisher_exact(
    x: npt.ArrayLike, y: npt.ArrayLike, *, alternative: Alternative = "two-sided", margin: float = 0.0
) -> Comparison:
    """Test whether two unpaired arms of 0/1 values differ in their share of ones, exactly.

    Fisher (1935): of all divisions of the ones and zeros into arms of these sizes, the share that gives x as many ones.
    R: fisher.test(table, alternative = "greater"); two-sided, ours is twice the smaller side. The statistic is the
    number of ones in x. Conservative, as the totals are taken as given: small arms err in far less than 5 % of cases.
    No margins: what is exact here is the equality at no difference.

    >>> round(fisher_exact([1, 1, 1, 1, 0], [0, 0, 1, 0, 0], alternative="greater").p, 4)
    0.1032
    """
    _check_margin("fisher_exact", alternative, margin)
    arms = as_shares(x, y, "fisher_exact")
    ones, sizes = [int(arm.sum()) for arm in arms], [arm.size for arm in arms]

    def tail(direction: Direction) -> Tail:
        arm = 0 if direction == 1 else 1
        return Tail(float(ones[0]), at_least_drawn(ones[arm], sizes[arm], sum(ones), sum(sizes)), exact=True)

    samples = two_samples(*arms, paired=False)
    return judge("fisher_exact", samples, tail, alternative, margin, paired=False)


def score_difference(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
) -> Comparison:
    """Test by how much the shares of ones differ, with a margin: for superiority, non-inferiority and equivalence.

    A score test: z is the distance of the observed difference from the margin, in standard errors of the most likely
    shares that differ by exactly the margin. Pairs: Tango (1998); without a margin it is McNemar's chi-square without
    continuity correction. Unpaired: Miettinen and Nurminen (1985), whose variance is N / (N - 1) times that of
    Farrington and Manning (1990); without a margin z² is that of R's prop.test(correct = FALSE) times (N - 1) / N. An
    approximation, without continuity correction: at 5 % it errs in at most about 6 % of cases from 20 values an arm on.

    >>> x, y = [1] * 18 + [0] * 2, [1] * 17 + [0] * 3
    >>> result = score_difference(x, y, paired=False, alternative="greater", margin=-0.2)
    >>> round(result.statistic, 3), round(result.p, 4)
    (2.094, 0.0181)
    """
    check_claim(alternative, margin)
    if not abs(margin) < 1:
        raise ValueError(
            f"margin is {margin:g}, but shares differ by less than 1: give 0.1 for ten percentage points"
        )
    arms = as_shares(x, y, "score_difference", paired=paired)
    score = paired_score(*arms) if paired else unpaired_score(*arms)
    alike = not margin and (not (arms[0] != arms[1]).any() if paired else _all_alike(*arms))
    note = ("no pair disagrees" if paired else "all values are equal") if alike else ""

    def tail(direction: Direction) -> Tail:
        z = score(direction * margin if alternative != "equivalent" else -direction * margin)
        return Tail(z, 1.0 if alike else float(special.ndtr(-direction * z)), note=note)

    samples = two_samples(*arms, paired=paired)
    return judge("score_difference", samples, tail, alternative, margin, paired=paired)


def binomial(
    x: npt.ArrayLike, y: npt.ArrayLike, *, alternative: Alternative = "two-sided", margin: float = 0.0
) -> Comparison:
    """Test whether the share of ones in x differs from a fixed share, which y holds throughout.

    R: binom.test(sum(x), length(x), p = share + margin, alternative = "greater"); exact, with a margin, too. The
    statistic is the number of ones in x. Two-sided, ours is twice the smaller side.

    >>> round(binomial([1, 1, 0, 1, 1, 1, 1, 0, 1, 1], [0.5] * 10, alternative="greater").p, 6)
    0.054688
    """
    check_claim(alternative, margin)
    arm, share = as_sample(x, "x"), fixed_share(y)
    check_zeros_and_ones(arm, "x", "binomial")
    ones, n = int(arm.sum()), arm.size

    def tail(direction: Direction) -> Tail:
        bound = share + direction * (-margin if alternative == "equivalent" else margin)
        if not 0 < bound < 1:
            raise ValueError(
                f"the claim compares with a share of {bound:g}: choose a margin that keeps it between 0 and 1"
            )
        if direction == 1:
            return Tail(float(ones), at_least(ones, n, bound), exact=True)
        return Tail(float(ones), at_least(n - ones, n, 1.0 - bound), exact=True)

    samples = two_samples(arm, as_sample(y, "y"), paired=False)
    return judge("binomial", samples, tail, alternative, margin, paired=False)


def _all_alike(x: FloatArray, y: FloatArray) -> bool:
    """Say whether there is but one value in both arms."""
    return bool((x == y[0]).all() and (y == y[0]).all())


def _check_margin(test: str, alternative: Alternative, margin: float) -> None:
    check_claim(alternative, margin)
    if margin:
        raise ValueError(
            f"{test} asks whether shares differ at all, and knows no margin ({margin:g} is given): "
            f"use score_difference, which does"
        )
