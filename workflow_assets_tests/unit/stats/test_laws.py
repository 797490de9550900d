"""Laws that hold for whatever is measured."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from workflow_assets.stats.comparisons import TESTS, compare
from workflow_assets.stats.decisions import choose_test, decide, undecidable_reason
from workflow_assets.stats.effects import mean_difference
from workflow_assets.stats.families import holm
from workflow_assets.stats.measures import DRAWN, EFFECTS
from workflow_assets.stats.methods import METHODS, PAIRED_TESTS
from workflow_assets.stats.rankings import rank

# What metrics look like: any size, counts with many ties, 0/1, tenths with their rounding, nearly equal values.
numbers = st.one_of(
    st.floats(-1e6, 1e6),
    st.integers(-5, 5).map(float),
    st.sampled_from([0.0, 1.0]),
    st.integers(0, 10).map(lambda tenths: tenths / 10),
    st.sampled_from([1e9, 1e9 + 1e-7, 1e-150, -1e-150, 1e150]),
)
claims = st.sampled_from(["greater", "less", "two-sided"])
margins = st.sampled_from([0.0, 0.1, 1.0, 1e-9])


@st.composite
def arms(draw, paired=None, values=numbers):
    """Draw two arms that something can be said about."""
    x = draw(st.lists(values, min_size=2, max_size=20))
    size = len(x) if paired else draw(st.integers(2, 20))
    y = draw(st.lists(values, min_size=size, max_size=size))
    if paired and draw(st.booleans()):
        shift = draw(values)
        y = [value + shift for value in x]
    assume(undecidable_reason(x, y, paired=bool(paired)) is None)
    return x, y


def explained(call, *reasons):
    """Give what a call gives; None where it says that it cannot be computed, for one of these reasons."""
    try:
        return call()
    except ValueError as error:
        if not str(error).startswith(reasons):
            raise
        return None


def run(test, x, y, **options):
    options |= {"rng": np.random.default_rng(0), "test_fraction": 0.3, "resamples": 199}
    options.setdefault("paired", test in PAIRED_TESTS)
    reasons = [
        "the difference is the same",
        "every difference equals",
        "all values are equal",
        "neither arm varies",
        "one arm is constant",
        "pitman_morgan needs at least 3 pairs",
    ]
    if METHODS[test].anytime and len(x) != len(y):
        reasons.append("both arms are constant")  # as far as their values have partners
    return explained(lambda: compare(test, x, y, **options), *reasons)


every_test = pytest.mark.parametrize("test", sorted(TESTS))


def draw_for(data, test):
    """Draw arms that the test is made for, and the design and a margin to ask it with."""
    method = METHODS[test]
    paired = data.draw(st.booleans()) if method.paired is None else method.paired
    values = st.sampled_from([0.0, 1.0]) if method.shares else numbers
    x, y = data.draw(arms(paired=paired, values=values))
    if method.shares:
        y = [min(value, 1.0) for value in y]  # of a shifted arm
    if test == "binomial":
        y = [data.draw(st.sampled_from([0.3, 0.5, 0.75]))] * len(x)
    margin = data.draw(margins.filter(lambda m: m < 0.2) if method.shares else margins)
    return x, y, {"paired": paired, "margin": margin if method.margins else 0.0}


@every_test
@given(data=st.data(), alternative=claims)
def test_p_is_a_probability_and_never_zero(test, data, alternative):
    """A test answers with 0 < p <= 1 and finite numbers, or says why it cannot."""
    x, y, design = draw_for(data, test)
    result = run(test, x, y, alternative=alternative, **design)
    if result is not None:
        assert 0 < result.p <= 1
        assert math.isfinite(result.statistic)
        assert result.df is None or result.df > 0


@pytest.mark.parametrize("test", sorted(set(TESTS) - {"binomial"}))
@given(data=st.data(), alternative=claims)
def test_swapped_arms_with_a_swapped_claim_have_the_same_p(test, data, alternative):
    """That x exceeds y is the same claim as that y falls short of x."""
    x, y, design = draw_for(data, test)
    swapped = {"greater": "less", "less": "greater", "two-sided": "two-sided"}[alternative]
    one = run(test, x, y, alternative=alternative, **design)
    other = run(test, y, x, alternative=swapped, **design)
    assert (one is None) is (other is None)
    if one is not None and other is not None:
        assert other.p == pytest.approx(one.p, rel=1e-9)


@pytest.mark.parametrize("test", ["paired_t", "corrected_resampled_t", "welch_t", "student_t"])
@given(
    data=st.data(),
    margin=st.integers(-4, 8),
    more=st.integers(1, 8),
    alternative=st.sampled_from(["greater", "less"]),
)
def test_claiming_more_is_never_easier(test, data, margin, more, alternative):
    """A larger margin never has a smaller p, in either direction."""
    # Not a law of signs and ranks: a margin turns small differences into large opposite ones, and makes ties.
    x, y = data.draw(arms(paired=test in PAIRED_TESTS, values=st.integers(-8, 8).map(float)))
    modest, bold = (
        run(test, x, y, alternative=alternative, margin=float(m)) for m in (margin, margin + more)
    )
    if modest is not None and bold is not None:
        assert bold.p >= modest.p * (1 - 1e-9)


@given(
    differences=st.lists(st.integers(-6, 6), min_size=2, max_size=9),
    margin=st.integers(-3, 3),
    alternative=st.sampled_from(["greater", "less"]),
    unit=st.sampled_from([1.0, 0.1, 1e-3, 3.7e12]),
)
@example(differences=[1, 2, 3], margin=0, alternative="greater", unit=0.1)
def test_sign_flip_equals_brute_force(differences, margin, alternative, unit):
    """The exact p is that of going through all patterns of signs in whole numbers, whatever the unit."""
    y = np.arange(len(differences)) * 2.0
    x = y + differences
    direction = 1 if alternative == "greater" else -1
    beyond = [direction * difference - margin for difference in differences]
    sums = [
        sum(s * b for s, b in zip(signs, beyond, strict=True))
        for signs in product([1, -1], repeat=len(beyond))
    ]
    expected = sum(total >= sum(beyond) for total in sums) / len(sums)
    result = compare("sign_flip", x * unit, y * unit, alternative=alternative, margin=margin * unit)
    assert result.p == pytest.approx(expected, rel=1e-12)
    assert result.exact


# Those of 0/1 values, and those of sequences, which need more pairs, are in test_proportions and test_sequences.
@pytest.mark.parametrize(
    "name", sorted(name for name in EFFECTS if "share" not in name and "sequential" not in name)
)
@given(data=st.data(), paired=st.booleans(), confidence=st.sampled_from([0.5, 0.8, 0.95, 0.999]))
def test_intervals_hold_their_estimates(name, data, paired, confidence):
    """Every interval is finite, in order, and holds its estimate; swapping the arms mirrors it."""
    x, y = data.draw(arms(paired=paired))
    reasons = (
        "the pooled standard deviation is 0", "Hedges' g needs at least 3", "neither arm varies",
        "the difference is the same", "cohens_dz is about", "every difference is 0", "a mean is not above 0",
        "the mean of y is not clearly", "the means are too far apart", "too many resamples",
        "x is constant: nothing is a multiple", "y is constant: nothing is a multiple",
    )  # fmt: skip

    def ask(first, second):
        draws = {"rng": np.random.default_rng(1), "resamples": 1_999} if name in DRAWN else {}
        return EFFECTS[name](first, second, paired=paired, confidence=confidence, **draws)

    effect = explained(lambda: ask(x, y), *reasons)
    if effect is None:
        return
    assert -math.inf < effect.low <= effect.estimate <= effect.high < math.inf
    assert 0 <= effect.confidence <= confidence
    if name in ("ratio_of_means", "spread_ratio") or (name in DRAWN and sorted(x) == sorted(y)):
        return  # the one has no mirror without a sign, and of equal arms nothing says which is drawn first
    middle = 1.0 if name == "superiority" else 0.0
    mirrored = ask(y, x)
    own_units = name.endswith("_difference") or name == "hodges_lehmann"
    tiny = 1e-9 * max(map(abs, [*x, *y])) if own_units else 1e-9
    assert mirrored.low == pytest.approx(middle - effect.high, rel=1e-7, abs=tiny)
    assert mirrored.high == pytest.approx(middle - effect.low, rel=1e-7, abs=tiny)


@given(
    data=st.data(), paired=st.booleans(), shift=st.integers(-1000, 1000), factor=st.sampled_from([0.25, 1, 8])
)
def test_mean_difference_moves_with_the_treatment(data, paired, shift, factor):
    """Adding to x adds to the effect, and multiplying both arms multiplies it, interval included."""
    x, y = (np.array(arm) for arm in data.draw(arms(paired=paired, values=st.integers(-50, 50).map(float))))
    assume(undecidable_reason(x, y, paired=paired) is None)
    before = mean_difference(x, y, paired=paired)
    after = mean_difference(factor * (x + shift), factor * y, paired=paired)
    for name in ("estimate", "low", "high"):
        assert getattr(after, name) == pytest.approx(factor * (getattr(before, name) + shift), abs=1e-9)


@given(data=st.data())
def test_delta_is_the_mean_sign_of_all_comparisons(data):
    """Sorting gives the same delta as comparing every value with every other, however far apart they are."""
    x, y = data.draw(arms(paired=False))
    signs = np.sign(np.subtract.outer(np.array(x), np.array(y)))
    assert EFFECTS["cliffs_delta"](x, y, paired=False).estimate == pytest.approx(signs.mean(), abs=1e-12)


probabilities = st.lists(st.floats(0, 1), max_size=12)


@given(p=probabilities)
def test_holm_is_monotone_and_never_below_the_raw_p(p):
    """Adjusting keeps the order of the p-values and lowers none of them."""
    adjusted = holm(p)
    assert len(adjusted) == len(p)
    for i, raw in enumerate(p):
        assert raw <= adjusted[i] <= 1
        for j, other in enumerate(p):
            if raw <= other:
                assert adjusted[i] <= adjusted[j]


@given(data=st.data())
def test_holm_does_not_care_who_asks_first(data):
    """The same p-values in another order are adjusted to the same values."""
    p = data.draw(probabilities)
    order = data.draw(st.permutations(range(len(p))))
    adjusted = holm(p)
    assert holm([p[i] for i in order]) == tuple(adjusted[i] for i in order)


@given(p=probabilities, new=st.floats(0, 1))
def test_asking_one_more_question_makes_no_answer_easier(p, new):
    """Another hypothesis in the experiment never lowers an adjusted p."""
    assert all(more >= fewer for fewer, more in zip(holm(p), holm([*p, new]), strict=False))


@given(data=st.data(), paired=st.booleans(), boolean=st.booleans(), overlap=st.sampled_from([None, 0.2]))
def test_the_chosen_test_can_always_be_run(data, paired, boolean, overlap):
    """Whatever decidable arms are given, the chosen test gives a p and not an excuse."""
    values = st.sampled_from([0.0, 1.0]) if boolean else st.floats(-1e6, 1e6)
    x, y = data.draw(arms(paired=paired, values=values))
    choice = choose_test(x, y, paired=paired, boolean=boolean, overlap=overlap)
    result = compare(choice.test, x, y, rng=np.random.default_rng(0), test_fraction=overlap, resamples=199)
    effect = mean_difference(x, y, paired=paired)
    decision = decide(result.p, (effect.low, effect.high), alternative="two-sided", margin=0.0, alpha=0.05)
    assert decision in ("supported", "refuted", "inconclusive")


@given(
    scores=st.dictionaries(st.sampled_from("abcdefgh"), st.floats(), max_size=8),
    best=st.sampled_from(["max", "min"]),
)
def test_ranking_loses_nobody(scores, best):
    """A ranking holds every treatment once, from best to worst."""
    ranked = rank(scores, best=best)
    assert sorted(name for name, _ in ranked) == sorted(scores)
    known = [score for _, score in ranked if not math.isnan(score)]
    assert known == sorted(known, reverse=best == "max")


# The corrected resampled t-test is made for correlated differences: see test_comparisons. Tests of shares and of signs
# have few possible p-values, and those of spreads are for other distributions: see the simulations.
@pytest.mark.parametrize(
    "test",
    ["mann_whitney", "paired_t", "permutation", "sign_flip", "student_t", "welch_t", "wilcoxon_signed_rank"],
)
def test_p_values_are_uniform_under_the_null(test):
    """Without an effect, p falls below any level about as often as the level says."""
    rng = np.random.default_rng(20)
    trials, n = 800, 12
    drawn = rng.standard_t(5, size=(trials, 2, n))
    options: dict[str, Any] = {
        "alternative": "greater",
        "paired": test in PAIRED_TESTS,
        "rng": rng,
        "resamples": 999,
    }
    p = np.array([compare(test, x, y, **options).p for x, y in drawn])
    for level in (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9):
        error = 3.5 * math.sqrt(level * (1 - level) / trials)
        assert np.mean(p <= level) == pytest.approx(level, abs=error + 0.005)
