"""What a forecast says is computed is what a run computes, whatever the experiment and whatever is stored."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from workflow_assets import Experiment, MemoryStore, Treatment, source, step, surveys
from workflow_assets.forecasts import forecast
from workflow_assets.plans import Plan
from workflow_assets.runs import Run
from workflow_assets.surveys import Survey

REPLICATES = 3


class Watched(MemoryStore):
    """A store that notes what is computed: notes and acceptances are put too, but made by nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.computed: list[str] = []

    def put_encoded(self, key: str, encoded: Any, **options: Any) -> Any:
        if "made" in options["provenance"]:
            self.computed.append(key)
        return super().put_encoded(key, encoded, **options)


@source(version="1")
def stated() -> float:
    return 1.0


@source
def digested() -> float:
    return 2.0


@source(version="2")
def other() -> float:
    return 3.0


def first(stated: Any, k: int = 0) -> Any:
    return stated + k


def drawn(first: Any, rng: np.random.Generator, k: int = 0) -> Any:
    return first + float(rng.normal()) + k


def twin(digested: Any, k: int = 0) -> Any:
    return digested + k


def both(drawn: Any, twin: Any, k: int = 0) -> Any:
    return drawn + twin + k


def counted(twin: Any, replicate: int) -> Any:
    return twin + replicate


def told(both: Any, counted: Any, treatment: str) -> Any:
    return both + counted + len(treatment)


def swapped(drawn: Any, k: int = 0) -> Any:
    return drawn - k


FUNCTIONS = [first, drawn, twin, both, counted, told]
SLOTS = [*(function.__name__ for function in FUNCTIONS), "twin_again"]
ADDRESSES = ["first.k", "drawn.k", "twin.k", "twin_again.k", "both.k"]


def as_step(flags: dict[str, bool], function: Any) -> Any:
    return step(memo=flags["memo"], transient=flags["transient"])(function)


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    flags = st.fixed_dictionaries({"memo": st.sampled_from([True] * 4 + [False]), "transient": rarely()})
    steps = [as_step(draw(flags), function) for function in FUNCTIONS]
    steps.append(as_step(draw(flags), twin).named("twin_again"))  # the same datum in two slots
    changes = st.dictionaries(st.sampled_from(ADDRESSES), st.integers(0, 2), max_size=2)
    treatments: dict[str, Any] = {}
    for name in draw(st.sets(st.sampled_from(["a", "b", "c"]))):
        treatments[name] = Treatment(draw(changes))
        if draw(rarely()):
            treatments[name] = Treatment(steps={"both": as_step(draw(flags), swapped)})
        elif draw(rarely()):
            treatments[name] = Treatment(draw(changes), sources={"stated": other})
    return Experiment("study", steps, treatments, REPLICATES, parameters=draw(changes), seed=1)


def rarely() -> st.SearchStrategy[bool]:
    return st.sampled_from([False, False, False, True])


def some(names: list[str]) -> st.SearchStrategy[list[str] | None]:
    return st.none() | st.lists(st.sampled_from(names), unique=True, min_size=1)


def choices(draw: st.DrawFn, plan: Plan) -> dict[str, Any]:
    known = sorted({*(one.name for one in plan.steps), *plan.sources})
    return {
        "cells": plan.cells(draw(some(sorted(plan.by_treatment))), draw(some(sorted(plan.replicates)))),
        "steps": draw(some(list(plan.declaration.asset_slots))) if plan.declaration.asset_slots else None,
        "force": draw(st.just([]) | st.lists(st.sampled_from(known), unique=True, max_size=2)),
    }


def run(plan: Plan, store: Watched, cells: Any, steps: Any, force: Any) -> list[str]:
    store.computed.clear()
    outcomes = list(Run(plan, store, force=force).cells(cells, steps))
    assert all(outcome.failure is None for outcome in outcomes)
    return list(store.computed)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Plan, Watched, dict[str, Any]]:
    """An experiment, a store that holds some of what it needs, and what is asked of it."""
    store, experiment = Watched(), draw(experiments())
    for _ in range(draw(st.integers(0, 2))):  # what the same experiment or another one left there
        earlier = Plan(draw(st.just(experiment) | experiments()), store)
        run(earlier, store, **{**choices(draw, earlier), "force": []})
    data = sorted(key for key, record in store._records.items() if "made" in record.provenance)
    for key in draw(st.lists(st.sampled_from(data), unique=True, max_size=6)) if data else []:
        if draw(st.booleans()):
            del store._records[key]
        else:  # a pickle of another numpy
            record = store._records[key]
            outdated = {**record.provenance, "libraries": {"numpy": "0.1"}}
            store._records[key] = record._replace(provenance=outdated)
    plan = Plan(draw(st.just(experiment)), store)
    return plan, store, choices(draw, plan)


@contextmanager
def asking_at_once(number: int) -> Iterator[None]:
    with patch.object(surveys, "AT_ONCE", number):
        yield


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(situations(), st.sampled_from([1, 12, 4_000]))
def test_a_forecast_agrees_with_the_run(situation, at_once):
    plan, store, chosen = situation
    with asking_at_once(at_once):
        parts = list(Survey(plan, chosen["cells"], chosen["steps"], chosen["force"]).parts())
        before = forecast(plan, chosen["cells"], steps=chosen["steps"], force=chosen["force"])
    expected = {key for part in parts for key, missing in part.missing.items() if missing}
    computed = run(plan, store, **chosen)
    event(f"computes {'nothing' if not expected else 'something'}")
    assert expected == set(computed)
    assert before.data.to_compute == len(expected)
    assert before.cells.total == len(set(chosen["cells"]))
    rows = [*before.steps.values(), *before.sources.values(), before.data]
    assert all(min(row.stored, row.to_compute, row.shared) >= 0 for row in rows)
    assert (before.cells.to_compute == 0) == (not expected)
    again = forecast(plan, chosen["cells"], steps=chosen["steps"])
    assert again.data.to_compute == 0
    assert again.cells.stored == again.cells.total
