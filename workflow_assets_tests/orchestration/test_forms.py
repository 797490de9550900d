"""What a run of a workflow can be given: fields with types, defaults and descriptions, held to when it is launched."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import dagster as dg
import pytest
from pydantic import Field

from workflow_assets import MemoryStore, Workflow, step, to_dagster
from workflow_assets.orchestration.forms import MOST_STEPS, config_type, configured, workflow_schema
from workflow_assets_tests.orchestration.studies import failure_text


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Window:
    low: float
    high: float


@step
def shaped(
    numbers: list[int],
    factor: Annotated[float, Field(description="What each is multiplied by.")] = 2.0,
    sizes: tuple[int, ...] = (1, 2),
    colour: Colour = Colour.RED,
    mode: Literal["fast", "exact"] = "fast",
    most: int | None = None,
    limit: float = float("inf"),
    window: Window = Window(0.0, 1.0),
    folder: Path = Path("here"),
    weights: dict[str, float] = {},  # noqa: B006 - the engine copies it
    measure: Callable[[float], float] = abs,
    anything: Any = (1, "a"),
) -> str:
    """Shape them."""
    return repr((numbers, factor, sizes, colour, mode, most, limit, window, folder, weights, anything))


def workflow(**inputs: Any) -> Workflow:
    return Workflow("shapes", [shaped], inputs=inputs or {"numbers": [1]})


def run(told: dict[str, Any], flow: Workflow | None = None) -> Any:
    """Run it with a configuration; the value, or what went wrong."""
    store = MemoryStore()
    defs = to_dagster(workflow() if flow is None else flow, store=store)
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("shapes").execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={"ops": {"shapes__steps": {"config": told}}},
        )
    return store.load_asset(("shapes", "shaped")) if result.success else failure_text(result)


def fields() -> dict[str, dg.Field]:
    steps: Any = workflow_schema(workflow())["steps"]
    return dict(steps.config_type.fields["shaped"].config_type.fields)


def test_the_launchpad_begins_with_the_values_of_a_workflow_unless_they_are_very_many() -> None:
    def begins_with(flow: Workflow) -> dict[str, Any]:
        schema = workflow_schema(flow)
        return {name: one.default_value for name, one in schema.items() if one.default_provided}

    known = begins_with(workflow())
    assert known["inputs"] == {"numbers": [1]}
    assert known["steps"]["shaped"]["factor"] == 2.0
    assert "inputs" not in begins_with(workflow(numbers=list(range(1000))))
    assert "inputs" not in begins_with(workflow(numbers=list[int])), "it has to be given"
    with Workflow("shapes") as long:
        numbers = long.input("numbers", [1])
        for number in range(MOST_STEPS + 1):
            shaped.named(f"shaped_{number}")(numbers)
    assert "steps" not in begins_with(long)


def test_what_the_launchpad_begins_with_gives_what_plain_python_gives() -> None:
    store = MemoryStore()
    defs = to_dagster(workflow(), store=store)
    with dg.DagsterInstance.ephemeral() as instance:
        assert defs.resolve_job_def("shapes").execute_in_process(instance=instance).success
    assert workflow().run(store).computed == frozenset()


def test_each_parameter_that_json_can_tell_is_a_field_with_its_default() -> None:
    found = fields()
    defaults = {
        name: field.default_value if field.default_provided else "none" for name, field in found.items()
    }
    assert defaults == {
        "factor": 2.0,
        "sizes": [1, 2],
        "colour": "red",
        "mode": "fast",
        "most": None,
        "limit": "none",
        "window": {"low": 0.0, "high": 1.0},
        "folder": "here",
        "weights": {},
        "anything": [1, "a"],
    }
    assert not any(field.is_required for field in found.values())
    assert found["factor"].description == "What each is multiplied by."


@pytest.mark.parametrize(
    ("hint", "given"),
    [
        (int, "Int"),
        (bool, "Bool"),
        (str, "String"),
        (float, "Float"),
        (list[int], "[Int]"),
        (int | None, "Int?"),
        (tuple[float, ...], "[Float]"),
    ],
)
def test_types_are_told_in_dagsters_words(hint: Any, given: str) -> None:
    from dagster._config import ConfigTypeKind, resolve_to_config_type

    told: Any = resolve_to_config_type(config_type(hint, "place"))
    if told.kind == ConfigTypeKind.ARRAY:
        name = f"[{told.inner_type.given_name}]"
    elif told.kind == ConfigTypeKind.NONEABLE:
        name = f"{told.inner_type.given_name}?"
    else:
        name = told.given_name
    assert name == given


def test_a_run_that_sets_nothing_has_the_keys_of_plain_python() -> None:
    """JSON makes a list of a tuple; where a value is what the workflow says, it is left as it is."""
    flow = workflow()
    defaults = {name: field.default_value for name, field in fields().items() if field.default_provided}
    same = configured(flow, {"steps": {"shaped": defaults}, "inputs": {"numbers": [1]}})
    assert same == flow
    assert run({}) == flow.run()["shaped"]


def test_what_a_run_sets_is_computed_with_and_brought_to_its_type() -> None:
    told = {
        "factor": 3,
        "sizes": [5],
        "colour": "blue",
        "mode": "exact",
        "most": 9,
        "limit": 1.5,
        "window": {"low": 2, "high": 3},
        "folder": "there",
        "weights": {"a": 1.0},
    }
    value = run({"steps": {"shaped": told}, "inputs": {"numbers": [7]}})
    expected = (
        [7],
        3.0,
        (5,),
        Colour.BLUE,
        "exact",
        9,
        1.5,
        Window(2.0, 3.0),
        Path("there"),
        {"a": 1.0},
        (1, "a"),
    )
    assert value == repr(expected)


@pytest.mark.parametrize(
    ("told", "place"),
    [
        ({"steps": {"shaped": {"factor": "three"}}}, "config:steps:shaped:factor"),
        ({"steps": {"shaped": {"mode": "slow"}}}, "config:steps:shaped:mode"),
        ({"steps": {"shaped": {"sizes": [1, "b"]}}}, "config:steps:shaped:sizes"),
        ({"steps": {"shaped": {"measure": "abs"}}}, 'entry "measure" at path root:ops:shapes__steps:config'),
        ({"steps": {"shapd": {}}}, 'entry "shapd" at path root:ops:shapes__steps:config:steps'),
        ({"inputs": {"numbers": 3}}, "config:inputs:numbers"),
    ],
)
def test_a_wrong_field_is_told_with_its_path_before_anything_runs(told: dict[str, Any], place: str) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError) as caught:
        run(told)
    assert place in str(caught.value)


def test_what_dagster_cannot_check_is_told_by_the_run() -> None:
    assert "shaped.window" in run({"steps": {"shaped": {"window": {"low": 1}}}})


def test_an_input_that_each_run_gives_is_required() -> None:
    flow = workflow(numbers=list[int])
    with pytest.raises(dg.DagsterInvalidConfigError, match='Missing required config entry "inputs"'):
        run({}, flow)
    assert run({"inputs": {"numbers": [4]}}, flow).startswith("([4]")


def test_memoisation_knows_the_values_of_a_run() -> None:
    calls: list[int] = []

    @step
    def scaled(k: int = 2) -> int:
        calls.append(k)
        return k

    defs = to_dagster(Workflow("memory", [scaled]), store=MemoryStore())
    with dg.DagsterInstance.ephemeral() as instance:
        for k in (2, 7, 2, 7):
            config = {"ops": {"memory__steps": {"config": {"steps": {"scaled": {"k": k}}}}}}
            job = defs.resolve_job_def("memory")
            assert job.execute_in_process(instance=instance, run_config=config).success
    assert calls == [2, 7]
