"""Permutation tests: how many of the ways in which the data could have fallen look at least as extreme.

Called as every test is, with a claim about x - y (`claims`).
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from workflow_assets.stats.claims import Alternative, Comparison, Direction, Tail, judge, prepare
from workflow_assets.stats.counts import at_least, at_least_drawn
from workflow_assets.stats.samples import FloatArray, is_constant, merge_ties

# 2**16 = 65,536 patterns of signs are enumerated; beyond that they are drawn.
ENUMERATED = 16
# So many divisions into two arms are enumerated: all up to 10 + 10 values (184,756).
DIVISIONS = 200_000
CELLS_AT_ONCE = 32_000_000
# Bits are drawn with a probability in steps of 1/64, and the rest is mended one by one.
STEPS = 6

Bytes = npt.NDArray[np.uint8]


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
    _check_resamples(resamples, "pattern of signs")
    mean = samples.restore(float(samples.differences().mean()))
    seed = _seed(rng)

    def tail(direction: Direction) -> Tail:
        beyond = samples.beyond_margin(direction)
        kept = beyond != 0
        values, m = beyond[kept], int(kept.sum())
        if m == 0:
            return Tail(mean, 1.0, exact=True, note="every difference equals the margin")
        share = share_of_sign_patterns(
            values, samples.magnitudes[kept], rng=_again(seed), resamples=resamples
        )
        note = "" if share.exact else f"Monte Carlo: {resamples:,} patterns of signs drawn"
        return Tail(mean, share.p, exact=share.exact, note=note)

    return judge("sign_flip", samples, tail, alternative, margin, paired=True)


def permutation(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
    rng: np.random.Generator | None = None,
    resamples: int = 9_999,
) -> Comparison:
    """Test a difference of means of unpaired arms by asking how many divisions would look at least as extreme.

    Fisher (1935), Pitman (1937); R: coin::oneway_test(distribution = "exact"). The statistic is the plain difference of
    the means, so this is a test of whether both arms, the margin taken off, come from one distribution: it is exact for
    any such distribution and any sizes, ties and constant arms included. It is not one of the means alone where spreads
    differ: arms of unequal size and spread make it err too often or too seldom, and `welch_t` is made for them.

    Exact where the arms, the margin taken off, hold two values only (for 0/1 values it is Fisher's exact test), or can
    be divided in at most 200,000 ways (10 + 10 values); else `resamples` divisions are drawn from `rng` and
    p = (1 + extreme ones) / (1 + resamples), which is never 0 (Phipson and Smyth 2010). A two-sided p is twice the
    smaller side, as everywhere here; coin counts divisions whose absolute difference is as large, which is the same for
    arms of equal size. Sums that differ by rounding only are ties, which count.

    >>> permutation([5.1, 4.9, 6.2, 5.7], [4.1, 4.6, 4.4], alternative="greater").p == 1 / 35
    True
    """
    samples = prepare(x, y, alternative, margin, paired=False)
    _check_resamples(resamples, "division")
    difference = samples.restore(float(samples.x.mean() - samples.y.mean()))
    seed = _seed(rng)

    def tail(direction: Direction) -> Tail:
        upper, lower = (samples.x, samples.y) if direction == 1 else (samples.y, samples.x)
        magnitudes = np.maximum(np.abs(np.concatenate([upper, lower])), abs(samples.margin))
        share = share_of_divisions(
            upper - samples.margin, lower, magnitudes, rng=_again(seed), resamples=resamples
        )
        note = "" if share.exact else f"Monte Carlo: {resamples:,} divisions into two arms drawn"
        return Tail(difference, share.p, exact=share.exact, note=note)

    return judge("permutation", samples, tail, alternative, margin, paired=False)


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
        return Share(at_least(int(np.sum(values > 0)), m, 0.5), exact=True)
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
    extreme = 0
    for count in _blocks(resamples, m):
        positive = _bytes(rng, count, -(-m // 8))
        extreme += int(np.sum(_sums(positive, values) >= least))
    return Share((1 + extreme) / (1 + resamples), exact=False)


def share_of_divisions(
    upper: FloatArray,
    lower: FloatArray,
    magnitudes: FloatArray,
    *,
    rng: np.random.Generator | None,
    resamples: int,
) -> Share:
    """Count the divisions of all values into arms of these sizes under which the upper one adds up to at least as much.

    `magnitudes` are those of the numbers from which the values, upper ones first, were computed: what is only rounding
    is a tie, and ties count. Three ways, the first that applies: two different values only (hypergeometric), few
    divisions (all are counted), else `resamples` drawn ones.

    >>> share_of_divisions(np.array([3.0, 4.0]), np.array([1.0, 2.0]), np.ones(4), rng=None, resamples=9_999)
    Share(p=0.16666666666666666, exact=True)
    """
    pooled = merge_ties(np.concatenate([upper, lower]), magnitudes)
    n_upper, n = upper.size, pooled.size
    high = pooled > pooled.min()
    if np.unique(pooled).size <= 2:
        return Share(at_least_drawn(int(high[:n_upper].sum()), n_upper, int(high.sum()), n), exact=True)
    # As what lies above some middle adds up: the common part of all values would cost digits. The smaller arm is
    # divided off, and it must add up to at most the observed sum where it is the lower one.
    side = 1.0 if n_upper <= n - n_upper else -1.0
    centred = side * (pooled - np.median(pooled))
    drawn = centred[:n_upper] if side == 1 else centred[n_upper:]
    rounding = 1e-14 * (np.abs(centred).sum() + magnitudes.sum())
    least, k = float(drawn.sum() - rounding), drawn.size
    centred.sort()
    if math.comb(n, k) <= DIVISIONS:
        return Share(float(np.mean(_subset_sums(centred, k) >= least)), exact=True)
    if rng is None:
        raise ValueError(
            f"{n_upper} and {n - n_upper} values can be divided in too many ways to count: pass rng= to draw from them"
        )
    extreme = 0
    for count in _blocks(resamples, n):
        extreme += int(np.sum(_sums(_subsets(rng, count, k, n), centred) >= least))
    return Share((1 + extreme) / (1 + resamples), exact=False)


def _check_resamples(resamples: int, what: str) -> None:
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}: draw at least one {what}")


def _seed(rng: np.random.Generator | None) -> int | None:
    """Draw one seed for both tails, which are to look at the same draws."""
    return None if rng is None else int(rng.integers(2**63))


def _again(seed: int | None) -> np.random.Generator | None:
    return None if seed is None else np.random.default_rng(seed)


def _blocks(resamples: int, size: int) -> Iterator[int]:
    """Divide so many draws of so many values into blocks that fit into memory."""
    rows = max(1, CELLS_AT_ONCE // size)
    for start in range(0, resamples, rows):
        yield min(rows, resamples - start)


def _bytes(rng: np.random.Generator, rows: int, width: int) -> Bytes:
    """Draw fair bits, eight in a byte: a column for each draw, so that the bytes of one place lie together."""
    raw = np.frombuffer(rng.bytes(rows * width), dtype=np.uint8).reshape(rows, width)
    return np.ascontiguousarray(raw.T)


def _sums(chosen: Bytes, values: FloatArray) -> FloatArray:
    """Add up the values whose bits are set: a table of 256 sums for each eight of them, looked up byte by byte."""
    eights = np.zeros(chosen.shape[0] * 8)
    eights[: values.size] = values
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    tables = eights.reshape(-1, 8) @ bits.T.astype(np.float64)
    sums = np.zeros(chosen.shape[1])
    for table, column in zip(tables, chosen, strict=True):
        sums += table[column]
    return sums


def _subset_sums(values: FloatArray, k: int) -> FloatArray:
    """Add up each subset of k values."""
    sums = [np.zeros(1), *[np.zeros(0)] * k]
    for i, value in enumerate(values):
        for j in range(k, max(0, k - (values.size - i)), -1):
            sums[j] = np.concatenate([sums[j], sums[j - 1] + value])
    return sums[k]


def _subsets(rng: np.random.Generator, rows: int, k: int, n: int) -> Bytes:
    """Draw subsets of k out of n, all equally likely; laid out as `_bytes`.

    Each element is drawn by itself, with a probability near k/n; whatever size that gives, all subsets of this size are
    equally likely, and stay so when elements chosen at random are added or taken away until there are k.
    """
    width = -(-n // 8)
    # Taking away from a small arm is slow, as most of what is tried is not in it: rather draw too few than too many.
    share = max(0, int((k - 2 * math.sqrt(k) * (1 - 2 * k / n)) / n * (1 << STEPS)))
    chosen = np.zeros((width, rows), dtype=np.uint8)
    for step in range(STEPS):
        if chosen.any() or share >> step & 1:
            drawn = _bytes(rng, rows, width)
            chosen = chosen | drawn if share >> step & 1 else chosen & drawn
    chosen[-1] &= 256 - (1 << (8 * width - n))
    missing = k - np.bitwise_count(chosen).sum(axis=0, dtype=np.int64)
    open_rows = np.flatnonzero(missing)
    while open_rows.size:
        element = rng.integers(n, size=open_rows.size)
        place, bit = element >> 3, (128 >> (element & 7)).astype(np.uint8)
        fits = ((chosen[place, open_rows] & bit) == 0) == (missing[open_rows] > 0)
        row = open_rows[fits]
        chosen[place[fits], row] ^= bit[fits]
        missing[row] -= np.sign(missing[row])
        open_rows = open_rows[missing[open_rows] != 0]
    return chosen
