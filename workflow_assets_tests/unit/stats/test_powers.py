"""Power, and how many replicates it takes."""

import math

import numpy as np
import pytest

from workflow_assets.stats.enumerations import fisher_power
from workflow_assets.stats.means import welch_t
from workflow_assets.stats.powers import Plan

PLANS = [
    Plan("paired_t", effect=0.4, sd=1.0),
    Plan("paired_t", effect=-0.4, sd=1.0, alternative="less", margin=0.1),
    Plan("student_t", effect=0.5, sd=1.0, alternative="two-sided"),
    Plan("welch_t", effect=0.5, sd=(1.0, 0.3), ratio=2.0),
    Plan("corrected_resampled_t", effect=1.0, sd=1.0, test_fraction=0.1),
    Plan("paired_t", effect=0.1, sd=1.0, margin=0.5, alternative="equivalent"),
    Plan("welch_t", effect=0.0, sd=1.0, margin=0.5, alternative="equivalent"),
]
every_plan = pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.test}, {plan.alternative}")


@every_plan
def test_the_number_needed_is_the_smallest(plan):
    """One replicate fewer has too little power, in whatever design."""
    n = plan.replicates_needed(0.85)
    assert plan.power(n) >= 0.85 > plan.power(n - 1)


@every_plan
def test_power_grows_with_replicates(plan):
    """More replicates are never worse once there is any power, and the curve is the power number by number."""
    curve = plan.power_curve([2, 3, 5, 9, 17, 40, 90])
    some = (
        curve > 0.05
    )  # with next to none, a lucky small spread shows equivalence more often in fewer replicates
    assert np.sum(some) >= 2
    assert np.all(np.diff(curve[some]) > -1e-12)
    assert curve[3] == plan.power(9)


@every_plan
def test_units_change_nothing(plan):
    """In other units, however extreme, a plan is the same plan."""
    for unit in (1e-200, 1e200):
        sd = tuple(one * unit for one in plan.sd) if isinstance(plan.sd, tuple) else plan.sd * unit
        scaled = Plan(
            plan.test, plan.effect * unit, sd, alternative=plan.alternative, margin=plan.margin * unit,
            test_fraction=plan.test_fraction, ratio=plan.ratio,
        )  # fmt: skip
        assert scaled.power(12) == pytest.approx(plan.power(12), rel=1e-9)


@every_plan
def test_a_detectable_effect_is_detected(plan):
    """At the effect that so many replicates can show, their power is the one asked for."""
    effect = plan.detectable_effect(80, power=0.7)
    found = Plan(
        plan.test, effect, plan.sd, alternative=plan.alternative, margin=plan.margin,
        test_fraction=plan.test_fraction, ratio=plan.ratio,
    )  # fmt: skip
    assert found.power(80) == pytest.approx(0.7, rel=1e-9)


def test_without_an_effect_power_is_alpha():
    """A claim at the edge of being false is supported as often as alpha says; Welch's test only nearly so."""
    for alpha in (0.001, 0.05, 0.2):
        for n in (2, 7, 100):
            assert Plan("paired_t", effect=0.3, sd=1.0, margin=0.3, alpha=alpha).power(n) == pytest.approx(
                alpha
            )
    assert Plan("welch_t", effect=0.0, sd=(1.0, 5.0)).power((30, 4)) == pytest.approx(0.05, abs=0.01)


def test_extremes_have_a_power():
    """Hopeless and certain plans have powers of 0 and 1, and neither NaN nor a warning."""
    for test in ("paired_t", "student_t", "welch_t"):
        assert Plan(test, effect=1e200, sd=1e-200).power(2) == pytest.approx(1.0)
        assert Plan(test, effect=-1e200, sd=1e-200).power(2) == 0.0
        equivalent = Plan(test, effect=0.0, sd=1e-200, margin=1e200, alternative="equivalent")
        assert equivalent.power(2) == pytest.approx(1.0)
        assert Plan(test, effect=0.01, sd=1.0).power(10_000_000) == pytest.approx(1.0)
    assert Plan("paired_t", effect=0.0, sd=1.0, margin=0.01, alternative="equivalent").power(3) < 0.001


def test_welch_is_exact_with_one_constant_arm():
    """An arm that does not vary lends its certainty: what is left is the one-sample t-test of the other."""
    alone = Plan("paired_t", effect=0.7, sd=1.0).power(9)
    assert Plan("welch_t", effect=0.7, sd=(1.0, 0.0)).power((9, 4)) == pytest.approx(alone, rel=1e-9)


def test_welch_of_few_values_as_simulated():
    """Of three and four values, where approximations of its power fail, it supports the claim as often as it should."""
    rng = np.random.default_rng(4)
    trials = 2_000
    hits = sum(
        welch_t(rng.normal(3.0, 1.0, 3), rng.normal(0.0, 3.0, 4), alternative="greater").p <= 0.05
        for _ in range(trials)
    )
    power = Plan("welch_t", effect=3.0, sd=(1.0, 3.0)).power((3, 4))
    assert hits / trials == pytest.approx(power, abs=4 * math.sqrt(power * (1 - power) / trials))


