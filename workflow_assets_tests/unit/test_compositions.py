"""Compositions: workflows by name and by call, workflows in workflows, and what is wrong with a call."""
# ruff: noqa: PT012 - what is composed in a `with` is told at its end
# Much of this is what a type checker refuses, too.
# mypy: disable-error-code="call-arg, arg-type, list-item, misc, attr-defined"

import asyncio
import copy
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypedDict

import pytest

from workflow_assets import Experiment, Registry, Treatment, Workflow, from_document, source, step
from workflow_assets.errors import DeclarationError, UnknownNameError, WorkflowFailedError
from workflow_assets.recordings import RECORDING, Pending


class Parts(TypedDict):
    train: list[int]
    test: list[int]


@step
def load(count: int = 4) -> list[int]:
    return list(range(count))


@step
def clean(load: list[int], least: int = 1) -> list[int]:
    return [one for one in load if one >= least]


@step
def total(clean: list[int]) -> int:
    return sum(clean)


@step
def scale(x: int, *, k: int = 2) -> int:
    return x * k


@step
def add(x: int, y: int = 10) -> int:
    return x + y


@step
def split(load: list[int]) -> Parts:
    return {"train": load[:2], "test": load[2:]}


@step
def gather(parts: list[list[int]], more: dict[str, int]) -> int:
    return sum(map(sum, parts)) + sum(more.values())


@step
def pair(both: tuple[int, int]) -> int:
    assert type(both) is tuple
    return both[0] - both[1]


@source(version="1")
def customers() -> list[int]:
    return [5, 6, 7]


@step
def drawn(rng, customers: list[int]) -> float:
    return float(rng.normal()) + len(customers)


def faults_of(error: pytest.ExceptionInfo[DeclarationError]) -> str:
    return "\n".join(error.value.faults)


def cleaning() -> Workflow:
    with Workflow("clean_up") as made:
        clean(made.input("raw", type=list[int]), least=2)
    return made


# -- arguments --------------------------------------------------------------------------------------------------------


def test_by_name_and_by_call_are_equal() -> None:
    by_name = Workflow("sums", [load, clean, total], parameters={"clean.least": 2})
    with Workflow("sums") as by_call:
        total(clean(load(), 2))
    with Workflow("sums") as by_keyword:
        total(clean=clean(least=2, load=load(count=4)))
    assert by_name == by_call == by_keyword
    assert by_name.run()["total"] == by_call.run()["total"] == 5
    with Workflow("sums") as other:
        total(clean(load(), 3))
    assert by_name != other


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: clean(), "'load' is missing, in clean(load: list[int], least: int = 1) -> list[int]"),
        (lambda: scale(1, 3), "it is handed 2 arguments by their place, and takes 1"),
        (lambda: scale(1, x=2), "'x' is given twice"),
        (lambda: clean(lod=1), "'lod' is no parameter of it: did you mean 'load'?\n'load' is missing"),
        (lambda: drawn(customers, rng=3), "'rng' is given by the engine"),
        (
            lambda: add(load),
            "add.x is handed the step 'load' itself: to hand on what it gives, write load(...)",
        ),
        (lambda: gather([load], {}), "gather.parts[0] is handed the step 'load' itself"),
        (lambda: add({load()}), "add.x is handed a set, which has no order"),
    ],
)
def test_a_wrong_call_is_told_at_once_with_the_signature(call, told) -> None:
    with pytest.raises(DeclarationError) as caught, Workflow("w"):
        call()
    assert told in faults_of(caught)


def test_a_parameter_that_is_not_given_by_call_has_its_default_whatever_bears_its_name() -> None:
    @step
    def least() -> int:
        return 100

    with Workflow("w") as made:
        least()
        total(clean(load()))
    assert made.run()["total"] == 6
    assert Experiment("e", made).run().table["total"].tolist() == [6]
    with pytest.raises(DeclarationError, match="rename one of them"):
        Workflow("w", [least, load, clean, total])


def test_a_parameter_that_is_missing_by_call_is_not_guessed_by_its_name() -> None:
    with pytest.raises(DeclarationError, match="'clean' is missing"), Workflow("w"):
        clean(load())
        total()


