"""A run killed at any point leaves whole data, and their inputs; the next one computes what is missing, and no more."""

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from workflow_assets import FileStore
from workflow_assets.store import leases
from workflow_assets_tests.conformance.sameness import assert_same
from workflow_assets_tests.crash import runners

# A run stores the source, `prepared`, then for each replicate `sample` and two of `scored`; before the first of each
# step go notes on its code. Two files for probes come first in each folder. So the third object is the first `sample`,
# and the tenth line its record. In a bucket, four probes come first, and records are put while others are computed.
POINTS = {
    "before anything is written": "open before 1",
    "after the claim is there": "open after 2 claims/",
    "before data are claimed": "write before 1 claims/",
    "halfway through the claim": "write halfway 2 claims/",
    "after data were claimed": "write after 2 claims/",
    "in the source": "write after 1 calls.log",
    "in a step that all cells share": "write after 2 calls.log",
    "in the middle of a cell": "write after 3 calls.log",
    "after an object's temporary file was made": "open after 9 objects/",
    "halfway through an object": "write halfway 5 objects/",
    "before an object gets its name": "rename before 3 objects/",
    "between an object and its record": "rename after 3 objects/",
    "halfway through the record of an object": "write halfway 10 records.jsonl",
    "after the record of an object": "write after 10 records.jsonl",
    "halfway through a note on code": "write halfway 11 records.jsonl",
    "halfway through the record of a small value": "write halfway 17 records.jsonl",
    "before references are written": "write before 4 references/",
    "halfway through references": "write halfway 5 references/",
    "before references get their name": "rename before 1 references/",
    "between the references of two steps": "rename after 3 references/",
    "before the claim is given up": "unlink before 1 claims/",
    "after the claim was given up": "unlink after 1 claims/",
    "before waiting for an object": "fsync before 5 objects/",
    "between waiting for an object and its folder": "fsync after 5 objects/",
    "after waiting for an object and its folder": "fsync after 6 objects/",
    "before waiting for a record": "fdatasync before 10 records.jsonl",
    "after waiting for a record": "fdatasync after 10 records.jsonl",
}
REQUESTS = {
    "before anything is put": "PutObject before 1",
    "in the middle of many cells": "write after 9 calls.log",
    "before an object is put": "PutObject before 7 objects/",
    "between an object and its record": "PutObject after 7 objects/",
    "after a record was put": "PutObject after 8 records/",
    "between the references of two steps": "PutObject after 2 references/",
}
PARTS = {
    "after a part was sent": "UploadPart after 2",
    "before the parts become an object": "CompleteMultipartUpload before 1",
    "between an object of parts and its record": "CompleteMultipartUpload after 1",
}
STUDY = {"name": "study", "replicates": 4}
MANY = {
    "folder": {"name": "study", "replicates": 500, "size": 10},
    "bucket": {"name": "study", "replicates": 50, "size": 10},  # each datum takes milliseconds
}
LARGE = {"name": "study", "replicates": 1, "size": 5_000_000}


