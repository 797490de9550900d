"""Our powers against those of R, which powers.R made and powers.json keeps."""

import json
from pathlib import Path

import pytest

from workflow_assets.stats.powers import OF_MEANS, OF_SHARES, Plan

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "powers.json").read_text())


def plain(given):
    """Give lists as the tuples that a plan takes."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: f"{case['plan']}: {case['call']}")
def test_number_of_r(case):
    """Each number equals that of the R call beside it, within the tolerance beside it."""
    answer = getattr(Plan(**plain(case["plan"])), case["method"])(**plain(case["arguments"]))
    assert answer == pytest.approx(case["expected"], rel=case["tolerance"], abs=1e-12)


def test_golden_numbers_cover_every_test():
    """Every test that has a formula has golden numbers."""
    assert {case["plan"]["test"] for case in GOLDEN["cases"]} == {*OF_MEANS, *OF_SHARES}
