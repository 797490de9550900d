"""Families of hypotheses: what is refused before anything runs, and what the verdicts of one are adjusted for."""

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from workflow_assets import Experiment, Hypothesis, step
from workflow_assets.errors import DeclarationError
from workflow_assets.stats import posthoc
from workflow_assets.stats.quantiles import Quantile


@step
def score(rng: np.random.Generator, dose: float = 0.0) -> float:
    return float(dose * (1.0 + 0.2 * rng.normal()) + rng.normal())


@step
def exact(rng: np.random.Generator, dose: float = 0.0) -> float:
    return float(dose + rng.normal())


DOSES = {"low": {"score.dose": 0.2}, "middle": {"score.dose": 0.8}, "high": {"score.dose": 2.0}}


def study(hypotheses, families=None, replicates=12, **options):
    return Experiment("study", [score], DOSES, replicates, hypotheses, families=families, **options)


def doses(**options):
    return [Hypothesis(f"{dose}_works", "score", dose, family="doses", **options) for dose in DOSES]


@pytest.mark.parametrize(
    ("hypotheses", "families", "message"),
    [
        (doses(), {"doses": "dunett"}, "family 'doses' is adjusted by 'dunett': did you mean 'dunnett'?"),
        (doses(), {"dozes": "holm"}, "families has 'dozes', which no hypothesis names .* did you mean 'doses'"),
        (doses(), {"": "holm"}, "no method is given for the family 'doses'"),
        (doses(), "holm", "families = 'holm': expected a mapping"),
        (
            [*doses(), Hypothesis("h", "score", "low", paired=False, family="doses")],
            {"doses": "dunnett"},
            "compared by dunnett, which needs one paired for all",
        ),
        (
            [Hypothesis("h", "score", "low", against="high", family="doses"), *doses()],
            {"doses": "dunnett"},
            "which compares with one treatment",
        ),
        (doses(test="paired_t"), {"doses": "dunnett"}, "which is their test: leave out test="),
        (doses(), {"doses": "tukey"}, "is for alternative=\"two-sided\", without a margin"),
        (doses(alternative="two-sided"), {"doses": "games_howell"}, "compares unpaired samples: say paired=False"),
    ],
)  # fmt: skip
def test_refused_families(hypotheses, families, message):
    """What a family cannot be judged by is an error before anything runs."""
    with pytest.raises(DeclarationError, match=message):
        study(hypotheses, families)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"treatment": "low", "test": "friedman"}, "test = 'friedman' compares several treatments"),
        ({"treatment": ["low", "high"], "test": "paired_t"}, "test = 'paired_t' compares two treatments"),
        ({"treatment": ["low", "high"], "alternative": "greater"}, "has no direction, no margin"),
        ({"treatment": ["low", "low"]}, "'low' is compared with itself"),
        ({"treatment": []}, "expected a treatment's name, or several"),
        ({"treatment": ["low", "hihg"]}, "unknown treatment 'hihg': did you mean 'high'"),
        ({"treatment": "low", "alternative": "equivalent"}, "a claim of equivalence says how large"),
        ({"treatment": "low", "against": float("nan")}, "against = nan: expected"),
        (
            {"treatment": "low", "test": lambda x, y: 0.5, "alternative": "two-sided", "margin": 1.0},
            "takes no margin=",
        ),
        ({"treatment": "low", "test": lambda x, y: 0.5}, "takes no alternative="),
    ],
)
def test_refused_claims(options, message):
    """A claim that no test could judge is an error before anything runs."""
    with pytest.raises(DeclarationError, match=message):
        study([Hypothesis("h", "score", **options)])


# -- verdicts --------------------------------------------------------------------------------------------------------


def test_families_are_adjusted_apart_and_by_their_own_method():
    """What is asked in one family costs the other nothing."""
    claims = [*doses(), *(Hypothesis(f"{one.name}_alone", "score", one.treatment) for one in doses())]
    verdicts = study(claims, {"doses": "bonferroni", "": "none"}).run().verdicts
    for one in doses():
        alone, together = verdicts[f"{one.name}_alone"], verdicts[one.name]
        assert alone.p_adjusted == alone.p
        assert together.p_adjusted == min(1.0, 3 * together.p)
        assert (alone.adjustment, together.adjustment) == ("none", "bonferroni")


@pytest.mark.parametrize("paired", [True, False])
def test_dunnett_judges_all_doses_at_once(paired):
    """Claims of many treatments against one are judged by one comparison: its p, its simultaneous intervals."""
    result = study(doses(paired=paired), {"doses": "dunnett"}).run()
    groups = {name: list(result.arm(name, "score").values.values()) for name in ("baseline", *DOSES)}
    expected = posthoc.dunnett(groups, control="baseline", paired=paired, alternative="greater")
    for pair in expected.pairs:
        verdict = result.verdict(f"{pair.x}_works")
        assert verdict.test == "dunnett"
        assert (verdict.p, verdict.p_adjusted) == pytest.approx((pair.p, pair.p), rel=1e-9)
        both = posthoc.dunnett(groups, control="baseline", paired=paired).pair(pair.x, "baseline")
        assert verdict.interval == pytest.approx((both.low, both.high), rel=1e-9)
        assert verdict.effect.estimate == pytest.approx(pair.estimate)
    assert result.verdict("high_works").supported


