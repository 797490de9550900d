"""Runs compute what is missing, once, and keep every cell to itself."""

import collections
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workflow_assets import (
    Columns,
    Experiment,
    FileStore,
    MemoryStore,
    Metrics,
    Store,
    Treatment,
    Workflow,
    references,
    source,
    step,
)
from workflow_assets.errors import CodecError, StoreError, UnknownNameError
from workflow_assets.plans import Plan
from workflow_assets.runs import Run
from workflow_assets.store.base import Record
from workflow_assets.store.codecs import encode
from workflow_assets.store.signatures import VARIABLE
from workflow_assets_tests.conformance.stores import Bomb
from workflow_assets_tests.crash.disks import read_only

CALLS: list[str] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@pytest.fixture(params=["memory", "files"])
def store(request: pytest.FixtureRequest, tmp_path: Any) -> Store:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "store")


@source(version="1")
def rows() -> pd.DataFrame:
    CALLS.append("rows")
    return pd.DataFrame({"x": [1.0, 2.0, 3.0]})


@step
def prepared(rows: pd.DataFrame) -> pd.DataFrame:
    CALLS.append("prepared")
    return rows * 2


@step
def sample(prepared: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    CALLS.append("sample")
    return prepared + rng.normal(size=(3, 1))


@step
def fitted(sample: pd.DataFrame, power: float = 1.0) -> float:
    CALLS.append("fitted")
    return float((sample["x"] ** power).sum())


def study(replicates: int = 3, power: float = 2.0, **options: Any) -> Experiment:
    return Experiment(
        "study", [prepared, sample, fitted], {"squared": {"fitted.power": power}}, replicates, **options
    )


def counts() -> dict[str, int]:
    found = {name: CALLS.count(name) for name in dict.fromkeys(CALLS)}
    CALLS.clear()
    return found


def test_steps_are_shared_by_the_cells_that_agree_on_them(store: Store) -> None:
    study().run(store)
    assert counts() == {"rows": 1, "prepared": 1, "sample": 3, "fitted": 6}


def test_warm_run_computes_nothing_and_equals_the_cold_one(store: Store) -> None:
    cold = study().run(store)
    counts()
    warm = study().run(store)
    assert counts() == {}
    pd.testing.assert_frame_equal(cold.table, warm.table, check_exact=True)
    assert cold.timings["computed"].any()
    assert not warm.timings["computed"].any()


def test_added_replicates_and_changed_values_compute_only_themselves(store: Store) -> None:
    first = study().run(store)
    counts()
    more = study(replicates=13).run(store)
    assert counts() == {"sample": 10, "fitted": 20}
    kept = more.table[more.table["replicate"] < 3].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, first.table, check_exact=True)
    study(power=3.0).run(store)
    assert counts() == {"fitted": 3}


def test_adding_a_treatment_or_a_step_changes_no_other_number(store: Store) -> None:
    @step
    def extra(prepared: pd.DataFrame, rng: np.random.Generator) -> float:
        return float(rng.normal())

    first = study().run(store).table
    more = Experiment(
        "study",
        [extra, prepared, sample, fitted],
        {"cubed": {"fitted.power": 3.0}, "squared": {"fitted.power": 2.0}},
        3,
    )
    table = more.run(store).table
    table = table[table["treatment"] != "cubed"].reset_index(drop=True)
    pd.testing.assert_frame_equal(table[list(first)], first, check_exact=True)


def test_treatments_of_a_replicate_draw_the_same_numbers() -> None:
    @step
    def draw(rng: np.random.Generator, scale: float = 1.0) -> float:
        return scale * float(rng.normal())

    table = Experiment("draws", [draw], {"double": {"draw.scale": 2.0}}, 5).run().table
    wide = table.pivot(index="replicate", columns="treatment", values="draw")
    assert (wide["double"] == 2 * wide["baseline"]).all()
    assert wide["baseline"].nunique() == 5


def test_swapped_step_keeps_the_stream_of_its_slot() -> None:
    @step
    def draw(rng: np.random.Generator) -> float:
        return float(rng.normal())

    @step
    def shifted(rng: np.random.Generator) -> float:
        return 100 + float(rng.normal())

    table = Experiment("swap", [draw], {"other": Treatment(steps={"draw": shifted})}, 4).run().table
    wide = table.pivot(index="replicate", columns="treatment", values="draw")
    np.testing.assert_allclose(wide["other"] - wide["baseline"], 100)


