"""Declarations in many shapes, which stay as they were declared."""

# ruff: noqa: B008 - defaults of steps are parameters

import copy
import enum
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workflow_assets import (
    Experiment,
    Hypothesis,
    MemoryStore,
    Metrics,
    Treatment,
    resamples,
    source,
    step,
)
from workflow_assets.declarations import Declaration

ROOT = Path(__file__).parents[2]


@dataclass
class Split:
    train: list[float]
    test: list[float]


class Score(Metrics):
    error: float
    note: str = ""


class Fast(enum.Enum):
    YES = "yes"
    NO = "no"


@source(version="1")
def numbers() -> list[float]:
    return [1.0, 2.0, 3.0]


@source(version="2")
def others() -> list[float]:
    return [4.0]


@step
def split(numbers: list[float], rng, share: float = 0.5) -> Split:
    return Split(numbers, numbers)


@step
def model(split: Split, rate: float = 1.0, sizes: tuple[int, ...] = (1, 2)) -> float:
    return rate * sum(split.train)


@step
def deeper(split: Split, rate: float = 2.0, depth: int = 3) -> float:
    return rate * depth


@step
def score(model: float, split: Split) -> Score:
    return Score(error=model)


STEPS: list[Any] = [split, model, score]


def declare(**changes: Any) -> Declaration:
    given: dict[str, Any] = {"name": "study", "steps": STEPS, **changes}
    return Declaration(**given)


# -- what works -------------------------------------------------------------------------------------------------------


def test_steps_are_wired_by_name():
    """A parameter named like a step or a source is an input; the others are configuration."""
    declared = declare()
    assert {node.slot: dict(node.inputs) for node in declared.workflow} == {
        "split": {"numbers": "numbers"},
        "model": {"split": "split"},
        "score": {"model": "model", "split": "split"},
    }
    assert declared.workflow.nodes["model"].settings == {"rate": 1.0, "sizes": (1, 2)}
    assert list(declared.sources) == ["numbers"]
    assert declared.metrics == {"model": float, "score.error": float, "score.note": str}
    assert list(declared.treatments) == ["baseline"]


def test_steps_may_be_told_in_any_order():
    """They are put in the order of their wiring."""
    assert declare(steps=[score, model, split]).slots == ("split", "model", "score")
    assert declare(steps=(numbers, *STEPS)).slots == ("split", "model", "score")
    assert declare(steps=iter(STEPS)).slots == ("split", "model", "score")


def test_treatments_change_parameters():
    """A plain mapping will do; several steps may be changed; values are brought to their type."""
    declared = declare(
        parameters={"model.rate": 5, "split.share": np.float64(0.25)},
        treatments={
            "nothing": {},
            "still nothing": Treatment(),
            "weak": {"model.rate": 2},
            "both": Treatment(
                {"model.rate": 3, "split.share": 0.1, "model.sizes": [3]}, description="both at once"
            ),
        },
    )
    rates = {name: workflow.nodes["model"].settings["rate"] for name, workflow in declared.workflows.items()}
    assert rates == {"baseline": 5.0, "nothing": 5.0, "still nothing": 5.0, "weak": 2.0, "both": 3.0}
    assert declared.workflows["both"].nodes["model"].settings["sizes"] == (3,)
    assert declared.workflows["weak"].nodes["split"].settings["share"] == 0.25
    assert type(declared.workflows["weak"].nodes["split"].settings["share"]) is float


def test_treatments_swap_steps():
    """Another step takes the slot, with other parameters; those of the experiment that it has too are kept."""
    declared = declare(
        parameters={"model.rate": 7.0, "model.sizes": (5,)},
        treatments={
            "deep": Treatment(steps={"model": deeper}),
            "deepest": Treatment({"model.depth": 9}, steps={"model": deeper}),
        },
    )
    node = declared.workflows["deepest"].nodes["model"]
    assert (node.step.function, node.step.name) == (deeper.function, "model")
    assert node.settings == {"rate": 7.0, "depth": 9}
    assert declared.workflows["deep"].nodes["model"].settings == {"rate": 7.0, "depth": 3}
    assert declared.workflow.nodes["model"].settings == {"rate": 7.0, "sizes": (5,)}


def test_a_swapped_step_may_have_other_inputs():
    """It is wired by its own parameters, to sources too."""

    @step
    def direct(numbers: list[float], others: list[float], rate: float = 1.0) -> float:
        return rate

    declared = declare(treatments={"direct": Treatment(steps={"model": direct})})
    assert dict(declared.workflows["direct"].nodes["model"].inputs) == {
        "numbers": "numbers",
        "others": "others",
    }
    assert list(declared.workflows["direct"].sources) == ["numbers", "others"]
    assert list(declared.workflow.sources) == ["numbers"]
    assert sorted(declared.sources) == ["numbers", "others"]
    assert declared.dependencies("model") == ("split", "numbers", "others")


