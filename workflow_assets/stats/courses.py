"""Courses: what pairs say about their mean difference, after the first, the second, and so on to the last.

One class for each test martingale of `martingales`; their numbers are those of `sequences`.
"""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from workflow_assets.stats.claims import Alternative, Direction, prepare
from workflow_assets.stats.martingales import (
    betting_bounds,
    log_betting,
    log_student,
    running_squares,
    student_bounds,
)
from workflow_assets.stats.samples import ROUNDING_ULPS, FloatArray, Samples

ALL = slice(None)


class Matched(NamedTuple):
    """Two arms of equal size, ready to be compared, and how many values of the larger one have no partner yet."""

    samples: Samples
    waiting: int


class Course(Protocol):
    """Evidence, estimates and bounds after each pair, in the unit of the metric."""

    def log_evidence(self, direction: Direction) -> FloatArray:
        """Give the log e-values of the claim that the difference lies beyond the margin, in this direction."""

    def estimates(self) -> FloatArray:
        """Give the mean difference so far."""

    def bounds(self, level: float, after: slice = ALL) -> tuple[FloatArray, FloatArray]:
        """Give the differences that are not refuted, at a level for each of the two directions, after some pairs."""


class NormalCourse:
    """Differences that are normal, of whatever spread.

    >>> pairs = matched([3.0, 5.0, 4.0, 6.0], [1.0, 2.0, 3.0, 3.0], "greater", 0.0, paired=True)
    >>> [round(float(e), 2) for e in np.exp(NormalCourse(pairs.samples).log_evidence(1))]
    [1.5, 2.9, 4.44, 10.04]
    """

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        differences = samples.differences()
        # Differences that are the same but for rounding are made the same, so that they do not seem to vary.
        noise = (
            ROUNDING_ULPS * np.finfo(np.float64).eps * np.maximum(samples.magnitudes, samples.magnitudes[0])
        )
        same = np.abs(differences - differences[0]) <= noise
        self._mean, self._squares = running_squares(np.where(same, differences[0], differences))
        self._n = np.arange(1.0, differences.size + 1)

    def log_evidence(self, direction: Direction) -> FloatArray:
        """Give the log e-values of the claim, in this direction."""
        gap = direction * self._mean - self._samples.margin
        noise = ROUNDING_ULPS * np.finfo(np.float64).eps * np.maximum.accumulate(self._samples.magnitudes)
        return log_student(np.where(np.abs(gap) <= noise, 0.0, gap), self._squares, self._n)

    def estimates(self) -> FloatArray:
        """Give the mean difference so far."""
        return np.ldexp(self._mean, self._samples.exponent)

    def bounds(self, level: float, after: slice = ALL) -> tuple[FloatArray, FloatArray]:
        """Give the differences that are refuted in neither direction."""
        low, high = student_bounds(self._mean[after], self._squares[after], self._n[after], level)
        return np.ldexp(low, self._samples.exponent), np.ldexp(high, self._samples.exponent)


class ShareCourse:
    """Differences of values that are 0 or 1.

    Raises ValueError for other values, and for a margin that no difference of shares can reach.

    >>> pairs = matched([1, 1, 0, 1], [0, 0, 0, 0], "greater", 0.0, paired=True)
    >>> [round(float(e), 2) for e in np.exp(ShareCourse(pairs.samples).log_evidence(1))]
    [1.5, 2.33, 2.33, 3.75]
    """

    def __init__(self, samples: Samples) -> None:
        margin = samples.restore(samples.margin)
        for name, arm in (("x", samples.x), ("y", samples.y)):
            values = np.ldexp(arm, samples.exponent)
            wrong = np.flatnonzero((values != 0) & (values != 1))
            if wrong.size:
                raise ValueError(
                    f"{name}[{wrong[0]}] is {values[wrong[0]]:g}: shares are of values that are 0 or 1; "
                    f"use sequential_t for others"
                )
        if not abs(margin) < 1:
            raise ValueError(
                f"margin is {abs(margin):g}: a difference of shares lies between -1 and 1, and so must the margin"
            )
        self._margin = margin
        signs = np.sign(samples.x - samples.y)
        self._wins, self._ties, self._losses = (
            np.cumsum(signs == sign).astype(np.float64) for sign in (1, 0, -1)
        )

    def log_evidence(self, direction: Direction) -> FloatArray:
        """Give the log e-values of the claim, in this direction."""
        ends = (self._wins, self._losses)[::direction]
        return log_betting(ends[0], self._ties, ends[1], self._margin)

    def estimates(self) -> FloatArray:
        """Give the mean difference so far."""
        return (self._wins - self._losses) / (self._wins + self._ties + self._losses)

    def bounds(self, level: float, after: slice = ALL) -> tuple[FloatArray, FloatArray]:
        """Give the differences that are refuted in neither direction."""
        return betting_bounds(self._wins[after], self._ties[after], self._losses[after], level)


def matched(
    x: npt.ArrayLike, y: npt.ArrayLike, alternative: Alternative, margin: float, *, paired: bool
) -> Matched:
    """Take two arms and a claim; unpaired ones are paired in their order, as far as both go.

    >>> matched([1.0, 2.0, 4.0, 3.0], [0.0, 5.0, 1.0], "greater", 0.0, paired=False).waiting
    1
    """
    both = prepare(x, y, alternative, margin, paired=paired)
    k = min(both.sizes)
    first = prepare(np.asarray(x)[:k], np.asarray(y)[:k], alternative, margin, paired=True)
    return Matched(first, max(both.sizes) - k)
