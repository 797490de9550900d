"""Processes that run one experiment at the same time on one store share the work, and all end with the same values."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from workflow_assets import Store
from workflow_assets_tests.crash import runners

MAKERS: dict[str, Any] = {"name": "makers", "replicates": 30}


@pytest.mark.parametrize(
    ("place", "count"),
    [("folder", 2), ("folder", 4), pytest.param("bucket", 2, marks=pytest.mark.slow)],
    indirect=["place"],
)
def test_processes_share_the_work_and_each_value_follows_from_those_that_stand(place, count, tmp_path):
    """Whoever is second takes the value of who was first, and computes what follows from that."""
    store, calls = runners.opened(place), tmp_path / "calls.log"
    processes = [runners.start(place, calls, MAKERS) for _ in range(count)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * count
    check_work(store, calls)
    check_values(store)
    result = runners.study(**MAKERS).run(store)
    assert [path.read_text() for path in tmp_path.glob("*.csv")] == [result.table.to_csv()] * count
    for slot in ("shared", "drawn", "told"):
        assert store.references(("makers", slot)) == {
            f"{outcome.replicate}|{outcome.treatment}": outcome.keys[slot] for outcome in result.outcomes
        }
    assert store.claimed() == set()
    assert not [path for path in (tmp_path / "store").rglob("*") if path.suffix == ".tmp"]


def check_work(store: Store, calls: Path) -> None:
    """Each datum was computed once, but for those that several were at in the same moment.

    Going hand in hand, the processes would compute each datum as often as there are processes.
    """
    data = runners.data(runners.study(**MAKERS), store)
    counts = Counter(runners.called(calls))
    assert counts.keys() == set(data.values())
    assert counts.total() < 1.5 * len(data)
    lines = calls.read_text().splitlines()
    assert len(lines) == len(set(lines))  # no process computes anything twice


def check_values(store: Store) -> None:
    """No datum was computed from what another process has lost with, and none is without its inputs."""
    found = store.find_all(list(store.keys()))
    told = []
    for key in runners.data(runners.study(**MAKERS), store):
        inputs = found[key].provenance.get("inputs", {})
        assert found.keys() >= {found[key].provenance["made"], *inputs.values()}
        if "shared" in inputs:
            assert store.load(key)[0] == store.load(inputs["shared"])[0]
        if "drawn" in inputs:
            told.append(store.load(key))
            drawn = store.load(inputs["drawn"])
            assert (told[-1].shared, told[-1].drawn) == (drawn[0], drawn[-1])
    assert len(told) == 60
    assert len({makers.own for makers in told}) > 1
