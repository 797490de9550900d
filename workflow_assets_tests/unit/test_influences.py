"""Effects of factors and components of variance are told from a result."""

import numpy as np
import pytest

from workflow_assets import (
    Experiment,
    Metrics,
    crossed,
    factor_effects,
    factorial,
    resamples,
    sampled,
    step,
    units,
    variance_components,
)
from workflow_assets.errors import UnknownNameError
from workflow_assets.stats.factors import factor_effects as estimate

GRID = factorial(
    {"model.C": [1.0, 2.0, 3.0], "model.wide": [False, True]}, baseline={"model.C": 1.0, "model.wide": False}
)


class Model(Metrics):
    score: float
    label: str


@step
def model(replicate: int, treatment: str, C: float = 1.0, wide: bool = False, fail: float = -1.0) -> Model:
    if fail == C and replicate == 2:
        raise RuntimeError("failed")
    noise = np.random.default_rng([replicate, *treatment.encode()]).normal()
    return Model(score=10 * replicate + C**2 + 3 * wide + C * wide + noise, label="a")


def test_the_table_has_what_the_statistics_say() -> None:
    result = Experiment("grid", [model], GRID, 12).run()
    table = factor_effects(result, "model.score")
    assert list(table["term"]) == ["model.C", "model.C", "model.wide"] + ["model.C × model.wide"] * 2
    assert list(table["contrast"])[:3] == ["2.0 − 1.0", "3.0 − 1.0", "True − False"]
    wide = result.table.pivot_table("model.score", "treatment", "replicate").loc[list(GRID)]
    factors = {name: [setting[name] for setting in GRID.settings.values()] for name in GRID.factors}
    found = estimate(wide.to_numpy(), factors)
    assert list(table["estimate"]) == [one.estimate for term in found.terms for one in term.contrasts]
    assert list(table["p_adjusted"]) == [term.p_adjusted for term in found.terms for _ in term.contrasts]
    assert set(table["n"]) == {12}
    means = wide.mean(axis=1)
    by_hand = (
        means["C=3.0 wide=False"] + means["C=3.0 wide=True"] - means["baseline"] - means["C=1.0 wide=True"]
    ) / 2
    assert table["estimate"][1] == pytest.approx(by_hand)
    assert table.attrs["notes"] == []


def test_failed_cells_leave_their_replicate_out_unless_pooled() -> None:
    result = Experiment("grid", [model], GRID, 6, parameters={"model.fail": 3.0}).run()
    table = factor_effects(result, "model.score")
    assert set(table["n"]) == {5}
    assert table.attrs["notes"] == ["1 of 6 replicates lack a treatment and are left out"]
    assert set(factor_effects(result, "model.score", pooled=True)["n"]) == {6}


def test_overlapping_resplits_widen_the_intervals() -> None:
    plain = factor_effects(Experiment("grid", [model], GRID, 6).run(), "model.score")
    overlapping = factor_effects(
        Experiment("grid", [model], GRID, resamples(6, test_fraction=0.5)).run(), "model.score"
    )
    widths = [table["high"] - table["low"] for table in (plain, overlapping)]
    assert (widths[1] / widths[0]).tolist() == pytest.approx([7**0.5] * 5)
    assert "re-split one data set" in overlapping.attrs["notes"][0]


def test_sampled_factors_have_slopes() -> None:
    design = sampled({"model.C": (1.0, 2.0), "model.wide": [False, True]}, 8, seed=1)
    table = factor_effects(Experiment("samples", [model], design, 20).run(), "model.score")
    slope = table.set_index("term").loc["model.C"]
    assert slope["contrast"] == "over its range"
    assert 3 < slope["estimate"] < 4.5  # C² + C/2 from 1 to 2


def test_a_design_of_which_nothing_is_known_is_refused() -> None:
    result = Experiment("grid", [model], dict(GRID), 3).run()
    with pytest.raises(ValueError, match="has no design: declare treatments=factorial"):
        factor_effects(result, "model.score")
    assert len(factor_effects(result, "model.score", design=GRID)) == 5


@pytest.mark.parametrize("function", [factor_effects, variance_components])
@pytest.mark.parametrize(("metric", "told"), [("model.scor", "did you mean"), ("model.label", "is text")])
def test_what_is_no_number_is_refused(function, metric: str, told: str) -> None:
    result = Experiment(
        "grid", [named], factorial({"model.C": [1, 2]}), crossed({"a": 2, "b": 2}, unit="a")
    ).run()
    with pytest.raises(UnknownNameError, match=told):
        function(result, metric)


@step
def draw(replicate: str, shift: float = 0.0) -> float:
    init, split = replicate.split("/")
    common = np.random.default_rng(list(split.encode())).normal()
    return 0.1 * np.random.default_rng(list(init.encode())).normal() + common * (1 + shift) + shift


@step
def named(replicate: str, C: float = 1.0) -> Model:
    return Model(score=len(replicate) * C, label="a")


named = named.named("model")


def test_the_source_that_dominates_is_named() -> None:
    result = Experiment(
        "sources", [draw], {"more": {"draw.shift": 0.5}}, crossed({"init": 4, "split": 8})
    ).run()
    found = variance_components(result, "draw")
    assert found.dominant.source == "split"
    assert found.doubling()["split"] < 0.6 < found.doubling()["init"]
    difference = variance_components(result, "draw", treatment="more", against="baseline")
    assert difference.components[0].variance < 1e-20  # what initialisations do is shared
    assert difference.dominant.source == "split"


def test_factors_of_units_are_judged_by_units() -> None:
    sites = [f"P{plate}/s{site}" for plate in range(3) for site in range(2)]
    design = factorial({"draw.shift": [0.0, 1.0]}, baseline={"draw.shift": 0.0})
    table = factor_effects(
        Experiment("sites", [draw], design, units(sites, levels=("plate", "site"), unit="plate")).run(),
        "draw",
    )
    assert set(table["n"]) == {3}
    unclear = Experiment("sites", [draw], design, units(sites, levels=("plate", "site"))).run()
    with pytest.raises(ValueError, match="6 replicates lie in 3 plates and are not independent"):
        factor_effects(unclear, "draw")


def test_replicates_without_levels_have_no_components() -> None:
    with pytest.raises(ValueError, match="have no levels: declare replicates=crossed"):
        variance_components(Experiment("grid", [model], replicates=4).run(), "model.score")
