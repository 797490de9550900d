"""Before a run: what is there, what is shared, what is to compute, and what that takes."""

import logging
from typing import Any

import numpy as np
import pytest

from workflow_assets import Experiment, FileStore, MemoryStore, Store, source, step, surveys
from workflow_assets.errors import LimitError, UnknownNameError
from workflow_assets.forecasts import SAMPLE, Cells, Needs, amount, duration


@source(version="1")
def rows() -> list[float]:
    return [1.0, 2.0]


@step
def prepared(rows: list[float], offset: float = 0.0) -> list[float]:
    return [row + offset for row in rows]


@step
def noisy(prepared: list[float], rng: np.random.Generator, scale: float = 1.0) -> list[float]:
    return [row + scale * rng.normal() for row in prepared]


@step
def mean(noisy: list[float]) -> float:
    return sum(noisy) / len(noisy)


def study(scale: float = 2.0, replicates: int = 3, **options: Any) -> Experiment:
    return Experiment(
        "study", [prepared, noisy, mean], {"loud": {"noisy.scale": scale}}, replicates, **options
    )


def counts(needs: Needs) -> tuple[int, int, int, int]:
    return needs.needed, needs.stored, needs.shared, needs.to_compute


@pytest.fixture(params=["memory", "files"])
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Store:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "store")


def remade(store: MemoryStore, key: str, **changes: Any) -> None:
    """Change the record of a datum behind the store's back."""
    store._records[key] = store._records[key]._replace(**changes)


def test_an_empty_store_has_all_to_compute_and_tells_no_time(store: Store) -> None:
    plan = study().plan(store)
    assert plan.cells == Cells(total=6, stored=0)
    assert plan.sources == {"rows": Needs(6, 0, 1, None, None)}
    assert plan.steps == {
        "prepared": Needs(6, 0, 1, None, None),
        "noisy": Needs(6, 0, 6, None, None),
        "mean": Needs(6, 0, 6, None, None),
    }
    assert counts(plan.data) == (24, 0, 10, 14)
    assert (plan.data.seconds, plan.data.size) == (None, None)
    assert plan.unknown == ("rows", "prepared", "noisy", "mean")
    assert str(plan).splitlines() == [
        "          needed  stored  shared  to compute  time  size",
        "rows           6       0       5           1     ?     ?",
        "prepared       6       0       5           1     ?     ?",
        "noisy          6       0       0           6     ?     ?",
        "mean           6       0       0           6     ?     ?",
        "6 cells: 0 stored, 6 to compute; no earlier run tells how long",
    ]


def test_a_full_store_has_nothing_to_compute_and_takes_nothing(store: Store) -> None:
    study().run(store)
    plan = study().plan(store)
    assert plan.cells == Cells(total=6, stored=6)
    assert plan.sources == {}, "nobody reads it"
    assert counts(plan.data) == (18, 13, 5, 0)
    assert (plan.data.seconds, plan.data.size, plan.unknown) == (0.0, 0, ())
    assert str(plan).splitlines() == [
        "          needed  stored  shared  to compute  time  size",
        "prepared       6       1       5           0",
        "noisy          6       6       0           0",
        "mean           6       6       0           0",
        "6 cells: 6 stored, 0 to compute",
    ]


def test_only_what_is_chosen_is_planned(store: Store) -> None:
    study().run(store, replicates=["0000"], treatments=["baseline"])
    assert study().plan(store).cells == Cells(6, 1)
    assert study().plan(store, treatments=["baseline"]).cells == Cells(3, 1)
    assert study().plan(store, replicates=["0000", "0001"]).cells == Cells(4, 1)
    chosen = study().plan(store, steps=["prepared"])
    assert chosen.cells == Cells(6, 6)
    assert list(chosen.steps) == ["prepared"]
    needed = study().plan(store, steps=["mean"])
    assert counts(needed.steps["prepared"]) == (5, 1, 4, 0), "what the missing ones are made from, too"
    assert counts(needed.steps["noisy"]) == (5, 0, 0, 5)


