"""Components of variance against those of R, which components.R made and components.json keeps."""

import json
from pathlib import Path

import pytest

from workflow_assets.stats.components import variance_components

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "components.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_components_of_r(case):
    """Each component and each bound equals that of the R call beside it, within the tolerance beside it."""
    found = variance_components(case["y"], case["levels"], crossed=case["crossed"])
    assert [one.source for one in found.components] == [one["source"] for one in case["components"]]
    for one, expected in zip(found.components, case["components"], strict=True):
        assert one.variance == pytest.approx(expected["variance"], rel=case["tolerance"], abs=1e-12), (
            one.source
        )
        bounds = [expected["low"], expected["high"]]
        assert [one.low, one.high] == pytest.approx(bounds, rel=case["tolerance_of_bounds"], abs=1e-9), (
            one.source
        )
