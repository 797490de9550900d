"""What came of a workflow's run is read from Dagster's events, also while it goes on."""

import math
import time
from typing import Any

import dagster as dg
import pytest

from workflow_assets import MemoryStore, Workflow, step, to_dagster
from workflow_assets.errors import UnknownNameError
from workflow_assets.orchestration import diaries
from workflow_assets.orchestration.accounts import run_document

SEEN: list[dict[str, Any]] = []


@step
def first(n: int) -> int:
    return n + 1


@step(transient=True)
def passing(first: int) -> list[int]:
    return [first]


@step
def broken(passing: list[int]) -> int:
    raise ValueError(f"bang {passing}")


@step
def after(broken: int) -> int:
    return broken


@step
def apart(first: int, ctx: Any) -> int:
    """Wait until it is known to run: what is told of steps is written in batches."""
    patience = time.monotonic() + 30
    while True:
        told = run_document(*ctx.resources["run"])
        if told["steps"][-1]["status"] == "running" or time.monotonic() > patience:
            SEEN.append(told)
            return 2 * first
        time.sleep(0.05)


@step
def listed(n: int) -> list[int]:
    return list(range(n, n + 5))


@step(mode="each")
def squared(listed: int) -> int:
    return listed**2


def ran(
    *steps: Any, store: Any = None, resources: Any = None, **options: Any
) -> tuple[dg.DagsterInstance, str]:
    workflow = Workflow("told", list(steps), inputs={"n": 1})
    instance = dg.DagsterInstance.ephemeral()
    run: list[Any] = [instance]

    @dg.resource
    def running(context: dg.InitResourceContext) -> Any:
        assert context.run is not None
        run[1:] = [context.run.run_id]
        return run

    resources = {"run": running} if resources is None else resources
    defs = to_dagster(workflow, store=store or MemoryStore(), resources=resources)
    result = defs.resolve_job_def("told").execute_in_process(
        instance=instance, raise_on_error=False, **options
    )
    return instance, result.run_id


def test_steps_are_completed_failed_and_skipped_with_keys_metrics_and_tracebacks() -> None:
    SEEN.clear()
    told = run_document(*ran(first, passing, broken, after, apart))
    assert {name: told[name] for name in ("format", "kind", "workflow", "status")} == {
        "format": "1",
        "kind": "result",
        "workflow": "told",
        "status": "failed",
    }
    steps = {one["id"]: one for one in told["steps"]}
    assert {name: one["status"] for name, one in steps.items()} == {
        "first": "completed",
        "passing": "completed",
        "broken": "failed",
        "after": "skipped",
        "apart": "completed",
    }
    assert steps["apart"]["metrics"] == {"apart": 4}
    assert len(steps["apart"]["key"]) == 40
    error = steps["broken"]["error"]
    assert (error["kind"], error["message"]) == ("ValueError", "bang [2]")
    assert "in broken" in error["traceback"]
    assert steps["after"]["error"]["message"] == "it follows from 'broken', which failed"
    assert len(steps["broken"]["key"]) == 40, "what failed and what keeps nothing have keys, too"


@step
def endless_mean(first: int) -> float:
    return math.inf


@step(mode="each", version="1")
def odd(listed: int) -> int:
    if listed % 2 == 0:
        raise ValueError(f"{listed} is even")
    return listed


@step
def of_odd(odd: list[int]) -> int:
    return sum(odd)


@step(mode="each", version="1")
def after_odd(odd: int) -> int:
    return odd


@step
def after_after(after: int, of_odd: int) -> int:
    return after + of_odd


EVERY_OUTCOME: list[Any] = [
    *(first, passing, broken, after, endless_mean, listed, squared, odd, of_odd, after_odd, after_after),
]


@pytest.mark.parametrize("stored", [False, True])
def test_dagster_and_plain_python_tell_the_same_of_the_same_outcome(stored: bool) -> None:
    """All but the times, whatever was there before."""
    theirs, ours = MemoryStore(), MemoryStore()
    workflow = Workflow("told", EVERY_OUTCOME, inputs={"n": 1})
    if stored:
        workflow.run(theirs)
        workflow.run(ours)
    told = run_document(*ran(*EVERY_OUTCOME, store=theirs, resources={}))
    plain = workflow.run(ours).document()
    assert {one["id"]: one["status"] for one in told["steps"]} == {
        "first": "completed",
        "passing": "completed",
        "broken": "failed",
        "after": "skipped",
        "endless_mean": "completed",
        "listed": "completed",
        "squared": "completed",
        "odd": "failed",
        "of_odd": "skipped",
        "after_odd": "skipped",
        "after_after": "skipped",
    }
    items = {one["id"]: one["items"] for one in told["steps"]}
    completed = {"squared": 5, "odd": 3}
    assert {name: one for name, one in items.items() if one is not None} == {
        name: {"completed": many, "failed": 5 - many, "skipped": 0, "stored": many if stored else 0}
        for name, many in completed.items()
    }
    for one in (*told["steps"], *plain["steps"]):
        del one["seconds"]
    assert told == plain