def test_stream_name_survives_renaming_a_slot() -> None:
    @step(stream="draw")
    def draw(rng: np.random.Generator) -> float:
        return float(rng.normal())

    one = Experiment("one", [draw], replicates=2).run().table["draw"]
    two = Experiment("two", [draw.named("renamed")], replicates=2).run().table["renamed"]
    assert one.tolist() == two.tolist()


def test_named_units_have_streams_of_their_own_whatever_their_order() -> None:
    @step
    def draw(rng: np.random.Generator, replicate: str) -> float:
        return float(rng.normal())

    one = (
        Experiment("plates", [draw], replicates=["P1/A01", "P1/A02"])
        .run()
        .table.set_index("replicate")["draw"]
    )
    two = (
        Experiment("plates", [draw], replicates=["P2/A01", "P1/A02", "P1/A01"])
        .run()
        .table.set_index("replicate")["draw"]
    )
    assert one["P1/A01"] == two["P1/A01"]
    assert one["P1/A02"] == two["P1/A02"]
    assert two.nunique() == 3


def test_step_that_asks_for_the_treatment_is_computed_for_each(store: Store) -> None:
    @step
    def name(treatment: str, replicate: int) -> str:
        CALLS.append(treatment)
        return f"{treatment} {replicate}"

    @step
    def length(name: str) -> int:
        return len(name)

    table = Experiment("names", [name, length], {"other": {}}, 2).run(store).table
    assert sorted(CALLS) == ["baseline", "baseline", "other", "other"]
    assert table["length"].tolist() == [10, 10, 7, 7]


def test_mutating_an_input_changes_no_other_step_cell_or_stored_value(store: Store) -> None:
    shared: dict[str, Any] = {"list": [1, 2], "frame": pd.DataFrame({"a": [1.0]}), "array": np.zeros(2)}

    @step
    def given() -> dict[str, Any]:
        return shared  # the step's own object, which it hands out again and again

    @step
    def first(given: dict[str, Any], options: list[int] = [1]) -> float:  # noqa: B006 - the default must survive
        given["list"].append(3)
        given["frame"]["b"] = 1.0
        given["array"] += 1
        options.append(2)
        return float(len(options))

    @step
    def second(given: dict[str, Any], first: float) -> float:
        return float(len(given["list"]) + given["frame"].shape[1] + given["array"].sum() + 10 * first)

    experiment = Experiment("mutants", [given, first, second], {"same": {"first.options": [1, 1]}}, 3)
    cold = experiment.run(store).table
    assert cold["second"].tolist() == [23.0] * 3 + [33.0] * 3
    pd.testing.assert_frame_equal(experiment.run(store).table, cold)
    assert shared["list"] == [1, 2]
    assert list(shared["frame"]) == ["a"]


def test_what_a_step_is_handed_is_what_a_later_run_would_read(store: Store) -> None:
    @dataclass
    class Pair:
        key: tuple[int, ...]
        frame: pd.DataFrame

    seen: list[str] = []

    @step
    def pair() -> Any:
        index = pd.date_range("2020", periods=3, freq="D")
        return Pair(
            (1, 2), pd.DataFrame({"s": ["a", None, "c"], "n": np.arange(3, dtype="int8")}, index=index)
        )

    @step
    def look(pair: Any) -> int:
        frame = pair.frame
        seen.append(
            f"{pair.key!r} {frame.dtypes.tolist()} {frame.index.freq} {frame['s'].tolist()} {frame.to_dict()}"
        )
        return 0

    Experiment("pairs", [pair, look]).run(store)
    Experiment("pairs", [pair, look]).run(store, force=["look"])
    assert len(seen) == 2
    assert seen[0] == seen[1]


def test_forcing_a_step_forces_what_follows_and_replaces_what_is_stored(store: Store) -> None:
    study().run(store)
    counts()
    study().run(store, force=["sample"])
    assert counts() == {"sample": 3, "fitted": 6}
    study().run(store, force=["rows"])
    assert counts() == {"rows": 1, "prepared": 1, "sample": 3, "fitted": 6}
    study().run(store)
    assert counts() == {}


def test_step_that_must_not_be_remembered_runs_every_time_and_so_does_what_follows(store: Store) -> None:
    ticks = iter(range(100))

    @step(memo=False)
    def now() -> int:
        return next(ticks)

    @step
    def later(now: int) -> int:
        return now + 1

    clock = Experiment("clock", [now, later], replicates=2)
    assert clock.run(store).table["later"].tolist() == [1, 1], "once in a run"
    assert clock.run(store).table["later"].tolist() == [2, 2]


