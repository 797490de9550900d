"""Results are one tidy table, with what goes with it apart."""

import numpy as np
import pandas as pd
import pytest

from workflow_assets import Experiment, Hypothesis, Metrics, Result, Treatment, step
from workflow_assets.errors import CellsFailedError, UnknownNameError
from workflow_assets.plots.estimates import estimation_plot
from workflow_assets.summaries import markdown_summary, terminal_summary


class Measured(Metrics):
    size: float
    count: int
    good: bool
    label: str
    extra: float | None = None


@step
def measure(replicate: int, treatment: str, fail: bool = False) -> Measured:
    if fail and replicate == 1:
        raise RuntimeError("too | hot")
    return Measured(size=replicate + 0.5, count=replicate, good=replicate > 0, label=treatment)


def result(fail: bool = True) -> Result:
    claims = [
        Hypothesis("larger", "measure.size", "other"),
        Hypothesis("fewer", "measure.count", "other", alternative="less"),
    ]
    return Experiment("sizes", [measure], {"other": {"measure.fail": fail}}, 3, claims).run()


def test_table_has_a_row_for_every_cell_and_a_typed_column_for_every_metric() -> None:
    table = result().table
    assert list(table) == [
        "treatment",
        "replicate",
        "status",
        "seed",
        "measure.size",
        "measure.count",
        "measure.good",
        "measure.label",
        "measure.extra",
        "error",
    ]
    assert table["treatment"].tolist() == ["baseline"] * 3 + ["other"] * 3
    assert table["replicate"].tolist() == [0, 1, 2] * 2
    assert table["status"].tolist() == ["completed"] * 4 + ["failed", "completed"]
    assert [str(dtype) for dtype in table.dtypes][4:9] == ["float64", "Int64", "boolean", "object", "float64"]
    failed = table.iloc[4]
    assert pd.isna(failed["measure.size"])
    assert pd.isna(failed["measure.count"])
    assert failed["error"] == "step 'measure': RuntimeError: too | hot"
    assert table["seed"].groupby(table["replicate"]).nunique().tolist() == [1, 1, 1]


def test_metrics_that_only_a_swapped_step_reports_are_columns_too() -> None:
    @step
    def one() -> float:
        return 1.0

    class More(Metrics):
        depth: int

    @step
    def two() -> More:
        return More(depth=3)

    table = Experiment("swap", [one], {"other": Treatment(steps={"one": two})}).run().table
    assert table["one"].tolist()[:1] == [1.0]
    assert np.isnan(table["one"][1])
    assert table["one.depth"].tolist() == [pd.NA, 3]


def test_raising_failures_names_the_cells() -> None:
    with pytest.raises(
        CellsFailedError, match=r"1 of 6 cells failed:\n  other × 0001: step 'measure': RuntimeError: too"
    ):
        result().raise_failures()
    result(fail=False).raise_failures()


def test_ranking_is_by_mean_or_median_and_ties_keep_the_order_of_declaration() -> None:
    one = result(fail=False)
    assert one.ranking("measure.size") == [("baseline", 1.5), ("other", 1.5)]
    assert one.ranking("measure.size", best="min", by="median") == [("baseline", 1.5), ("other", 1.5)]
    assert result().ranking("measure.count", best="min") == [("baseline", 1.0), ("other", 1.0)]
    with pytest.raises(UnknownNameError, match=r"did you mean 'measure\.size'"):
        one.ranking("measure.sise")
    with pytest.raises(ValueError, match=r"expected 'mean', 'median' or 'p'"):
        one.ranking("measure.size", by="mode")


def test_summaries_tell_treatments_verdicts_and_failures() -> None:
    markdown, text = markdown_summary(result().report()), terminal_summary(result().report())
    assert "| other | measure.fail = True | 2 | 1 |" in markdown
    assert "| baseline | no change | 3 | 0 | 1.5 ± 1 | 1 ± 1 |" in markdown
    for summary in (markdown, text):
        assert "1 of 6 cells failed" in summary
        assert "larger" in summary
        assert "fewer" in summary
    assert all(len(line) < 200 for line in text.splitlines())


def test_plot_is_a_picture_that_tells_metric_treatments_and_count_and_is_the_same_every_time() -> None:
    plots = [estimation_plot(result().report()) for _ in range(2)]
    assert plots[0] is not None
    assert plots[0].title == "measure.size, measure.count under 2 treatments, 3 replicates each"
    assert plots[0].data.startswith(b"\x89PNG")
    assert plots[0] == plots[1]


def test_nothing_is_drawn_where_nothing_was_measured() -> None:
    @step
    def text() -> str:
        return "x"

    assert estimation_plot(Experiment("texts", [text]).run().report()) is None


def test_looking_at_a_result_shows_cells_and_verdicts() -> None:
    shown = repr(result())
    assert shown.startswith("6 cells, 1 failed")
    assert "larger: " in shown
