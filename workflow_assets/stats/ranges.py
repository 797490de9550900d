"""Ranges: how large the largest of several differences becomes by chance, all compared with one another or with one.

The distributions behind Tukey's and Dunnett's procedures, integrated by the trapezoidal rule on an axis on which the
integrand dies away smoothly at both ends, where that rule converges exponentially. The upper tail is summed as such
and not taken from 1, so that small probabilities keep their digits. They agree with nested adaptive integration to
1e-11, relative. So does R's ptukey (Copenhaver and Holland 1988) from 6 degrees of freedom and for up to a dozen means;
with 2 it is out by up to 1e-3 (for k = 2, where Student's t is known, by half: it says 0.0005 of 0.0012), and it cannot
tell apart probabilities below 1e-13. R's qtukey stops at 1e-4.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy import special

from workflow_assets.stats.samples import FloatArray

# Beyond this many standard errors every probability here is next to nothing.
FARTHEST = 60.0
_CELLS_AT_ONCE = 2_000_000


def studentized_range_sf(q: float, k: int, df: float) -> float:
    """Give the chance that the range of k normal means, in units of their standard error, is q or more.

    The standard error is estimated with `df` degrees of freedom, or known where that is infinite; as R's
    ptukey(q, k, df, lower.tail = FALSE).

    >>> round(studentized_range_sf(3.5, 3, 20.0), 6)
    0.055892
    """
    if q <= 0:
        return 1.0

    def tail(widths: FloatArray) -> FloatArray:
        # The largest mean lies at z and some other more than a width below. The integrand peaks at half the width.
        z = 0.5 * widths[:, None] + np.arange(-9.0, 9.05, 0.1)
        below = np.exp(special.log_ndtr(z - widths[:, None]) - special.log_ndtr(z))
        log_density = (k - 1) * special.log_ndtr(z) - 0.5 * z**2
        with np.errstate(divide="ignore"):
            some = -np.expm1((k - 1) * np.log1p(-below))
        total: FloatArray = np.sum(np.exp(log_density) * some, axis=1) * (0.1 * k / math.sqrt(2 * math.pi))
        return total

    return _studentized(tail, q, df, curvature=0.5)


def dunnett_sf(d: float, shares: FloatArray, df: float, *, two_sided: bool) -> float:
    """Give the chance that the largest of several t statistics against one control is d or more.

    `shares` holds for each treatment n / (n + the control's n), from which the correlation of two statistics follows:
    the root of the product of their shares (Dunnett 1955). `df` belongs to the common error. Two-sided, the largest in
    size.

    >>> round(dunnett_sf(2.5, np.array([0.5, 0.5]), 12.0, two_sided=True), 6)
    0.050212
    """
    if two_sided and d <= 0:
        return 1.0
    loads = np.sqrt(shares)
    rests = np.sqrt(1.0 - shares)
    step = 0.2 * max(float(rests.min()), 0.005)

    def tail(widths: FloatArray) -> FloatArray:
        # Given the control's deviation z, the treatments are independent of each other.
        far = 9.0 + float(loads.max()) * min(float(np.max(np.abs(widths))), FARTHEST)
        z = np.arange(-far, far + step, step)
        weights = np.exp(-0.5 * z**2) * (step / math.sqrt(2 * math.pi))
        rows = max(1, _CELLS_AT_ONCE // z.size)
        parts = []
        for start in range(0, widths.size, rows):
            width = widths[start : start + rows, None]
            log_none = np.zeros((width.size, z.size))
            for load, rest in zip(loads, rests, strict=True):
                beyond = special.ndtr((load * z - width) / rest)
                if two_sided:
                    beyond = beyond + special.ndtr((-load * z - width) / rest)
                with np.errstate(divide="ignore"):
                    log_none += np.log1p(-np.minimum(beyond, 1.0))
            parts.append(-np.expm1(log_none) @ weights)
        return np.concatenate(parts)

    return _studentized(tail, d, df, curvature=1.0)


def upper_point(sf: Callable[[float], float], p: float) -> float:
    """Give the point that is exceeded with probability p.

    >>> round(upper_point(lambda q: studentized_range_sf(q, 3, 20.0), 0.05), 4)
    3.5779
    """
    from scipy import optimize

    low, high = -1.0, 1.0
    while sf(high) > p:
        low, high = high, 2.0 * high
    while sf(low) < p:
        low, high = 2.0 * low, low
    return float(optimize.brentq(lambda point: math.log(sf(point) / p), low, high, xtol=1e-13, rtol=1e-14))


def _studentized(
    tail: Callable[[FloatArray], FloatArray], point: float, df: float, *, curvature: float
) -> float:
    """Average tail(point * s) over the estimate s of a standard deviation of 1 with so many degrees of freedom.

    On the axis of log s, around the peak of the integrand for a tail that falls like exp(-curvature w² / 2).
    """
    if math.isinf(df):
        return min(1.0, float(tail(np.array([min(point, FARTHEST)]))[0]))
    point = min(point, 1e150)
    centre = 0.5 * math.log(df / (df + curvature * max(point, 0.0) ** 2))
    step = min(0.1, 0.4 / math.sqrt(2.0 * df))
    left = 40.0 / df + math.sqrt(40.0 / df)
    right = min(9.0 / df, -centre)
    right = min(right + math.sqrt(40.0 / df), 3.0 + 0.5 * math.log(1.0 + 40.0 / df))
    log_s = centre + np.arange(-left, right + step, step)
    log_density = df * (log_s - 0.5 * np.expm1(2.0 * log_s)) + _log_constant(df)
    widths = np.clip(point * np.exp(log_s), -FARTHEST, FARTHEST)
    kept = log_density > -800.0
    if not kept.any():
        return 0.0
    total = float(np.sum(np.exp(log_density[kept]) * tail(widths[kept]))) * step
    return min(1.0, total)


def _log_constant(df: float) -> float:
    """Give the logarithm of 2 (df/2)**(df/2) exp(-df/2) / gamma(df/2), without cancellation for large df."""
    a = 0.5 * df
    if a < 50.0:
        return math.log(2.0) + a * math.log(a) - a - math.lgamma(a)
    stirling = 1 / (12 * a) - 1 / (360 * a**3) + 1 / (1260 * a**5)
    return math.log(2.0) + 0.5 * math.log(a / (2.0 * math.pi)) - stirling
