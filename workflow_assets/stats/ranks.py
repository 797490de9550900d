"""Tests of ranks: for metrics whose order says more than their size.

Called as every test is, with a claim about x - y (`claims`).
"""

import numpy as np
import numpy.typing as npt

from workflow_assets.stats.claims import Alternative, Comparison, Direction, Tail, judge, prepare
from workflow_assets.stats.counts import at_least
from workflow_assets.stats.samples import as_sample, merge_ties

# Where R's wilcox.test changes from the exact distribution of the rank sum to its normal approximation.
EXACT_RANKS_BELOW = 50


def wilcoxon_signed_rank(
    x: npt.ArrayLike, y: npt.ArrayLike, *, alternative: Alternative = "two-sided", margin: float = 0.0
) -> Comparison:
    """Test a typical difference by the ranks of the paired differences, whatever their spread.

    Wilcoxon (1945). Pairs whose difference equals the margin are dropped, as Wilcoxon and R do. Exact for fewer than 50
    pairs without ties and without dropped ones, else the normal approximation with tie and continuity correction, as in
    R: wilcox.test(x, y, paired = TRUE). Assumes that under the null hypothesis the differences are symmetric about the
    margin; it speaks of their centre (pseudo-median), not of their mean. Differences equal up to rounding are ties.

    >>> x, y = [1.9, 2.4, 3.1, 2.8, 2.2], [1.5, 2.5, 2.2, 2.1, 2.0]
    >>> result = wilcoxon_signed_rank(x, y, alternative="greater")
    >>> result.statistic, result.p, result.exact
    (14.0, 0.0625, True)
    """
    samples = prepare(x, y, alternative, margin, paired=True)

    def tail(direction: Direction) -> Tail:
        from scipy import stats

        beyond = samples.beyond_margin(direction)
        kept = beyond != 0
        m = int(kept.sum())
        if m == 0:
            raise ValueError("every difference equals the margin: there is nothing to rank")
        sizes = merge_ties(np.abs(beyond[kept]), samples.magnitudes[kept])
        exact = m == beyond.size < EXACT_RANKS_BELOW and np.unique(sizes).size == m
        result = stats.wilcoxon(
            np.copysign(sizes, beyond[kept]),
            alternative="greater",
            correction=not exact,
            method="exact" if exact else "approx",
        )
        positive = float(result.statistic)
        note = _dropped(beyond.size - m, beyond.size)
        statistic = positive if direction == 1 else m * (m + 1) / 2 - positive
        return Tail(statistic, float(result.pvalue), exact=exact, note=note)

    return judge("wilcoxon_signed_rank", samples, tail, alternative, margin, paired=True)


def sign_test(
    x: npt.ArrayLike, y: npt.ArrayLike, *, alternative: Alternative = "two-sided", margin: float = 0.0
) -> Comparison:
    """Test in how many pairs x lies above y, whatever the sizes of the differences.

    Arbuthnott (1710); R: binom.test(sum(x - y > margin), sum(x - y != margin)). Exact for any number of pairs, and for
    differences of any distribution: it speaks of their median. The statistic is the number of pairs in which x exceeds
    y by more than the margin. Pairs whose difference equals the margin, up to rounding, are dropped, and the note says
    how many; where all are, p is 1.

    >>> result = sign_test([1.9, 2.4, 3.1, 2.8, 2.2], [1.5, 2.5, 2.2, 2.1, 2.0], alternative="greater")
    >>> result.statistic, result.p
    (4.0, 0.1875)
    """
    samples = prepare(x, y, alternative, margin, paired=True)

    def tail(direction: Direction) -> Tail:
        beyond = samples.beyond_margin(direction)
        won, lost = int(np.sum(beyond > 0)), int(np.sum(beyond < 0))
        statistic = won if direction == 1 else lost
        note = _dropped(beyond.size - won - lost, beyond.size)
        return Tail(float(statistic), at_least(won, won + lost, 0.5), exact=True, note=note)

    return judge("sign_test", samples, tail, alternative, margin, paired=True)


def mann_whitney(
    x: npt.ArrayLike, y: npt.ArrayLike, *, alternative: Alternative = "two-sided", margin: float = 0.0
) -> Comparison:
    """Test whether values of one unpaired arm tend to be larger than those of the other, by ranks.

    Mann and Whitney (1947). Exact when both arms have fewer than 50 values and none are tied, else the normal
    approximation with tie and continuity correction, as in R: wilcox.test(x, y). A margin shifts the whole of x, which
    makes sense for a scale but not for 0/1 values.

    >>> result = mann_whitney([3.1, 4.2, 5.0], [1.0, 2.2, 2.9, 3.0], alternative="greater")
    >>> result.statistic, round(result.p, 5), result.exact
    (12.0, 0.02857, True)
    """
    samples = prepare(x, y, alternative, margin, paired=False)
    n_x, n_y = samples.sizes

    def tail(direction: Direction) -> Tail:
        from scipy import stats

        # Without a margin, as the user has them: what is next to nothing would tie with 0 in the samples' unit.
        pooled = np.concatenate([as_sample(x, "x"), as_sample(y, "y")])
        if samples.margin:
            pooled = np.concatenate([samples.x - direction * samples.margin, samples.y])
            magnitudes = np.abs(np.concatenate([samples.x, samples.y]))
            pooled = merge_ties(pooled, np.maximum(magnitudes, abs(samples.margin)))
        different = np.unique(pooled).size
        if different == 1:
            raise ValueError("all values are equal: there is nothing to rank")
        exact = different == pooled.size and max(n_x, n_y) < EXACT_RANKS_BELOW
        result = stats.mannwhitneyu(
            pooled[:n_x],
            pooled[n_x:],
            alternative="greater" if direction == 1 else "less",
            method="exact" if exact else "asymptotic",
        )
        return Tail(float(result.statistic), float(result.pvalue), exact=exact)

    return judge("mann_whitney", samples, tail, alternative, margin, paired=False)


def _dropped(dropped: int, pairs: int) -> str:
    return f"{dropped} of {pairs} pairs dropped: they differ by exactly the margin" if dropped else ""
