"""The acceptance cases of the reference, each composed by name, by call and from a document, and run.

A case says what is composed and what must come of it; `WAYS` says how it is composed, `RUNNERS` who runs it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import dagster as dg
import pandas as pd
import pytest

from workflow_assets import MemoryStore, Registry, Workflow, from_document, step, to_dagster
from workflow_assets.documents import to_json, to_yaml
from workflow_assets.orchestration.accounts import run_document

REGISTRY = Registry()

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Came:
    """What came of a run: the value of each step that has one, and each step's state."""

    values: Values
    states: Mapping[str, str]


def run_in_python(workflow: Workflow) -> Came:
    result = workflow.run()
    done = [name for name, state in result.states.items() if state == "completed"]
    return Came({name: result[name] for name in done}, result.states)


def run_in_dagster(workflow: Workflow) -> Came:
    store = MemoryStore()
    with dg.DagsterInstance.ephemeral() as instance:
        job = to_dagster(workflow, store=store).resolve_job_def(workflow.name)
        run = job.execute_in_process(instance=instance, raise_on_error=False)
        told = run_document(instance, run.run_id)["steps"]
    values = {
        one["id"]: store.load_asset((workflow.name, one["id"]))
        for one in told
        if one["status"] == "completed"
    }
    return Came(values, {one["id"]: one["status"] for one in told})


RUNNERS: dict[str, Callable[[Workflow], Came]] = {"python": run_in_python, "dagster": run_in_dagster}


class Case(NamedTuple):
    """A workflow, composed by name and by call, and the values that steps must have."""

    by_name: Callable[[], Workflow]
    by_call: Callable[[], Workflow]
    expected: Values


WAYS: dict[str, Callable[[Case], Workflow]] = {
    "by_name": lambda case: case.by_name(),
    "by_call": lambda case: case.by_call(),
    "document": lambda case: read_again(to_json(case.by_name().document())),
    "yaml": lambda case: read_again(to_yaml(case.by_call().document())),
}


def read_again(text: str) -> Workflow:
    workflow = from_document(text, REGISTRY)
    assert isinstance(workflow, Workflow)
    return workflow


# -- A1: the number cruncher -------------------------------------------------------------------------------------------


@REGISTRY.add
@step
def filter_evens(nums: list[int]) -> list[int]:
    return [one for one in nums if one % 2 == 0]


@REGISTRY.add
@step
def square_numbers(filter_evens: list[int]) -> list[int]:
    return [one * one for one in filter_evens]


@REGISTRY.add
@step
def sum_numbers(square_numbers: list[int]) -> int:
    return sum(square_numbers)


def numbers_by_name() -> Workflow:
    return Workflow("cruncher", [filter_evens, square_numbers, sum_numbers], inputs={"nums": [1, 2, 3, 4, 5]})


def numbers_by_call() -> Workflow:
    with Workflow("cruncher") as workflow:
        sum_numbers(square_numbers(filter_evens(workflow.input("nums", [1, 2, 3, 4, 5]))))
    return workflow


# -- A2: a column in three steps ---------------------------------------------------------------------------------------


@REGISTRY.add
@step
def boosted(seed_column: list[int]) -> list[int]:
    return [one + 5 for one in seed_column]


@REGISTRY.add
@step
def doubled(boosted: list[int]) -> list[int]:
    return [one * 2 for one in boosted]


@REGISTRY.add
@step
def final_str(doubled: list[int]) -> list[str]:
    return [f"${one:.2f}" for one in doubled]


def columns_by_call() -> Workflow:
    with Workflow("columns") as workflow:
        final_str(doubled(boosted(workflow.input("seed_column", [10, 20, 30]))))
    return workflow


# -- A4: from a channel to a summary -----------------------------------------------------------------------------------


class Person(TypedDict):
    video: str
    role: str


class Summary(TypedDict):
    total_conversations: int
    average_sentiment: float


@REGISTRY.add
@step
def videos(channel: str) -> list[str]:
    return [f"{channel}/video{number}" for number in (1, 2, 3)]


@REGISTRY.add
@step
def titles(videos: list[str]) -> list[str]:
    return [f"title of {one}" for one in videos]


@REGISTRY.add
@step
def transcripts(videos: list[str]) -> list[str]:
    return [f"transcript of {one}" for one in videos]