def test_the_order_of_slots_holds_for_every_treatment():
    """A slot follows whatever it depends on under any treatment."""

    @step
    def first(value: int = 1) -> int:
        return value

    @step
    def second(value: int = 2) -> int:
        return value

    @step
    def after(second: int) -> int:
        return second

    declared = declare(steps=[first, second], treatments={"after": Treatment(steps={"first": after})})
    assert declared.slots == ("second", "first")


def test_treatments_swap_sources():
    """Another source takes the name that steps ask for."""
    declared = declare(treatments={"other": Treatment(sources={"numbers": others})})
    assert declared.workflows["other"].sources == {"numbers": others}
    assert set(declared.sources) == {"numbers", "others"}


def test_one_function_may_fill_two_slots():
    """`named` gives it another name, whose metrics and parameters are its own."""

    @step
    def compare(model: float, second: float) -> float:
        return model - second

    declared = declare(
        steps=[split, model, model.named("second"), compare], treatments={"weak": {"second.rate": 0.5}}
    )
    settings = {slot: node.settings.get("rate") for slot, node in declared.workflows["weak"].nodes.items()}
    assert settings == {"split": None, "model": 1.0, "second": 0.5, "compare": None}
    assert set(declared.metrics) == {"model", "second", "compare"}
    prints = declared.fingerprints()
    assert (
        prints[id(declared.workflow.nodes["model"].step)]
        == prints[id(declared.workflow.nodes["second"].step)]
    )


def test_sources_are_found_where_steps_are_defined():
    """In the function around, in the module, by their own name, among the steps, and in sources=."""

    @source(version="3")
    def local() -> int:
        return 1

    @source(version="4", name="renamed")
    def something() -> int:
        return 2

    @step
    def first(local: int, renamed: int, numbers: list[float]) -> float:
        return local

    declared = declare(steps=[first])
    assert dict(declared.workflow.sources) == {"local": local, "renamed": something, "numbers": numbers}

    def elsewhere():
        @source(version="5")
        def local() -> int:
            return 3

        return local

    given = elsewhere()
    assert declare(steps=[first], sources=[given]).workflow.sources["local"] is given
    assert declare(steps=[given, first]).workflow.sources["local"] is given


def test_a_source_that_only_a_treatment_reads_may_be_given():
    """It is no fault that the baseline does not read it."""

    def elsewhere():
        @source(version="1")
        def faraway() -> list[float]:
            return []

        return faraway

    @step
    def direct(faraway: list[float]) -> float:
        return 1.0

    declared = declare(sources=[elsewhere()], treatments={"direct": Treatment(steps={"model": direct})})
    assert "faraway" in declared.workflows["direct"].sources


NUMBER: Any = np.int8(1)


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (3, ["0000", "0001", "0002"]),
        (np.int64(2), ["0000", "0001"]),
        (["P1/A01", "P1/A02"], ["P1/A01", "P1/A02"]),
        (("a b", "ü", "日本"), ["a b", "ü", "日本"]),
        (np.array(["x", "y"]), ["x", "y"]),
        (pd.Series(["x", "y"]), ["x", "y"]),
        ((unit for unit in "ab"), ["a", "b"]),
        (resamples(2, test_fraction=0.3), ["0000", "0001"]),
        (resamples(NUMBER, test_fraction=0.3), ["0000"]),
    ],
    ids=range(9),
)
def test_replicates_come_in_many_shapes(given, keys):
    """A number, or the names of units."""
    replicates = declare(replicates=given).replicates
    assert replicates.keys == keys
    assert all(type(replicate.identity) in (int, str) for replicate in replicates)
    assert type(replicates.count) is int


@pytest.mark.parametrize("seed", [0, 42, np.int64(7), np.uint8(3), 2**70])
def test_a_seed_is_any_whole_number(seed):
    """Of Python or of numpy, and as large as one likes."""
    assert declare(seed=seed).seed == int(seed)
    assert type(declare(seed=seed).seed) is int


def test_owners_may_be_one():
    """A single text is one owner."""
    assert declare(owners="team:data").owners == ("team:data",)
    assert declare(owners=["a@b.org", "team:data"]).owners == ("a@b.org", "team:data")
    assert declare(tags={"a": "b"}).tags == {"a": "b"}


