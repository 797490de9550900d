"""Samples: the two arms of a comparison, checked once, and what rounding may have done to them.

Every test and every effect starts here, so that all of them accept the same input (1-D, finite; bools and integers are
converted), refuse the rest in the same words, and agree on when a difference is zero or constant.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

ROUNDING_ULPS = 8
LARGEST = 1e300


def is_constant(values: npt.ArrayLike, *, scale: npt.ArrayLike | None = None) -> bool:
    """Say whether these values are all the same, apart from floating-point rounding.

    Two values count as the same when each is within eight units in the last place of a common number: enough for the
    handful of additions in which two arms usually differ, and far below any spread that a measurement could resolve.
    The unit is that of the value itself, or of `scale` where that is larger: differences inherit the rounding of the
    numbers they were computed from, so pass the magnitude of the arms (one number, or one per value) to ask whether a
    *difference* is constant.

    >>> is_constant([0.3, 0.1 + 0.2])
    True
    >>> x, y = [30.1, 30.2, 30.3], [0.1, 0.2, 0.3]
    >>> differences = [a - b for a, b in zip(x, y)]
    >>> differences
    [30.0, 30.0, 30.0]
    >>> is_constant([0.1 + 0.2 - 0.3, 0.0])
    False
    >>> is_constant([0.1 + 0.2 - 0.3, 0.0], scale=0.3)
    True
    """
    array = as_sample(values, "values")
    if array.size < 2:
        return True
    magnitude = np.abs(array)
    if scale is not None:
        magnitude = np.maximum(magnitude, np.abs(np.asarray(scale, dtype=np.float64)))
    slack = ROUNDING_ULPS * np.finfo(np.float64).eps * magnitude
    return bool(np.max(array - slack) <= np.min(array + slack))


def as_sample(values: npt.ArrayLike, name: str) -> FloatArray:
    """Turn what a user measured into a 1-D array of finite floats, or say which value is in the way.

    Raises ValueError that names the array and the position of the first value that is not a finite number.

    >>> as_sample([True, False, True], "x").tolist()
    [1.0, 0.0, 1.0]
    """
    array: npt.NDArray[Any] = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(
            f"{name} has {array.ndim} dimensions: give one value per replicate, in one dimension"
        )
    if array.dtype.kind not in "biuf":
        array = np.array(
            [_as_float(value, f"{name}[{i}]") for i, value in enumerate(array.tolist())], dtype=np.float64
        )
    array = array.astype(np.float64)
    bad = np.flatnonzero(~(np.abs(array) <= LARGEST))
    if bad.size:
        first = int(bad[0])
        wanted = "a number of at most 1e300" if math.isfinite(array[first]) else "a finite number"
        raise ValueError(
            f"{name}[{first}] is {array[first]:g}, and every value must be {wanted}: "
            f"leave that replicate out, from both arms if they are paired"
        )
    return array


def _as_float(value: Any, place: str) -> float:
    if not isinstance(value, str | bytes | complex):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    raise ValueError(f"{place} is {value!r}, and every value must be a finite number")


def check_confidence(confidence: float) -> None:
    """Refuse a confidence that no interval could have.

    >>> check_confidence(95)
    Traceback (most recent call last):
    ValueError: confidence is 95: give a share from 0.5 to below 1, as in 0.95
    """
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence is {confidence}: give a share from 0.5 to below 1, as in 0.95")


@dataclass(frozen=True, eq=False)
class Samples:
    """Two arms ready to be compared, in a unit in which squares neither overflow nor vanish.

    `x`, `y` and `margin` are divided by 2**exponent, which is exact; `restore` goes back to the user's units.

    >>> arms = two_samples([3e200, 1e200], [1e200, 1e200], paired=True)
    >>> arms.restore(float(arms.differences().mean()))
    1e+200
    """

    x: FloatArray
    y: FloatArray
    margin: float
    exponent: int

    @property
    def sizes(self) -> tuple[int, int]:
        """How many values each arm has."""
        return self.x.size, self.y.size

    @property
    def magnitudes(self) -> FloatArray:
        """The magnitude, pair by pair, of the numbers that a difference is computed from."""
        return np.maximum(np.maximum(np.abs(self.x), np.abs(self.y)), abs(self.margin))

    def differences(self) -> FloatArray:
        """Give x - y pair by pair, with differences that are only rounding set to exactly zero."""
        return self._without_rounding(self.x - self.y)

    def beyond_margin(self, direction: Literal[1, -1]) -> FloatArray:
        """Give how far each pair lies beyond the margin, in the direction of the claim (1: x larger, -1: y larger)."""
        return self._without_rounding(direction * (self.x - self.y) - self.margin)

    def constant_difference(self) -> bool:
        """Say whether x - y is the same in every pair, apart from rounding."""
        return is_constant(self.x - self.y, scale=self.magnitudes)

    def both_constant(self) -> bool:
        """Say whether neither arm varies at all."""
        return is_constant(self.x) and is_constant(self.y)

    def restore(self, value: float) -> float:
        """Put a number computed here back into the units of the user's metric."""
        return math.ldexp(value, self.exponent)

    def mean_difference(self, *, paired: bool) -> tuple[float, float, float]:
        """Give the difference of the means, its standard error and the degrees of freedom of that error.

        Paired: from the differences, n - 1; an error of 0 where the difference is the same in every pair. Unpaired:
        Welch (1947), degrees of freedom after Satterthwaite (1946). In the unit of these samples.

        >>> arms = two_samples([0.0, 0.5, 0.75], [0.5, 0.25, 0.0], paired=True)
        >>> [round(value, 4) for value in arms.mean_difference(paired=True)]
        [0.1667, 0.3632, 2.0]
        """
        if paired:
            differences = self.differences()
            variance = 0.0 if self.constant_difference() else float(differences.var(ddof=1))
            return float(differences.mean()), math.sqrt(variance / differences.size), differences.size - 1.0
        shares = [0.0 if is_constant(arm) else float(arm.var(ddof=1)) / arm.size for arm in (self.x, self.y)]
        variance = sum(shares)
        if variance == 0:
            raise ValueError("neither arm varies: a standard error of zero cannot be divided by")
        part = shares[0] / variance
        df = 1.0 / (part**2 / (self.x.size - 1) + (1.0 - part) ** 2 / (self.y.size - 1))
        return float(self.x.mean() - self.y.mean()), math.sqrt(variance), df

    def _without_rounding(self, values: FloatArray) -> FloatArray:
        noise = ROUNDING_ULPS * np.finfo(np.float64).eps * self.magnitudes
        return np.where(np.abs(values) <= noise, 0.0, values)