def test_lists_mappings_and_tuples_of_what_is_pending() -> None:
    with Workflow("w") as made:
        parts = split(load())
        one = scale(3)
        gather([parts["train"], parts["test"]], {"a": one, "b": 1})
        pair((one, 2))
        gather([], {})
    result = made.run()
    assert (result["gather"], result["pair"], result["gather_2"]) == (13, 4, 0)


def test_an_output_that_a_step_does_not_have_is_told_with_near_matches() -> None:
    with pytest.raises(DeclarationError, match="did you mean 'train'"), Workflow("w"):
        total(split(load())["trian"])


def test_a_source_is_an_argument_called_or_not() -> None:
    with Workflow("w") as one:
        drawn(customers)
    with Workflow("w") as other:
        drawn(customers())
    assert one == other == Workflow("w", [drawn])
    assert one.run()["drawn"] == other.run()["drawn"] == Workflow("w", [drawn]).run()["drawn"]


def test_a_step_and_a_source_of_one_name_are_refused() -> None:
    with pytest.raises(DeclarationError, match="'customers' names both a step and a source"), Workflow("w"):
        drawn(customers)
        load.named("customers")()


def test_a_coroutine_and_a_generator_are_steps() -> None:
    @step
    async def fetch(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    @step
    def chunks(x: int) -> Iterator[int]:
        yield from range(x)

    @step
    def count(chunks: Any) -> int:
        return sum(1 for _ in chunks)

    with Workflow("w") as made:
        count(chunks(fetch(2)))
    assert made.run()["count"] == 3


# -- inputs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hint", [int, int | None, Any])
def test_an_input_may_say_its_type_only(hint) -> None:
    with Workflow("w") as made:
        add(made.input("n", hint) if hint is not Any else made.input("n", type=hint), 1)
    with pytest.raises(DeclarationError, match="its input 'n' has no value"):
        made.run()
    assert made.run(n=4)["add"] == 5
    if hint is int:
        with pytest.raises(DeclarationError, match="input 'n': expected int"):
            made.run(n="four")


def test_an_input_is_of_the_type_that_it_says() -> None:
    with pytest.raises(DeclarationError, match="input 'n': expected int"), Workflow("w") as made:
        made.input("n", "four", int)


def test_two_inputs_of_one_name_are_refused() -> None:
    with pytest.raises(DeclarationError, match="two things are called 'n'"), Workflow("w") as made:
        made.input("n", 1)
        made.input("n", 2)


def test_an_input_that_no_step_takes_is_refused_by_name() -> None:
    with pytest.raises(DeclarationError, match=r"no step takes the input 'leest': did you mean 'least'\?"):
        Workflow("w", [load, clean], inputs={"leest": 3})


def test_what_is_pending_is_no_value_of_an_input() -> None:
    with pytest.raises(DeclarationError, match="an input is a value"), Workflow("w") as made:
        made.input("n", load())


# -- what is pending --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda one: one + 1,
        lambda one: 1 - one,
        lambda one: one > 3,
        lambda one: len(one),
        lambda one: list(one),
        lambda one: float(one),
        lambda one: one(),
        lambda one: 3 in one,
        lambda one: bool(one),
        lambda one: one[0],
        lambda one: asyncio.run(awaited(one)),
    ],
)
def test_nothing_can_be_done_with_what_has_no_value_yet(use) -> None:
    with Workflow("w"), pytest.raises(TypeError, match="<load, pending>"):
        use(load())


async def awaited(one) -> Any:
    return await one


def test_an_attribute_of_what_has_no_value_yet_is_told() -> None:
    with Workflow("w"):
        one = load()
        with pytest.raises(AttributeError, match=r"take the output \['shape'\]"):
            _ = one.shape
    assert pickle.loads(pickle.dumps(Pending("w", "a"))).name == "a"
    assert copy.copy(one).name == "load"


def test_what_is_pending_is_refused_outside_and_in_another_workflow() -> None:
    with Workflow("one"):
        first = load()
    with pytest.raises(DeclarationError, match="of the workflow 'one', which is not being composed here"):
        clean(first)
    with (
        pytest.raises(DeclarationError, match="of the workflow 'one': compose the step in there"),
        Workflow("two"),
    ):
        clean(first)


