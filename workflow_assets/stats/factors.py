"""Factors: what each of several factors does to a metric, and whether two of them depend on each other.

Values are a table of treatments × replicates. Every replicate has all treatments, so it is a block: what replicates
differ by cancels out of each effect.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from workflow_assets.stats.claims import possible
from workflow_assets.stats.families import holm
from workflow_assets.stats.samples import LARGEST, ROUNDING_ULPS, FloatArray, check_confidence
from workflow_assets.stats.terms import Model, model

EPS = np.finfo(np.float64).eps


@dataclass(frozen=True)
class Contrast:
    """One difference within a term: the estimate in the units of the metric, its interval, and its own p."""

    name: str
    estimate: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Term:
    """A main effect or an interaction of two factors: whether there is any, and each of its differences.

    `p` is that of the F test, corrected for a lack of sphericity by `epsilon` (1: none), and `p_adjusted` is it after
    Holm over all terms. `f` is None where the effect is the same in every replicate; `p` is that of sign-flips then.
    """

    name: str
    factors: tuple[str, ...]
    f: float | None
    df: int
    df_error: float
    epsilon: float
    p: float
    p_adjusted: float
    contrasts: tuple[Contrast, ...]


@dataclass(frozen=True)
class FactorEffects:
    """The terms of a design, how many replicates they come from, and what a reader should know."""

    terms: tuple[Term, ...]
    n: int
    confidence: float
    notes: tuple[str, ...]


def factor_effects(
    values: npt.ArrayLike,
    factors: Mapping[str, Sequence[Any]],
    *,
    blocks: Sequence[str] | None = None,
    pooled: bool = False,
    confidence: float = 0.95,
    variance_inflation: float = 1.0,
) -> FactorEffects:
    """Estimate the main effect of each factor and the interaction of each two, with intervals and p.

    Model: sum-to-zero contrasts of all factors and their products by two, so that a main effect is the difference of
    means that weigh the levels of the other factors equally (type III), and an interaction is a difference of
    differences: by how much more one factor does at a level of the other than at its first. (Books on two-level designs
    halve that.) Differences are against the first level. A sampled factor is a straight line, and its effect the change
    from its lower to its upper bound. Interactions of three count as error.

    By default each term is judged by how much it varies between replicates: for two levels that is the paired t-test,
    in general R's `aov(y ~ A * B + Error(replicate / (A * B)))`, with Greenhouse and Geisser's (1959) correction as in
    car::Anova, so treatments may scatter differently. It takes replicates that have all treatments; others are left
    out, and told. `pooled` takes one residual for all instead, from all cells that are there, by least squares:
    `drop1(lm(y ~ A * B + replicate), ~ ., test = "F")`, for few replicates or missing cells. Treatments must scatter
    alike then, and respond alike to what replicates differ by.

    `blocks` adds what the blocks differ by to either model, before the factors (R: `y ~ block + A * B`, in each
    replicate or pooled), so that treatments are compared within blocks only. It is no term: it has no p, and Holm does
    not count it. A block is taken to shift all of its treatments alike; where treatments respond differently to blocks
    and not every block has them all, that is mistaken for an effect.

    Args:
        values: a row for each treatment, a column for each replicate; NaN where a cell is missing.
        factors: for each factor its level in each treatment: texts, or numbers from -1 to 1 for a sampled one.
        blocks: for each treatment the batch, day, machine, … that it was run in; a combination of factors may be in
            several.
        pooled: take one error for all terms.
        confidence: that of the intervals.
        variance_inflation: how many times larger the variance of a mean over replicates is than it looks, where these
            re-split one data set (`means.resampling_inflation`).

    Raises ValueError for a table of another shape, for fewer than two replicates, and for a factor that cannot be told
    from the others, or from the blocks. Interactions that cannot be are left out, and told.

    >>> effects = factor_effects(
    ...     [[1.0, 2.0, 4.0], [2.0, 3.5, 5.0], [3.0, 4.0, 6.5], [6.0, 7.0, 9.0]],
    ...     {"a": ["low", "low", "high", "high"], "b": ["off", "on", "off", "on"]},
    ... )
    >>> for term in effects.terms:
    ...     print(term.name, round(term.contrasts[0].estimate, 3), round(term.p, 4))
    a 3.0 0.0023
    b 2.0 0.0052
    a × b 1.667 0.0099
    """
    check_confidence(confidence)
    if not 1 <= variance_inflation < math.inf:
        raise ValueError(
            f"variance_inflation is {variance_inflation}: give 1 for independent replicates, or more"
        )
    table, exponent = _table(values)
    for name, levels in factors.items():
        if len(levels) != len(table):
            raise ValueError(
                f"factor {name!r} has {len(levels)} levels and the table {len(table)} treatments: give one for each"
            )
    if blocks is not None and len(blocks) != len(table):
        raise ValueError(f"there are {len(blocks)} blocks for {len(table)} treatments: give one for each")
    notes: list[str] = []
    if not pooled:
        complete = ~np.isnan(table).any(axis=0)
        if complete.sum() < table.shape[1]:
            notes.append(
                f"{int((~complete).sum())} of {table.shape[1]} replicates lack a treatment and are left out"
            )
        table = table[:, complete]
        if table.shape[1] < 2:
            raise ValueError(
                f"{table.shape[1]} replicates have every treatment: at least 2 are needed, or pooled=True, which takes "
                f"those that lack some"
            )
    else:
        table = table[:, ~np.isnan(table).all(axis=0)]
        if (np.isnan(table).all(axis=1)).any():
            gone = int(np.flatnonzero(np.isnan(table).all(axis=1))[0])
            raise ValueError(f"treatment {gone} has no value in any replicate: leave it out")
    terms = model(factors, len(table), notes, blocks)
    estimates = (_pooled if pooled else _by_replicate)(table, terms, confidence, variance_inflation)
    adjusted = holm([term.p for term in estimates])

    def restored(one: Contrast) -> Contrast:
        estimate, low, high = (math.ldexp(value, exponent) for value in (one.estimate, one.low, one.high))
        return replace(one, estimate=estimate, low=low, high=high)

    return FactorEffects(
        terms=tuple(
            replace(term, p_adjusted=p, contrasts=tuple(map(restored, term.contrasts)))
            for term, p in zip(estimates, adjusted, strict=True)
        ),
        n=table.shape[1],
        confidence=confidence,
        notes=tuple(notes),
    )


def _table(values: npt.ArrayLike) -> tuple[FloatArray, int]:
    """Take the table in a unit in which squares neither overflow nor vanish."""
    table = np.array(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 1:
        raise ValueError(
            f"the table has the shape {table.shape}: give a row for each of 2 or more treatments and a column for each "
            f"replicate"
        )
    if (np.abs(table) > LARGEST).any():
        raise ValueError("a value is infinite or beyond 1e300: mark a missing cell by NaN")
    largest = float(np.max(np.abs(table), initial=0.0, where=~np.isnan(table)))
    exponent = math.frexp(largest)[1]
    return np.ldexp(table, -exponent), exponent


def _scores(weights: FloatArray, table: FloatArray) -> tuple[FloatArray, bool]:
    """Weigh the treatments of each replicate, rounding set to zero; say whether replicates differ by more than it."""
    scores = weights @ table
    slack = ROUNDING_ULPS * EPS * (np.abs(weights) @ np.abs(table))
    scores = np.where(np.abs(scores) <= slack, 0.0, scores)
    same = (np.max(scores - slack, axis=1) <= np.min(scores + slack, axis=1)).all()
    return scores, bool(same)


def _flips(effect: FloatArray, n: int) -> float:
    """Give the p of an effect that is the same in every replicate: how likely such agreement of signs is by chance."""
    return possible(2.0 ** (1 - n)) if np.any(effect != 0) else 1.0


def _by_replicate(table: FloatArray, terms: Model, confidence: float, inflation: float) -> list[Term]:
    n = table.shape[1]
    solver = np.linalg.pinv(terms.matrix)
    reach = float(special.stdtrit(n - 1, 0.5 + confidence / 2))
    made = []
    for term, place in terms.slices():
        contrasts = []
        for name, row in zip(term.names, term.rows, strict=True):
            scores, same = _scores(row[np.newaxis] @ solver[place], table)
            mean, size = float(scores.mean()), float(np.max(np.abs(scores))) or 1.0
            # Of small numbers beside large ones, the squares would vanish.
            error = 0.0 if same else size * float((scores / size).std(ddof=1)) * math.sqrt(inflation / n)
            p = _flips(scores, n) if error == 0 else 2 * float(special.stdtr(n - 1, -abs(mean / error)))
            contrasts.append(Contrast(name, mean, mean - reach * error, mean + reach * error, possible(p)))
        # Orthonormal contrasts: their squares add up to the term's sum of squares, whatever the coding.
        scores, same = _scores(np.linalg.qr(solver[place].T)[0].T, table)
        df, error_df = len(scores), (n - 1.0) * len(scores)
        f, epsilon = None, 1.0
        size = float(np.max(np.abs(scores))) or 1.0
        scores = scores / size
        spread = np.atleast_2d(np.cov(scores))
        if same or np.trace(spread) == 0:
            p = _flips(scores, n)
        else:
            epsilon = float(np.trace(spread) ** 2 / (df * np.sum(spread**2)))
            f = float(n * np.sum(scores.mean(axis=1) ** 2) / np.trace(spread)) / inflation
            p = float(special.fdtrc(epsilon * df, epsilon * error_df, f))
        made.append(
            Term(term.name, term.factors, f, df, error_df, epsilon, possible(p), 1.0, tuple(contrasts))
        )
    return made


def _pooled(table: FloatArray, terms: Model, confidence: float, inflation: float) -> list[Term]:
    n = table.shape[1]
    rows, columns = np.nonzero(~np.isnan(table))
    y = table[rows, columns]
    replicates = np.vstack([np.eye(n - 1), -np.ones(n - 1)])[columns] if n > 1 else np.empty((len(y), 0))
    whole = np.hstack([terms.matrix[rows], replicates])
    df_error = len(y) - whole.shape[1]
    if np.linalg.matrix_rank(whole) < whole.shape[1]:
        raise ValueError("too many cells are missing to tell the factors from the replicates or blocks")
    if df_error < 1:
        raise ValueError(
            f"{len(y)} values are as many as there are coefficients: more replicates are needed to judge chance"
        )
    coefficients, inverse = np.linalg.pinv(whole) @ y, np.linalg.inv(whole.T @ whole)
    residual = y - whole @ coefficients
    same = bool(np.max(np.abs(residual)) <= ROUNDING_ULPS * EPS * whole.shape[1])
    variance = 0.0 if same else inflation * float(residual @ residual) / df_error
    reach = float(special.stdtrit(df_error, 0.5 + confidence / 2))
    coefficients = np.where(np.abs(coefficients) <= ROUNDING_ULPS * EPS * whole.shape[1], 0.0, coefficients)
    made = []
    for term, place in terms.slices():
        beta, scale = coefficients[place], inverse[place, place]
        contrasts = []
        for name, row in zip(term.names, term.rows, strict=True):
            mean, error = float(row @ beta), math.sqrt(variance * float(row @ scale @ row))
            p = _flips(beta, n) if same else 2 * float(special.stdtr(df_error, -abs(mean / error)))
            contrasts.append(Contrast(name, mean, mean - reach * error, mean + reach * error, possible(p)))
        df = len(beta)
        f = None if same else float(beta @ np.linalg.solve(scale, beta)) / (df * variance)
        p = _flips(beta, n) if f is None else float(special.fdtrc(df, df_error, f))
        made.append(
            Term(term.name, term.factors, f, df, float(df_error), 1.0, possible(p), 1.0, tuple(contrasts))
        )
    return made
