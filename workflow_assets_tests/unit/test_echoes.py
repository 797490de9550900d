"""What hooks are told of steps is heard in the process of the run."""

import logging

import pytest

from workflow_assets import MemoryStore, Workflow, step
from workflow_assets.echoes import Echo, Listener, echoing, logger
from workflow_assets.executions import Execution
from workflow_assets.plans import Plan


@step
def first() -> int:
    return 1


@step
def broken(first: int) -> int:
    raise ValueError("bang")


def run(name, backend=None):
    store = MemoryStore()
    plan = Plan(Workflow("heard", [first, broken]).declaration(), store)
    execution = Execution(backend, backend and 1, hooks=(echoing(),))
    list(execution.cells(plan, store, plan.cells(), run_id=name))


@pytest.mark.parametrize("backend", [None, "threads", "processes"])
def test_steps_are_heard_to_begin_and_end_wherever_they_are_executed(backend):
    heard: list[Echo] = []
    moments: list[float] = []

    def note(echo, moment):
        heard.append(echo._replace(seconds=None if echo.seconds is None else 0.0))
        moments.append(moment)

    with Listener("mine", note):
        run("mine", backend)
    assert heard == [
        Echo("mine", "first", 1),
        Echo("mine", "first", 1, 0.0),
        Echo("mine", "broken", 1),
        Echo("mine", "broken", 1, 0.0, "ValueError", "bang"),
    ]
    assert moments == sorted(moments)


def test_another_run_is_not_heard_and_nothing_is_after_the_run(caplog):
    heard: list[Echo] = []
    with Listener("mine", lambda echo, moment: heard.append(echo)):
        run("another")
    run("mine")
    assert heard == []
    assert [one for one in logger.handlers if isinstance(one, Listener)] == []
    assert logging.getLogger("workflow_assets").level == logging.NOTSET
