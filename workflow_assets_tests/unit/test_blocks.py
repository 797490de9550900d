"""Blocked designs say which treatments are run in which block, and refuse to hide what a factor does."""

import pickle
from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from workflow_assets import (
    Experiment,
    Treatment,
    blocked,
    factor_effects,
    factorial,
    fractional,
    sampled,
    step,
)
from workflow_assets.designs import Design
from workflow_assets.errors import DeclarationError

DAYS = ["mon", "tue", "wed", "thu"]
SHIFTS = dict(zip(DAYS, (0.0, 5.0, -3.0, 9.0), strict=True))
CUBE = factorial({f"model.{letter}": [0, 1] for letter in "abc"})
GRID = factorial({"model.C": [1, 2, 3], "model.wide": [False, True]})


def days(count: int) -> dict[str, Any]:
    return {"model.day": DAYS[:count]}


def members(design: Design) -> dict[str, list[tuple[str, ...]]]:
    """Give the combinations of levels in each block."""
    made: dict[str, list[tuple[str, ...]]] = {}
    for block, setting in zip(design.block_of() or [], design.settings.values(), strict=True):
        made.setdefault(block, []).append(tuple(setting[address] for address in design.factors))
    return made


@step
def model(
    replicate: int,
    treatment: str,
    a: int = 0,
    b: int = 0,
    c: int = 0,
    C: int = 1,
    wide: bool = False,
    day: str = "mon",
    shift: float = 0.0,
) -> float:
    noise = np.random.default_rng([replicate, *treatment.encode()]).normal(0.0, 0.1)
    return SHIFTS[day] + 2 * a + b * c + C + wide + shift + float(noise)


def test_complete_blocks_have_every_treatment() -> None:
    design = blocked(GRID, days(2))
    assert list(design)[::5] == ["C=1 wide=False day=mon", "C=3 wide=True day=mon", "C=3 wide=False day=tue"]
    whole = [tuple(one.values()) for one in GRID.settings.values()]
    assert members(design) == {"mon": whole, "tue": whole}
    assert design["C=3 wide=False day=tue"].parameters == {
        "model.C": 3,
        "model.wide": False,
        "model.day": "tue",
    }
    assert set(design.efficiencies.values()) == {1.0}
    assert dict(blocked(GRID, days(2), seed=7)) == dict(design)  # nothing is drawn


def test_what_blocks_differ_by_is_no_effect() -> None:
    """Of six combinations in four blocks of three, the means alone tell of blocks; factor_effects does not."""
    design = blocked(GRID, days(4), size=3, seed=3)
    table = factor_effects(Experiment("days", [model], design, 10).run(), "model")
    assert sorted(set(table["term"])) == ["model.C", "model.C × model.wide", "model.wide"]
    estimates = dict(zip(table["contrast"], table["estimate"], strict=True))
    assert estimates["3 − 1"] == pytest.approx(2.0, abs=0.2)
    assert estimates["True − False"] == pytest.approx(1.0, abs=0.2)
    unadjusted = [
        np.mean([SHIFTS[day] for day, held in members(design).items() for one in held if one[0] == level])
        for level in "123"
    ]
    assert max(unadjusted) - min(unadjusted) > 0.5


def test_one_replicate_in_complete_blocks_is_judged_by_pooling() -> None:
    table = factor_effects(Experiment("days", [model], blocked(GRID, days(4)), 1).run(), "model", pooled=True)
    assert set(table["df_error"]) == {24 - 4 - 5}
    assert table.set_index("contrast").loc["True − False", "estimate"] == pytest.approx(1.0, abs=0.2)


@step
def moody(replicate: int, a: int = 0, b: int = 0, day: str = "mon") -> float:
    """Respond to one factor differently each day, on average hardly at all, and to the other always alike."""
    noise = np.random.default_rng([replicate, a, b, *day.encode()]).normal(0.0, 0.05)
    return {"mon": 1.0, "tue": -1.0, "wed": 2.0, "thu": -1.6}[day] * a + b + float(noise)


def test_across_blocks_effects_have_to_agree_between_blocks() -> None:
    design = blocked(factorial({"moody.a": [0, 1], "moody.b": [0, 1]}), {"moody.day": DAYS})
    result = Experiment("days", [moody], design, 6).run()
    within, between = (factor_effects(result, "moody", across=one) for one in ("replicates", "blocks"))
    assert list(within["term"])[:2] == ["moody.a", "moody.b"]
    assert list(within["estimate"]) == pytest.approx(list(between["estimate"]))
    assert within["p"][0] < 0.01
    assert between["p"][0] > 0.5
    assert between["p"][1] < 0.01
    assert [set(within["n"]), set(between["n"])] == [{6}, {4}]
    assert "averaged" in between.attrs["notes"][0]


