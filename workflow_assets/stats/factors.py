"""Factors: what each of several factors does to a metric, and whether two of them depend on each other.

Values are a table of treatments × replicates. Every replicate has all treatments, so it is a block: what replicates
differ by cancels out of each effect.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from workflow_assets.stats.claims import possible
from workflow_assets.stats.families import holm
from workflow_assets.stats.samples import LARGEST, ROUNDING_ULPS, FloatArray, check_confidence

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


class _Columns(NamedTuple):
    """A term's columns of the model, and the rows that make its differences of their coefficients."""

    factors: tuple[str, ...]
    columns: FloatArray
    names: tuple[str, ...]
    rows: FloatArray

    @property
    def name(self) -> str:
        return " × ".join(self.factors)


def factor_effects(
    values: npt.ArrayLike,
    factors: Mapping[str, Sequence[Any]],
    *,
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

    Args:
        values: a row for each treatment, a column for each replicate; NaN where a cell is missing.
        factors: for each factor its level in each treatment: texts, or numbers from -1 to 1 for a sampled one.
        pooled: take one error for all terms.
        confidence: that of the intervals.
        variance_inflation: how many times larger the variance of a mean over replicates is than it looks, where these
            re-split one data set (`means.resampling_inflation`).

    Raises ValueError for a table of another shape, for fewer than two replicates, and for a factor that cannot be told
    from the others. Interactions that cannot be are left out, and told.

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
    terms = _model(factors, len(table), notes)
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


def _main(name: str, levels: Sequence[Any]) -> _Columns:
    if not all(isinstance(level, str) for level in levels):
        coded = np.asarray(levels, dtype=np.float64)
        if not (np.abs(coded) <= 1 + 1e-9).all():
            raise ValueError(f"factor {name!r} is sampled: give numbers from -1 (its lower bound) to 1")
        return _Columns((name,), coded[:, np.newaxis], ("over its range",), np.array([[2.0]]))
    kinds = list(dict.fromkeys(levels))
    if len(kinds) < 2:
        raise ValueError(f"factor {name!r} has one level only: leave it out")
    codes: FloatArray = np.vstack([np.eye(len(kinds) - 1), -np.ones(len(kinds) - 1)]).astype(np.float64)
    places = [kinds.index(level) for level in levels]
    return _Columns(
        (name,),
        codes[places],
        tuple(f"{kind} − {kinds[0]}" for kind in kinds[1:]),
        codes[1:] - codes[0],
    )


def _product(one: _Columns, other: _Columns) -> _Columns:
    columns = (one.columns[:, :, np.newaxis] * other.columns[:, np.newaxis, :]).reshape(len(one.columns), -1)
    names = tuple(f"({a}) × ({b})" for a in one.names for b in other.names)
    rows = np.kron(one.rows, other.rows).astype(np.float64)
    return _Columns((*one.factors, *other.factors), columns, names, rows)


def _model(factors: Mapping[str, Sequence[Any]], treatments: int, notes: list[str]) -> list[_Columns]:
    """Choose the terms that these treatments can tell apart."""
    mains = [_main(name, levels) for name, levels in factors.items()]
    if not mains:
        raise ValueError("there are no factors: name at least one")
    kept: list[_Columns] = []
    for term in mains:
        if twins := _aliases(term, kept, treatments):
            raise ValueError(
                f"factor {term.name!r} cannot be told from {' and '.join(twins)} in these treatments: leave it out"
            )
        kept.append(term)
    products = [_product(one, other) for one, other in combinations(mains, 2)]
    sampled = any(not isinstance(level, str) for levels in factors.values() for level in levels)
    parameters = 1 + sum(term.columns.shape[1] for term in (*mains, *products))
    if sampled and products:
        everything = np.hstack([np.ones((treatments, 1)), *(term.columns for term in (*mains, *products))])
        if treatments < parameters or np.linalg.matrix_rank(everything) < parameters:
            notes.append(
                f"interactions are left out: {treatments} treatments cannot tell {parameters} coefficients apart"
            )
            products = []
    for term in products:
        if twins := _aliases(term, kept, treatments):
            notes.append(f"{term.name} cannot be told from {' and '.join(twins)} in these treatments")
        else:
            kept.append(term)
    return kept


def _aliases(term: _Columns, kept: Sequence[_Columns], treatments: int) -> list[str]:
    """Name the terms that share what a term would tell; none if it tells all of its own."""
    known = np.hstack([np.ones((treatments, 1)), *(other.columns for other in kept)])
    coefficients = np.linalg.lstsq(known, term.columns, rcond=None)[0]
    rest = term.columns - known @ coefficients
    if np.linalg.matrix_rank(rest, tol=1e-9 * treatments) == term.columns.shape[1]:
        return []
    start, twins = 1, []
    for other in kept:
        stop = start + other.columns.shape[1]
        if (np.abs(coefficients[start:stop]) > 1e-9).any():
            twins.append(other.name)
        start = stop
    return twins or ["the mean"]


def _slices(terms: Sequence[_Columns]) -> Iterator[tuple[_Columns, slice]]:
    start = 1
    for term in terms:
        stop = start + term.columns.shape[1]
        yield term, slice(start, stop)
        start = stop


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


def _by_replicate(
    table: FloatArray, terms: Sequence[_Columns], confidence: float, inflation: float
) -> list[Term]:
    n = table.shape[1]
    model = np.hstack([np.ones((len(table), 1)), *(term.columns for term in terms)])
    solver = np.linalg.pinv(model)
    reach = float(special.stdtrit(n - 1, 0.5 + confidence / 2))
    made = []
    for term, place in _slices(terms):
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


def _pooled(table: FloatArray, terms: Sequence[_Columns], confidence: float, inflation: float) -> list[Term]:
    treatments, n = table.shape
    rows, columns = np.nonzero(~np.isnan(table))
    y = table[rows, columns]
    blocks = np.vstack([np.eye(n - 1), -np.ones(n - 1)])[columns] if n > 1 else np.empty((len(y), 0))
    model = np.hstack([np.ones((treatments, 1)), *(term.columns for term in terms)])
    whole = np.hstack([model[rows], blocks])
    df_error = len(y) - whole.shape[1]
    if np.linalg.matrix_rank(whole) < whole.shape[1]:
        raise ValueError("too many cells are missing to tell the factors from the replicates")
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
    for term, place in _slices(terms):
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
