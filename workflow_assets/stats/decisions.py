"""Decisions: from p-values and intervals to a verdict, and which test to ask in the first place."""

import math
from enum import StrEnum
from typing import NamedTuple

import numpy.typing as npt

from workflow_assets.stats.claims import Alternative, check_alpha, check_claim
from workflow_assets.stats.samples import missing_evidence, two_samples


class Decision(StrEnum):
    """What the data say about a hypothesis; each member is also its own plain text.

    >>> Decision.SUPPORTED == "supported"
    True
    """

    SUPPORTED = "supported"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"
    UNDECIDABLE = "undecidable"


class Choice(NamedTuple):
    """A test by its name in `comparisons.TESTS`, and in words why it is the one."""

    test: str
    reason: str


def decide(
    p_adjusted: float | None,
    interval: tuple[float, float] | None,
    *,
    alternative: Alternative,
    margin: float,
    alpha: float,
) -> Decision:
    """Judge a claim about x - y by its p-value, adjusted for all claims made, and by an interval of the difference.

    - supported: p is at most alpha;
    - refuted: the interval leaves no room for the claim. "greater" is refuted when all of it lies at or below the
      margin, "less" when all of it lies at or above -margin, "two-sided" when all of it lies within ±margin,
      "equivalent" when all of it lies beyond ±margin, on one side;
    - inconclusive: neither, and also both at once, which a test and an interval of different estimands can do;
    - undecidable: there is no p-value or no interval (None).

    The interval is not adjusted for the number of claims: refuting guards against overlooking an effect, not against
    imagining one. A bound that equals the margin up to rounding counts as equal to it.

    >>> decide(0.003, (0.4, 1.6), alternative="greater", margin=0.0, alpha=0.05)
    <Decision.SUPPORTED: 'supported'>
    >>> decide(0.997, (-1.6, -0.4), alternative="greater", margin=0.0, alpha=0.05)
    <Decision.REFUTED: 'refuted'>
    """
    check_claim(alternative, margin)
    check_alpha(alpha)
    if p_adjusted is None or interval is None:
        return Decision.UNDECIDABLE
    low, high = interval
    if not (0 <= p_adjusted <= 1 and low <= high):
        raise ValueError(f"p is {p_adjusted} and the interval {interval}: neither may be NaN or out of order")
    supported = p_adjusted <= alpha
    match alternative:
        case "greater":
            refuted = _at_most(high, margin)
        case "less":
            refuted = _at_most(-margin, low)
        case "two-sided":
            refuted = _at_most(high, margin) and _at_most(-margin, low)
        case "equivalent":
            refuted = _at_most(margin, low) or _at_most(high, -margin)
    if supported == refuted:
        return Decision.INCONCLUSIVE
    return Decision.SUPPORTED if supported else Decision.REFUTED


def undecidable_reason(x: npt.ArrayLike, y: npt.ArrayLike, *, paired: bool) -> str | None:
    """Name the reason for which these two arms can decide nothing; None when they can.

    Raises ValueError for input that is not two arms of finite numbers, and for paired arms of differing lengths.

    >>> undecidable_reason([0.0] * 10, [30.0] * 10, paired=True)
    'both arms are constant: nothing varies, so chance cannot be judged'
    """
    return missing_evidence(two_samples(x, y, paired=paired))


def choose_test(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    boolean: bool,
    overlap: float | None,
    margin: float = 0.0,
) -> Choice:
    """Choose the test for `test="auto"`, by how the replicates were made and never by how the values came out.

    `boolean` says that the metric is 0 or 1 in each replicate, `overlap` is the test fraction of replicates that
    re-split one data set (None: independent replicates). Normality is no gate: a test of it has no power where it would
    matter and rejects where it would not, and choosing by it spoils the p-value of what follows. The one look at the
    values is for a difference without any spread, which a t-test would divide by.

    Raises ValueError for arms that nothing can decide; ask `undecidable_reason` first.

    >>> choose_test([0.9, 0.8, 0.7], [0.5, 0.6, 0.6], paired=True, boolean=False, overlap=0.3).test
    'corrected_resampled_t'
    """
    samples = two_samples(x, y, paired=paired, margin=margin)
    reason = missing_evidence(samples)
    if reason is not None:
        raise ValueError(reason)
    optimistic = (
        "the replicates re-split one data set, which this test cannot correct for, so its p is optimistic"
    )
    if not paired:
        choice = _choose_unpaired(boolean=boolean, margin=margin)
    elif samples.constant_difference():
        choice = Choice(
            "sign_flip",
            "the difference is the same in every pair, and dividing by a zero spread is impossible: "
            "sign-flip asks how likely such agreement of signs is by chance",
        )
    elif overlap is not None:
        return Choice(
            "corrected_resampled_t",
            f"the replicates re-split one data set (test fraction {overlap:g}), so their differences are correlated: "
            f"the t-test with the variance correction of Nadeau and Bengio",
        )
    elif boolean:
        choice = Choice(
            "sign_flip",
            "paired 0/1 values: sign-flip counts the pairs that disagree (McNemar's exact test)"
            if margin == 0
            else "paired 0/1 values: sign-flip on the differences beyond the margin",
        )
    else:
        choice = Choice("paired_t", "paired by replicate: Student's t on the differences of the pairs")
    return choice if overlap is None else choice._replace(reason=f"{choice.reason}; {optimistic}")


def _choose_unpaired(*, boolean: bool, margin: float) -> Choice:
    if boolean and margin == 0:
        return Choice(
            "mann_whitney",
            "unpaired 0/1 values: ranks with tie correction compare the two shares with their pooled variance, which "
            "holds up when one arm is all 0 or all 1",
        )
    return Choice(
        "welch_t",
        "unpaired: Welch's t, which lets the two arms spread differently"
        + (" (a margin on shares cannot be tested by ranks)" if boolean else ""),
    )


def _at_most(value: float, bound: float) -> bool:
    return value <= bound or math.isclose(value, bound, rel_tol=1e-12)
