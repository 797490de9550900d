"""Experiments on Dagster over a bucket, on a real server: credentials from Dagster's resource, and none told."""

import dagster as dg
import numpy as np
import pytest
from dagster_aws.s3 import S3Resource

from workflow_assets import Experiment, S3Store, open_store, s3_store, step, to_dagster
from workflow_assets.errors import StoreError
from workflow_assets.store.files import FileStore
from workflow_assets_tests.conformance.buckets import OPTIONS, Server, unique_place


@step(version="1")
def drawn(rng: np.random.Generator, size: int = 1000) -> np.ndarray:
    return rng.normal(size=size)


@step(version="1")
def mean(drawn: np.ndarray) -> float:
    return float(drawn.mean())


def study() -> Experiment:
    return Experiment("study", [drawn, mean], {"more": {"drawn.size": 2000}}, replicates=3, seed=1)


def test_a_job_over_a_bucket_gives_what_a_run_gives(server: Server, monkeypatch, capfd) -> None:
    """The second time nothing is computed; and no secret is in events, logs or metadata."""
    monkeypatch.setenv("BUCKET_KEY", OPTIONS["key"])
    monkeypatch.setenv("BUCKET_SECRET", OPTIONS["secret"])
    resource = S3Resource(
        endpoint_url=server.url,
        aws_access_key_id=dg.EnvVar("BUCKET_KEY"),
        aws_secret_access_key=dg.EnvVar("BUCKET_SECRET"),
        region_name="us-east-1",
    )
    place = unique_place()
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(2):
            defs = to_dagster(study(), store=s3_store(place, resource))
            result = defs.resolve_job_def("study").execute_in_process(instance=instance)
            assert result.success
        logged = [str(entry) for entry in instance.all_logs(result.run_id)]
    store = server.open(place)
    assert study().plan(store).data.to_compute == 0
    assert study().run().table.equals(study().run(store).table)
    assert store.load_asset(("study", "drawn"), "0001|more").size == 2000
    told = "".join([*logged, *capfd.readouterr(), repr(store)])
    assert "never-to-be-shown" not in told


def test_a_resource_that_is_not_safe_is_refused() -> None:
    for unsafe in (S3Resource(use_ssl=False), S3Resource(verify=False)):
        with pytest.raises(StoreError, match="turns encryption or the verification of certificates off"):
            s3_store("s3://results/study", unsafe)


def test_a_place_says_which_store_it_is(tmp_path) -> None:
    assert isinstance(open_store("s3://results/study"), S3Store)
    assert isinstance(open_store(tmp_path), FileStore)
    with pytest.raises(StoreError, match="'s3:/results' is no place in a bucket"):
        open_store("s3:/results")


@pytest.mark.parametrize("backend", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_workers_share_a_bucket(server: Server, backend: str) -> None:
    """What they compute is found there, and is what one process computes."""
    store = server.open(unique_place())
    result = study().run(store, backend=backend, workers=2)
    assert result.failures == ()
    assert result.table.equals(study().run().table)
    assert study().plan(store).data.to_compute == 0
    assert not study().run(store, backend=backend, workers=2).timings["computed"].any()
