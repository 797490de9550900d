"""Timings: what each step takes, and where the time goes."""

from __future__ import annotations

from workflow_assets.findings import Findings
from workflow_assets.plots.base import (
    ACCENT,
    INK,
    PALE,
    Form,
    Plot,
    drawing,
    height_of,
    label,
    printed,
    rows,
    sheet,
    tidy,
)


def timings_plot(findings: Findings, form: Form = "png") -> Plot | None:
    """Draw the seconds of each step: median, the middle half, least and most."""
    import numpy as np

    seconds: dict[str, list[float]] = {}
    columns = (findings.times[name]["values"] for name in ("step", "seconds"))
    for step, taken in zip(*columns, strict=True):
        seconds.setdefault(step, []).append(taken)
    if not seconds:
        return None
    quartiles = [np.quantile(taken, [0, 0.25, 0.5, 0.75, 1]) for taken in seconds.values()]
    with drawing():
        figure = sheet(height_of(len(seconds)), 7.5)
        axes = figure.add_subplot()
        places = range(len(quartiles))
        least, lower, middle, upper, most = zip(*quartiles, strict=True)
        axes.hlines(places, least, most, color=PALE, linewidth=1.5)
        axes.hlines(places, lower, upper, color=ACCENT, linewidth=5)
        axes.plot(middle, places, "|", color=INK, markersize=14, markeredgewidth=2)
        if min(one[0] for one in quartiles) > 0:
            axes.set_xscale("log")
        else:
            axes.set_xlim(left=0)
        totals = {one["step"]: one for one in findings.steps}
        rows(
            axes,
            [
                f"{label(step)}\n{totals[step]['data']:,} data, {totals[step]['total']:.3g} s"
                if step in totals
                else label(step)
                for step in seconds
            ],
        )
        tidy(axes, "seconds", "one datum: median, middle half (thick), least and most (thin)")
        return printed(figure, f"Seconds of each datum of {', '.join(seconds)}", form)
