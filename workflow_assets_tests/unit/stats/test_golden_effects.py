"""Our effects and bootstraps against those of R, which effects.R made and effects.json keeps."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from workflow_assets.stats import bootstraps, locations
from workflow_assets.stats.bootstraps import bca_bounds, jackknife, percentile_bounds
from workflow_assets.stats.measures import EFFECTS, measure

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "effects.json").read_text())
STATISTICS = {
    "mean": lambda x, y: x.mean(axis=-1) - y.mean(axis=-1),
    "ratio": lambda x, y: x.mean(axis=-1) / y.mean(axis=-1),
    "iqm": lambda x, y: stats.trim_mean(x, 0.25, axis=-1) - stats.trim_mean(y, 0.25, axis=-1),
    "spread": lambda x, y: np.log(x.var(axis=-1) / y.var(axis=-1)),
}


def told(case):
    return f"{case['subject']} of {case['x']} and {case['y']}, {case['arguments']}"


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=told)
def test_number_of_r(case):
    """Each number equals that of the R call beside it, within the tolerance beside it."""
    x, y = (GOLDEN["arms"][case[arm]] for arm in "xy")
    result = measure(case["subject"], x, y, rng=np.random.default_rng(1), **case["arguments"])
    tolerance = case["tolerance"]
    scale = max(abs(value) for value in case["expected"].values())
    for name, expected in case["expected"].items():
        assert getattr(result, name) == pytest.approx(expected, rel=tolerance, abs=1e-13 * scale), name


def resampled(case):
    """Give the arms of a case and the indices of its resamples, for each arm."""
    arms = [np.array(GOLDEN["arms"][case[arm]], dtype=np.float64) for arm in "xy"]
    indices = np.array(GOLDEN["resamples"][case["indices"]])
    if case["paired"]:
        return arms, (indices, indices)
    n = arms[0].size
    return arms, (indices[:, :n], indices[:, n:] - n)


@pytest.mark.parametrize(
    "case", GOLDEN["resampled"], ids=lambda case: f"{case['statistic']} of {case['x']}, {case['confidence']}"
)
def test_resamples_of_r(case):
    """Of the same resamples, the bounds and p-values are those that boot and its own words give."""
    statistic, (arms, indices) = STATISTICS[case["statistic"]], resampled(case)
    expected, tolerance = case["expected"], case["tolerance"]
    replicates = statistic(*(arm[one] for arm, one in zip(arms, indices, strict=True)))
    estimate = float(statistic(*arms))
    influence = jackknife(statistic, arms, paired=case["paired"])
    assert estimate == pytest.approx(expected["estimate"], rel=tolerance)
    assert percentile_bounds(replicates, case["confidence"]) == pytest.approx(
        expected["percentile"], rel=tolerance
    )
    assert bca_bounds(replicates, estimate, influence, case["confidence"]) == pytest.approx(
        expected["bca"], rel=tolerance
    )


@pytest.mark.parametrize(
    "case",
    [case for case in GOLDEN["resampled"] if case["statistic"] == "mean"],
    ids=lambda case: f"{case['x']}, {case['confidence']}",
)
def test_studentised_resamples_of_r(case, monkeypatch):
    """Of the same resamples, the studentised interval and the test's p-values are R's."""
    arms, indices = resampled(case)
    paired, expected, tolerance = case["paired"], case["expected"], case["tolerance"]
    monkeypatch.setattr(bootstraps, "draws", lambda *_, **__: iter([indices[:1] if paired else indices]))
    options = {"paired": paired, "rng": np.random.default_rng(1), "resamples": len(indices[0])}
    effect = bootstraps.bootstrap_mean_difference(*arms, confidence=case["confidence"], **options)
    assert [effect.low, effect.high] == pytest.approx(expected["studentised"], rel=tolerance)
    for side in ("greater", "less"):
        assert bootstraps.bootstrap(*arms, alternative=side, **options).p == pytest.approx(
            expected[side], rel=tolerance
        )


@pytest.mark.parametrize(
    "case",
    [case for case in GOLDEN["resampled"] if case["statistic"] == "iqm"],
    ids=lambda case: f"{case['x']}, {case['confidence']}",
)
def test_interquartile_intervals_of_r(case, monkeypatch):
    """Of the same resamples, the bounds of iqm_difference are the percentiles that boot gives."""
    arms, indices = resampled(case)
    monkeypatch.setattr(locations, "draws", lambda *_, **__: iter([indices]))
    effect = locations.iqm_difference(
        *arms,
        paired=case["paired"],
        confidence=case["confidence"],
        rng=np.random.default_rng(1),
        resamples=len(indices[0]),
    )
    expected = [case["expected"]["estimate"], *case["expected"]["percentile"]]
    assert [effect.estimate, effect.low, effect.high] == pytest.approx(expected, rel=case["tolerance"])


def test_golden_numbers_cover_every_effect():
    """Every effect has golden numbers, in every design that it offers."""
    covered = {(case["subject"], case["arguments"]["paired"]) for case in GOLDEN["cases"]}
    elsewhere = {"mean_difference", "hedges_g", "cliffs_delta", "bootstrap_mean_difference"}
    elsewhere |= {"share_difference", "share_excess", "log_spread_ratio", "spread_ratio"}  # contrasts.json
    elsewhere |= {"sequential_mean_difference", "sequential_share_difference"}  # sequences.json
    wanted = {(name, paired) for name in set(EFFECTS) - elsewhere for paired in (True, False)}
    assert wanted - {("cohens_dz", False)} <= covered
