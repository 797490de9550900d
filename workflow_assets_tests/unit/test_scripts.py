"""Scripts: a workflow without this package gives what it gives with it."""

import subprocess
import sys
import textwrap
from typing import Any

import pytest

from workflow_assets import Workflow, asset_source, step, to_script
from workflow_assets.errors import DocumentError

PROJECT = """
    from collections.abc import Iterator
    from dataclasses import dataclass
    from typing import TypedDict

    class Parts(TypedDict):
        train: list[int]
        test: list[int]

    @dataclass(frozen=True)
    class Ends:
        low: int
        high: int

    def rows(count: int = 6, tags: tuple[str, ...] = ("a",)) -> list[int]:
        return list(range(count)) + [len(tags)]

    def emptied(rows: list[int]) -> int:
        size = len(rows)
        rows.clear()  # in place, which must be nobody else's surprise
        return size

    def split(rows: list[int]) -> Parts:
        return {"train": rows[:4], "test": rows[4:]}

    def ends(rows: list[int]) -> Ends:
        return Ends(min(rows), max(rows))

    def total(parts: list[list[int]], more: dict[str, int]) -> int:
        return sum(map(sum, parts)) + sum(more.values())

    def squares(rows: list[int]) -> Iterator[int]:
        for row in rows:
            yield row * row

    async def waited(total: int, factor: float = 2.0) -> float:
        return total * factor

    f = rows
"""


def composed(project):
    """Compose a workflow of plain functions, which the script needs nothing else for."""
    steps = {
        name: step(getattr(project, name))
        for name in ("rows", "emptied", "split", "ends", "total", "squares", "waited")
    }
    with Workflow("study_flow", description='It says """hello""" \\ to all.') as workflow:
        rows = steps["rows"](workflow.input("count", 5), tags=("x", "y"))
        steps["emptied"](rows)
        parts, ends = steps["split"](rows), steps["ends"](rows)
        total = steps["total"]([parts["train"], [7]], {"low": ends["low"], "one": 1})
        steps["squares"](rows)
        steps["waited"](total)
    return workflow


def test_a_script_gives_what_the_workflow_gives(load, tmp_path):
    project = load(PROJECT)
    workflow = composed(project)
    script = tmp_path / "script.py"
    script.write_text(to_script(workflow), encoding="utf-8")
    checked = textwrap.dedent("""
        import sys, script
        print({**script.run(), "emptied again": script.run(count=2)["emptied"]})
        assert "workflow_assets" not in sys.modules
        """)
    folder = str(next(iter(project.__spec__.origin.rsplit("/", 1))))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", checked],
        env={"PYTHONPATH": f"{tmp_path}:{folder}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    result = workflow.run()
    values = {name: list(result[name]) if name == "squares" else result[name] for name in result}
    assert done.stdout.strip() == str({**values, "emptied again": workflow.run(count=2)["emptied"]})


def test_a_script_reads_as_one_would_write_it(load):
    project = load(PROJECT)
    with Workflow("short", description="Count.") as workflow:
        step(project.emptied)(step(project.rows)(workflow.input("count", 5)))
    assert to_script(workflow) == textwrap.dedent('''\
        """short. Count."""

        from copy import deepcopy

        from study import emptied, rows

        INPUTS = {
            'count': 5,
        }


        def run(**inputs):
            """Compute every step, and give the results by name."""
            given = deepcopy({**INPUTS, **inputs})
            given['rows'] = rows(count=deepcopy(given['count']), tags=('a',))
            given['emptied'] = emptied(rows=deepcopy(given['rows']))
            return {name: given[name] for name in ('rows', 'emptied',)}


        if __name__ == "__main__":
            for name, value in run().items():
                print(f"{name}: {value!r}")
        ''')


EACH = """
    from typing import Any

    def numbers(count: int = 3) -> list[int]:
        return list(range(count))

    def named() -> dict[str, int]:
        return {"a": 1, "b": 2}

    def table() -> Any:
        import pandas
        return pandas.DataFrame({"x": [1, 2]})

    def double(number: int, by: int = 2) -> int:
        return number * by

    async def pair(left: int, right: int) -> list[int]:
        return [left, right]

    def emptied(row: dict[str, int]) -> int:
        return row.pop("x")

    def ends(both: tuple[int, int]) -> str:
        return str(both)

    def each(double: int) -> int:
        return -double

    f = each
"""


def test_a_script_calls_a_step_on_each_item(load, tmp_path):
    project = load(EACH)
    numbers, named, table, double, pair, emptied, ends, each = (
        step(getattr(project, name))
        for name in ("numbers", "named", "table", "double", "pair", "emptied", "ends", "each")
    )
    with Workflow("w") as workflow:
        many, few = numbers(), named()
        each.each()(double.each()(many, by=workflow.input("by", 3)))
        double.each("number", "by")(few, [5, 6])
        double.each("number", combine="product")(few)
        pair.each("left", "right", combine="product")(many, few)
        pair.each("left", "right")(few, few)
        rows = table()
        emptied.each()(rows)
        emptied.each()(rows)
        double.each()([7, few["b"]])
        ends([few["a"], 2])
    space: dict[str, Any] = {"__name__": "script"}
    exec(to_script(workflow), space)
    result = workflow.run()
    given = space["run"]()
    assert given.pop("table").equals(result["table"])
    assert given == {name: result[name] for name in result if name != "table"}
    assert given["ends"] == "(1, 2)"


def test_a_script_refuses_items_that_cannot_be_taken_together(load):
    project = load(EACH)
    with Workflow("w") as workflow:
        step(project.pair).each("left", "right")(
            workflow.input("left", [1, 2]), workflow.input("right", [3, 4])
        )
    space: dict[str, Any] = {"__name__": "script"}
    exec(to_script(workflow), space)
    assert space["run"]()["pair"] == [[1, 3], [2, 4]]
    for other in ([1], {"a": 1}):
        with pytest.raises(ValueError, match="cannot be taken together"):
            space["run"](left=other)
    with pytest.raises(ValueError, match="cannot be taken together"):
        space["run"](left={"a": 1}, right={"b": 1})


@step
def drawn(rng, count: int = 3) -> list[float]:
    return list(rng.random(count))


@step
def kept(thing: object = None) -> int:
    return 1


@step
def read(readings: int) -> int:
    return readings


def test_what_a_script_cannot_hold_is_told_with_its_place():
    @step
    def inside(x: int = 1) -> int:
        return x

    workflow = Workflow(
        "flow",
        [inside, drawn, kept, read],
        parameters={"kept.thing": pytest.approx},
        sources=[asset_source("lab/readings")],
    )
    with pytest.raises(DocumentError, match="cannot be a script") as caught:
        to_script(workflow)
    told = dict(caught.value.faults)
    assert "cannot be imported: define it at the top of a module" in told["$.steps[0]"]
    assert "the engine gives 'rng' to 'drawn'" in told["$.steps[1]"]
    assert "for which Python has no literal" in told["$.steps[2].arguments.thing"]
    assert "is an asset of Dagster" in told["$.sources.readings"]
