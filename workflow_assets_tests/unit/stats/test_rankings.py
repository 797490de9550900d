"""Rankings: order, resampled ranks, intervals of ranks, critical differences and fronts, and what they refuse."""

import math
from typing import Any

import numpy as np
import pytest

from workflow_assets.stats.posthoc import dunnett, tukey
from workflow_assets.stats.rankings import (
    critical_difference,
    pareto_front,
    rank,
    rank_bootstrap,
    rank_intervals,
    resampled_means,
)

ARMS = {"base": [0.5, 0.6, 0.4, 0.5], "wide": [0.9, 0.8, 0.7, 0.9], "deep": [0.6, 0.9, 0.8, 0.7]}


def bootstrap(arms, **options):
    given: Any = {"best": "max", "paired": True, "rng": np.random.default_rng(1), "resamples": 500} | options
    return rank_bootstrap(arms, **given)


def test_ties_rank_in_declaration_order():
    """Equal scores keep the order in which the treatments were declared, for either direction."""
    scores = {"treat1": 0.5, "treat2": 0.5, "baseline": 0.5}
    for best in ("max", "min"):
        assert [name for name, _ in rank(scores, best=best)] == ["treat1", "treat2", "baseline"]


def test_best_comes_first_and_nan_last():
    """The best score leads, infinities have their place, and what has no score comes last."""
    scores = {"a": math.nan, "b": 1.0, "c": -math.inf, "d": 2.0, "e": math.inf, "f": math.nan}
    assert [name for name, _ in rank(scores, best="max")] == ["e", "d", "b", "c", "a", "f"]
    assert [name for name, _ in rank(scores, best="min")] == ["c", "b", "d", "e", "a", "f"]


def test_best_is_max_or_min():
    """Any other direction is refused."""
    with pytest.raises(ValueError, match="best is 'largest': choose 'max' or 'min'"):
        rank({"a": 1.0}, best="largest")  # type: ignore[arg-type]


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_the_unit_of_the_metric_changes_no_rank(paired, size):
    """Extreme units neither overflow nor vanish, and scores are in the user's."""
    one = bootstrap(ARMS, paired=paired)
    other = bootstrap({name: np.array(arm) * size for name, arm in ARMS.items()}, paired=paired)
    assert [(x.name, x.rank, x.mean_rank, x.best) for x in one] == [
        (x.name, x.rank, x.mean_rank, x.best) for x in other
    ]
    assert [x.score for x in other] == pytest.approx([x.score * size for x in one], rel=1e-12)


@pytest.mark.parametrize("paired", [True, False])
def test_ties_share_ranks_and_the_first_place(paired):
    """Constant and equal treatments share everything, in each resample."""
    arms = {"a": [0.1] * 3, "b": [0.1] * 3, "c": [0.0] * 3}
    told = [(x.rank, x.mean_rank, x.low, x.high, x.best) for x in bootstrap(arms, paired=paired)]
    assert told == [(1.5, 1.5, 1.5, 1.5, 0.5)] * 2 + [(3.0, 3.0, 3.0, 3.0, 0.0)]


def test_unequal_sizes_are_resampled_apart():
    """Two values and four; the one that is always above comes first in each resample."""
    best, other = bootstrap({"few": [5.0, 6.0], "many": [1.0, 2.0, 3.0, 4.0]}, paired=False)
    assert (best.name, best.best, other.mean_rank) == ("few", 1.0, 2.0)


