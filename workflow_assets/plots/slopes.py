"""Slopes: each replicate from one arm to the other, which shows what pairing does."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workflow_assets.findings import Findings
from workflow_assets.plots.base import ACCENT, INK, MIDDLE, Form, Plot, drawing, label, labels, printed, sheet
from workflow_assets.summaries import quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LINES = 200
MOST_PANELS = 6


def slopes_plot(findings: Findings, form: Form = "png") -> Plot | None:
    """Draw the pairs that paired hypotheses are about, six panels and 200 pairs of each at most."""
    paired: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for one in findings.claims:
        if one["paired"] and _pairs(findings, one):
            paired.setdefault((one["metric"], one["treatment"], one["against"]), []).append(one)
    shown = list(paired.values())[:MOST_PANELS]
    if not shown:
        return None
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    with drawing():
        figure = sheet(3.4 * lines, 1.2 + 2.8 * columns)
        told = labels((", ".join(one["hypothesis"] for one in same) for same in shown), 34)
        for place, (name, same) in enumerate(zip(told, shown, strict=True)):
            _draw(figure.add_subplot(lines, columns, place + 1), findings, same[0], name)
        rest = f" ({len(paired) - len(shown)} more are not drawn)" if len(paired) > len(shown) else ""
        names = ", ".join(one["hypothesis"] for same in shown for one in same)
        return printed(figure, f"Each replicate under both arms: {names}{rest}", form)


def _pairs(findings: Findings, verdict: Mapping[str, Any]) -> list[tuple[float, float]]:
    if not isinstance(verdict["treatment"], str) or not isinstance(verdict["against"], str):
        return []  # of several treatments, or of one beside a number
    values = findings.values(verdict["metric"])
    before, after = values[verdict["against"]], values[verdict["treatment"]]
    return [(before[key], after[key]) for key in before if key in after]


def _draw(axes: Axes, findings: Findings, verdict: Mapping[str, Any], name: str) -> None:
    from matplotlib.collections import LineCollection

    pairs = _pairs(findings, verdict)
    count = len(pairs)
    drawn = pairs if count <= MOST_LINES else [pairs[i * count // MOST_LINES] for i in range(MOST_LINES)]
    weight = 0.7 if len(drawn) <= 40 else 0.35
    for sign, style in ((1, "-"), (-1, "--"), (0, ":")):
        lines = [
            ((0, before), (1, after))
            for before, after in drawn
            if (after > before) - (after < before) == sign
        ]
        axes.add_collection(
            LineCollection(lines, linestyles=style, colors=MIDDLE, linewidths=weight, alpha=0.8)
        )
    means = [sum(pair[arm] / count for pair in pairs) for arm in (0, 1)]
    axes.plot([0, 1], means, "D-", color=ACCENT, markeredgecolor="white", markersize=8, linewidth=2.5)
    risen = sum(after > before for before, after in pairs)
    fallen = sum(after < before for before, after in pairs)
    axes.set_xticks([0, 1], [label(verdict["against"], 16), label(verdict["treatment"], 16)])
    axes.set_xlim(-0.25, 1.25)
    axes.autoscale(axis="y")
    axes.set_ylabel(label(quantity(findings, verdict["metric"]), 34), fontsize=9)
    some = f", {len(drawn)} drawn" if len(drawn) < count else ""
    ways = ((risen, "rise (solid)"), (fallen, "fall (dashed)"), (count - risen - fallen, "stay (dotted)"))
    told = textwrap.fill(", ".join(f"{number:,} {way}" for number, way in ways if number), 38)
    axes.set_title(
        f"{name}\n{count:,} pairs{some}:\n{told}",
        fontsize=8,
        loc="left",
        color=INK,
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.locator_params(axis="y", nbins=5)
