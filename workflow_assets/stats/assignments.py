"""Assignments: which treatments share a block, where a block does not hold them all."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from workflow_assets.stats.samples import FloatArray
from workflow_assets.stats.terms import Model, model

# So many multiplications, some tenths of a second, are spent on a search; two blocks cost so many besides their swaps.
EFFORT = 200_000_000
_PAIR = 150_000
STARTS = 20
# What cannot be told has a variance of so many times that without blocks.
_SINGULAR = 1e-3
# Smaller differences may be rounding, which another machine does differently.
_CLEARLY = 1e-7


def assign(
    factors: Mapping[str, Sequence[Any]], treatments: int, blocks: int, size: int, rng: np.random.Generator
) -> list[list[int]]:
    """Deal treatments to blocks that hold `size` of them, each as often as the others, but for one.

    Those that share a block are chosen so that the main effects and the interactions of two are told as precisely as
    may be (A-optimality, John and Williams 1995): treatments are dealt at random, then swapped between blocks as long
    as that lowers the average variance, from several deals. Where every contrast counts, balanced incomplete block
    designs are the best of all: those of few treatments are found, of larger ones some within a percent. Interactions
    of three or more are given up first; if blocks are too few for those of two, only main effects count.

    Args:
        factors: for each factor its level in each treatment.
        treatments: how many there are.
        blocks: how many blocks.
        size: how many different treatments a block holds, fewer than there are.
        rng: deals; the same state gives the same blocks.

    >>> dealt = assign({"a": list("1234567")}, 7, 7, 3, np.random.default_rng(1))
    >>> pairs = [pair for block in dealt for pair in combinations(block, 2)]
    >>> len(pairs), len(set(pairs))  # each pair is in one block
    (21, 21)
    """
    whole = model(factors, treatments, [])
    mains = Model(whole.ground, whole.terms[: len(factors)])
    within = blocks * size - blocks
    everything = _orthonormal(whole)
    if everything.shape[1] <= within:
        dealt = _search(everything, blocks, size, rng)
        if np.linalg.matrix_rank(_information(everything, dealt), tol=1e-9) == everything.shape[1]:
            return dealt
    return _search(_orthonormal(mains), blocks, size, rng)


def _orthonormal(terms: Model) -> FloatArray:
    """Give contrasts of the treatments that span the terms, so that all of them weigh the same."""
    columns = terms.matrix[:, 1:]
    return np.linalg.qr(columns - columns.mean(axis=0))[0]


def _search(contrasts: FloatArray, blocks: int, size: int, rng: np.random.Generator) -> list[list[int]]:
    """Find the blocks of least average variance among some thousands."""
    treatments, terms = contrasts.shape
    each = blocks * size / treatments
    kept = treatments * (size - 1) / (size * (treatments - 1)) if terms == treatments - 1 else 1.0
    left = EFFORT
    best: tuple[list[list[int]], float] = ([], math.inf)
    for _ in range(STARTS):
        dealt = _deal(treatments, blocks, size, rng)
        variance = _variance(contrasts, dealt, each)
        improved = True
        while improved and left > 0:
            improved = False
            for one, other in rng.permutation(list(combinations(range(blocks), 2)), axis=0):
                swaps = _swaps(dealt[one], dealt[other])
                left -= _PAIR + len(swaps) * terms**2
                if not len(swaps) or left <= 0:
                    continue
                gains = _gains(contrasts, dealt[one], dealt[other], swaps, variance, size * each)
                i, j = swaps[np.flatnonzero(gains >= gains.max() - _CLEARLY * np.trace(variance))[0]]
                dealt[one][i], dealt[other][j] = dealt[other][j], dealt[one][i]
                changed = _variance(contrasts, dealt, each)
                if np.trace(changed) < np.trace(variance) * (1 - _CLEARLY):
                    variance, improved = changed, True
                else:
                    dealt[one][i], dealt[other][j] = dealt[other][j], dealt[one][i]
        cost = float(np.trace(variance)) / terms
        if cost < best[1] * (1 - _CLEARLY):
            best = dealt, cost
        if left <= 0 or best[1] <= (1 + _CLEARLY) / (kept + _SINGULAR):
            break
    return [sorted(block) for block in best[0]]


def _deal(treatments: int, blocks: int, size: int, rng: np.random.Generator) -> list[list[int]]:
    """Fill each block with those treatments that were dealt least often, at random among equals."""
    times = np.zeros(treatments, dtype=np.int64)
    dealt = []
    for _ in range(blocks):
        order = rng.permutation(treatments)
        block = order[np.argsort(times[order], kind="stable")[:size]]
        times[block] += 1
        dealt.append([int(one) for one in block])
    return dealt


def _information(contrasts: FloatArray, dealt: Sequence[Sequence[int]]) -> FloatArray:
    held = contrasts[np.array(dealt)]
    held = (held - held.mean(axis=1, keepdims=True)).reshape(-1, contrasts.shape[1])
    return np.asarray(held.T @ held, dtype=np.float64)


def _variance(contrasts: FloatArray, dealt: Sequence[Sequence[int]], each: float) -> FloatArray:
    """Give the covariance of the contrasts, in units of their variance without blocks."""
    information = _information(contrasts, dealt) / each
    return np.asarray(np.linalg.inv(information + _SINGULAR * np.eye(len(information))), dtype=np.float64)


def _swaps(one: Sequence[int], other: Sequence[int]) -> npt.NDArray[np.int64]:
    """Give the places in two blocks whose treatments may change places, so that no block has one twice."""
    mine, its = (np.flatnonzero(~np.isin(block, rest)) for block, rest in ((one, other), (other, one)))
    return np.stack(np.meshgrid(mine, its, indexing="ij"), axis=-1).reshape(-1, 2)


def _gains(
    contrasts: FloatArray,
    one: Sequence[int],
    other: Sequence[int],
    swaps: npt.NDArray[np.int64],
    variance: FloatArray,
    scale: float,
) -> FloatArray:
    """Say by how much each swap lowers the sum of variances.

    Only the sums of the two blocks change, which takes (a b' + b a') / scale from the information: b is the difference
    of the two treatments, a that of the sums of the two blocks plus b. The rest is Woodbury's formula.
    """
    mine, its = contrasts[list(one)], contrasts[list(other)]
    b = its[swaps[:, 1]] - mine[swaps[:, 0]]
    a = mine.sum(axis=0) - its.sum(axis=0) + b
    at, bt = a @ variance, b @ variance
    aa, ab, bb = ((left * right).sum(axis=1) for left, right in ((at, a), (at, b), (bt, b)))
    aa2, ab2, bb2 = ((left * right).sum(axis=1) for left, right in ((at, at), (at, bt), (bt, bt)))
    # The inverse of [[-aa, scale - ab], [scale - ab, -bb]], times [[aa2, ab2], [ab2, bb2]].
    determinant = aa * bb - (scale - ab) ** 2
    return np.asarray((bb * aa2 + 2 * (scale - ab) * ab2 + aa * bb2) / determinant, dtype=np.float64)
