"""Exact probabilities of counts."""

from math import comb

import pytest

from workflow_assets.stats.counts import at_least, at_least_drawn


@pytest.mark.parametrize(
    ("k", "n", "share"), [(0, 5, 0.3), (1, 5, 0.3), (5, 5, 0.3), (0, 0, 0.5), (7, 20, 0.01)]
)
def test_binomial_tail_is_its_sum(k, n, share):
    """The tail is the sum of its probabilities."""
    total = sum(comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(k, n + 1))
    assert at_least(k, n, share) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(
    ("k", "draws", "marked", "total"),
    [(0, 3, 4, 9), (2, 3, 4, 9), (3, 3, 4, 9), (2, 5, 6, 8), (0, 5, 0, 8), (5, 5, 8, 8), (40, 50, 50, 100)],
)
def test_drawn_tail_is_its_sum(k, draws, marked, total):
    """Drawing without replacement gives the hypergeometric tail, far ones with all their digits."""
    ways = sum(comb(marked, i) * comb(total - marked, draws - i) for i in range(k, min(draws, marked) + 1))
    assert at_least_drawn(k, draws, marked, total) == pytest.approx(ways / comb(total, draws), rel=1e-12)