class Undisturbed:
    """A run that nothing disturbs, and what it holds others of the same experiment to."""

    def __init__(self, folder: Path, declared: dict[str, Any]) -> None:
        self.declared = declared
        self.experiment = runners.study(**declared)
        calls = folder / "calls.log"
        self.result = runners.run({"folder": str(folder / "store")}, calls, self.experiment)
        self.store = FileStore(folder / "store")
        self.data = runners.data(self.experiment, self.store)
        self.records = self.store.find_all(self.data)
        assert not self.result.failures
        assert sorted(runners.called(calls)) == sorted(self.data.values())

    def missing(self, place: dict[str, Any]) -> list[str]:
        """Look at all that killed runs have left; give the calls whose data are not there."""
        store = runners.opened(place)
        found = store.find_all(list(store.keys()))
        for key, record in found.items():
            value = store.load(record)
            inputs = record.provenance.get("inputs", {})
            assert found.keys() >= set(inputs.values())
            if key in self.data:
                whole = self.records[key]
                assert record[:4] == whole[:4]  # key, codec, digest, size
                assert record.metrics == whole.metrics
                assert record.provenance["made"] in found
                assert inputs == whole.provenance.get("inputs", {})
                assert_same(value, self.store.load(whole))
        self._check_references(store)
        assert store.claimed() == set()
        return sorted(call for key, call in self.data.items() if key not in found)

    def finish(self, place: dict[str, Any], calls: Path) -> None:
        """Run again: what is missing is computed, and all is as if nothing had happened."""
        missing = self.missing(place)
        result = runners.run(place, calls, self.experiment)
        assert sorted(runners.called(calls)) == missing
        assert result.table.to_csv() == self.result.table.to_csv()
        assert repr(result.verdicts) == repr(self.result.verdicts)
        assert self.missing(place) == []
        assert self._check_references(runners.opened(place)) == len(self.data)

    def _check_references(self, store: Any) -> int:
        """Hold what each partition holds to what it should; give how many data are named."""
        named = set()
        assets = [("study", name) for name in ("prepared", "sample", "scored")]
        for asset in [("readings",), *assets]:
            held = store.references(asset)
            assert held.items() <= self.store.references(asset).items()
            named |= set(held.values())
        assert all(store.find(key) is not None for key in named)
        return len(named)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Undisturbed runs, one for all tests of an experiment."""
    runs: dict[int, Undisturbed] = {}

    def find(declared):
        if id(declared) not in runs:
            runs[id(declared)] = Undisturbed(tmp_path_factory.mktemp("undisturbed"), declared)
        return runs[id(declared)]

    return find


@pytest.fixture(autouse=True)
def _minutes_later(monkeypatch):
    """In a bucket a claim is dead when its process has not renewed it for minutes."""
    monkeypatch.setattr(leases, "_CLAIM_END", 0.0)


def points(place, named, *marks):
    """Give the points for a parametrised test in a place."""
    return [pytest.param(place, point, id=f"{place}-{name}", marks=marks) for name, point in named.items()]


def kill_at(point, place, calls, declared):
    process = runners.start(place, calls, declared, point)
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("place", "point"),
    [*points("folder", POINTS), *points("bucket", REQUESTS, pytest.mark.slow)],
    indirect=["place"],
)
def test_nothing_torn_is_left_and_the_next_run_computes_what_is_missing(point, place, tmp_path, undisturbed):
    """What is there is whole and so are its inputs; the end is as if nothing had happened."""
    fsync = {"fsync": True} if "sync" in point else {}
    kill_at(point, {**place, **fsync}, tmp_path / "killed" / "calls.log", STUDY)
    one = undisturbed(STUDY)
    if "folder" in place:  # each datum is stored before the next is computed
        called = runners.called(tmp_path / "killed" / "calls.log")
        assert len(one.data) - len(one.missing(place)) in {len(called) - 1, len(called)}
    one.finish(place, tmp_path / "calls.log")


@pytest.mark.slow
@pytest.mark.parametrize(("place", "point"), points("bucket", PARTS), indirect=["place"])
def test_an_upload_in_parts_is_whole_or_not_there(point, place, tmp_path, undisturbed):
    """An array of 40 MB goes to a bucket in parts, which nobody reads before the last is there."""
    kill_at(point, place, tmp_path / "killed" / "calls.log", LARGE)
    undisturbed(LARGE).finish(place, tmp_path / "calls.log")


@pytest.mark.parametrize(
    ("place", "kind", "kills"),
    [("folder", "folder", 5), pytest.param("bucket", "bucket", 2, marks=pytest.mark.slow)],
    indirect=["place"],
)
def test_a_run_of_a_thousand_cells_killed_again_and_again(place, kind, kills, tmp_path, undisturbed):
    """Wherever it happens to be: nothing is torn, and what was stored is not computed again."""
    one = undisturbed(MANY[kind])
    left = sorted(one.data.values())
    for number in range(kills):
        calls = tmp_path / f"{number}" / "calls.log"
        process = runners.start(place, calls, one.declared)
        while len(runners.called(calls)) < random.uniform(1, len(left) / 3) and process.is_alive():
            time.sleep(0.001)
        process.kill()
        process.join()
        assert process.exitcode in {-signal.SIGKILL, 0}
        called = runners.called(calls)
        assert set(called) <= set(left)
        assert len(called) == len(set(called))
        left = one.missing(place)
    one.finish(place, tmp_path / "calls.log")