def test_all_pairs_are_judged_in_the_direction_that_is_claimed():
    """A claim of x against y reads the pair that was compared as y against x."""
    claims = [
        Hypothesis("up", "score", "high", "low", alternative="two-sided", family="pairs"),
        Hypothesis("down", "score", "low", "middle", alternative="two-sided", family="pairs"),
        Hypothesis("back", "score", "baseline", "high", alternative="two-sided", family="pairs"),
    ]
    verdicts = study(claims, {"pairs": "tukey"}).run().verdicts
    assert verdicts["up"].effect.estimate > 0
    assert verdicts["down"].effect.estimate < 0
    assert verdicts["back"].effect.estimate < 0
    assert all(one.interval[0] <= one.effect.estimate <= one.interval[1] for one in verdicts.values())


@pytest.mark.parametrize(
    ("options", "test", "procedure"),
    [
        ({}, "repeated_measures_anova", "tukey"),
        ({"test": "friedman"}, "friedman", "nemenyi"),
        ({"paired": False}, "welch_anova", "games_howell"),
        ({"paired": False, "test": "anova"}, "anova", "tukey"),
        ({"paired": False, "test": "kruskal_wallis"}, "kruskal_wallis", None),
    ],
)
def test_several_treatments_are_compared_at_once(options, test, procedure):
    """Whether any differs is one claim, with the pairs that differ told beside it."""
    claim = Hypothesis("some_dose_works", "score", list(DOSES), **options)
    verdict = study([claim], replicates=30).run().verdict("some_dose_works")
    assert (verdict.decision, verdict.test, verdict.n) == ("supported", test, (30, 30))
    assert verdict.sizes
    assert {pair.procedure for pair in verdict.pairs} == ({procedure} if procedure else set())
    assert json.loads(json.dumps(verdict.as_dict()))["claim"].startswith("score is not the same under")
    assert not procedure or "high − baseline" in str(verdict)


def test_several_treatments_that_do_not_differ_are_not_refuted():
    """Nothing is claimed that an interval could contradict."""
    same = {name: {"score.dose": 0.0} for name in DOSES}

    @step
    def noise(rng: np.random.Generator, dose: float = 0.0, copy: int = 0) -> float:
        return float(dose + rng.normal() + copy)

    experiment = Experiment(
        "study", [noise], {name: {"noise.copy": 0} for name in same}, 10,
        [Hypothesis("differ", "noise", list(same), paired=False)],
    )  # fmt: skip
    assert experiment.run().verdict("differ").decision == "inconclusive"


# -- claims that two arms can be asked about -------------------------------------------------------------------------


def test_a_metric_is_compared_with_a_number():
    """Where there is no other arm, the claim is about the metric itself."""
    claims = [
        Hypothesis("above", "score", "high", against=1.0),
        Hypothesis("not_far", "score", "baseline", against=0.0, alternative="equivalent", margin=0.9),
    ]
    result = study(claims, replicates=40).run()
    values = np.array(list(result.arm("high", "score").values.values()))
    assert result.verdict("above").p_adjusted == pytest.approx(
        2 * stats.ttest_1samp(values, 1.0, alternative="greater").pvalue
    )
    assert result.verdict("above").estimand == "mean of score under high minus 1, per replicate"
    assert result.verdict("not_far").supported


def test_equivalence_is_supported_where_its_interval_lies_within_the_margin():
    """The interval of an equivalence claim has the confidence 1 - 2 alpha, and agrees with the test."""
    for margin in (0.2, 0.4, 0.6, 0.8, 1.2):
        claim = Hypothesis("same", "score", "low", alternative="equivalent", margin=margin)
        verdict = study([claim], replicates=40).run().verdict("same")
        low, high = verdict.interval
        assert verdict.effect.confidence == pytest.approx(0.9)
        assert verdict.supported is (-margin < low and high < margin)


@pytest.mark.parametrize(
    ("test", "effect"),
    [
        ("wilcoxon_signed_rank", "hodges_lehmann"),
        ("sign_test", "median_difference"),
        ("pitman_morgan", "log_spread_ratio"),
        ("bootstrap", "bootstrap_mean_difference"),
        ("sequential_t", "sequential_mean_difference"),
        (Quantile(0.75), "quantile_difference"),
    ],
)
def test_the_effect_is_the_one_that_the_test_is_about(test, effect):
    """The interval beside a p-value is of the same quantity, which the estimand names."""
    verdict = study([Hypothesis("h", "score", "high", test=test)], replicates=40).run().verdict("h")
    assert verdict.effect.name == effect
    assert verdict.p is not None
    assert "score under high" in verdict.estimand


