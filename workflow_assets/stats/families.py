"""Families: several claims, or one claim looked at again and again, and what that does to p-values.

Adjusted p-values are compared with alpha as raw ones would be. Of the procedures for several claims at once,
`bonferroni` and `holm` bound the chance of even one false "supported" whatever the dependence between the claims (Holm
is never the weaker one); `hochberg` does so for independent or positively dependent ones; `benjamini_hochberg` bounds
the expected share of false ones among the supported, for independent or positively dependent claims, and
`benjamini_yekutieli` whatever the dependence.

A claim that is tried again, on new data, until it is supported needs `spend`: each attempt may use a share of alpha
only, and the shares add up to at most 1.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np

from workflow_assets.errors import did_you_mean
from workflow_assets.stats.samples import FloatArray

Attempts = int | Literal["unlimited"]


def bonferroni(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values by counting each as often as there are claims.

    R: p.adjust(p, "bonferroni"). Bounds the chance of even one false claim, whatever the dependence.

    >>> bonferroni([0.01, 0.04, 0.5])
    (0.03, 0.12, 1.0)
    """
    p = _checked(p_values)
    return _told(p * p.size)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values for having asked several questions, in the order in which they were asked.

    Holm (1979): the smallest of m p-values times m, the next times m - 1, and so on, each at least as large as the one
    before; R: p.adjust(p, "holm"). It bounds the chance of even one false "supported" by alpha, whatever the
    dependence between the questions.

    >>> [round(p, 10) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = _checked(p_values)
    return _upwards(p, np.arange(p.size, 0, -1.0))


def hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values as Holm does, but from the largest one down, which adjusts less.

    Hochberg (1988); R: p.adjust(p, "hochberg"). It bounds the chance of even one false claim where the tests are
    independent or positively dependent, as many treatments against one baseline are; else use `holm`.

    >>> hochberg([0.01, 0.04, 0.03])
    (0.03, 0.04, 0.04)
    """
    p = _checked(p_values)
    return _downwards(p, np.arange(p.size, 0, -1.0))


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values so that alpha bounds the expected share of false claims among the supported ones.

    Benjamini and Hochberg (1995); R: p.adjust(p, "BH"). For independent or positively dependent tests (Benjamini and
    Yekutieli 2001). It does not bound the chance of a false claim: with many true effects, some supported claims are
    false.

    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    (0.03, 0.04, 0.04)
    """
    p = _checked(p_values)
    return _downwards(p, p.size / np.arange(1.0, p.size + 1))


def benjamini_yekutieli(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values as `benjamini_hochberg` does, for tests of whatever dependence.

    Benjamini and Yekutieli (2001); R: p.adjust(p, "BY"). Adjusts 1 + 1/2 + … + 1/m times as much.

    >>> [round(p, 4) for p in benjamini_yekutieli([0.01, 0.04, 0.03])]
    [0.055, 0.0733, 0.0733]
    """
    p = _checked(p_values)
    ranks = np.arange(1.0, p.size + 1)
    return _downwards(p, math.fsum(1.0 / ranks) * p.size / ranks)


PROCEDURES: Mapping[str, Callable[[Sequence[float]], tuple[float, ...]]] = MappingProxyType(
    {
        procedure.__name__: procedure
        for procedure in (bonferroni, holm, hochberg, benjamini_hochberg, benjamini_yekutieli)
    }
)


def adjust(procedure: str, p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust the p-values of a family by a procedure that is given by its name.

    Raises ValueError for an unknown name, and for what is no p-value.

    >>> adjust("bonferroni", [0.01, 0.2])
    (0.02, 0.4)
    """
    if procedure not in PROCEDURES:
        raise ValueError(
            f"there is no procedure called {procedure!r} for several claims: {did_you_mean(procedure, PROCEDURES)}"
        )
    return PROCEDURES[procedure](p_values)


def share(attempt: int, attempts: Attempts) -> float:
    """Say which share of alpha one attempt at a claim may use: the first attempt is 1.

    `attempts` declared up front give each of them the same share, and none to any beyond; "unlimited" gives the k-th
    1 / (k (k + 1)). Either way the shares add up to at most 1, so that a claim that is false ends supported in a share
    alpha of lineages at most, whatever is done between attempts. Each attempt needs data that no earlier one has seen,
    or a test that is valid on its own whatever was seen before.

    >>> share(3, 5), share(6, 5), share(3, "unlimited")
    (0.2, 0.0, 0.08333333333333333)
    """
    parts = _parts(attempt, attempts)
    return 0.0 if parts is None else 1.0 / parts


def spent(looks: int, attempts: Attempts) -> float:
    """Say which share of alpha so many looks have used up.

    >>> spent(2, 5), spent(7, 5), spent(3, "unlimited")
    (0.4, 1.0, 0.75)
    """
    _check_attempts(attempts)
    if looks < 0 or looks != int(looks):
        raise ValueError(f"looks is {looks!r}: give how many there were, 0 or more")
    return looks / (looks + 1) if attempts == "unlimited" else min(1.0, looks / attempts)


def spend(p: float, attempt: int, attempts: Attempts) -> float:
    """Adjust the p-value of the k-th attempt at a claim for all attempts: p divided by its share of alpha, at most 1.

    >>> spend(0.004, 2, 5), spend(0.004, 6, 5), spend(0.004, 2, "unlimited")
    (0.02, 1.0, 0.024)
    """
    _checked([p])
    parts = _parts(attempt, attempts)
    return 1.0 if parts is None else min(1.0, float(p) * parts)


def _parts(attempt: int, attempts: Attempts) -> int | None:
    """Into how many parts alpha is divided for an attempt that gets one; None where there is none left."""
    _check_attempts(attempts)
    if attempt < 1 or attempt != int(attempt):
        raise ValueError(f"attempt is {attempt!r}: the first one is 1, the next 2")
    if attempts == "unlimited":
        return int(attempt) * (int(attempt) + 1)
    return int(attempts) if attempt <= attempts else None


def _check_attempts(attempts: Attempts) -> None:
    known = attempts == "unlimited" or (isinstance(attempts, int | np.integer) and attempts >= 1)
    if not known or isinstance(attempts, bool):
        raise ValueError(f'attempts is {attempts!r}: give how many there will be, 1 or more, or "unlimited"')


def _checked(p_values: Sequence[float]) -> FloatArray:
    for i, p in enumerate(p_values):
        if not 0 <= p <= 1:
            raise ValueError(f"p_values[{i}] is {p}: a p-value lies between 0 and 1; leave out what has none")
    return np.asarray(p_values, dtype=np.float64)


def _upwards(p: FloatArray, factors: FloatArray) -> tuple[float, ...]:
    """Multiply from the smallest p up, none less than the one below it."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * factors)
    return _told(adjusted)


def _downwards(p: FloatArray, factors: FloatArray) -> tuple[float, ...]:
    """Multiply from the largest p down, none more than the one above it."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate((p[order] * factors)[::-1])[::-1]
    return _told(adjusted)


def _told(adjusted: FloatArray) -> tuple[float, ...]:
    return tuple(np.minimum(adjusted, 1.0).tolist())