def test_transient_step_is_computed_inside_what_consumes_it_and_not_stored(store: Store) -> None:
    @step(transient=True)
    def iterator(rows: pd.DataFrame) -> Any:
        CALLS.append("iterator")
        return (float(value) for value in rows["x"])  # which can be neither stored nor used twice

    @step
    def summed(iterator: Any, times: float = 1.0) -> float:
        CALLS.append("summed")
        return times * sum(iterator)

    experiment = Experiment("sums", [iterator, summed], {"twice": {"summed.times": 2.0}})
    result = experiment.run(store)
    assert result.table["summed"].tolist() == [6.0, 12.0]
    assert set(result.timings["step"]) == {"summed"}
    counts()
    experiment.run(store)
    assert counts() == {}


def test_source_without_a_version_is_digested_before_each_run(store: Store) -> None:
    content = [[1.0, 2.0]]

    @source
    def changing() -> list[float]:
        return content[-1]

    @step
    def total(changing: list[float]) -> float:
        CALLS.append("total")
        return sum(changing)

    content_study = Experiment("content", [total])
    assert content_study.run(store).table["total"].tolist() == [3.0]
    content_study.run(store)
    assert counts() == {"total": 1}
    content.append([5.0])
    assert content_study.run(store).table["total"].tolist() == [5.0]


def test_swapped_source_is_another_data_set(store: Store) -> None:
    @source(version="1", name="other_rows")
    def other() -> pd.DataFrame:
        return pd.DataFrame({"x": [10.0]})

    @step
    def mean(rows: pd.DataFrame) -> float:
        return float(rows["x"].mean())

    table = Experiment("swap", [mean], {"other": Treatment(sources={"rows": other})}).run(store).table
    assert table["mean"].tolist() == [2.0, 10.0]


def test_failing_cell_leaves_the_others_and_is_tried_again(store: Store, tmp_path: Path) -> None:
    bad_luck = tmp_path / "bad luck"
    bad_luck.touch()

    @step
    def fragile(sample: pd.DataFrame, replicate: int) -> float:
        CALLS.append("fragile")
        if bad_luck.exists() and replicate == 1:
            raise ZeroDivisionError("no luck")
        return 1.0

    experiment = Experiment("fragile", [prepared, sample, fragile], replicates=3)
    result = experiment.run(store)
    assert result.table["status"].tolist() == ["completed", "failed", "completed"]
    (failure,) = result.failures
    assert failure.kind == "ZeroDivisionError"
    assert "no luck" in failure.traceback
    bad_luck.unlink()
    counts()
    assert experiment.run(store).failures == ()
    assert counts() == {"fragile": 1}


def test_failure_of_a_shared_step_is_met_once_and_told_for_every_cell(store: Store) -> None:
    @step
    def broken(rows: pd.DataFrame) -> float:
        CALLS.append("broken")
        raise KeyError("x")

    @step
    def after(broken: float, scale: float = 1.0) -> float:
        return broken * scale

    result = Experiment("broken", [broken, after], {"double": {"after.scale": 2.0}}, 3).run(store)
    assert CALLS.count("broken") == 1
    assert [(one.step, one.treatment, one.replicate) for one in result.failures] == [
        ("broken", treatment, replicate)
        for treatment in ("baseline", "double")
        for replicate in ("0000", "0001", "0002")
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "step 'measured' returned a wrong value: expected float, got str 'text'"),
        (None, "step 'measured' returned a wrong value: expected float, got NoneType None"),
        (True, "step 'measured' returned a wrong value: expected float, got bool True"),
    ],
)
def test_step_that_returns_the_wrong_type_fails_and_says_what_was_expected(value: Any, message: str) -> None:
    @step
    def measured() -> float:
        return value

    result = Experiment("wrong", [measured]).run()
    assert result.failures[0].kind == "ContractError"
    assert result.failures[0].message == message


def test_frame_without_a_declared_column_fails_with_near_matches() -> None:
    from typing import Annotated

    @step
    def frame() -> Annotated[pd.DataFrame, Columns(radius=float)]:
        return pd.DataFrame({"radios": [1.0]})

    message = Experiment("columns", [frame]).run().failures[0].message
    assert "column 'radius' is missing: did you mean 'radios'?" in message


