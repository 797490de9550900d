"""Designs are treatments that remember their factors."""

import pickle
from typing import Any

import pytest

from workflow_assets import Design, Experiment, Treatment, factorial, fractional, sampled, step
from workflow_assets.errors import DeclarationError


@step
def score(C: float = 1.0, depth: int = 2, kind: str = "tree") -> float:
    return C * depth + len(kind)


GRID: dict[str, list[Any]] = {"score.C": [0.1, 1.0, 10.0], "score.depth": [2, 3]}


def test_a_factorial_is_run_as_treatments() -> None:
    result = Experiment("grid", [score], factorial(GRID)).run()
    values = dict(zip(result.table["treatment"], result.table["score"], strict=True))
    assert values["C=0.1 depth=3"] == pytest.approx(4.3)
    assert len(values) == 7  # the baseline is a treatment of its own


def test_the_combination_of_the_defaults_is_the_baseline_if_declared_so() -> None:
    study = Experiment("grid", [score], factorial(GRID, baseline={"score.C": 1.0, "score.depth": 2}))
    assert list(study.treatments) == ["baseline", *(f"C={c} depth={d}" for c, d in
                                      [(0.1, 2), (0.1, 3), (1.0, 3), (10.0, 2), (10.0, 3)])]  # fmt: skip
    assert study.design is not None
    assert study.design.values_of("baseline") == {"score.C": 1.0, "score.depth": 2}


def test_a_baseline_that_is_another_is_refused() -> None:
    design = factorial(GRID, baseline={"score.C": 10.0, "score.depth": 2})
    with pytest.raises(DeclarationError, match=r"score.C of the baseline is 10.0, and it is 1.0"):
        Experiment("grid", [score], design)
    assert len(Experiment("grid", [score], design, parameters={"score.C": 10.0}).treatments) == 6


def test_more_treatments_are_added_as_to_a_dict() -> None:
    design = factorial(GRID) | {"forest": Treatment({"score.kind": "forest"})}
    study = Experiment("grid", [score], design)
    assert "forest" in study.treatments
    assert study.design is design
    assert "forest" not in design.settings
    with pytest.raises(DeclarationError, match=r"'C=0\.1 depth=2' is one of the design already"):
        design | {"C=0.1 depth=2": {}}


def test_names_are_partition_keys_whatever_the_levels() -> None:
    design = factorial(
        {
            "a.sizes": [[1, 2], [3]],
            "a.what": [None, "x" * 50],
            "b.model": {"small": object(), "large": object()},
        }
    )
    assert list(design)[:3] == [
        "sizes=(1; 2) what=None model=small",
        "sizes=(1; 2) what=None model=large",
        "sizes=(1; 2) what=#1 model=small",
    ]
    assert design["sizes=(1; 2) what=None model=small"].parameters["a.sizes"] == [1, 2]


def test_parameters_of_one_name_are_told_apart() -> None:
    assert next(iter(factorial({"a.rate": [1, 2], "b.rate": [1, 2]}))) == "a.rate=1 b.rate=1"


def test_too_long_names_are_numbered() -> None:
    design = factorial({f"step.parameter_with_a_long_name_{number}": [0, 1] for number in range(5)})
    assert list(design)[:2] == ["run0", "run1"]


def test_a_design_survives_pickling() -> None:
    design = factorial(GRID)
    copy = pickle.loads(pickle.dumps(design))
    assert (dict(copy), copy.settings, copy.factors) == (dict(design), design.settings, design.factors)


def test_a_fraction_is_balanced_in_each_pair_of_factors() -> None:
    names = [f"m.{letter}" for letter in "abcd"]
    design = fractional({name: [0, 1] for name in names}, {"m.d": ["m.a", "m.b", "m.c"]})
    assert len(design) == 8
    for one in names:
        for other in names:
            pairs = [(setting[one], setting[other]) for setting in design.settings.values()]
            assert {pairs.count(pair) for pair in pairs} == ({4} if one == other else {2})


@pytest.mark.parametrize("method", ["sobol", "lhs", "halton"])
def test_samples_spread_over_their_ranges_and_repeat(method) -> None:
    ranges = {"score.C": (0.01, 100.0, "log"), "score.depth": (1, 4), "score.kind": ["tree", "forest"]}
    design = sampled(ranges, 16, seed=5, method=method)
    assert dict(sampled(ranges, 16, seed=5, method=method)) == dict(design)
    assert dict(sampled(ranges, 16, seed=6, method=method)) != dict(design)
    values = [design.values_of(name) for name in design]
    assert {one["score.depth"] for one in values} == {1, 2, 3, 4}
    assert {one["score.kind"] for one in values} == {"tree", "forest"}
    assert 6 <= sum(one["score.C"] < 1 for one in values) <= 10
    assert all(-1 <= design.factors["score.C"].coded(one["score.C"]) <= 1 for one in values)
    assert len(Experiment("samples", [score], design).treatments) == 17


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: factorial({}), "expected a mapping such as"),
        (lambda: factorial({"C": [1, 2]}), "expected a parameter such as 'model.C'"),
        (lambda: factorial({"m.C": [1]}), "has 1 levels: at least 2"),
        (lambda: factorial({"m.C": "ab"}), "expected a list of values"),
        (lambda: factorial({"m.C": [1, 1]}), "has one level twice"),
        (lambda: factorial({"m.C": {"a|b": 1, "c": 2}}), "which joins dimensions"),
        (lambda: factorial({f"m.{n}": [0, 1] for n in range(17)}), "131,072 treatments: sample them"),
        (lambda: factorial({"m.C": [1, 2]}, baseline={"m.C": 3}), "is none of its levels"),
        (lambda: factorial({"m.C": [1, 2]}, baseline={}), "baseline has no 'm.C'"),
        (lambda: factorial({"m.C": [1, 2]}, baseline={"m.D": 1}), "baseline has 'm.D'"),
        (lambda: fractional({"m.a": [0, 1, 2], "m.b": [0, 1]}, {}), "has 3 levels: a fractional design"),
        (lambda: fractional({"m.a": [0, 1], "m.b": [0, 1]}, {"m.b": ["m.a"]}), "two or more factors"),
        (lambda: fractional({"m.a": [0, 1], "m.b": [0, 1]}, {"m.x": ["m.a", "m.b"]}), "is no factor"),
        (lambda: sampled({"m.a": (2, 1)}, 4, seed=0), "expected (low, high)"),
        (lambda: sampled({"m.a": (0, 1, "log")}, 4, seed=0), "low above 0"),
        (lambda: sampled({"m.a": (0, float("nan"))}, 4, seed=0), "expected (low, high)"),
        (lambda: sampled({"m.a": (0, 1)}, 0, seed=0), "n = 0"),
        (lambda: sampled({"m.a": (0, 1)}, 4, seed=-1), "seed = -1"),
        (lambda: sampled({"m.a": (0, 1)}, 4, seed=0, method="sobel"), "did you mean 'sobol'?"),  # type: ignore[arg-type]
        (lambda: sampled({}, 4, seed=0), "it has no factors"),
    ],
)
def test_what_is_no_design_is_refused(make, told: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        make()
    assert told in str(caught.value)


def test_an_experiment_without_a_design_has_none() -> None:
    assert Experiment("plain", [score], dict(factorial(GRID))).design is None
    assert isinstance(factorial(GRID), Design)
