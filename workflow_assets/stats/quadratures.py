"""Quadratures: where to evaluate, and with which weights, to average over what two sample variances may have been.

A variance estimated with f degrees of freedom is chi-square / f times the true one. What is said of a test once its
variance estimates are given is a normal probability; averaging it over those estimates is exact and needs no tables.
"""

import math

import numpy as np
from scipy import special

from workflow_assets.stats.samples import FloatArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(80)
_FEW_NODES, _FEW_WEIGHTS = np.polynomial.legendre.leggauss(40)
# What lies beyond these quantiles adds less to a probability than rounding does.
_NEGLIGIBLE = 1e-18


def spreads(df: float, turns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give nodes and weights to average over S = sqrt(chi-square / df), once for each column of `turns`.

    `turns` holds, one row per turn, where the function to be averaged bends or changes quickly: panels of 80
    Gauss-Legendre nodes end there, so that no turn is overlooked however narrow it is. The answers have one column per
    column of `turns`; the weights of each add to 1.

    >>> s, weights = spreads(3.0, np.array([[0.5, 2.0]]))
    >>> np.round(np.sum(weights * s**2, axis=0), 12).tolist()
    [1.0, 1.0]
    """
    ends = [float(inverse(df / 2, _NEGLIGIBLE)) for inverse in (special.gammaincinv, special.gammainccinv)]
    least, most = (np.sqrt(end * 2 / df) for end in ends)
    columns = turns.shape[1]
    edges = np.vstack([np.full((1, columns), least), turns, np.full((1, columns), most)])
    edges = np.sort(np.clip(edges, least, most), axis=0)
    half = np.diff(edges, axis=0)[:, np.newaxis] / 2
    s = edges[:-1, np.newaxis] + half * (1.0 + _NODES[:, np.newaxis])
    # Relative to its value at 1, since its constant is too large a number to be precise.
    density = np.exp((df - 1) * np.log(s) - df / 2 * (s - 1.0) * (s + 1.0))
    weights = half * _WEIGHTS[:, np.newaxis] * density
    weights /= weights.sum(axis=(0, 1))
    return s.reshape(-1, columns), weights.reshape(-1, columns)


def divisions(df_x: float, df_y: float, *, tails: bool = False) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give nodes B, 1 - B and weights to average over the share B that x has of the two arms' sum of chi-squares.

    B is beta distributed and independent of the sum, which is chi-square with df_x + df_y degrees of freedom. `tails`
    adds nodes ever closer to 0 and to 1, for a function that is small elsewhere.

    >>> b, rest, weights = divisions(3.0, 5.0)
    >>> round(float(np.sum(weights * b)), 12), round(float(np.sum(weights * b * rest)), 12)
    (0.375, 0.1875)
    """
    # By the angle whose squared sine is B, so that nothing is steep at the ends; from either end to the mean of B.
    middle = math.atan(math.sqrt(df_x / df_y))
    left, left_weights = _angles(df_x, df_y, middle, tails=tails)
    right, right_weights = _angles(df_y, df_x, math.pi / 2 - middle, tails=tails)
    sine = np.concatenate([np.sin(left), np.cos(right)])
    cosine = np.concatenate([np.cos(left), np.sin(right)])
    logarithm = (df_x - 1) * np.log(sine) + (df_y - 1) * np.log(cosine)
    weights = np.concatenate([left_weights, right_weights]) * np.exp(logarithm - logarithm.max())
    return sine**2, cosine**2, weights / weights.sum()


def _angles(df: float, other: float, most: float, *, tails: bool) -> tuple[FloatArray, FloatArray]:
    """Give nodes between an end, where the angle is 0, and the mean."""
    least = math.asin(math.sqrt(float(special.betaincinv(df / 2, other / 2, _NEGLIGIBLE))))
    edges = np.linspace(least, most, 3)
    if tails:
        edges = np.concatenate([[0.0], edges[1] * 10.0 ** np.arange(-10, 1, 2), edges[2:]])
    nodes, weights = (_NODES, _WEIGHTS) if tails else (_FEW_NODES, _FEW_WEIGHTS)
    half = np.diff(edges)[:, np.newaxis] / 2
    return (edges[:-1, np.newaxis] + half * (1.0 + nodes)).ravel(), (half * weights).ravel()
