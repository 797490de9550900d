"""What is told by drawing from the data again."""

import math

import numpy as np
import pytest

from workflow_assets.stats import bootstraps
from workflow_assets.stats.bootstraps import (
    bca_bounds,
    bootstrap,
    bootstrap_interval,
    bootstrap_mean_difference,
    jackknife,
)
from workflow_assets.stats.claims import ALTERNATIVES, Alternative
from workflow_assets.stats.samples import two_samples

RNG = np.random.default_rng(7)
X, Y = RNG.normal(0.5, 1.0, 14), RNG.normal(size=14)


def difference(x, y):
    return x.mean(axis=-1) - y.mean(axis=-1)


def generator():
    return np.random.default_rng(1)


@pytest.mark.parametrize("paired", [True, False])
def test_the_interval_holds_what_the_test_does_not_reject(paired):
    """Given the same draws, a shift just inside the interval is not rejected and one just outside is."""
    effect = bootstrap_mean_difference(X, Y, paired=paired, confidence=0.9, rng=generator(), resamples=999)
    sides: tuple[tuple[float, Alternative], ...] = ((effect.low, "greater"), (-effect.high, "less"))
    for bound, side in sides:
        rejected, kept = (
            bootstrap(
                X, Y, paired=paired, alternative=side, margin=bound + step, rng=generator(), resamples=999
            ).p
            for step in (-1e-6, 1e-6)
        )
        assert rejected <= 0.05 < kept


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("paired", [True, False])
def test_draws_do_not_depend_on_how_many_fit_in_memory(method, paired, monkeypatch):
    """Splitting the draws into blocks changes no interval."""
    options = {"paired": paired, "method": method, "resamples": 500}
    at_once = bootstrap_interval(difference, X, Y, rng=generator(), **options)
    monkeypatch.setattr(bootstraps, "CELLS_AT_ONCE", 50)
    assert bootstrap_interval(difference, X, Y, rng=generator(), **options) == pytest.approx(
        at_once, rel=1e-12
    )


def test_pairs_are_drawn_as_pairs():
    """Of paired arms that differ by a constant every resample does, of independent ones none need."""
    shifted = Y + 3.0
    paired = bootstrap_interval(difference, shifted, Y, paired=True, rng=generator(), resamples=199)
    assert paired == pytest.approx((3.0, 3.0, 3.0))
    unpaired = bootstrap_interval(difference, shifted, Y, paired=False, rng=generator(), resamples=199)
    assert unpaired.high - unpaired.low > 0.5


@pytest.mark.parametrize("arms", [(X,), (X, Y), (X, Y, X + Y)], ids=len)
def test_any_number_of_arms(arms):
    """A statistic of one arm, two or three has an interval, paired or not."""

    def total(*arms):
        return sum(arm.mean(axis=-1) for arm in arms)

    for paired in (True, False):
        interval = bootstrap_interval(total, *arms, paired=paired, rng=generator(), resamples=199)
        assert interval.low < interval.estimate < interval.high


def test_an_estimate_at_the_edge_has_its_percentiles():
    """Where no resample exceeds the estimate there is no bias to correct: the percentiles are given, and no NaN."""
    for method in ("percentile", "bca"):
        interval = bootstrap_interval(
            lambda x: x.max(axis=-1), X, paired=False, rng=generator(), resamples=999, method=method
        )
        assert X.min() < interval.low < interval.high == X.max()


def test_a_statistic_without_influence_has_no_acceleration():
    """Where leaving out any value changes nothing, the bounds are still numbers."""
    replicates = np.linspace(0.0, 1.0, 199)
    low, high = bca_bounds(replicates, 0.5, np.zeros(10), 0.95)
    assert low == pytest.approx(1 - high)
    assert bca_bounds(np.full(199, 0.3), 0.1 + 0.2, np.zeros(10), 0.95) == (0.1 + 0.2, 0.1 + 0.2)


def test_a_great_acceleration_stays_in_the_data():
    """However skewed the influence, the bounds are quantiles of the resamples, in order."""
    replicates = np.random.default_rng(3).normal(size=999)
    influence = np.array([1.0] + [0.0] * 50)
    low, high = bca_bounds(replicates, 2.5, influence, 0.9999)
    assert replicates.min() <= low <= high <= replicates.max()


