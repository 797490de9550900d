"""What came of a workflow's run is read from Dagster's events, also while it goes on."""

from typing import Any

import dagster as dg
import pytest

from workflow_assets import MemoryStore, Workflow, step, to_dagster
from workflow_assets.errors import UnknownNameError
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
    SEEN.append(run_document(*ctx.resources["run"]))
    return 2 * first


def ran(*steps: Any, **options: Any) -> tuple[dg.DagsterInstance, str]:
    workflow = Workflow("told", list(steps), inputs={"n": 1})
    instance = dg.DagsterInstance.ephemeral()
    run: list[Any] = [instance]

    @dg.resource
    def running(context: dg.InitResourceContext) -> Any:
        assert context.run is not None
        run[1:] = [context.run.run_id]
        return run

    defs = to_dagster(workflow, store=MemoryStore(), resources={"run": running})
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
    assert steps["passing"]["key"] is None


def test_while_a_run_goes_on_steps_are_pending_and_running() -> None:
    SEEN.clear()
    instance, run = ran(first, apart)
    (during,) = SEEN
    assert during["status"] == "running"
    assert [one["status"] for one in during["steps"]] == ["completed", "running"]
    assert run_document(instance, run)["status"] == "completed"


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
