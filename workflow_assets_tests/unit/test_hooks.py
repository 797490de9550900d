"""Hooks are told what happens, where it happens, and fail nothing."""

import os
import threading
import time
from pathlib import Path

import pytest

from workflow_assets import Experiment, Hooks, MemoryStore, step
from workflow_assets.errors import DeclarationError
from workflow_assets.traits import Retries

HERE = os.getpid()


@step
def noise(rng) -> float:
    return rng.normal()


@step
def scaled(noise: float, k: float = 1.0) -> float:
    if k == 3.0:
        raise ValueError("three is too much")
    return k * noise


def experiment(**options):
    treatments = {"double": {"scaled.k": 2.0}, "triple": {"scaled.k": 3.0}}
    return Experiment("study", [noise, scaled], treatments, replicates=2, **options)


class Told:
    """Hooks that keep what they are told."""

    def __init__(self):
        self.events = []
        self.threads = set()

    def hooks(self):
        def keeping(moment):
            def keep(event):
                self.events.append((moment, event))
                self.threads.add(threading.get_ident())

            return keep

        moments = ["run", "cell", "step"]
        return Hooks(
            **{
                f"{when}_{what}": keeping(f"{when}_{what}")
                for what in moments
                for when in ("before", "after")
            }
        )

    def of(self, moment):
        return [event for told, event in self.events if told == moment]

    def order(self):
        return [told for told, _ in self.events]


class Unsendable:
    """A client of a tracking service, which no other process can be given."""

    def __init__(self):
        self.cells = []
        self.pids = set()

    def __reduce__(self):
        raise TypeError("a client cannot be pickled")

    def tell(self, event):
        self.cells.append((event.treatment, event.replicate))
        self.pids.add(os.getpid())


def test_run_cells_and_steps_are_told_in_order():
    told = Told()
    one = Experiment("study", [noise], replicates=1)
    result = one.run(hooks=told.hooks())
    assert told.order() == [
        "before_run",
        "before_cell",
        "before_step",
        "after_step",
        "after_cell",
        "after_run",
    ]
    (before,), (after,) = told.of("before_run"), told.of("after_run")
    assert (before.experiment, before.cells, before.done) == ("study", 1, 0)
    assert (after.run_id, after.done, after.stored, after.failed, after.error) == (
        *(before.run_id, 1, 0, 0),
        None,
    )
    (cell,) = told.of("after_cell")
    assert cell.metrics == {"noise": result.table["noise"].iloc[0]}
    assert cell.computed == {"noise"}


def test_failures_are_told_where_they_happen_and_with_the_cell():
    told = Told()
    experiment().run(hooks=told.hooks())
    failed = [event for event in told.of("after_cell") if event.failure is not None]
    assert [(event.treatment, event.failure.message) for event in failed] == [
        ("triple", "three is too much")
    ] * 2
    assert all(event.metrics == {} for event in failed)
    raised = [event for event in told.of("after_step") if event.error is not None]
    assert [(event.step, str(event.error)) for event in raised] == [("scaled", "three is too much")] * 2
    assert told.of("after_run")[0].failed == 2


def test_what_is_stored_calls_no_step_and_is_counted():
    store = MemoryStore()
    one = Experiment("study", [noise], replicates=3)
    one.run(store)
    told = Told()
    one.run(store, hooks=told.hooks())
    assert told.of("before_step") == []
    assert [event.computed for event in told.of("after_cell")] == [frozenset()] * 3
    assert len(told.of("before_cell")) == 3
    assert told.of("after_run")[0].stored == 3


def test_seconds_are_those_of_the_call():
    @step
    def slow(replicate: int) -> int:
        time.sleep(0.02)
        return replicate

    told = Told()
    Experiment("study", [slow]).run(hooks=told.hooks())
    assert told.of("after_step")[0].seconds >= 0.02
    assert told.of("after_cell")[0].seconds >= 0.02
    assert told.of("after_run")[0].seconds >= told.of("after_step")[0].seconds


