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
    lines_of,
    printed,
    rows,
    sheet,
    tidy,
)
from workflow_assets.summaries import quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MANY = 100
"""Of more values than these, points are small and drawn as one picture."""

_MARKERS = {"supported": "o", "refuted": "X", "undecidable": "d"}


def estimation_plot(findings: Findings, form: Form = "png") -> Plot | None:
    """Draw, for each metric that a hypothesis is about, its values under each treatment and the judged differences.

    Without hypotheses the first metrics are drawn; None where there is nothing to draw.
    """
    metrics = findings.judged[:MOST_METRICS]
    if not metrics:
        return None
    told = [(_values_labels(findings, one), _difference_labels(findings, one)) for one in metrics]
    heights = [height_of(max(len(left), len(right)), lines_of([*left, *right])) for left, right in told]
    with drawing():
        figure = sheet(sum(heights))
        grid = figure.add_gridspec(len(metrics), 2, height_ratios=heights)
        for place, metric in enumerate(metrics):
            left, right = told[place]
            _draw_values(figure.add_subplot(grid[place, 0]), findings, metric, left, len(right))
            _draw_differences(figure.add_subplot(grid[place, 1]), findings, metric, right, len(left))
        count = findings.experiment["replicates"]
        arms = len(findings.treatments)
        title = f"{', '.join(metrics)} under {arms} treatments, {count:,} replicates each"
        return printed(figure, title, form)


def _differences(findings: Findings, metric: str) -> list[dict[str, Any]]:
    return [dict(one) for one in findings.claims if one["metric"] == metric and one["effect"]]


def _values_labels(findings: Findings, metric: str) -> list[str]:
    arms = findings.values(metric)
    told = zip(labels(arms), arms.values(), strict=True)
    return [f"{name} (n = {len(measured):,})" for name, measured in told]


def _difference_labels(findings: Findings, metric: str) -> list[str]:
    verdicts = _differences(findings, metric)
    told = zip(labels(verdict["hypothesis"] for verdict in verdicts), verdicts, strict=True)
    return [f"{name}\n{one['decision']}, n = {min(one['n']):,}" for name, one in told]


def _draw_values(axes: Axes, findings: Findings, metric: str, told: list[str], least: int) -> None:
    import numpy as np

    arms = [np.asarray(list(measured.values())) for measured in findings.values(metric).values()]
    many = max(map(len, arms)) > MANY
    # A fixed spread of heights, so that equal values stay apart and the picture is the same every time.
    heights = [
        row
        + 0.3
        * (np.arange(len(one)) * 0.61803 % 1 * 2 - 1 if len(one) > MANY else np.arange(len(one)) % 7 / 3 - 1)
        for row, one in enumerate(arms)
    ]
    style: dict[str, Any] = {"markersize": 2, "alpha": 0.5} if many else {"markersize": 3.5}
    axes.plot(
        np.concatenate(arms), np.concatenate(heights), "o",
        color=PALE, markeredgewidth=0, rasterized=many, **style,
    )  # fmt: skip
    means = [(one.mean(), row) for row, one in enumerate(arms) if len(one)]
    axes.plot(*zip(*means, strict=True), "D", color=INK, markeredgecolor="white", markersize=7)
    rows(axes, told, least)
    tidy(axes, quantity(findings, metric), "each replicate, and the mean (diamond)")


def _draw_differences(axes: Axes, findings: Findings, metric: str, told: list[str], least: int) -> None:
    verdicts = _differences(findings, metric)
    if not verdicts:
        axes.set_axis_off()
        axes.text(0, 1, "no difference was judged", fontsize=9, va="top", transform=axes.transAxes)
        return
    effects = [verdict["effect"] for verdict in verdicts]
    ends = [one["low"] for one in effects], [one["high"] for one in effects]
    axes.hlines(range(len(verdicts)), *ends, color=ACCENT, linewidth=2)
    for row, (verdict, effect) in enumerate(zip(verdicts, effects, strict=True)):
        axes.plot(
            [effect["estimate"]], [row], _MARKERS.get(verdict["decision"], "s"), color=ACCENT, markersize=8
        )
    claimed = [
        (bound, row)
        for row, verdict in enumerate(verdicts)
        for bound in bounds(verdict["alternative"], verdict["margin"])
    ]
    places, heights = zip(*claimed, strict=True)
    starts, stops = [row - 0.3 for row in heights], [row + 0.3 for row in heights]
    axes.vlines(places, starts, stops, linestyles=":", color=INK, linewidth=1.5)
    axes.axvline(0, color=PALE, linewidth=0.8)
    rows(axes, told, least)
    names = {effect["name"] for effect in effects}
    what = names.pop().replace("_", " ") if len(names) == 1 else "difference"
    levels = " or ".join(f"{level:.0%}" for level in sorted({one["confidence"] for one in effects}))
    tidy(axes, f"{what} in {quantity(findings, metric)}", f"with its {levels} interval; claimed bound dotted")


def bounds(alternative: str, margin: float) -> list[float]:
    """Give the bounds that a claim is about."""
    both = dict.fromkeys([-margin, margin])
    return {"greater": [margin], "less": [-margin]}.get(alternative, list(both))
