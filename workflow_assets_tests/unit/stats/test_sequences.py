"""Testing after every replicate, and when to stop."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workflow_assets.stats.comparisons import compare
from workflow_assets.stats.decisions import Decision, undecidable_reason
from workflow_assets.stats.sequences import (
    Until,
    sequential,
    sequential_mean_difference,
    sequential_share_difference,
    sequential_shares,
    sequential_t,
)

RNG = np.random.default_rng(5)
Y = RNG.normal(size=40)
X = Y + RNG.normal(0.8, 1.0, 40)
PASSED_X, PASSED_Y = RNG.random(40) < 0.8, RNG.random(40) < 0.4
ARMS = {"sequential_t": (X, Y), "sequential_shares": (PASSED_X, PASSED_Y)}
CLAIMS = [("greater", 0.0), ("less", -0.2), ("two-sided", 0.1), ("equivalent", 0.9)]

each = pytest.mark.parametrize("test", sorted(ARMS))


@each
@pytest.mark.parametrize(("alternative", "margin"), CLAIMS)
def test_a_sequence_is_its_test_after_every_replicate(test, alternative, margin):
    """Each p of a sequence is that of the test asked after so many replicates, and falls only."""
    x, y = ARMS[test]
    course = sequential(x, y, test=test, alternative=alternative, margin=margin)
    for n in (2, 7, 40):
        alone = compare(test, x[:n], y[:n], paired=True, alternative=alternative, margin=margin)
        assert course.p[n - 1] == pytest.approx(alone.p, rel=1e-12)
        assert course.estimates[n - 1] == pytest.approx(alone.statistic)
    assert np.all(np.diff(course.p) <= 0)
    assert np.all(course.p >= np.minimum(1, 1 / course.e_values.max()) * (1 - 1e-12))
    assert course.n.tolist() == list(range(1, 41))


@each
def test_bounds_never_widen_and_end_within_those_of_the_effect(test):
    """The bounds of a sequence are nested, and lie within the interval after all replicates."""
    x, y = ARMS[test]
    course = sequential(x, y, test=test)
    assert np.all(np.diff(course.low[np.isfinite(course.low)]) >= 0)
    assert np.all(np.diff(course.high[np.isfinite(course.high)]) <= 0)
    measure = sequential_mean_difference if test == "sequential_t" else sequential_share_difference
    effect = measure(x, y, paired=True)
    assert effect.low <= course.low[-1] <= course.high[-1] <= effect.high
    assert course.width == course.high[-1] - course.low[-1]


@each
def test_the_interval_leaves_out_what_the_test_rejects(test):
    """A margin just below the lower bound is supported by these replicates, and one just above it is not."""
    x, y = ARMS[test]
    measure = sequential_mean_difference if test == "sequential_t" else sequential_share_difference
    low = measure(x, y, paired=True, confidence=0.9).low
    ever = sequential(x, y, test=test, alternative="greater", margin=low + 1e-6).e_values
    assert ever[-1] < 20
    assert sequential(x, y, test=test, alternative="greater", margin=low - 1e-6).e_values[-1] > 20


def test_a_real_effect_is_decided_and_stays_decided():
    """Supported at some look, and at every one after it; its opposite is refuted."""
    course = sequential(X, Y, alternative="greater")
    assert course.decision is Decision.SUPPORTED
    first = course.decided_at
    assert first is not None
    assert 5 <= first < 40
    assert set(course.decisions[first - 1 :]) == {Decision.SUPPORTED}
    opposite = sequential(X, Y, alternative="less")
    assert opposite.decision is Decision.REFUTED
    assert sequential(X, Y, alternative="greater", margin=0.8).decided_at is None


def test_bounds_that_contradict_each_other_stay_where_they_were():
    """When the truth seems to move, the bounds neither cross nor raise."""
    noise = np.random.default_rng(0).normal(size=60) / 10
    values = noise + np.repeat([0.0, 50.0], [20, 40])
    course = sequential(values, np.zeros(60))
    assert np.all(course.low <= course.high)
    assert course.high[-1] < 1


def test_differences_that_do_not_vary_yet_bind_nothing():
    """Six equal differences have an interval of no width, which is forgotten as soon as they vary."""
    x = [1.0] * 8 + [2.0, 0.0, 3.0, -1.0, 4.0, 2.0]
    course = sequential(np.array(x) + Y[: len(x)], Y[: len(x)])
    assert course.width > 0.5


@pytest.mark.parametrize("shift", [30.0, 0.1, 1e-3])
def test_a_constant_difference_is_detected(shift):
    """The same difference in every pair speaks as loudly as n signs that agree, rounding or not."""
    result = sequential_t(Y[:10] + shift, Y[:10], alternative="greater")
    assert result.p == pytest.approx(2.0**-10)
    effect = sequential_mean_difference(Y[:10] + shift, Y[:10], paired=True)
    assert effect.high - effect.low <= 1e-12


def test_differences_of_zero_say_nothing():
    """Two arms that agree in every pair are evidence neither way, and never a crash."""
    assert sequential_t(Y, Y).p == 1
    assert sequential_shares(PASSED_X, PASSED_X).p == 1


def test_unpaired_arms_are_compared_in_their_order():
    """The values of the larger arm wait for a partner, and the note says so."""
    result = sequential_t(X, Y[:30], paired=False, alternative="greater")
    assert result.n == (30, 30)
    assert result.paired is False
    assert result.p == sequential_t(X[:30], Y[:30], alternative="greater").p
    assert "10 values of the larger arm have no partner yet" in result.note


@pytest.mark.parametrize("unit", [1e-200, 1e-3, 1e200])
def test_units_change_nothing(unit):
    """Bounds and p follow the unit of the metric, however extreme."""
    plain, scaled = sequential(X, Y, margin=0.1), sequential(X * unit, Y * unit, margin=0.1 * unit)
    assert scaled.p == pytest.approx(plain.p, rel=1e-9)
    assert scaled.low[10:] / unit == pytest.approx(plain.low[10:], rel=1e-9)


values = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 0.1, 0.3, 1e150, -1e150, 1e-150]))


@given(pairs=st.lists(st.tuples(values, values), min_size=2, max_size=15), claim=st.sampled_from(CLAIMS))
def test_a_sequence_is_never_nan(pairs, claim):
    """Whatever is measured, p lies in (0, 1] and no bound is NaN."""
    x, y = zip(*pairs, strict=True)
    assume(undecidable_reason(x, y, paired=True) is None)
    course = sequential(x, y, alternative=claim[0], margin=claim[1])
    assert np.all((course.p > 0) & (course.p <= 1))
    assert np.all(course.low <= course.high)
    assert np.all(np.isfinite(course.e_values) & (course.e_values >= 0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sequential(X, Y, test="sequential"), "no sequential test called 'sequential'"),
        (lambda: sequential(X, Y, alpha=0.0), "alpha is 0.0"),
        (lambda: sequential(X, Y, first=0), "first is 0"),
        (lambda: sequential(X, Y, first=41), "there are 40 pairs, and the first look is after 41"),
        (lambda: sequential(X, Y[:-1]), "paired arms need one partner"),
        (lambda: sequential_t(X, np.full(40, math.nan)), r"y\[0\] is nan"),
        (lambda: sequential_shares(X, PASSED_Y), r"x\[0\] is .*use sequential_t"),
        (lambda: sequential_shares(PASSED_X, PASSED_Y, margin=1.0), "margin is 1"),
        (lambda: sequential_mean_difference(X[:5], Y[:5], paired=True), "5 pairs are too few for bounds"),
        (lambda: sequential_mean_difference(X, Y, paired=True, confidence=95), "confidence is 95"),
        (lambda: sequential_mean_difference(X, Y, paired=True, variance_inflation=0.5), "variance_inflation"),
        (lambda: Until(n_max=5, first=10), "first is 10 and n_max 5"),
        (lambda: Until(n_max=50, batch=0), "batch is 0"),
        (lambda: Until(n_max=50, width=0.0), "width is 0.0"),
    ],
)
def test_what_cannot_be_asked_is_refused(call, message):
    """One clear sentence says what is wrong and what to do."""
    with pytest.raises(ValueError, match=message):
        call()


def test_overlapping_replicates_widen_the_interval():
    """An inflated variance makes the interval wider by its root."""
    plain = sequential_mean_difference(X, Y, paired=True)
    wider = sequential_mean_difference(X, Y, paired=True, variance_inflation=4.0)
    assert wider.high - wider.low == pytest.approx(2 * (plain.high - plain.low))
    share = sequential_share_difference(PASSED_X, PASSED_Y, paired=True, variance_inflation=100.0)
    assert (share.low, share.high) == (-1.0, 1.0)


# ----------------------------------------------------------------------------------------------------- when to stop


def test_one_goes_on_until_all_is_decided_or_the_end():
    """Batches are added up to n_max, and none after the decision."""
    until = Until(n_max=22, first=10, batch=5)
    looks, n = [], 0
    while more := until.next_n(n, decisions=["inconclusive"]):
        n = more
        looks.append(n)
    assert looks == [10, 15, 20, 22]
    assert until.next_n(15, decisions=[Decision.SUPPORTED, Decision.REFUTED]) is None
    assert until.next_n(15, decisions=["supported", "undecidable"]) == 20
    assert until.next_n(5, decisions=["supported"]) == 10
    assert until.reason(15, decisions=["refuted"]) == "every claim is decided"
    assert until.reason(22, decisions=["inconclusive"]) == "there are 22 replicates, as many as there may be"
    assert until.reason(20, decisions=["inconclusive"]) == ""


def test_one_may_go_on_until_it_is_known_well_enough():
    """A width is a reason to stop on its own, or together with the decision."""
    narrow = Until(n_max=50, decided=False, width=0.5)
    assert narrow.next_n(10, widths=[0.6, 0.2]) == 15
    assert narrow.next_n(15, widths=[0.5, 0.2]) is None
    both = Until(n_max=50, width=0.5)
    assert both.next_n(10, decisions=["supported"], widths=[0.6]) == 15
    assert both.next_n(10, decisions=["inconclusive"], widths=[0.1]) == 15
    assert both.reason(10, decisions=["supported"], widths=[0.1]) == (
        "every claim is decided; every interval is at most 0.5 wide"
    )
    assert Until(n_max=50, decided=False).next_n(10, decisions=["supported"]) == 15
