"""A run writes an archive of its results into a folder, from which its verdicts can be judged again."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from workflow_assets import FileStore, to_dagster
from workflow_assets.bundles import recompute
from workflow_assets.errors import DeclarationError
from workflow_assets.parcels import read_parcel
from workflow_assets_tests.orchestration.studies import Bench, Study, failure_text
from workflow_assets_tests.orchestration.test_confirmations import materialised


def run(bench: Bench, **config: Any) -> Any:
    return bench.job(run_config={"ops": {"study__results": {"config": config}}})


def test_an_archive_is_written_where_the_configuration_says(
    bench: Bench, study: Study, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "archives"
    told = materialised(run(bench, bundles=str(folder)))["study/results"]
    (path,) = folder.iterdir()
    assert told["bundle"] == dg.MetadataValue.path(str(path))
    digest = str(told["bundle digest"].value)
    assert digest == read_parcel(path).digest
    assert path.name == f"study-{digest[:16]}.zip"
    found = recompute(path)
    assert found.exit_code == 0
    assert [check.hypothesis for check in found.checks] == ["doubling_adds", "tripling_removes"]
    run(bench, bundles=str(folder))
    assert list(folder.iterdir()) == [path], "the same results in the same store"
    study.edit("k * value for", "k * value + 1 for")
    again = Bench(study.experiment(), bench.store, bench.instance)
    run(again, bundles=str(folder))
    assert len(list(folder.iterdir())) == 2, "none takes the place of another"


def test_definitions_say_where_archives_go_and_a_run_may_say_otherwise(
    study: Study, store: FileStore, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    experiment = study.experiment()
    sure = experiment.confirmation("doubling_adds", 6, name="sure")
    folder = tmp_path / "archives"
    defs = to_dagster(experiment, store=store, confirmations=[sure], bundles=folder)
    off = {"ops": {"study__results": {"config": {"bundles": ""}}}}
    job = defs.resolve_job_def("study")
    assert "bundle" not in materialised(job.execute_in_process(off, instance))["study/results"]
    assert not folder.exists()
    told = materialised(defs.resolve_job_def("sure").execute_in_process(instance=instance))["sure/results"]
    files = read_parcel(str(told["bundle"].value)).files
    assert str(told["preregistration"].value)[:8] in files["verdicts.json"].decode()
    assert "preregistration.json" in files


def test_results_stand_where_the_archive_cannot_be_written_and_the_run_fails(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    result = run(bench, bundles=str(tmp_path / "file"))
    assert not result.success
    assert "The results are stored; the bundle was not written to" in failure_text(result)
    assert str(tmp_path / "file") in failure_text(result)
    told = materialised(result)["study/results"]
    assert "was not written" in str(told["bundle"].value)
    assert "bundle digest" not in told
    assert len(bench.table()) == 24
    assert "expected a folder; archives are not written to buckets" in failure_text(
        run(bench, bundles="s3://bucket/archives")
    )


@pytest.mark.parametrize("folder", ["s3://bucket", "", 3])
def test_a_folder_that_is_none_is_told_when_definitions_are_made(
    study: Study, store: FileStore, folder: Any
) -> None:
    with pytest.raises(DeclarationError, match=r"bundles = .*: expected a folder"):
        to_dagster(study.experiment(), store=store, bundles=folder)