def test_influence_is_told_by_leaving_out():
    """Of a mean, the influence of a value is its distance from it; unpaired, over the size of its arm."""
    one = jackknife(lambda x: x.mean(axis=-1), [X], paired=True)
    assert one == pytest.approx(X - X.mean())
    two = jackknife(difference, [X, Y[:5]], paired=False)
    expected = np.concatenate([(X - X.mean()) / 14, -(Y[:5] - Y[:5].mean()) / 5])
    assert two == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: bootstrap_interval(difference, X, Y, paired=True, rng=generator(), method="basic"),  # type: ignore[arg-type]
            "method is 'basic'",
        ),
        (lambda: bootstrap_interval(difference, paired=True, rng=generator()), "nothing to draw from"),
        (lambda: bootstrap_interval(difference, X, Y, paired=True, rng=generator(), confidence=95), "confidence is 95"),
        (lambda: bootstrap_interval(difference, X, Y[:5], paired=True, rng=generator()), "the arms have 14 and 5"),
        (lambda: bootstrap_interval(difference, [1.0], Y, paired=False, rng=generator()), "give at least 2"),
        (lambda: bootstrap_interval(difference, X, Y, paired=True, rng=generator(), resamples=38), "at least 39"),
        (lambda: bootstrap_interval(np.square, X, paired=True, rng=generator()), "along the last axis"),
        (
            lambda: bootstrap_interval(
                lambda x: np.where(x[..., 0] > 0, 1.0, np.inf), X, paired=True, rng=generator()
            ),
            "the statistic is not finite in",
        ),
        (lambda: bootstrap(X, Y, paired=True), "pass rng="),
        (lambda: bootstrap(X, Y, paired=True, rng=generator(), resamples=0), "resamples is 0"),
        (lambda: bootstrap(Y + 30.0, Y, paired=True, rng=generator()), "the difference is the same in every pair"),
        (lambda: bootstrap_mean_difference(X, Y, paired=True), "pass rng="),
        (
            lambda: bootstrap_mean_difference(X, Y, paired=True, rng=generator(), method="normal"),  # type: ignore[arg-type]
            "method is 'normal'",
        ),
        (
            lambda: bootstrap_mean_difference(X[:2], Y[:2], paired=True, rng=generator()),
            "too many resamples of 2 and 2 values have no spread",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(call, message):
    """What cannot be drawn from, or not be told from the draws, is refused with what to do."""
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("paired", [True, False])
def test_few_values_give_no_small_p(paired):
    """Two values in each arm, however far apart the arms, are no evidence: half of their resamples do not vary."""
    result = bootstrap(
        [100.0, 101.5], [0.0, 0.1], paired=paired, alternative="greater", rng=generator(), resamples=999
    )
    assert result.p > 0.05


@pytest.mark.parametrize("paired", [True, False])
def test_p_is_never_zero_and_says_how_it_was_drawn(paired):
    """However clear the difference, p is at least one over one more than the draws."""
    result = bootstrap(X + 100.0, Y, paired=paired, alternative="greater", rng=generator(), resamples=499)
    assert (result.p, result.exact, result.note) == (1 / 500, False, "bootstrap: 499 resamples drawn")


def test_a_constant_difference_has_no_width():
    """A difference that is the same in every pair is what it is, by whichever method."""
    for method in ("studentised", "percentile", "bca"):
        effect = bootstrap_mean_difference(Y + 30.0, Y, paired=True, rng=generator(), method=method)
        assert (effect.low, effect.high) == pytest.approx((30.0, 30.0))


def test_other_methods_are_those_of_the_interval():
    """The percentile interval of the mean difference is that of the statistic of one's own."""
    effect = bootstrap_mean_difference(
        X, Y, paired=False, rng=generator(), method="percentile", resamples=199
    )
    interval = bootstrap_interval(
        difference, X, Y, paired=False, rng=generator(), method="percentile", resamples=199
    )
    assert (effect.estimate, effect.low, effect.high) == pytest.approx(tuple(interval))


def test_t_of_resamples_is_welchs():
    """Each t is the shift of its resample from the data over Welch's standard error of the resample."""
    arms = two_samples(X, Y[:9], paired=False)
    (indices,) = bootstraps.draws([arms.x, arms.y], paired=False, rng=generator(), resamples=50)
    t = bootstraps.studentised(arms, paired=False, rng=generator(), resamples=50)
    x, y = arms.x[indices[0]], arms.y[indices[1]]
    shift = difference(x, y) - (arms.x.mean() - arms.y.mean())
    error = np.sqrt(x.var(axis=1, ddof=1) / 14 + y.var(axis=1, ddof=1) / 9)
    assert t == pytest.approx(shift / error, rel=1e-9)


def test_resamples_without_spread_are_infinitely_far():
    """A resample of one value, many times, has an infinite t on the side of that value, or 0 at the mean."""
    t = bootstraps._t_values([np.array([[1.0, 1.0], [-1.0, -1.0], [0.0, 0.0], [0.1, 0.3]])])
    assert t[:3].tolist() == [math.inf, -math.inf, 0.0]
    assert t[3] == pytest.approx(2.0)


def test_equal_arms_have_no_first():
    """Of two arms with the same values, neither claim about them is the likelier one."""
    for margin in (0.0, 0.3):
        sides = [
            bootstrap(
                X, X[::-1], paired=False, alternative=side, margin=margin, rng=generator(), resamples=199
            ).p
            for side in ALTERNATIVES[:2]
        ]
        assert sides[0] == pytest.approx(sides[1], rel=1e-12)