def test_value_that_cannot_be_stored_fails_its_cell_and_leaves_nothing_behind(store: Store) -> None:
    @step
    def opened() -> Any:
        return threading.Lock()

    result = Experiment("unstorable", [opened]).run(store)
    assert result.failures[0].kind == "CodecError"
    assert "lock" in result.failures[0].message
    assert store.references(("unstorable", "opened")) == {}


def test_undeclared_use_of_numpys_global_generator_in_a_library_fails_the_cell() -> None:
    @step
    def shuffled() -> float:
        return float(pd.Series([1.0, 2.0, 3.0]).sample(1).item())

    result = Experiment("hidden", [shuffled]).run()
    assert result.failures[0].kind == "GlobalRandomnessError"
    assert "declare @step(legacy_rng=True)" in result.failures[0].message


def test_legacy_step_is_seeded_from_its_stream_and_differs_between_replicates(store: Store) -> None:
    @step(legacy_rng=True)
    def legacy() -> float:
        return float(np.random.rand())  # noqa: NPY002 - what the option is for

    experiment = Experiment("legacy", [legacy], replicates=4)
    first = experiment.run(store).table["legacy"]
    assert first.nunique() == 4
    assert experiment.run(MemoryStore()).table["legacy"].tolist() == first.tolist()


def test_given_seed_fits_what_takes_a_random_state() -> None:
    @step
    def number(seed: int) -> int:
        return seed

    numbers = Experiment("seeds", [number], replicates=20).run().table["number"]
    assert numbers.nunique() == 20
    assert numbers.between(0, 2**32 - 1).all()


def test_metrics_recorded_in_the_context_are_replayed_on_a_hit(store: Store) -> None:
    class Recorded(Metrics):
        iterations: int

    @step(records=Recorded)
    def fit(ctx: Any) -> Any:
        CALLS.append("fit")
        ctx.record("iterations", 12)
        ctx.record("loss", 0.5, epoch=1)
        ctx.record("loss", 0.25, epoch=2)
        return "model"

    experiment = Experiment("recorded", [fit])
    for _ in range(2):
        result = experiment.run(store)
        assert result.table["fit.iterations"].tolist() == [12]
        assert result.records["value"].tolist() == [0.5, 0.25]
        assert result.records["tags"].tolist() == [{"epoch": 1}, {"epoch": 2}]
    assert counts() == {"fit": 1}


def test_resources_reach_the_steps() -> None:
    @step
    def use(ctx: Any) -> int:
        return int(ctx.resources["answer"])

    assert Experiment("resources", [use]).run(resources={"answer": 42}).table["use"].tolist() == [42]


def test_damaged_datum_is_found_and_computed_again(tmp_path: Any) -> None:
    @step
    def large() -> np.ndarray:
        CALLS.append("large")
        return np.arange(10_000)

    @step
    def total(large: np.ndarray, offset: int = 0) -> int:
        return int(large.sum()) + offset

    folder = tmp_path / "store"
    Experiment("damage", [large, total]).run(FileStore(folder))
    (damaged,) = (folder / "objects").rglob("*.npy")
    content = bytearray(damaged.read_bytes())
    content[5_000] ^= 1
    damaged.write_bytes(bytes(content))
    counts()
    result = Experiment("damage", [large, total], {"shifted": {"total.offset": 1}}).run(FileStore(folder))
    assert result.failures == ()
    assert counts() == {"large": 1}
    expected = sum(range(10_000))
    assert result.table["total"].tolist() == [expected, expected + 1]
    Experiment("damage", [large, total], {"other": {"total.offset": 2}}).run(FileStore(folder))
    assert counts() == {}, "healed"


@step
def counted() -> Any:
    CALLS.append("counted")
    return collections.Counter("aab")


@step
def total(counted: Any, offset: int = 0) -> int:
    return counted.total() + offset


def crafted(store: Store, trap: Path) -> str:
    """Put a pickle of somebody else's in the place of the one that a run has stored; give its key."""
    (key,) = store.references(("crafted", "counted")).values()
    with pytest.MonkeyPatch.context() as other:
        other.setenv(VARIABLE, "the key of somebody else who writes here")
        bomb = encode(Bomb(trap), pickles=True)
        store.put_encoded(key, bomb, metrics={}, provenance={}, replace=True)
    return key


