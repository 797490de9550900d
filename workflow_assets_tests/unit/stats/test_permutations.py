"""Counting and drawing patterns of signs, and divisions into two arms."""

from itertools import combinations, product

import numpy as np
import pytest

from workflow_assets.stats.permutations import (
    ENUMERATED,
    _subsets,
    permutation,
    share_of_divisions,
    share_of_sign_patterns,
)


def share(values, rng=None, resamples=9_999):
    values = np.asarray(values, dtype=np.float64)
    return share_of_sign_patterns(values, np.ones(values.size), rng=rng, resamples=resamples)


def brute_force(values):
    """Go through every pattern, in whole numbers."""
    patterns = list(product([1, -1], repeat=len(values)))
    sums = [sum(sign * value for sign, value in zip(pattern, values, strict=True)) for pattern in patterns]
    return sum(total >= sum(values) for total in sums) / len(patterns)


@pytest.mark.parametrize(
    "values", [[1, 2, 3], [5, -2, 1, 1], [-3, -1, -4], [1, -2, 1], [7, 7, -1, 3, 2, 2], [1, -1]]
)
def test_counts_equal_brute_force(values):
    """The exact share is that of going through all patterns one by one."""
    assert share(values) == (brute_force(values), True)


def test_tenths_tie_like_whole_numbers():
    """Sums that are equal on paper tie, although 0.1 + 0.2 is not 0.3 in floating point."""
    whole = [1, 2, 3, -4, 2, 6]
    tenths = np.array(whole) / 10
    assert share(tenths) == share(whole) == (brute_force(whole), True)


@pytest.mark.parametrize(("positive", "negative"), [(30, 0), (20, 10), (0, 3), (500, 500)])
def test_equal_sizes_are_binomial(positive, negative):
    """Equal differences are exact for any number of them: the signs follow a binomial distribution."""
    from scipy import stats

    p, exact = share([0.3] * positive + [-0.3] * negative)
    assert exact
    assert p == pytest.approx(stats.binom.sf(positive - 1, positive + negative, 0.5), rel=1e-12)


def test_enumeration_stops_at_its_bound():
    """Up to the bound all patterns are counted, beyond it they are drawn."""
    values = np.arange(1.0, ENUMERATED + 2)
    assert share(values[:ENUMERATED]).exact
    assert not share(values, rng=np.random.default_rng(0)).exact


def test_drawing_needs_a_generator():
    """Without a generator nothing is drawn, least of all from a global one."""
    with pytest.raises(
        ValueError, match="17 differences have too many patterns of signs to count: pass rng="
    ):
        share(np.arange(1.0, 18.0))


def test_drawn_share_is_near_the_counted_one():
    """Draws agree with the complete count within their standard error."""
    rng = np.random.default_rng(3)
    values = rng.normal(0.15, 1.0, size=ENUMERATED)
    counted = share(values).p
    # Zeros would not change the count; a tiny seventeenth value hardly does, and forces drawing.
    drawn = share([*values, 1e-6], rng=rng).p
    assert drawn == pytest.approx(counted, abs=4 * np.sqrt(counted * (1 - counted) / 9_999))


def test_drawn_p_is_never_zero():
    """However extreme the data, the observed pattern itself is one of those that count."""
    p, exact = share(1000.0 + np.arange(40.0), rng=np.random.default_rng(0), resamples=99)
    assert p == 1 / 100
    assert not exact


def test_draws_do_not_depend_on_how_many_fit_in_memory(monkeypatch):
    """Splitting the draws into blocks of whole words changes no draw."""
    values = np.random.default_rng(5).normal(0.1, 1.0, size=32)
    at_once = share(values, rng=np.random.default_rng(1), resamples=1_000)
    monkeypatch.setattr("workflow_assets.stats.permutations.CELLS_AT_ONCE", 32 * 7)
    assert share(values, rng=np.random.default_rng(1), resamples=1_000) == at_once


# ---------------------------------------------------------------------------------------------------------- divisions


