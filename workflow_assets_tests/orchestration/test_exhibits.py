"""What Dagster shows of a workflow's data: previews, and the items of steps that are called on each."""

from typing import Annotated, Any

import dagster as dg
import pandas as pd
import pytest

from workflow_assets import Columns, FileStore, Workflow, step
from workflow_assets.orchestration.exhibits import MOST_ITEMS
from workflow_assets_tests.orchestration.studies import Bench

BROKEN: set[int] = set()


@pytest.fixture(autouse=True)
def nothing_broken() -> None:
    """No item fails."""
    BROKEN.clear()


@step
def listed(count: int = 3) -> list[int]:
    return list(range(count))


@step(mode="each", version="1")
def halved(listed: int) -> float:
    if listed in BROKEN:
        raise ValueError(f"{listed} is broken")
    return listed / 2


@step
def summed(halved: list[float]) -> float:
    return sum(halved)


@step
def framed(listed: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"n": [*listed, 9, 9, 9], "text": "a|b"})


def bench_of(store: FileStore, instance: dg.DagsterInstance, *steps: Any, **options: Any) -> Bench:
    return Bench(Workflow("shown", list(steps), **options), store, instance)


def latest(bench: Bench, slot: str) -> dict[str, Any]:
    event = bench.instance.get_latest_materialization_event(dg.AssetKey(["shown", slot]))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: one.value for name, one in event.asset_materialization.metadata.items()}


def counts(metadata: dict[str, Any], prefix: str = "") -> dict[str, int]:
    found = {
        name.removeprefix(f"{prefix}items: "): one for name, one in metadata.items() if "items: " in name
    }
    return {name: one if isinstance(one, int) else one.value for name, one in found.items()}


def test_a_frame_is_previewed_as_a_table_and_all_else_in_one_line(
    store: FileStore, instance: dg.DagsterInstance
) -> None:
    bench = bench_of(store, instance, listed, framed)
    assert bench.job().success
    assert latest(bench, "listed")["preview"] == "[0, 1, 2]"
    told = latest(bench, "framed")
    assert told["dagster/row_count"] == 6
    shape, _, header, _, *rows, _, more = told["preview"].splitlines()
    assert (shape, header, more) == ("6 × 2", "| n | text |", "…")
    assert rows[0] == "| 0 | a&#124;b |"
    assert len(rows) == 5


def test_a_step_on_each_tells_how_many_items_came_to_what_and_shows_them(
    store: FileStore, instance: dg.DagsterInstance
) -> None:
    bench = bench_of(store, instance, listed, halved, summed)
    assert bench.job().success
    told = latest(bench, "halved")
    assert counts(told) == {"completed": 3, "failed": 0, "skipped": 0, "stored": 0}
    rows = (
        [dict(record.data) for record in told["items"].records]
        if hasattr(told["items"], "records")
        else told["items"]
    )
    assert [(one["key"], one["status"], one["error"]) for one in rows] == [
        (str(number), "completed", "") for number in range(3)
    ]
    assert all(one["seconds"] > 0 for one in rows)
    assert "items" not in latest(bench, "summed")
    bench.job()
    assert counts(latest(bench, "halved")) == {"completed": 3, "failed": 0, "skipped": 0, "stored": 3}


def test_a_failed_step_on_each_shows_the_items_that_failed_first(
    store: FileStore, instance: dg.DagsterInstance
) -> None:
    BROKEN.add(MOST_ITEMS + 20)
    bench = bench_of(store, instance, listed, halved, summed, parameters={"listed.count": MOST_ITEMS + 30})
    result = bench.job()
    assert not result.success
    (event,) = [one for one in result.all_events if one.event_type_value == "STEP_FAILURE"]
    failure: Any = event.event_specific_data
    told = failure.user_failure_data.metadata
    assert counts(told, "halved: ") == {"completed": MOST_ITEMS + 29, "failed": 1, "skipped": 0, "stored": 0}
    records = told["halved: items"].records
    assert len(records) == MOST_ITEMS
    assert dict(records[0].data) | {"seconds": 0} == {
        "key": "70",
        "status": "failed",
        "error": "ValueError: 70 is broken",
        "seconds": 0,
    }
    BROKEN.clear()
    assert bench.job().success
    assert counts(latest(bench, "halved"))["stored"] == MOST_ITEMS + 29


def test_the_columns_of_one_item_are_not_those_of_the_list(
    store: FileStore, instance: dg.DagsterInstance
) -> None:
    table = Annotated[pd.DataFrame, Columns(n=int)]

    @step
    def whole(listed: list[int]) -> table:
        return pd.DataFrame({"n": listed})

    @step(mode="each")
    def parts(listed: int) -> table:
        return pd.DataFrame({"n": [listed]})

    graph = bench_of(store, instance, listed, whole, parts).graph
    shown = {
        slot: "dagster/column_schema" in graph.get(dg.AssetKey(["shown", slot])).metadata
        for slot in ("whole", "parts")
    }
    assert shown == {"whole": True, "parts": False}