def test_pickle_that_somebody_else_has_written_is_computed_again_and_not_executed(tmp_path: Any) -> None:
    store, trap = FileStore(tmp_path / "store"), tmp_path / "executed"
    Experiment("crafted", [counted, total]).run(store)
    key = crafted(store, trap)
    counts()
    result = Experiment("crafted", [counted, total], {"more": {"total.offset": 1}}).run(
        FileStore(store.folder)
    )
    assert result.failures == ()
    assert result.table["total"].tolist() == [3, 4]
    assert counts() == {"counted": 1}
    assert store.load(key) == collections.Counter("aab"), "replaced"
    assert not trap.exists()


def test_pickle_that_nobody_loads_in_a_run_is_kept_until_it_is_forced(tmp_path: Any) -> None:
    store, trap = FileStore(tmp_path / "store"), tmp_path / "executed"
    experiment = Experiment("crafted", [counted])
    experiment.run(store)
    key = crafted(store, trap)
    counts()
    experiment.run(store)
    assert counts() == {}
    with pytest.raises(CodecError, match=r"not signed with your key.*Run again with force="):
        store.load(key)
    experiment.run(store, force=["counted"])
    assert store.load(key) == collections.Counter("aab")
    assert not trap.exists()


def test_source_that_somebody_else_has_pickled_is_stored_again(tmp_path: Any) -> None:
    @source
    def letters() -> Any:
        return collections.Counter("aab")

    @step
    def most(letters: Any) -> str:
        return str(letters.most_common(1)[0][0])

    experiment = Experiment("counted", [most])
    experiment.run(FileStore(tmp_path, pickles=True))
    store = FileStore(tmp_path)
    (key,) = store.references(("letters",)).values()
    with pytest.raises(CodecError, match="not signed with your key"):
        store.load(key)
    experiment.run(store)
    assert store.load(key) == collections.Counter("aab")


def test_without_a_key_for_pickles_the_run_ends_with_what_to_do(tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(StoreError, match=f"Set {VARIABLE} .* or open the store with pickles=True"):
        Experiment("crafted", [counted]).run(FileStore(tmp_path / "store"))
    assert Experiment("crafted", [counted]).run(FileStore(tmp_path / "store", pickles=True)).failures == ()


def test_store_that_cannot_be_written_is_refused_before_anything_is_computed(tmp_path: Any) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StoreError, match=r"taken/store cannot be written"):
        study().run(FileStore(tmp_path / "taken" / "store"))
    assert CALLS == []


@pytest.mark.parametrize("shape", ["whole", "older", "source without a version"])
def test_results_are_read_from_a_store_that_cannot_be_written(tmp_path: Any, shape: str) -> None:
    """Where all is stored nothing needs writing, also where the partitions hold newer data; else nothing is begun."""

    @source
    def loaded() -> list[float]:
        return [1.0, 2.0]

    @step
    def doubled(loaded: list[float], factor: float = 2.0) -> float:
        CALLS.append("doubled")
        return factor * sum(loaded)

    def declare(replicates: int = 3) -> Experiment:
        if shape == "source without a version":
            return Experiment("sourced", [doubled], {"more": {"doubled.factor": 3.0}}, replicates)
        return study(replicates)

    folder = tmp_path / "store"
    first = declare().run(FileStore(folder))
    another = study(power=4.0)
    if shape == "older":
        study(power=3.0).run(FileStore(folder))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    counts()
    with read_only(folder):
        opened = FileStore(folder)
        result = declare().run(opened)
        pd.testing.assert_frame_equal(result.table, first.table, check_exact=True)
        assert declare().plan(opened).data.to_compute == 0
        slot = list(declare().workflow.nodes)[-1]
        assert result.trace("baseline", 0, slot).value() == first.table[slot][0]
        for run in (lambda: declare().run(opened, force=[slot]), lambda: another.run(opened)):
            with pytest.raises(
                StoreError, match=r"cannot be written: (Read-only file system|Permission denied)"
            ):
                run()
    assert counts() == {}
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_what_a_long_run_has_computed_is_noted_now_and_then(store: Store, monkeypatch: Any) -> None:
    """So that a collector of garbage keeps most of it although the run is killed."""
    monkeypatch.setattr(references, "PATIENCE", -1.0)
    held = []

    @step
    def noting(replicate: int) -> int:
        held.append(len(store.references(("long", "noting"))))
        return replicate

    Experiment("long", [noting], replicates=4).run(store)
    assert held == [0, 1, 2, 3]


