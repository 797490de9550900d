"""Martingales: evidence against a null hypothesis that may be looked at after every replicate.

A test martingale is the capital of a gambler who bets, replicate by replicate, against the null hypothesis: it starts
at 1, and if the hypothesis is true it ever reaches 1 / alpha with a probability of at most alpha, however long one
plays (Ville 1939). Its value is called an e-value. All here are logarithms, one for each number of replicates, and
one-sided: they bet on a mean difference above an edge, against one of at most that edge. The edges that the capital
does not refute make a confidence sequence: intervals of which *all* hold the truth at once, with the stated confidence.
"""

import functools
import math

import numpy as np
import numpy.typing as npt
from scipy import special

from workflow_assets.stats.samples import FloatArray

HALVINGS = 60
STEPS = 60
SMALLEST_LOG = -700.0
NODES = 128
LARGEST_LOG_T = 40.0


def running_squares(differences: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give the mean of the first n values, and the sum of their squared distances from it, for each n.

    Distances are taken from the first value, which is part of every sum, so that little is lost by subtracting.

    >>> mean, squares = running_squares(np.array([1.0, 3.0, 5.0]))
    >>> mean.tolist(), squares.tolist()
    ([1.0, 2.0, 3.0], [0.0, 2.0, 8.0])
    """
    n = np.arange(1.0, differences.size + 1)
    away = differences - differences[0]
    sums = np.cumsum(away)
    squares = np.maximum(np.cumsum(away**2) - sums**2 / n, 0.0)
    constant = np.maximum.accumulate(np.abs(away)) == 0
    return differences[0] + sums / n, np.where(constant, 0.0, squares)


def log_student(gap: FloatArray, squares: FloatArray, n: FloatArray) -> FloatArray:
    """Give the log e-value of a positive mean, after n values of which the mean is `gap`.

    The mixture of the likelihood ratios of Student's t for a mean of d standard deviations to that for 0, over d from a
    standard normal distribution, its positive half only. Written out, with t and its n - 1 degrees of freedom v:

        2 T(u) sqrt(1 / (1 + n)) ((v + t²) / (v + t² / (1 + n)))^(n / 2),  u = n t / sqrt((n + 1) v + t²),

    T being the distribution function of t with n degrees of freedom; without 2 T(u) it is the two-sided one of Lai
    (1976), Lindon et al. (2022, "Anytime-valid linear models") and Wang and Ramdas (2025, "Anytime-valid t-tests and
    confidence sequences"). A martingale if the values are normal with mean 0 and any spread, since it depends on them
    by their ratios only. It is larger for a larger t, and adding a constant to all values raises t for every n at once,
    so that for a mean below 0 the capital is never above that of a mean of 0.

    Never above 2^n, which is what n signs that all agree can say: that costs next to nothing, and keeps values
    that are not normal, such as equal ones, from saying more than they can.

    >>> [
    ...     round(float(e), 3)
    ...     for e in np.exp(log_student(np.ones(3), np.array([0.0, 2.0, 8.0]), np.arange(1.0, 4.0)))
    ... ]
    [1.5, 1.366, 1.096]
    """
    squared = n * gap**2
    total = squares + squared
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.where(total > 0, np.log(total) - np.log(squares + squared / (n + 1)), 0.0)
        u = np.where(total > 0, n * np.sqrt(n) * gap / np.sqrt((n + 1) * squares + squared), 0.0)
        log_e = np.log(2.0) + np.log(special.stdtr(n, u)) - np.log1p(n) / 2 + n / 2 * growth
    return np.where(total > 0, np.minimum(log_e, n * math.log(2.0)), 0.0)


def student_reach(n: FloatArray, level: float) -> FloatArray:
    """Give the t from which on `log_student` rejects at a level, for each n; infinite where none does.

    >>> [round(float(t), 3) for t in student_reach(np.array([5.0, 6.0, 30.0, 1000.0]), 0.025)]
    [inf, 5.457, 3.347, 3.603]
    """
    goal = -math.log(level)

    def short(log_t: FloatArray) -> npt.NDArray[np.bool_]:
        return log_student(np.exp(log_t) / np.sqrt(n), n - 1, n) < goal

    least, most = np.full_like(n, -LARGEST_LOG_T), np.full_like(n, LARGEST_LOG_T)
    never = short(most) | (n < 2)
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        below = short(middle)
        least, most = np.where(below, middle, least), np.where(below, most, middle)
    return np.where(never, math.inf, np.exp(most))


def student_bounds(
    mean: FloatArray, squares: FloatArray, n: FloatArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """Give the means that `log_student` refutes in neither direction, at a level for each, as their two bounds."""
    reach = student_reach(n, level)
    error = np.sqrt(squares / np.maximum(n - 1, 1) / n)
    width = np.where(np.isinf(reach), math.inf, np.where(np.isinf(reach), 0.0, reach) * error)
    return mean - width, mean + width


def log_betting(wins: FloatArray, ties: FloatArray, losses: FloatArray, edge: float) -> FloatArray:
    """Give the log e-value of a mean above `edge`, of differences of 0/1 values: 1 (a win), 0 (a tie) or -1 (a loss).

    A share c of the capital is put on differences above the edge: (1 + d) / (1 + edge) is what the stake becomes, at
    most 1 on average if the mean is at most the edge, whatever else the differences are like. The capital is the mean
    over all c from 0 to 1 (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting").
    At edge 0 ties change nothing, and it is the beta-binomial mixture over the chances of a win above one half.

    >>> one = np.array([1.0])
    >>> round(float(np.exp(log_betting(3 * one, 0 * one, 0 * one, 0.0))[0]), 9)  # the mean of (1 + c)³
    3.75
    """
    return _capital(wins, ties, losses, np.full_like(wins, math.log1p(edge)))[0]


def betting_bounds(
    wins: FloatArray, ties: FloatArray, losses: FloatArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """Give the means that `log_betting` refutes in neither direction, at a level for each, as their two bounds.

    >>> low, high = betting_bounds(np.array([9.0]), np.array([10.0]), np.array([1.0]), 0.025)
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (-0.053, 0.753)
    """
    return _lowest_edge(wins, ties, losses, level), -_lowest_edge(losses, ties, wins, level)


def _lowest_edge(wins: FloatArray, ties: FloatArray, losses: FloatArray, level: float) -> FloatArray:
    """Find where the capital falls to 1 / level: Newton's method, which never overshoots a convex function twice."""
    lost = wins + ties == 0
    mean = (wins - losses) / (wins + ties + losses)
    scale = np.log1p(np.where(lost, 0.0, mean))
    for _ in range(STEPS):
        log_e, slope = _capital(wins, ties, losses, scale)
        step = np.where(lost, 0.0, (-math.log(level) - log_e) / np.where(lost, -1.0, slope))
        scale = np.maximum(scale + step, SMALLEST_LOG)
        if np.all(np.abs(step) < 1e-15):
            break
    return np.where(lost, -1.0, np.minimum(np.expm1(scale), mean))


def _capital(
    wins: FloatArray, ties: FloatArray, losses: FloatArray, scale: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Give the log of the capital for scale = log(1 + edge), and its slope, in which it is convex."""
    shares, weights = _stakes()
    odds = shares / (1.0 - shares) * np.exp(-scale)[:, np.newaxis]
    w, k = wins[:, np.newaxis], ties[:, np.newaxis]
    pairs = (wins + ties + losses)[:, np.newaxis]
    logs = pairs * np.log1p(-shares) + w * np.log1p(2.0 * odds) + k * np.log1p(odds)
    most = logs.max(axis=1)
    parts = np.exp(logs - most[:, np.newaxis]) * weights
    total = parts.sum(axis=1)
    slopes = w * (2.0 * odds / (1.0 + 2.0 * odds)) + k * (odds / (1.0 + odds))
    return most + np.log(total), -(parts * slopes).sum(axis=1) / total


@functools.cache
def _stakes() -> tuple[FloatArray, FloatArray]:
    """The shares of the capital that are played, and their weights: exact for up to 255 replicates (Gauss-Legendre).

    Beyond, they are a mixture of 128 strategies, no less valid and hardly different.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return (nodes + 1.0) / 2.0, weights / 2.0