def test_values_that_are_not_plain_may_be_parameters():
    """Enumerations, dataclasses, paths, functions, arrays."""

    @step
    def f(
        fast: Fast = Fast.NO,
        path: Path = Path("a"),
        split: Split = Split([], []),
        function: Any = max,
        array: np.ndarray = np.zeros(2),
        limit: int = None,  # type: ignore[assignment] # noqa: RUF013
    ) -> float:
        return 1.0

    declared = declare(
        steps=[f],
        treatments={
            "other": {
                "f.fast": "yes",
                "f.path": "b/c",
                "f.split": {"train": [1], "test": []},
                "f.function": min,
                "f.limit": None,
            }
        },
    )
    settings = declared.workflows["other"].nodes["f"].settings
    assert settings["fast"] is Fast.YES
    assert settings["path"] == Path("b/c")
    assert settings["split"] == Split([1.0], [])
    assert settings["function"] is min
    assert settings["limit"] is None
    assert declared.workflow.nodes["f"].settings["limit"] is None


# -- what stays -------------------------------------------------------------------------------------------------------


def test_a_declaration_stays_as_it_was_declared():
    """What the caller does to lists and dicts afterwards changes nothing."""
    steps, sizes, units = list(STEPS), [1, 2], ["a", "b"]
    parameters: dict[str, Any] = {"model.sizes": sizes}
    weak: dict[str, Any] = {"model.sizes": sizes, "model.rate": 2.0}
    treatments: dict[str, Any] = {"weak": weak}
    hypotheses = [Hypothesis("h", metric="score.error", treatment="weak")]
    tags = {"a": "b"}
    declared = declare(
        steps=steps,
        parameters=parameters,
        treatments=treatments,
        replicates=units,
        hypotheses=hypotheses,
        tags=tags,
    )
    before = declared.version()
    sizes.append(3)
    steps.clear()
    units.append("c")
    parameters.clear()
    weak["model.rate"] = 3.0
    treatments["more"] = {}
    hypotheses.clear()
    tags.clear()
    assert declared.version() == before
    assert declared.treatments["weak"].parameters == {"model.sizes": [1, 2], "model.rate": 2.0}
    assert declared.workflows["weak"].nodes["model"].settings == {"rate": 2.0, "sizes": (1, 2)}
    assert declared.workflow.nodes["model"].settings["sizes"] == (1, 2)
    assert declared.replicates.keys == ["a", "b"]
    assert len(declared.hypotheses) == 1
    assert declared.tags == {"a": "b"}


def test_a_default_that_is_changed_in_place_changes_nothing():
    """A step's default belongs to the declaration."""

    @step
    def f(names: list[str] = ["a"]) -> int:  # noqa: B006
        return len(names)

    declared = declare(steps=[f])
    before = declared.version()
    f.parameters["names"].default.append("b")
    assert declared.workflow.nodes["f"].settings["names"] == ["a"]
    assert declared.version() == before


def test_nothing_can_be_set_or_deleted():
    """A declared experiment is finished; the message says to declare another."""
    declared = declare(treatments={"weak": {"model.rate": 2.0}})
    for name in ("name", "seed", "treatments", "replicates", "hypotheses", "workflow", "sede"):
        with pytest.raises(
            AttributeError, match=f"experiment 'study' is declared: {name} cannot be set; declare another"
        ):
            setattr(declared, name, 3)
    with pytest.raises(AttributeError, match="seed cannot be deleted"):
        del declared.seed
    for mapping in (
        declared.treatments,
        declared.workflows,
        declared.tags,
        declared.treatments["weak"].parameters,
        declared.workflow.nodes,
        declared.workflow.nodes["model"].settings,
        declared.workflow.nodes["model"].inputs,
        declared.workflow.sources,
        model.parameters,
        model.tags,
        score.metrics,
    ):
        with pytest.raises(TypeError, match="part of a declaration"):
            mapping["new"] = 3  # type: ignore[index]


def test_a_copy_is_the_same_declaration():
    """There is nothing that a copy could change."""
    declared = declare()
    assert copy.copy(declared) is declared
    assert copy.deepcopy(declared) is declared
    assert copy.deepcopy({"a": [declared]})["a"][0] is declared


EXPERIMENT = Experiment(
    "pickled",
    STEPS,
    {
        "weak": {"model.rate": 2.0},
        "deep": Treatment(steps={"model": deeper}),
        "other": Treatment(sources={"numbers": others}),
    },
    replicates=["a", "b"],
    seed=5,
    hypotheses=[Hypothesis("h", metric="score.error", treatment="weak")],
    parameters={"split.share": 0.25},
    description="Pickled.",
    owners=["team:data"],
    tags={"a": "b"},
)