def test_across_blocks_needs_complete_blocks() -> None:
    incomplete = Experiment("days", [model], blocked(GRID, days(4), size=3, seed=1), 2).run()
    with pytest.raises(ValueError, match="needs blocks that have every treatment"):
        factor_effects(incomplete, "model", across="blocks")
    with pytest.raises(ValueError, match="needs a design with blocks"):
        factor_effects(Experiment("days", [model], GRID, 2).run(), "model", across="blocks")
    with pytest.raises(ValueError, match="did you mean 'blocks'"):
        factor_effects(incomplete, "model", across="block")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(4))
def test_named_interactions_are_given_up_and_others_kept_whole(seed: int) -> None:
    design = blocked(CUBE, days(2), confounding=[["model.a", "model.b", "model.c"]], seed=seed)
    assert {len({sum(map(int, one)) % 2 for one in held}) for held in members(design).values()} == {1}
    assert set(design.efficiencies.values()) == {1.0}
    four = blocked(
        CUBE, days(4), confounding=[["model.a", "model.b"], ["model.a", "model.c"]], seed=seed
    ).efficiencies
    assert {name for name, kept in four.items() if kept == 0} == {
        "model.a × model.b", "model.a × model.c", "model.b × model.c"
    }  # fmt: skip
    assert {four[f"model.{letter}"] for letter in "abc"} == {1.0}


def test_what_blocks_hide_is_noted_and_not_tested() -> None:
    design = blocked(CUBE, days(2), confounding=[["model.a", "model.b"]], seed=1)
    table = factor_effects(Experiment("days", [model], design, 6).run(), "model")
    assert "model.a × model.b" not in set(table["term"])
    assert table.attrs["notes"] == ["model.a × model.b cannot be told from the blocks in these treatments"]


def test_a_fraction_may_be_blocked() -> None:
    names = [f"m.{letter}" for letter in "abcd"]
    half = fractional({name: [0, 1] for name in names}, {"m.d": names[:3]})
    design = blocked(half, {"m.day": [1, 2]}, confounding=[["m.a", "m.b"]], seed=1)
    assert {len(held) for held in members(design).values()} == {4}
    assert {design.efficiencies[name] for name in names} == {1.0}


def test_seven_treatments_in_threes_are_a_balanced_incomplete_block_design() -> None:
    seven = factorial({"m.kind": list("abcdefg")})
    design = blocked(seven, {"m.day": list(range(7))}, size=3, seed=2)
    held = members(design).values()
    assert set(Counter(one for block in held for one in block).values()) == {3}
    assert len({frozenset(pair) for block in held for pair in combinations(block, 2)}) == 21
    assert dict(design.efficiencies) == {"m.kind": pytest.approx(7 * 2 / (3 * 6))}


def test_each_treatment_is_in_as_many_blocks_as_the_others_or_one_more() -> None:
    held = members(blocked(GRID, {"m.day": list(range(5))}, size=4, seed=1))
    assert sorted(Counter(one for block in held.values() for one in block).values()) == [3, 3, 3, 3, 4, 4]
    assert all(len(set(block)) == 4 for block in held.values())


@pytest.mark.parametrize("options", [{"size": 3}, {"size": 5}])
def test_the_seed_draws_the_assignment(options) -> None:
    one, again, other = (blocked(GRID, days(4), seed=seed, **options) for seed in (1, 1, 2))
    assert one.settings == again.settings
    assert {*one.settings} != {*other.settings}


def test_combinations_of_parameters_are_blocks() -> None:
    design = blocked(GRID, {"source.day": ["mon", "tue"], "source.device": {"old": 1, "new": 2}})
    assert set(members(design)) == {"mon old", "mon new", "tue old", "tue new"}
    assert design["C=1 wide=True day=tue device=new"].parameters["source.device"] == 2


def test_samples_may_be_blocked() -> None:
    points = sampled({"model.C": (1, 100), "model.wide": [False, True]}, 8, seed=1)
    design = blocked(points, days(4), size=4, seed=1)
    assert len(design) == 16
    assert all(name.startswith("sample") for name in design)
    assert all(kept > 0.5 for kept in design.efficiencies.values())