@REGISTRY.add
@step
def conversations(titles: list[str], transcripts: list[str]) -> list[Person]:
    pairs = zip(titles, transcripts, strict=True)
    return [{"video": title, "role": role} for title, _ in pairs for role in ("Host", "Guest")]


@REGISTRY.add
@step
def sentiments(conversations: list[Person]) -> list[float]:
    return [0.8 for _ in conversations]


@REGISTRY.add
@step
def summary(sentiments: list[float]) -> Summary:
    return {"total_conversations": len(sentiments), "average_sentiment": sum(sentiments) / len(sentiments)}


CHANNEL = "https://youtube.com/@example_channel"
CHANNEL_STEPS: list[Any] = [videos, titles, transcripts, conversations, sentiments, summary]


def channel_by_call() -> Workflow:
    with Workflow("channel") as workflow:
        found = videos(workflow.input("channel", CHANNEL))
        summary(sentiments(conversations(titles(found), transcripts(found))))
    return workflow


# -- A9, A10: one step -------------------------------------------------------------------------------------------------


@REGISTRY.add
@step
def add_five(number: int) -> int:
    return number + 5


@REGISTRY.add
@step
def double_number(number: int) -> int:
    return number * 2


def one_step(one: Any, number: int) -> Case:
    def by_call() -> Workflow:
        with Workflow("one") as workflow:
            one(workflow.input("number", number))
        return workflow

    def by_name() -> Workflow:
        return Workflow("one", [one], inputs={"number": number})

    return Case(by_name, by_call, {one.name: one.function(number)})


# -- A11: configuration and wiring -------------------------------------------------------------------------------------


@REGISTRY.add
@step(name="greeting", slug="str.prefix")
def prefixed(text: str, prefix: str = "") -> str:
    return prefix + text


def prefix_by_name() -> Workflow:
    return Workflow(
        "prefixing", [prefixed], inputs={"text": "World"}, parameters={"greeting.prefix": "So Fancy, "}
    )


def prefix_by_call() -> Workflow:
    with Workflow("prefixing") as workflow:
        prefixed(workflow.input("text", "World"), prefix="So Fancy, ")
    return workflow


# -- A12: two sums under a slug that Dagster would not take ------------------------------------------------------------


@REGISTRY.add
@step(name="total", slug="math.add")
def added(a: int, b: int) -> int:
    return a + b


@REGISTRY.add
@step(name="more", slug="math.add_total")
def added_more(total: int, c: int) -> int:
    return total + c


def sums_by_name() -> Workflow:
    return Workflow("sums", [added, added_more], inputs={"a": 5, "b": 5, "c": 20})


def sums_by_call() -> Workflow:
    with Workflow("sums") as workflow:
        a, b, c = (workflow.input(name, value) for name, value in (("a", 5), ("b", 5), ("c", 20)))
        added_more(added(a, b), c)
    return workflow


# -- A17: one output of two --------------------------------------------------------------------------------------------


class Split(TypedDict):
    train: pd.DataFrame
    test: pd.DataFrame


@REGISTRY.add
@step
def rows(count: int = 10) -> pd.DataFrame:
    return pd.DataFrame({"x": range(count)})


@REGISTRY.add
@step
def split_data(rows: pd.DataFrame, share: float = 0.8) -> Split:
    size = int(len(rows) * share)
    return {"train": rows.iloc[:size], "test": rows.iloc[size:]}


@REGISTRY.add
@step
def mean_x(frame: pd.DataFrame) -> float:
    return float(frame["x"].mean())


def split_by_call() -> Workflow:
    with Workflow("splitting") as workflow:
        mean_x(split_data(rows())["train"])
    return workflow


def split_by_name() -> Workflow:
    """By name, one output of several is wired by handing it on: names wire whole results."""
    made = Workflow("splitting", [rows, split_data])
    return made.with_step(mean_x, frame=made["split_data"]["train"])


# -- A19: the scraper --------------------------------------------------------------------------------------------------


@REGISTRY.add
@step
def web_scraper(url: str, depth: int = 1) -> list[str]:
    return [f"<h1>{url}</h1>"] * depth


