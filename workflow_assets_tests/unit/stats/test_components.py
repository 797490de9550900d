"""Components of variance: what is told, what is refused, and what to replicate next."""

import itertools

import numpy as np
import pytest

from workflow_assets.stats.components import variance_components

RNG = np.random.default_rng(5)
PLATES = [str(plate) for plate in range(5) for _ in range(4)]
VALUES = RNG.normal(size=5).repeat(4) + RNG.normal(size=20)
FOUND = variance_components(VALUES, {"plate": PLATES})


def test_shares_add_up_and_intervals_hold_the_estimates() -> None:
    assert sum(one.share for one in FOUND.components) == pytest.approx(1.0)
    assert all(one.low <= one.variance <= one.high for one in FOUND.components)
    assert (FOUND.method, dict(FOUND.numbers)) == ("anova", {"plate": 5, "replicate": 4})


@pytest.mark.parametrize("size", [1e-100, 1e100])
@pytest.mark.parametrize("count", [20, 19])
def test_units_do_not_matter(size: float, count: int) -> None:
    plain = variance_components(VALUES[:count], {"plate": PLATES[:count]})
    scaled = variance_components(VALUES[:count] * size, {"plate": PLATES[:count]})
    for one, other in zip(plain.components, scaled.components, strict=True):
        assert other.variance == pytest.approx(one.variance * size**2, rel=1e-5)


def test_a_negative_component_is_0_and_told() -> None:
    found = variance_components([1.0, 5.0, 9.0, 2.0, 5.0, 8.0], {"plate": list("aaabbb")})
    assert found.components[0].variance == 0.0
    assert found.notes == ("the variance of plate came out negative and is set to 0",)


def test_one_missing_value_changes_the_method_and_little_else() -> None:
    found = variance_components(VALUES[:-1], {"plate": PLATES[:-1]})
    assert found.method == "reml"
    assert "unbalanced" in found.notes[0]
    for one, other in zip(found.components, FOUND.components, strict=True):
        assert one.variance == pytest.approx(other.variance, rel=0.5)
        assert one.low <= one.variance <= one.high


def test_the_variance_of_the_mean_is_that_of_the_group_means() -> None:
    means = VALUES.reshape(5, 4).mean(axis=1)
    assert FOUND.variance_of_mean(FOUND.numbers) == pytest.approx(means.var(ddof=1) / 5)


def test_no_other_allocation_within_the_budget_is_better() -> None:
    costs = {"plate": 7.0, "replicate": 2.0}
    best = FOUND.allocate(costs, 100.0)
    assert best.cost <= 100.0
    others = [
        FOUND.variance_of_mean({"plate": p, "replicate": r})
        for p, r in itertools.product(range(1, 15), range(1, 50))
        if 7 * p + 2 * p * r <= 100
    ]
    assert best.variance == pytest.approx(min(others))


@pytest.mark.parametrize(
    ("values", "levels", "options", "told"),
    [
        ([1.0, 1.0, 1.0, 1.0], {"a": list("xxyy")}, {}, "no variance to split"),
        ([1.0, 2.0, 3.0], {"a": list("xxyy")}, {}, "'a' has 4 levels and there are 3 values"),
        ([1.0, 2.0], {"a": list("xx")}, {}, "'a' has 1 groups, no more than the level above"),
        ([1.0, 2.0, 3.0, 4.0], {"a": list("xxyy"), "b": list("0000")}, {}, "'b' has 2 groups"),
        ([1.0, 2.0], {"a": list("xy"), "b": list("00")}, {"crossed": True}, "'b' has one level only"),
        ([1.0, 2.0], {"a": list("xy")}, {"crossed": True}, "there are 1 crossed sources"),
        ([1.0, 2.0], {}, {}, "no sources of variation"),
        ([1.0, float("nan")], {"a": list("xy")}, {}, "every value must be a finite number"),
        ([1e300, -1e300, 0.0, 1.0], {"a": list("xxyy")}, {}, "rescale them"),
        ([1.0, 2.0], {"a": list("xy")}, {"confidence": 2}, "confidence is 2"),
    ],
)
def test_what_cannot_be_split_is_refused(values, levels, options, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        variance_components(values, levels, **options)


def test_costs_and_numbers_are_checked() -> None:
    with pytest.raises(ValueError, match="give a positive one for each"):
        FOUND.allocate({"plate": 1.0}, 10.0)
    with pytest.raises(ValueError, match="one of each level costs 9, more than 5"):
        FOUND.allocate({"plate": 7.0, "replicate": 2.0}, 5.0)
    with pytest.raises(ValueError, match="give one for each of"):
        FOUND.variance_of_mean({"plate": 2})
    with pytest.raises(ValueError, match="give 1 or more"):
        FOUND.variance_of_mean({"plate": 0, "replicate": 1})
