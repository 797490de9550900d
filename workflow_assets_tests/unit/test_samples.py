"""Samples: the first rows of what a workflow reads, kept beside everything."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from workflow_assets import FileStore, MemoryStore, Store, Workflow, asset_source, source, step
from workflow_assets.errors import DeclarationError, WorkflowFailedError
from workflow_assets.samples import SampledSource, SampledValue, first_rows
from workflow_assets.sources import Given

LOADED: list[str] = []


@source(version="1")
def orders() -> pd.DataFrame:
    LOADED.append("orders")
    return pd.DataFrame({"price": range(1000)})


@source
def weights() -> list[float]:
    return [1.0, 2.0, 3.0]


@source(version="1")
def title() -> str:
    return "a title"


@step
def joined(orders: pd.DataFrame, weights: list[float], extra: list[int]) -> list[int]:
    return [len(orders), len(weights), len(extra)]


@step
def total(joined: list[int], offset: int) -> int:
    return sum(joined) + offset


@step
def noise(rng: np.random.Generator, extra: list[int]) -> float:
    return float(rng.normal()) + 0 * len(extra)


def counting() -> Workflow:
    return Workflow("counting", [joined, total, noise], inputs={"extra": list(range(50)), "offset": 1})


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "store")


def test_a_sample_reads_the_first_rows_and_says_so(store) -> None:
    result = counting().run(store, rows=10)
    assert result["joined"] == [10, 3, 10]
    assert result["total"] == 24
    assert result.rows == 10
    assert result.sampled == {"orders": 10, "weights": 10, "extra": 10}
    assert repr(result).startswith("WorkflowResult(counting, rows=10: ")


def test_a_sample_and_everything_are_kept_side_by_side(store) -> None:
    workflow = counting()
    for rows in (10, None, 2, 10):
        workflow.run(store, rows=rows)
    kept = workflow.results(store)
    assert {label: one["total"] for label, one in kept.items()} == {
        "everything": 1000 + 3 + 50 + 1,
        "rows=10": 24,
        "rows=2": 7,
    }
    assert [one.rows for one in kept.values()] == [None, 10, 2]
    assert store.load_asset(("counting", "extra")) == list(range(50))
    assert store.load_asset(("counting", "extra", "rows=2")) == [0, 1]
    assert len(store.load_asset(("orders",))) == 1000
    assert len(store.load_asset(("orders", "rows=10"))) == 10


def test_nothing_is_computed_twice(store) -> None:
    workflow = counting()
    workflow.run(store)
    first = workflow.run(store, rows=10)
    LOADED.clear()
    assert first.computed == {"joined", "total", "noise"}
    assert workflow.run(store, rows=10).computed == frozenset()
    assert workflow.run(store).computed == frozenset()
    assert LOADED == [], "a source of a version is loaded once for each number of rows"


def test_only_some_may_be_sampled(store) -> None:
    result = counting().run(store, rows={"orders": 7})
    assert result["joined"] == [7, 3, 50]
    assert (result.rows, result.sampled) == ({"orders": 7}, {"orders": 7})
    (label,) = counting().results(store)
    assert label == "orders=7"


def test_a_sample_draws_what_everything_draws(store) -> None:
    assert counting().run(store, rows=5)["noise"] == counting().run(store)["noise"]


def test_a_sample_as_large_as_everything_is_not_computed_again(store) -> None:
    workflow = Workflow("w", [noise], inputs={"extra": [1, 2]})
    workflow.run(store)
    assert workflow.run(store, rows=2).computed == frozenset()


def test_inputs_given_to_a_run_are_sampled(store) -> None:
    assert counting().run(store, rows=3, extra=[1, 2, 3, 4], offset=0)["joined"] == [3, 3, 3]


def test_failed_steps_of_a_sample_leave_those_of_everything(store) -> None:
    @step
    def picky(extra: list[int]) -> int:
        return extra[20]

    workflow = Workflow("w", [picky], inputs={"extra": list(range(50))})
    workflow.run(store)
    assert workflow.run(store, rows=10).states == {"picky": "failed"}
    kept = workflow.results(store)
    assert list(kept) == ["everything"]
    assert kept["everything"]["picky"] == 20
    with pytest.raises(WorkflowFailedError):
        workflow.run(store, rows=10)["picky"]


def test_an_asset_that_feeds_a_workflow_is_sampled(store) -> None:
    store.refer(("lab", "readings"), {"": store.put("k1", [1, 2, 3, 4]).key})

    @step
    def count(readings: list[int]) -> int:
        return len(readings)

    workflow = Workflow("w", [count], sources=[asset_source("lab/readings")])
    assert [workflow.run(store, rows=2)["count"], workflow.run(store)["count"]] == [2, 4]


def test_a_sample_is_sent_to_worker_processes(tmp_path) -> None:
    workflow = counting()
    result = workflow.run(FileStore(tmp_path / "store"), rows=4, backend="processes", workers=1)
    assert result["joined"] == [4, 3, 4]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (0, "rows = 0: expected a whole number of 1 or more"),
        (True, "rows = True: expected a whole number of 1 or more"),
        ("many", "rows = 'many': expected a whole number of 1 or more"),
        ({"ordres": 3}, "rows of 'ordres': it reads no input or source of that name: did you mean 'orders'?"),
        ({"offset": 3}, "rows of 'offset': 1 has none; a list, a frame or an array has"),
    ],
)
def test_what_cannot_be_sampled_is_told(rows, told) -> None:
    with pytest.raises(DeclarationError) as caught:
        counting().run(rows=rows)
    assert told in str(caught.value)


def test_a_workflow_without_rows_has_no_sample() -> None:
    @step
    def double(offset: int) -> int:
        return 2 * offset

    with pytest.raises(DeclarationError, match="it reads no list, frame or array"):
        Workflow("w", [double], inputs={"offset": 1}).run(rows=3)


def test_a_source_of_a_version_that_has_no_rows_is_told() -> None:
    @step
    def show(title: str) -> str:
        return title

    result = Workflow("w", [show]).run(rows=3)
    with pytest.raises(WorkflowFailedError, match="source 'title' is a str, which has no rows"):
        result["show"]


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        ([1, 2, 3], [1, 2]),
        (range(5), range(2)),
        ("text", "text"),
        ((1, 2, 3), (1, 2, 3)),
        ({"a": [1, 2, 3]}, {"a": [1, 2, 3]}),
        (np.float64(3), np.float64(3)),
        (np.array(3), np.array(3)),
    ],
)
def test_first_rows_of_plain_values(whole, part) -> None:
    assert first_rows(whole, 2) == part


def test_first_rows_of_frames_and_arrays() -> None:
    array = np.arange(10).reshape(5, 2)
    part = first_rows(array, 2)
    assert part.tolist() == [[0, 1], [2, 3]]
    assert part.base is None, "it does not keep the whole in memory"
    frame = pd.DataFrame({"a": [1, 2, 3]}, index=[7, 8, 9])
    assert first_rows(frame, 2).index.tolist() == [7, 8]
    assert first_rows(frame["a"], 1).tolist() == [1]
    assert first_rows(pl.DataFrame({"a": [1, 2, 3]}), 2)["a"].to_list() == [1, 2]
    assert first_rows(pa.table({"a": [1, 2, 3]}), 2)["a"].to_pylist() == [1, 2]


def test_samples_are_pickled() -> None:
    one = pickle.loads(pickle.dumps(SampledValue.cut(Given.of("w", "extra", [1, 2, 3]), [1, 2, 3], 2)))
    assert (one.load(), one.asset) == ([1, 2], ("w", "extra", "rows=2"))
    cut = SampledSource.cut(orders, 3)
    assert (len(cut.load()), cut.asset, cut.version) == (3, ("orders", "rows=3"), "1 rows=3")