def test_only_chosen_cells_are_run_and_unknown_ones_name_near_matches(store: Store) -> None:
    table = study().run(store, treatments=["squared"], replicates=["0001"]).table
    assert table[["treatment", "replicate"]].to_numpy().tolist() == [["squared", 1]]
    with pytest.raises(UnknownNameError, match=r"no treatment 'sqared': did you mean 'squared'?"):
        study().run(store, treatments=["sqared"])
    with pytest.raises(UnknownNameError, match="no replicate '0009'"):
        study().run(store, replicates=["0009"])
    with pytest.raises(
        UnknownNameError, match=r"no step or source 'sampel' to force: did you mean 'sample'?"
    ):
        study().run(store, force=["sampel"])


def test_keyboard_interrupt_keeps_what_is_done(store: Store) -> None:
    @step
    def slow(replicate: int) -> int:
        CALLS.append("slow")
        if replicate == 2 and CALLS.count("slow") == 3:
            raise KeyboardInterrupt
        return replicate

    experiment = Experiment("slow", [slow], replicates=4)
    with pytest.raises(KeyboardInterrupt):
        experiment.run(store)
    assert len(store.references(("slow", "slow"))) == 2
    counts()
    experiment.run(store)
    assert counts() == {"slow": 2}


def test_two_experiments_share_what_they_agree_on(store: Store) -> None:
    study().run(store)
    counts()
    Experiment("another", [prepared, sample, fitted.named("again")], replicates=3).run(store)
    assert counts() == {}, (
        "the same function on the same inputs is the same datum, whatever the slot is called"
    )


def test_a_source_is_noted_though_a_run_died_between_storing_and_noting_it(store: Store) -> None:
    study().run(store)
    store.refer(("rows",), {"": ""})
    assert store.references(("rows",)) == {}
    study().run(store)
    assert store.load_asset(("rows",)).equals(rows())


class Rivalled(MemoryStore):
    """A store in which another run is the first to store one datum, and then none."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def _write_record(self, record: Record, replace: bool) -> Record:
        if record.provenance.get("seed") == self.seed:
            self.seed = -1
            provenance = {**record.provenance, "run": "rival"}
            super()._write_record(record._replace(provenance=provenance), replace)
        return super()._write_record(record, replace)


def test_a_run_that_meets_another_goes_its_own_way_and_tells_outcomes_in_order() -> None:
    experiment = study(replicates=20)
    plan = Plan(experiment, MemoryStore())
    seed = plan.seed(plan.replicates["0003"])
    orders = []
    for name in ("one", "two"):
        CALLS.clear()
        run = Run(Plan(experiment, store := Rivalled(seed)), store, run_id=name)
        outcomes = list(run.cells())
        assert [(outcome.treatment, outcome.replicate) for outcome in outcomes] == run.plan.cells()
        assert counts() == {"rows": 1, "prepared": 1, "sample": 20, "fitted": 40}
        assert not any(outcome.failure for outcome in outcomes)
        records = store.find_all(store.keys()).values()
        made = [record.provenance for record in records]
        orders.append(list(dict.fromkeys(one["replicate"] for one in made if "replicate" in one)))
    assert orders[0][:4] == orders[1][:4] == ["0000", "0001", "0002", "0003"]
    assert sorted(orders[0]) == sorted(orders[1]) == list(experiment.replicates.keys)
    assert orders[0] != orders[1]


@step
def quits() -> int:
    sys.exit(3)


@step
async def quits_later() -> int:
    sys.exit(3)


@step
def interrupts() -> int:
    raise KeyboardInterrupt


@pytest.mark.parametrize("backend", [None, "threads", "asyncio", "processes"])
def test_step_that_ends_the_program_ends_the_run_on_every_backend(backend: str | None) -> None:
    """Nobody waits for ever, and no worker is blamed for a crash."""
    with pytest.raises(SystemExit) as ended:
        Workflow("quitting", [quits]).run(backend=backend)
    assert ended.value.code == 3


@pytest.mark.parametrize("backend", [None, "threads", "asyncio"])
def test_coroutine_that_ends_the_program_and_an_interruption_end_the_run(backend: str | None) -> None:
    with pytest.raises(SystemExit):
        Workflow("quitting", [quits_later]).run(backend=backend)
    with pytest.raises(KeyboardInterrupt):
        Workflow("interrupted", [interrupts]).run(backend=backend)