def two_samples(x: npt.ArrayLike, y: npt.ArrayLike, *, paired: bool, margin: float = 0.0) -> Samples:
    """Take two arms as the user has them; paired arms must have one partner for every value.

    Raises ValueError for anything but two 1-D arrays of finite numbers, and for paired arms of differing lengths.

    >>> two_samples([1, 2, 3], [True, False, True], paired=True).differences().tolist()
    [0.0, 0.5, 0.5]
    """
    arms = as_sample(x, "x"), as_sample(y, "y")
    if paired and arms[0].size != arms[1].size:
        raise ValueError(
            f"x has {arms[0].size} values and y has {arms[1].size}, but paired arms need one partner for every value: "
            f"leave out the incomplete pairs, or compare them unpaired"
        )
    largest = max(abs(margin), *(float(np.max(np.abs(arm), initial=0.0)) for arm in arms))
    exponent = math.frexp(largest)[1]
    small = [np.ldexp(arm, -exponent) for arm in arms]
    return Samples(x=small[0], y=small[1], margin=math.ldexp(margin, -exponent), exponent=exponent)


def merge_ties(values: FloatArray, magnitudes: FloatArray) -> FloatArray:
    """Give values that differ by rounding only one common value, so that ranks see a tie.

    >>> merge_ties(np.array([0.1 + 0.2, 0.5, 0.3]), np.ones(3)).tolist()
    [0.3, 0.5, 0.3]
    """
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    slack = ROUNDING_ULPS * np.finfo(np.float64).eps * np.abs(magnitudes[order])
    starts = np.concatenate([[True], np.diff(ascending) > np.maximum(slack[1:], slack[:-1])])
    merged = np.empty_like(values)
    merged[order] = ascending[starts][np.cumsum(starts) - 1]
    return merged


def missing_evidence(samples: Samples) -> str | None:
    """Name the reason for which no method at all could judge these two arms; None when some can.

    >>> missing_evidence(two_samples([0.0] * 10, [30.0] * 10, paired=True))
    'both arms are constant: nothing varies, so chance cannot be judged'
    >>> missing_evidence(two_samples([1.0, 2.0], [3.0, 3.0], paired=True)) is None
    True
    """
    for name, size in zip("xy", samples.sizes, strict=True):
        if size < 2:
            return f"{name} has {size} value{'' if size == 1 else 's'}: at least 2 are needed to judge chance"
    if samples.both_constant():
        return "both arms are constant: nothing varies, so chance cannot be judged"
    return None
