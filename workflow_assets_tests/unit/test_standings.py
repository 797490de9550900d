"""The document of a result, at the end and while the workflow runs."""

import json
import logging
from typing import Any

import pytest

from workflow_assets import MemoryStore, Retries, Workflow, step
from workflow_assets.errors import DeclarationError


class SilentError(Exception):
    """Its text cannot be had."""

    def __str__(self):
        raise RuntimeError("no")


@step
def scale(x: float, by: float = 2.0) -> float:
    return x * by


@step
def boom(x: float) -> float:
    raise ValueError("bang \x1b\ud800")


@step(retries=Retries(1, wait=0.0))
def flaky(x: float) -> float:
    if not TRIES:
        TRIES.append(1)
        raise OSError("once")
    return x


@step
def silent(x: float) -> float:
    raise SilentError


TRIES: list[int] = []


@pytest.fixture
def failing():
    """The case of the error boundary: 5 → scale → boom → scale, and a branch that goes on."""
    with Workflow("boundary") as w:
        one = scale(w.input("x", 5.0))
        scale(boom(one))
        scale(one, by=float("inf"))
    return w


def states(document):
    return {one["id"]: one["status"] for one in document["steps"]}


def test_the_document_tells_what_came_of_each_step(failing):
    result = failing.run()
    document = json.loads(json.dumps(result.document(), allow_nan=False))
    assert document.keys() == {"format", "kind", "workflow", "status", "steps"}
    assert [document[name] for name in ("format", "kind", "workflow", "status")] == [
        *("1", "result", "boundary", "failed")
    ]
    assert states(document) == {
        "scale": "completed",
        "boom": "failed",
        "scale_2": "skipped",
        "scale_3": "completed",
    }
    by_id = {one["id"]: one for one in document["steps"]}
    assert all(
        one.keys() == {"id", "status", "key", "metrics", "seconds", "error", "items"}
        for one in document["steps"]
    )
    assert by_id["scale"]["metrics"] == {"scale": 10.0}
    assert by_id["scale_3"]["metrics"] == {"scale_3": {"$float": "inf"}}
    assert by_id["scale"]["key"] == result.record("scale").key
    assert by_id["scale"]["error"] is None
    error = by_id["boom"]["error"]
    assert (error["kind"], error["message"]) == ("ValueError", "bang \x1b\ud800")
    assert "in boom" in error["traceback"]
    assert by_id["scale_2"]["error"] == {
        "kind": "Skipped",
        "message": "it follows from 'boom', which failed",
        "traceback": "",
    }
    assert by_id["scale_2"]["key"]


def test_whoever_watches_sees_each_state_as_it_comes(failing):
    seen: list[dict[str, Any]] = []
    result = failing.run(watch=seen.append)
    assert [one["status"] for one in seen] == ["running"] * 7 + ["failed"]
    assert set(states(seen[0]).values()) == {"pending"}
    assert [states(one)["scale"] for one in seen[:3]] == ["pending", "running", "completed"]
    at_failure = next(one for one in seen if states(one)["boom"] == "failed")
    assert states(at_failure)["scale_2"] == "skipped"
    failed = next(one for one in at_failure["steps"] if one["id"] == "boom")
    assert "in boom" in failed["error"]["traceback"]
    assert seen[-1] == result.document()
    assert all(json.dumps(one, allow_nan=False) for one in seen)


def test_what_is_stored_is_completed_from_the_beginning():
    store = MemoryStore()
    with Workflow("w") as w:
        scale(scale(1.0))
    w.run(store, steps=["scale"])
    seen: list[dict[str, Any]] = []
    w.run(store, watch=seen.append)
    assert [tuple(states(one).values()) for one in seen] == [
        *(("completed", "pending"), ("completed", "running"), ("completed", "completed")),
        ("completed", "completed"),
    ]


def test_what_follows_from_a_forced_step_is_pending_although_it_is_stored():
    store = MemoryStore()
    with Workflow("w") as w:
        scale(scale(1.0))
    w.run(store)
    seen: list[dict[str, Any]] = []
    w.run(store, watch=seen.append, force=(name for name in ["scale"]))
    assert set(states(seen[0]).values()) == {"pending"}


def test_a_step_that_is_tried_again_runs_again():
    TRIES.clear()
    with Workflow("w") as w:
        scale(flaky(1.0))
    seen: list[dict[str, Any]] = []
    assert w.run(watch=seen.append).status == "completed"
    told = [states(one)["flaky"] for one in seen]
    assert told[:5] == ["pending", "running", "failed", "running", "completed"]
    assert states(seen[-1])["scale"] == "completed"


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_backends_tell_the_end_too(failing, backend):
    seen: list[dict[str, Any]] = []
    result = failing.run(watch=seen.append, backend=backend, workers=2)
    assert seen[0]["status"] == "running"
    assert seen[-1] == result.document()
    assert states(seen[-1])["boom"] == "failed"


def test_a_watch_that_raises_is_logged_once_and_fails_nothing(caplog):
    def watch(document):
        raise RuntimeError("no")

    with Workflow("w") as w:
        scale(1.0)
    with caplog.at_level(logging.ERROR, logger="workflow_assets"):
        assert w.run(watch=watch)["scale"] == 2.0
    assert len(caplog.records) == 1
    with pytest.raises(DeclarationError, match="expected a function of one argument"):
        w.run(watch=3)  # type: ignore[arg-type]


def test_an_error_without_a_text_is_told():
    with Workflow("w") as w:
        silent(1.0)
    seen: list[dict[str, Any]] = []
    w.run(watch=seen.append)
    (failed,) = next(one for one in seen if states(one)["silent"] == "failed")["steps"]
    assert failed["error"]["message"] == "<its text could not be had: RuntimeError>"
