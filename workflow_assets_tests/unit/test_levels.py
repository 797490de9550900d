"""What replicates share is declared, and nothing that shares anything is tested as if it did not."""

import numpy as np
import pytest

from workflow_assets import Experiment, Hypothesis, crossed, step, units
from workflow_assets.errors import DeclarationError
from workflow_assets.replicates import Replicates

LEVELS = ("plate", "well", "site")
SITES = [f"P{plate}/A{well}/s{site}" for plate in (1, 2, 3, 4) for well in (1, 2) for site in (1, 2, 3)]


@step
def value(replicate: str, bonus: float = 0.0) -> float:
    plate, well, site = (int(part[1:]) for part in replicate.split("/"))
    return plate**2 + well + 0.1 * site + bonus * (1 + 0.1 * plate + 0.01 * site)


@step
def passed(replicate: str, bonus: float = 0.0) -> bool:
    return bool(bonus) or int(replicate[-1]) <= int(replicate[1])


def study(replicates: Replicates, one=value, **options) -> Experiment:
    claim = Hypothesis("more", metric=one.name, treatment="more", **options)
    return Experiment("study", [one], {"more": {f"{one.name}.bonus": 1.0}}, replicates, [claim])


def test_sites_are_aggregated_to_plates_and_n_is_the_number_of_plates() -> None:
    verdict = study(units(SITES, levels=LEVELS, unit="plate")).run().verdict("more")
    assert (verdict.n, verdict.df) == ((4, 4), 3.0)
    assert "24 sites aggregated to 4 plates" in verdict.note
    assert verdict.effect is not None
    assert verdict.effect.estimate == pytest.approx(1.27)


def test_a_well_with_many_sites_weighs_as_much_as_one_with_few() -> None:
    replicates = units(["P/A/1", "P/A/2", "P/A/3", "P/B/1", "Q/A/1"], levels=LEVELS, unit="plate")
    assert replicates.levels is not None
    values = dict(zip(replicates.keys, [1.0, 2.0, 3.0, 10.0, 5.0], strict=True))
    assert replicates.levels.mean_per("plate", values) == {"P": 6.0, "Q": 5.0}
    huge = replicates.levels.mean_per("plate", dict.fromkeys(replicates.keys, 1e300))
    assert huge["P"] == pytest.approx(1e300)


def test_wells_of_different_plates_are_different_wells() -> None:
    replicates = units(["P/A", "Q/A"], levels=("plate", "well"), unit="plate")
    assert replicates.levels is not None
    assert replicates.levels.count("well") == 2


@pytest.mark.parametrize("paired", [True, False])
def test_both_designs_are_aggregated(paired: bool) -> None:
    verdict = study(units(SITES, levels=LEVELS, unit="plate"), paired=paired).run().verdict("more")
    assert verdict.n == (4, 4)


def test_shares_of_0_and_1_are_no_longer_0_and_1() -> None:
    verdict = study(units(SITES, levels=LEVELS, unit="plate"), passed).run().verdict("more")
    assert (verdict.test, verdict.n) == ("paired_t", (4, 4))
    assert verdict.effect is not None
    assert verdict.effect.estimate == pytest.approx((2 / 3 + 1 / 3 + 0 + 0) / 4)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"unit": "site"},
            "unit = 'site', but 24 sites lie in 4 plates and are not independent: declare unit='plate'",
        ),
        (
            {"unit": "well"},
            "unit = 'well', but 8 wells lie in 4 plates and are not independent: declare unit='plate'",
        ),
        ({"block": "well"}, "block = 'well', but 8 wells lie in 4 plates"),
        ({"unit": "wel"}, "unit = 'wel' is none of the levels: did you mean 'well'?"),
        ({"unit": "plate", "block": "well"}, "does not lie within block"),
    ],
)
def test_units_that_share_something_are_refused_with_what_to_do(options: dict[str, str], told: str) -> None:
    with pytest.raises(DeclarationError, match="replicates: ") as caught:
        units(SITES, levels=LEVELS, **options)
    assert told in str(caught.value)


def test_without_a_unit_the_data_can_be_had_and_a_hypothesis_is_refused() -> None:
    replicates = units(SITES, levels=LEVELS)
    assert len(Experiment("study", [value], replicates=replicates).run().table) == 24
    with pytest.raises(
        DeclarationError, match="24 replicates lie in 4 plates and are not independent"
    ) as caught:
        study(replicates)
    assert "declare unit='plate', so that one value of each is tested" in str(caught.value)


def test_one_site_of_each_plate_needs_no_unit() -> None:
    assert study(units(SITES[::6], levels=LEVELS)).run().verdict("more").n == (4, 4)


def test_names_that_look_nested_are_flagged() -> None:
    flags = study(Replicates.read(SITES)).run().verdict("more").flags
    assert any("24 replicates bear the names of 4 groups" in flag.message for flag in flags)
    fewer = study(Replicates.read(SITES[::6])).run().verdict("more").flags
    assert "nested_units" not in {flag.code for flag in fewer}


