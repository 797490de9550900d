"""Ranks: how often each treatment comes first, second and so on among the treatments of one replicate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflow_assets.findings import Findings
from workflow_assets.plots.base import (
    ACCENT,
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


def ranks_plot(findings: Findings, form: Form = "png") -> Plot | None:
    """Draw the ranks of the treatments within replicates, 1 the best, for the metrics that hypotheses are about.

    Best is the smallest value where each hypothesis about the metric claims less, else the largest.
    """
    found = {metric: ranks_of(findings, metric) for metric in findings.judged[:MOST_METRICS]}
    drawn = {metric: ranks for metric, ranks in found.items() if len(ranks)}
    if not drawn:
        return None
    with drawing():
        figure = sheet(
            height_of(len(findings.treatments)) * -(-len(drawn) // 2), 9.5 if len(drawn) > 1 else 6.5
        )
        for place, (metric, ranks) in enumerate(drawn.items()):
            columns = min(2, len(drawn))
            axes = figure.add_subplot(-(-len(drawn) // columns), columns, place + 1)
            _draw(axes, findings, metric, ranks)
        count = max(ranks.shape[1] for ranks in drawn.values())
        return printed(
            figure, f"How often each of {count} treatments came first, second … within replicates", form
        )


def best_of(findings: Findings, metric: str) -> str:
    """Say whether the least or the most of a metric is best, as its hypotheses have it."""
    claims = {one["alternative"] for one in findings.claims if one["metric"] == metric}
    return "min" if claims == {"less"} else "max"


def ranks_of(findings: Findings, metric: str) -> Any:
    """Give the rank of each treatment (columns) in each replicate that has them all (rows); ties share the mean.

    Treatments without a value, of which all cells failed, are left out.
    """
    import numpy as np

    arms = [findings.values(metric)[name] for name in _ranked(findings, metric)]
    keys = [key for key in arms[0] if all(key in arm for arm in arms)] if len(arms) > 1 else []
    values = np.asarray([[arm[key] for arm in arms] for key in keys]).reshape(len(keys), len(arms))
    if best_of(findings, metric) == "max":
        values = -values
    below = (values[:, np.newaxis, :] < values[:, :, np.newaxis]).sum(axis=2)
    equal = (values[:, np.newaxis, :] == values[:, :, np.newaxis]).sum(axis=2)
    return below + (equal + 1) / 2


def _ranked(findings: Findings, metric: str) -> list[str]:
    return [name for name, arm in findings.values(metric).items() if arm]


def _draw(axes: Axes, findings: Findings, metric: str, ranks: Any) -> None:
    import numpy as np

    count, treatments = ranks.shape
    found = [np.unique(ranks[:, row], return_counts=True) for row in range(treatments)]
    heights = np.repeat(range(treatments), [len(places) for places, _ in found])
    areas = np.concatenate([times for _, times in found]) / count
    places = np.concatenate([places for places, _ in found])
    axes.scatter(places, heights, s=260 * areas, color=PALE, linewidths=0, clip_on=False)
    means = ranks.mean(axis=0)
    axes.plot(means, range(treatments), "D", color=ACCENT, markeredgecolor="white", markersize=7)
    told = zip(labels(_ranked(findings, metric)), means, strict=True)
    rows(axes, [f"{name}  {mean:.2f}" for name, mean in told])
    axes.set_xlim(0.4, treatments + 0.6)
    least = "least" if best_of(findings, metric) == "min" else "most"
    tidy(
        axes,
        f"rank by {quantity(findings, metric)}",
        f"1 has the {least}; area: share of {count:,} replicates, diamond: mean",
    )
    axes.set_xticks(range(1, treatments + 1, -(-treatments // 12)))
