"""Steps that are called on each item of a collection."""

import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from workflow_assets import Experiment, FileStore, MemoryStore, Workflow, collect_garbage, sets, step
from workflow_assets.errors import DeclarationError
from workflow_assets.traits import Retries

CALLS: list[object] = []
BROKEN: set[object] = set()


@pytest.fixture(autouse=True)
def forget():
    """Begin with no calls, and with nothing that fails."""
    CALLS.clear()
    BROKEN.clear()


@step(version="1")
def double(number: int) -> int:
    CALLS.append(number)
    if number in BROKEN:
        raise ValueError(f"{number} is broken")
    return 2 * number


@step(version="1")
def total(numbers: list[int]) -> int:
    return sum(numbers)


@step(version="1")
def pair(left: int, right: str) -> str:
    return f"{left}{right}"


@step(version="1")
def drawn(number: int, rng: np.random.Generator) -> float:
    return number + float(rng.random())


@step(version="1")
def greedy(number: int, whole: list[int]) -> int:
    whole.append(number)
    return len(whole)


@step(version="1")
def noting(number: int, file: str) -> int:
    with Path(file).open("a") as calls:
        calls.write(f"{number}\n")
    return number


@step(version="1")
def rows() -> pd.DataFrame:
    return pd.DataFrame({"left": [1, 2, 3], "right": [10, 20, 30]})


@step(version="1")
def add(row: dict[str, int], more: int = 0) -> int:
    return row["left"] + row["right"] + more


@step(version="1")
def letters(count: int) -> list[str]:
    return list("abcdefghij"[:count])


def doubled(numbers=None):
    with Workflow("doubled") as workflow:
        given = (
            workflow.input("numbers", numbers, list[int])
            if numbers
            else workflow.input("numbers", type=list[int])
        )
        total(double.each()(given))
    return workflow


def test_each_item_is_called_once_and_what_they_give_is_a_list():
    """The case of the reference: 1, 2 and 3, each doubled, are 12 together."""
    result = doubled([1, 2, 3]).run()
    assert (result["double"], result["total"], CALLS) == ([2, 4, 6], 12, [1, 2, 3])
    assert [one["status"] for one in result.items("double")] == ["completed"] * 3


def test_a_sub_workflow_takes_the_list_that_a_step_on_each_gives():
    """Its input is of what others are handed, not of what one call gives; so it is told, too."""
    adding = Workflow("adding", [total], inputs={"numbers": list[int]})
    with Workflow("outer") as outer:
        adding(double.each()(outer.input("given", [1, 2])))
    assert outer.run()["adding__total"] == 6
    assert "list[int]" in next(line for line in str(outer).splitlines() if line.startswith("1 "))
    assert outer.datum("double").type == "list[int]"


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_only_new_items_are_called(kind, tmp_path):
    """Whatever stood before and after them, and in whatever order."""
    store = MemoryStore() if kind == "memory" else FileStore(tmp_path)
    doubled().run(store, numbers=[1, 2, 3])
    CALLS.clear()
    assert doubled().run(store, numbers=[5, 3, 1, 4])["double"] == [10, 6, 2, 8]
    assert CALLS == [5, 4]


def test_an_item_that_fails_fails_alone_and_is_retried_alone(tmp_path):
    """What takes the whole waits for it; nothing that was done is done again."""
    store = FileStore(tmp_path)
    BROKEN.add(2)
    result = doubled([1, 2, 3]).run(store)
    assert result.states == {"double": "failed", "total": "skipped"}
    assert result.failures["double"].message.startswith(
        "1 of 3 items of 'double' failed (item 1: ValueError: 2 is broken)"
    )
    assert [one["status"] for one in result.items("double")] == ["completed", "failed", "completed"]
    assert result.items("double")[1]["error"] == "ValueError: 2 is broken"
    assert "in double" in result.failures["double"].traceback
    assert "cells.py" not in result.failures["double"].traceback
    CALLS.clear()
    BROKEN.clear()
    again = doubled([1, 2, 3]).run(store)
    assert (again["total"], CALLS) == (12, [2])
    assert [one["status"] for one in again.items("double")] == ["completed"] * 3