def test_a_thread_begun_while_composing_is_outside() -> None:
    with Workflow("w"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(load).result() == [0, 1, 2, 3]
        with pytest.raises(DeclarationError, match="in the same thread"):
            pool.submit(clean, load()).result()


def test_two_threads_compose_two_workflows() -> None:
    barrier = threading.Barrier(2)

    def compose(name: str) -> list[str]:
        with Workflow(name) as made:
            one = load()
            barrier.wait(10)
            clean(one)
            barrier.wait(10)
        return list(made)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(compose, ["a", "b"])) == [["load", "clean"]] * 2


# -- the end of composing ---------------------------------------------------------------------------------------------


def test_an_exception_ends_the_recording_and_half_a_workflow_is_none() -> None:
    with pytest.raises(RuntimeError), Workflow("w") as made:
        load()
        raise RuntimeError("stop")
    assert RECORDING.get() is None
    assert load(2) == [0, 1]
    with pytest.raises(
        DeclarationError, match="composing it ended with RuntimeError: stop; compose it again"
    ):
        made.run()


def test_steps_are_functions_again_afterwards_in_what_outlived_it_too() -> None:
    with Workflow("w") as made:
        load()
        inside = copy_context()
    assert load(1) == [0]
    assert inside.run(load, 2) == [0, 1]
    assert list(made) == ["load"]


def test_a_workflow_may_be_composed_while_another_is_and_takes_nothing_of_it() -> None:
    with Workflow("outer") as outer:
        one = load()
        with Workflow("inner") as inner:
            clean(load(3))
        total(clean(one))
    assert (list(inner), list(outer)) == (["load", "clean"], ["load", "clean", "total"])
    told = "of the workflow 'outer': compose the step in there"
    with pytest.raises(DeclarationError, match=told), Workflow("outer"):
        one = load()
        with Workflow("inner"):
            clean(one)
    assert RECORDING.get() is None
    with pytest.raises(DeclarationError, match="it is being composed already"), outer, outer:
        pass


def test_a_workflow_runs_while_another_is_being_composed() -> None:
    @step
    def twice(x: int) -> Iterator[int]:
        yield scale(x)
        yield scale(x)

    @source
    def doubled() -> int:
        return scale(4)

    @step
    def last(doubled: int) -> int:
        return scale(doubled)

    inner = Workflow("inner", [last])
    with Workflow("generating") as generating:
        twice(2)
    with Workflow("outer") as outer:
        first = scale(1)
        assert inner.run()["last"] == 16
        assert list(generating.run()["twice"]) == [4, 4]
        scale(first)
    assert list(outer) == ["scale", "scale_2"]


# -- names ------------------------------------------------------------------------------------------------------------


def test_steps_and_inputs_are_found_by_name_and_place() -> None:
    made = Workflow("w", [total, clean, load])
    assert [made[place].name for place in (0, 1, -1)] == ["load", "clean", "total"]
    assert "load" in made
    assert "lod" not in made
    with pytest.raises(UnknownNameError, match=r"did you mean 'total'\?"):
        made["totl"]
    with pytest.raises(UnknownNameError, match="has 3 steps, and no step 3"):
        made[3]


def test_a_step_that_is_called_often_has_a_slot_for_each() -> None:
    with Workflow("w") as made:
        value = scale(1)
        scale.named("scale_3")(value)
        for _ in range(3):
            value = scale(value)
    assert list(made) == ["scale", "scale_3", "scale_2", "scale_4", "scale_5"]
    assert made.run()["scale_5"] == 16


# -- workflows in workflows -------------------------------------------------------------------------------------------


def outer_of(inner: Workflow) -> Workflow:
    with Workflow("outer") as made:
        total(inner(raw=load()))
    return made


def test_a_workflow_is_one_step_of_another() -> None:
    made = outer_of(cleaning())
    assert list(made) == ["load", "clean_up__clean", "total"]
    assert made.groups == {"clean_up": ("clean_up__clean",)}
    assert made.run()["total"] == 5
    assert repr(made) == "Workflow('outer': load → clean_up → total)"
    assert made["clean_up"]["clean"].name == "clean_up__clean"
    with Workflow("outer") as flat:
        total(clean.named("clean_up__clean")(load(), 2))
    assert flat.run()["total"] == 5
    assert flat != made
    assert made == outer_of(cleaning())


