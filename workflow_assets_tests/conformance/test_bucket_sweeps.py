"""Collecting garbage in a bucket, on a real server, beside runs and after collectors and runs that died."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from workflow_assets import Experiment, Metrics, collect_garbage, pin, step, verify
from workflow_assets.store import leases
from workflow_assets.store.base import Store
from workflow_assets_tests.conformance.buckets import Server, unique_place


class Total(Metrics):
    total: float


@step(version="1")
def drawn(rng: np.random.Generator, size: int = 1000) -> np.ndarray:
    return rng.normal(size=size)


@step(version="1")
def summed(drawn: np.ndarray) -> Total:
    return Total(total=float(drawn.sum()))


def study(size: int, replicates: int = 3, *more: Any) -> Experiment:
    steps = [drawn, summed, *more]
    return Experiment("study", steps, {"changed": {"drawn.size": size}}, replicates=replicates, seed=1)


@pytest.fixture
def place(server: Server) -> Any:
    """Open one place, as often as it is called."""
    name = unique_place()
    return lambda: server.open(name)


def test_old_versions_go_and_present_ones_stay(place):
    store: Store = place()
    first = study(1001).run(store)
    pin(store, first.trace("changed", 1, "summed").key)
    last = study(1002).run(store)
    dry = collect_garbage(store, dry_run=True)
    sweep = collect_garbage(place())
    assert (dry.deleted, dry.objects, dry.bytes) == (sweep.deleted, sweep.objects, sweep.bytes)
    assert sweep.objects == 2
    opened: Store = place()
    assert study(1002).plan(opened).data.to_compute == 0
    assert study(1001).plan(opened).data.to_compute == 4
    assert verify(opened).damaged == ()
    assert "rng.normal" not in str(last.trace("changed", 2, "summed"))  # it has a version instead of its code
    assert study(1002).run(opened).table.equals(last.table)


def test_a_run_in_progress_keeps_what_it_uses(place):
    """Though no partition holds it."""
    store: Store = place()
    study(1001).run(store)
    study(1002).run(store)
    started, swept = threading.Event(), threading.Event()

    @step(version="1")
    def slow(drawn: np.ndarray) -> float:
        started.set()
        assert swept.wait(30)
        return float(drawn.sum())

    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(study(1001, 3, slow).run, place())
        assert started.wait(30)
        collect_garbage(store)
        swept.set()
        result = run.result()
    assert not result.failures
    for row in result.outcomes:
        for key in row.keys.values():
            store.load(key)
    assert store.claimed() == set()


def test_collectors_and_runs_side_by_side_lose_nothing(place, monkeypatch):
    monkeypatch.setattr(leases, "_PATIENCE", 0.05)
    done = threading.Event()

    def sweep() -> int:
        count = 0
        while not done.is_set():
            collect_garbage(place())
            count += 1
        return count

    with ThreadPoolExecutor(2) as pool:
        sweeps = pool.submit(sweep)
        try:
            for size in (1001, 1002, 1001):
                study(size, 2).run(place()).raise_failures()
        finally:
            done.set()
        assert sweeps.result() > 0
    store: Store = place()
    for slot in ("drawn", "summed"):
        held = store.references(("study", slot))
        assert len(held) == 4
        for key in held.values():
            store.load(key)


def test_the_dead_hold_nothing_up(place, monkeypatch):
    """Claims and collectors whose marks are old: who was killed writes no new ones."""
    store: Any = place()
    bucket = store._bucket
    claim = store.claim()
    claim.add(["a1"])
    bucket.put("deleting/killed", b"")
    assert place().claimed() == {"a1"}
    monkeypatch.setattr(leases, "_DELETING_END", 0.0)
    with place().claim() as another:
        another.add(["a2"])  # without waiting
    monkeypatch.setattr(leases, "_CLAIM_END", 0.0)
    assert place().claimed() == set()
    assert list(bucket.entries("claims/")) == []


def test_the_living_write_their_marks_again(place, monkeypatch):
    """So that they are not taken for dead, however long a cell takes."""
    monkeypatch.setattr(leases, "_CLAIM_PERIOD", 0.05)
    store: Any = place()
    written = threading.Event()
    put, marks = store._bucket.put, []

    def counted(name: str, data: bytes, **options: Any) -> str:
        if name.endswith("/alive"):
            marks.append(name)
            if len(marks) > 2:
                written.set()
        return put(name, data, **options)

    monkeypatch.setattr(store._bucket, "put", counted)
    with store.claim() as claim:
        claim.add(["a1"])
        assert written.wait(30)
    assert list(store._bucket.entries("claims/")) == []