def test_what_is_forced_takes_the_place_of_what_was_stored():
    """Items that are computed again are those that a later run finds."""
    store, made = MemoryStore(), iter(range(100))

    @step(version="1")
    def fresh(number: int) -> int:
        return next(made)

    with Workflow("fresh") as workflow:
        fresh.each()(workflow.input("numbers", type=list[int]))
    assert workflow.run(store, numbers=[1, 2])["fresh"] == [0, 1]
    assert workflow.run(store, numbers=[1, 2], force=["fresh"])["fresh"] == [2, 3]
    assert workflow.run(store, numbers=[2, 1])["fresh"] == [3, 2]


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_workers_find_what_other_workers_have_stored_of_items(kind, tmp_path):
    """Also those of a run before, and of a store that no worker can reach."""
    store = MemoryStore() if kind == "memory" else FileStore(tmp_path / "store")
    with Workflow("noted") as workflow:
        noting.each("number")(workflow.input("numbers", type=list[int]), str(tmp_path / "calls"))
    for numbers in ([1, 2, 3], [3, 4, 1]):
        result = workflow.run(store, backend="processes", workers=2, numbers=numbers)
        assert result["noting"] == numbers
    assert sorted((tmp_path / "calls").read_text().split()) == ["1", "2", "3", "4"]


def test_steps_on_each_go_on_with_the_items_that_they_have():
    """One bad item costs its own line, not those beside it."""
    store = MemoryStore()
    BROKEN.add(3)
    with Workflow("chain") as chain:
        first = double.each()([1, 2, 3])
        total(double.each()(first))
    result = chain.run(store)
    assert result.states == {"double": "failed", "double_2": "skipped", "total": "skipped"}
    assert [one["status"] for one in result.items("double_2")] == ["completed", "completed", "skipped"]
    assert result.items("double_2")[2]["error"] == "ValueError: 3 is broken"
    CALLS.clear()
    BROKEN.clear()
    assert chain.run(store)["total"] == 24
    assert CALLS == [3, 6]


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, ["1x", "2y"]), ({"combine": "product"}, ["1x", "1y", "2x", "2y"])],
)
def test_several_collections_are_taken_together_as_is_said(options, expected):
    """One of each in turn, or every combination."""
    with Workflow("pairs") as workflow:
        pair.each("left", "right", **options)([1, 2], ["x", "y"])
    assert workflow.run()["pair"] == expected


def test_collections_of_unlike_lengths_are_refused():
    """Nothing is cut off silently."""
    with Workflow("pairs") as workflow:
        pair.each("left", "right")([1, 2], ["x", "y", "z"])
    failure = workflow.run().failures["pair"]
    assert "there are not as many of each: left has 2, right has 3" in failure.message
    assert "combine='product'" in failure.message


def test_mappings_keep_their_keys_and_frames_are_rows():
    """What goes in by key comes out by key; a row is a mapping from columns to values."""
    with Workflow("shapes") as workflow:
        double.each()(workflow.input("numbers", {"a": 1, "b": 2}))
        add.each()(rows(), more=100)
    result = workflow.run()
    assert result["double"] == {"a": 2, "b": 4}
    assert result["add"] == [111, 122, 133]
    assert [one["key"] for one in result.items("double")] == ["a", "b"]


def test_what_has_no_items_is_refused():
    """A text has letters, which nobody means."""
    with Workflow("text") as workflow:
        double.each()(workflow.input("numbers", "123"))
    assert "'number' is handed a str, which has no items" in workflow.run().failures["double"].message


def test_one_to_many_to_one():
    """1 → 10 → 10 → 1, and lists of lists are joined."""
    with Workflow("iterative") as workflow:
        found = letters(10)
        twice = sets.flatten([found, found])
        sets.reduce(twice, by="count")
    result = workflow.run()
    assert (len(result["letters"]), len(result["flatten"]), result["reduce"]) == (10, 20, 20)


def test_items_draw_from_streams_of_their_own():
    """What an item draws depends neither on those before it nor on how many there are; equal items differ."""
    with Workflow("draws") as workflow:
        drawn.each()(workflow.input("numbers", type=list[int]))
    few, many = (workflow.run(numbers=numbers)["drawn"] for numbers in ([1, 2], [7, 2, 1, 1]))
    assert few == [many[2], many[1]]
    assert many[2] != many[3]


def test_a_call_may_not_change_what_all_items_share():
    """The second item would see what the first did."""
    with Workflow("greedy") as workflow:
        greedy.each("number")([1, 2], workflow.input("whole", [0]))
    assert "changed 'whole' in place" in workflow.run().failures["greedy"].message


