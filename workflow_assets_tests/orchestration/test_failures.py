"""A failing cell fails alone, is named, and is all that a second attempt computes."""

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository

from workflow_assets import FileStore
from workflow_assets_tests.orchestration.studies import Bench, Study, checks, failure_text

FAILING = ("double 3", "baseline 7", "triple 5")


def test_three_failing_cells_of_a_job_leave_the_others_materialised_and_judged(
    bench: Bench, study: Study
) -> None:
    study.fail(*FAILING)
    result = bench.job()
    assert not result.success
    assert bench.materialised() == {"noisy": 24, "scaled": 24, "total": 21}
    text = failure_text(result)
    assert text.startswith("3 of 24 cells failed:")
    for cell in ("double × 0003", "baseline × 0007", "triple × 0005"):
        assert f"{cell}: step 'total': ValueError: out of luck" in text
    table = bench.table()
    assert len(table) == 24
    failed = table[table["status"] == "failed"]
    assert list(zip(failed["treatment"], failed["replicate"], strict=True)) == [
        ("baseline", 7),
        ("double", 3),
        ("triple", 5),
    ]
    assert failed["total"].isna().all()
    assert set(failed["error"]) == {"step 'total': ValueError: out of luck"}
    evaluations = checks(result)
    assert not evaluations["complete"].passed
    assert evaluations["doubling_adds"].metadata["n"].value == 6
    assert (
        "1 of 8 cells of double failed and are left out"
        in evaluations["doubling_adds"].metadata["flags"].value
    )


def test_three_failing_cells_of_a_range_are_the_only_partitions_not_materialised(
    bench: Bench, study: Study
) -> None:
    study.fail(*FAILING)
    result = bench.range(("baseline", "triple"), ("0000", "0007"))
    assert not result.success
    assert bench.materialised() == {"noisy": 24, "scaled": 24, "total": 21}
    assert "3 of 24 cells failed" in failure_text(result)
    held = bench.instance.get_materialized_partitions(dg.AssetKey(["study", "total"]))
    assert not {"0003|double", "0007|baseline", "0005|triple"} & held


def test_reexecution_from_failure_computes_exactly_what_failed(
    study: Study, persistent_instance: dg.DagsterInstance
) -> None:
    instance = persistent_instance
    job = ReconstructableRepository.for_file(str(study.file), "defs").get_reconstructable_job("study")
    study.fail(*FAILING)
    failed = dg.execute_job(job, instance)
    assert not failed.success
    study.fail()
    study.calls()
    # What "Re-execute from failure" in the UI launches.
    again = dg.execute_job(
        job, instance, reexecution_options=dg.ReexecutionOptions.from_failure(failed.run_id, instance)
    )
    assert again.success
    assert study.calls() == ["total"] * 3
    bench = Bench(study.experiment(), FileStore(study.folder / "store"), instance)
    assert bench.materialised() == {"noisy": 24, "scaled": 24, "total": 24}
    assert bench.not_fresh() == {}


def test_failure_carries_step_treatment_replicate_seed_and_traceback(study: Study) -> None:
    study.fail("double 3")
    (failure,) = study.experiment().run().failures
    assert (failure.step, failure.treatment, failure.replicate) == ("total", "double", "0003")
    table = study.experiment().run().table
    assert failure.seed == table.query("replicate == 3")["seed"].unique().item()
    assert failure.traceback.startswith("Traceback (most recent call last):")
    assert 'raise ValueError("out of luck")' in failure.traceback
    assert "runs.py" not in failure.traceback, "the traceback begins in the user's code"


def test_failing_source_fails_every_cell_and_says_so_once_each(study: Study) -> None:
    study.edit("return [1.0, 2.0]", 'raise OSError("no such disk")')
    result = study.experiment().run()
    assert len(result.failures) == 24
    assert {str(failure) for failure in result.failures} == {"step 'data': OSError: no such disk"}
    assert study.calls() == ["data"]
