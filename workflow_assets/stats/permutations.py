"""Permutation tests: how many of the ways in which the data could have fallen look at least as extreme.

Called as every test is, with a claim about x - y (`claims`).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from workflow_assets.stats.claims import Alternative, Comparison, Direction, Tail, judge, prepare
from workflow_assets.stats.samples import FloatArray, is_constant

# 2**16 = 65,536 patterns of signs are enumerated; beyond that they are drawn.
ENUMERATED = 16
CELLS_AT_ONCE = 2_000_000


def sign_flip(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
    rng: np.random.Generator | None = None,
    resamples: int = 9_999,
) -> Comparison:
    """Test a mean difference by asking how many patterns of signs would look at least as extreme.

    Fisher's (1935) randomization test for pairs: if the claim is false at its very edge, each difference beyond the
    margin was as likely to have the opposite sign. It divides by no spread, so it judges constant differences too. The
    statistic is the mean difference. Exact when all differences beyond the margin are equal in size (for 0/1 values it
    is McNemar's exact test), or when at most 16 are not zero (65,536 patterns); else `resamples` patterns are drawn
    from `rng` and p = (1 + extreme ones) / (1 + resamples), after Phipson and Smyth (2010). Assumes differences that
    are symmetric about the margin.

    >>> baseline = [0.94, 0.76, 2.00, 1.58, 1.54]
    >>> sign_flip([value + 30.0 for value in baseline], baseline, alternative="greater").p
    0.03125
    """
    samples = prepare(x, y, alternative, margin, paired=True)
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}: draw at least one pattern of signs")
    mean = samples.restore(float(samples.differences().mean()))
    seed = None if rng is None else int(rng.integers(2**63))  # both tails look at the same draws

    def tail(direction: Direction) -> Tail:
        beyond = samples.beyond_margin(direction)
        kept = beyond != 0
        values, m = beyond[kept], int(kept.sum())
        if m == 0:
            return Tail(mean, 1.0, exact=True, note="every difference equals the margin")
        draws = None if seed is None else np.random.default_rng(seed)
        share = share_of_sign_patterns(values, samples.magnitudes[kept], rng=draws, resamples=resamples)
        note = "" if share.exact else f"Monte Carlo: {resamples:,} patterns of signs drawn"
        return Tail(mean, share.p, exact=share.exact, note=note)

    return judge("sign_flip", samples, tail, alternative, margin, paired=True)


class Share(NamedTuple):
    """A share of permutations, as a p-value; `exact` when all of them were counted."""

    p: float
    exact: bool


def share_of_sign_patterns(
    values: FloatArray, magnitudes: FloatArray, *, rng: np.random.Generator | None, resamples: int
) -> Share:
    """Count the patterns of signs under which these differences would add up to at least what they do.

    The values must not be zero (a zero has no sign to flip: leaving it out changes nothing); `magnitudes` are those of
    the numbers that each value was computed from, and say how much of it is rounding: a tie with the observed pattern
    always counts, and so does the observed pattern itself. Three ways, the first that applies:

    - all values equal in size: the number of positive signs is binomial (m, 1/2), exact for any m;
    - at most 16 values: every pattern is counted;
    - else `resamples` patterns are drawn and p = (1 + extreme ones) / (1 + resamples), which is never 0 (Phipson and
      Smyth 2010, "Permutation p-values should never be zero").

    >>> share_of_sign_patterns(np.array([1.0, 2.0, -0.5]), np.ones(3), rng=None, resamples=9_999)
    Share(p=0.25, exact=True)
    """
    m = values.size
    if is_constant(np.abs(values), scale=magnitudes):
        return Share(float(special.bdtrc(int(np.sum(values > 0)) - 1, m, 0.5)), exact=True)
    # A pattern is as extreme when the values that it leaves positive add up to at least the sum of all.
    rounding = 1e-10 * np.abs(values).sum() + 1e-14 * magnitudes.sum()
    least = float(values.sum() - rounding)
    if m <= ENUMERATED:
        sums = np.zeros(1)
        for value in values:
            sums = np.concatenate([sums, sums + value])
        return Share(float(np.mean(sums >= least)), exact=True)
    if rng is None:
        raise ValueError(
            f"{m} differences have too many patterns of signs to count: pass rng= to draw from them"
        )
    return Share((1 + _extreme_draws(values, least, resamples, rng)) / (1 + resamples), exact=False)


def _extreme_draws(values: FloatArray, least: float, resamples: int, rng: np.random.Generator) -> int:
    bytes_per_row = -(-values.size // 8)
    rows = max(1, CELLS_AT_ONCE // values.size)
    extreme = 0
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        raw = np.frombuffer(rng.bytes(count * bytes_per_row), dtype=np.uint8).reshape(count, bytes_per_row)
        positive = np.unpackbits(raw, axis=1, count=values.size)
        extreme += int(np.sum(positive @ values >= least))
    return extreme
