"""Assignments share treatments out evenly, and lose as little of the effects as may be."""

from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest

from workflow_assets.stats.assignments import assign
from workflow_assets.stats.terms import efficiencies


def dealt(levels, blocks, size, seed=1):
    """Deal all combinations of factors, and say what is kept of each term."""
    combos = list(product(*(map(str, range(count)) for count in levels)))
    factors = {name: [one[place] for one in combos] for place, name in enumerate("abcd"[: len(levels)])}
    made = assign(factors, len(combos), blocks, size, np.random.default_rng(seed))
    runs = [(treatment, str(block)) for block, held in enumerate(made) for treatment in held]
    of = {name: [every[treatment] for treatment, _ in runs] for name, every in factors.items()}
    return made, efficiencies(of, [block for _, block in runs])


@pytest.mark.parametrize(
    ("treatments", "blocks", "size"), [(4, 6, 2), (5, 10, 2), (6, 10, 3), (7, 7, 3), (7, 7, 4), (9, 12, 3)]
)
@pytest.mark.parametrize("seed", range(3))
def test_balanced_incomplete_blocks_are_found_where_there_are_any(treatments, blocks, size, seed):
    """Each pair of treatments shares equally many blocks, which is as much as blocks can keep."""
    made, kept = dealt([treatments], blocks, size, seed)
    pairs = Counter(pair for held in made for pair in combinations(held, 2))
    assert len(pairs) == treatments * (treatments - 1) // 2
    assert len(set(pairs.values())) == 1
    assert kept["a"] == pytest.approx(treatments * (size - 1) / (size * (treatments - 1)))


def test_interactions_of_three_are_given_up_first():
    _, kept = dealt([2, 2, 2], 2, 4)
    assert set(kept.values()) == {1.0}


def test_main_effects_are_kept_where_interactions_cannot_be():
    """Of eight runs in four pairs, four contrasts are left: too few for six terms."""
    _, kept = dealt([2, 2, 2], 4, 2)
    assert [kept[name] for name in "abc"] == [1.0, 1.0, 1.0]
    assert 0.0 in kept.values()


def test_all_are_dealt_equally_often():
    made, _ = dealt([3, 2], 7, 4)
    assert sorted(Counter(one for held in made for one in held).values()) == [4, 4, 5, 5, 5, 5]
    assert all(len(set(held)) == 4 for held in made)


def test_the_generator_deals():
    assert dealt([3, 2], 4, 3, seed=1)[0] == dealt([3, 2], 4, 3, seed=1)[0]
    assert dealt([3, 2], 4, 3, seed=1)[0] != dealt([3, 2], 4, 3, seed=2)[0]
