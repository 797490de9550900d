"""Our posteriors against those of R, which bayes.R made and bayes.json keeps."""

import json
from pathlib import Path

import pytest

from workflow_assets.stats import bayes

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "bayes.json").read_text())


def answers(case):
    """Give what we have for each of the expected numbers."""
    arms = (GOLDEN["arms"][case[name]] for name in "xy")
    result = getattr(bayes, case["subject"])(*arms, **dict(case["arguments"]))  # R writes an empty list
    if not isinstance(result, bayes.Posterior):
        return {"p": result.p}
    low, high = result.interval(0.95)
    rope = case["expected"].get("rope", 0.0)
    beliefs = result.beliefs(rope)
    return {
        "rope": rope, "left": beliefs.left, "inside": beliefs.rope, "right": beliefs.right, "low": low, "high": high
    }  # fmt: skip


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: f"{case['subject']}: {case['call']}")
def test_number_of_r(case):
    """Each number equals that of the R call beside it, within the tolerance beside it."""
    ours = answers(case)
    for name, expected in case["expected"].items():
        assert ours[name] == pytest.approx(expected, rel=case["tolerance"], abs=0), name