def test_an_experiment_can_be_pickled():
    """What comes out is the same experiment: version, seed, steps, results."""
    assert EXPERIMENT.metrics  # something was computed on the way
    again = pickle.loads(pickle.dumps(EXPERIMENT))
    assert type(again) is Experiment
    assert again.version() == EXPERIMENT.version()
    assert again.workflow.nodes["model"].step is model
    assert again.workflows["deep"].nodes["model"].step.function is deeper.function
    assert again.hypotheses == EXPERIMENT.hypotheses
    assert repr(again) == repr(EXPERIMENT)
    with pytest.raises(AttributeError):
        again.seed = 6
    pd.testing.assert_frame_equal(again.run().table, EXPERIMENT.run().table)


def test_a_pickled_experiment_is_read_in_another_process(tmp_path):
    """As an executor's workers do, which import the module that the steps stand in."""
    (tmp_path / "study.py").write_text(
        "from workflow_assets import Experiment, Treatment, step\n"
        "@step\ndef draw(rng, gain: float = 1.0) -> float:\n    return gain * rng.normal()\n"
        "@step\ndef other(rng, gain: float = 1.0) -> float:\n    return gain + rng.normal()\n"
        "study = Experiment('study', [draw], {'other': Treatment(steps={'draw': other})}, replicates=2)\n"
    )
    write = "import pickle, study; pickle.dump(study.study, open('study.pickle', 'wb')); print(study.study.version())"
    read = "import pickle; one = pickle.load(open('study.pickle', 'rb')); print(one.version(), end='')"
    told = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path,
            env={"PYTHONPATH": f"{ROOT}:{tmp_path}"},
        ).stdout.strip()
        for code in (write, read)
    ]  # fmt: skip
    assert told[0] == told[1]


def test_a_local_step_cannot_be_pickled():
    """A worker could not find it; the message says where to define it."""

    @step
    def local() -> float:
        return 1.0

    declared = declare(steps=[local])
    with pytest.raises(
        TypeError, match=r"step 'local' cannot be pickled: .*Define the step at the top of a module"
    ):
        pickle.dumps(declared)


def test_a_representation_is_one_line():
    """Workflow, treatments, replicates, hypotheses."""
    assert repr(declare(replicates=3)) == (
        "Declaration('study': Workflow(numbers → split → model → score), 1 treatments × 3 replicates, 0 hypotheses)"
    )


# -- fingerprints and versions ----------------------------------------------------------------------------------------


def test_a_version_knows_what_results_depend_on():
    """Any change of it is another version; a description is none."""
    versions = {
        declare(**changes).version()
        for changes in list[dict[str, Any]](
            [
                {},
                {"seed": 1},
                {"name": "another"},
                {"replicates": 2},
                {"replicates": ["0000"]},
                {"replicates": resamples(1, test_fraction=0.5)},
                {"parameters": {"model.rate": 2.0}},
                {"treatments": {"weak": {}}},
                {"treatments": {"weak": {"model.rate": 2.0}}},
                {"treatments": {"deep": Treatment(steps={"model": deeper})}},
                {"treatments": {"deep": Treatment(sources={"numbers": others})}},
                {
                    "hypotheses": [Hypothesis("h", metric="score.error", treatment="w")],
                    "treatments": {"w": {}},
                },
                {
                    "hypotheses": [Hypothesis("h", metric="score.error", treatment="w", margin=1)],
                    "treatments": {"w": {}},
                },
                {"steps": [split, model]},
            ]
        )
    }
    assert len(versions) == 14
    assert declare(description="What for?", tags={"a": "b"}, owners="me").version() == declare().version()


LIMIT = [1]


def limited(value):
    return value + LIMIT[0]


def test_a_function_among_the_parameters_is_read_anew():
    """What it depends on may change between two runs, in a notebook; the key follows."""

    @step
    def f(function: Any = limited, pair: Any = (limited, 1)) -> float:
        return float(function(1))

    declared = declare(steps=[f])
    before, forms = declared.version(), declared.workflow.nodes["f"].forms
    LIMIT[0] = 2
    try:
        assert declared.version() != before
        changed = declared.workflow.nodes["f"].forms
        assert {name for name in forms if forms[name] != changed[name]} == {"function", "pair"}
    finally:
        LIMIT[0] = 1
    assert declared.version() == before


def test_a_constant_that_changed_between_two_runs_is_seen():
    """The second run computes; a third, with nothing changed, does not."""
    calls = []

    @step
    def f() -> float:
        calls.append(1)
        return float(LIMIT[0])

    study, store = Experiment("study", [f]), MemoryStore()
    assert study.run(store).table["f"].tolist() == [1.0]
    LIMIT[0] = 2
    try:
        assert study.run(store).table["f"].tolist() == [2.0]
        assert study.run(store).table["f"].tolist() == [2.0]
    finally:
        LIMIT[0] = 1
    assert study.run(store).table["f"].tolist() == [1.0]
    assert len(calls) == 2
