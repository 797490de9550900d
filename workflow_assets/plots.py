"""Plots of results: every value, the means, and the differences that were judged with their intervals.

Readable in grey and by the colour-blind: nothing is told by colour alone.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflow_assets.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, PALE, ACCENT = "#222222", "#9a9a9a", "#0072b2"  # the blue of Okabe and Ito's palette
MOST_METRICS = 4


@dataclass(frozen=True)
class Plot:
    """A picture: PNG bytes and a title that tells it to those who cannot see it."""

    title: str
    png: bytes

    def base64(self) -> str:
        """Give the picture as text, for a data URI."""
        return base64.b64encode(self.png).decode()


def estimation_plot(result: Result) -> Plot | None:
    """Draw, for each metric that a hypothesis is about, its values under each treatment and the judged differences.

    Without hypotheses the first metrics are drawn; None where there is nothing to draw.
    """
    judged = list(dict.fromkeys(one.metric for one in result.declaration.hypotheses))
    numeric = [name for name, kind in result.declaration.metrics.items() if kind is not str]
    metrics = [name for name in judged or numeric if _has_values(result, name)][:MOST_METRICS]
    if not metrics:
        return None
    # Without pyplot, which would keep figures and choose a backend for the whole process.
    from matplotlib.figure import Figure

    treatments = list(result.declaration.treatments)
    height = 1.2 + 0.42 * max(len(treatments), 3)
    figure = Figure(figsize=(9.5, height * len(metrics)), layout="constrained")
    for place, metric in enumerate(metrics):
        values = figure.add_subplot(len(metrics), 2, 2 * place + 1)
        _draw_values(values, result, metric, treatments)
        differences = figure.add_subplot(len(metrics), 2, 2 * place + 2)
        _draw_differences(differences, result, metric)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    count = len(result.declaration.replicates)
    return Plot(
        f"{', '.join(metrics)} under {len(treatments)} treatments, {count} replicates each", buffer.getvalue()
    )


def _has_values(result: Result, metric: str) -> bool:
    return any(result.arm(treatment, metric).values for treatment in result.declaration.treatments)


def _draw_values(axes: Axes, result: Result, metric: str, treatments: list[str]) -> None:
    import numpy as np

    for row, treatment in enumerate(treatments):
        values = np.asarray(list(result.arm(treatment, metric).values.values()), dtype=float)
        values = values[np.isfinite(values)]
        # A fixed spread of heights, so that equal values stay apart and the picture is the same every time.
        heights = row + 0.26 * (np.arange(len(values)) % 7 - 3) / 3
        axes.plot(values, heights, "o", color=PALE, markersize=3.5, markeredgewidth=0)
        if len(values):
            axes.plot([values.mean()], [row], "D", color=INK, markersize=6)
    labels = [f"{name} (n = {len(result.arm(name, metric).values)})" for name in treatments]
    _finish(axes, labels, metric, "each replicate, and the mean (diamond)")


def _draw_differences(axes: Axes, result: Result, metric: str) -> None:
    verdicts = [
        one for one in result.verdicts.values() if one.hypothesis.metric == metric and one.effect is not None
    ]
    labels = []
    for row, verdict in enumerate(verdicts):
        effect, one = verdict.effect, verdict.hypothesis
        assert effect is not None
        axes.plot([effect.low, effect.high], [row, row], "-", color=ACCENT, linewidth=2)
        marker = {"supported": "o", "refuted": "X"}.get(verdict.decision, "s")
        axes.plot([effect.estimate], [row], marker, color=ACCENT, markersize=8)
        bounds = {"greater": [one.margin], "less": [-one.margin]}.get(
            one.alternative, [-one.margin, one.margin]
        )
        for bound in dict.fromkeys(bounds):
            axes.plot([bound, bound], [row - 0.3, row + 0.3], ":", color=INK, linewidth=1.5)
        labels.append(f"{one.name}\n{verdict.decision}, n = {min(verdict.n)}")
    axes.axvline(0, color=PALE, linewidth=0.8)
    level = verdicts[0].effect.confidence if verdicts and verdicts[0].effect else 0.95
    _finish(
        axes,
        labels,
        f"difference in {metric}",
        f"with its {level:.0%} interval; claimed bound dotted",
    )


def _finish(axes: Axes, labels: list[str], quantity: str, title: str) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(max(len(labels), 1) - 0.4, -0.6)
    axes.set_xlabel(quantity)
    axes.set_title(title, fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