def test_ones_own_test_judges_and_what_it_raises_is_told():
    """A function of one's own decides; where it fails, the verdict says so and the others stand."""

    def signs(x, y, alternative):
        return stats.binomtest(int((x > y).sum()), len(x), alternative=alternative).pvalue

    def broken(x, y, alternative):
        raise ZeroDivisionError("no luck")

    claims = [Hypothesis("own", "score", "high", test=signs), Hypothesis("bad", "score", "high", test=broken)]
    result = study(claims, replicates=30).run()
    assert (result.verdict("own").decision, result.verdict("own").test) == ("supported", "signs")
    assert result.verdict("bad").decision == "undecidable"
    assert result.verdict("bad").reason == "judging it raised ZeroDivisionError: no luck"


def test_ones_own_test_is_part_of_what_the_results_depend_on():
    """Another function is another claim; the same one again is the same."""

    def experiment(level):
        def test(x, y, alternative):
            return level

        return study([Hypothesis("h", "score", "high", test=test)])

    assert experiment(0.5).version() == experiment(0.5).version()
    assert experiment(0.5).version() != experiment(0.6).version()


def test_a_posterior_probability_is_not_adjusted():
    """It is no error rate, and costs the other claims nothing."""
    claims = [
        Hypothesis("bayes", "score", "high", test="bayes_correlated_t"),
        Hypothesis("often", "score", "middle"),
    ]
    verdicts = study(claims).run().verdicts
    assert all(verdict.p_adjusted == verdict.p for verdict in verdicts.values())


@pytest.mark.parametrize("families", [{"doses": "dunnett"}, {"doses": "tukey"}, None])
def test_effects_that_are_the_same_in_every_replicate_are_detected(families):
    """A constant effect over varying arms has no spread to divide by, and is not overlooked for that."""
    treatments = {name: {"exact.dose": change["score.dose"]} for name, change in DOSES.items()}
    side: Any = "two-sided" if families == {"doses": "tukey"} else "greater"
    claims = [
        *(Hypothesis(f"{dose}_works", "exact", dose, alternative=side, family="doses") for dose in DOSES),
        Hypothesis("some_dose_works", "exact", list(DOSES)),
    ]
    families = families and {**families, "": "holm"}
    verdicts = Experiment("study", [exact], treatments, 12, claims, families=families).run().verdicts
    assert {verdict.decision for verdict in verdicts.values()} == {"supported"}
    assert verdicts["low_works"].test == "sign_flip"
    assert verdicts["low_works"].p_adjusted == pytest.approx(3 * (verdicts["low_works"].p or 0))
    assert verdicts["some_dose_works"].test == "friedman"


# -- values that nothing can be said about ---------------------------------------------------------------------------


@step
def odd(replicate: int, rng: np.random.Generator, kind: str = "sound") -> float:
    if kind == "failing":
        raise RuntimeError("no sensor")
    value = {"nan": math.nan, "infinite": math.inf, "constant": 3.0}.get(kind)
    return float(rng.normal()) if value is None else value


ODD = {kind: {"odd.kind": kind} for kind in ("failing", "nan", "infinite", "constant")}


@pytest.mark.parametrize("replicates", [1, 2, 8])
@pytest.mark.parametrize("families", [{"": "holm"}, {"": "dunnett"}])
def test_unusable_values_end_in_a_verdict_that_says_why(replicates, families):
    """Whatever the values are, each hypothesis has a verdict, with what to do, and results and reports are there."""
    claims = [Hypothesis(f"{kind}_is_better", "odd", kind) for kind in ODD]
    result = Experiment("odd", [odd], ODD, replicates, claims, families=families).run()
    for kind in ("failing", "nan", "infinite"):
        verdict = result.verdict(f"{kind}_is_better")
        assert verdict.decision == "undecidable"
        assert verdict.reason == (
            f"0 replicates have values under both '{kind}' and 'baseline': at least 2 are needed to judge chance: "
            "add replicates, or mend the cells that failed"
        )
        assert "dropped_cells" in {flag.code for flag in verdict.flags}
    assert (result.verdict("constant_is_better").p is not None) is (replicates > 1)
    assert len(result.table) == 5 * replicates
    assert "undecidable" in result.markdown()


def test_several_treatments_without_a_common_replicate_are_undecidable():
    """Nothing can be compared within replicates of which none has all values."""
    claim = Hypothesis("differ", "odd", ["failing", "constant"])
    verdict = Experiment("odd", [odd], ODD, 4, [claim]).run().verdict("differ")
    assert verdict.reason.startswith(
        "0 replicates have values under all of 'failing', 'constant' and 'baseline'"
    )


def test_both_claims_of_a_refused_joint_comparison_are_adjusted_one_by_one():
    """What one treatment lacks takes nothing from the others."""
    claims = [Hypothesis(f"{kind}_is_better", "odd", kind) for kind in ("constant", "failing")]
    verdicts = Experiment("odd", [odd], ODD, 8, claims, families={"": "dunnett"}).run().verdicts
    sound = verdicts["constant_is_better"]
    assert sound.test == "paired_t"
    assert sound.p_adjusted == pytest.approx(2 * (sound.p or 0))
    assert "judged one by one, and adjusted by Holm" in sound.note
    assert {one.adjustment for one in verdicts.values()} == {"holm"}
