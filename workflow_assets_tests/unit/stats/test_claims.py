"""What can be claimed of two arms, and how one answer is made of its tails."""

from functools import partial

import numpy as np
import pytest

from workflow_assets.stats.claims import check_claim
from workflow_assets.stats.comparisons import TESTS, compare
from workflow_assets.stats.decisions import decide
from workflow_assets.stats.methods import METHODS

X = [0.912, 0.934, 0.907, 0.948, 0.921, 0.939, 0.915, 0.957, 0.926, 0.943, 0.902, 0.931]
Y = [0.898, 0.921, 0.913, 0.929, 0.905, 0.941, 0.896, 0.930, 0.919, 0.914, 0.904, 0.916]


@pytest.mark.parametrize(
    ("alternative", "margin", "message"),
    [
        ("larger", 0.0, "alternative is 'larger': choose one of 'greater', 'less', 'two-sided'"),
        ("greater", float("nan"), "margin is nan"),
        ("less", float("inf"), "margin is inf"),
        ("two-sided", -0.1, 'margin is -0.1, but "two-sided" claims'),
        ("equivalent", 0.0, 'margin is 0.0, but "equivalent" claims'),
        ("equivalent", -1.0, 'margin is -1.0, but "equivalent" claims'),
    ],
)
def test_refused_claims(alternative, margin, message):
    """A claim that cannot be stated is refused before anything is computed."""
    with pytest.raises(ValueError, match=message):
        check_claim(alternative, margin)


@pytest.mark.parametrize(
    "test", sorted({name for name in TESTS if not METHODS[name].shares} - {"corrected_resampled_t"})
)
def test_equivalence_is_two_one_sided_tests(test):
    """X is equivalent to y as far as it is shown to lie above -margin and below margin, by any test."""
    ask = partial(compare, test, X, Y, paired=METHODS[test].paired is not False)
    for margin in (0.001, 0.02, 0.1):
        both = ask(alternative="equivalent", margin=margin, rng=np.random.default_rng(0))
        sides = [
            ask(alternative=side, margin=-margin, rng=np.random.default_rng(0)).p
            for side in ("greater", "less")
        ]
        assert both.p == max(sides)
        assert both.margin == margin


def test_equivalence_is_refuted_by_an_interval_beyond_the_margin():
    """A difference that is surely larger than the margin refutes equivalence, on either side; one within does not."""
    equivalent = partial(decide, alternative="equivalent", margin=1.0, alpha=0.05)
    assert equivalent(0.9, (1.0, 2.0)) == equivalent(0.9, (-3.0, -1.0)) == "refuted"
    assert equivalent(0.9, (0.5, 2.0)) == "inconclusive"
    assert equivalent(0.01, (-0.5, 0.5)) == "supported"


def test_ones_own_test_gets_what_it_takes():
    """A function of one's own is asked with the aligned arms and what it names of the claim."""
    seen = []

    def own(x, y, alternative, margin):
        seen.append((x.tolist(), y.tolist(), alternative, margin))
        return 0.25

    result = compare(own, X, Y, paired=True, alternative="less", margin=0.5)
    assert (result.test, result.p, result.n, result.margin) == ("own", 0.25, (12, 12), 0.5)
    assert seen == [(X, Y, "less", 0.5)]


@pytest.mark.parametrize(
    ("own", "claim", "message"),
    [
        (lambda x, y: 0.5, {"margin": 0.1}, "has a margin of 0.1, and <lambda> takes no margin="),
        (
            lambda x, y: 0.5,
            {"alternative": "less"},
            'the claim is "less", and <lambda> takes no alternative=',
        ),
        (lambda x, y: 0.0, {}, "<lambda> gave 0.0: expected a p-value above 0"),
        (lambda x, y: float("nan"), {}, "<lambda> gave nan"),
        (lambda x, y: "significant", {}, "<lambda> gave 'significant'"),
    ],
)
def test_ones_own_test_is_not_asked_about_another_claim(own, claim, message):
    """What the function cannot take into account, and what is no p-value, is refused."""
    with pytest.raises(ValueError, match=message):
        compare(own, X, Y, paired=True, **claim)
