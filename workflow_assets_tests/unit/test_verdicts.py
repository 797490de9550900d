"""Verdicts say what the data say, how it was decided, and when it cannot be."""

import json
from typing import Any

import numpy as np
import pytest

from workflow_assets import Experiment, Hypothesis, Metrics, resamples, step
from workflow_assets.errors import UnknownNameError


def arms(baseline: list[Any], other: list[Any], **options: Any) -> Experiment:
    """An experiment whose metric has these values, replicate by replicate."""

    @step
    def value(replicate: int, treatment: str) -> float:
        values = baseline if treatment == "baseline" else other
        if values[replicate] is None:
            raise ValueError("failed")
        return float(values[replicate])

    settings = {"metric": "value", "treatment": "other", **options}
    return Experiment(
        "arms", [value], {"other": {}}, len(baseline), [Hypothesis("claim", **settings)], seed=1
    )


RNG = np.random.default_rng(0)
BASE = RNG.normal(size=20).tolist()


def above(by: float, spread: float = 0.1) -> list[float]:
    return (np.asarray(BASE) + by + spread * np.random.default_rng(1).normal(size=20)).tolist()


@pytest.mark.parametrize(
    ("by", "options", "decision"),
    [
        (1.0, {}, "supported"),
        (1.0, {"margin": 0.5}, "supported"),
        (1.0, {"margin": 2.0}, "refuted"),
        (1.0, {"alternative": "less"}, "refuted"),
        (-1.0, {"alternative": "less"}, "supported"),
        (1.0, {"alternative": "two-sided"}, "supported"),
        (0.0, {}, "inconclusive"),
        (0.0, {"margin": -0.5}, "supported"),
        (0.0, {"alternative": "two-sided", "margin": 0.5}, "refuted"),
        (1.0, {"test": "wilcoxon_signed_rank"}, "supported"),
        (1.0, {"test": "sign_flip"}, "supported"),
        (1.0, {"paired": False}, "supported"),
        (1.0, {"paired": False, "test": "mann_whitney"}, "supported"),
    ],
)
def test_decision_follows_from_claim_and_data(by: float, options: dict[str, Any], decision: str) -> None:
    verdict = arms(BASE, above(by), **options).run().verdict("claim")
    assert verdict.decision == decision, str(verdict)
    assert verdict.test == options.get("test", "welch_t" if options.get("paired") is False else "paired_t")
    assert verdict.p is not None
    assert 0 < verdict.p <= 1
    ranks = options.get("test") in ("wilcoxon_signed_rank", "mann_whitney")
    others = ["mean_difference", "hedges_g", "cliffs_delta"]
    assert [effect.name for effect in verdict.effects] == (["hodges_lehmann"] if ranks else []) + others
    assert all(effect.low <= effect.estimate <= effect.high for effect in verdict.effects)
    assert verdict.interval == (verdict.effects[0].low, verdict.effects[0].high)


def test_two_constant_arms_are_undecidable_with_the_reason() -> None:
    verdict = arms([0.0] * 10, [30.0] * 10).run().verdict("claim")
    assert verdict.decision == "undecidable"
    assert verdict.reason == "both arms are constant: nothing varies, so chance cannot be judged"
    assert (verdict.p, verdict.effect, verdict.n) == (None, None, (10, 10))


@pytest.mark.parametrize("test", ["auto", "paired_t"])
def test_constant_difference_over_varying_arms_is_decided_by_sign_flip(test: str) -> None:
    verdict = arms(BASE[:10], [value + 30.0 for value in BASE[:10]], test=test).run().verdict("claim")
    assert (verdict.decision, verdict.test) == ("supported", "sign_flip")
    assert verdict.p == pytest.approx(1 / 2**10)
    assert "dividing by a zero spread is impossible" in verdict.reason


def test_one_pair_is_undecidable() -> None:
    verdict = arms([1.0], [2.0]).run().verdict("claim")
    assert verdict.decision == "undecidable"
    assert "at least 2" in verdict.reason


def test_failed_and_unusable_cells_leave_out_their_pairs_and_are_flagged() -> None:
    baseline, other = list(BASE), above(1.0)
    baseline[3], other[4], other[5] = None, float("nan"), float("inf")
    verdict = arms(baseline, other).run().verdict("claim")
    assert verdict.n == (17, 17)
    assert tuple(map(str, verdict.flags)) == (
        "1 of 20 cells of baseline failed and are left out",
        "2 values of value under other are not finite and are left out",
    )


