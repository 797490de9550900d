"""Estimates: every value, the means, and the differences that were judged with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflow_assets.findings import Findings
from workflow_assets.plots.base import (
    ACCENT,
    INK,
    MOST_METRICS,
    PALE,
    Form,
    Plot,
    drawing,
    height_of,
    labels,
    printed,
    rows,
    sheet,
    tidy,
)
from workflow_assets.summaries import quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = {"supported": "o", "refuted": "X", "undecidable": "d"}


def estimation_plot(findings: Findings, form: Form = "png") -> Plot | None:
    """Draw, for each metric that a hypothesis is about, its values under each treatment and the judged differences.

    Without hypotheses the first metrics are drawn; None where there is nothing to draw.
    """
    metrics = findings.judged[:MOST_METRICS]
    if not metrics:
        return None
    heights = [height_of(max(len(findings.treatments), len(_differences(findings, one)))) for one in metrics]
    with drawing():
        figure = sheet(sum(heights))
        grid = figure.add_gridspec(len(metrics), 2, height_ratios=heights)
        for place, metric in enumerate(metrics):
            _draw_values(figure.add_subplot(grid[place, 0]), findings, metric)
            _draw_differences(figure.add_subplot(grid[place, 1]), findings, metric)
        count = findings.experiment["replicates"]
        title = f"{', '.join(metrics)} under {len(findings.treatments)} treatments, {count} replicates each"
        return printed(figure, title, form)


def _differences(findings: Findings, metric: str) -> list[dict[str, Any]]:
    return [dict(one) for one in findings.claims if one["metric"] == metric and one["effect"]]


def _draw_values(axes: Axes, findings: Findings, metric: str) -> None:
    import numpy as np

    arms = findings.values(metric)
    for row, measured in enumerate(arms.values()):
        values = np.asarray(list(measured.values()))
        # A fixed spread of heights, so that equal values stay apart and the picture is the same every time.
        many = len(values) > 100
        heights = row + 0.3 * (
            np.arange(len(values)) * 0.61803 % 1 * 2 - 1 if many else np.arange(len(values)) % 7 / 3 - 1
        )
        style: dict[str, Any] = {"markersize": 2, "alpha": 0.5} if many else {"markersize": 3.5}
        axes.plot(values, heights, "o", color=PALE, markeredgewidth=0, rasterized=many, **style)
        if len(values):
            axes.plot([values.mean()], [row], "D", color=INK, markeredgecolor="white", markersize=7)
    told = zip(labels(arms), arms.values(), strict=True)
    rows(axes, [f"{name} (n = {len(measured):,})" for name, measured in told])
    tidy(axes, quantity(findings, metric), "each replicate, and the mean (diamond)")


def _draw_differences(axes: Axes, findings: Findings, metric: str) -> None:
    verdicts = _differences(findings, metric)
    if not verdicts:
        axes.set_axis_off()
        axes.text(0, 1, "no difference was judged", fontsize=9, va="top", transform=axes.transAxes)
        return
    for row, verdict in enumerate(verdicts):
        effect, margin = verdict["effect"], verdict["margin"]
        axes.plot([effect["low"], effect["high"]], [row, row], "-", color=ACCENT, linewidth=2)
        marker = _MARKERS.get(verdict["decision"], "s")
        axes.plot([effect["estimate"]], [row], marker, color=ACCENT, markersize=8)
        for bound in bounds(verdict["alternative"], margin):
            axes.plot([bound, bound], [row - 0.3, row + 0.3], ":", color=INK, linewidth=1.5)
    axes.axvline(0, color=PALE, linewidth=0.8)
    told = zip(labels(verdict["hypothesis"] for verdict in verdicts), verdicts, strict=True)
    rows(axes, [f"{name}\n{one['decision']}, n = {min(one['n']):,}" for name, one in told])
    names = {verdict["effect"]["name"] for verdict in verdicts}
    what = names.pop().replace("_", " ") if len(names) == 1 else "difference"
    level = verdicts[0]["effect"]["confidence"]
    tidy(
        axes,
        f"{what} in {quantity(findings, metric)}",
        f"with its {level:.0%} interval; claimed bound dotted",
    )


def bounds(alternative: str, margin: float) -> list[float]:
    """Give the bounds that a claim is about."""
    both = dict.fromkeys([-margin, margin])
    return {"greater": [margin], "less": [-margin]}.get(alternative, list(both))
