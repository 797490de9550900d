"""A confirmation in Dagster: its results are downstream of its preregistration, and bear its digest."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from workflow_assets import Experiment, FileStore, to_dagster
from workflow_assets.errors import DeclarationError
from workflow_assets.ledgers import Ledger
from workflow_assets_tests.orchestration.studies import Study, checks
from workflow_assets_tests.orchestration.test_commands import command, folder  # noqa: F401 - a fixture

JOB = "study_confirms_doubling_adds"


def confirm(study: Study, store: FileStore, instance: dg.DagsterInstance, **options: Any) -> Any:
    experiment = study.experiment()
    confirmation = experiment.confirmation("doubling_adds", 6, **options)
    definitions = to_dagster(experiment, store=store, confirmations=[confirmation])
    job = definitions.resolve_job_def(confirmation.name)
    return job.execute_in_process(instance=instance, raise_on_error=False)


def materialised(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The metadata of what a run materialised, by the assets' keys."""
    return {
        "/".join(event.asset_key.path): event.materialization.metadata
        for event in result.all_events
        if event.event_type_value == "ASSET_MATERIALIZATION" and event.asset_key
    }


def test_job_preregisters_computes_fresh_cells_and_judges_them(
    study: Study, store: FileStore, instance: dg.DagsterInstance
) -> None:
    result = confirm(study, store, instance)
    assert result.success
    told = materialised(result)
    assert list(told) == ["data", f"{JOB}/preregistration", f"{JOB}/results"]
    digest = told[f"{JOB}/preregistration"]["preregistration"].value
    assert told[f"{JOB}/results"]["preregistration"].value == digest
    assert "attempt 1 of 1" in told[f"{JOB}/results"]["preregistered as"].value
    assert set(checks(result)) == {"complete", "doubling_adds"}
    assert digest in checks(result)["doubling_adds"].description
    assert study.calls().count("total") == 18
    plain = study.experiment().confirm("doubling_adds", 6, store=store)
    assert plain.verdict("doubling_adds").preregistration == digest
    assert plain.table["replicate"].unique().tolist() == list(range(8, 14))
    assert study.calls() == [], "the same confirmation, which is stored"


def test_results_are_downstream_of_the_preregistration(study: Study, store: FileStore) -> None:
    experiment = study.experiment()
    definitions = to_dagster(
        experiment, store=store, confirmations=[experiment.confirmation("doubling_adds", name="sure")]
    )
    graph = definitions.get_repository_def().asset_graph
    assert dg.AssetKey(["sure", "preregistration"]) in graph.get(dg.AssetKey(["sure", "results"])).parent_keys
    assert {job.name for job in definitions.jobs or ()} >= {"study", "sure"}


def test_job_again_is_the_same_attempt_and_another_attempt_is_fresh(
    study: Study, store: FileStore, instance: dg.DagsterInstance
) -> None:
    digests = [
        materialised(confirm(study, store, instance, **options))[f"{JOB}/results"]["preregistration"].value
        for options in ({}, {}, {"attempt": 2})
    ]
    assert digests[0] == digests[1] != digests[2]
    assert len(list(Ledger(store, "study").preregistrations())) == 2


def test_code_that_was_changed_after_a_confirmation_is_another_attempt(
    study: Study, store: FileStore, instance: dg.DagsterInstance
) -> None:
    assert checks(confirm(study, store, instance))["doubling_adds"].passed
    study.edit("k * value for", "k * value + 0 for")
    evaluation = checks(confirm(study, store, instance))["doubling_adds"]
    assert not evaluation.passed
    flags = evaluation.metadata["flags"].value
    assert "changed since the first preregistration: 'scaled" in flags
    assert "attempt 2 of 1" in flags


def test_cells_that_failed_are_computed_when_the_job_runs_again(
    study: Study, store: FileStore, instance: dg.DagsterInstance
) -> None:
    study.fail("double 9")
    assert not confirm(study, store, instance).success
    study.fail()
    assert checks(confirm(study, store, instance))["complete"].passed
    (only,) = Ledger(store, "study").preregistrations()
    assert only["replicates"] == {"first": 8, "count": 6}


def test_command_runs_a_confirmation(study: Study, folder: Path) -> None:  # noqa: F811
    study.edit(
        'defs = to_dagster(study, store=FOLDER / "store")',
        'sure = study.confirmation("doubling_adds", 6)\n'
        'defs = to_dagster(study, store=FOLDER / "store", confirmations=[sure])',
    )
    done = command(
        "dagster", "job", "execute", "-f", study.file.name, "-j", JOB, folder=folder, home=folder / "home"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "preregistered as" in done.stdout + done.stderr


def test_confirmations_that_do_not_fit_are_refused(study: Study, store: FileStore) -> None:
    experiment = study.experiment()
    sure = experiment.confirmation("doubling_adds")
    other = Experiment("other", [*experiment.steps], replicates=2, sources=list(experiment.sources.values()))
    for confirmations, told in (
        ([sure, sure], "is taken"),
        (["doubling_adds"], r"expected what experiment\.confirmation"),
        ([experiment.confirmation("doubling_adds", name="study")], "is taken"),
    ):
        with pytest.raises(DeclarationError, match=told):
            to_dagster(experiment, store=store, confirmations=confirmations)  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="which is not given here"):
        to_dagster(other, store=store, confirmations=[sure])
    with pytest.raises(DeclarationError, match="did you mean 'doubling_adds'"):
        experiment.confirmation("doubling_ads")
