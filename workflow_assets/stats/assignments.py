"""Assignments: which treatments share a block, where a block does not hold them all."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from workflow_assets.stats.samples import FloatArray
from workflow_assets.stats.terms import Model, model

# Swaps that are looked at: some tenths of a second.
EFFORT = 4_000_000
STARTS = 20
# An interaction that is told at the cost of a main effect is none the better: what cannot be told costs so much.
_SINGULAR = 1e-6
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
        dealt, cost = _search(everything, blocks, size, rng)
        if cost < 0.1 / _SINGULAR:
            return dealt
    return _search(_orthonormal(mains), blocks, size, rng)[0]


def _orthonormal(terms: Model) -> FloatArray:
    """Give contrasts of the treatments that span the terms, so that all of them weigh the same."""
    columns = terms.matrix[:, 1:]
    return np.linalg.qr(columns - columns.mean(axis=0))[0]


def _search(
    contrasts: FloatArray, blocks: int, size: int, rng: np.random.Generator
) -> tuple[list[list[int]], float]:
    """Find the blocks of least average variance among some thousands; give it in units of that without blocks."""
    treatments, terms = contrasts.shape
    each = blocks * size / treatments
    kept = treatments * (size - 1) / (size * (treatments - 1)) if terms == treatments - 1 else 1.0
    left = EFFORT // (100 + terms**2)
    best: tuple[list[list[int]], float] = ([], math.inf)
    for _ in range(STARTS):
        dealt = _deal(treatments, blocks, size, rng)
        information = _information(contrasts, dealt) / each
        cost = float(_costs(information[np.newaxis])[0])
        improved = True
        while improved and left > 0:
            improved = False
            for one, other in rng.permutation(list(combinations(range(blocks), 2)), axis=0):
                swaps = [
                    (i, j)
                    for i, mine in enumerate(dealt[one])
                    for j, its in enumerate(dealt[other])
                    if mine not in dealt[other] and its not in dealt[one]
                ]
                if not swaps:
                    continue
                left -= len(swaps)
                changed = information - _losses(contrasts, dealt[one], dealt[other], swaps) / each
                costs = _costs(changed)
                place = int(np.flatnonzero(costs <= costs.min() * (1 + _CLEARLY))[0])
                if costs[place] < cost * (1 - _CLEARLY):
                    i, j = swaps[place]
                    dealt[one][i], dealt[other][j] = dealt[other][j], dealt[one][i]
                    information, cost, improved = changed[place], float(costs[place]), True
        if cost < best[1] * (1 - _CLEARLY):
            best = dealt, cost
        if left <= 0 or best[1] <= 1 / kept + 1e-5:
            break
    return [sorted(block) for block in best[0]], best[1]


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
    rows = [contrasts[list(block)] for block in dealt]
    return np.asarray(sum((one - one.mean(axis=0)).T @ (one - one.mean(axis=0)) for one in rows))


def _losses(
    contrasts: FloatArray, one: Sequence[int], other: Sequence[int], swaps: Sequence[tuple[int, int]]
) -> FloatArray:
    """Say how much information each swap between two blocks costs: only the sums of the two blocks change."""
    size = len(one)
    mine, its = contrasts[list(one)], contrasts[list(other)]
    change = np.array([its[j] - mine[i] for i, j in swaps])
    loss = np.zeros((len(swaps), contrasts.shape[1], contrasts.shape[1]))
    for block, side in ((mine, 1.0), (its, -1.0)):
        before = block.sum(axis=0)
        after = before + side * change
        loss += after[:, :, np.newaxis] * after[:, np.newaxis, :] - np.outer(before, before)
    return loss / size


def _costs(information: FloatArray) -> FloatArray:
    """Give the average variance of the contrasts for each of some information matrices."""
    terms = information.shape[-1]
    inverses = np.linalg.inv(information + _SINGULAR * np.eye(terms))
    return np.asarray(np.trace(inverses, axis1=1, axis2=2) / terms)
