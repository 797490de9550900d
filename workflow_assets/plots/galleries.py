"""Galleries: all plots of an experiment, by name, each sheltered from what goes wrong with another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from workflow_assets.findings import Findings
from workflow_assets.plots.base import Form, Plot
from workflow_assets.plots.estimates import estimation_plot
from workflow_assets.plots.precisions import precision_plot
from workflow_assets.plots.ranks import ranks_plot
from workflow_assets.plots.slopes import slopes_plot
from workflow_assets.plots.spreads import spreads_plot
from workflow_assets.plots.timings import timings_plot

DRAWINGS: Mapping[str, Callable[[Findings, Form], Plot | None]] = MappingProxyType(
    {
        "estimation": estimation_plot,
        "pairs": slopes_plot,
        "ranks": ranks_plot,
        "precision": precision_plot,
        "variation": spreads_plot,
        "time": timings_plot,
    }
)


def gallery(findings: Findings, form: Form = "png") -> Iterator[tuple[str, Plot | str]]:
    """Draw every plot that there is something to draw for; for one that fails, say why instead."""
    for name, draw in DRAWINGS.items():
        try:
            plot = draw(findings, form)
        except Exception as error:  # noqa: BLE001 - numbers at the end of the range, say: the rest is still worth seeing
            yield name, f"the plot {name!r} could not be drawn ({type(error).__name__}: {error})"
        else:
            if plot is not None:
                yield name, plot
