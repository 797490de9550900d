"""Spreads: how much a metric varies between replicates under each treatment."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from workflow_assets.findings import Findings
from workflow_assets.plots.base import (
    ACCENT,
    MOST_METRICS,
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

CONFIDENCE = 0.95


def spread_of(values: list[float]) -> tuple[float, float, float]:
    """Give the standard deviation of two or more values, and its 95 % interval if they are normal (chi-square)."""
    import numpy as np
    from scipy import special

    scale = max(map(abs, values)) or 1.0  # squares of the largest numbers are none
    deviation = float(np.std(np.asarray(values) / scale, ddof=1)) * scale
    df = len(values) - 1
    shares = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    low, high = (deviation * math.sqrt(df / float(special.chdtri(df, share))) for share in shares)
    return deviation, low, high


def spreads_plot(findings: Findings, form: Form = "png") -> Plot | None:
    """Draw the standard deviation between replicates of each judged metric under each treatment."""
    metrics = [
        metric
        for metric in findings.judged[:MOST_METRICS]
        if any(len(values) > 1 for values in findings.values(metric).values())
    ]
    if not metrics:
        return None
    columns = min(2, len(metrics))
    lines = -(-len(metrics) // columns)
    with drawing():
        figure = sheet(height_of(len(findings.treatments)) * lines, 9.5 if columns > 1 else 6.5)
        for place, metric in enumerate(metrics):
            _draw(figure.add_subplot(lines, columns, place + 1), findings, metric)
        return printed(figure, f"Standard deviation of {', '.join(metrics)} between replicates", form)


def _draw(axes: Axes, findings: Findings, metric: str) -> None:
    arms = findings.values(metric)
    varied = {row: list(one.values()) for row, one in enumerate(arms.values()) if len(one) > 1}
    deviations, lows, highs = zip(*map(spread_of, varied.values()), strict=True)
    axes.hlines(list(varied), lows, highs, color=ACCENT, linewidth=2)
    axes.plot(deviations, list(varied), "o", color=ACCENT, markersize=7)
    # The interval of very few values reaches far: it may leave the picture, but not squeeze the others.
    reach = min(max(highs), 4 * max(deviations))
    axes.set_xlim(0, 1.08 * reach or 1)
    told = zip(labels(arms), arms.values(), strict=True)
    rows(axes, [f"{name} (n = {len(measured):,})" for name, measured in told])
    tidy(
        axes,
        f"standard deviation of {quantity(findings, metric)}",
        "between replicates; 95% interval if values are normal",
    )
