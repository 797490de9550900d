"""Adjusted p-values against those of R, which families.R made and families.json keeps."""

import json
from pathlib import Path

import pytest

from workflow_assets.stats.families import PROCEDURES, adjust

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "families.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["families"], ids=lambda case: f"{case['call']}: {case['p'][:5]}")
def test_adjusted_p_values_of_r(case):
    """Each adjusted p-value equals that of p.adjust, ties, zeros and ones included."""
    adjusted = adjust(case["procedure"], case["p"])
    assert adjusted == pytest.approx(tuple(case["adjusted"]), rel=case["tolerance"], abs=0)


def test_golden_numbers_cover_every_procedure():
    """No procedure goes without golden numbers."""
    assert {case["procedure"] for case in GOLDEN["families"]} == set(PROCEDURES)
