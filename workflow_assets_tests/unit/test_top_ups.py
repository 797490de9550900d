"""Replicates are topped up until claims are decided, by tests that may be looked at after every one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflow_assets import Experiment, Hypothesis, MemoryStore, Report, Until, resamples, source, step, units
from workflow_assets.confirmations import confirming, preregister
from workflow_assets.errors import DeclarationError, UnknownNameError
from workflow_assets.stats.sequences import sequential


@step
def noise(rng: np.random.Generator, shift: float = 0.0, scale: float = 1.0) -> float:
    return float(scale * rng.normal() + shift)


@step
def passed(rng: np.random.Generator, above: float = 0.0) -> bool:
    return bool(rng.normal() > above)


def study(shift: float = 0.6, replicates: Any = 5, families: Any = None, **options: Any) -> Experiment:
    claim = Hypothesis("better", "noise", "more", **{"test": "sequential_t", **options})
    change = {"noise.shift": shift, "noise.scale": 2.0}
    return Experiment("study", [noise], {"more": change}, replicates, [claim], families=families, seed=3)


def test_stops_at_the_first_look_that_decides_as_the_sequential_test_says() -> None:
    experiment = study()
    result = experiment.top_up(Until(n_max=80, first=6, batch=3))
    looks = result.looks
    assert len(looks) > 1
    assert looks["replicates"].tolist() == list(range(6, 6 + 3 * len(looks), 3))
    assert set(looks["decision"][:-1]) == {"inconclusive"}
    assert result.verdict("better").decision == looks["decision"].iloc[-1] == "supported"
    assert result.reason == "every claim is decided"
    wide = result.wide("noise")
    course = sequential(wide["more"].to_numpy(), wide["baseline"].to_numpy(), alternative="greater")
    assert looks["p"].tolist() == pytest.approx([course.p[n - 1] for n in looks["replicates"]])
    assert f"stopped after {looks['replicates'].iloc[-1]} replicates" in repr(result)


def test_results_are_those_of_a_run_of_as_many_replicates() -> None:
    result = study().top_up(Until(n_max=7, first=3, batch=2))
    plain = study(replicates=7).run()
    assert result.table.equals(plain.table)
    assert str(result.verdict("better")) == str(plain.verdict("better"))
    assert result.reason == "there are 7 replicates, as many as there may be"
    assert result.report().experiment["replicates"] == 7


def test_a_report_tells_what_each_look_said(tmp_path: Path) -> None:
    result = study(shift=0.3).top_up(Until(n_max=9, first=3, batch=3))
    report = result.report(tmp_path / "report.html")
    assert [one["replicates"] for one in report.looks] == result.looks["replicates"].tolist() == [3, 6, 9]
    assert "<h2>Looks</h2>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert report.markdown().count("| better | ") == 3
    assert Report.from_json(report.to_json()) == report


def test_nothing_is_computed_twice_and_stored_replicates_change_no_look(tmp_path: Path) -> None:
    calls: list[int] = []

    @step(version="1")
    def counted(replicate: int, treatment: str) -> float:
        calls.append(replicate)
        return float((replicate * 7) % 5 * (treatment == "more"))

    claim = Hypothesis("better", "counted", "more", against="baseline", margin=1.4, test="sequential_t")

    def counting(replicates: int) -> Experiment:
        return Experiment("counting", [counted], {"more": {}}, replicates, [claim])

    until = Until(n_max=12, first=4, batch=4)
    cold = counting(1).top_up(until)
    assert sorted(calls) == sorted(2 * list(range(12)))
    calls.clear()
    store = MemoryStore()
    counting(9).run(store)
    calls.clear()
    warm = counting(1).top_up(until, store)
    assert sorted(calls) == [9, 9, 10, 10, 11, 11]
    assert warm.looks.equals(cold.looks)


def test_a_width_is_waited_for() -> None:
    result = study().top_up(Until(n_max=60, decided=False, width=2.5, first=6, batch=6))
    width = (result.looks["high"] - result.looks["low"]).tolist()
    assert len(width) > 1
    assert all(one > 2.5 for one in width[:-1])
    assert width[-1] <= 2.5
    assert result.reason == "every interval is at most 2.5 wide"


def own(x: Any, y: Any, alternative: str) -> float:
    return 0.04


@pytest.mark.parametrize(
    ("experiment", "fault"),
    [
        (study(test="auto"), "'auto', which chooses tests that are made for one look"),
        (study(test="paired_t"), "'paired_t', which is made for one look"),
        (study(test=own), "'own', which is made for one look"),
        (study(test="bayes_correlated_t"), "say test='sequential_t'"),
        (
            study(test="auto", family="doses", families={"doses": "dunnett"}),
            "adjust its family 'doses' by 'holm', with test='sequential_t'",
        ),
        (study(replicates=resamples(9, test_fraction=0.3)), "re-splits of one data set"),
    ],
)
def test_a_test_that_is_made_for_one_look_is_refused_with_what_to_do(
    experiment: Experiment, fault: str
) -> None:
    with pytest.raises(DeclarationError, match="peek=True") as error:
        experiment.top_up(Until(n_max=40))
    assert fault in str(error.value)
    assert len(experiment.top_up(Until(n_max=5, first=5)).looks) == 1, "one look is what it is made for"


def test_several_treatments_are_asked_about_one_by_one() -> None:
    claim = Hypothesis("differ", "noise", ["more", "most"])
    changes = {"more": {"noise.shift": 1.0}, "most": {"noise.shift": 2.0}}
    with pytest.raises(DeclarationError, match="make a claim about each treatment, with test='sequential_t'"):
        Experiment("study", [noise], changes, 5, [claim]).top_up(Until(n_max=40))


def test_shares_have_a_sequential_test_of_their_own() -> None:
    def about(test: str) -> Experiment:
        claim = Hypothesis("better", "passed", "easy", test=test)
        return Experiment("shares", [passed], {"easy": {"passed.above": -2.0}}, 5, [claim])

    with pytest.raises(DeclarationError, match="test='sequential_shares'"):
        about("sign_flip").top_up(Until(n_max=40))
    result = about("sequential_shares").top_up(Until(n_max=60))
    assert result.verdict("better").supported
    assert not result.verdict("better").flags


def test_peeking_is_allowed_where_it_is_said_and_flagged() -> None:
    result = study(shift=0.0, test="paired_t").top_up(Until(n_max=14), peek=True)
    assert [flag.code for flag in result.verdict("better").flags] == ["peeking"]


def test_only_the_named_hypotheses_are_waited_for_and_others_are_flagged() -> None:
    claims = [
        Hypothesis("sure", "noise", "more", test="sequential_t"),
        Hypothesis("once", "noise", "more", margin=0.1),
    ]
    experiment = Experiment("study", [noise], {"more": {"noise.shift": 0.6, "noise.scale": 2.0}}, 5, claims)
    result = experiment.top_up(Until(n_max=80, first=5), hypotheses="sure")
    assert result.looks["replicates"].nunique() > 1
    assert not result.verdict("sure").flags
    assert [flag.code for flag in result.verdict("once").flags] == ["peeking"]
    assert set(result.looks["hypothesis"]) == {"sure", "once"}


def test_named_units_are_taken_in_their_order_and_no_others() -> None:
    names = [f"patient{number}" for number in (9, 3, 7, 1, 8, 2, 5, 4)]
    experiment = study(shift=0.0, replicates=names)
    result = experiment.top_up(Until(n_max=6, first=2, batch=2))
    assert result.table["replicate"].unique().tolist() == names[:6]
    with pytest.raises(DeclarationError, match="n_max = 9, but 8 units are named: name more, or say n_max=8"):
        experiment.top_up(Until(n_max=9, first=2))


def test_experimental_units_are_added_whole() -> None:
    sites = [f"P{plate}/s{site}" for plate in range(6) for site in range(3)]
    experiment = study(replicates=units(sites, levels=("plate", "site"), unit="plate"))
    result = experiment.top_up(Until(n_max=18, first=4, batch=4))
    assert result.looks[["replicates", "n"]].drop_duplicates().to_numpy().tolist() == [
        [6, 2],
        [12, 4],
        [18, 6],
    ]
    with pytest.raises(DeclarationError, match="n_max = 10 ends within a plate: say n_max=12"):
        experiment.top_up(Until(n_max=10))


def test_a_run_that_gives_up_is_not_topped_up_further() -> None:
    @step
    def failing(replicate: int) -> float:
        raise ValueError("out of luck")

    claim = Hypothesis("better", "failing", "more", test="sequential_t")
    experiment = Experiment("failing", [failing], {"more": {}}, 5, [claim])
    result = experiment.top_up(Until(n_max=40), max_failures=3)
    assert result.reason == "too many cells had failed"
    assert len(result.outcomes) == 20
    everything = experiment.top_up(Until(n_max=20))
    assert len(everything.failures) == 40
    assert everything.verdict("better").decision == "undecidable"


def test_data_that_change_meanwhile_are_not_mixed() -> None:
    loaded: list[int] = []

    @source
    def growing() -> list[int]:
        loaded.append(1)
        return list(loaded)

    @step(version="1")
    def reading(growing: list[int], rng: np.random.Generator, treatment: str) -> float:
        return float(rng.normal()) * (treatment == "more")

    claim = Hypothesis("better", "reading", "more", test="sequential_t")
    experiment = Experiment("growing", [reading], {"more": {}}, 5, [claim], sources=[growing])
    with pytest.raises(DeclarationError, match="changed while replicates were added: top up again"):
        experiment.top_up(Until(n_max=20))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"until": 40}, r"until = 40: expected a rule, Until\(n_max=100\)"),
        ({"replicates": ["0001"]}, "the rule says how many"),
        ({"hypotheses": "bettr"}, "no hypothesis 'bettr' to wait for.*'better'"),
        ({"hypotheses": []}, "hypotheses is empty"),
    ],
)
def test_what_cannot_be_topped_up_is_told(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(DeclarationError, match=fault):
        study().top_up(**{"until": Until(n_max=40), **given})


def test_an_experiment_without_hypotheses_has_nothing_to_wait_for() -> None:
    with pytest.raises(DeclarationError, match="has no hypotheses to wait for: declare one, or use run"):
        Experiment("study", [noise]).top_up(Until(n_max=40))


def test_a_confirmation_has_the_replicates_that_were_preregistered() -> None:
    store = MemoryStore()
    experiment = study()
    declared = preregister(experiment, store, experiment.confirmation("better", 10))
    with pytest.raises(DeclarationError, match="as many replicates as were preregistered"):
        confirming(experiment, declared).top_up(Until(n_max=40), store)


def test_options_of_a_run_are_handed_on() -> None:
    with pytest.raises(UnknownNameError, match="mor"):
        study().top_up(Until(n_max=20), treatments=["mor"])