@REGISTRY.add
@step
def text_extractor(web_scraper: list[str], style: str = "plain") -> list[str]:
    mark = "# " if style == "markdown" else ""
    return [page.replace("<h1>", mark).replace("</h1>", "") for page in web_scraper]


def scraper_by_name() -> Workflow:
    parameters = {
        "web_scraper.url": "https://example.com",
        "web_scraper.depth": 2,
        "text_extractor.style": "markdown",
    }
    return Workflow("scraper", [web_scraper, text_extractor], parameters=parameters)


def scraper_by_call() -> Workflow:
    with Workflow("scraper") as workflow:
        text_extractor(web_scraper("https://example.com", depth=2), style="markdown")
    return workflow


# -- A5: a channel, video by video, whose columns change their sizes ---------------------------------------------------

CALLED: list[str] = []


@REGISTRY.add
@step(version="1")
def uploads(channel: str, count: int = 3) -> list[str]:
    return [f"{channel}/video{number}" for number in range(1, count + 1)]


@REGISTRY.add
@step(version="1")
def details(uploads: str) -> dict[str, Any]:
    CALLED.append(uploads)
    return {"url": uploads, "minutes": 10 * int(uploads[-1])}


@REGISTRY.add
@step(version="1")
def spoken(details: dict[str, Any]) -> list[str]:
    return [f"Host: welcome to {details['url']}", "Guest: thank you", "Host: goodbye"]


@REGISTRY.add
@step(version="1")
def talks(spoken: list[str]) -> list[list[str]]:
    return [spoken[:2], spoken[2:]]


@REGISTRY.add
@step(version="1")
def people(talks: list[list[list[str]]]) -> list[dict[str, str]]:
    rows = [line.split(": ") for video in talks for talk in video for line in talk]
    return [{"who": who, "said": said} for who, said in rows]


@REGISTRY.add
@step(version="1")
def features(people: dict[str, str]) -> dict[str, Any]:
    return {"who": people["who"], "words": len(people["said"].split())}


@REGISTRY.add
@step(version="1")
def lengths(spoken: list[str]) -> int:
    return sum(map(len, spoken))


@REGISTRY.add
@step(version="1")
def statistics(features: list[dict[str, Any]], lengths: list[int]) -> dict[str, float]:
    hosts = [one["words"] for one in features if one["who"] == "Host"]
    return {"lines": len(features), "words of hosts": sum(hosts), "videos": len(lengths)}


def uploads_by_name() -> Workflow:
    each = (one.each() for one in (details, spoken, talks, features, lengths))
    return Workflow("uploads_of", [uploads, *each, people, statistics], inputs={"channel": "lectures"})


def uploads_by_call() -> Workflow:
    with Workflow("uploads_of") as workflow:
        found = uploads(workflow.input("channel", "lectures"))
        told = spoken.each()(details.each()(found))
        said = features.each()(people(talks.each()(told)))
        statistics(said, lengths.each()(told))
    return workflow


# -- A6 and A7: once for each, and once for all ------------------------------------------------------------------------


@REGISTRY.add
@step
def generate(count: int = 3) -> list[int]:
    return list(range(1, count + 1))


@REGISTRY.add
@step
def twice(generate: int) -> int:
    return 2 * generate


@REGISTRY.add
@step
def together(twice: list[int]) -> int:
    return sum(twice)


def broadcast(name: str, count: int, expected: Values) -> Case:
    def by_name() -> Workflow:
        return Workflow(name, [generate, twice.each(), together], parameters={"generate.count": count})

    def by_call() -> Workflow:
        with Workflow(name) as workflow:
            together(twice.each()(generate(count)))
        return workflow

    return Case(by_name, by_call, expected)


