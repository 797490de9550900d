"""Bad input: one clear sentence for each fault, all told together, none twice and none that only follows."""

# ruff: noqa: B008, NPY002 - what is wrong with these steps is what is tested

import functools
import pickle
import threading
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest

from workflow_assets import Columns, Hypothesis, Metrics, Treatment, source, step
from workflow_assets.declarations import Declaration
from workflow_assets.errors import DeclarationError


@dataclass
class Split:
    train: list[float]
    test: list[float]


class Score(Metrics):
    error: float
    note: str = ""


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


STEPS = [split, model, score]


def declare(**changes: Any) -> Declaration:
    given: dict[str, Any] = {"name": "study", "steps": STEPS, **changes}
    return Declaration(**given)


def faults(**changes: Any) -> list[str]:
    with pytest.raises(DeclarationError) as told:
        declare(**changes)
    assert isinstance(told.value, ValueError)
    return list(told.value.faults)


@step
def threshold() -> float:
    return 0.5


@step
def cut(model: float, threshold: float = 0.3) -> float:
    return model


@step
def needs(nothing_of_that_name: float) -> float:
    return 1.0


@step
def takes_text(model: str) -> float:
    return 1.0


@step
def framed() -> Annotated[pd.DataFrame, Columns(a=float)]:
    return pd.DataFrame({"a": [1.0]})


@step
def reframed(framed: Annotated[pd.DataFrame, Columns(a=int)]) -> float:
    return 1.0


@step
def ping(pong: float) -> float:
    return 1.0


@step
def pong(ping: float) -> float:
    return 1.0


@step
def alone(alone: float) -> float:
    return 1.0


@step
def draws() -> float:
    return float(np.random.rand())


@step
def draws_twice(model: float) -> float:
    return float(np.random.rand()) + RNG.normal()


RNG = np.random.default_rng(0)


@step
def options(rate: float = 1.0, tool: Any = None) -> float:
    return rate


@step
def wrong_default(rate: float = "high") -> float:  # type: ignore[assignment]
    return 1.0


@step
def locked(tool: Any = threading.Lock()) -> float:
    return 1.0


@step(name="numbers")
def also_numbers() -> list[float]:
    return []


@step(name="a")
def on_b(b: float) -> float:
    return b


@step(name="b")
def on_a(a: float) -> float:
    return a


@step(name="rng")
def called_rng() -> float:
    return 1.0


@step
def reads_sources(first: float, second: float) -> float:
    return 1.0


def undecorated(split):
    return split


def loads():
    return 1


@source(version="9")
def unread() -> float:
    return 1.0


@dataclass
class Holder:
    lock: Any = field(default_factory=threading.Lock)


H: dict[str, Any] = {"metric": "score.error", "treatment": "weak"}
WEAK = {"weak": {"model.rate": 2.0}}


def shaken(value):
    return value + np.random.normal()


BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a name that is no identifier": (
        {"name": "my study"},
        ["its name is not an identifier; letters, digits and underscores are: 'my_study'"],
    ),
    "a name that is no text": ({"name": 3}, ["its name is a int, not a string"]),
    "no steps": ({"steps": []}, ["it has no steps"]),
    "steps that are none": ({"steps": None}, ["it has no steps"]),
    "one step": ({"steps": model}, ["steps is a Step: expected a list such as [split, model, score]"]),
    "steps by name": (
        {"steps": {"model": model}},
        ["steps is a dict: expected a list such as [split, model, score]"],
    ),
    "a function that is no step": (
        {"steps": [split, undecorated, model]},
        ["steps[1] is 'undecorated', not a step: decorate it with @step"],
    ),
    "a value among the steps": ({"steps": [*STEPS, 3]}, ["steps[3] is '3', not a step but a int"]),
    "a list among the steps": (
        {"steps": [STEPS]},
        [
            (
                "steps[0] is '[Step(split(numbers, rng, share)), Step(model(split, rate, sizes)), Step(scor...', "
                "not a step: write the steps one after the other in one list"
            )
        ],
    ),
    "a step inside another decorator": (
        {"steps": [split, functools.wraps(model)(lambda **given: model(**given))]},
        ["steps[1] is 'model', a step inside another decorator: write @step above the other decorators"],
    ),
    "a missing step that a function which is none would be": (
        {"steps": [split, score, functools.wraps(model.function)(lambda: 1)]},
        ["steps[2] is 'model', not a step: decorate it with @step"],
    ),
    "two steps of one name": (
        {"steps": [*STEPS, deeper.named("model")]},
        ["two steps are called 'model': use model.named('another') for one of them"],
    ),
    "a misspelt parameter": (
        {"parameters": {"modle.rate": 1.0}},
        ["'modle.rate' is no parameter of any step: did you mean 'model.rate'?"],
    ),
    "a misspelt parameter in a treatment": (
        {"treatments": {"weak": {"model.rat": 1.0}}},
        ["treatment 'weak': 'model.rat' is no parameter of any step: did you mean 'model.rate'?"],
    ),
    "a misspelt parameter in two treatments": (
        {"treatments": {"a": {"model.rat": 1.0}, "b": {"model.rat": 1.0}}},
        [
            "treatment 'a': 'model.rat' is no parameter of any step: did you mean 'model.rate'?",
            "treatment 'b': 'model.rat' is no parameter of any step: did you mean 'model.rate'?",
        ],
    ),
    "a misspelt parameter, told once for all treatments": (
        {"parameters": {"model.rat": 1.0}, "treatments": {"a": {}, "b": Treatment(steps={"split": split})}},
        ["'model.rat' is no parameter of any step: did you mean 'model.rate'?"],
    ),
    "an address without a dot": (
        {"parameters": {"rate": 1.0}},
        ["'rate' is no parameter of any step: did you mean 'model.rate'?"],
    ),
    "an address that is no text": (
        {"parameters": {3: 1.0}},
        ["parameters has the key 3, which is not a text"],
    ),
    "parameters that are no mapping": (
        {"parameters": ["model.rate"]},
        ["parameters is a list: expected a mapping such as {'step.parameter': value}"],
    ),
    "a parameter that the engine gives": (
        {"parameters": {"split.rng": 1}},
        ["'split.rng' is given by the engine and cannot be set"],
    ),
    "a step as a parameter": (
        {"treatments": {"deep": {"model": deeper}}},
        [
            "treatment 'deep': 'model' is set to a step: to swap a step, write Treatment(steps={'model': deeper})"
        ],
    ),
    "an input that is set": (
        {"parameters": {"model.split": 1}},
        ["model.split is wired to step 'split' and cannot be set to a value too"],
    ),
    "a value of the wrong type": (
        {"parameters": {"model.rate": "high"}},
        ["model.rate: expected float, got str 'high'"],
    ),
    "a value of the wrong type, told once for all treatments": (
        {"parameters": {"model.rate": "high"}, "treatments": {"a": {}, "b": {"split.share": 0.1}}},
        ["model.rate: expected float, got str 'high'"],
    ),
    "a value of the wrong type in two treatments": (
        {"treatments": {"a": {"model.rate": "high"}, "b": {"model.rate": "high"}}},
        [
            "treatment 'a': model.rate: expected float, got str 'high'",
            "treatment 'b': model.rate: expected float, got str 'high'",
        ],
    ),
    "a default of the wrong type": (
        {"steps": [wrong_default], "treatments": {"a": {}}},
        ["wrong_default.rate: expected float, got str 'high'"],
    ),
    "an unkeyable value": (
        {"steps": [options], "parameters": {"options.tool": Holder()}},
        [
            "options.tool = ",
            (
                " cannot be part of a compute key: lock values cannot be written down "
                "(cannot pickle '_thread.lock' object). Pass a plain value, or load it in a source"
            ),
        ],
    ),
    "an unkeyable default": (
        {"steps": [locked]},
        [
            "locked.tool = ",
            (
                " cannot be part of a compute key: lock values cannot be written down "
                "(cannot pickle '_thread.lock' object). Pass a plain value, or load it in a source"
            ),
        ],
    ),
    "a large value": (
        {"steps": [options], "parameters": {"options.tool": np.zeros(1_000_000)}},
        ["options.tool holds 8.0 MB; a parameter holds at most 1 MB. Make it a source"],
    ),
    "a function that draws": (
        {"steps": [options], "parameters": {"options.tool": shaken}},
        [
            "options.tool = ",
            (
                " draws from 'numpy.random.normal', whose numbers depend on everything that ran before: "
                "pass what takes a generator as an argument, or declare step 'options' with legacy_rng=True"
            ),
        ],
    ),
    "a name that is both a step and a parameter": (
        {"steps": [*STEPS, threshold, cut]},
        ["cut.threshold could be step 'threshold' or the parameter with default 0.3: rename one of them"],
    ),
    "a name that is both, told once for all treatments": (
        {"steps": [*STEPS, threshold, cut], "treatments": WEAK},
        ["cut.threshold could be step 'threshold' or the parameter with default 0.3: rename one of them"],
    ),
    "an input nobody provides": (
        {"steps": [needs]},
        [
            (
                "needs.nothing_of_that_name is provided by nobody: no step or source is called "
                "'nothing_of_that_name' "
                "(there are 'rng', 'seed', 'replicate', 'treatment' and 'ctx'), it has no default, and "
                "parameters={'needs.nothing_of_that_name': ...} does not set it"
            )
        ],
    ),
    "an input nobody provides, told once for all treatments": (
        {"steps": [split, score], "treatments": {"a": {}, "b": {"split.share": 0.1}}},
        [
            (
                "score.model is provided by nobody: no step or source is called 'model' (there are 'split', "
                "'numbers', 'rng', "
                "'seed', 'replicate', 'treatment' and 'ctx'), it has no default, and parameters={'score.model': "
                "...} does not "
                "set it"
            )
        ],
    ),
    "an input with a near match": (
        {"steps": [split, model.named("modell"), score]},
        [
            (
                "score.model is provided by nobody: no step or source is called 'model' (did you mean "
                "'modell'?), it has no "
                "default, and parameters={'score.model': ...} does not set it"
            )
        ],
    ),
    "types that do not meet": (
        {"steps": [split, model, takes_text]},
        ["step 'model' gives float, but takes_text.model takes str"],
    ),
    "types that do not meet, told once for all treatments": (
        {"steps": [split, model, takes_text], "treatments": WEAK},
        ["step 'model' gives float, but takes_text.model takes str"],
    ),
    "columns that do not meet": (
        {"steps": [framed, reframed]},
        [
            (
                "step 'framed' gives DataFrame with Columns(a=float), but reframed.framed takes DataFrame with "
                "Columns(a=int)"
            )
        ],
    ),
    "a cycle": ({"steps": [ping, pong]}, ["steps depend on each other in a circle: ping → pong → ping"]),
    "a cycle, told once for all treatments": (
        {"steps": [ping, pong, options], "treatments": {"a": {"options.rate": 2.0}}},
        ["steps depend on each other in a circle: ping → pong → ping"],
    ),
    "a step that reads itself": (
        {"steps": [alone]},
        ["alone.alone has the name of its own step, which cannot be its own input: rename one"],
    ),
    "a name that is both a step and a source": (
        {"steps": [*STEPS, also_numbers], "sources": [numbers]},
        ["'numbers' names both a step and a source: rename one of them"],
    ),
    "a step named like what the engine gives": (
        {"steps": [called_rng, options]},
        ["'rng' is what the engine gives to steps: rename the step or source"],
    ),
    "a source that is none": (
        {"sources": [loads]},
        ["sources has 'loads', which is not a source: decorate it with @source"],
    ),
    "one source": ({"sources": others}, ["sources is a Source: expected a list such as [customers, orders]"]),
    "two sources of one name": (
        {"sources": [numbers, source(version="8", name="numbers")(loads)]},
        ["two sources are called 'numbers': give one of them another name"],
    ),
    "two sources of one name in two treatments": (
        {"treatments": {"a": Treatment(sources={"numbers": source(version="8", name="numbers")(loads)})}},
        ["two different sources are called 'numbers': give one of them another name"],
    ),
    "a source that nobody reads": (
        {"sources": [unread]},
        ["source 'unread' is read by no step: name a step's parameter after it, or leave it out"],
    ),
    "treatments that are a list": (
        {"treatments": [{"model.rate": 1.0}]},
        [
            "treatments is a list: expected a mapping from names to treatments, such as {'strong': {'model.C': 0.01}}"
        ],
    ),
    "a treatment that is a value": (
        {"treatments": {"weak": 0.5}},
        [
            "treatment 'weak' is a float: expected Treatment(...) or a mapping such as {'step.parameter': value}"
        ],
    ),
    "a treatment that is a step": (
        {"treatments": {"deep": deeper}},
        [
            "treatment 'deep' is a Step: expected Treatment(...) or a mapping such as {'step.parameter': value}"
        ],
    ),
    "a treatment's name that is unsafe": (
        {"treatments": {"a|b": {}}},
        ["treatment 'a|b' contains '|', which joins dimensions in a partition key"],
    ),
    "a treatment's name that is no text": ({"treatments": {3: {}}}, ["treatment 3 is a int, not a string"]),
    "an empty treatment's name": (
        {"treatments": {"": {}}},
        ["treatment '' is empty or begins or ends with white space"],
    ),
    "a baseline that changes": (
        {"treatments": {"baseline": {"model.rate": 2.0}}},
        ["treatment 'baseline' is the workflow without any change; give this one another name"],
    ),
    "an unknown step in a treatment": (
        {"treatments": {"deep": Treatment(steps={"modle": deeper})}},
        ["treatment 'deep' swaps the unknown step 'modle': did you mean 'model'?"],
    ),
    "an unknown source in a treatment": (
        {"treatments": {"other": Treatment(sources={"nubmers": others})}},
        ["treatment 'other' swaps the unknown source 'nubmers': did you mean 'numbers'?"],
    ),
    "a parameter that a swapped step has not": (
        {"treatments": {"deep": Treatment({"model.sizes": (1,)}, steps={"model": deeper})}},
        [
            "treatment 'deep': 'model.sizes' is no parameter of any step: did you mean 'model.rate' or 'model.depth'?"
        ],
    ),
    "a swapped step of another type": (
        {"treatments": {"wrong": Treatment(steps={"split": options})}},
        [
            "treatment 'wrong': step 'split' gives float, but model.split takes Split",
            "treatment 'wrong': step 'split' gives float, but score.split takes Split",
        ],
    ),
    "a swapped step without its input": (
        {"treatments": {"wrong": Treatment(steps={"model": needs})}},
        [
            (
                "treatment 'wrong': model.nothing_of_that_name is provided by nobody: no step or source is called "
                "'nothing_of_that_name' (there are 'split', 'score', 'numbers', 'rng', 'seed', 'replicate', "
                "'treatment' and "
                "'ctx'), it has no default, and parameters={'model.nothing_of_that_name': ...} does not set it"
            )
        ],
    ),
    "treatments that wire in opposite directions": (
        {
            "steps": [options.named("a"), options.named("b")],
            "treatments": {
                "one": Treatment(steps={"a": on_b}),
                "two": Treatment(steps={"b": on_a}),
            },
        },
        [
            "treatments wire steps in opposite directions: a → b → a; the assets of all treatments share one lineage"
        ],
    ),
    "no replicates": (
        {"replicates": 0},
        ["replicates = 0: expected a whole number of at least 1, or the names of units"],
    ),
    "half replicates": (
        {"replicates": 2.5},
        ["replicates = 2.5: expected a whole number of at least 1, or the names of units"],
    ),
    "negative replicates": (
        {"replicates": np.int64(-1)},
        ["replicates = np.int64(-1): expected a whole number of at least 1, or the names of units"],
    ),
    "true replicates": (
        {"replicates": True},
        ["replicates = True: expected a whole number of at least 1, or the names of units"],
    ),
    "text as replicates": (
        {"replicates": "ab"},
        ["replicates = 'ab': expected a whole number of at least 1, or the names of units"],
    ),
    "numbered units": (
        {"replicates": range(5)},
        ["replicates = range(0, 5): expected a whole number of at least 1, or the names of units"],
    ),
    "no units": ({"replicates": []}, ["replicates is empty: name at least one unit, or give a number"]),
    "unordered units": (
        {"replicates": {"a", "b"}},
        ["replicates is a set, which has no order: give a list of units"],
    ),
    "bad units": (
        {"replicates": ["a", "a", "b,c", 3]},
        [
            "unit 'a' is named more than once",
            "unit 'b,c' contains ',', which separates keys in a partition key",
            "unit 3 is a int, not a string",
        ],
    ),
    "a bad fraction": (
        {"replicates": None},
        ["replicates = None: expected a whole number of at least 1, or the names of units"],
    ),
    "a seed that is no number": ({"seed": "42"}, ["seed = '42': expected a whole number of 0 or more"]),
    "a negative seed": ({"seed": -1}, ["seed = -1: expected a whole number of 0 or more"]),
    "a true seed": ({"seed": True}, ["seed = True: expected a whole number of 0 or more"]),
    "a seed with a fraction": ({"seed": 1.0}, ["seed = 1.0: expected a whole number of 0 or more"]),
    "a description that is no text": ({"description": 3}, ["description = 3: expected a text"]),
    "owners that are no texts": ({"owners": [3]}, ["owners = [3]: expected e-mail addresses or 'team:name'"]),
    "an owner that is no text": ({"owners": 3}, ["owners = 3: expected e-mail addresses or 'team:name'"]),
    "tags that are no texts": (
        {"tags": {"a": 1}},
        ["tags = {'a': 1}: expected a mapping from texts to texts"],
    ),
    "tags that are a list": ({"tags": ["a"]}, ["tags = ['a']: expected a mapping from texts to texts"]),
    "one hypothesis": (
        {"treatments": WEAK, "hypotheses": Hypothesis("h", **H)},
        ["hypotheses is a Hypothesis: expected a list such as [Hypothesis(...)]"],
    ),
    "a hypothesis that is none": (
        {"treatments": WEAK, "hypotheses": ["h"]},
        ["hypotheses has a str: expected Hypothesis(...)"],
    ),
    "two hypotheses of one name": (
        {"treatments": WEAK, "hypotheses": [Hypothesis("h", **H), Hypothesis("h", **H, margin=1.0)]},
        ["two hypotheses are called 'h': give one of them another name"],
    ),
    "an undeclared metric": (
        {"treatments": WEAK, "hypotheses": [Hypothesis("h", metric="score.eror", treatment="weak")]},
        ["hypothesis 'h' is about 'score.eror', which no step declares: did you mean 'score.error'?"],
    ),
    "a metric of a step that reports none": (
        {"treatments": WEAK, "hypotheses": [Hypothesis("h", metric="split", treatment="weak")]},
        [
            (
                "hypothesis 'h' is about 'split', which no step declares: there are 'model', 'score.error' and "
                "'score.note'"
            )
        ],
    ),
    "a metric that one arm does not declare": (
        {
            "treatments": {"none": Treatment(steps={"score": split.named("score")})},
            "hypotheses": [Hypothesis("h", metric="score.error", treatment="none")],
        },
        ["hypothesis 'h' is about 'score.error', which no step declares under 'none': there is only 'model'"],
    ),
    "a metric that is text": (
        {"treatments": WEAK, "hypotheses": [Hypothesis("h", metric="score.note", treatment="weak")]},
        ["hypothesis 'h' is about 'score.note', which is text: nothing to compare"],
    ),
    "an unknown treatment": (
        {"treatments": WEAK, "hypotheses": [Hypothesis("h", metric="score.error", treatment="waek")]},
        ["hypothesis 'h' is about the unknown treatment 'waek': did you mean 'weak'?"],
    ),
    "two unknown treatments": (
        {
            "treatments": WEAK,
            "hypotheses": [Hypothesis("h", metric="score.error", treatment="x", against="y")],
        },
        [
            "hypothesis 'h' is about the unknown treatment 'x': there are 'baseline' and 'weak'",
            "hypothesis 'h' is about the unknown treatment 'y': there are 'baseline' and 'weak'",
        ],
    ),
    "a test for re-splits without re-splits": (
        {"treatments": WEAK, "hypotheses": [Hypothesis("h", **H, test="corrected_resampled_t")]},
        [
            (
                "hypothesis 'h' asks for corrected_resampled_t, which is for re-splits of one data set: declare "
                "replicates=resamples(count, test_fraction=...)"
            )
        ],
    ),
    "undeclared global randomness": (
        {"steps": [draws]},
        [
            (
                "step 'draws' draws from 'numpy.random.rand', whose numbers depend on all that ran before: take "
                "`rng` or `seed` "
                "as a parameter, or declare @step(legacy_rng=True)"
            )
        ],
    ),
    "undeclared global randomness of two kinds": (
        {"steps": [*STEPS, draws_twice]},
        [
            (
                "step 'draws_twice' draws from 'RNG' and 'numpy.random.rand', whose numbers depend on all that "
                "ran before: "
                "take `rng` or `seed` as a parameter, or declare @step(legacy_rng=True)"
            )
        ],
    ),
    "undeclared global randomness in two slots": (
        {"steps": [draws, draws.named("again")], "treatments": {"a": Treatment(steps={"draws": draws})}},
        [
            (
                "step 'draws' draws from 'numpy.random.rand', whose numbers depend on all that ran before: take "
                "`rng` or `seed` "
                "as a parameter, or declare @step(legacy_rng=True)"
            )
        ],
    ),
    "undeclared global randomness of a swapped step": (
        {"treatments": {"a": Treatment(steps={"model": draws})}},
        [
            (
                "step 'draws' draws from 'numpy.random.rand', whose numbers depend on all that ran before: take "
                "`rng` or `seed` "
                "as a parameter, or declare @step(legacy_rng=True)"
            )
        ],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_each_fault_is_one_sentence(case):
    """It names the thing, what was expected and what to do; nothing is told twice, and nothing that only follows."""
    changes, told = BAD[case]
    found = faults(**changes)
    if len(told) == 2 and told[0].endswith(" = "):  # a value whose representation has an address
        assert len(found) == 1
        assert found[0].startswith(told[0])
        assert found[0].endswith(told[1])
    else:
        assert found == told


def test_all_faults_are_told_together():
    """In the order of the arguments, numbered."""
    with pytest.raises(DeclarationError) as told:
        declare(
            name="my study",
            seed=-1,
            replicates=0,
            parameters={"modle.rate": 1.0, "model.rate": "high"},
            treatments={"a|b": {}, "weak": {"split.share": "half"}},
            hypotheses=[
                Hypothesis("first", metric="score.eror", treatment="weak"),
                Hypothesis("second", metric="score.error", treatment="a|b"),
            ],
        )
    assert str(told.value) == (
        "experiment 'my study' has 7 faults:\n"
        "  1. its name is not an identifier; letters, digits and underscores are: 'my_study'\n"
        "  2. seed = -1: expected a whole number of 0 or more\n"
        "  3. replicates = 0: expected a whole number of at least 1, or the names of units\n"
        "  4. treatment 'a|b' contains '|', which joins dimensions in a partition key\n"
        "  5. 'modle.rate' is no parameter of any step: did you mean 'model.rate'?\n"
        "  6. model.rate: expected float, got str 'high'\n"
        "  7. treatment 'weak': split.share: expected float, got str 'half'"
    )
    assert pickle.loads(pickle.dumps(told.value)).faults == told.value.faults


def test_one_fault_is_told_in_one_line():
    """After the name of the experiment."""
    with pytest.raises(
        DeclarationError, match=r"^experiment 'study': seed = -1: expected a whole number of 0 or more$"
    ):
        declare(seed=-1)


def test_what_only_follows_from_a_fault_is_not_told():
    """A step that is none is no missing input, no unknown parameter, no unknown step and no unknown metric."""
    told = faults(
        steps=[split, undecorated, score],
        parameters={"undecorated.rate": 1.0},
        treatments={
            "a": {"undecorated.rate": 2.0},
            "b": Treatment(steps={"undecorated": model}),
            "c d|": {},
        },
        hypotheses=[
            Hypothesis("h", metric="undecorated", treatment="a"),
            Hypothesis("i", metric="undecorated.error", treatment="c d|"),
        ],
    )
    assert told == [
        "treatment 'c d|' contains '|', which joins dimensions in a partition key",
        "steps[1] is 'undecorated', not a step: decorate it with @step",
        (
            "score.model is provided by nobody: no step or source is called 'model' (there are 'split', "
            "'numbers', 'rng', "
            "'seed', 'replicate', 'treatment' and 'ctx'), it has no default, and parameters={'score.model': ...} "
            "does not "
            "set it"
        ),
    ]


def test_a_legacy_step_may_draw():
    """It said so."""

    @step(legacy_rng=True)
    def f(tool: Any = None) -> float:
        return float(np.random.rand())

    assert declare(steps=[f], parameters={"f.tool": shaken}).workflow.nodes["f"].step.random


def test_declaring_computes_nothing():
    """Neither steps nor loaders run."""

    @source
    def never() -> float:
        raise AssertionError("loaded")

    @step
    def f(never: float) -> float:
        raise AssertionError("run")

    assert declare(steps=[f]).slots == ("f",)
