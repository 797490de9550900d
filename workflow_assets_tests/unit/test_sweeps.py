"""What garbage is, what is kept, and that a run beside the collector loses nothing."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflow_assets import (
    Experiment,
    FileStore,
    MemoryStore,
    Metrics,
    collect_garbage,
    pin,
    pins,
    source,
    step,
    trace,
    unpin,
)
from workflow_assets.errors import StoreError, UnknownNameError
from workflow_assets.store.base import Store

LARGE = 10_000


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "store")


@source(version="1")
def readings() -> list[float]:
    return [1.0, 2.0]


class Fit(Metrics):
    error: float


@step
def model(readings: list[float], rng: np.random.Generator, size: int = LARGE) -> dict[str, Any]:
    return {"weights": rng.normal(size=size), "readings": readings}


@step
def score(model: dict[str, Any], weight: float = 1.0) -> Fit:
    return Fit(error=weight * float(model["weights"].mean()))


def study(size: int = LARGE, weight: float = 1.0, replicates: int = 3) -> Experiment:
    change = {"model.size": size, "score.weight": weight}
    return Experiment("study", [model, score], {"changed": change}, replicates=replicates, seed=1)


def files(store: Store) -> int:
    return sum(1 for _ in store.objects())


def test_what_a_partition_holds_is_kept_with_all_that_it_was_made_from(store):
    """So is what tells how it was made: nothing of a study that was run once is garbage."""
    result = study(size=LARGE + 1).run(store)
    before = sorted(store.keys())
    sweep = collect_garbage(store)
    assert (sweep.deleted, sweep.bytes) == (0, 0)
    assert sorted(store.keys()) == before
    origin = result.trace("changed", 2, "score")
    assert "float(model" in str(origin)
    assert "rng.normal" in str(origin.input("model"))
    assert study(size=LARGE + 1).plan(store).data.to_compute == 0


@pytest.mark.parametrize("versions", [1, 2, 3])
def test_so_many_last_versions_are_kept(store, versions):
    """Of every partition; what older ones alone needed goes, with its files."""
    for size in range(1, 5):
        study(size=LARGE + size).run(store)
    dry = collect_garbage(store, versions=versions, dry_run=True)
    stored, there = len(list(store.keys())), files(store)
    sweep = collect_garbage(store, versions=versions)
    assert (dry.deleted, dry.objects, dry.bytes, dry.kept) == (
        sweep.deleted, sweep.objects, sweep.bytes, sweep.kept,
    )  # fmt: skip
    assert sweep.objects == there - files(store) == 3 * (4 - versions)
    assert sweep.deleted == stored - len(list(store.keys())) > sweep.objects
    assert sweep.bytes > sweep.objects * LARGE * 8
    for size in range(1, 5):
        missing = study(size=LARGE + size).plan(store).data.to_compute
        assert (missing == 0) == (size > 4 - versions)
    assert len(store.versions(("study", "model"), "0000|changed")) == versions
    assert collect_garbage(store, versions=versions).deleted == 0


def test_a_version_that_came_back_is_the_present_one(store):
    """Who goes back to an older setting holds that, and the collector takes the other."""
    for size in (LARGE + 1, LARGE + 2, LARGE + 1):
        study(size=size).run(store)
    collect_garbage(store)
    assert study(size=LARGE + 1).plan(store).data.to_compute == 0
    assert study(size=LARGE + 2).plan(store).data.to_compute == 6


def test_large_files_of_old_versions_go_and_their_metrics_stay(store):
    """And what tells how they were made; the data themselves would be computed again."""
    old = study(size=LARGE + 1).run(store)
    new = study(size=LARGE + 2).run(store)
    rows = old.table[old.table.treatment == "changed"].set_index("replicate")
    keys = {row.replicate: row.keys["score"] for row in old.outcomes if row.treatment == "changed"}
    records = store.recorded(store.keys())
    sweep = collect_garbage(store, keep_metrics=True)
    assert (sweep.deleted, sweep.stripped, sweep.objects) == (0, 3, 3)
    assert sweep.bytes >= 3 * LARGE * 8
    assert store.recorded(store.keys()) == records
    for replicate, key in keys.items():
        record = store.find(key)
        assert record is not None
        assert record.metrics == {"error": rows["score.error"][int(replicate)]}
        model_key = record.provenance["inputs"]["model"]
        assert store.find(model_key) is None
        assert "rng.normal" in str(trace(store, key).input("model"))
    assert study(size=LARGE + 2).plan(store).data.to_compute == 0
    assert study(size=LARGE + 1).plan(store).data.to_compute == 3
    assert new.trace("changed", 0, "model").value()["weights"].size == LARGE + 2
    assert study(size=LARGE + 1).run(store).table.equals(old.table)


def test_pinned_data_are_kept_with_what_they_were_made_from(store):
    """Until they are unpinned."""
    result = study(size=LARGE + 1).run(store)
    key = result.trace("changed", 1, "score").key
    pin(store, key)
    study(size=LARGE + 2).run(store)
    collect_garbage(store)
    assert pins(store) == {key}
    assert trace(store, key).input("model").value()["weights"].size == LARGE + 1
    unpin(store, key)
    assert pins(store) == set()
    collect_garbage(store)
    assert store.find(key) is None
    with pytest.raises(UnknownNameError, match=f"no datum is stored under '{key}': nothing was pinned"):
        pin(store, key)
    with pytest.raises(UnknownNameError, match=f"'{key}' is not pinned; pinned are: none"):
        unpin(store, key)


@pytest.mark.parametrize("versions", [0, -1, 1.5, "2"])
def test_less_than_one_version_is_refused(store, versions):
    with pytest.raises(ValueError, match="keep at least 1, that which a partition holds now"):
        collect_garbage(store, versions=versions)


def test_a_run_in_progress_keeps_what_it_uses(store):
    """Data of an older version, which it found before the collector came and no partition holds; and what it made."""
    study(size=LARGE + 1).run(store)
    study(size=LARGE + 2).run(store)
    collected: list[int] = []

    @step(version="1")
    def slow(model: dict[str, Any]) -> float:
        collected.append(collect_garbage(store).deleted)
        return float(model["weights"].sum())

    again = Experiment("study", [model, slow], {"changed": {"model.size": LARGE + 1}}, replicates=3, seed=1)
    result = again.run(store)
    assert not result.failures
    assert len(collected) == 6
    for row in result.outcomes:
        for key in row.keys.values():
            record = store.find(key)
            assert record is not None
            store.load(record)
    assert store.claimed() == set()
    assert collect_garbage(store).kept > 0
    assert again.plan(store).data.to_compute == 0


def test_collectors_and_runs_side_by_side_lose_nothing(tmp_path):
    """Versions come and go in two runs, while a collector sweeps all the time."""
    folder = tmp_path / "store"
    failures: list[BaseException] = []
    done = threading.Event()

    def sweep() -> None:
        while not done.is_set():
            try:
                collect_garbage(FileStore(folder))
            except BaseException as error:  # noqa: BLE001 - told below
                failures.append(error)
                return

    def run(first: int) -> None:
        store = FileStore(folder)
        try:
            for size in (first, first + 1) * 3:
                result = study(size=size, replicates=4).run(store)
                result.raise_failures()
                assert study(size=size, replicates=4).plan(store).cells.total == 8
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    collector = threading.Thread(target=sweep)
    runs = [threading.Thread(target=run, args=(300 * number,)) for number in (1, 2)]
    for thread in [collector, *runs]:
        thread.start()
    for thread in runs:
        thread.join()
    done.set()
    collector.join()
    assert failures == []
    store = FileStore(folder)
    for slot in ("model", "score"):
        held = store.references(("study", slot))
        assert len(held) == 8
        for key in held.values():
            store.load(key)


def test_what_dead_runs_had_claimed_is_garbage(tmp_path):
    """Their locks went with them."""
    code = (
        "import os, sys, time\n"
        "from workflow_assets import FileStore\n"
        "store = FileStore(sys.argv[1])\n"
        "store.put('a1', 1)\n"
        "claim = store.claim()\n"
        "claim.add(['a1'])\n"
        "print('claimed', flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "claimed\n"
    store = FileStore(tmp_path)
    assert store.claimed() == {"a1"}
    assert collect_garbage(store).deleted == 0
    process.kill()
    process.communicate()
    assert store.claimed() == set()
    assert collect_garbage(store).deleted == 1
    assert not any((tmp_path / "claims").iterdir())


def test_what_killed_writers_left_goes_after_a_while(tmp_path):
    """Objects without a record and temporary files, unless somebody may just be writing them."""
    store = FileStore(tmp_path)
    store.put("a1", np.zeros(LARGE))
    store.refer(("a",), {"": "a1"})
    left = [
        tmp_path / "objects" / "a1" / name for name in (".0c-1.tmp", "a1.ffff.npy", "a1.0123.npy.damaged")
    ]
    for path in left:
        path.write_bytes(bytes(100))
    assert collect_garbage(store).objects == 0
    for path in left:
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    sweep = collect_garbage(store)
    assert (sweep.objects, sweep.bytes, sweep.deleted) == (3, 300, 0)
    assert not any(path.exists() for path in left)
    assert store.load("a1").size == LARGE


def test_a_store_that_cannot_be_written_is_complained_about(tmp_path):
    """A dry run says what would go."""
    from workflow_assets_tests.crash.disks import read_only

    store = FileStore(tmp_path / "store")
    study(size=LARGE + 1).run(store)
    study(size=LARGE + 2).run(store)
    with read_only(store.folder):
        opened = FileStore(store.folder)
        with pytest.raises(StoreError, match=r"cannot be cleared: Read-only file system|Permission denied"):
            collect_garbage(opened)
        assert collect_garbage(opened, dry_run=True).deleted > 0


def test_a_sweep_is_told_in_a_line(store):
    study(size=LARGE + 1).run(store)
    study(size=LARGE + 2).run(store)
    told = str(collect_garbage(store, dry_run=True))
    assert told.startswith("would delete ")
    assert "3 objects, 0.3 MB" in told
    assert "whose metrics stay" in str(collect_garbage(store, keep_metrics=True))