def test_arms_of_one_size_are_resampled_apart_too():
    """Means of unpaired arms are uncorrelated and spread as those of single arms; paired ones move together."""
    arm, rng = np.arange(8.0), np.random.default_rng(3)
    apart = resampled_means([arm] * 3, paired=False, rng=rng, resamples=20_000)
    assert np.abs(np.corrcoef(apart, rowvar=False) - np.eye(3)).max() < 0.03
    assert apart.std(axis=0) == pytest.approx([arm.std() / math.sqrt(8)] * 3, rel=0.03)
    together = resampled_means([arm] * 3, paired=True, rng=rng, resamples=100)
    assert np.ptp(together, axis=1).max() == 0
    assert resampled_means([arm] * 3, paired=False, rng=rng, resamples=2).shape == (2, 3)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"resamples": 0}, "resamples is 0"),
        ({"confidence": 95}, "confidence 95"),
        ({"best": "most"}, "best is 'most'"),
        ({"ranker": lambda arms: {"base": 1.0, "wide": 2.0}}, "gave no score for 'deep'"),
        ({"ranker": lambda arms: [1.0, 2.0]}, "expected a number for each of 3 treatments"),
        ({"ranker": lambda arms: [1.0, 2.0, math.inf]}, "every score must be a finite number"),
    ],
)
def test_bad_arguments_are_refused(options, told):
    """What was given is named, and what was expected."""
    with pytest.raises(ValueError, match=told):
        bootstrap(ARMS, **options)


def test_one_value_is_refused_by_name():
    """Of one value nothing can be resampled."""
    with pytest.raises(ValueError, match="many has 1 value: at least 2"):
        bootstrap({"few": [5.0, 6.0], "many": [1.0]}, paired=False)


def test_a_ranker_by_order_is_one_by_name():
    """Scores in the order of the table are those of its treatments."""
    one = bootstrap(ARMS, ranker=lambda arms: {name: np.median(arm) for name, arm in arms.items()})
    assert one == bootstrap(ARMS, ranker=lambda arms: [np.median(arm) for arm in arms.values()])


def test_intervals_of_ranks_need_all_pairs():
    """A comparison with one control says nothing of the others' order."""
    with pytest.raises(ValueError, match="dunnett compares with one control"):
        rank_intervals(dunnett(ARMS, control="base"), best="max")
    intervals = dict(rank_intervals(tukey(ARMS), best="min"))
    assert intervals == {"base": (1, 1), "wide": (2, 3), "deep": (2, 3)}


def test_a_critical_difference_turns_with_the_direction():
    """The best by max is the worst by min, and groups stay the same."""
    high, low = critical_difference(ARMS, best="max"), critical_difference(ARMS, best="min")
    assert dict(high.ranks) == pytest.approx({name: 4 - value for name, value in low.ranks})
    assert {frozenset(group) for group in high.cliques} == {frozenset(group) for group in low.cliques}
    with pytest.raises(ValueError, match="all treatments are equal in every block"):
        critical_difference({"a": [1.0, 1.0], "b": [1.0, 1.0]}, best="max")
    with pytest.raises(ValueError, match="alpha is 5"):
        critical_difference(ARMS, best="max", alpha=5)


def test_equal_treatments_do_not_dominate_each_other():
    """Who is as good in every metric is on the front too, in each resample."""
    same = {"a": [1.0, 2.0], "b": [1.0, 2.0], "c": [0.0, 1.0]}
    front = pareto_front({"x": same}, {"x": "max"}, paired=True, rng=np.random.default_rng(1), resamples=50)
    assert [(one.dominated_by, one.on_front) for one in front] == [((), 1.0), ((), 1.0), (("a", "b"), 0.0)]


@pytest.mark.parametrize(
    ("metrics", "directions", "told"),
    [
        ({}, {}, "no metric given"),
        ({"x": ARMS}, {}, "no direction given for x"),
        ({"x": ARMS}, {"x": "max", "z": "min"}, "no metric called 'z'"),
        ({"x": ARMS}, {"x": "up"}, "best is 'up'"),
        ({"x": ARMS, "y": {"base": [1.0, 2.0], "wide": [1.0, 2.0]}}, {"x": "max", "y": "max"}, "y has other"),
    ],
)
def test_bad_metrics_are_refused(metrics, directions, told):
    """A trade-off is of the same treatments and replicates in each metric, each with a direction."""
    with pytest.raises(ValueError, match=told):
        pareto_front(metrics, directions, paired=True)