CASES = {
    "A1": Case(
        numbers_by_name,
        numbers_by_call,
        {"filter_evens": [2, 4], "square_numbers": [4, 16], "sum_numbers": 20},
    ),
    "A2": Case(
        lambda: Workflow("columns", [boosted, doubled, final_str], inputs={"seed_column": [10, 20, 30]}),
        columns_by_call,
        {
            "boosted": [15, 25, 35],
            "doubled": [30, 50, 70],
            "final_str": ["$30.00", "$50.00", "$70.00"],
        },
    ),
    "A4": Case(
        lambda: Workflow("channel", CHANNEL_STEPS, inputs={"channel": CHANNEL}),
        channel_by_call,
        {"summary": {"total_conversations": 6, "average_sentiment": pytest.approx(0.8)}},
    ),
    "A5": Case(
        uploads_by_name,
        uploads_by_call,
        {"statistics": {"lines": 9, "words of hosts": 12, "videos": 3}},
    ),
    "A6": broadcast("broadcast", 3, {"generate": [1, 2, 3], "twice": [2, 4, 6], "together": 12}),
    "A7": broadcast("iterative", 10, {"twice": [2 * one for one in range(1, 11)], "together": 110}),
    "A9": one_step(add_five, 10),
    "A10": one_step(double_number, 21),
    "A11": Case(prefix_by_name, prefix_by_call, {"greeting": "So Fancy, World"}),
    "A12": Case(sums_by_name, sums_by_call, {"total": 10, "more": 30}),
    "A17": Case(split_by_name, split_by_call, {"mean_x": 3.5}),
    "A19": Case(
        scraper_by_name,
        scraper_by_call,
        {"text_extractor": ["# https://example.com", "# https://example.com"]},
    ),
}


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CASES)
def test_a_case_gives_what_the_reference_says(name, way, runner):
    case = CASES[name]
    came = RUNNERS[runner](WAYS[way](case))
    assert {step: came.values[step] for step in case.expected} == case.expected
    assert set(came.states.values()) == {"completed"}


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_equal_whichever_way_it_is_composed(name):
    """One workflow, and one document."""
    made = [compose(CASES[name]) for compose in WAYS.values()]
    assert all(one == made[0] for one in made)
    assert len({json.dumps(one.document()) for one in made}) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a4_another_channel_is_computed_anew(way):
    workflow = WAYS[way](CASES["A4"])
    assert workflow.run(channel="https://youtube.com/@another_channel")["videos"] == [
        f"https://youtube.com/@another_channel/video{number}" for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("way", WAYS)
def test_a5_a_later_run_picks_up_new_videos_only(way):
    store, workflow = MemoryStore(), WAYS[way](CASES["A5"])
    workflow.run(store)
    CALLED.clear()
    with Workflow("uploads_of") as more:
        found = uploads(more.input("channel", "lectures"), count=5)
        details.each()(found)
    more.run(store)
    assert CALLED == ["lectures/video4", "lectures/video5"]


@pytest.mark.parametrize("way", WAYS)
def test_a17_both_outputs_are_there_and_one_is_wired(way):
    workflow = WAYS[way](CASES["A17"])
    parts = workflow.run()["split_data"]
    assert parts["train"]["x"].tolist() == list(range(8))
    assert parts["test"]["x"].tolist() == [8, 9]
    node = workflow.wired.nodes["mean_x"]
    assert (dict(node.inputs), node.outputs) == ({"frame": "split_data"}, {"frame": "train"})


# -- A22: the error boundary -------------------------------------------------------------------------------------------


@REGISTRY.add
@step
def scale(x: int, factor: int = 2) -> int:
    return x * factor


@REGISTRY.add
@step
def boom(scale: int) -> int:
    raise ZeroDivisionError(f"no way on from {scale}")


@REGISTRY.add
@step
def scaled_again(boom: int, factor: int = 2) -> int:
    return boom * factor


def failing_by_call() -> Workflow:
    with Workflow("failing") as workflow:
        scaled_again(boom(scale(workflow.input("x", 5))))
    return workflow


FAILING = Case(
    lambda: Workflow("failing", [scale, boom, scaled_again], inputs={"x": 5}), failing_by_call, {"scale": 10}
)


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("way", WAYS)
def test_a22_a_failure_costs_only_what_follows(way, runner):
    came = RUNNERS[runner](WAYS[way](FAILING))
    assert came.values == FAILING.expected
    assert came.states == {"scale": "completed", "boom": "failed", "scaled_again": "skipped"}


@pytest.mark.parametrize("way", WAYS)
def test_a22_the_failure_tells_its_type_message_and_traceback(way):
    failure = WAYS[way](FAILING).run().failures["boom"]
    assert "ZeroDivisionError" in str(failure)
    assert "no way on from 10" in str(failure)
    assert "Traceback" in failure.traceback