def test_dagster_and_plain_python_tell_the_same_of_a_sample() -> None:
    @step
    def kept(given: list[int]) -> int:
        return len(given)

    workflow = Workflow("told", [kept], inputs={"given": [1, 2, 3]})
    defs = to_dagster(workflow, store=MemoryStore())
    instance = dg.DagsterInstance.ephemeral()
    config = {"ops": {"told__steps": {"config": {"rows": 2}}}}
    result = defs.resolve_job_def("told").execute_in_process(instance=instance, run_config=config)
    told = run_document(instance, result.run_id)
    assert told["sample"] == {"given": 2}
    plain = workflow.run(MemoryStore(), rows=2).document()
    for one in (*told["steps"], *plain["steps"]):
        del one["seconds"]
    assert told == plain


def test_while_a_run_goes_on_steps_are_pending_and_running() -> None:
    SEEN.clear()
    instance, run = ran(first, apart)
    (during,) = SEEN
    assert during["status"] == "running"
    assert [one["status"] for one in during["steps"]] == ["completed", "running"]
    assert run_document(instance, run)["status"] == "completed"


def test_what_is_stored_is_known_to_be_completed_before_anything_is_computed() -> None:
    SEEN.clear()
    store = MemoryStore()
    Workflow("told", [first], inputs={"n": 1}).run(store)
    ran(first, apart, store=store)
    (during,) = SEEN
    assert [one["status"] for one in during["steps"]] == ["completed", "running"]


def engine_events(instance: dg.DagsterInstance, run: str) -> list[str]:
    """What is told of steps as they begin and end."""
    messages = [entry.dagster_event.message or "" for entry in instance.all_logs(run) if entry.dagster_event]
    return [one.partition(" took")[0] for one in messages if one.startswith("Step '")]


@pytest.mark.parametrize("backend", ["serial", "threads", "processes"])
def test_that_a_step_begins_and_ends_is_told_once_wherever_it_is_executed(backend: str) -> None:
    config = {"ops": {"told__steps": {"config": {"backend": backend, "workers": 1}}}}
    instance, run = ran(first, resources={}, run_config=config)
    assert engine_events(instance, run) == ["Step 'first' begins", "Step 'first'"]
    (told,) = run_document(instance, run)["steps"]
    assert told["status"] == "completed"


def test_a_step_on_each_item_is_told_of_as_one() -> None:
    instance, run = ran(listed, squared)
    assert engine_events(instance, run) == [
        "Step 'listed' begins",
        "Step 'listed'",
        "Step 'squared' begins",
        "Step 'squared'",
    ]


def test_a_run_whose_events_cannot_be_written_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(diaries, "report", full)
    store = MemoryStore()
    instance, run = ran(first, store=store)
    assert engine_events(instance, run) == []
    assert store.load_asset(("told", "first")) == 2
    assert run_document(instance, run)["status"] == "completed"
    assert "events of steps are not in Dagster's log" in caplog.text


def test_a_step_that_ran_when_its_process_was_ended_has_failed() -> None:
    @step
    def endless(n: int) -> int:
        raise KeyboardInterrupt

    @step
    def later(endless: int) -> int:
        return endless

    told = run_document(*ran(endless, later))
    assert told["status"] == "failed"
    assert [one["status"] for one in told["steps"]] == ["failed", "pending"]


def test_a_run_that_failed_as_a_whole_says_why() -> None:
    config = {"ops": {"told__steps": {"config": {"force": ["nobody"]}}}}
    told = run_document(*ran(first, run_config=config))
    assert told["status"] == "failed"
    assert "no step or source 'nobody'" in told["error"]["message"]


def test_runs_and_workflows_that_there_are_not_are_told() -> None:
    instance, run = ran(first)
    with pytest.raises(UnknownNameError, match="has no run"):
        run_document(instance, "0" * 8)
    with pytest.raises(UnknownNameError, match="is not of workflow 'tol': did you mean 'told'"):
        run_document(instance, run, "tol")
