"""The example on a real Postgres, through the recipe's instance."""

import dagster as dg
import numpy as np
import pytest
from dagster._core.definitions.data_version import extract_data_version_from_entry

from workflow_assets import Experiment, Hypothesis, resamples, step, to_dagster
from workflow_assets.examples.breast_cancer import TEST_FRACTION, Split, scale, split

STEPS = ("split", "scale", "model", "score")
PARTITIONS = {
    f"{replicate:04d}|{treatment}" for replicate in range(3) for treatment in ("baseline", "strong")
}


@step
def model(scale: Split, shrinkage: float = 0.0) -> np.ndarray:
    """Find the direction from malignant to benign: a model that needs no library that is slow to load."""
    benign = scale.train_labels == 1
    return (1 - shrinkage) * (scale.train[benign].mean() - scale.train[~benign].mean()).to_numpy()


@step
def score(model: np.ndarray, scale: Split) -> float:
    """Give the share of the held-out tumours that are told apart."""
    return float(((scale.test.to_numpy() @ model > 0) == (scale.test_labels == 1)).mean())


@pytest.fixture
def definitions(tmp_path):
    """The example, smaller."""
    small = Experiment(
        "regularisation",
        steps=[split, scale, model, score],
        treatments={"strong": {"model.shrinkage": 0.9}},
        replicates=resamples(3, test_fraction=TEST_FRACTION),
        seed=42,
        hypotheses=[Hypothesis("strong_hurts", metric="score", treatment="strong", alternative="less")],
    )
    return to_dagster(small, store=tmp_path / "store")


def test_the_example_runs_and_what_it_made_is_read_back(opened, definitions):
    instance = opened("postgres")
    done = definitions.resolve_job_def("regularisation").execute_in_process(instance=instance)
    assert done.success
    with dg.DagsterInstance.from_ref(instance.get_ref()) as reader:
        for name in STEPS:
            key = dg.AssetKey(["regularisation", name])
            assert reader.get_materialized_partitions(key) == PARTITIONS
            record = reader.get_latest_data_version_record(key, partition_key="0001|strong")
            assert record is not None
            assert extract_data_version_from_entry(record.event_log_entry)
        results = reader.get_latest_materialization_event(dg.AssetKey(["regularisation", "results"]))
        assert results is not None
        assert results.run_id == done.run_id
        run = reader.get_run_by_id(done.run_id)
        assert run is not None
        assert run.status == dg.DagsterRunStatus.SUCCESS


def test_a_pool_has_the_slots_that_the_recipe_gives_it(opened):
    """The limit of pools is kept in the database, where all machines see it."""
    storage = opened("postgres").event_log_storage
    assert storage.supports_global_concurrency_limits
    storage.initialize_concurrency_limit_to_default("gpu")
    first = storage.claim_concurrency_slot("gpu", "run-1", "step")
    second = storage.claim_concurrency_slot("gpu", "run-2", "step")
    assert first.is_claimed
    assert not second.is_claimed
    storage.free_concurrency_slots_for_run("run-1")
    storage.free_concurrency_slots_for_run("run-2")
