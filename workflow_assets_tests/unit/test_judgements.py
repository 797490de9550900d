"""A hypothesis's test is tried on its own values with nothing to find in them."""

from typing import Any

import numpy as np
import pytest

from workflow_assets import Experiment, Hypothesis, resamples, step
from workflow_assets.errors import UnknownNameError
from workflow_assets.results import Result


@step
def noise(rng: np.random.Generator, shift: float = 0.0, dull: bool = False) -> float:
    return 1.0 if dull else float(rng.normal() + shift * (1 + rng.normal()))


def result(replicates: Any = 10, families: Any = None, **options: Any) -> Result:
    claim = Hypothesis("better", "noise", **{"treatment": "more", **options})
    changes: dict[str, Any] = {
        "more": {"noise.shift": 1.0},
        "dull": {"noise.dull": True},
        "dim": {"noise.dull": True},
    }
    return Experiment("study", [noise], changes, replicates, [claim], families=families).run()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"paired": False},
        {"alternative": "equivalent", "margin": 0.5},
        {"test": "sign_test", "alternative": "two-sided"},
        {"against": 0.5},
    ],
)
def test_a_sound_test_errs_no_more_often_than_it_says(options: dict[str, Any]) -> None:
    found = result(**options).calibrate("better", trials=300)
    assert found.trials == 300
    assert found.verdict != "too often"
    assert found.rate < 0.1


def careless(x: Any, y: Any, alternative: str) -> float:
    return 0.01 if np.mean(x) > np.mean(y) else 0.9


def test_a_test_of_ones_own_that_errs_is_found_out() -> None:
    found = result(test=careless).calibrate("better", trials=200)
    assert found.test == "careless"
    assert found.verdict == "too often"
    assert 0.3 < found.rate < 0.7
    assert "careless errs too often: on permuted labels it rejects in" in str(found)


def test_the_same_is_found_again() -> None:
    assert result().calibrate("better", 50) == result().calibrate("better", 50)


def test_the_level_of_the_hypothesis_is_the_one_that_is_tried() -> None:
    found = result(alpha=0.3).calibrate("better", 200)
    assert found.alpha == 0.3
    assert found.verdict == "as stated"
    rare = result(alpha=0.002, test="sign_flip", replicates=16).calibrate("better", 50)
    assert rare.alpha == 0.002


def test_resplits_are_calibrated_by_their_own_test() -> None:
    found = result(resamples(12, test_fraction=0.2)).calibrate("better", 200)
    assert found.test == "corrected_resampled_t"
    assert found.verdict == "seldom", "permuting takes away the overlap that it makes up for"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"treatment": ["more", "dull"]}, "better is about several treatments: calibrate a claim about each"),
        ({"family": "all", "families": {"all": "dunnett"}}, "adjust its family by 'holm' to calibrate it"),
        ({"treatment": "dull", "against": "dim"}, "better cannot be calibrated: "),
        ({"against": 0.5, "paired": False}, "no second arm whose labels to permute"),
    ],
)
def test_what_cannot_be_calibrated_says_what_to_do(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        result(**options).calibrate("better")


def test_bad_questions_are_named() -> None:
    with pytest.raises(UnknownNameError, match=r"'bettr'.*'better'"):
        result().calibrate("bettr")
    with pytest.raises(ValueError, match="trials is 0: permute at least once"):
        result().calibrate("better", 0)