def test_values_and_own_values_of_a_workflow_are_inputs_of_the_other() -> None:
    with Workflow("sums") as inner:
        add(inner.input("x", type=int), inner.input("y", 5))
    with Workflow("outer") as made:
        inner(1)
        inner(x=inner(2, y=3))
    assert list(made.inputs) == ["sums__x", "sums__y", "sums_2__x", "sums_2__y", "sums_3__y"]
    result = made.run()
    assert [result[slot] for slot in made] == [6, 5, 10]
    assert made.run(sums_2__x=100)["sums_3__add"] == 108


def test_a_workflow_of_several_results_gives_each_by_its_step() -> None:
    with Workflow("both") as inner:
        one = load()
        scale(3)
        total(one)
        split(one)
    with Workflow("outer") as made:
        done = inner()
        gather([done["split"]["train"], done["load"]], {"a": done["scale"]})
        gather([], inner.without("split")())
        with pytest.raises(UnknownNameError, match=r"did you mean 'scale'\?"):
            done["scal"]
    result = made.run()
    assert result["gather"] == 1 + 6 + 6
    assert result["gather_2"] == 6 + 6


def test_one_output_of_what_a_workflow_ends_in_is_handed_on() -> None:
    with Workflow("parts") as inner:
        split(inner.input("raw", type=list[int]))
    with Workflow("outer") as made:
        total(inner(load())["test"])
    assert made.run()["total"] == 5


def test_workflows_nest() -> None:
    with Workflow("middle") as middle:
        add(total(cleaning()(middle.input("numbers", type=list[int]))), 1)
    with Workflow("outer") as made:
        scale(middle(load(5)))
    assert dict(made.groups) == {
        "middle": ("middle__clean_up__clean", "middle__total", "middle__add"),
        "middle__clean_up": ("middle__clean_up__clean",),
    }
    assert made.run()["scale"] == 20
    assert made["middle"]["clean_up__clean"].name == "middle__clean_up__clean"
    assert repr(made) == "Workflow('outer': load → middle → scale)"


def test_outputs_of_an_input_are_taken_from_what_is_handed_to_it() -> None:
    with Workflow("sum_train") as inner:
        total(inner.input("parts", type=Parts)["train"])
    with Workflow("outer") as made:
        parts = split(load())
        one = inner(parts)
        other = inner({"train": parts["test"], "test": []})
        add(one, other)
    assert made.run()["add"] == 1 + 5
    with (
        pytest.raises(DeclarationError, match="takes its output 'train', and it is handed 'test' of 'split'"),
        Workflow("outer"),
    ):
        inner(split(load())["test"])


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: cleaning()(), "'raw' has no value, in clean_up(raw: list[int])"),
        (lambda: cleaning()([1], 2), "it is handed 2 arguments, and has 1 inputs"),
        (lambda: cleaning()([1], raw=[2]), "'raw' is given twice"),
        (lambda: cleaning()(row=[1]), "'row' is no input of it: did you mean 'raw'?"),
        (lambda: cleaning()("abc"), "input 'clean_up__raw': expected list, got str"),
        (lambda: cleaning()(scale(1)), "'scale' gives int, but clean_up.raw is list[int]"),
        (lambda: total(cleaning()), "total.clean is handed the workflow 'clean_up' itself"),
    ],
)
def test_a_wrong_call_of_a_workflow_is_told_at_once(call, told) -> None:
    with pytest.raises(DeclarationError) as caught, Workflow("w"):
        call()
    assert told in faults_of(caught)


def test_a_workflow_is_called_only_where_another_is_composed() -> None:
    with pytest.raises(DeclarationError, match=r"to run it, write run\(raw=...\)"):
        cleaning()([1])
    with pytest.raises(DeclarationError, match="it cannot be one of its own steps"), Workflow("w") as made:
        load()
        made()


def test_sources_of_a_workflow_are_those_of_the_other() -> None:
    inner = Workflow("draws", [drawn])
    with Workflow("outer") as made:
        inner()
        inner()
    result = made.run()
    assert list(made.groups) == ["draws", "draws_2"]
    assert result["draws__drawn"] != result["draws_2__drawn"], "each has a stream of its own"


def test_a_renamed_workflow_has_another_prefix() -> None:
    with Workflow("outer") as made:
        total(cleaning().named("first")(load()))
    assert list(made.groups) == ["first"]
    with pytest.raises(DeclarationError, match="its new name is not an identifier"):
        cleaning().named("my first")


