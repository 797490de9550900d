"""Tests of shares, signs, spreads, quantiles and permutations against R: contrasts.R made contrasts.json."""

import json
from pathlib import Path

import numpy as np
import pytest

from workflow_assets.stats import proportions, spreads
from workflow_assets.stats.comparisons import TESTS, compare
from workflow_assets.stats.methods import METHODS
from workflow_assets.stats.quantiles import harrell_davis

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "contrasts.json").read_text())
EFFECTS = {
    effect.__name__: effect
    for effect in (
        proportions.share_difference, proportions.share_excess, spreads.log_spread_ratio, spreads.spread_ratio
    )
}  # fmt: skip
SUBJECTS = sorted({case["subject"] for case in GOLDEN["cases"]})


def compute(subject, x, y, arguments):
    if subject in TESTS:
        return compare(subject, x, y, rng=np.random.default_rng(1), **arguments)
    return EFFECTS[subject](x, y, **arguments)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_numbers_of_r(subject):
    """Each number equals that of the R call beside it, within the tolerance beside it."""
    arms = GOLDEN["arms"]
    for case in GOLDEN["cases"]:
        if case["subject"] != subject:
            continue
        where = f"{case['call']} of {case['x']} and {case['y']}, {case['arguments']}"
        result = compute(subject, arms[case["x"]], arms[case["y"]], case["arguments"])
        for name, expected in case["expected"].items():
            found = getattr(result, name)
            assert found == pytest.approx(expected, rel=case["tolerance"], abs=1e-12 * (name != "p")), where


@pytest.mark.parametrize("case", GOLDEN["quantiles"], ids=lambda case: f"{case['arm']} {case['share']}")
def test_quantiles_of_r(case):
    """The estimate of Harrell and Davis is that of the incomplete beta function in R."""
    values = np.sort(GOLDEN["arms"][case["arm"]])
    assert harrell_davis(values.size, case["share"]) @ values == pytest.approx(case["expected"], rel=1e-9)


def test_golden_numbers_cover_every_claim():
    """Every test here has golden numbers for each claim that can be made of it."""
    tests = [subject for subject in SUBJECTS if subject in TESTS]
    assert len(tests) == 9
    claims = {(case["subject"], case["arguments"].get("alternative")) for case in GOLDEN["cases"]}
    for test in tests:
        sides = {"greater", "less", "two-sided"} | ({"equivalent"} if METHODS[test].margins else set())
        assert {(test, side) for side in sides} <= claims