def test_the_baseline_lies_in_a_block() -> None:
    grid = factorial(
        {"model.C": [1, 2], "model.wide": [False, True]}, baseline={"model.C": 1, "model.wide": False}
    )
    design = blocked(grid, days(2), baseline={"model.day": "mon"})
    study = Experiment("days", [model], design)
    assert len(study.treatments) == 8
    assert design.values_of("baseline") == {"model.C": 1, "model.wide": False, "model.day": "mon"}
    assert "C=1 wide=False day=tue" in design
    copies = blocked(grid, days(2))
    assert "baseline" not in copies
    assert "C=1 wide=False day=mon" in copies
    with pytest.raises(DeclarationError, match=r"model.day of the baseline is 'tue', and it is 'mon'"):
        Experiment("days", [model], blocked(grid, days(2), baseline={"model.day": "tue"}))


def test_other_treatments_are_in_no_block() -> None:
    design = blocked(GRID | {"far": Treatment({"model.shift": 9.0})}, days(2)) | {
        "near": {"model.shift": 1.0}
    }
    assert ["far" in design, "near" in design, "far" in design.settings] == [True, True, False]
    assert set(members(design)) == {"mon", "tue"}
    assert len(Experiment("days", [model], design).treatments) == 12 + 3


def test_a_blocked_design_survives_pickling() -> None:
    design = blocked(GRID, days(2))
    copy = pickle.loads(pickle.dumps(design))
    assert (dict(copy), copy.settings, copy.block_of()) == (dict(design), design.settings, design.block_of())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: blocked({"a": {}}, days(2)), "is no design: make one"),  # type: ignore[arg-type]
        (lambda: blocked(CUBE, {"day": [1, 2]}), "expected a parameter such as"),
        (lambda: blocked(CUBE, {"model.day": ["mon"]}), "has 1 levels"),
        (lambda: blocked(CUBE, {"model.a": [0, 1]}), "'model.a' is a factor of the design already"),
        (lambda: blocked(blocked(CUBE, days(2)), {"m.x": [1, 2]}), "has blocks of model.day already"),
        (lambda: blocked(CUBE, days(2), size=1, seed=1), "size = 1: expected a whole number from 2 to 7"),
        (lambda: blocked(CUBE, days(2), size=8, seed=1), "leave it out for blocks of all 8 treatments"),
        (
            lambda: blocked(CUBE, days(2), size=3, seed=1),
            "no place for 8 treatments: give size=4 or more, or 3 blocks",
        ),
        (lambda: blocked(CUBE, days(2), size=4), "give seed=, as in seed=1"),
        (lambda: blocked(CUBE, days(2), size=4, seed=-1), "seed = -1"),
        (
            lambda: blocked(CUBE, days(2), size=4, confounding=[["model.a", "model.b"]], seed=1),
            "are both given",
        ),
        (lambda: blocked(CUBE, days(2), confounding=["model.a"], seed=1), "expected a list of two or more"),
        (lambda: blocked(CUBE, days(2), confounding=[], seed=1), "expected interactions, as in"),
        (lambda: blocked(CUBE, days(2), confounding=[["model.a", "model.d"]], seed=1), "did you mean"),
        (lambda: blocked(CUBE, days(2), confounding=[["model.a", "model.a"]], seed=1), "one factor twice"),
        (
            lambda: blocked(GRID, days(2), confounding=[["model.C", "model.wide"]], seed=1),
            "does not have two levels",
        ),
        (
            lambda: blocked(CUBE, days(3), confounding=[["model.a", "model.b"]], seed=1),
            "make 2 blocks, and 3 are given: give 2, or a multiple",
        ),
        (
            lambda: blocked(CUBE, days(4), confounding=[["model.a", "model.b"]] * 2, seed=1),
            "divides the treatments in 2 parts instead of 4",
        ),
        (
            lambda: blocked(
                CUBE, days(4), confounding=[["model.a", "model.b", "model.c"], ["model.a", "model.b"]], seed=1
            ),
            "main effect of 'model.c' is confounded with the blocks: name other interactions",
        ),
        (
            lambda: blocked(factorial({"m.kind": list("abcdef")}), days(2), size=3, seed=1),
            "main effect of 'm.kind' is confounded with the blocks: give more blocks, or larger ones",
        ),
        (
            lambda: blocked(CUBE, days(2), baseline={"model.day": "mon"}),
            "the design has none: give baseline=",
        ),
        (
            lambda: blocked(
                factorial({"m.kind": list("abc")}, baseline={"m.kind": "a"}),
                days(2),
                baseline={"model.day": "wed"},
            ),
            "is none of its levels",
        ),
        (
            lambda: blocked(factorial({f"m.{n}": range(10) for n in range(4)}), {"m.x": range(11)}),
            "110,000 treatments: give size=",
        ),
    ],
)
def test_what_cannot_be_blocked_is_refused(make, told: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        make()
    assert told in str(caught.value)
