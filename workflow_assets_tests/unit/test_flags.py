"""Flags tell what a reader should know; overriding one leaves it there."""

import pytest

from workflow_assets import Experiment, Hypothesis, MemoryStore, Treatment, step
from workflow_assets.errors import DeclarationError, UnknownNameError
from workflow_assets.flags import CODES, Flag, budgets, dropping, low_n
from workflow_assets.results import Result


@step
def score(replicate: int, rng, scale: float = 1.0, failing: int = 0) -> float:
    if replicate < failing:
        raise RuntimeError("out of luck")
    return float(scale * rng.normal())


def study(replicates: int = 12, seed: int = 0, overrides=None, tuned=None, **parameters: float) -> Experiment:
    changes = {"scale": 2.0, **parameters}
    treatment = Treatment({f"score.{name}": value for name, value in changes.items()}, tuned=tuned)
    claim = Hypothesis("better", "score", "more", overrides=overrides or {})
    return Experiment("study", [score], {"more": treatment}, replicates, [claim], seed=seed)


def codes(result: Result) -> list[str]:
    return [flag.code for flag in result.verdict("better").flags]


def test_a_flag_is_its_message_and_its_code_is_a_known_one() -> None:
    assert str(Flag("low_n", "3 pairs are few")) == "3 pairs are few"
    with pytest.raises(ValueError, match="did you mean 'low_n'"):
        Flag("low_m", "")


def test_an_override_needs_a_reason_and_is_shown_beside_the_flag() -> None:
    flag = Flag("low_n", "3 pairs are few")
    assert flag.override(" a pilot ", "me").told() == "3 pairs are few [overridden by me: a pilot]"
    assert not flag.overridden
    for reason in ("", "  ", None):
        with pytest.raises(ValueError, match="without a reason"):
            flag.override(reason, "me")  # type: ignore[arg-type]


def test_few_replicates_are_flagged() -> None:
    assert [len(low_n((n, 9), paired=False)) for n in (5, 6)] == [1, 0]
    assert codes(study(5).run()) == ["low_n"]
    assert codes(study(6).run()) == []


def test_dropping_is_compared_by_fishers_exact_test() -> None:
    # R: fisher.test(matrix(c(0, 10, 5, 5), 2))$p.value, 0.03250774; c(1, 9, 5, 5): 0.1408669; c(2, 30, 20, 11): 7.3e-07
    flagged = dropping([("baseline", 0, 10), ("strong", 5, 10)])
    assert [flag.code for flag in flagged] == ["dropping_depends_on_treatment"]
    assert "p = 0.033" in str(flagged[0])
    assert dropping([("baseline", 1, 10), ("strong", 5, 10)]) == []
    assert dropping([("baseline", 10, 10), ("strong", 10, 10)]) == []
    assert dropping([("baseline", 0, 10), ("strong", 0, 10)]) == []


def test_cells_that_failed_under_one_treatment_are_flagged_twice() -> None:
    assert codes(study(failing=6).run()) == ["dropped_cells", "dropping_depends_on_treatment"]
    assert codes(study(failing=1).run()) == ["dropped_cells"]


def test_unequal_tuning_is_flagged_where_it_is_declared() -> None:
    assert codes(study(tuned=100).run()) == ["unequal_budgets"]
    assert budgets({"baseline": 100, "more": 100}) == budgets({"baseline": None, "more": None}) == []
    assert "baseline not, more 100" in str(budgets({"baseline": None, "more": 100})[0])
    with pytest.raises(DeclarationError, match="tuned = -1: expected how many configurations"):
        Treatment({}, tuned=-1)


def test_looking_again_with_more_replicates_is_peeking() -> None:
    store = MemoryStore()
    assert codes(study(10).run(store)) == []
    assert codes(study(10).run(store)) == [], "the same look again is the same look"
    grown = study(20).run(store).verdict("better")
    assert [flag.code for flag in grown.flags] == ["peeking"]
    assert "n = 10" in str(grown.flags[0])
    assert codes(study(10).run(store)) == [], "that look was the first"


def test_the_best_of_several_seeds_is_flagged() -> None:
    store = MemoryStore()
    p = {seed: study(seed=seed).run(store).verdict("better").p for seed in range(4)}
    best = min(p, key=lambda seed: p[seed] or 1.0)
    for seed in p:
        assert codes(study(seed=seed).run(store)) == (["selected_seed"] if seed == best else [])


def test_a_hypothesis_that_was_changed_after_a_look_is_flagged() -> None:
    store = MemoryStore()
    first = study()
    first.run(store).verdict("better")
    turned = Hypothesis("better", "score", "more", alternative="less")
    changed = Experiment("study", [score], dict(first.treatments), 12, [turned])
    assert codes(changed.run(store)) == ["changed_hypothesis"]
    assert codes(first.run(store)) == [], "it came first"


def test_an_override_is_kept_in_the_store_for_these_data_and_never_makes_a_verdict_clean() -> None:
    store = MemoryStore()
    result = study(5).run(store)
    decision = result.verdict("better").decision
    result.override("low_n", reason="only a pilot", who="me")
    for told in (result.verdict("better"), study(5).run(store).verdict("better")):
        assert [flag.reason for flag in told.flags] == ["only a pilot"]
        assert told.decision == decision
        assert not told.clean
        assert "[overridden by me: only a pilot]" in str(told)
        assert told.as_dict()["flags"][0]["reason"] == "only a pilot"
    (other,) = study(4).run(store).verdict("better").flags
    assert not other.overridden, "other data"


def test_an_override_of_a_flag_that_no_verdict_bears_names_those_that_there_are() -> None:
    result = study(5).run()
    with pytest.raises(UnknownNameError, match="no verdict bears the flag 'low': did you mean 'low_n'"):
        result.override("low", reason="so")
    with pytest.raises(ValueError, match="without a reason"):
        result.override(result.verdict("better").flags[0], reason=" ")


def test_a_declared_override_is_shown_with_its_reason() -> None:
    (flag,) = study(5, overrides={"low_n": "only a pilot"}).run().verdict("better").flags
    assert flag.told().endswith("[overridden by the declaration: only a pilot]")
    for wrong, told in (
        ({"low": "x"}, "did you mean 'low_n'"),
        ({"low_n": ""}, "say why"),
        (["low_n"], "expected"),
    ):
        with pytest.raises(DeclarationError, match=told):
            study(overrides=wrong)


def test_each_code_says_what_it_stands_for() -> None:
    assert all(code.isidentifier() and told for code, told in CODES.items())