def test_forced_steps_are_computed_with_what_follows_from_them(store: Store) -> None:
    study().run(store)
    plan = study().plan(store, force=["noisy"])
    assert {name: needs.to_compute for name, needs in plan.steps.items()} == {
        "prepared": 0,
        "noisy": 6,
        "mean": 6,
    }
    assert plan.cells == Cells(6, 0)
    assert study().plan(store, force=["rows"]).data.to_compute == 14


def test_estimates_are_means_of_earlier_data_of_the_treatment_or_else_of_the_step() -> None:
    store = MemoryStore()
    result = study().run(store)
    for treatment, seconds, size in (("baseline", 1.0, 100), ("loud", 3.0, 500)):
        for replicate in range(3):
            key = result.trace(treatment, replicate, "noisy").key
            remade(store, key, provenance={**store._records[key].provenance, "seconds": seconds}, size=size)
    more = study(replicates=5).plan(store).steps["noisy"]
    assert (more.to_compute, more.earlier) == (4, 6)
    assert (more.seconds, more.size) == (2 * 1.0 + 2 * 3.0, 2 * 100 + 2 * 500)
    louder = study(scale=9.0).plan(store, treatments=["loud"]).steps["noisy"]
    assert (louder.seconds, louder.size) == (3 * 3.0, 3 * 500), "a changed parameter has earlier data, too"
    renamed = Experiment("study", [prepared, noisy, mean], {"roaring": {"noisy.scale": 7.0}}, 3)
    roaring = renamed.plan(store, treatments=["roaring"]).steps["noisy"]
    assert (roaring.seconds, roaring.size) == (3 * 2.0, 3 * 300), "a new treatment has those of the others"


def test_what_nothing_is_known_of_is_not_invented(store: Store) -> None:
    @step
    def doubled(mean: float) -> float:
        return 2 * mean

    study().run(store)
    plan = Experiment("study", [prepared, noisy, mean, doubled], {"loud": {"noisy.scale": 3.0}}, 3).plan(
        store
    )
    assert plan.unknown == ("doubled",)
    assert plan.steps["doubled"] == Needs(6, 0, 6, None, None)
    assert plan.data.seconds is not None
    assert "; at least " in str(plan)
    assert str(plan).endswith("(nothing is known of the time of 'doubled')")


def test_data_put_by_hand_tell_a_size_and_no_time() -> None:
    store = MemoryStore()
    store.put("a1", 1.0)
    store.refer(("study", "mean"), {"0000|baseline": "a1"})
    mean = study().plan(store).steps["mean"]
    assert (mean.seconds, mean.size, mean.earlier) == (None, 6 * 3, 1)


def test_a_sample_of_earlier_data_is_looked_at() -> None:
    store = MemoryStore()
    store.refer(("study", "mean"), {f"{number:04}|loud": f"k{number}" for number in range(2 * SAMPLE)})
    for number in range(2 * SAMPLE):
        store.put(f"k{number}", 1.0)
    assert study().plan(store).steps["mean"].earlier == SAMPLE


def test_transient_steps_are_no_data_and_their_time_is_on_top(store: Store) -> None:
    @step(transient=True)
    def halved(prepared: list[float]) -> list[float]:
        return [row / 2 for row in prepared]

    @step
    def total(halved: list[float], replicate: int) -> float:
        return sum(halved) + replicate

    experiment = Experiment("inside", [prepared, halved, total], replicates=2)
    plan = experiment.plan(store)
    assert list(plan.steps) == ["prepared", "total"]
    assert plan.inside == ("halved",)
    assert str(plan).endswith("; the time inside of 'halved', which is transient, comes on top")
    experiment.run(store)
    assert experiment.plan(store).inside == ()


