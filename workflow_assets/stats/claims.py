"""Claims: what is said about the difference of two arms, and what one test answers.

`x` holds the treatment's values and `y` those it is compared against. "greater" claims x - y > margin, "less" claims
x - y < -margin, "two-sided" claims |x - y| > margin, so a positive margin always asks for more than zero and a negative
one (one-sided only) asks for non-inferiority. "equivalent" claims |x - y| < margin. Every test is built of one-sided
tails: a two-sided p is twice the smaller one, at most 1 (for margin 0 the ordinary two-sided test); that of equivalence
is the larger one, of the tests that x - y lies above -margin and that it lies below margin (two one-sided tests,
Schuirmann 1987).

A p-value is never 0, and a test that cannot be computed raises ValueError with the reason instead of answering NaN.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy.typing as npt

from workflow_assets.stats.samples import LARGEST, Samples, missing_evidence, two_samples

Alternative = Literal["greater", "less", "two-sided", "equivalent"]
Direction = Literal[1, -1]

ALTERNATIVES: tuple[Alternative, ...] = ("greater", "less", "two-sided", "equivalent")


def check_claim(alternative: Alternative, margin: float) -> None:
    """Refuse a claim that cannot be stated: an unknown alternative, or a margin without a meaning.

    The margin is measured in the direction of the claim: "greater" claims x - y > margin, "less" claims
    x - y < -margin, "two-sided" claims |x - y| > margin, "equivalent" claims |x - y| < margin. A negative margin is
    non-inferiority in the first two, and has no meaning in the others.

    >>> check_claim("greater", -0.01)
    >>> check_claim("two-sided", -0.01)
    Traceback (most recent call last):
    ValueError: margin is -0.01, but "two-sided" claims |x - y| > margin: give 0 or more, or choose a direction
    """
    if alternative not in ALTERNATIVES:
        raise ValueError(
            f"alternative is {alternative!r}: choose one of {', '.join(map(repr, ALTERNATIVES))}"
        )
    if not abs(margin) <= LARGEST:
        raise ValueError(f"margin is {margin!r}: give a finite number, in the units of the metric")
    if alternative == "two-sided" and margin < 0:
        raise ValueError(
            f'margin is {margin}, but "two-sided" claims |x - y| > margin: give 0 or more, or choose a direction'
        )
    if alternative == "equivalent" and margin <= 0:
        raise ValueError(
            f'margin is {margin}, but "equivalent" claims |x - y| < margin: give the largest difference that does '
            f"not matter"
        )


def check_alpha(alpha: float) -> None:
    """Refuse what is no accepted rate of false claims."""
    if not 0 < alpha < 1:
        raise ValueError(
            f"alpha is {alpha}: give the accepted rate of false claims, between 0 and 1, as in 0.05"
        )


def possible(p: float) -> float:
    """Bring what was computed to where a p-value lies, above 0 and at most at 1, whatever rounding did to it.

    >>> possible(1.0000000000000002), possible(0.0) > 0
    (1.0, True)
    """
    return min(1.0, max(p, sys.float_info.min))


def check_p(p: float) -> None:
    """Refuse what is no p-value."""
    if not 0 < p <= 1:
        raise ValueError(f"p is {p}: a p-value lies above 0 and at most at 1")


@dataclass(frozen=True)
class Comparison:
    """What one test says about one claim.

    `statistic` belongs to the test (t; the positive rank sum W+; the U of x; the mean difference) and always speaks of
    x - y; `df` is None where the test has none. `n` holds the sizes of x and y, `exact` says that p comes from the
    complete null distribution of the statistic, `note` what a reader of the verdict should know about how it was
    computed.

    >>> from workflow_assets.stats.means import paired_t
    >>> paired_t([2.0, 3.0, 5.0], [1.0, 1.0, 1.0], alternative="greater").n
    (3, 3)
    """

    test: str
    statistic: float
    df: float | None
    p: float
    alternative: Alternative
    margin: float
    n: tuple[int, int]
    paired: bool
    exact: bool
    note: str

    def __post_init__(self) -> None:
        check_p(self.p)


class Tail(NamedTuple):
    """One side of a test: the statistic, told about x - y, and the probability of one at least as extreme."""

    statistic: float
    p: float
    df: float | None = None
    exact: bool = False
    note: str = ""


def prepare(
    x: npt.ArrayLike, y: npt.ArrayLike, alternative: Alternative, margin: float, *, paired: bool
) -> Samples:
    """Take two arms and a claim about them, or say what is wrong with either.

    Raises ValueError, also where no method at all could judge these arms.
    """
    check_claim(alternative, margin)
    samples = two_samples(x, y, paired=paired, margin=-margin if alternative == "equivalent" else margin)
    reason = missing_evidence(samples)
    if reason is not None:
        raise ValueError(reason)
    return samples


def judge(
    test: str,
    samples: Samples,
    tail: Callable[[Direction], Tail],
    alternative: Alternative,
    margin: float,
    *,
    paired: bool,
) -> Comparison:
    """Make one result of the one or two tails that the claim asks for."""
    if alternative == "equivalent":
        result = max(tail(1), tail(-1), key=lambda side: side.p)
    elif alternative == "two-sided":
        result = min(tail(1), tail(-1), key=lambda side: side.p)
        result = result._replace(p=min(1.0, 2.0 * result.p))
    else:
        result = tail(1 if alternative == "greater" else -1)
    return Comparison(
        test=test,
        statistic=result.statistic,
        df=result.df,
        p=possible(result.p),
        alternative=alternative,
        margin=margin,
        n=samples.sizes,
        paired=paired,
        exact=result.exact,
        note=result.note,
    )
