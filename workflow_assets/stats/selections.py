"""Selections: order statistics of sums of two samples, which are too many to write down.

The k-th smallest of all n (n + 1) / 2 Walsh averages, or of all n m differences, is what rank-based estimates and their
intervals are made of.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from workflow_assets.stats.samples import FloatArray

# Where to stop writing all sums down, and to halve the interval that the wanted one lies in.
SUMS_AT_ONCE = 1_000_000

Ranges = npt.NDArray[np.int64]


def smallest_sums(a: FloatArray, b: FloatArray, ranks: Sequence[int], *, once: bool = False) -> list[float]:
    """Find the sums of these ranks (1: the smallest) among all sums of a value of `a` and a value of `b`.

    `once` takes a and b for one and the same sample, and each of its pairs once, with every value's pair with itself.
    Never holds more than a million sums.

    >>> smallest_sums(np.array([1.0, 2.0]), np.array([10.0, 30.0]), [1, 2, 4])
    [11.0, 12.0, 32.0]
    >>> smallest_sums(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 4.0]), [1, 2, 3, 4, 5, 6], once=True)
    [2.0, 3.0, 4.0, 5.0, 6.0, 8.0]
    """
    a, b = np.sort(a), np.sort(b)
    first = np.arange(a.size) if once else np.zeros(a.size, dtype=np.int64)
    whole = np.full(a.size, b.size)
    if int(np.sum(whole - first)) <= SUMS_AT_ONCE:
        sums = _sums(a, b, first, whole)
        places = [rank - 1 for rank in ranks]
        return [float(value) for value in np.partition(sums, sorted(set(places)))[places]]
    return [_one_sum(a, b, first, whole, rank) for rank in ranks]


def _one_sum(a: FloatArray, b: FloatArray, start: Ranges, end: Ranges, rank: int) -> float:
    """Halve the interval of values that holds the wanted one, until few enough sums are left in it."""
    least, most = float(a[0] + b[0]), float(a[-1] + b[-1])
    floor = start
    while int(np.sum(end - start)) > SUMS_AT_ONCE:
        middle = least + (most - least) / 2
        if not least < middle < most:  # more sums than that are equal
            return most if int(np.sum(np.maximum(_below(a, b, most), floor) - floor)) < rank else least
        cut = np.maximum(_below(a, b, middle), floor)
        if int(np.sum(cut - floor)) < rank:
            least, start = middle, cut
        else:
            most, end = middle, cut
    before = int(np.sum(start - floor))
    return float(np.partition(_sums(a, b, start, end), rank - 1 - before)[rank - 1 - before])


def _below(a: FloatArray, b: FloatArray, value: float) -> Ranges:
    return np.searchsorted(b, value - a, side="left").astype(np.int64)


def _sums(a: FloatArray, b: FloatArray, start: Ranges, end: Ranges) -> FloatArray:
    """Give for each value of a its sums with b[start:end]."""
    counts = end - start
    places = np.arange(int(counts.sum())) + np.repeat(start - np.cumsum(counts) + counts, counts)
    sums: FloatArray = np.repeat(a, counts) + b[places]
    return sums
