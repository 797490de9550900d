"""Generated workflows and experiments, for what must hold of all documents."""

from typing import Any, TypedDict

from hypothesis import strategies as st

from workflow_assets import Experiment, Hypothesis, Registry, Retries, Treatment, Workflow, source, step
from workflow_assets.replicates import resamples, units

REGISTRY = Registry()


class Halves(TypedDict):
    low: int
    high: int


@REGISTRY.add
@step
def constant(value: int = 1) -> int:
    return value


@REGISTRY.add
@step
def plus(a: int, b: int = 0) -> int:
    return a + b


@REGISTRY.add
@step
def times(a: int, b: int = 1) -> int:
    return a * b


@REGISTRY.add
@step
def joined(parts: list[int]) -> int:
    return sum(parts)


@REGISTRY.add
@step(slug="gather.named parts")
def gathered(named: dict[str, int]) -> int:
    return sum(named.values())


@REGISTRY.add
@step
def halves(n: int) -> Halves:
    return {"low": n // 2, "high": n - n // 2}


@REGISTRY.add
@step
def labelled(n: int, text: str = "", size: float = 1.0, tags: tuple[str, ...] = (), more: Any = None) -> int:
    return n + len(text) + len(tags)


@REGISTRY.add
@source(version="1")
def shop() -> int:
    return 17


TEXTS = st.text(max_size=12)
WHOLE = st.integers(-(2**70), 2**70)
FRACTIONS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | FRACTIONS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
NAMES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,8}\Z").filter(
    lambda name: name not in {"results", "rng", "seed", "replicate", "treatment", "ctx"}
)
RETRIES = st.integers(0, 5) | st.builds(
    Retries, st.integers(0, 5), wait=st.floats(0, 9), backoff=st.floats(1, 3)
)


@st.composite
def workflows(draw: Any) -> Workflow:
    """Compose a workflow by call, of whole numbers that are handed on."""
    workflow = Workflow(draw(NAMES.map("flow_".__add__)), description=draw(TEXTS))
    with workflow:
        numbers: list[Any] = [shop] if draw(st.booleans()) else []
        inputs = [
            workflow.input(f"input_{number}", draw(WHOLE), *draw(st.sampled_from([(), (int,)])))
            for number in draw(st.lists(st.integers(1, 99), max_size=2, unique=True))
        ]
        numbers += inputs
        if inputs:
            numbers.append(joined(list(inputs)))  # an input that is read by nobody cannot be run
        for _ in range(draw(st.integers(1, 6))):
            numbers += draw(calls(numbers))
    for slot, call in workflow.calls.items():
        if draw(st.booleans()):
            workflow.calls[slot] = type(call)(call.step, call.wires, call.values, ui=draw(JSON))
    workflow.ui = draw(JSON)
    return workflow


@st.composite
def calls(draw: Any, numbers: list[Any]) -> list[Any]:
    """Call a step, and give the numbers that it gives."""
    number = st.sampled_from(numbers) | WHOLE if numbers else WHOLE
    traits = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "retries": RETRIES,
                "timeout": st.none(),
                "stream": st.none() | NAMES,
                "memo": st.booleans(),
            },
        )
    )
    kind = draw(st.sampled_from(["constant", "plus", "joined", "gathered", "halves", "labelled"]))
    if kind == "constant":
        return [constant.with_traits(**traits)(draw(WHOLE))]
    if kind == "plus":
        return [plus.with_traits(**traits)(draw(number), draw(number))]
    if kind == "joined":
        return [joined.with_traits(**traits)(draw(st.lists(number, max_size=3)))]
    if kind == "gathered":
        return [gathered.with_traits(**traits)(draw(st.dictionaries(TEXTS, number, max_size=3)))]
    if kind == "halves":
        both: Any = halves.with_traits(**traits)(draw(number))
        return [both["low"], both["high"]]
    settings = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "text": TEXTS,
                "size": FRACTIONS,
                "tags": st.lists(TEXTS, max_size=2).map(tuple),
                "more": JSON,
            },
        )
    )
    return [labelled.with_traits(**traits)(draw(number), **settings)]


REPLICATES = st.one_of(
    st.integers(1, 9),
    st.just(["one", "two"]),
    st.just(resamples(4, test_fraction=0.25)),
    st.just(units(["P1/a", "P1/b", "P2/a"], levels=("plate", "well"), unit="plate")),
)
TREATMENTS = {
    "more": Treatment({"plus.b": 3}, description="more of it"),
    "swapped": Treatment(steps={"plus": times.with_traits(retries=2)}, tuned=4),
}
HYPOTHESES = [
    Hypothesis("more_is_more", metric="plus", treatment="more", margin=0.5),
    Hypothesis("not_alike", metric="plus", treatment=("more", "swapped"), family="all", paired=False),
    Hypothesis(
        "both",
        metric={"plus": "greater", "last": ("less", 1.0)},
        treatment="more",
        accept=("supported", "refuted"),
    ),
    Hypothesis("alike", metric="plus", treatment="swapped", alternative="equivalent", margin=2.0, gate=True),
]


@st.composite
def experiments(draw: Any) -> Experiment:
    """Declare an experiment on a workflow with a step `plus` and one that follows it."""
    with Workflow("base") as workflow:
        total = plus(workflow.input("given", draw(WHOLE)), b=draw(st.integers(-9, 9)))
        plus.named("last")(draw(st.just(total)), 1)
    return Experiment(
        draw(NAMES.map("study_".__add__)),
        workflow,
        TREATMENTS,
        draw(REPLICATES),
        draw(st.lists(st.sampled_from(HYPOTHESES), unique_by=lambda one: one.name)),
        seed=draw(st.integers(0, 2**130)),
        description=draw(TEXTS),
        owners=draw(st.lists(st.just("somebody@example.org"), max_size=1)),
        tags=draw(st.dictionaries(TEXTS, TEXTS, max_size=2)),
    )
