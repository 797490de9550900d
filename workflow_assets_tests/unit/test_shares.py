"""Where cells are too few for the workers, these share the branches of a workflow and the items of its steps."""

import asyncio
import os
import signal
import threading
from typing import Any

import numpy as np
import pytest

from workflow_assets import FileStore, MemoryStore, Workflow, step
from workflow_assets.contexts import Context
from workflow_assets.store.base import Store

CALLED: list[int] = []


@pytest.fixture(autouse=True)
def bad(monkeypatch):
    """What the step on each raises for: no part of its code, so that mending it changes no key."""
    monkeypatch.setenv("BAD", "3")
    CALLED.clear()


@step
def numbers(count: int) -> list[int]:
    return [one % 9 for one in range(count)]


@step
def squared(number: int, power: int = 2) -> int:
    CALLED.append(number)
    if str(number) == os.environ["BAD"]:
        raise ValueError(f"bad {number}")
    return number**power


@step
def increased(number: int) -> int:
    return number + 1


@step
def drawn(number: int, rng: np.random.Generator, ctx: Context) -> float:
    ctx.record("seen", number)
    return number + float(rng.random())


@step
def worker(number: int) -> int:
    return os.getpid()


def chain(count: int = 20) -> Workflow:
    with Workflow("chain") as workflow:
        many = workflow.add(numbers, workflow.input("count", count, int))
        some = workflow.add(squared.each("number"), many)
        workflow.add(increased.each("number"), some)
        workflow.add(drawn.each("number"), many)
    return workflow


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Store:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "store")


def rows(result: Any, slot: str) -> list[tuple[Any, str, str]]:
    return [(one["key"], one["status"], one["error"]) for one in result.items(slot)]


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_several_workers_come_to_the_same_as_one(backend, store):
    alone, together = chain().run(), chain().run(store, backend=backend, workers=2)
    assert together.states == alone.states
    assert together.states["squared"] == "failed"
    assert together["drawn"] == alone["drawn"]
    assert len(set(together["drawn"])) == 20, "items that are alike have random numbers of their own"
    assert together.record("drawn").records == alone.record("drawn").records
    for slot in ("squared", "increased", "drawn"):
        assert rows(together, slot) == rows(alone, slot)
    assert together.failures["squared"].message == alone.failures["squared"].message
    assert "in squared" in together.failures["squared"].traceback


def test_each_item_is_called_once_and_what_failed_is_called_again(store, monkeypatch):
    chain(9).run(store, backend="threads", workers=2)
    assert sorted(CALLED) == list(range(9))
    CALLED.clear()
    chain(9).run(store, backend="threads", workers=2)
    assert CALLED == [3]
    CALLED.clear()
    monkeypatch.setenv("BAD", "")
    result = chain(9).run(store, backend="threads", workers=2)
    assert CALLED == [3]
    assert set(result.states.values()) == {"completed"}
    assert result["increased"] == [one**2 + 1 for one in range(9)]


def test_items_that_are_alike_are_called_once():
    result = chain().run()
    assert sorted(CALLED) == list(range(9))
    assert [one["status"] for one in result.items("squared")].count("failed") == 2


def test_what_is_forced_is_called_once_again(store, monkeypatch):
    monkeypatch.setenv("BAD", "")
    chain(9).run(store, backend="threads", workers=2)
    CALLED.clear()
    chain(9).run(store, backend="threads", workers=2, force=["squared"])
    assert sorted(CALLED) == list(range(9))


def test_processes_share_the_items_of_one_step():
    with Workflow("who") as workflow:
        workflow.add(worker.each("number"), list(range(40)))
    workers = workflow.run(backend="processes", workers=2)["worker"]
    assert len(set(workers)) == 2
    assert os.getpid() not in workers


def test_coroutines_wait_for_all_items_at_once():
    running = []

    @step
    async def waited(number: int) -> int:
        running.append(number)
        while len(running) < 30:
            await asyncio.sleep(0.001)
        return number

    with Workflow("waiting") as workflow:
        workflow.add(waited.each("number"), list(range(30)))
    assert workflow.run(backend="asyncio")["waited"] == list(range(30))


def test_branches_are_computed_side_by_side():
    both = threading.Barrier(2)

    @step
    def left(count: int) -> int:
        both.wait(30)
        return count

    @step
    def right(count: int) -> int:
        both.wait(30)
        return -count

    @step
    def joined(left: int, right: int) -> int:
        return left + right

    workflow = Workflow("branches", [left, right, joined], inputs={"count": 2})
    assert workflow.run(backend="threads", workers=2)["joined"] == 0


def test_a_chain_stays_with_one_worker():
    threads = []

    @step
    def first() -> int:
        threads.append(threading.get_ident())
        return 1

    @step
    def second(first: int) -> int:
        threads.append(threading.get_ident())
        return first + 1

    @step
    def third(second: int) -> int:
        threads.append(threading.get_ident())
        return second + 1

    result = Workflow("one_after_the_other", [first, second, third]).run(backend="threads", workers=2)
    assert result["third"] == 3
    assert result.computed == {"first", "second", "third"}
    assert len(set(threads)) == 1


@step
def fatal(number: int) -> int:
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_an_item_that_kills_its_worker_costs_its_step_and_no_other():
    with Workflow("fatal") as workflow:
        many = workflow.add(numbers, 8)
        workflow.add(fatal.each("number"), many)
        workflow.add(increased.each("number"), many)
    store = MemoryStore()
    result = workflow.run(store, backend="processes", workers=2)
    assert result.states == {"numbers": "completed", "fatal": "failed", "increased": "completed"}
    assert result.failures["fatal"].kind == "WorkerLostError"


def test_an_input_that_fails_is_told_once():
    @step
    def broken() -> list[int]:
        raise OSError("gone")

    with Workflow("broken_input") as workflow:
        workflow.add(squared.each("number"), workflow.add(broken))
    result = workflow.run(backend="threads", workers=2)
    assert result.states == {"broken": "failed", "squared": "skipped"}
    assert result.failures.keys() == {"broken"}


def test_recorded_metrics_of_stored_items_are_told_again():
    store = MemoryStore()
    first = chain().run(store).record("drawn").records
    longer = chain(21).run(store)
    assert [one[2]["item"] for one in longer.record("drawn").records] == [str(one) for one in range(21)]
    assert longer.record("drawn").records[:20] == first