def test_each_attempt_is_told():
    tries = []

    @step(retries=Retries(2, wait=0.0))
    def flaky(replicate: int) -> int:
        tries.append(replicate)
        if len(tries) < 3:
            raise ConnectionError("try again")
        return replicate

    told = Told()
    Experiment("study", [flaky]).run(hooks=told.hooks())
    assert [(event.attempt, type(event.error)) for event in told.of("after_step")] == [
        (1, ConnectionError),
        (2, ConnectionError),
        (3, type(None)),
    ]


def test_a_hook_that_raises_is_named_once_and_fails_nothing(caplog):
    def broken(event):
        raise RuntimeError("the service is down")

    told = Told()
    result = experiment().run(hooks=[Hooks(after_cell=broken, before_step=broken), told.hooks()])
    assert len(result.table) == 6
    assert len(told.of("after_cell")) == 6
    said = [record.getMessage() for record in caplog.records if "the hook" in record.getMessage()]
    assert len(said) == 2
    assert "after_cell=test_a_hook_that_raises" in "\n".join(said)
    assert "broken raised" in "\n".join(said)


def test_an_interrupted_run_is_told_with_its_reason():
    def interrupt(event):
        raise KeyboardInterrupt

    told = Told()
    with pytest.raises(KeyboardInterrupt):
        experiment().run(hooks=[Hooks(after_cell=interrupt), told.hooks()])
    (after,) = told.of("after_run")
    assert isinstance(after.error, KeyboardInterrupt)
    assert after.done == 1


def test_in_threads_steps_are_told_where_they_run_and_cells_where_the_run_is():
    told, cells = Told(), Unsendable()
    here = threading.get_ident()
    experiment().run(backend="threads", workers=2, hooks=[told.hooks(), Hooks(after_cell=cells.tell)])
    assert told.threads - {here}
    assert len(cells.cells) == 6
    assert len(told.of("before_cell")) == 6
    assert len(told.of("before_step")) == len(told.of("after_step")) == 2 + 6


def test_in_processes_steps_are_told_by_workers_and_cells_here(tmp_path: Path, caplog):
    def note(event):
        (tmp_path / f"{type(event).__name__} {event.replicate} {event.treatment} {os.getpid()}").touch()

    def broken(event):
        raise RuntimeError("the service is down")

    client = Unsendable()
    hooks = [Hooks(before_cell=note, before_step=note, after_cell=client.tell), Hooks(after_step=broken)]
    result = experiment().run(backend="processes", workers=1, hooks=hooks)
    assert len(result.failures) == 2
    told = [path.name.split() for path in tmp_path.iterdir()]
    assert {name[-1] for name in told}.isdisjoint({str(HERE)})
    assert len([name for name in told if name[0] == "CellEvent"]) == 6
    assert client.pids == {HERE}
    assert sorted(client.cells) == sorted(
        (treatment, replicate)
        for treatment in ("baseline", "double", "triple")
        for replicate in ("0000", "0001")
    )
    said = [record.getMessage() for record in caplog.records if "the hook after_step" in record.getMessage()]
    assert len(said) == 1


def test_a_hook_that_cannot_be_sent_is_named():
    client = Unsendable()
    with pytest.raises(DeclarationError, match="hook 'before_step' cannot be sent"):
        experiment().run(backend="processes", hooks=Hooks(before_step=client.tell))


@pytest.mark.parametrize("given", [3, [print], "after_cell"])
def test_what_is_no_hook_is_refused(given):
    with pytest.raises(DeclarationError, match="expected Hooks"):
        experiment().run(hooks=given)


def test_a_hook_that_cannot_be_called_is_refused():
    with pytest.raises(DeclarationError, match="after_cell = 3: expected a function of one argument"):
        Hooks(after_cell=3)  # type: ignore[arg-type]
