"""Our numbers against those of R, which stats.R made and stats.json keeps."""

import json
from pathlib import Path

import numpy as np
import pytest

from workflow_assets.stats.comparisons import TESTS, compare
from workflow_assets.stats.families import holm
from workflow_assets.stats.measures import EFFECTS

FOLDER = Path(__file__).parents[2] / "golden"
GOLDEN = json.loads((FOLDER / "stats.json").read_text())


def compute(subject, x, y, arguments):
    if subject in TESTS:
        return compare(subject, x, y, rng=np.random.default_rng(1), **arguments)
    return EFFECTS[subject](x, y, **arguments)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: f"{case['subject']}: {case['call']}")
def test_number_of_r(case):
    """Each number equals that of the R call beside it, within the tolerance beside it."""
    arms = GOLDEN["arms"]
    result = compute(case["subject"], arms[case["x"]], arms[case["y"]], case["arguments"])
    for name, expected in case["expected"].items():
        assert getattr(result, name) == pytest.approx(expected, rel=case["tolerance"], abs=0), name


@pytest.mark.parametrize("case", GOLDEN["holm"], ids=str)
def test_holm_of_r(case):
    """Adjusted p-values equal those of p.adjust."""
    assert holm(case["p"]) == pytest.approx(case["adjusted"], rel=case["tolerance"], abs=0)


def test_golden_numbers_cover_every_method():
    """Every test and every effect has golden numbers, in every design and direction that it offers."""
    covered = {(case["subject"], *sorted(case["arguments"].items())[:1]) for case in GOLDEN["cases"]}
    sided = {"paired_t", "welch_t", "wilcoxon_signed_rank", "mann_whitney", "sign_flip"}
    assert {
        (subject, ("alternative", side)) for subject in sided for side in ("greater", "less", "two-sided")
    } <= covered
    designs = {(case["subject"], case["arguments"].get("paired")) for case in GOLDEN["cases"]}
    assert {
        (subject, paired)
        for subject in ("mean_difference", "hedges_g", "cliffs_delta")
        for paired in (True, False)
    } <= designs
    # Those of the bootstrap need the same resamples: test_golden_effects has them.
    everywhere = [json.loads(path.read_text()) for path in FOLDER.glob("*.json")]
    subjects = {case.get("subject") for one in everywhere for case in one.get("cases", [])}
    assert subjects >= set(TESTS) - {"bootstrap"}
