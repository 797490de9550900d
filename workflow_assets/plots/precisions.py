"""Precisions: how wide the interval is by the number of replicates, and how large a difference that many would find.

Both follow from the width of the interval as it is. The power for the effect that happened to be observed is not drawn:
it says no more than p.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from workflow_assets.findings import Findings
from workflow_assets.plots.base import ACCENT, INK, PALE, Form, Plot, drawing, label, labels, printed, sheet
from workflow_assets.plots.estimates import bounds
from workflow_assets.summaries import quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POWER = 0.8
MOST_PANELS = 6


class Precision(NamedTuple):
    """What so many replicates would give: half the interval's width, and the difference found four times in five."""

    n: Any
    half_width: Any
    detectable: Any


def precision_of(verdict: Mapping[str, Any], n: Any) -> Precision | None:
    """Say how precise a verdict would be with n replicates, if they vary as those did that were measured.

    The interval is Student's: its half width at n is that at the verdict's own n, times t(n) / t(own n) and the square
    root of own n / n. The detectable difference, beyond the claimed bound, is the one of power 0.8 in Student's
    approximation (t of 1 - alpha plus t of the power, in standard errors).
    """
    import numpy as np
    from scipy import special

    effect = verdict["effect"]
    own = min(verdict["n"])
    if effect is None or own < 2:
        return None
    half = (effect["high"] - effect["low"]) / 2
    if not 0 < half < math.inf:
        return None
    arms = 1 if verdict["paired"] else 2
    share = 0.5 + effect["confidence"] / 2
    n = np.asarray(n, dtype=float)
    spread = half / special.stdtrit(arms * (own - 1), share) * math.sqrt(own)
    error = spread / np.sqrt(n)
    sides = 2 if verdict["alternative"] in ("two-sided", "equivalent") else 1
    df = arms * (n - 1)
    detectable = error * (special.stdtrit(df, 1 - verdict["alpha"] / sides) + special.stdtrit(df, POWER))
    return Precision(n, special.stdtrit(df, share) * error, detectable)


def precision_plot(findings: Findings, form: Form = "png") -> Plot | None:
    """Draw for each verdict with an interval how precise more or fewer replicates would make it."""
    drawn = [one for one in findings.claims if precision_of(one, [2]) is not None]
    shown = drawn[:MOST_PANELS]
    if not shown:
        return None
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    with drawing():
        figure = sheet(3.2 * lines, 1.5 + 2.9 * columns)
        told = labels((one["hypothesis"] for one in shown), 30)
        for place, (name, verdict) in enumerate(zip(told, shown, strict=True)):
            axes = figure.add_subplot(lines, columns, place + 1)
            _draw(axes, findings, verdict, name)
        handles, texts = axes.get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
        rest = f" ({len(drawn) - len(shown)} more are not drawn)" if len(drawn) > len(shown) else ""
        names = ", ".join(one["hypothesis"] for one in shown)
        return printed(
            figure,
            f"Half the interval, and the difference found, by number of replicates: {names}{rest}",
            form,
        )


def _draw(axes: Axes, findings: Findings, verdict: Mapping[str, Any], name: str) -> None:
    import numpy as np

    own = min(verdict["n"])
    precision = precision_of(verdict, np.unique(np.geomspace(max(2, own / 8), max(own * 8, 16), 60).round()))
    now = precision_of(verdict, [own])
    assert precision is not None
    assert now is not None
    axes.plot(precision.n, precision.half_width, "-", color=ACCENT, linewidth=2, label="half the interval")
    axes.plot(
        precision.n,
        precision.detectable,
        "--",
        color=INK,
        linewidth=1.5,
        label=f"found with power {POWER:.0%}",
    )
    axes.plot([own], now.half_width, "o", color=ACCENT, markersize=8)
    distance = min(
        abs(verdict["effect"]["estimate"] - bound)
        for bound in bounds(verdict["alternative"], verdict["margin"])
    )
    top = float(precision.detectable[0])
    axes.set_xscale("log")
    axes.set_ylim(0, min(top, 4 * float(now.detectable[0])) * 1.05)
    highest = axes.get_ylim()[1]
    axes.axhline(
        distance, linestyle=":", color=INK, linewidth=1.2, label="from the estimate to the claimed bound"
    )
    axes.axvline(own, color=PALE, linewidth=0.8)
    ticks = [one for one in (max(2, round(own / 8)), own, max(own * 8, 16)) if one]
    axes.set_xticks(ticks, [f"{one:,}" for one in ticks])
    axes.minorticks_off()
    above = f"; bound {distance:.3g} away (above)" if distance > highest else ""
    what = (
        "replicates"
        if not isinstance(verdict["against"], str)
        else "pairs"
        if verdict["paired"]
        else "values per arm"
    )
    axes.set_xlabel(f"number of {what}", fontsize=9)
    axes.set_ylabel(label(quantity(findings, verdict["metric"]), 34), fontsize=9)
    axes.set_title(
        f"{name}\nn = {own:,}: ± {float(now.half_width[0]):.3g}{above}",
        fontsize=8,
        loc="left",
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.locator_params(axis="y", nbins=5)
