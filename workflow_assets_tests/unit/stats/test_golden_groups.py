"""Our numbers for several treatments against those of R, which groups.R made and groups.json keeps."""

import json
from pathlib import Path

import pytest

from workflow_assets.stats import omnibus, posthoc

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "groups.json").read_text())
OMNIBUS = {"anova", "welch_anova", "kruskal_wallis", "repeated_measures_anova", "friedman", "cochran_q"}
POSTHOC = {"dunnett", "tukey", "games_howell", "nemenyi", "ranks_against"}


def number(result, name):
    """Find a number of a result by its name: a field, an effect size, or the p of another convention."""
    if hasattr(result, name):
        return getattr(result, name)
    others = {one.name: one.p for one in result.others}
    return others[name] if name in others else result.size(name)


@pytest.mark.parametrize(
    "case", GOLDEN["cases"], ids=lambda case: f"{case['test']}, {case['data']}: {case['call']}"
)
def test_number_of_r(case):
    """Each number equals that of the R call beside it, within the tolerance beside it."""
    module = omnibus if case["test"] in OMNIBUS else posthoc
    arms = {
        name: [arm] if isinstance(arm, float | int) else arm
        for name, arm in GOLDEN[case["design"]][case["data"]].items()
    }
    result = getattr(module, case["test"])(arms, **dict(case["arguments"]))

    def near(expected):
        return pytest.approx(expected, rel=case["relative"], abs=case["absolute"])

    for name, expected in case["expected"].items():
        if name == "pairs":
            for pair in expected:
                ours = result.pair(pair.pop("x"), pair.pop("y"))
                assert {key: getattr(ours, key) for key in pair} == {
                    key: near(value) for key, value in pair.items()
                }
        elif name == "df":
            wanted = expected if isinstance(expected, list) else [expected]
            assert list(result.df) == [near(value) for value in wanted]
        else:
            assert number(result, name) == near(expected), name


def test_golden_numbers_cover_every_method():
    """Every method has golden numbers; those for both designs in both, the sided one on every side."""
    covered = {(case["test"], case["design"]) for case in GOLDEN["cases"]}
    assert {test for test, _ in covered} == OMNIBUS | POSTHOC
    assert {
        (test, design) for test in ("dunnett", "tukey") for design in ("independent", "blocks")
    } <= covered
    sides = {case["arguments"]["alternative"] for case in GOLDEN["cases"] if case["test"] == "dunnett"}
    assert sides == {"two-sided", "greater", "less"}
