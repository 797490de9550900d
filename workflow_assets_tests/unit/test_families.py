"""Families of hypotheses: what is refused before anything runs, and what the verdicts of one are adjusted for."""

import numpy as np
import pytest

from workflow_assets import Experiment, Hypothesis, step
from workflow_assets.errors import DeclarationError


@step
def score(rng: np.random.Generator, dose: float = 0.0) -> float:
    return float(dose + rng.normal())


DOSES = {"low": {"score.dose": 0.2}, "middle": {"score.dose": 0.8}, "high": {"score.dose": 2.0}}


def study(hypotheses, families=None, replicates=12, **options):
    return Experiment("study", [score], DOSES, replicates, hypotheses, families=families, **options)


def doses(**options):
    return [Hypothesis(f"{dose}_works", "score", dose, family="doses", **options) for dose in DOSES]


@pytest.mark.parametrize(
    ("hypotheses", "families", "message"),
    [
        (doses(), {"doses": "dunett"}, "family 'doses' is adjusted by 'dunett': did you mean 'dunnett'?"),
        (doses(), {"dozes": "holm"}, "families has 'dozes', which no hypothesis names .* did you mean 'doses'"),
        (doses(), {"": "holm"}, "no method is given for the family 'doses'"),
        (doses(), "holm", "families = 'holm': expected a mapping"),
        (
            [*doses(), Hypothesis("h", "score", "low", paired=False, family="doses")],
            {"doses": "dunnett"},
            "compared by dunnett, which needs one paired for all",
        ),
        (
            [Hypothesis("h", "score", "low", against="high", family="doses"), *doses()],
            {"doses": "dunnett"},
            "which compares with one treatment",
        ),
        (doses(test="paired_t"), {"doses": "dunnett"}, "which is their test: leave out test="),
        (doses(), {"doses": "tukey"}, "is for alternative=\"two-sided\", without a margin"),
        (doses(alternative="two-sided"), {"doses": "games_howell"}, "compares unpaired samples: say paired=False"),
    ],
)  # fmt: skip
def test_refused_families(hypotheses, families, message):
    """What a family cannot be judged by is an error before anything runs."""
    with pytest.raises(DeclarationError, match=message):
        study(hypotheses, families)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"treatment": "low", "test": "friedman"}, "test = 'friedman' compares several treatments"),
        ({"treatment": ["low", "high"], "test": "paired_t"}, "test = 'paired_t' compares two treatments"),
        ({"treatment": ["low", "high"], "alternative": "greater"}, "has no direction, no margin"),
        ({"treatment": ["low", "low"]}, "'low' is compared with itself"),
        ({"treatment": []}, "expected a treatment's name, or several"),
        ({"treatment": ["low", "hihg"]}, "unknown treatment 'hihg': did you mean 'high'"),
        ({"treatment": "low", "alternative": "equivalent"}, "a claim of equivalence says how large"),
        ({"treatment": "low", "against": float("nan")}, "against = nan: expected"),
        (
            {"treatment": "low", "test": lambda x, y: 0.5, "alternative": "two-sided", "margin": 1.0},
            "takes no margin=",
        ),
        ({"treatment": "low", "test": lambda x, y: 0.5}, "takes no alternative="),
    ],
)
def test_refused_claims(options, message):
    """A claim that no test could judge is an error before anything runs."""
    with pytest.raises(DeclarationError, match=message):
        study([Hypothesis("h", "score", **options)])
