"""Enumerations: the power of exact tests of shares, by going through every result that they may see.

A p that equals alpha is at most alpha, also where rounding says otherwise. Each function gives the probability that
the one-sided claim "x has the larger share" is supported.
"""

import math

import numpy as np
from scipy import special

from workflow_assets.stats.samples import FloatArray

_ROUNDING = 1e-9
_NEGLIGIBLE = 1e-18


def fisher_power(shares: tuple[float, float], sizes: tuple[int, int], alpha: float) -> float:
    """Give the power of Fisher's exact test of two independent arms of 0/1 values.

    Sums over all tables: for each number of successes in both arms together, the tables that Fisher's p calls
    significant, weighted with two independent binomials.

    >>> round(fisher_power((0.9, 0.4), (15, 15), 0.05), 4)
    0.8452
    """
    n_x, n_y = sizes
    ways_x, ways_y = _log_choices(n_x), _log_choices(n_y)
    (least_x, chance_x), (least_y, chance_y) = _likely(n_x, shares[0]), _likely(n_y, shares[1])
    most_x, most_y = least_x + chance_x.size - 1, least_y + chance_y.size - 1
    total = 0.0
    for successes in range(least_x + least_y, most_x + most_y + 1):
        # From the table that speaks most for x to the one that speaks least for it, as far as chance reaches.
        expected = successes * n_x / (n_x + n_y)
        reach = 12.0 * math.sqrt(expected * n_y / (n_x + n_y)) + 40.0
        first = min(n_x, successes, math.ceil(expected + reach))
        last = max(0, successes - n_y, math.floor(expected - reach))
        x = np.arange(first, last - 1, -1)
        logarithm = ways_x[x] + ways_y[successes - x]
        table = np.exp(logarithm - logarithm.max())
        tail = np.cumsum(table) / table.sum()
        critical = first + 1 - int(np.searchsorted(tail, alpha * (1 + _ROUNDING), side="right"))
        x = np.arange(max(critical, least_x, successes - most_y), min(most_x, successes - least_y) + 1)
        total += float(np.dot(chance_x[x - least_x], chance_y[successes - x - least_y]))
    return min(total, 1.0)


def discordance_power(shares: tuple[float, float], n: int, alpha: float) -> float:
    """Give the power of McNemar's exact test, or of the sign test, of n pairs.

    `shares` are those of the pairs in which x only, and y only, is 1 (or the larger one). Sums over how many pairs
    disagree, each number with its own critical value.

    >>> round(discordance_power((0.3, 0.1), 50, 0.05), 4)
    0.6785
    """
    from scipy import stats

    disagreeing = min(shares[0] + shares[1], 1.0)
    if disagreeing == 0:
        return 0.0
    least, chance = _likely(n, disagreeing)
    m = np.arange(least, least + chance.size)
    won = min(shares[0] / disagreeing, 1.0)
    reached = stats.binom.sf(_critical(m, 0.5, alpha) - 1, m, won)
    return min(float(np.dot(chance, reached)), 1.0)


def binomial_power(shares: tuple[float, float], n: int, alpha: float) -> float:
    """Give the power of the exact binomial test of n 0/1 values against a given share, the second of `shares`.

    >>> round(binomial_power((0.8, 0.5), 20, 0.05), 4)
    0.8042
    """
    from scipy import stats

    return float(stats.binom.sf(_critical(np.array([n]), shares[1], alpha) - 1, n, shares[0])[0])


def _critical(sizes: np.ndarray, share: float, alpha: float) -> FloatArray:
    """Give the smallest count that is significant, for each size; one more than the size where none is."""
    from scipy import stats

    count = stats.binom.isf(alpha, sizes, share) + 1.0
    lower = stats.binom.sf(count - 2, sizes, share) <= alpha * (1 + _ROUNDING)
    return np.asarray(np.where(lower, count - 1, count), dtype=np.float64)


def _log_choices(n: int) -> FloatArray:
    k = np.arange(n + 1)
    return np.asarray(
        special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0), dtype=np.float64
    )


def _likely(n: int, share: float) -> tuple[int, FloatArray]:
    """Give the smallest count that is not all but impossible, and the probabilities from there on."""
    from scipy import stats

    least, most = (
        int(np.clip(bound, 0, n))
        for bound in (stats.binom.ppf(_NEGLIGIBLE, n, share), stats.binom.isf(_NEGLIGIBLE, n, share))
    )
    return least, np.asarray(stats.binom.pmf(np.arange(least, most + 1), n, share), dtype=np.float64)
