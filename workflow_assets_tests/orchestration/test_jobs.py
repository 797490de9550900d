"""The job of an experiment runs its whole grid, remembers it, and judges it."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from workflow_assets import Experiment, FileStore, Hypothesis, MemoryStore, step
from workflow_assets_tests.orchestration.studies import Bench, Study, checks, failure_text


def as_bytes(table: pd.DataFrame, folder: Path) -> bytes:
    """The table as Parquet and as text, which show every type and every digit."""
    table.to_parquet(folder / "table.parquet")
    return (folder / "table.parquet").read_bytes() + table.to_csv().encode()


def test_job_runs_the_whole_grid_without_any_argument(bench: Bench, study: Study) -> None:
    result = bench.job()
    assert result.success
    assert bench.materialised() == {"noisy": 24, "scaled": 24, "total": 24}
    calls = study.calls()
    assert {name: calls.count(name) for name in set(calls)} == {
        "data": 1,
        "noisy": 8,
        "scaled": 24,
        "total": 24,
    }


def test_plain_python_job_and_halves_give_the_same_table_byte_for_byte(
    study: Study, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    plain = as_bytes(study.experiment().run().table, tmp_path)
    job = Bench(study.experiment(), FileStore(tmp_path / "one"), instance)
    assert job.job().success
    assert as_bytes(job.table(), tmp_path) == plain
    assert job.job().success
    assert as_bytes(job.table(), tmp_path) == plain, "warm"
    (tmp_path / "other").mkdir()
    with dg.DagsterInstance.local_temp(
        str(tmp_path / "other"), overrides={"telemetry": {"enabled": False}}
    ) as other:
        halves = Bench(study.experiment(), FileStore(tmp_path / "two"), other)
        assert halves.range(("baseline", "triple"), ("0000", "0003")).success
        assert halves.range(("baseline", "triple"), ("0004", "0007")).success
        assert halves.materialised() == {"noisy": 24, "scaled": 24, "total": 24}
        study.calls()
        assert halves.job().success
        assert study.calls() == []
        assert as_bytes(halves.table(), tmp_path) == plain


def test_second_run_computes_nothing_and_logs_nothing_about_cells(bench: Bench, study: Study) -> None:
    bench.job()
    study.calls()
    second = bench.job()
    assert second.success
    assert study.calls() == []

    logged = [event for event in second.all_events if event.event_type_value == "ASSET_MATERIALIZATION"]
    assert {tuple(event.asset_key.path) for event in logged if event.asset_key} == {
        ("data",),
        ("study", "results"),
    }


def test_forcing_a_step_in_run_configuration_computes_it_and_what_follows(bench: Bench, study: Study) -> None:
    bench.job()
    study.calls()
    forced = bench.job(run_config={"ops": {"study__results": {"config": {"force": ["scaled"]}}}})
    assert forced.success
    calls = study.calls()
    assert {name: calls.count(name) for name in set(calls)} == {"scaled": 24, "total": 24}


def test_forcing_an_unknown_step_names_near_matches(bench: Bench) -> None:
    result = bench.job(run_config={"ops": {"study__results": {"config": {"force": ["scald"]}}}})
    assert not result.success
    assert "did you mean 'scaled'?" in str(failure_of(result))


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """The whole chain of errors of the failed step."""
    event = next(event for event in result.all_events if event.event_type_value == "STEP_FAILURE")
    data = event.event_specific_data
    return data.error.to_string()  # type: ignore[union-attr]


def test_each_hypothesis_is_a_check_with_p_effect_interval_and_decision(bench: Bench) -> None:
    evaluations = checks(bench.job())
    assert set(evaluations) == {"complete", "doubling_adds", "tripling_removes"}
    assert evaluations["complete"].passed
    assert evaluations["doubling_adds"].passed
    assert not evaluations["tripling_removes"].passed
    assert evaluations["tripling_removes"].severity == dg.AssetCheckSeverity.WARN
    metadata = evaluations["doubling_adds"].metadata
    assert metadata["decision"].value == "supported"
    assert 0 < metadata["p"].value <= metadata["adjusted p"].value <= 0.05
    assert metadata["effect"].value > 0
    assert {"interval", "n", "ranking", "test", "estimand", "claim"} <= set(metadata)
    assert metadata["n"].value == 8
    assert metadata["ranking"].value.startswith("1. triple")


def test_gated_hypothesis_that_is_refuted_fails_the_run_and_is_named(
    study: Study, store: FileStore, instance: dg.DagsterInstance
) -> None:
    study.edit('alternative="less")', 'alternative="less", gate=True)')
    bench = Bench(study.experiment(), store, instance)
    result = bench.job()
    assert not result.success
    assert "gate 'tripling_removes' is refuted" in failure_text(result)
    assert checks(result)["doubling_adds"].passed, "the other verdicts are there"
    assert checks(result)["tripling_removes"].blocking
    assert len(bench.table()) == 24


def test_gated_hypothesis_that_is_supported_lets_the_run_pass(
    study: Study, store: FileStore, instance: dg.DagsterInstance
) -> None:
    study.edit('treatment="double")', 'treatment="double", gate=True)')
    assert Bench(study.experiment(), store, instance).job().success


def test_check_alone_judges_what_is_stored_and_materialises_nothing(bench: Bench, study: Study) -> None:
    bench.job()
    study.calls()
    key = dg.AssetCheckKey(dg.AssetKey(["study", "results"]), "doubling_adds")
    result = bench.materialise(dg.AssetSelection.checks(key))
    assert result.success
    assert set(checks(result)) == {"doubling_adds"}
    assert checks(result)["doubling_adds"].passed
    assert study.calls() == []
    assert not [event for event in result.all_events if event.event_type_value == "ASSET_MATERIALIZATION"]


def test_check_alone_before_any_run_says_that_nothing_is_stored(bench: Bench, study: Study) -> None:
    key = dg.AssetCheckKey(dg.AssetKey(["study", "results"]), "doubling_adds")
    evaluation = checks(bench.materialise(dg.AssetSelection.checks(key)))["doubling_adds"]
    assert not evaluation.passed
    assert evaluation.metadata["decision"].value == "undecidable"
    assert study.calls() == []


def results_metadata(result: dg.ExecuteInProcessResult) -> Mapping[str, dg.MetadataValue]:
    event = next(
        event
        for event in result.all_events
        if event.event_type_value == "ASSET_MATERIALIZATION"
        and event.asset_key == dg.AssetKey(["study", "results"])
    )
    return event.materialization.metadata


@pytest.mark.usefixtures("pictures")
def test_results_have_a_markdown_table_and_plots(bench: Bench) -> None:
    metadata = results_metadata(bench.job())
    summary, plot = str(metadata["summary"].value), str(metadata["plot"].value)
    assert "| treatment | change |" in summary
    assert "| double | scaled.k = 2.0 | 8 | 0 |" in summary
    assert "**doubling_adds: supported**" in summary
    assert plot.startswith("![total under 3 treatments, 8 replicates each](data:image/png;base64,")
    for name in ("pairs", "ranks", "precision", "variation", "time"):
        assert "](data:image/png;base64," in str(metadata[f"plot of {name}"].value)


def test_telling_that_fails_costs_neither_results_nor_checks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("no ink")

    monkeypatch.setattr("workflow_assets.orchestration.assets.markdown_summary", broken)
    monkeypatch.setattr("workflow_assets.orchestration.assets.terminal_summary", broken)
    monkeypatch.setattr("workflow_assets.orchestration.checks._effects", broken)
    result = bench.job()
    assert result.success
    assert len(bench.table()) == 24
    assert "raised ZeroDivisionError: no ink" in str(results_metadata(result)["summary"].value)
    evaluation = checks(result)["doubling_adds"]
    assert not evaluation.passed
    assert evaluation.description == "supported; telling of it raised ZeroDivisionError: no ink"


def test_gate_lets_pass_what_it_accepts(study: Study, store: FileStore, instance: dg.DagsterInstance) -> None:
    study.edit('alternative="less")', 'alternative="less", gate=True, accept=("supported", "refuted"))')
    result = Bench(study.experiment(), store, instance).job()
    assert result.success
    assert checks(result)["tripling_removes"].passed
    assert checks(result)["tripling_removes"].metadata["decision"].value == "refuted"


def test_baseline_and_treatment_differ_by_exactly_thirty_in_every_replicate(
    instance: dg.DagsterInstance,
) -> None:
    @step
    def numbers() -> list[float]:
        return [0.0, 0.0, 0.0]

    @step
    def shifted(numbers: list[float], rng, delta: float = 0.0) -> list[float]:
        # Whole multiples of 2**-20, so that adding 10 three times is exact.
        return [number + delta + round(rng.random() * 2**20) / 2**20 for number in numbers]

    @step
    def result(shifted: list[float]) -> float:
        return sum(shifted)

    minimal = Experiment(
        "minimal",
        [numbers, shifted, result],
        {"add_ten": {"shifted.delta": 10.0}},
        replicates=10,
        seed=42,
        hypotheses=[Hypothesis("adds", metric="result", treatment="add_ten", alternative="two-sided")],
    )
    bench = Bench(minimal, MemoryStore(), instance)
    evaluation = checks(bench.job())["adds"]
    table = bench.table().pivot(index="replicate", columns="treatment", values="result")
    assert table["baseline"].nunique() == 10
    assert (table["add_ten"] - table["baseline"] == 30.0).all()
    assert evaluation.passed
    assert evaluation.metadata["test"].value == "sign_flip"
    assert evaluation.metadata["p"].value == pytest.approx(2 / 2**10)
    assert evaluation.metadata["effect"].value == 30.0


def test_ties_rank_in_the_order_of_declaration(instance: dg.DagsterInstance) -> None:
    @step
    def value(replicate, increment: int = 0) -> float:
        return float(replicate + increment)

    hypotheses = [Hypothesis(name, metric="value", treatment=name) for name in ("treat1", "treat2")]
    ranks = Experiment(
        "ranks", [value], {"treat1": {"value.increment": 1}, "treat2": {"value.increment": 2}}, 2, hypotheses
    )
    bench = Bench(ranks, MemoryStore(), instance)
    evaluations = checks(bench.job())
    assert bench.table()["value"].tolist() == [0.0, 1.0, 1.0, 2.0, 2.0, 3.0]
    assert evaluations["treat1"].metadata["p"].value == evaluations["treat2"].metadata["p"].value == 0.25
    assert [name for name, _ in ranks.run().ranking("value", by="p")] == ["treat1", "treat2"]


@pytest.mark.usefixtures("pictures")
def test_two_constant_arms_are_undecidable_and_the_check_says_why(instance: dg.DagsterInstance) -> None:
    @step
    def value(level: float = 0.0) -> float:
        return level

    constant = Experiment(
        "constant",
        [value],
        {"thirty": {"value.level": 30.0}},
        10,
        [Hypothesis("adds", metric="value", treatment="thirty")],
    )
    evaluation = checks(Bench(constant, MemoryStore(), instance).job())["adds"]
    assert not evaluation.passed
    assert evaluation.metadata["decision"].value == "undecidable"
    assert "both arms are constant" in evaluation.metadata["reason"].value
    verdict = constant.run().verdict("adds")
    assert (verdict.decision, verdict.p) == ("undecidable", None)


def test_a_claim_about_several_treatments_shows_how_much_and_which_differ(
    instance: dg.DagsterInstance,
) -> None:
    @step
    def score(rng: np.random.Generator, dose: float = 0.0) -> float:
        return float(dose * (1.0 + 0.2 * rng.normal()) + rng.normal())

    doses = {"low": {"score.dose": 1.0}, "high": {"score.dose": 3.0}}
    claim = Hypothesis("some_dose_works", "score", list(doses))
    bench = Bench(Experiment("doses", [score], doses, 12, [claim]), MemoryStore(), instance)
    metadata = checks(bench.job())["some_dose_works"].metadata
    assert metadata["test"].value == "repeated_measures_anova"
    assert metadata["partial eta squared"].value > 0.5
    assert "| high − baseline |" in str(metadata["pairs"].value)