def test_items_are_retried_as_steps_are():
    """A transient error costs an attempt at one item."""
    seen: list[int] = []

    @step(version="1", retries=Retries(2, wait=0.0))
    def unsteady(number: int) -> int:
        seen.append(number)
        if seen.count(number) == 1 and number == 2:
            raise ConnectionError("once")
        return number

    with Workflow("unsteady") as workflow:
        unsteady.each()([1, 2, 3])
    assert workflow.run()["unsteady"] == [1, 2, 3]
    assert seen == [1, 2, 2, 3]


def test_an_experiment_takes_steps_on_each():
    """Treatments change their parameters; items are those of each cell."""
    with Workflow("sums") as workflow:
        total(add.each()(rows()))
    table = Experiment("sums", workflow, {"more": {"add.more": 10}}, 2).run().table
    assert sorted(table["total"]) == [66, 66, 96, 96]


def test_garbage_collection_keeps_the_items(tmp_path):
    """What a later run would find is referenced, as any datum is."""
    store = FileStore(tmp_path)
    doubled().run(store, numbers=[1, 2, 3])
    collect_garbage(store)
    CALLS.clear()
    assert doubled().run(store, numbers=[1, 2, 3, 4])["double"] == [2, 4, 6, 8]
    assert CALLS == [4]


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (
            lambda: double.each("numbre"),
            "on each 'numbre', which is no parameter of it: did you mean 'number'",
        ),
        (lambda: pair.each("left", combine=cast("Any", "zipp")), "combine = 'zipp': did you mean 'zip'"),
        (lambda: pair.each("left", "left"), "name each parameter once"),
    ],
)
def test_refused(declare, message):
    """What cannot be called on each is an error where it is said."""
    with pytest.raises(DeclarationError, match=message):
        declare()


def test_types_of_items_are_checked():
    """A list of texts is no list of numbers, before anything runs."""
    with pytest.raises(DeclarationError, match="gives list"), Workflow("wrong"):
        double.each()(letters(3))


@step(version="1")
def chunks(count: int) -> Iterator[np.ndarray]:
    for number in range(count):
        yield np.full(131_072, number, dtype=np.float64)


@step(version="1")
def moved(chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for chunk in chunks:
        yield chunk + 1


@step(version="1")
def means(moved: Iterable[np.ndarray]) -> list[float]:
    return [float(chunk.mean()) for chunk in moved]


def test_streams_take_the_memory_of_one_chunk(tmp_path):
    """64 chunks of a megabyte go through three steps, and no more than some are in memory."""
    with Workflow("stream") as workflow:
        means(moved(chunks(64)))
    tracemalloc.start()
    try:
        assert workflow.run(FileStore(tmp_path))["means"] == [float(number + 1) for number in range(64)]
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_a_grid_tells_what_the_items_came_to_of_which_some_failed():
    @step
    def halved(number: int) -> float:
        if number == 2:
            raise ValueError("two")
        return number / 2

    @step
    def doubled(number: float) -> float:
        return 2 * number

    with Workflow("partly") as workflow:
        workflow.add(doubled.each("number"), workflow.add(halved.each("number"), [1, 2, 3]))
    told = str(workflow.run().grid())
    assert [line.split() for line in told.splitlines()[2:]] == [
        ["0", "0.5", "1"],
        ["1", "failed:", "ValueError:", "two", "skipped:", "ValueError:", "two"],
        ["2", "1.5", "3"],
    ]


def test_items_that_are_told_as_values_are_of_the_declared_type():
    @step
    def spanned(pair: tuple[int, int]) -> int:
        assert type(pair) is tuple
        return pair[1] - pair[0]

    with Workflow("spans") as workflow:
        workflow.add(spanned.each("pair"), [[1, 3], [2, 2]])
        workflow.add(spanned.each("pair"), {"wide": [0, 9]})
    result = workflow.run()
    assert (result["spanned"], result["spanned_2"]) == ([2, 0], {"wide": 9})


def test_a_workflow_is_told_how_much_there_is_of_what_its_steps_need():
    @step(resources={"gpu": 1})
    def trained() -> int:
        return 1

    workflow = Workflow("needs", [trained])
    with pytest.raises(DeclarationError, match="capacity"):
        workflow.run(backend="threads")
    assert workflow.run(backend="threads", capacity={"gpu": 1})["trained"] == 1