def test_p_values_are_adjusted_over_all_hypotheses_and_an_undecidable_one_counts() -> None:
    @step
    def score(rng: np.random.Generator, shift: float = 0.0) -> float:
        return float(rng.normal() + shift + 0.3 * shift * rng.normal())

    @step
    def constant(score: float) -> float:
        return 1.0

    claims = [
        Hypothesis("strong", "score", "strong"),
        Hypothesis("weak", "score", "weak"),
        Hypothesis("none", "constant", "weak"),
    ]
    treatments = {"strong": {"score.shift": 1.0}, "weak": {"score.shift": 0.2}}
    result = Experiment("family", [score, constant], treatments, 12, claims, seed=5).run()
    strong, weak, none = (result.verdict(name) for name in ("strong", "weak", "none"))
    assert none.decision == "undecidable"
    assert strong.p is not None
    assert weak.p is not None
    smallest, second = sorted([strong.p, weak.p])
    assert sorted([strong.p_adjusted, weak.p_adjusted]) == pytest.approx(  # type: ignore[type-var]
        [min(1.0, 3 * smallest), min(1.0, max(2 * second, 3 * smallest))]
    )


def test_overlapping_resplits_use_the_corrected_test_and_say_so() -> None:
    @step
    def accuracy(rng: np.random.Generator, bonus: float = 0.0) -> float:
        return float(rng.normal() + bonus * (1 + 0.2 * rng.normal()))

    def verdict(replicates: Any) -> Any:
        claims = [Hypothesis("better", "accuracy", "more")]
        return (
            Experiment("splits", [accuracy], {"more": {"accuracy.bonus": 0.2}}, replicates, claims)
            .run()
            .verdict("better")
        )

    plain, corrected = verdict(30), verdict(resamples(30, test_fraction=0.3))
    assert (plain.test, corrected.test) == ("paired_t", "corrected_resampled_t")
    assert "Nadeau and Bengio" in corrected.reason
    assert corrected.p > plain.p
    # The variance is 1/30 + 0.3/0.7 of the differences' instead of 1/30.
    widths = [one.effect.high - one.effect.low for one in (corrected, plain)]
    assert widths[0] / widths[1] == pytest.approx(np.sqrt((1 / 30 + 0.3 / 0.7) * 30))


def test_boolean_metric_is_judged_by_counting_pairs_that_disagree() -> None:
    class Outcome(Metrics):
        hit: bool

    @step
    def play(replicate: int, skill: int = 0) -> Outcome:
        return Outcome(hit=replicate % 4 < 1 + 2 * skill)

    claims = [Hypothesis("skilled", "play.hit", "skilled")]
    verdict = Experiment("games", [play], {"skilled": {"play.skill": 1}}, 20, claims).run().verdict("skilled")
    assert verdict.test == "sign_flip"
    assert verdict.p == pytest.approx(1 / 2**10), "ten pairs disagree, all in favour"


def test_interval_has_the_confidence_that_alpha_asks_for() -> None:
    verdict = arms(BASE, above(1.0), alpha=0.01).run().verdict("claim")
    assert {effect.confidence for effect in verdict.effects} == {0.99}


def test_verdict_is_the_same_every_time_and_can_be_written_as_json() -> None:
    experiment = arms(BASE, above(0.1, 1.0), test="sign_flip")
    one, two = (json.dumps(experiment.run().verdict("claim").as_dict()) for _ in range(2))
    assert one == two
    assert json.loads(one)["estimand"] == "mean of value under other minus that under baseline, per replicate"


def test_verdict_tells_all_that_decided_it() -> None:
    text = str(arms(BASE, above(1.0)).run().verdict("claim"))
    for part in (
        "claim: supported",
        "at 95%: mean of value",
        "paired_t, 20 pairs",
        "adjusted",
        "hedges_g",
        "cliffs_delta",
    ):
        assert part in text


def test_unknown_hypothesis_names_near_matches() -> None:
    with pytest.raises(UnknownNameError, match=r"no hypothesis is called 'clam': did you mean 'claim'?"):
        arms(BASE, BASE).run().verdict("clam")
