"""Results say which treatment is best and how sure that is, and which are worth having for several metrics."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflow_assets import Experiment, Hypothesis, Metrics, Report, Result, resamples, step, units
from workflow_assets.errors import UnknownNameError

BONUS = "measure.bonus"


class Quality(Metrics):
    accuracy: float
    size: float
    good: bool
    label: str
    extra: float | None = None


@step
def measure(
    rng: np.random.Generator,
    replicate: int,
    bonus: float = 0.0,
    fail: int = 0,
    until: int = 100,
    infinite: int = 0,
    own: int = 0,
    exact: bool = False,
) -> Quality:
    if not fail <= replicate < until:
        raise RuntimeError("cannot")
    noise = np.random.default_rng([own, replicate]).normal()
    accuracy = 0.0 if exact else float(rng.normal() + 0.1 * noise)
    return Quality(
        accuracy=float("nan") if replicate < infinite else accuracy + bonus,
        size=1.0 + abs(bonus),
        good=accuracy + bonus > 0.5,
        label="text",
    )


TREATMENTS: dict[str, dict[str, Any]] = {
    "better": {BONUS: 1.0, "measure.own": 1},
    "alike": {BONUS: 1.0, "measure.own": 2},
    "worse": {BONUS: -1.0, "measure.own": 3},
}


def run(treatments: Any = TREATMENTS, replicates: Any = 20, **options: Any) -> Result:
    return Experiment("study", [measure], treatments, replicates, **options).run()


@pytest.fixture(scope="module")
def result() -> Result:
    return run()


def test_each_treatment_has_the_ranks_that_it_may_truly_have(result: Result) -> None:
    ranking = result.rankings("measure.accuracy")
    bounds = {one.treatment: (one.low, one.high) for one in ranking.places}
    assert bounds == {"better": (1, 2), "alike": (1, 2), "baseline": (3, 3), "worse": (4, 4)}
    assert [set(group) for group in ranking.groups] == [{"better", "alike"}, {"baseline", "worse"}]
    assert ranking.critical == pytest.approx(2.569 * (4 * 5 / (6 * 20)) ** 0.5, abs=1e-3)  # of Demšar's table
    assert sum(one.best for one in ranking.places) == pytest.approx(1)
    assert ranking.place("worse").best == 0
    assert ranking.place("worse").mean_rank == 4
    scores = [score for _, score in result.ranking("measure.accuracy")]
    assert [one.score for one in ranking.places] == pytest.approx(scores)
    assert ranking.n == dict.fromkeys(("baseline", *TREATMENTS), 20)
    assert "paired_t of all pairs" in ranking.intervals


def test_the_least_may_be_best(result: Result) -> None:
    places = result.rankings("measure.accuracy", best="min").places
    assert [one.treatment for one in places[:2]] == ["worse", "baseline"]
    assert (places[0].low, places[0].high) == (1, 1)


def test_asking_twice_gives_the_same(result: Result) -> None:
    assert result.rankings("measure.accuracy") == result.rankings("measure.accuracy")
    directions: Any = {"measure.accuracy": "max", "measure.size": "min"}
    assert result.pareto(directions).equals(result.pareto(directions))


def test_unpaired_treatments_are_compared_by_their_own_test_and_have_no_groups(result: Result) -> None:
    ranking = result.rankings("measure.accuracy", paired=False)
    assert (ranking.groups, ranking.critical) == ((), None)
    assert "welch_t" in ranking.intervals


def test_values_of_0_and_1_are_told_apart_by_their_signs(result: Result) -> None:
    assert "sign_flip" in result.rankings("measure.good").intervals


@pytest.mark.parametrize(
    "ranker",
    [
        lambda table: table.median(),
        lambda table: {name: np.median(values) for name, values in table.items()},
        lambda table: np.median(table, axis=0),
    ],
    ids=["series", "dictionary", "array"],
)
def test_a_ranker_is_a_function_from_a_table_to_scores(result: Result, ranker: Any) -> None:
    ranking = result.rankings("measure.accuracy", ranker=ranker, resamples=50)
    medians = result.wide("measure.accuracy").median()
    assert {one.treatment: one.score for one in ranking.places} == pytest.approx(medians.to_dict())
    assert ranking.by == "<lambda>"
    assert ranking.intervals.startswith("resampled")
    assert [one.rank for one in ranking.places] == [1, 2, 3, 4]


def test_a_ranker_of_unpaired_treatments_takes_one_array_for_each(result: Result) -> None:
    def most(arms: dict[str, Any]) -> dict[str, float]:
        return {name: float(values.max()) for name, values in arms.items()}

    ranking = result.rankings("measure.accuracy", ranker=most, paired=False, resamples=50)
    assert (ranking.by, ranking.places[-1].treatment) == ("most", "worse")


@pytest.mark.parametrize(
    ("ranker", "told"),
    [
        (lambda table: 3.0, "gave 3.0: expected a number for each of 4 treatments"),
        (lambda table: ["high"] * 4, "expected a number for each of 4 treatments"),
        (lambda table: {"baseline": 1.0}, "gave no score for 'better'"),
        (lambda table: [np.nan] * 4, "every score must be a finite number"),
    ],
)
def test_what_a_ranker_gives_is_checked(result: Result, ranker: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        result.rankings("measure.accuracy", ranker=ranker, resamples=5)


def test_failed_cells_and_missing_values_are_left_out_in_pairs_and_flagged() -> None:
    treatments = {"fails": {BONUS: 1.0, "measure.fail": 3}, "breaks": {BONUS: 2.0, "measure.infinite": 5}}
    ranking = run(treatments).rankings("measure.accuracy")
    assert set(ranking.n.values()) == {15}
    assert {flag.code for flag in ranking.flags} >= {"dropped_cells"}
    apart = run(treatments).rankings("measure.accuracy", paired=False)
    assert apart.n == {"baseline": 20, "fails": 17, "breaks": 15}


def test_a_treatment_without_values_is_left_out_and_says_why() -> None:
    ranking = run({**TREATMENTS, "broken": {"measure.fail": 20}}).rankings("measure.accuracy")
    assert len(ranking.places) == 4
    assert "broken is left out: no cell has a finite value of measure.accuracy" in str(ranking)
    with pytest.raises(UnknownNameError, match="broken was left out of the ranking: no cell has"):
        ranking.place("broken")
    with pytest.raises(UnknownNameError, match="did you mean 'better'"):
        ranking.place("bettr")


@pytest.mark.parametrize(
    ("treatments", "replicates", "told"),
    [
        ({}, 5, "1 of 1 treatments can be ranked by measure.accuracy, and it takes 2"),
        (TREATMENTS, 1, "baseline is left out: only 1 of 1 cells has a finite value"),
        ({"broken": {"measure.fail": 9}}, 5, "broken is left out: no cell has a finite value"),
        (
            {"late": {"measure.fail": 3}, "early": {"measure.until": 4}},
            6,
            "1 replicate has .* under all of base",
        ),
    ],
)
def test_what_cannot_be_ranked_is_refused(treatments: Any, replicates: int, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        run(treatments, replicates).rankings("measure.accuracy")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"metric": "measure.label"}, "measure.label is a text"),
        ({"metric": "measure.extra"}, "0 of 4 treatments can be ranked by measure.extra"),
        ({"metric": "measure.acuracy"}, "did you mean 'measure.accuracy'"),
        ({"best": "most"}, "best of measure.accuracy is 'most': choose 'max' or 'min'"),
        ({"confidence": 95}, "confidence is 95"),
        ({"resamples": 0}, "resamples is 0"),
    ],
)
def test_bad_arguments_are_refused(result: Result, options: dict[str, Any], told: str) -> None:
    with pytest.raises((ValueError, UnknownNameError), match=told):
        result.rankings(**({"metric": "measure.accuracy"} | options))


def test_constant_values_are_not_told_apart() -> None:
    """Nothing varies, so chance cannot be judged, however large the difference."""
    treatments = {"more": {BONUS: 5.0, "measure.exact": True}}
    one = Experiment("study", [measure], treatments, 8).run()
    ranking = Result(
        one.declaration,
        [
            row._replace(metrics={**row.metrics, "measure.accuracy": len(row.treatment)})
            for row in one.outcomes
        ],
    ).rankings("measure.accuracy")
    assert [(one.low, one.high) for one in ranking.places] == [(1, 2), (1, 2)]
    assert ranking.intervals == "no pair can be judged"


def test_equal_treatments_share_everything() -> None:
    ranking = run({"copy": {"measure.own": 0}}, 8).rankings("measure.accuracy")
    assert [(one.rank, one.best, one.low, one.high) for one in ranking.places] == [(1.5, 0.5, 1, 2)] * 2
    assert ranking.groups == (("baseline", "copy"),)


def test_values_are_aggregated_by_unit() -> None:
    places = [f"P{plate}/s{site}" for plate in range(8) for site in range(3)]

    def study(**levels: Any) -> Result:
        @step
        def sited(replicate: str, bonus: float = 0.0) -> float:
            plate, site = int(replicate[1]), int(replicate[-1])
            return plate + 0.1 * site + bonus * (1 + 0.1 * plate)

        sites = units(places, levels=("plate", "site"), **levels)
        return Experiment("study", [sited], {"more": {"sited.bonus": 1.0}}, sites).run()

    for design in ({"unit": "plate"}, {"block": "plate"}):
        for paired in (True, False):
            ranking = study(**design).rankings("sited", paired=paired)
            assert set(ranking.n.values()) == {8}
            assert "24 sites aggregated to 8 plates" in ranking.note
    assert study(unit="plate").pareto({"sited": "max"})["n"].tolist() == [8, 8]
    with pytest.raises(ValueError, match="not independent: declare unit='plate'"):
        study().rankings("sited")


def test_overlapping_replicates_are_flagged_and_told_apart_by_the_corrected_test() -> None:
    ranking = run(replicates=resamples(10, test_fraction=0.3)).rankings("measure.accuracy")
    assert "overlap" in {flag.code for flag in ranking.flags}
    assert "corrected_resampled_t" in ranking.intervals


def test_a_ranking_is_plain_values_and_a_table(result: Result) -> None:
    ranking = result.rankings("measure.accuracy")
    held = json.loads(json.dumps(ranking.as_dict()))
    assert held["places"][0]["treatment"] == ranking.table["treatment"][0]
    assert held == ranking.as_dict()
    with pytest.raises(dataclasses.FrozenInstanceError):
        ranking.metric = "other"  # type: ignore[misc]


def test_reports_rank_more_than_two_treatments_as_their_hypotheses_have_it(tmp_path: Path) -> None:
    claims = [
        Hypothesis("less", "measure.accuracy", "worse", alternative="less"),
        Hypothesis("none", "measure.extra", "worse"),
    ]
    report = run(replicates=8, hypotheses=claims).report(tmp_path / "report.html")
    first, second = report.rankings
    assert (first["best"], first["places"][0]["treatment"]) == ("min", "worse")
    assert second["text"].startswith("0 of 4 treatments can be ranked by measure.extra")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for told in (page, report.markdown()):
        assert "paired_t of all pairs" in told
        assert "0 of 4 treatments can be ranked by measure.extra" in told
    assert Report.from_json(report.to_json()) == report
    earlier = json.loads(report.to_json())
    del earlier["rankings"]
    assert Report.from_json(json.dumps(earlier)).rankings == []
    two = run({"better": {BONUS: 1.0}}, 8, hypotheses=[Hypothesis("more", "measure.accuracy", "better")])
    assert list(two.report().rankings) == []


# -- trade-offs ------------------------------------------------------------------------------------------------------


def test_a_trade_off_says_who_is_on_the_front(result: Result) -> None:
    table: Any = result.pareto({"measure.accuracy": "max", "measure.size": "min"}).set_index("treatment")
    assert list(table.columns) == [
        "measure.accuracy",
        "measure.size",
        "n",
        "front",
        "on_front",
        "dominated_by",
    ]
    assert not table.loc["worse", "front"]
    assert table.loc["worse", "dominated_by"].split(", ")[0] == "baseline"
    assert table.loc["baseline", ["front", "on_front"]].tolist() == [True, 1.0]
    assert table.loc[["better", "alike"], "on_front"].sum() == pytest.approx(1)
    assert table.loc["worse", "measure.size"] == 2


def test_reports_weigh_the_metrics_of_which_hypotheses_say_what_is_better(tmp_path: Path) -> None:
    claims = [
        Hypothesis("more", "measure.accuracy", "better"),
        Hypothesis("smaller", "measure.size", "better", alternative="less", margin=-1.0),
        Hypothesis("other", "measure.extra", "better", alternative="two-sided"),
    ]
    whole = run(replicates=8, hypotheses=claims)
    report = whole.report(tmp_path / "report.html")
    (told,) = report.trade_offs
    assert told["directions"] == {"measure.accuracy": "max", "measure.size": "min"}
    table = whole.pareto(told["directions"])
    assert [one["treatment"] for one in told["places"]] == table["treatment"].tolist()
    for name in ("n", "front", "on_front", "dominated_by"):
        assert [one[name] for one in told["places"]] == table[name].tolist()
    for page in ((tmp_path / "report.html").read_text(encoding="utf-8"), report.markdown()):
        assert "measure.accuracy, higher is better" in page.replace("<wbr>", "")
        assert "measure.size, lower is better" in page
    assert Report.from_json(report.to_json()) == report
    earlier = json.loads(report.to_json())
    del earlier["trade_offs"]
    assert Report.from_json(json.dumps(earlier)).trade_offs == []


def test_a_metric_that_is_claimed_both_ways_has_no_direction() -> None:
    claims = [
        Hypothesis("more", "measure.accuracy", "better"),
        Hypothesis("less", "measure.accuracy", "worse", alternative="less"),
        Hypothesis("smaller", "measure.size", "better", alternative="less"),
    ]
    assert list(run(replicates=4, hypotheses=claims).report().trade_offs) == []


def test_a_trade_off_that_cannot_be_made_says_why() -> None:
    claims = [Hypothesis("more", "measure.extra", "better"), Hypothesis("larger", "measure.size", "better")]
    report = run(replicates=4, hypotheses=claims).report()
    assert report.trade_offs[0]["places"] == []
    assert "measure.extra" in report.trade_offs[0]["notes"][0]
    assert "measure.extra" in report.markdown()


def test_one_replicate_has_a_trade_off_that_nobody_can_be_sure_of() -> None:
    claims = [
        Hypothesis("more", "measure.accuracy", "better"),
        Hypothesis("larger", "measure.size", "better"),
    ]
    report = run(replicates=1, hypotheses=claims).report()
    assert {one["on_front"] for one in report.trade_offs[0]["places"]} == {None}
    assert Report.from_json(report.to_json()) == report


def test_the_seconds_of_a_step_are_a_metric_too(result: Result) -> None:
    table: Any = result.pareto({"measure.accuracy": "max", "measure.seconds": "min"}).set_index("treatment")
    seconds = result.timings.groupby("treatment")["seconds"].mean()
    assert table.loc["better", "measure.seconds"] == pytest.approx(seconds["better"])
    with pytest.raises(UnknownNameError, match=r"measur\.seconds"):
        result.pareto({"measur.seconds": "min"})


def test_one_replicate_has_a_front_and_no_share() -> None:
    table = run(replicates=1).pareto({"measure.accuracy": "max", "measure.size": "min"})
    assert table["on_front"].isna().all()
    assert table["front"].any()


def test_a_trade_off_is_of_replicates_that_have_all_metrics() -> None:
    treatments = {"breaks": {BONUS: 1.0, "measure.infinite": 5}, "broken": {"measure.fail": 20}}
    table = run(treatments).pareto({"measure.size": "min", "measure.accuracy": "max"})
    assert table["n"].tolist() == [15, 15]
    notes = "; ".join(table.attrs["notes"])
    assert "broken is left out" in notes
    assert "5 values of measure.accuracy under breaks are not finite" in notes


@pytest.mark.parametrize(
    ("directions", "told"),
    [
        ({}, "no metric given"),
        ("measure.accuracy", "no metric given"),
        ({"measure.accuracy": "up"}, "best of measure.accuracy is 'up'"),
        ({"measure.acuracy": "max"}, "did you mean 'measure.accuracy'"),
    ],
)
def test_bad_directions_are_refused(result: Result, directions: Any, told: str) -> None:
    with pytest.raises((ValueError, UnknownNameError), match=told):
        result.pareto(directions)
