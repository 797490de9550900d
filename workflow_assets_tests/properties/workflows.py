"""Generated workflows and experiments, for what must hold of all documents."""

from collections.abc import Iterator
from typing import Any, TypedDict

import pandas as pd
from hypothesis import strategies as st

from workflow_assets import (
    Experiment,
    Hypothesis,
    Metrics,
    Registry,
    Retries,
    Treatment,
    Workflow,
    crossed,
    factorial,
    sets,
    source,
    step,
)
from workflow_assets.replicates import Replicates, resamples, units

REGISTRY = Registry()
for _one in sets.READY:
    REGISTRY.add(_one)


class Halves(TypedDict):
    low: int
    high: int


class Rates(Metrics):
    share: float
    size: int


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
def nested(deep: dict[str, list[dict[str, int]]], more: Any = None) -> int:
    return sum(sum(one.values()) for many in deep.values() for one in many)


@REGISTRY.add
@step
def halves(n: int) -> Halves:
    return {"low": n // 2, "high": n - n // 2}


@REGISTRY.add
@step
def rated(n: int, scale: float = 1.0) -> Rates:
    return Rates(share=scale, size=n % 97)


@REGISTRY.add
@step
def labelled(n: int, text: str = "", size: float = 1.0, tags: tuple[str, ...] = (), more: Any = None) -> int:
    return n + len(text) + len(tags)


@REGISTRY.add
@step
def paired(pair: tuple[int, ...], names: tuple[str, ...] = ()) -> str:
    return f"{pair} {names}"


@REGISTRY.add
@step
def counted(n: int) -> list[int]:
    return list(range(n % 4))


@REGISTRY.add
@step
def yielded(n: int) -> Iterator[int]:
    yield from range(n % 3)


@REGISTRY.add
@step
def keyed(n: int) -> dict[str, int]:
    return {"one": n, "é 2": n + 1}


@REGISTRY.add
@step
def framed(n: int) -> pd.DataFrame:
    return pd.DataFrame({"x": range(n % 3), "name": [f"row {place}" for place in range(n % 3)]})


@REGISTRY.add
@step
def of_row(row: dict[str, Any], weight: int = 1) -> int:
    return int(row["x"]) * weight


@REGISTRY.add
@step
async def waited(n: int) -> int:
    return -n


@REGISTRY.add
@step
def written(n: int, before: str = "") -> str:
    return f"{before}{n}"


@REGISTRY.add
@source(version="1")
def shop() -> int:
    return 17


@REGISTRY.add
@source(version="1")
def tax() -> int:
    return 3


@REGISTRY.add
@source(slug="shop.other", version="1")
def other_shop() -> int:
    return 18


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
TRAITS = st.fixed_dictionaries(
    {},
    optional={
        "retries": RETRIES,
        "timeout": st.none(),
        "stream": st.none() | NAMES,
        "memo": st.booleans(),
        "resources": st.sampled_from([{}, {"memory": "1 KiB"}]),
    },
)
SOME = st.integers(-9, 9)
"""Numbers that few collections of are equal."""


class Pool:
    """What there is to hand on, by what it is: numbers, and collections of numbers by what kind they are."""

    def __init__(self) -> None:
        self.numbers: list[Any] = []
        self.many: list[Any] = []
        self.named: list[Any] = []
        self.frames: list[Any] = []

    def number(self) -> st.SearchStrategy[Any]:
        return st.sampled_from(self.numbers) | WHOLE if self.numbers else WHOLE

    def collection(self) -> st.SearchStrategy[Any]:
        told = st.lists(self.number(), max_size=3) | st.dictionaries(TEXTS, self.number(), max_size=3)
        pending = [*self.many, *self.named]
        return st.sampled_from(pending) | told if pending else told


@st.composite
def workflows(draw: Any, *, given: bool = True) -> Workflow:
    """Compose a workflow by call, of numbers and collections of them that are handed on.

    Some inputs have no value where not all are `given`: that of each is 3.
    """
    workflow = Workflow(draw(NAMES.map("flow_".__add__)), description=draw(TEXTS))
    with workflow:
        pool = Pool()
        pool.numbers += draw(st.sampled_from([[], [shop], [tax, shop]]))
        for number in draw(st.lists(st.integers(1, 99), max_size=2, unique=True)):
            if given or draw(st.booleans()):
                one = workflow.input(f"input_{number}", draw(WHOLE), *draw(st.sampled_from([(), (int,)])))
            else:
                one = workflow.input(f"input_{number}", *draw(st.sampled_from([(), (int,)])))
            pool.numbers.append(joined([one]))  # an input that is read by nobody cannot be run
            pool.numbers.append(one)
        if draw(st.booleans()):
            many = workflow.input(
                "many", draw(st.lists(SOME, max_size=3)), *draw(st.sampled_from([(), (list[int],)]))
            )
            pool.numbers.append(joined(many))
            pool.many.append(many)
        for _ in range(draw(st.integers(1, 6))):
            getattr(Caller(draw, pool), draw(st.sampled_from(KINDS)))()
    for slot, call in workflow.calls.items():
        if draw(st.booleans()):
            workflow.calls[slot] = type(call)(call.step, call.wires, call.values, call.by_name, draw(JSON))
    workflow.ui = draw(JSON)
    return workflow


@st.composite
def parts(draw: Any) -> Workflow:
    """Compose a workflow that is to be one step of another: it has one or two results, and maybe another in it."""
    inner = Workflow(draw(st.sampled_from(["part", "clean", "é".encode().hex()]).map("g_".__add__)))
    with inner:
        one = inner.input("start", *draw(st.sampled_from([(), (3,), (3, int)])))
        low = plus(one, inner.input("step", 2))
        if draw(st.booleans()):
            with Workflow("within") as within:
                times(within.input("n", type=int), 3)
            low = within(low)
        if draw(st.booleans()):
            halves(low)
        if draw(st.booleans()):
            constant(draw(WHOLE))
    return inner


class Caller:
    """Calls one step, and adds what it gives to what there is: each method is one kind of call."""

    def __init__(self, draw: Any, pool: Pool) -> None:
        self._draw = draw
        self._pool = pool
        self._number = pool.number()
        self._traits = draw(TRAITS)

    def _using(self, one: Any) -> Any:
        return one.with_traits(**self._traits)

    def _add(self, one: Any, *args: Any, **kwargs: Any) -> None:
        self._pool.numbers.append(self._using(one)(*args, **kwargs))

    def _many(self) -> Any:
        return self._draw(self._pool.collection())

    def group(self) -> None:
        made = self._draw(parts())(self._draw(self._number))
        if len(made.results) == 1:
            whole = made.whole()
            self._pool.numbers += [whole["low"]] if "halves" in whole.name else [whole]
        else:
            nested({"all": [{"one": made[one]} for one in made.results if one != "halves"]})

    def constant(self) -> None:
        self._add(constant, self._draw(WHOLE))

    def plus(self) -> None:
        self._add(plus, self._draw(self._number), self._draw(self._number))

    def joined(self) -> None:
        self._add(joined, self._draw(st.lists(self._number, max_size=3)))

    def gathered(self) -> None:
        self._add(gathered, self._draw(st.dictionaries(TEXTS, self._number, max_size=3)))

    def nested(self) -> None:
        inner = st.dictionaries(TEXTS, self._number, max_size=2)
        deep = self._draw(st.dictionaries(TEXTS, st.lists(inner, max_size=2), max_size=2))
        self._add(nested, deep, more=self._draw(JSON))

    def halves(self) -> None:
        both: Any = self._using(halves)(self._draw(self._number))
        self._pool.numbers += self._draw(st.sampled_from([[both["low"]], [both["low"], both["high"]]]))

    def rated(self) -> None:
        made: Any = self._using(rated)(self._draw(self._number), self._draw(FRACTIONS))
        self._pool.numbers.append(made["size"])

    def labelled(self) -> None:
        optional = {
            "text": TEXTS,
            "size": FRACTIONS,
            "tags": st.lists(TEXTS, max_size=2).map(tuple),
            "more": JSON,
        }
        settings = self._draw(st.fixed_dictionaries({}, optional=optional))
        self._add(labelled, self._draw(self._number), **settings)

    def waited(self) -> None:
        self._add(waited, self._draw(self._number))

    def written(self) -> None:
        self._using(written)(self._draw(self._number), self._draw(TEXTS))

    def paired(self) -> None:
        pair = [self._draw(self._number), self._draw(self._number)]
        self._using(paired)(pair, tuple(self._draw(st.lists(TEXTS, max_size=2))))

    def collections(self) -> None:
        one, there = self._draw(
            st.sampled_from(
                [
                    (counted, self._pool.many),
                    (yielded, self._pool.many),
                    (keyed, self._pool.named),
                    (framed, self._pool.frames),
                ]
            )
        )
        there.append(self._using(one)(self._draw(self._number)))

    def each(self) -> None:
        one = self._draw(st.sampled_from([plus.each("a"), times.each(), waited.each(), labelled.each("n")]))
        self._pool.many.append(self._using(one)(self._many()))

    def zipped(self) -> None:
        both = self._many()
        self._using(plus.each("a", "b"))(both, self._draw(st.just(both) | self._pool.collection()))

    def product(self) -> None:
        one = plus.each("b", "a", combine="product")
        self._pool.many.append(self._using(one)(self._many(), self._many()))

    def rows(self) -> None:
        told = st.lists(st.fixed_dictionaries({"x": SOME}), max_size=3)
        frames = st.sampled_from(self._pool.frames) | told if self._pool.frames else told
        self._using(of_row.each())(self._draw(frames), self._draw(self._number))

    def reduced(self) -> None:
        by = self._draw(st.sampled_from(["sum", "count", "join"]))
        self._using(sets.reduce)(self._many(), by=by)

    def kept(self) -> None:
        self._using(sets.keep)(self._many(), relation="at_least", value=self._draw(self._number))

    def flattened(self) -> None:
        more = [self._draw(st.sampled_from(self._pool.many))] if self._pool.many else []
        self._using(sets.flatten)([*more, [self._draw(self._number)]])


KINDS = [name for name in vars(Caller) if not name.startswith("_")]


REPLICATES = st.one_of(
    st.integers(1, 9),
    st.builds(Replicates, st.integers(1, 4), first=st.integers(0, 9)),
    st.just(["one", "zwölf"]),
    st.just(resamples(4, test_fraction=0.25)),
    st.just(Replicates(2, ("a", "b"), test_fraction=0.5)),
    st.just(units(["P1/a", "P1/b", "P2/a"], levels=("plate", "well"), unit="plate")),
    st.just(units(["P1/a", "P2/a"], levels=("plate", "well"))),
    st.just(units({"i7": {"plate": "P1", "well": "A"}, "i8": {"plate": "P2", "well": "A"}}, block="plate")),
    st.just(crossed({"init": 2, "split": ["left", "right"]}, unit="split")),
)
TREATMENTS = {
    "more": Treatment({"plus.b": 3}, description="more of it"),
    "swapped": Treatment(steps={"plus": times.with_traits(retries=2)}, tuned=4),
    "all of them": Treatment({"many.b": 2}, steps={"many": times.each()}),
    "other items": Treatment(
        {"several.a": [1, 2], "several.b": [3, 4]}, steps={"several": times.each("a", "b")}
    ),
    "elsewhere": Treatment({"tags.tags": ("a", "b")}, sources={"shop": other_shop}),
    "same": Treatment(),
}
DESIGN = factorial({"plus.b": [1, 2], "last.b": {"low": 3, "high": 4}}) | {"more": TREATMENTS["more"]}
HYPOTHESES = [
    Hypothesis("more_is_more", metric="plus", treatment="more", margin=0.5),
    Hypothesis("not_alike", metric="plus", treatment=("more", "swapped"), family="all", test="friedman"),
    Hypothesis(
        "both",
        metric={"plus": "greater", "rated.share": ("less", 1.0)},
        treatment="more",
        accept=("supported", "refuted"),
        family="two",
        alpha=0.01,
    ),
    Hypothesis("alike", metric="plus", treatment="swapped", alternative="equivalent", margin=2.0, gate=True),
    Hypothesis(
        "above", metric="rated.size", treatment="more", against=0.5, test="sign_test", alternative="less"
    ),
    Hypothesis("told", metric="last", treatment="swapped", against="more", overrides={"peeking": "known"}),
]
FAMILIES = {"": "hochberg", "all": "none", "two": "bonferroni"}


@st.composite
def experiments(draw: Any) -> Experiment:
    """Declare an experiment on a workflow of which some steps are changed by treatments."""
    with Workflow(draw(st.sampled_from(["base", "study_"]))) as workflow:
        total = plus(workflow.input("given", draw(WHOLE)), b=draw(SOME))
        last = plus.named("last")(draw(st.just(total)), 1)
        rated(last)
        plus.named("many").each()([total, 7, shop, *draw(st.sampled_from([[], [tax]]))], b=draw(SOME))
        plus.named("several").each("a", "b", combine=draw(st.sampled_from(["zip", "product"])))(
            [5], [draw(SOME)]
        )
        labelled.named("tags")(last, tags=("x",))
        if draw(st.booleans()):
            draw(parts())(last)
    claims = draw(st.lists(st.sampled_from(HYPOTHESES), unique_by=lambda one: one.name))
    families = {one.family: FAMILIES[one.family] for one in claims}
    designed = draw(st.booleans()) and not any("swapped" in one.arms for one in claims)
    names = draw(st.sets(st.sampled_from([*TREATMENTS])).map(sorted))
    needed = [name for name in TREATMENTS if name in names or any(name in one.arms for one in claims)]
    return Experiment(
        draw(NAMES.map("study_".__add__)),
        workflow,
        DESIGN if designed else {name: TREATMENTS[name] for name in needed},
        draw(REPLICATES),
        claims,
        families=families if draw(st.booleans()) else {},
        seed=draw(st.integers(0, 2**130)),
        description=draw(TEXTS),
        owners=draw(st.lists(st.just("somebody@example.org"), max_size=1)),
        tags=draw(st.dictionaries(TEXTS, TEXTS, max_size=2)),
    )


@REGISTRY.add
@step
def second(first: int, shift: int = 1) -> int:
    return first + shift


@REGISTRY.add
@step
def third(first: int, second: int) -> int:
    return first * second


@REGISTRY.add
@step
def fourth(third: int, second: int, shop: int, shift: int = 0) -> int:
    return third + second + shop + shift


@st.composite
def by_name(draw: Any) -> tuple[Workflow, Workflow]:
    """Compose a workflow by the names of steps, and the same by calling them; what no step gives is an input."""
    steps: dict[str, Any] = {"second": second, "third": third, "fourth": fourth}
    chosen = draw(st.lists(st.sampled_from(list(steps)), min_size=1, unique=True))
    taken = [name for one in chosen for name in steps[one].parameters if name in ("first", "second", "third")]
    inputs = {name: draw(SOME) for name in sorted(set(taken) - set(chosen))}
    shifts = {one: draw(SOME) for one in ("second", "fourth") if one in chosen and draw(st.booleans())}
    named = Workflow(
        "w",
        [steps[one] for one in chosen],
        inputs=inputs,
        parameters={f"{one}.shift": value for one, value in shifts.items()},
    )
    with Workflow("w") as called:
        there: dict[str, Any] = {name: called.input(name, value) for name, value in inputs.items()}
        there["shop"] = shop
        for one in [name for name in steps if name in chosen]:
            handed = {name: there[name] for name in steps[one].parameters if name in there}
            more = {"shift": shifts[one]} if one in shifts else {}
            there[one] = steps[one](**handed, **more)
    return named, called
