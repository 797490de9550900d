"""Effects of factors against those of R, which factors.R made and factors.json keeps."""

import json
from pathlib import Path

import numpy as np
import pytest

from workflow_assets.stats.factors import factor_effects
from workflow_assets.stats.terms import efficiencies

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "factors.json").read_text())


def table(case):
    return np.array([[np.nan if cell is None else cell for cell in row] for row in case["y"]])


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: f"{case['name']}, pooled {case['pooled']}")
def test_effects_of_r(case):
    """Each term and each difference has the numbers of the R call beside it."""
    found = factor_effects(table(case), case["factors"], blocks=case.get("blocks"), pooled=case["pooled"])
    assert [term.name for term in found.terms] == [term["name"] for term in case["terms"]]
    for term, expected in zip(found.terms, case["terms"], strict=True):
        for name in {"f", "df", "df_error", "epsilon", "p"} & set(expected):
            assert getattr(term, name) == pytest.approx(expected[name], rel=case["tolerance"]), name
        for contrast, numbers in zip(term.contrasts, expected["contrasts"], strict=True):
            for name, number in numbers.items():
                assert getattr(contrast, name) == pytest.approx(number, rel=case["tolerance"], abs=1e-12), (
                    name
                )


@pytest.mark.parametrize(
    "case",
    [case for case in GOLDEN["cases"] if "blocks" in case and not case["pooled"]],
    ids=lambda case: case["name"],
)
def test_efficiencies_of_r(case):
    """What blocks cost a term is what they cost it in R; terms that they hide have nothing left."""
    found = efficiencies(case["factors"], case["blocks"])
    expected = {term["name"]: term["efficiency"] for term in case["terms"]}
    assert {name: one for name, one in found.items() if one} == pytest.approx(expected, rel=1e-9)
    assert {name for name, one in found.items() if not one} == {*found} - {*expected}
