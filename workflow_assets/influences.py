"""Influences: what the factors of a design do to a metric, and which sources of variation scatter it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from workflow_assets.designs import Design
from workflow_assets.errors import UnknownNameError, did_you_mean
from workflow_assets.results import Result

if TYPE_CHECKING:
    import pandas as pd

    from workflow_assets.stats.components import VarianceComponents
    from workflow_assets.stats.samples import FloatArray


def factor_effects(
    result: Result,
    metric: str,
    *,
    design: Design | None = None,
    pooled: bool = False,
    across: Literal["replicates", "blocks"] = "replicates",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Tell what each factor of a design does to a metric, and whether two depend on each other: a tidy table.

    One row for each difference within a term: `term` (a factor, or two), `contrast` (which levels), `estimate` with
    `low` and `high` in the metric's own units, its `p`; and of the whole term `f`, `df`, `df_error`, `p_term`, and
    `p_adjusted` (Holm over all terms). `n` is the number of replicates, or of units where those are declared. What a
    reader should know stands in ``table.attrs["notes"]``. How it is estimated is told in
    `stats.factors.factor_effects`; replicates are blocks, so that treatments are compared within each. Of a `blocked`
    design treatments are compared within the blocks of each replicate; blocks are adjusted for, and not tested.

    Args:
        result: what an experiment came to.
        metric: a declared metric.
        design: the design; needed only if the experiment was not declared with it alone.
        pooled: one error for all terms: for few replicates, or many missing cells.
        across: what effects have to agree between. "blocks": the complete blocks of the design, over whose replicates
            values are averaged, for conclusions about other blocks like these; `n` is their number then.
        confidence: that of the intervals.

    Raises `UnknownNameError` for an unknown metric, and `ValueError` for an experiment without a design, and where the
    data cannot tell.
    """
    import numpy as np
    import pandas as pd

    from workflow_assets.stats.factors import factor_effects as estimate
    from workflow_assets.stats.means import resampling_inflation

    design = result.declaration.design if design is None else design
    if design is None:
        raise ValueError(
            f"experiment {result.declaration.name!r} has no design: declare treatments=factorial({{...}})"
        )
    replicates = result.declaration.replicates
    columns = {name: _unit_values(result, name, metric) for name in design.settings}
    units = list(dict.fromkeys(unit for values in columns.values() for unit in values))
    table = np.array(
        [[values.get(unit, math.nan) for unit in units] for values in columns.values()], dtype=float
    )
    table, factors, blocks = table.reshape(len(columns), len(units)), design.coded(), design.block_of()
    overlap = replicates.test_fraction
    if across == "blocks":
        table, factors = _by_block(design, table)
        blocks = overlap = None
    elif across != "replicates":
        raise ValueError(f"across is {across!r}: {did_you_mean(str(across), ('replicates', 'blocks'))}")
    found = estimate(
        table,
        factors,
        blocks=blocks,
        pooled=pooled,
        confidence=confidence,
        variance_inflation=1.0 if overlap is None else resampling_inflation(len(units), overlap),
    )
    rows = [
        {
            "term": term.name,
            "contrast": contrast.name,
            "estimate": contrast.estimate,
            "low": contrast.low,
            "high": contrast.high,
            "p": contrast.p,
            "f": math.nan if term.f is None else term.f,
            "df": term.df,
            "df_error": term.df_error,
            "p_term": term.p,
            "p_adjusted": term.p_adjusted,
            "n": found.n,
        }
        for term in found.terms
        for contrast in term.contrasts
    ]
    effects = pd.DataFrame(rows)
    notes = list(found.notes)
    if across == "blocks":
        notes.append(
            f"the replicates of each of {found.n} blocks are averaged: blocks are what effects vary between"
        )
    if overlap is not None:
        notes.append("the replicates re-split one data set: variances are taken larger (Nadeau and Bengio)")
    effects.attrs["notes"] = notes
    return effects


def _by_block(design: Design, table: FloatArray) -> tuple[FloatArray, dict[str, list[Any]]]:
    """Average the replicates of each treatment in each block: a row for each combination, a column for each block."""
    import numpy as np

    blocks = design.block_of()
    if blocks is None:
        raise ValueError("across='blocks' needs a design with blocks: make one with blocked(...)")
    kinds = list(dict.fromkeys(blocks))
    places: dict[tuple[Any, ...], dict[str, int]] = {}
    for row, setting in enumerate(design.settings.values()):
        places.setdefault(tuple(setting[one] for one in design.factors), {})[blocks[row]] = row
    if any(len(held) < len(kinds) for held in places.values()):
        raise ValueError(
            "across='blocks' needs blocks that have every treatment: leave out size= and confounding= of blocked(...), "
            "or compare within blocks, with across='replicates'"
        )
    rows = [[held[kind] for kind in kinds] for held in places.values()]
    complete = ~np.isnan(table).any(axis=0)
    if not complete.any():
        raise ValueError("no replicate has every treatment: run those that are missing")
    means = table[:, complete].mean(axis=1)[np.array(rows)]
    first = [row[0] for row in rows]
    return means, {name: [levels[row] for row in first] for name, levels in design.coded().items()}


def variance_components(
    result: Result,
    metric: str,
    *,
    treatment: str = "baseline",
    against: str | None = None,
    confidence: float = 0.95,
) -> VarianceComponents:
    """Tell which source of variation scatters a metric – initialisation, split, plate – and what to replicate next.

    The experiment's replicates are `units(...)` or `crossed(...)`, whose levels are the sources. With `against`, what
    is split is the difference of two treatments, as verdicts on pairs judge it: what both share is not in it.

    Args:
        result: what an experiment came to.
        metric: a declared metric.
        treatment: whose values.
        against: another treatment, to be subtracted replicate by replicate.
        confidence: that of the intervals.

    Raises `UnknownNameError` for an unknown name, and `ValueError` for replicates without levels, or values that do not
    vary.
    """
    from workflow_assets.stats.components import variance_components as estimate

    levels = result.declaration.replicates.levels
    if levels is None:
        raise ValueError(
            f"the replicates of experiment {result.declaration.name!r} have no levels: declare "
            f"replicates=crossed({{'init': 5, 'split': 10}}), or units(...) for those that lie in each other"
        )
    values = _values(result, treatment, metric)
    if against is not None:
        others = _values(result, against, metric)
        values = {key: value - others[key] for key, value in values.items() if key in others}
    places = {name: [levels.places[key][place] for key in values] for place, name in enumerate(levels.names)}
    return estimate(list(values.values()), places, crossed=levels.crossed, confidence=confidence)


def _values(result: Result, treatment: str, metric: str) -> dict[str, float]:
    """Give a metric's finite values by replicate."""
    kinds = result.declaration.metrics
    if kinds.get(metric) is str:
        numbers = [name for name, kind in kinds.items() if kind is not str]
        raise UnknownNameError(f"{metric!r} is text, not a number: {did_you_mean(metric, numbers)}")
    arm = result.arm(treatment, metric).values
    return {key: float(value) for key, value in arm.items() if math.isfinite(float(value))}


def _unit_values(result: Result, treatment: str, metric: str) -> dict[str, float]:
    """Give a metric's finite values by experimental unit."""
    values = _values(result, treatment, metric)
    levels = result.declaration.replicates.levels
    if levels is None:
        return values
    if (refusal := levels.refusal()) is not None:
        raise ValueError(refusal)
    return values if levels.compared is None else levels.mean_per(levels.compared, values)
