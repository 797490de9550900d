"""Many who write to one bucket at once: no datum is lost, and all of them are given the same one."""

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from workflow_assets.store import copies, s3
from workflow_assets.store.s3 import S3Store
from workflow_assets_tests.conformance.buckets import OPTIONS, Server, unique_place
from workflow_assets_tests.conformance.sameness import assert_same

LARGE = np.arange(300.0)


def value_of(worker: int, number: int) -> Any:
    return LARGE + worker if number % 50 == 0 else [worker, number]


def write(place: str, url: str, worker: int, count: int) -> dict[str, str]:
    """Write keys, four threads at once; give the digest of each that stands."""
    store = S3Store(place, endpoint_url=url, options=OPTIONS)

    def put(number: int) -> tuple[str, str]:
        record = store.put(f"k{number}", value_of(worker, number), provenance={"run": worker})
        return record.key, record.digest

    with ThreadPoolExecutor(4) as pool:
        written = dict(pool.map(put, range(count)))
    store.refer(("a",), {f"{worker}-{number}": f"k{number}" for number in range(count)})
    return written


@pytest.mark.parametrize(("processes", "count"), [(2, 500), pytest.param(8, 500, marks=pytest.mark.slow)])
def test_processes_that_write_the_same_keys_are_given_the_same_datums(
    server: Server, processes: int, count: int
) -> None:
    """Each key once, whoever was first; and the copies that they leave are right."""
    place = unique_place()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        jobs = [pool.submit(write, place, server.url, worker, count) for worker in range(processes)]
        written = [job.result() for job in jobs]
    assert all(one == written[0] for one in written)
    store = server.open(place)
    keys = [f"k{number}" for number in range(count)]
    assert sorted(store.keys()) == sorted(keys)
    found = store.find_all(keys)
    assert {key: record.digest for key, record in found.items()} == written[0]
    for number, key in enumerate(keys):
        assert_same(store.load(found[key]), value_of(found[key].provenance["run"], number))
    assert len(store.references(("a",))) == processes * count


def test_sixteen_threads_share_one_store(server: Server, monkeypatch) -> None:
    """All that a store does, at once; packs are written and merged meanwhile."""
    monkeypatch.setattr(s3, "_MANY", 6)
    monkeypatch.setattr(copies, "_MOST_PENDING", 20)
    monkeypatch.setattr(copies, "_WORTHWHILE", 5)
    monkeypatch.setattr(copies, "_MOST_PACKS", 3)
    store = S3Store(unique_place(), endpoint_url=server.url, options=OPTIONS)
    start = threading.Barrier(16)

    def work(worker: int) -> None:
        start.wait()
        own = [f"{worker:02}k{number}" for number in range(8)]
        for number, key in enumerate(own):
            value = LARGE + worker if number == 2 else {"worker": worker}
            assert_same(store.load(store.put(key, value)), value)
        store.refer((f"a{worker % 4}",), dict.fromkeys(own, "k"))
        assert store.find_all(own).keys() == set(own)
        assert store.references((f"a{worker % 4}",)).keys() >= set(own)
        store.delete(own[4:6], [], 1)
        assert store.find_all(own).keys() == {*own[:4], *own[6:]}

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    opened = server.open(store._place)
    expected = {f"{worker:02}k{number}" for worker in range(16) for number in (*range(4), *range(6, 8))}
    assert set(opened.keys()) == expected == opened.find_all(expected).keys()
