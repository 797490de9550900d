"""Plans know every compute key before anything runs, and agree on it everywhere."""

from typing import Any

import numpy as np

from workflow_assets import Experiment, MemoryStore, Treatment, source, step
from workflow_assets.plans import Plan, pickled_library


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


def keys(experiment: Experiment, treatment: str = "baseline", replicate: int = 0) -> dict[str, str]:
    plan = Plan(experiment, MemoryStore())
    one = list(experiment.replicates)[replicate]
    found = plan.keys(one, plan.seed(one))
    return {slot: found[planned] for slot, planned in plan.by_treatment[treatment].items()}


def study(**options: Any) -> Experiment:
    return Experiment("study", [prepared, noisy, mean], {"loud": {"noisy.scale": 2.0}}, 3, **options)


def changed(one: dict[str, str], two: dict[str, str]) -> set[str]:
    return {slot for slot in one if one[slot] != two[slot]}


def test_key_depends_on_exactly_what_the_value_depends_on() -> None:
    base = keys(study())
    assert changed(base, keys(study())) == set()
    assert changed(base, keys(study(), "loud")) == {"noisy", "mean"}
    assert changed(base, keys(study(), replicate=1)) == {"noisy", "mean"}
    assert changed(base, keys(study(seed=9))) == {"noisy", "mean"}
    assert changed(base, keys(study(parameters={"prepared.offset": 1.0}))) == {"prepared", "noisy", "mean"}
    assert changed(base, keys(study(parameters={"prepared.offset": -0.0}))) == set()
    assert changed(base, keys(study(parameters={"prepared.offset": 0}))) == set(), "0 is 0.0 for a float"


def test_setting_a_parameter_to_its_default_is_no_change() -> None:
    assert changed(keys(study()), keys(study(parameters={"noisy.scale": np.float64(1.0)}))) == set()


def test_swapping_two_inputs_changes_the_key() -> None:
    @step
    def one() -> int:
        return 1

    @step
    def two() -> int:
        return 2

    @step
    def difference(one: int, two: int) -> int:
        return one - two

    swapped = Experiment("swap", [one, two, difference], {"other": Treatment(steps={"one": two, "two": one})})
    assert keys(swapped)["difference"] != keys(swapped, "other")["difference"]
    assert swapped.run().table["difference"].tolist() == [-1, 1]


def test_step_that_must_not_be_remembered_has_another_key_in_each_run() -> None:
    @step(memo=False)
    def now() -> float:
        return 0.0

    clock = Experiment("clock", [now])
    assert keys(clock) != keys(clock)


def test_declared_result_that_is_pickled_carries_its_librarys_version() -> None:
    from sklearn.linear_model import LogisticRegression

    assert pickled_library(LogisticRegression).startswith("sklearn==")
    assert pickled_library(np.ndarray) == ""
    assert pickled_library(float) == ""


def test_declared_result_with_a_format_of_its_own_carries_no_version() -> None:
    import polars
    import scipy.sparse
    from matplotlib.figure import Figure
    from packaging.requirements import Requirement
    from PIL import Image
    from sklearn.utils import Tags

    for kind in (
        polars.DataFrame,
        polars.Series,
        scipy.sparse.csr_array,
        Figure,
        Image.Image,
        Tags,
        Image.Resampling,
    ):
        assert pickled_library(kind) == ""
    assert pickled_library(Requirement).startswith("packaging==")


def test_planning_executes_nothing_of_a_source_with_a_version() -> None:
    @source(version="1")
    def loud() -> int:
        raise AssertionError("loaded")

    @step
    def use(loud: int) -> int:
        return loud

    Plan(Experiment("quiet", [use], sources=[loud]), MemoryStore())
