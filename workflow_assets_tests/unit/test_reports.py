"""Reports hold all that is told of an experiment as plain values, and every way to tell it is made from them."""

import json
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest

from workflow_assets import Experiment, Hypothesis, Metrics, Report, Result, Unit, step
from workflow_assets.errors import DeclarationError, GateError, ReportError, UnknownNameError
from workflow_assets.gates import main
from workflow_assets.plots import galleries
from workflow_assets.plots.base import Plot, label, labels
from workflow_assets.plots.galleries import DRAWINGS, gallery

HOSTILE = "<script>alert(1)</script> | `x` $a$ \x00"
NO_TEXT = "\ud800"  # half a letter, which no file can hold


class Odd(Metrics):
    size: Annotated[float, Unit("µm")]
    count: int
    good: bool
    label: str
    extra: float | None = None


@step
def odd(replicate: int, rng: np.random.Generator, shift: float = 0.0, fail: bool = False) -> Odd:
    if fail and replicate == 1:
        raise RuntimeError(HOSTILE)
    infinite = {2: math.inf, 3: -math.inf, 4: math.nan}.get(replicate)
    return Odd(
        size=rng.normal() + shift,
        count=10**17 + replicate,
        good=replicate > 2,
        label=HOSTILE + NO_TEXT,
        extra=infinite,
    )


def hostile(**options: Any) -> Result:
    claims = [
        Hypothesis("larger", "odd.size", "other", description=HOSTILE, gate=True),
        Hypothesis("apart", "odd.size", "other", alternative="two-sided", paired=False),
        Hypothesis("extra", "odd.extra", "other"),
    ]
    treatments = {"other": {"odd.shift": 3.0, "odd.fail": True}}
    return Experiment("odd", [odd], treatments, 8, claims, description=HOSTILE, **options).run()


@step
def drawn(rng: np.random.Generator, shift: float = 0.0) -> float:
    return float(rng.normal() + shift + 0.1 * rng.normal() * (shift != 0))


def gated(shift: float, replicates: int = 10, **options: Any) -> Result:
    claim = Hypothesis("claim", "drawn", "other", gate=True, **options)
    return Experiment("gated", [drawn], {"other": {"drawn.shift": shift}}, replicates, [claim]).run()


@pytest.fixture(scope="module")
def odd_result() -> Result:
    return hostile()


def test_a_report_and_its_json_hold_equal_tables_and_verdicts(odd_result: Result) -> None:
    report = odd_result.report()
    text = odd_result.to_json()
    again = Report.from_json(text)
    assert again == report
    assert again.to_json() == text
    pd.testing.assert_frame_equal(again.table, odd_result.table, check_exact=True)
    pd.testing.assert_frame_equal(again.timings, odd_result.timings, check_exact=True)
    assert again.verdicts == {name: one.as_dict() for name, one in odd_result.verdicts.items()}
    for metric in odd_result.declaration.metrics:
        pd.testing.assert_frame_equal(again.wide(metric), odd_result.wide(metric))
    assert again.units == {"odd.size": "µm"}
    assert [failure["message"] for failure in again.failures] == [HOSTILE]


def test_the_json_is_strict() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    held = json.loads(hostile().to_json(), parse_constant=refuse)
    assert {"float": "inf"} in held["cells"]["odd.extra"]["values"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: text[:-5], "no valid JSON"),
        (lambda text: "[1, 2]", "expected an object with the format 'workflow_assets report'"),
        (lambda text: "[" * 100_000, "no valid JSON"),
        (lambda text: "NaN", "NaN is no JSON"),
        (lambda text: text.replace('"schema": 1', '"schema": 2'), "schema 2, and this version .* reads 1"),
        (lambda text: text.replace('"cells"', '"sells"'), "lacks 'cells'"),
        (
            lambda text: text.replace('"decision": "', '"decision": "un'),
            "damaged or was edited .*verdict on 'claim'",
        ),
        (
            lambda text: text.replace('"other"', '"another"', 1),
            "damaged or was edited .*unknown treatments 'other'",
        ),
    ],
)
def test_what_is_no_report_is_refused_with_the_reason(edit: Any, message: str) -> None:
    text = gated(1.0, 3).to_json()
    with pytest.raises(ReportError, match=message):
        Report.from_json(edit(text))


def test_a_saved_file_that_is_no_report_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ReportError, match=r"binary\.json' is no report: it is no text"):
        Report.load(tmp_path / "binary.json")


def test_wide_has_a_row_for_every_replicate_and_na_for_missing_cells(odd_result: Result) -> None:
    counts = odd_result.wide("odd.count")
    assert list(counts) == ["baseline", "other"]
    assert list(counts.index) == list(range(8))
    assert counts["baseline"].tolist() == [10**17 + i for i in range(8)], "no digit is lost"
    assert pd.isna(counts["other"][1])
    with pytest.raises(UnknownNameError, match=r"did you mean 'odd\.count'"):
        odd_result.wide("odd.coumt")


def test_whole_numbers_of_more_than_64_bits_cost_no_result() -> None:
    @step
    def huge() -> int:
        return 2**70

    result = Experiment("huge", [huge]).run()
    assert result.table["huge"].tolist() == [2**70]
    assert Report.from_json(result.to_json()).table["huge"].tolist() == [2**70]


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data