def test_groups_are_kept_by_whatever_is_made_from_a_workflow() -> None:
    made = outer_of(cleaning())
    groups = {"clean_up": ("clean_up__clean",)}
    assert made.changed(made.explicit()).groups == groups
    assert made.changed(made.explicit()) == made
    assert made.bound({}).groups == groups
    assert made.with_step(scale, x=made["total"]).groups == groups
    assert made.replaced("clean_up__clean", clean).groups == groups
    assert made.without("clean_up", instead=made["load"]).groups == {}


def test_an_experiment_takes_a_workflow_with_workflows() -> None:
    table = Experiment("e", outer_of(cleaning()), {"all": {"clean_up__clean.least": 0}}).run().table
    assert table["total"].tolist() == [5, 6]


# -- other workflows from one -----------------------------------------------------------------------------------------


@pytest.fixture
def sums() -> Workflow:
    return Workflow("sums", [load, clean, total])


def test_a_step_is_added_where_it_is_told(sums) -> None:
    assert list(sums.with_step(scale, x=sums["total"])) == ["load", "clean", "total", "scale"]
    assert list(sums.with_step(scale, x=1, before="clean")) == ["load", "scale", "clean", "total"]
    assert list(sums.with_step(scale, x=1, after="load")) == ["load", "scale", "clean", "total"]
    assert list(sums) == ["load", "clean", "total"]
    more = sums.with_step(scale, x=sums["total"])
    assert more.run()["scale"] == 12
    assert more.with_step(add, x=sums["total"], y=more["scale"]).run()["add"] == 18


def test_a_workflow_is_added(sums) -> None:
    made = sums.with_step(cleaning(), raw=sums["load"], before="total")
    assert list(made) == ["load", "clean", "clean_up__clean", "total"]
    assert made.groups == {"clean_up": ("clean_up__clean",)}


def test_a_step_is_inserted_between_another_and_what_follows(sums) -> None:
    @step
    def reverse(numbers: list[int], often: int = 1) -> list[int]:
        return [*numbers, 100 * often]

    made = sums.inserted(reverse, after="clean", often=2)
    assert list(made) == ["load", "clean", "reverse", "total"]
    assert (made.run()["total"], sums.run()["total"]) == (206, 6)
    grouped = outer_of(cleaning())
    assert grouped.inserted(reverse, after="clean_up").run()["total"] == 105
    with Workflow("w") as given:
        total(given.input("numbers", [1]))
    assert given.inserted(reverse, after="numbers").run()["total"] == 101
    two = step(first_of)
    with pytest.raises(DeclarationError, match="takes 'x' and 'y'"):
        sums.inserted(two, after="load")


def first_of(x, y):
    return x


def test_a_step_is_replaced(sums) -> None:
    @step
    def keep(load: list[int], most: int = 2) -> list[int]:
        return load[:most]

    assert sums.replaced("clean", keep).run()["total"] == 1
    assert sums.run()["total"] == 6


def test_a_step_is_removed_with_what_takes_its_place(sums) -> None:
    assert list(sums.without("total", "clean")) == ["load"]
    made = sums.without("clean", instead=sums["load"])
    assert made.run()["total"] == 6
    assert list(made) == ["load", "total"]
    assert list(sums) == ["load", "clean", "total"]


def test_sources_that_were_found_by_name_stay(sums) -> None:
    made = Workflow("w", [drawn, load]).without("load")
    assert made.run()["drawn"] == Workflow("w", [drawn]).run()["drawn"]


def test_an_input_that_lost_its_step_needs_no_value() -> None:
    with Workflow("w") as made:
        add(made.input("n", type=int))
        load()
    assert made.without("add").run()["load"] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("alter", "told"),
    [
        (lambda one: one.replaced("totl", scale), "it has no step 'totl': did you mean 'total'?"),
        (lambda one: one.replaced("total", sum), "is no step: decorate the function with @step"),
        (lambda one: one.without("lod"), "it has no step 'lod': did you mean 'load'?"),
        (lambda one: one.without("clean"), "total.clean is wired to 'clean', and no step or source"),
        (lambda one: one.without("load", "clean", "total"), "it has no steps"),
        (lambda one: one.with_step(scale, x=1, after="lod"), "it has no step 'lod': did you mean 'load'?"),
        (lambda one: one.with_step(scale, x=1, after="load", before="clean"), "give one of them"),
        (lambda one: one.with_step(scale), "'x' is missing, in scale(x: int, k: int = 2) -> int"),
        (
            lambda one: one.with_step(scale, x=one["load"]),
            "step 'load' gives list[int], but scale.x takes int",
        ),
        (lambda one: one.with_step(scale, x=Workflow("z", [load])["load"]), "of the workflow 'z'"),
        (lambda one: one.with_step(sum), "is no step: decorate the function with @step"),
        (lambda one: one.replaced("total", pair), "total.both is provided by nobody"),
    ],
)
def test_what_cannot_be_altered_is_told_and_nothing_changes(sums, alter, told) -> None:
    with pytest.raises(DeclarationError) as caught:
        alter(sums)
    assert told in faults_of(caught)
    assert sums == Workflow("sums", [load, clean, total])


