"""A context is frozen: it takes metrics and messages, and nothing else."""

from typing import Any

import numpy as np
import pytest

from workflow_assets.contexts import Context
from workflow_assets.errors import ContextError


def context(**declared: type) -> Context:
    return Context("fit", "strong", "0003", {"client": 1}, declared or None)


def test_writing_to_a_context_raises_and_says_what_to_do() -> None:
    ctx = context()
    with pytest.raises(
        ContextError, match=r"ctx.loss = 1 in step 'fit': a context is frozen. Return the value, or record"
    ):
        ctx.loss = 1
    with pytest.raises(ContextError, match="frozen"):
        ctx["loss"] = 1
    with pytest.raises(ContextError, match="frozen"):
        del ctx.treatment


def test_coordinates_and_resources_can_be_read() -> None:
    ctx = context()
    assert (ctx.step, ctx.treatment, ctx.replicate, ctx.resources["client"]) == ("fit", "strong", "0003", 1)


def test_recorded_values_are_plain_numbers_and_text() -> None:
    ctx = context()
    value: Any = np.float32(0.5)
    ctx.record("loss", value, epoch=np.int64(1))
    assert ctx.recorded() == [("loss", 0.5, {"epoch": 1})]
    assert type(ctx.recorded()[0][1]) is float
    with pytest.raises(ContextError, match="a metric is a number or text, not a list"):
        ctx.record("loss", [1])  # type: ignore[arg-type]


def test_recording_twice_without_a_tag_is_refused() -> None:
    ctx = context()
    ctx.record("loss", 1.0)
    ctx.record("loss", 2.0, epoch=2)
    with pytest.raises(ContextError, match="for the second time: add a tag"):
        ctx.record("loss", 3.0)


def test_undeclared_metric_names_near_matches_where_the_step_declares_its_records() -> None:
    with pytest.raises(ContextError, match="did you mean 'loss'"):
        context(loss=float).record("los", 1.0)
