"""Likelihoods: variance components of unbalanced data, by restricted maximum likelihood."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from workflow_assets.stats.samples import FloatArray

FLOOR = 1e-12
"""Below this share of the total variance, that within groups is not followed: the likelihood would have no maximum."""


class Restricted:
    """The restricted deviance of y ~ 1 + random groups, as a function of the variances; that within groups is the last.

    Written for the few groups instead of the many values, as in lme4 (Bates et al. 2015).
    """

    def __init__(self, y: FloatArray, groups: Sequence[npt.NDArray[np.int64]]) -> None:
        sizes = [int(codes.max()) + 1 for codes in groups]
        members = np.zeros((y.size, sum(sizes)))
        start = 0
        for codes, size in zip(groups, sizes, strict=True):
            members[np.arange(y.size), start + codes] = 1.0
            start += size
        self.n, self.sizes = y.size, sizes
        self.cross = members.T @ members
        self.ones, self.sums = members.sum(axis=0), members.T @ y
        self.total, self.square = float(y.sum()), float(y @ y)

    def __call__(self, variances: Sequence[float]) -> float:
        """Give minus twice the restricted log-likelihood, without its constant."""
        noise = max(float(variances[-1]), FLOOR)
        scale = np.sqrt(np.repeat(np.maximum(variances[:-1], 0.0), self.sizes) / noise)
        inner = scale[:, np.newaxis] * self.cross * scale + np.eye(scale.size)
        root = np.linalg.cholesky(inner)
        ones, sums = (np.linalg.solve(root, scale * part) for part in (self.ones, self.sums))
        weight = self.n - float(ones @ ones)
        total = self.total - float(ones @ sums)
        square = self.square - float(sums @ sums)
        log_determinant = 2.0 * float(np.log(np.diag(root)).sum())
        return (
            (self.n - 1) * math.log(noise)
            + log_determinant
            + math.log(weight)
            + (square - total**2 / weight) / noise
        )


def reml(
    y: FloatArray, groups: Sequence[npt.NDArray[np.int64]], confidence: float
) -> list[tuple[float, float, float]]:
    """Give the variance of each kind of group and that within the finest, each with its profile-likelihood interval.

    `y` is centred, and 1 at most.
    """
    deviance = Restricted(y, groups)
    count = len(groups) + 1
    start = np.full(count, float(y.var()) / count)
    best = _minimise(deviance, start)
    least = deviance(best)
    allowed = float(special.chdtri(1, 1 - confidence))
    bounds = []
    for place in range(count):

        def beyond(variance: float, place: int = place) -> float:
            return _profile(deviance, best, place, variance) - least - allowed

        low, high = 0.0, float(best[place])
        if best[place] > 10 * FLOOR and beyond(FLOOR) > 0:
            low = _crossing(beyond, FLOOR, float(best[place]))
        top = max(float(best[place]), float(y.var()) / 100)
        while beyond(top) < 0 and top < 1e6:
            top *= 2
        high = _crossing(beyond, max(float(best[place]), FLOOR), top) if top < 1e6 else math.inf
        bounds.append((float(best[place]), low, max(high, float(best[place]))))
    return bounds


def _minimise(deviance: Restricted, start: FloatArray) -> FloatArray:
    from scipy.optimize import minimize

    floor = [0.0] * (start.size - 1) + [FLOOR]
    found = minimize(deviance, start, method="Nelder-Mead", bounds=[(low, None) for low in floor],
                     options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000, "maxfev": 4000})  # fmt: skip
    return np.asarray(found.x, dtype=np.float64)


def _profile(deviance: Restricted, best: FloatArray, place: int, variance: float) -> float:
    """Give the least deviance with one variance held."""
    from scipy.optimize import minimize

    others = [index for index in range(best.size) if index != place]

    def held(rest: FloatArray) -> float:
        whole = np.empty(best.size)
        whole[others], whole[place] = np.exp(rest), variance
        return deviance(whole)

    start = np.log(np.maximum(best[others], 1e-6))
    return float(minimize(held, start, method="L-BFGS-B", bounds=[(-25.0, 15.0)] * len(others)).fun)


def _crossing(function, low: float, high: float) -> float:  # type: ignore[no-untyped-def]
    """Find where a function changes its sign, on the scale of logarithms."""
    from scipy.optimize import brentq

    return math.exp(brentq(lambda one: function(math.exp(one)), math.log(low), math.log(high), xtol=1e-4))
