"""Pages and summaries say what a reader needs: units, n, what failed, and names of any length."""

import re
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

from workflow_assets import Experiment, Hypothesis, MemoryStore, Metrics, Report, Result, Unit, pages, step
from workflow_assets.markups import shown
from workflow_assets.pages import MOST_OPEN
from workflow_assets.plots.ranks import ranks_plot
from workflow_assets.plots.slopes import slopes_plot
from workflow_assets.summaries import describe, p_words, summary_rows, verdict_rows

LONG = "a_treatment_of_the_long_winded_kind_whose_name_goes_on_and_on_and_on"


class Leaf(Metrics):
    length: Annotated[float, Unit("mm")]
    weight: Annotated[float | None, Unit("g")]


@step
def grow(rng: np.random.Generator, replicate: int, light: float = 0.0, fail: int = 0) -> Leaf:
    if replicate < fail:
        raise RuntimeError("the lamp is broken")
    value = float(light * (1 + 0.1 * rng.normal()) + rng.normal())
    return Leaf(length=value, weight=None if replicate == 7 else value)


def study(*claims: Hypothesis, broken: int = 0, replicates: int = 8) -> Result:
    treatments: dict[str, Any] = {
        "bright": {"grow.light": 2.0},
        LONG: {"grow.light": 1.0, "grow.fail": broken},
    }
    return Experiment("leaves", [grow], treatments, replicates, claims).run()


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the plots out, which most of these pages are not about."""
    monkeypatch.setattr(pages, "gallery", lambda *_: iter(()))


def page(report: Report, folder: Path) -> str:
    return report.html(folder / "page.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("undrawn")
def test_an_effect_bears_the_unit_of_its_metric_or_the_name_of_what_has_none(tmp_path: Path) -> None:
    report = study(
        Hypothesis("longer", "grow.length", "bright"),
        Hypothesis("wider", "grow.length", "bright", alternative="two-sided", test="pitman_morgan"),
    ).report()
    header, rows = verdict_rows(report)
    effects = [row[header.index("effect")] for row in rows]
    assert effects[0].endswith(" mm")
    assert effects[1].endswith(" (log spread ratio)")
    for told in (page(report, tmp_path), report.markdown()):
        assert re.search(r"\+\d\.\d+ mm", told)


def test_a_claim_against_a_number_is_not_about_pairs() -> None:
    header, rows = verdict_rows(study(Hypothesis("long", "grow.length", "bright", against=1.0)).report())
    assert rows[0][header.index("n")] == "8 values"


def test_means_say_of_how_many_where_a_completed_cell_lacks_a_value() -> None:
    header, rows = summary_rows(study().report())
    assert rows[0][header.index("grow.weight (g)")].endswith(" (n = 7)")
    assert "n =" not in rows[0][header.index("grow.length (mm)")]


def test_the_smallest_p_values_are_not_told_as_numbers() -> None:
    assert p_words(2.3e-308) == "< 1e-300"
    assert p_words(0.0123) == "0.0123"


def test_long_names_may_be_broken_and_short_ones_are_not() -> None:
    assert shown(LONG).replace("<wbr>", "") == LONG
    assert "of_<wbr>the_" in shown(LONG)
    assert shown("a_b") == "a_b"
    assert "<b>" not in shown(f"<b>{LONG}&{LONG}</b>")


@pytest.mark.usefixtures("undrawn")
def test_pairs_of_several_treatments_are_a_table(tmp_path: Path) -> None:
    told = page(study(Hypothesis("differ", "grow.length", ("bright", LONG))).report(), tmp_path)
    assert "bright − baseline" in re.sub("<wbr>", "", "".join(re.findall("<td.*?</td>", told)))
    assert not any("−" in name for name in re.findall("<dt>(.*?)</dt>", told))


@pytest.mark.usefixtures("undrawn")
def test_cells_that_failed_alike_are_told_once(tmp_path: Path) -> None:
    report = study(broken=5).report()
    told = page(report, tmp_path).replace("<wbr>", "")
    assert told.count("the lamp is broken</summary>") == 1
    assert told.count("Traceback (most recent call last)") == 1
    assert describe(report).splitlines() == [
        "5 of 24 cells failed:",
        f"  {LONG} × 0000, 0001, 0002 and 2 more: step 'grow': RuntimeError: the lamp is broken",
    ]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("count", "opened"), [(MOST_OPEN, MOST_OPEN), (MOST_OPEN + 1, 0)])
def test_how_many_verdicts_were_decided_is_folded(count: int, opened: int, tmp_path: Path) -> None:
    claims = [Hypothesis(f"claim_{place}", "grow.length", "bright") for place in range(count)]
    told = page(study(*claims).report(), tmp_path)
    assert told.count("<details open>") == opened
    assert told.count("How it was decided, from 8 pairs") == count


def test_every_picture_is_told_to_those_who_cannot_see_it(tmp_path: Path) -> None:
    told = page(study(Hypothesis("longer", "grow.length", "bright")).report(), tmp_path)
    pictures = re.findall(r"<img [^>]*>", told)
    assert pictures
    assert all(re.search(r'alt="[^"]{20,}"', picture) for picture in pictures)


@pytest.mark.usefixtures("undrawn")
def test_a_confirmation_is_told_to_be_preregistered(tmp_path: Path) -> None:
    store = MemoryStore()
    treatments = {"bright": {"grow.light": 2.0}}
    claim = Hypothesis("longer", "grow.length", "bright", gate=True)
    result = Experiment("leaves", [grow], treatments, 4, [claim]).confirm("longer", 12, store=store)
    digest = result.verdict("longer").preregistration
    told = page(result.report(), tmp_path)
    assert "longer, gate passed, preregistered" in told
    assert f"<dt>preregistered as</dt><dd>{digest}</dd>" in told.replace("<wbr>", "")
    assert "gate passed, preregistered" in result.markdown()


def test_a_treatment_of_which_all_cells_failed_costs_no_ranks() -> None:
    plot = ranks_plot(study(Hypothesis("longer", "grow.length", "bright"), broken=8).report())
    assert plot is not None
    assert "each of 2 treatments" in plot.title


def test_the_same_pairs_are_drawn_once() -> None:
    longer, other = (Hypothesis(name, "grow.length", "bright") for name in ("longer", "other"))
    two = slopes_plot(study(longer, other).report())
    one = slopes_plot(study(longer).report())
    assert two is not None
    assert one is not None
    assert "longer, other" in two.title
    assert two.data[16:24] == one.data[16:24], "the width and height of the picture"