def test_a_workflow_in_a_workflow_is_not_replaced_as_one() -> None:
    with pytest.raises(DeclarationError, match="is a workflow of the steps 'clean_up__clean'"):
        outer_of(cleaning()).replaced("clean_up", clean)


def test_workflows_of_different_sources_differ() -> None:
    @source(version="2", name="customers", slug="others")
    def others() -> list[int]:
        return [1]

    assert Workflow("w", [drawn]) != Workflow("w", [drawn], sources=[others])


# -- what is handed over wrongly --------------------------------------------------------------------------------------


def test_a_treatment_gives_an_input_another_value() -> None:
    @source(version="1")
    def fifty() -> int:
        return 50

    @step
    def summed(numbers: list[int], scale: int) -> int:
        return sum(numbers) * scale

    with Workflow("w") as made:
        n, pair = made.input("n", 1, int), made.input("pair", {"low": 3, "high": 4})
        summed([add(n, 1), n, pair["low"]], scale=pair["high"])
    treatments = {
        "more": {"n": 3},
        "other": {"pair": {"low": 0, "high": 1}, "add.y": 5},
        "swapped": Treatment(sources={"n": fifty}),
    }
    experiment = Experiment("e", made, treatments, replicates=2)
    result = experiment.run()
    assert dict(zip(result.table["treatment"], result.table["summed"], strict=True)) == {
        "baseline": (2 + 1 + 3) * 4,
        "more": (4 + 3 + 3) * 4,
        "other": 6 + 1 + 0,
        "swapped": (51 + 50 + 3) * 4,
    }
    again = from_document(experiment.document(), Registry([add, summed, fifty]))
    assert isinstance(again, Experiment)
    assert again.version() == experiment.version()
    with pytest.raises(DeclarationError, match=r"treatment 'wrong': input 'n'.*'x'"):
        Experiment("e", made, {"wrong": {"n": "x"}})
    with pytest.raises(DeclarationError, match=r"treatment 'typo'.*'m' is no parameter"):
        Experiment("e", made, {"typo": {"m": 1}})


def test_parameters_that_are_wired_are_not_proposed_to_treatments() -> None:
    with Workflow("w") as made:
        add(made.input("number", 1), 1)
    with pytest.raises(
        DeclarationError, match=r"'add\.bb' is no parameter of any step: did you mean 'add\.y'\?"
    ):
        Experiment("e", made, {"more": {"add.bb": 3}})


@pytest.mark.parametrize("store", [5, "folder"])
def test_what_is_no_store_is_told_before_anything_runs(store) -> None:
    with Workflow("w") as made:
        add(made.input("n", 1), 1)
    with pytest.raises(DeclarationError, match="expected a store"):
        made.run(store)


def test_inputs_that_are_no_mapping_are_told() -> None:
    with pytest.raises(DeclarationError, match="inputs is a list: expected a mapping"):
        Workflow("w", [load], inputs=["n"])


def test_a_failed_step_is_told_once_and_a_skipped_one_with_its_reason() -> None:
    @step
    def broken() -> int:
        raise ValueError("no luck")

    @step
    def later(broken: int) -> int:
        return broken

    result = Workflow("w", [broken, later]).run()
    with pytest.raises(WorkflowFailedError, match=r"\Astep 'broken': ValueError: no luck\n"):
        result["broken"]
    with pytest.raises(
        WorkflowFailedError, match="step 'later' was skipped, since step 'broken': ValueError"
    ):
        result["later"]