def divided(upper, lower, rng=None, resamples=9_999):
    upper, lower = np.asarray(upper, dtype=np.float64), np.asarray(lower, dtype=np.float64)
    magnitudes = np.abs(np.concatenate([upper, lower]))
    return share_of_divisions(upper, lower, magnitudes, rng=rng, resamples=resamples)


def all_divisions(upper, lower):
    sums = [sum(chosen) for chosen in combinations([*upper, *lower], len(upper))]
    return sum(total >= sum(upper) for total in sums) / len(sums)


@pytest.mark.parametrize(
    ("upper", "lower"),
    [
        ([3, 4], [1, 2]),
        ([1], [5, 2, 3]),
        ([7, 1, 1, 4, 2], [3, 3]),
        ([1, 1, 2], [1, 1, 2]),
        ([5, 5], [5, 2, 2]),
    ],
)
def test_counted_divisions_equal_brute_force(upper, lower):
    """The exact share is that of going through all divisions, in tenths as in whole numbers."""
    expected = all_divisions(upper, lower)
    assert divided(upper, lower) == (pytest.approx(expected, rel=1e-12), True)
    assert divided(np.array(upper) / 10, np.array(lower) / 10).p == pytest.approx(expected, rel=1e-12)
    assert divided(np.array(upper) + 1e6, np.array(lower) + 1e6).p == pytest.approx(expected, rel=1e-12)


def test_drawn_divisions_need_a_generator():
    """Beyond what can be counted, divisions are drawn, and never from a global generator."""
    x, y = np.random.default_rng(0).normal(size=(2, 11))
    assert divided(x[:10], y[:10]).exact
    with pytest.raises(
        ValueError, match="11 and 11 values can be divided in too many ways to count: pass rng="
    ):
        divided(x, y)
    assert not divided(x, y, rng=np.random.default_rng(0)).exact
    with pytest.raises(ValueError, match="resamples is 0: draw at least one division"):
        permutation(x, y, resamples=0)


def test_drawn_divisions_are_near_the_counted_ones(monkeypatch):
    """Draws agree with the complete count within their standard error, whichever arm is the smaller one."""
    rng = np.random.default_rng(3)
    for sizes in ((9, 9), (3, 20), (20, 3)):
        upper, lower = rng.normal(0.3, 1.0, sizes[0]), rng.normal(size=sizes[1])
        counted = divided(upper, lower).p
        monkeypatch.setattr("workflow_assets.stats.permutations.DIVISIONS", 0)
        drawn = divided(upper, lower, rng=rng).p
        monkeypatch.undo()
        assert drawn == pytest.approx(counted, abs=4 * np.sqrt(counted * (1 - counted) / 9_999))


@pytest.mark.parametrize(("k", "n"), [(1, 3), (2, 5), (4, 8), (3, 17), (150, 400), (8, 16)])
def test_drawn_subsets_are_of_the_size_asked_and_equally_likely(k, n):
    """Every subset has k elements, each element is in k/n of them, and each two in their share."""
    rows = 20_000
    drawn = np.unpackbits(_subsets(np.random.default_rng(0), rows, k, n), axis=0, count=n)
    assert (drawn.sum(axis=0) == k).all()
    each = drawn.mean(axis=1)
    assert np.abs(each - k / n).max() < 5 * np.sqrt(k / n * (1 - k / n) / rows)
    both = np.mean(drawn[0] & drawn[-1])
    share = k * (k - 1) / (n * (n - 1))
    assert both == pytest.approx(share, abs=5 * np.sqrt(max(share, 1e-9) / rows))


def test_permutation_repeats_with_its_generator():
    """The same generator state gives the same p, and the number of draws bounds it from below."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(9.0, 1.0, 40), rng.normal(size=60)
    first, again = (permutation(x, y, rng=np.random.default_rng(1), resamples=999) for _ in range(2))
    assert first == again
    assert first.p == 2 / 1_000
    assert first.note == "Monte Carlo: 999 divisions into two arms drawn"
