"""Likelihoods: variance components of unbalanced data, by restricted maximum likelihood."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from workflow_assets.stats.samples import FloatArray

FLOOR = 1e-10
"""Below this the variance within groups is not followed: the likelihood of groups without any has no maximum."""
CEILING = 1e6
"""Beyond this an interval is open: y is 1 at most."""


class Restricted:
    """The restricted deviance of y ~ 1 + random groups, as a function of the variances; that within groups is the last.

    Patterson and Thompson (1971). The values are rotated into as many numbers as there are groups, and the sum of
    squares of the rest, which knows the variance within groups only.
    """

    def __init__(self, y: FloatArray, groups: Sequence[npt.NDArray[np.int64]]) -> None:
        members = [np.eye(int(codes.max()) + 1)[codes] for codes in groups]
        centred = [one - one.mean(axis=0) for one in members]
        left, sizes, _ = np.linalg.svd(np.hstack(centred), full_matrices=False)
        axes = left[:, sizes > 1e-9 * sizes[0]]
        y = y - y.mean()
        self.y = axes.T @ y
        self.shapes = [(axes.T @ one) @ (axes.T @ one).T for one in centred]
        self.freedom = y.size - 1 - self.y.size
        self.square = float(np.sum((y - axes @ self.y) ** 2))

    def __call__(self, variances: FloatArray) -> float:
        """Give minus twice the restricted log-likelihood, without its constant."""
        return self._parts(variances)[0]

    def slopes(self, variances: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Give the slopes of the deviance, and the curvature that is expected of it (Fisher's)."""
        _, inverse, fitted = self._parts(variances)
        noise = float(variances[-1])
        turned = [inverse @ shape for shape in self.shapes] + [inverse]
        slopes = [
            np.trace(one) - fitted @ shape @ fitted for one, shape in zip(turned, self.shapes, strict=False)
        ]
        within = np.trace(inverse) - fitted @ fitted + self.freedom / noise - self.square / noise**2
        curvature = np.array([[np.sum(one * other.T) for other in turned] for one in turned])
        curvature[-1, -1] += self.freedom / noise**2
        return np.array([*slopes, within]), curvature

    def _parts(self, variances: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        noise = float(variances[-1])
        whole = noise * np.eye(self.y.size)
        for variance, shape in zip(variances[:-1], self.shapes, strict=True):
            whole += variance * shape
        inverse: FloatArray = np.linalg.inv(whole).astype(np.float64)
        fitted: FloatArray = inverse @ self.y
        value = (
            np.linalg.slogdet(whole)[1]
            + self.y @ fitted
            + self.freedom * math.log(noise)
            + self.square / noise
        )
        return float(value), inverse, fitted


def reml(
    y: FloatArray, groups: Sequence[npt.NDArray[np.int64]], confidence: float
) -> list[tuple[float, float, float]]:
    """Give the variance of each kind of group and that within the finest, each with its profile-likelihood interval.

    `y` is centred, and 1 at most.
    """
    deviance = Restricted(y, groups)
    count = len(groups) + 1
    best, least = _least(deviance, np.full(count, float(y.var()) / count), None)
    allowed = float(special.chdtri(1, 1 - confidence))
    return [_bounds(deviance, best, place, least + allowed) for place in range(count)]


def _bounds(deviance: Restricted, best: FloatArray, place: int, most: float) -> tuple[float, float, float]:
    middle = float(best[place])
    warm = best.copy()

    def beyond(logarithm: float) -> float:
        nonlocal warm
        start = warm.copy()
        start[place] = math.exp(logarithm)
        warm, value = _least(deviance, start, place)
        return value - most

    low, high = 0.0, math.inf
    inside = math.log(max(middle, FLOOR))
    if middle > FLOOR and beyond(math.log(FLOOR)) > 0:
        low = math.exp(_crossing(beyond, math.log(FLOOR), inside))
    top = max(inside, math.log(float(best.sum()) / 100))
    while top < math.log(CEILING) and beyond(top) < 0:
        top += 1.0
    if top < math.log(CEILING):
        high = math.exp(_crossing(beyond, inside, top))
    return middle, min(low, middle), max(high, middle)


def _least(deviance: Restricted, start: FloatArray, held: int | None) -> tuple[FloatArray, float]:
    """Find the variances of least deviance by Fisher scoring, all but one if that is held."""
    floor = np.zeros(start.size)
    floor[-1] = FLOOR
    now = np.maximum(start, floor)
    value = deviance(now)
    for _ in range(200):
        slopes, curvature = deviance.slopes(now)
        free = ~((now <= floor) & (slopes > 0))
        if held is not None:
            free[held] = False
        if not free.any():
            break
        step = np.zeros(now.size)
        step[free] = -np.linalg.lstsq(curvature[np.ix_(free, free)], slopes[free], rcond=None)[0]
        share = 1.0
        while share > 1e-10:
            tried = np.maximum(now + share * step, floor)
            if held is not None:
                tried[held] = now[held]
            at_tried = deviance(tried)
            if at_tried <= value:
                break
            share /= 2
        else:
            break
        settled = bool(np.max(np.abs(tried - now)) <= 1e-9 * np.max(tried))
        now, value = tried, at_tried
        if settled:
            break
    return now, value


def _crossing(function: Callable[[float], float], low: float, high: float) -> float:
    """Find where a function changes its sign."""
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=1e-5)) if high > low else low