def test_the_page_is_one_file_without_scripts_that_shows_hostile_texts_as_text(tmp_path: Path) -> None:
    report = hostile().report()
    page = Page(report.html(tmp_path / "page.html").read_text(encoding="utf-8"))
    assert {"script", "link", "iframe"}.isdisjoint(tag for tag, _ in page.tags)
    addresses = [
        value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")
    ]
    assert addresses
    assert all(
        address is not None and address.startswith("data:image/svg+xml;base64,") for address in addresses
    )
    for told in (
        "larger",
        "odd.size (µm)",
        "1 of 8 cells of other failed",
        "<script>alert(1)</script>",
        "Traceback",
    ):
        assert told in page.said
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_every_plot_is_drawn_and_is_the_same_every_time(odd_result: Result) -> None:
    report = odd_result.report()
    plots = dict(gallery(report))
    assert list(plots) == list(DRAWINGS)
    for name, plot in plots.items():
        assert isinstance(plot, Plot), plot
        assert DRAWINGS[name](report, "png") == plot


def test_a_plot_that_fails_is_a_note_and_the_others_are_drawn(
    odd_result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("no paper")

    monkeypatch.setattr(galleries, "DRAWINGS", {"bad": broken, "time": DRAWINGS["time"]})
    plots = dict(gallery(odd_result.report()))
    assert plots["bad"] == "the plot 'bad' could not be drawn (ZeroDivisionError: no paper)"
    assert isinstance(plots["time"], Plot)


@pytest.mark.parametrize("scale", [1e-200, 1e307])
def test_extreme_magnitudes_are_told(scale: float, tmp_path: Path) -> None:
    @step
    def extreme(rng: np.random.Generator, shift: float = 0.0) -> float:
        return float((rng.normal() + shift) * scale)

    claim = Hypothesis("claim", "extreme", "other")
    result = Experiment("far", [extreme], {"other": {"extreme.shift": 1.0}}, 4, [claim]).run()
    report = Report.from_json(result.to_json())
    assert "claim" in report.html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "e+" in report.markdown() or "e-" in report.markdown()


def test_names_fit_beside_an_axis_and_are_told_apart() -> None:
    names = [f"hypothesis_that_treatment_{i}_is_better_than_the_baseline_by_enough" for i in (1, 2, 11)]
    made = labels(names)
    assert len(set(made)) == 3
    assert all(len(line) <= 26 for one in made for line in one.split("\n"))
    assert label("$x$") == r"\$x\$"
    assert label("a\x00b") == "ab"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_terminal_is_never_too_narrow(width: int) -> None:
    report = gated(1.0).report()
    text = report.terminal(width)
    assert all(len(line) <= width for line in text.splitlines())
    for told in ("baseline", "other", "claim: supported"):
        assert told in text


def test_markdown_for_a_pull_request_is_short_and_holds_hostile_texts(odd_result: Result) -> None:
    told = odd_result.markdown()
    visible = told.partition("<details>")[0]
    assert "✔ **larger: supported**, gate passed" in visible
    assert "⚠ 1 of 8 cells of other failed and are left out" in visible
    assert "| treatment | change | completed | failed | odd.size (µm) |" in visible
    fences = [line for line in told.splitlines() if line.startswith("```")]
    assert len(fences) % 2 == 0
    outside = "".join(part for place, part in enumerate(told.split("```")) if place % 2 == 0)
    assert "<script>" not in outside


@pytest.mark.parametrize(
    ("shift", "options", "decision", "code"),
    [
        (-2.0, {}, "refuted", 3),
        (1.0, {"replicates": 1}, "undecidable", 4),
        (0.08, {"margin": 0.01}, "inconclusive", 5),
        (2.0, {"accept": ("refuted",)}, "supported", 6),
    ],
)
def test_gates_tell_decisions_apart(
    shift: float,
    options: dict[str, Any],
    decision: str,
    code: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = gated(shift, **options)
    with pytest.raises(GateError, match=f"gate 'claim' is {decision}: claim: {decision}") as raised:
        result.gate()
    assert (raised.value.exit_code, raised.value.decisions) == (code, {"claim": decision})
    saved = result.report().save(tmp_path / "results.json")
    assert main([str(saved)]) == code
    assert f"gate 'claim' is {decision}" in capsys.readouterr().err


def test_a_gate_lets_pass_what_it_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = gated(0.08, margin=0.01, accept=("supported", "inconclusive"))
    result.gate()
    assert result.verdict("claim").accepted
    assert not result.verdict("claim").supported
    page = tmp_path / "page.html"
    assert (
        main([str(result.report().save(tmp_path / "results.json")), "--html", str(page), "--markdown", "-"])
        == 0
    )
    assert "**claim: inconclusive**, gate passed" in capsys.readouterr().out
    assert page.exists()


def test_the_command_tells_failed_cells_and_missing_files_apart(
    odd_result: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(odd_result.report().save(tmp_path / "results.json"))]) == 7
    assert "1 of 16 cells failed" in capsys.readouterr().err
    assert main([str(tmp_path / "absent.json")]) == 1
    assert "absent.json" in capsys.readouterr().err


def test_the_command_runs_an_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lab_of_gates.py").write_text(
        "from workflow_assets import Experiment, step\n\n@step\ndef one() -> float:\n    return 1.0\n\n"
        "study = Experiment('study', [one])\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    store = tmp_path / "store"
    for _ in range(2):
        assert main(["lab_of_gates:study", "--store", str(store), "--json", "results.json"]) == 0
    assert Report.load("results.json").steps[0]["computed"] == 0, "the second finds it stored"
    assert main(["lab_of_gates:nothing"]) == 1
    assert "has no 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize("accept", [(), "supported", ("suported",), None])
def test_a_gate_accepts_decisions_only(accept: Any) -> None:
    with pytest.raises(DeclarationError, match=r"accept (=|names) "):
        Hypothesis("claim", "drawn", "other", accept=accept)


def test_judging_that_raises_costs_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise MemoryError("too many")

    monkeypatch.setattr("workflow_assets.stats.comparisons.compare", broken)
    verdict = gated(1.0).verdict("claim")
    assert verdict.decision == "undecidable"
    assert verdict.reason == "judging it raised MemoryError: too many"
