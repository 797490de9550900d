"""What every backend promises: the results are those of the run itself, one cell after the other.

A backend's own tests inherit `BackendLaws` and say what is given to `Experiment.run`.
"""

import functools
import logging
import tempfile
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from workflow_assets import Experiment, FileStore, MemoryStore, Result, Store, dispatches
from workflow_assets.errors import DeclarationError
from workflow_assets.executions import Execution
from workflow_assets.outcomes import CellOutcome
from workflow_assets.plans import Plan
from workflow_assets_tests.conformance import studies

PATIENCE = 30.0
"""Seconds after which what should have happened has not."""


def contents(store: Store) -> dict[str, tuple[str, Any, Any]]:
    """Give what a store holds but notes on who made it: of each datum the digest, metrics, and what was recorded."""
    found = store.find_all(store.keys())
    return {
        key: (record.digest, dict(record.metrics), tuple(record.records))
        for key, record in found.items()
        if "made" in record.provenance
    }


def told(result: Result) -> dict[str, str]:
    """Give all that a result tells and that depends on code, parameters, data and seed only."""
    records = result.records.sort_values(["treatment", "replicate", "step", "metric", "value"])
    failures = [(one.treatment, one.replicate, one.kind, one.traceback) for one in result.failures]
    return {
        "table": result.table.to_csv(),
        "records": records.to_csv(index=False),
        "failures": repr(sorted(failures)),
    }


def computed(result: Result) -> Counter[str]:
    """Count the data of each step that are told to be computed."""
    return Counter(result.timings[result.timings["computed"]]["step"])


def summary(result: Result, store: Store) -> tuple[dict[str, str], dict[str, Any], Counter[str]]:
    """Give what a run has told, stored and computed."""
    return told(result), contents(store), computed(result)


def differences(got: Any, expected: Any) -> str:
    """Tell where two mappings differ; pytest tells it of test modules only."""
    keys = [key for key in {**got, **expected} if got.get(key) != expected.get(key)]
    return "\n".join(f"{key}: {got.get(key)}\nexpected: {expected.get(key)}" for key in keys)


def assert_serial(result: Result, store: Store, treatments: tuple[str, ...] | None = None) -> None:
    """Check that a run of everything has told, stored and computed what a serial run does."""
    for got, expected in zip(summary(result, store), serial(studies.EVERYTHING, treatments), strict=True):
        assert got == expected, differences(got, expected)


@contextmanager
def running(
    experiment: Experiment, store: Store, backend: Any, calls: Path
) -> Iterator[Iterator[CellOutcome]]:
    """Begin a run, which is cancelled at the end if it is not over."""
    execution = Execution(backend, resources={"calls": str(calls)})
    plan = Plan(experiment, store)
    outcomes = execution.cells(plan, store, plan.cells())
    with closing(outcomes):  # type: ignore[type-var] # a generator
        yield outcomes


@functools.cache
def serial(
    experiment: Experiment, treatments: tuple[str, ...] | None = None
) -> tuple[dict[str, str], dict[str, Any], Counter[str]]:
    """Give what an experiment comes to in the run itself."""
    with tempfile.TemporaryDirectory() as folder:
        store = MemoryStore()
        options: dict[str, Any] = {"resources": {"calls": folder}, "capacity": {"gpu": 1}}
        return summary(experiment.run(store, treatments=treatments, **options), store)


class Laws(ABC):
    """What the laws of a backend need."""

    @abstractmethod
    def backend(self, workers: int = 2) -> Any:
        """Give what is handed to `run`."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        """Give calls a folder to be counted in."""
        self.calls = tmp_path / "calls"
        self.calls.mkdir()

    def run(
        self, experiment: Experiment, store: Store | None = None, *, workers: int = 2, **options: Any
    ) -> Result:
        resources = {"calls": str(self.calls)} | options.pop("resources", {})
        return experiment.run(store, backend=self.backend(workers), resources=resources, **options)

    def called(self) -> Counter[str]:
        """Count the calls since this was asked last."""
        found = studies.calls(self.calls)
        for path in self.calls.iterdir():
            path.unlink()
        return found

    def wait_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "it did not come to pass"
            time.sleep(0.01)


class CancellingLaws(Laws):
    """A backend that ends calls when their run is cancelled."""

    def test_a_cancelled_run_keeps_what_is_done_and_leaves_nothing_running(self) -> None:
        store = MemoryStore()
        with running(studies.ENDLESS, store, self.backend(), self.calls) as outcomes:
            first = next(outcomes)
            assert first.replicate == "0000"
            self.wait_until(lambda: any(self.calls.glob("pid *")))
        assert len(contents(store)) == 1
        self.wait_until(self.is_over)

    def is_over(self) -> bool:
        """Tell whether every call has come to an end, if not by itself then with its process."""
        running = [int(path.name.split()[1]) for path in self.calls.glob("pid *")]
        return not any(Path(f"/proc/{pid}").exists() for pid in running)


class SurvivingLaws(Laws):
    """A backend whose workers are processes that may die."""

    def test_a_killed_worker_costs_only_what_it_was_doing(self, tmp_path: Path) -> None:
        store = FileStore(tmp_path / "store")
        result = self.run(studies.MORTAL, store)
        called = self.called()
        other = tmp_path / "other"
        other.mkdir()
        (other / "died").touch()
        expected = studies.MORTAL.run(resources={"calls": str(other)})
        assert told(result) == told(expected)
        assert computed(result) == computed(expected)
        assert called["base"] == 8
        assert called["mortal"] <= 16 + 2 * 8  # the tasks that were handed out go again, no more


class BlamingLaws(Laws):
    """A backend that finds out which step kills its workers."""

    def test_a_step_that_kills_every_worker_is_the_failure_of_its_cell(self) -> None:
        (self.calls / "died").touch()
        result = self.run(studies.MORTAL, resources={"deadly": True})
        assert [(one.treatment, one.replicate, one.kind) for one in result.failures] == [
            ("deadly", "0005", "WorkerLostError")
        ]


class TellingLaws(Laws):
    """A backend that tells the run's process what steps print and log."""

    def test_what_steps_print_and_log_arrives(self, capsys: Any, caplog: Any) -> None:
        with caplog.at_level(logging.INFO):
            self.run(studies.TALKATIVE)
        assert sorted(capsys.readouterr().out.splitlines()) == [f"printed in {number}" for number in range(3)]
        logged = [record for record in caplog.records if record.name == "workflow_assets.steps"]
        assert sorted(record.getMessage() for record in logged) == [
            f"logged in {number}" for number in range(3)
        ]
        assert {getattr(record, "step", "") for record in logged} == {"talkative"}


