"""Sequential tests and their intervals against R, which sequences.R asked and sequences.json keeps."""

import json
from pathlib import Path

import pytest

from workflow_assets.stats import sequences

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "sequences.json").read_text())


@pytest.mark.parametrize(
    "case", GOLDEN["cases"], ids=lambda case: f"{case['subject']}: {case['x']} {case['arguments']}"
)
def test_number_of_r(case):
    """Each number equals that of the integral or root beside it, within the tolerance beside it."""
    arms = GOLDEN["arms"]
    result = getattr(sequences, case["subject"])(arms[case["x"]], arms[case["y"]], **case["arguments"])
    for name, expected in case["expected"].items():
        assert getattr(result, name) == pytest.approx(expected, rel=case["tolerance"], abs=0), name