def test_re_splits_alone_do_not_suffice():
    """Re-splits of one data set share it: past a point more of them show nothing more, and this is said."""
    plan = Plan("corrected_resampled_t", effect=0.5, sd=1.0, test_fraction=0.3)
    with pytest.raises(ValueError, match="get more data, not more splits"):
        plan.replicates_needed(0.9)


def test_counts_keep_their_power():
    """From the number needed on, an exact test of counts does not fall below the target with the next ones."""
    for plan in (Plan("mcnemar", shares=(0.35, 0.1)), Plan("binomial", shares=(0.75, 0.5))):
        n = plan.replicates_needed(0.8)
        assert plan.power(n - 1) < 0.8 <= min(plan.power_curve(range(n, n + 25)))


def test_claims_of_shares_have_two_directions():
    """That y has the larger share is the same claim with the arms exchanged."""
    for test in ("fisher_exact", "mcnemar", "sign_test"):
        greater = Plan(test, shares=(0.6, 0.2)).power(15)
        assert Plan(test, shares=(0.2, 0.6), alternative="less").power(15) == pytest.approx(
            greater, rel=1e-12
        )
    assert Plan("mcnemar", shares=(0.0, 0.0)).power(15) == 0.0


def test_a_p_that_equals_alpha_is_enough():
    """Three against none of three has p = 1/20, which is 0.05 and not a rounding error more."""
    assert fisher_power((1.0, 0.0), (3, 3), 0.05) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"test": "wilcoxon_signed_rank"},
            "no formula for the power of 'wilcoxon_signed_rank'.*simulate_power",
        ),
        ({"test": "paired"}, "did you mean 'paired_t'"),
        ({"test": "paired_t", "effect": 1.0}, "paired_t needs sd="),
        ({"test": "paired_t", "effect": 1.0, "sd": 0.0}, "sd is 0.0: give a finite number above 0"),
        ({"test": "paired_t", "effect": math.nan, "sd": 1.0}, "effect is nan"),
        ({"test": "paired_t", "effect": 1.0, "sd": math.inf}, "sd is inf"),
        ({"test": "paired_t", "shares": (0.1, 0.2)}, "paired_t compares means"),
        ({"test": "student_t", "effect": 1.0, "sd": (1.0, 2.0)}, "plan welch_t"),
        ({"test": "corrected_resampled_t", "effect": 1.0, "sd": 1.0}, "test_fraction, .*: give it"),
        (
            {"test": "paired_t", "effect": 1.0, "sd": 1.0, "test_fraction": 0.2},
            "test_fraction, .*: leave it out",
        ),
        ({"test": "mcnemar", "effect": 0.2, "sd": 1.0}, "mcnemar compares shares: give shares="),
        ({"test": "mcnemar", "shares": (0.7, 0.6)}, "so does their sum"),
        ({"test": "fisher_exact", "shares": (0.7, 1.6)}, "each lies between 0 and 1"),
        ({"test": "fisher_exact", "shares": (0.7, 0.6), "margin": 0.1}, "fisher_exact has no margin"),
        ({"test": "paired_t", "effect": 1.0, "sd": 1.0, "alpha": 5}, "alpha is 5"),
        ({"test": "paired_t", "effect": 1.0, "sd": 1.0, "ratio": 0}, "ratio is 0"),
        ({"test": "paired_t", "effect": 1.0, "sd": 1.0, "alternative": "equivalent"}, "margin is 0"),
    ],
)
def test_plans_that_cannot_be_stated(arguments, message):
    """A plan that says too little, too much or nonsense is refused when it is made."""
    with pytest.raises(ValueError, match=message):
        Plan(**arguments)


def test_questions_that_have_no_answer():
    """What no number of replicates can show is said, with what to change."""
    plan = Plan("paired_t", effect=0.5, sd=1.0)
    for n in (1, 0, 2.5, (5, 6), (5, 5, 5), "10"):
        with pytest.raises(ValueError, match="n is "):
            plan.power(n)  # type: ignore[arg-type]
    for power in (0.05, 1.0, math.nan):
        with pytest.raises(ValueError, match="power is"):
            plan.replicates_needed(power)
    with pytest.raises(ValueError, match="give effect="):
        Plan("paired_t", sd=1.0).power(10)
    with pytest.raises(ValueError, match="a difference that fulfils the claim more clearly"):
        Plan("paired_t", effect=0.5, sd=1.0, margin=0.5).replicates_needed()
    with pytest.raises(ValueError, match="take more replicates or a larger margin"):
        Plan("paired_t", sd=1.0, margin=0.1, alternative="equivalent").detectable_effect(5)
    with pytest.raises(ValueError, match="fisher_exact compares shares: change them"):
        Plan("fisher_exact", shares=(0.5, 0.2)).detectable_effect(20)