def test_steps_that_are_not_remembered_are_always_to_compute(store: Store) -> None:
    @step(memo=False)
    def now(replicate: int) -> float:
        return 0.0

    clock = Experiment("clock", [now], replicates=2)
    clock.run(store)
    plan = clock.plan(store)
    assert plan.cells == Cells(2, 0)
    assert plan.steps["now"].earlier == 2


def test_a_datum_whose_pickle_another_version_wrote_is_to_compute() -> None:
    store = MemoryStore()
    key = study().run(store).trace("loud", 1, "mean").key
    remade(store, key, provenance={**store._records[key].provenance, "libraries": {"numpy": "0.1"}})
    plan = study().plan(store)
    assert plan.cells == Cells(6, 5)
    assert plan.steps["mean"].to_compute == 1


def test_records_are_asked_for_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Asked(MemoryStore):
        def find_all(self, keys: Any) -> Any:
            keys = list(keys)
            asked.append(len(keys))
            return super().find_all(keys)

    store = Asked()
    experiment = study(replicates=20)
    experiment.run(store)
    asked.clear()  # of what the ledger was asked
    monkeypatch.setattr(surveys, "AT_ONCE", 12)  # of 4 for each replicate
    assert experiment.plan(store).cells == Cells(40, 40)
    assert asked == [13, *[12] * 5, 8], "what all share is asked for once"
    asked.clear()
    assert experiment.plan(store, treatments=["loud"], steps=["prepared", "noisy"]).cells == Cells(20, 20)
    assert asked == [13, 8], "of 1 for each replicate"


def test_unknown_names_are_told_with_near_matches() -> None:
    store = MemoryStore()
    for chosen, message in (
        ({"treatments": ["lout"]}, "no treatment 'lout': did you mean 'loud'"),
        ({"replicates": ["9"]}, "no replicate '9'"),
        ({"steps": ["maen"]}, "no stored step 'maen': did you mean 'mean'"),
        ({"force": ["row"]}, "no step or source 'row' to force: did you mean 'rows'"),
    ):
        with pytest.raises(UnknownNameError, match=message):
            study().plan(store, **chosen)


def test_a_cell_that_is_named_twice_is_one() -> None:
    plan = study().plan(MemoryStore(), replicates=["0001", "0001"])
    assert plan.cells == Cells(2, 0)
    assert plan.data.to_compute == 1 + 1 + 2 + 2


def test_a_run_over_a_limit_is_refused_before_anything_is_computed(store: Store) -> None:
    study().run(store)
    held = set(store.keys())
    with pytest.raises(
        LimitError, match=r"'study' has 4 data to compute, which takes about .*: that is over max_bytes=10\. "
    ):
        study(replicates=4).run(store, max_bytes=10)
    with pytest.raises(LimitError, match="over max_seconds=1e-09 and max_bytes=0"):
        study().run(store, force=iter(["mean"]), max_seconds=1e-9, max_bytes=0)
    assert set(store.keys()) == held
    assert study().run(store, max_seconds=0, max_bytes=0).failures == ()
    assert len(study(replicates=4).run(store, max_seconds=3600, max_bytes=1e9).table) == 8


def test_what_no_earlier_run_tells_of_is_not_limited_and_warned_of(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "workflow_assets"):
        study().run(store, max_bytes=1)
    assert "no earlier run tells what 'rows', 'prepared', 'noisy' and 'mean' would take" in caplog.text
    caplog.clear()
    study().run(store, max_bytes=1)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "less than 1 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (99.0, "99 s"),
        (100.0, "1.7 min"),
        (5_999.0, "100 min"),
        (6_000.0, "1.7 h"),
        (172_800.0, "2 days"),
    ],
)
def test_durations_are_told_in_units_of_everyday(seconds: float, told: str) -> None:
    assert duration(seconds) == told


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (2.5e13, "25 TB"),
    ],
)
def test_sizes_are_told_in_units_of_everyday(size: float, told: str) -> None:
    assert amount(size) == told
