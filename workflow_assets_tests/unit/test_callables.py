"""A workflow as a plain function gives what a run gives, and keeps readers apart."""

import dataclasses
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workflow_assets import Workflow, source, step
from workflow_assets.contexts import Context
from workflow_assets.errors import ContractError, DeclarationError, UnknownNameError
from workflow_assets_tests.unit.test_acceptance import CASES, RUNNERS


@pytest.mark.parametrize("name", CASES)
def test_the_acceptance_cases_come_to_the_same(name):
    case = CASES[name]
    values = case.by_call().function()()
    assert {slot: values[slot] for slot in case.expected} == case.expected
    assert {slot: type(values[slot]) for slot in values} == {
        slot: type(value) for slot, value in RUNNERS["python"](case.by_call()).values.items()
    }


@step
def numbers(count: int) -> list[int]:
    return list(range(count))


@step
def noise(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.random(count)


@step(legacy_rng=True)
def legacy(count: int) -> float:
    return sum(random.random() for _ in range(count))


@step
def jittered(number: int, rng: np.random.Generator, offset: float = 1.0) -> float:
    return number + offset * float(rng.random())


def drawing() -> Workflow:
    with Workflow("drawing") as workflow:
        count = workflow.input("count", type=int)
        workflow.add(noise, count)
        legacy(count)
        workflow.add(jittered.each("number"), numbers(count))
    return workflow


def test_random_numbers_are_those_of_a_run():
    result, values = drawing().run(count=5), drawing().function()(count=5)
    assert list(values) == list(result)
    for slot in result:
        assert np.array_equal(values[slot], result[slot])


@dataclasses.dataclass
class Pair:
    left: list[int]
    right: tuple[int, ...]


HELD = [3, 1, 2]


@step
def held() -> list[int]:
    return HELD


@step
def pair(held: list[int]) -> Pair:
    held.sort()
    return Pair(held, tuple(held))


@step
def spoiled(pair: Pair) -> int:
    pair.left.clear()
    return len(pair.left)


@step
def whole(pair: Pair, spoiled: int) -> int:
    return len(pair.left) + spoiled


@step
def frame(held: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"a": held, "b": ["x", None, "y"]})


@step
def cut(frame: pd.DataFrame) -> pd.DataFrame:
    frame.drop(columns="b", inplace=True)
    return frame


def test_steps_that_change_what_they_are_handed_change_nobody_elses():
    workflow = Workflow("spoil", [held, pair, spoiled, whole, frame, cut])
    values, result = workflow.function()(), workflow.run()
    assert HELD == [3, 1, 2]
    assert values["pair"] == result["pair"] == Pair([1, 2, 3], (1, 2, 3))
    assert values["whole"] == 3
    pd.testing.assert_frame_equal(values["frame"], result["frame"])
    assert list(values["cut"]) == ["a"]


def test_inputs_stay_as_they_are():
    with Workflow("sorting") as workflow:
        pair(workflow.input("unsorted", type=list[int]))
    mine = [2, 1]
    assert workflow.function("pair")(unsorted=mine).left == [1, 2]
    assert mine == [2, 1]


@source(version="1")
def table() -> pd.DataFrame:
    LOADED.append(1)
    return pd.DataFrame({"a": [1, 2]})


LOADED: list[int] = []


@step
def total(table: pd.DataFrame) -> int:
    found = int(table["a"].sum())
    table["a"] = 0
    return found


def test_a_source_is_loaded_once_and_handed_on_as_it_was():
    LOADED.clear()
    function = Workflow("totals", [total]).function("total")
    assert [function(), function()] == [3, 3]
    assert LOADED == [1]


def test_only_what_is_needed_is_computed():
    called = []

    @step
    def first() -> int:
        called.append("first")
        return 1

    @step
    def second(first: int) -> int:
        called.append("second")
        return first + 1

    @step
    def third(second: int) -> int:
        called.append("third")
        return second + 1

    workflow = Workflow("three", [first, second, third])
    assert workflow.function("second")() == 2
    assert called == ["first", "second"]
    assert workflow.function("first", "third")() == {"first": 1, "third": 3}


def test_coroutines_streams_and_contexts():
    @step
    async def fetched() -> int:
        return 4

    @step(transient=True)
    def counted(fetched: int) -> Iterator[int]:
        yield from range(fetched)

    @step
    def added(counted: Iterator[int], ctx: Context) -> int:
        ctx.record("noted", 1)
        return sum(counted) + ctx.resources["more"]

    @step
    def listed(counted: Iterator[int]) -> list[int]:
        return list(counted)

    @step
    def yielded(fetched: int) -> Iterator[int]:
        yield from range(fetched)

    @step
    def twice(yielded: Any) -> list[int]:
        return [*yielded, *yielded]

    workflow = Workflow("many", [fetched, counted, added, listed, yielded, twice])
    with workflow.function("added", "listed", "twice", resources={"more": 10}) as function:
        assert list(workflow.function("counted")()) == [0, 1, 2, 3]
        assert function() == {"added": 16, "listed": [0, 1, 2, 3], "twice": [0, 1, 2, 3, 0, 1, 2, 3]}


def test_several_threads_may_call_it():
    function = drawing().function()
    start = threading.Barrier(4)

    def call(_: int) -> float:
        start.wait(10)
        return function(count=1000)["legacy"]

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(call, range(4))) == {drawing().run(count=1000)["legacy"]}


def test_a_failure_is_what_the_step_raised_and_names_it():
    @step
    def halved(number: int) -> int:
        if number == 3:
            raise ZeroDivisionError("odd")
        return number // 2

    with Workflow("halves") as workflow:
        halved.each()(workflow.input("all", type=list[int]))
    with pytest.raises(ZeroDivisionError, match="odd") as caught:
        workflow.function("halved")(all=[2, 3])
    assert caught.value.__notes__ == [
        "It was raised for item 1.",
        "It was raised in step 'halved' of workflow 'halves'.",
    ]


def test_types_are_checked():
    @step
    def wrong(number: int) -> int:
        return "no" if number else 1  # type: ignore[return-value]

    function = Workflow("wrong_type", [wrong], inputs={"number": int}).function("wrong")
    assert function(number=0) == function(0) == 1
    with pytest.raises(ContractError, match="returned a wrong value"):
        function(number=1)
    with pytest.raises(DeclarationError, match="number"):
        function(number="x")
    with pytest.raises(DeclarationError, match="has no value"):
        function()
    with pytest.raises(DeclarationError, match="did you mean 'number'"):
        function(numbr=1)
    with pytest.raises(DeclarationError, match="handed 2 arguments, and has 1 input"):
        function(1, 2)


def test_a_step_that_is_not_there_is_named():
    with pytest.raises(UnknownNameError, match=r"no step .totl.: did you mean .total."):
        Workflow("totals", [total]).function("totl")


def test_a_long_chain_is_called_without_recursion():
    @step
    def more(number: int) -> int:
        return number + 1

    with Workflow("long") as workflow:
        value: Any = 0
        for _ in range(3_000):
            value = more(value)
    assert workflow.function("more_3000")() == 3_000
