"""Steps, workflows and results are worth reading, at any width, and as HTML that nothing breaks out of."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from workflow_assets import Datum, Workflow, step
from workflow_assets.cards import grid_card, step_card, story_card
from workflow_assets.flows import flow, line, units
from workflow_assets.layouts import breadth
from workflow_assets.scenes import Card, Column, Stage, Start, Story
from workflow_assets.views import blocks, card, grid, process


@step(version="2", tags={"team": "<b>us</b>"})
def extract_title(url: str, rng, length: int = 10) -> str:
    """Finds the <title> of a page.

    Of the first one.
    """
    return url[:length]


@step
def shout(extract_title: str) -> str:
    return extract_title.upper()


@step
def add_five(x: list[int]) -> list[int]:
    return [one + 5 for one in x]


@step
def double(x: list[int]) -> list[int]:
    return [one * 2 for one in x]


@step
def total(x: list[int]) -> int:
    return sum(x)


@step
def boom(x: int) -> int:
    raise ValueError("bang <b>\x1b[31m</b>")


@step
def increase(x: int, by: int = 1) -> int:
    return x + by


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


def stages(*edges, **statuses):
    """Make a story of texts such as "a b > c": c follows a and b."""
    made, starts = {}, {}
    for edge in edges:
        before, _, name = edge.partition(">")
        follows = tuple(before.split())
        for one in follows:
            if one not in made:
                starts[one] = Start(one)
        made[name.strip()] = follows
    return Story(
        "story",
        tuple(starts.values()),
        tuple(
            Stage(name, name, follows=follows, status=statuses.get(name, "pending"))
            for name, follows in made.items()
        ),
        status="failed" if statuses else "",
    )


def chain(count):
    with Workflow("long") as made:
        x = made.input("start", 1)
        for _ in range(count - 1):
            x = increase(x)
        increase(x, by=5)
    return made


# -- steps ------------------------------------------------------------------------------------------------------------


def test_a_step_is_told_with_contract_description_and_code():
    told = str(extract_title)
    for part in (
        "extract_title(url: str, rng, length: int = 10) → str",
        "url: str → [extract_title] → str",
        "Finds the <title> of a page.",
        "Of the first one.",
        "length: int          10",
        "given by the engine  rng",
        "return url[:length]",
    ):
        assert part in told


def test_a_step_whose_code_is_written_nowhere_is_told_without():
    names: dict[str, object] = {"step": step}
    exec("@step\ndef nowhere(a: int) -> int:\n    return a", names)
    assert "nowhere(a: int) → int" in str(names["nowhere"])
    assert "return" not in str(names["nowhere"])


# -- workflows --------------------------------------------------------------------------------------------------------


def test_three_steps_are_told_with_inputs_values_and_types():
    w = Workflow("web", [extract_title, shout], inputs={"url": "x.org"}, description="Titles, aloud.")
    assert str(w).splitlines() == [
        "web: 2 steps",
        "Titles, aloud.",
        "  url: str = 'x.org'",
        "",
        "#  step           inputs         values     gives  status",
        "─" * 58,
        "1  extract_title  url            length=10  str    pending",
        "2  shout          extract_title             str    pending",
    ]
    assert w.line() == "url → extract_title → shout"
    assert w.flow() == "url ──▶ extract_title ──▶ shout"


def test_forty_steps_are_told_in_few_lines():
    w = chain(40)
    told = str(w).splitlines()
    assert len(told) == 7
    assert "1–39" in told[5]
    assert "increase … increase_39 ×39" in told[5]
    assert "by=5" in told[6]
    assert w.line() == "start → increase … increase_39 ×39 → increase_40"
    assert repr(w).endswith("… 30 more … → increase_40)")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_forty_different_steps_fit_into_the_width(width):
    edges = [f"step_{at} > step_{at + 1}" for at in range(20)]
    edges += [f"step_{at} > side_{at}" for at in range(0, 20, 3)]
    edges += ["side_0 step_20 > last_with_quite_a_long_name_of_many_letters_so_that_it_is_cut"]
    story = stages(*edges)
    for lines in (process(story, width), flow(story, width), line(story, width)):
        assert max(map(breadth, lines)) <= width
        text = " ".join(lines)
        assert all(f"step_{at}" in text for at in range(1, 21))


def test_a_workflow_that_is_only_begun_can_be_printed():
    with Workflow("begun") as w:
        assert str(w).splitlines()[0] == "Workflow('begun': )"
        assert "it has no steps" in str(w)
        assert "begun" in w._repr_html_()
        total(w.input("x", [1]))
    assert "total" in str(w)


# -- flow maps --------------------------------------------------------------------------------------------------------


def test_branches_and_joins_are_drawn():
    story = stages("raw > clean", "clean > fit", "fit > score", "clean > plot", "score plot > report")
    assert flow(story, 100) == [
        "raw ──▶ clean ─┬─▶ fit ──▶ score ──▶ report (+ plot)",
        "               ╰─▶ plot",
    ]


def test_what_does_not_fit_goes_on_below():
    story = stages("raw > clean", "clean > fit", "fit > score", "clean > plot", "score plot > report")
    assert flow(story, 40) == [
        "raw ──▶ clean",
        "  ├─▶ plot",
        "  ╰─▶ fit ──▶ score ──▶ report (+ plot)",
    ]


def test_states_are_marked():
    story = stages("raw > a", "a > b", "b > c", a="completed", b="failed", c="skipped")
    assert flow(story, 100) == ["raw ──▶ a ✓ ──▶ b ✗ ──▶ c –"]
    assert line(story, 100) == ["raw → a ✓ → b ✗ → c –"]


def test_a_sub_workflow_is_one_step():
    story = stages("raw > a", "a > b", "b > c", "a > d", "c d > e")
    grouped = Story(story.name, story.starts, story.stages, groups={"prepare": ("a", "b", "c")})
    assert flow(grouped, 100) == ["raw ──▶ [prepare: 3 steps] ──▶ d ──▶ e (+ prepare)"]
    assert process(grouped, 100)[5].split()[:4] == ["1–3", "[prepare:", "3", "steps]"]


def test_a_group_around_another_step_is_not_drawn_as_one():
    story = stages("raw > a", "a > b", "b > c")
    apart = Story(story.name, story.starts, story.stages, groups={"odd": ("a", "c"), "gone": ("x",)})
    assert [unit.label for unit in units(apart)] == ["a", "b", "c"]


def test_a_wide_fork_and_thousands_of_steps_are_drawn_in_bounds():
    assert len(flow(stages(*(f"raw > leaf_{at}" for at in range(5000))), 80)) == 201
    deep = stages(*(edge for at in range(1000) for edge in (f"s{at} > s{at + 1}", f"s{at} > leaf{at}")))
    assert flow(deep, 80)[-1] == "… and 1,800 more steps"
    assert len(process(deep, 80)) < 220


# -- results ----------------------------------------------------------------------------------------------------------


def test_a_result_is_told_with_states_previews_and_failures():
    with Workflow("w") as w:
        one = increase(5)
        two = boom(one)
        increase(two)
    result = w.run()
    told = str(result)
    for pattern in (
        r"w: 3 steps, failed",
        r"1  increase .* by=1  +6 +completed  ",
        r"2  boom .* failed",
        r"3  increase_2 .* skipped",
        r"✗ boom: ValueError: bang <b>\\x1b\[31m</b>",
    ):
        assert re.search(pattern, told), told
    assert result.line() == "increase ✓ → boom ✗ → increase_2 –"
    assert "(stored)" in str(w.run(result.store))


def test_items_stand_in_rows_and_steps_in_columns():
    with Workflow("w") as w:
        x = double(add_five(w.input("given", [10, 20, 30])))
        total(x)
    assert str(w.run().grid()).splitlines() == [
        "#  given  add_five  double",
        "──────────────────────────",
        "0  10     15        30",
        "1  20     25        50",
        "2  30     35        70",
        "",
        "  total",
        "───────",
        "  150",
    ]


def test_a_result_tells_the_inputs_that_it_was_run_with():
    w = Workflow("w", [total], inputs={"x": list[int]})
    assert "  x: list[int]\n" in str(w)
    result = w.run(x=[1, 2])
    assert "  x: list[int] = [1, 2]\n" in str(result)
    assert "1  2" in str(result.grid())
    assert "  x: list[int]\n" in str(w), "the workflow is as it was"


def test_an_aggregation_or_another_length_begins_a_new_block():
    columns = [
        Column("seed", ("1", "2"), 2),
        Column("twice", ("2", "4"), 2, ("seed",)),
        Column("other", ("x", "y"), 2),
        Column("longer", ("1", "2"), 4, ("twice",)),
        Column("mean", ("3",), None, ("twice",)),
        Column("top", ("4",), None, ("twice",)),
    ]
    assert [[one.id for one in block] for block in blocks(columns)] == [
        ["seed", "twice"],
        ["other"],
        ["longer"],
        ["mean", "top"],
    ]
    assert "… and 2 more items" in grid(columns, 80)


def test_columns_that_do_not_fit_stand_below_with_their_numbers():
    columns = [Column(f"column_{at}", ("value",), 1, ("column_0",)) for at in range(12)]
    lines = grid(columns, 60)
    assert max(map(breadth, lines)) <= 60
    assert sum(text.startswith("#  column_") for text in lines) == 3


# -- HTML -------------------------------------------------------------------------------------------------------------

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'>\x00\x1b]0;\ud800"


class Tags(HTMLParser):
    """Collects the tags and attributes of a page, and checks that each is closed."""

    def __init__(self):
        super().__init__()
        self.found, self.open = set(), []

    def handle_starttag(self, tag, attrs):
        self.found |= {tag, *(f"{tag}.{name}" for name, _ in attrs)}
        if tag not in ("br", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def tags(text):
    parser = Tags()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    text.encode()
    return parser.found


ALLOWED = {
    *(
        "div",
        "div.class",
        "style",
        "span",
        "span.class",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "th.scope",
        "td",
    ),
    *("code", "pre", "p", "br", "wbr", "details", "summary"),
}


def test_no_name_and_no_value_becomes_markup():
    stage = Stage(
        EVIL, EVIL, {EVIL: EVIL}, (EVIL,), {EVIL: EVIL}, EVIL, "failed", 1.0, False, EVIL, (EVIL, EVIL)
    )
    story = Story(EVIL, (Start(EVIL, EVIL, EVIL),), (stage,), EVIL, EVIL, {EVIL: (EVIL,)})
    pairs = ((EVIL, EVIL),)
    column = Column(EVIL, (EVIL,), 3)
    evil = Datum.value({EVIL: [EVIL]}, alias=EVIL, type=EVIL)
    frame = Datum.value(pd.DataFrame({EVIL: [EVIL]}), alias=EVIL)
    for text in (
        story_card(story),
        step_card(Card(EVIL, EVIL, pairs, pairs, EVIL, EVIL, EVIL, pairs)),
        grid_card([column]),
        evil._repr_html_(),
        frame._repr_html_(),
        Datum.composite({EVIL: evil, "b": [frame]}, alias=EVIL)._repr_html_(),
        Datum.pending(EVIL, why=EVIL)._repr_html_(),
    ):
        assert tags(text) <= ALLOWED
    for lines in (
        process(story, 80),
        flow(story, 80),
        line(story, 80),
        grid([column], 80),
        [repr(evil), *str(frame).split("\n")],
    ):
        assert all(text.isprintable() for text in lines)
    told = card(Card(EVIL, EVIL, pairs, pairs, EVIL, EVIL, EVIL, pairs), 80)
    assert all(text.isprintable() for text in told)


def test_a_notebook_is_shown_steps_workflows_results_data_and_items():
    with Workflow("w") as w:
        total(double(w.input("x", [1, 2])))
    result = w.run()
    for shown, part in (
        (total, "<summary>code</summary>"),
        (w, "· pending"),
        (result, "✓ completed"),
        (result.datum("double"), "[2, 4]"),
        (result.grid(), "<td>4</td>"),
    ):
        text = shown._repr_html_()
        assert part in text
        assert tags(text) <= ALLOWED
        assert "http" not in text


@pytest.mark.parametrize("width", [40, 60, 100])
def test_what_became_of_each_step_is_told_whatever_the_width(width, monkeypatch):
    @step
    def load_the_data(path: str) -> list[int]:
        return [len(path)]

    @step
    def total(load_the_data: list[int], scale: float = 2.0) -> float:
        return sum(load_the_data) * scale

    monkeypatch.setenv("COLUMNS", str(width))
    told = str(Workflow("narrow", [load_the_data, total], inputs={"path": "a.csv"}).run())
    assert told.count("completed") == 3
    assert max(map(len, told.splitlines())) <= width