class BackendLaws(Laws):
    """The laws of all backends."""

    counts: tuple[int, ...] = (1, 5)
    """How many workers are worth trying beside two; each may mean a new pool."""

    places: tuple[str, ...] = ("memory", "files")
    """Which stores are worth trying."""

    worths: tuple[float, ...] = (0.0, 1.0, 1e9)
    """How much work is worth trying as one task."""

    def test_results_and_stores_are_those_of_a_serial_run(self, tmp_path: Path) -> None:
        store = FileStore(tmp_path / "store")
        result = self.run(studies.EVERYTHING, store)
        assert_serial(result, store)
        assert {one.kind for one in result.failures} == {
            "FileNotFoundError",
            "GlobalRandomnessError",
            "ValueError",
        }

    def test_each_step_is_called_once_for_what_is_missing_or_forced(self, tmp_path: Path) -> None:
        for place in self.places:
            self.check_calls(MemoryStore() if place == "memory" else FileStore(tmp_path / "store"))

    def check_calls(self, store: Store) -> None:
        few: dict[str, Any] = {"treatments": ["double", "longer"], "replicates": ["0002", "0004"]}
        part = self.run(studies.EVERYTHING, store, **few)
        assert part.table[["treatment", "replicate", "status"]].to_numpy().tolist() == [
            ["double", 2, "completed"],
            ["double", 4, "failed"],
            ["longer", 2, "completed"],
            ["longer", 4, "failed"],
        ]
        once = self.called()
        assert once["prepared"] == once["scaled"] - 1 == 1
        assert once["drawn"] == once["brittle"] == 2
        whole = self.run(studies.EVERYTHING, store, treatments=studies.TIDY)
        expected, stored, _ = serial(studies.EVERYTHING, studies.TIDY)
        assert (told(whole), contents(store)) == (expected, stored)
        assert once + self.called() == Counter(studies.CALLS) + Counter(brittle=1)  # which had failed
        few["replicates"] = ["0001", "0002"]
        warm = self.run(studies.EVERYTHING, store, **few)
        assert self.called() == {}
        assert not warm.timings["computed"].any()
        forced = self.run(studies.EVERYTHING, store, **few, force=["legacy"])
        assert self.called() == computed(forced) == {"legacy": 2, "score": 4}
        assert contents(store) == stored

    def test_it_does_not_matter_how_work_is_cut(self, monkeypatch: Any) -> None:
        for worth in self.worths:
            monkeypatch.setattr(dispatches, "_WORTH", worth)
            self.check_tidy()

    def test_it_does_not_matter_how_many_workers_there_are(self) -> None:
        for workers in self.counts:
            self.check_tidy(workers)

    def check_tidy(self, workers: int = 2) -> None:
        store = MemoryStore()
        result = self.run(studies.EVERYTHING, store, workers=workers, treatments=studies.TIDY)
        assert_serial(result, store, studies.TIDY)
        called = self.called()
        assert called == studies.CALLS, differences(called, studies.CALLS)

    def test_a_run_gives_up_after_too_many_failures(self) -> None:
        result = self.run(studies.HOPELESS, max_failures=3)
        kinds = Counter(one.kind for one in result.failures)
        assert kinds == {"ValueError": 3, "NotRunError": 37}
        assert 3 <= self.called()["hopeless"] < 40

    def test_faults_that_pass_are_tried_again_and_what_is_scarce_is_waited_for(self) -> None:
        result = self.run(studies.FAULTY, capacity={"gpu": 1})
        assert told(result) == serial(studies.FAULTY)[0]
        called = self.called()
        assert called["passing"] == 2 * 3 + 2
        assert called["lasting"] == 3 + 2
        assert [one.kind for one in result.failures] == ["ConnectionError", "KeyError"]

    def test_what_needs_more_than_there_is_is_refused(self) -> None:
        with pytest.raises(DeclarationError, match=r"'greedy' needs 2 of 'telescopes'"):
            self.run(studies.GREEDY)