def test_blocks_compare_within_each_and_keep_what_only_one_arm_has() -> None:
    replicates = units(SITES, levels=LEVELS, unit="site", block="plate")
    assert replicates.levels is not None
    first = {key: 1.0 for key in SITES if "A1" in key}
    second = {key: 0.5 for key in SITES if "A2" in key}
    x, y, note = replicates.levels.align(first, second, paired=True)
    assert (x, y) == (
        dict.fromkeys(("P1", "P2", "P3", "P4"), 1.0),
        dict.fromkeys(("P1", "P2", "P3", "P4"), 0.5),
    )
    assert note == "12 sites aggregated to 4 plates, and treatments compared within each plate"
    with pytest.raises(
        DeclarationError, match="says paired=False, but treatments are compared within each plate"
    ):
        study(replicates, paired=False)


def test_pairs_are_of_the_same_sites() -> None:
    replicates = units(SITES[:6], levels=LEVELS, unit="plate")
    assert replicates.levels is not None
    x, y, _ = replicates.levels.align(
        {SITES[0]: 1.0, SITES[1]: 9.0}, {SITES[0]: 2.0, SITES[2]: 7.0}, paired=True
    )
    assert (x, y) == ({"P1": 1.0}, {"P1": 2.0})


def test_places_are_told_by_a_mapping_too() -> None:
    replicates = units({"a": {"plate": "P"}, "b": {"plate": "P"}, "c": {"plate": "Q"}}, unit="plate")
    assert replicates.levels is not None
    assert replicates.levels.mean_per("plate", {"a": 1.0, "b": 2.0, "c": 4.0}) == {"P": 1.5, "Q": 4.0}
    with pytest.raises(DeclarationError, match="unit 'b' has the levels"):
        units({"a": {"plate": "P"}, "b": {"dish": "P"}})


@pytest.mark.parametrize(
    ("keys", "levels", "told"),
    [
        (["P1/A1", "P2"], ("plate", "well"), "unit 'P2' does not tell its place: expected 'plate/well'"),
        (["P1/"], ("plate", "well"), "lies in"),
        (["a", "a"], ("plate",), "is named more than once"),
        (["a/b"], ("plate", "plate"), "level 'plate' is named more than once"),
        (["a/b"], ("status", "well"), "is the name of another column"),
        (["a/b"], "plate", "levels are not named"),
        (3, ("plate",), "are no names of units"),
        ({}, None, "expected names of units with their places"),
        ({"a": "P1"}, None, "expected names of units with their places"),
    ],
)
def test_a_place_that_cannot_be_told_is_refused(keys, levels, told: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        units(keys, levels=levels)
    assert told in str(caught.value)


def test_a_level_is_no_metric() -> None:
    with pytest.raises(DeclarationError, match="'value' names both a level of the replicates and a metric"):
        study(units(["a/b"], levels=("value", "well"), unit="value"))


def test_levels_are_columns_of_the_table() -> None:
    table = study(units(SITES, levels=LEVELS, unit="plate")).run().table
    assert list(table)[:6] == ["treatment", "replicate", "plate", "well", "site", "status"]
    assert table[["plate", "well", "site"]].to_numpy()[4].tolist() == ["P1", "P1/A2", "P1/A2/s2"]


def test_levels_are_part_of_the_version() -> None:
    versions = {
        study(replicates).version()
        for replicates in (
            units(SITES, levels=LEVELS, unit="plate"),
            units(SITES, levels=LEVELS, block="plate"),
            Replicates.read(SITES),
        )
    }
    assert len(versions) == 3


def test_crossed_sources_are_tested_over_one_of_them() -> None:
    @step
    def score(replicate: str, bonus: float = 0.0) -> float:
        init, split = (int(part[-1]) for part in replicate.split("/"))
        return float(np.sin(init) + split + bonus * (1 + 0.1 * split))

    verdict = study(crossed({"init": 3, "split": 4}, unit="split"), score).run().verdict("more")
    assert verdict.n == (4, 4)
    assert "12 replicates aggregated to 4 splits; what is said holds for these inits" in verdict.note
    with pytest.raises(DeclarationError, match="12 replicates share 3 inits and 4 splits"):
        study(crossed({"init": 3, "split": 4}), score)


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        ({"init": 3}, "fewer than two levels are no crossing"),
        ({"init": 1, "split": 3}, "level 'init' has 1 of its kind"),
        ({"init": "abc", "split": 3}, "expected how many there are, or their names"),
        ({"init": ["a/b", "c"], "split": 3}, "expected a name without '/'"),
    ],
)
def test_a_crossing_of_nothing_is_refused(levels, told: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        crossed(levels)
    assert told in str(caught.value)
